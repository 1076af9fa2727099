"""The conformance kit: every check by name, and running them on one embedder.

    from unite_bench.testing import parametrize_with_checks

    @parametrize_with_checks(MyEmbedder())
    def test_my_embedder(check):
        check()

A check is a plain function of a `Subject`. It returns a verdict with its figure, or raises CheckFailed with the reason.
`unite-bench check MODEL` prints the verdicts.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from unite_bench.embedders.base import Embedder
from unite_bench.errors import CheckFailed, UniteBenchError, UsageError
from unite_bench.testing import check_calls, check_inputs, check_meaning, check_vectors
from unite_bench.testing.subject import Subject
from unite_bench.testing.verdict import Check, Verdict

CHECKS: Mapping[str, Check] = {
    "dimension": check_vectors.dimension,
    "dtype": check_vectors.dtype,
    "finite": check_vectors.finite,
    "normalised": check_vectors.normalised,
    "collapse": check_vectors.collapse,
    "order": check_calls.order,
    "batch": check_calls.batch,
    "determinism": check_calls.determinism,
    "stale-cache": check_calls.stale_cache,
    "mutation": check_calls.mutation,
    "spawn": check_calls.spawn,
    "fingerprint": check_calls.kept,
    "fused": check_meaning.fused,
    "instruction": check_meaning.instruction,
    "role": check_meaning.role,
    "frame-order": check_meaning.frame_order,
    "undeclared": check_meaning.undeclared,
    "empty-text": check_inputs.empty_text,
    "long-text": check_inputs.long_text,
    **check_inputs.PICTURES,
    "video-one-frame": check_inputs.one_frame_video,
    "video-variable-rate": check_inputs.variable_rate_video,
    "corrupt-media": check_inputs.corrupt_media,
}


def run_checks(
    embedder: Embedder, only: Sequence[str] = (), device: str = "cpu", dtype: str = "float32"
) -> Iterator[tuple[str, Verdict]]:
    """The name and verdict of every check, or of those named. Raises ModelError if the model cannot be set up."""
    subject = Subject(embedder, device, dtype)
    for name in (*only, *embedder.expected_failures):
        known(name)
    subject.set_up()
    for name in only or CHECKS:
        yield name, verdict(subject, name)


def known(name: str) -> Check:
    """The check of that name. Raises UsageError with the nearest one."""
    if name not in CHECKS:
        near = difflib.get_close_matches(name, CHECKS, n=1)
        raise UsageError(
            f"unknown check {name!r}; " + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(CHECKS)}")
        )
    return CHECKS[name]


def verdict(subject: Subject, name: str) -> Verdict:
    """What one check says, with the embedder's expected failures taken into account."""
    reason = subject.embedder.expected_failures.get(name)
    try:
        found = known(name)(subject)
    except UniteBenchError as error:
        return Verdict("failed", str(error)) if reason is None else Verdict("expected", f"{reason} [{error}]")
    if reason is not None and found.status == "passed":
        return Verdict("failed", f"declared to fail ({reason}), but it passed; take the declaration out [{found.said}]")
    return found


def parametrize_with_checks(*embedders: Embedder, device: str = "cpu", dtype: str = "float32") -> Any:
    """A pytest decorator: the test gets `check`, to be called without arguments, once for every embedder and check.

    What is not applicable is skipped with the reason; an expected failure is reported as xfailed.
    """
    import pytest

    parameters = []
    for embedder in embedders:
        subject = Subject(embedder, device, dtype)
        for name in CHECKS:
            label = f"{embedder.card.name}-{name}"
            parameters.append(pytest.param(partial(_checked, subject, name), id=label))
    return pytest.mark.parametrize("check", parameters)


def _checked(subject: Subject, name: str) -> None:
    import pytest

    found = verdict(subject, name)
    if found.status == "n/a":
        pytest.skip(found.said)
    if found.status == "expected":
        pytest.xfail(found.said)
    if found.status == "failed":
        raise CheckFailed(f"{name}: {found.said}")
