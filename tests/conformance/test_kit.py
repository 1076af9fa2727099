"""The conformance kit: an honest adapter passes whole, and every planted fault is caught by the check that names it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from planted_faults import CAUGHT_BY, Honest
from typer.testing import CliRunner

from unite_bench import cli, registry
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.errors import CheckFailed, ModelError, UsageError
from unite_bench.items import Image, Text, Video
from unite_bench.testing import CHECKS, material, parametrize_with_checks, run_checks
from unite_bench.testing.subject import Subject

QUICK = ("random", "constant", "hashed-text", "bag-of-words")
BASELINES = [
    pytest.param(name, marks=() if name in QUICK else pytest.mark.slow)
    for name in sorted(registry.BASELINES)
    if name != "oracle"
]


@parametrize_with_checks(Honest())
def test_an_honest_adapter_passes_whole(check: Callable[[], None]) -> None:
    check()


def test_the_honest_adapter_has_at_most_twenty_lines() -> None:
    lines = [line for line in inspect.getsource(Honest).splitlines() if line.strip()]
    assert len(lines) <= 20


@pytest.mark.parametrize("planted", CAUGHT_BY, ids=lambda cls: cls.__name__)
def test_a_planted_fault_is_caught_by_the_check_that_names_it(planted: type[Honest]) -> None:
    name = CAUGHT_BY[planted]
    ((_, verdict),) = run_checks(planted(), only=[name])
    assert verdict.status == "failed", verdict.said
    assert verdict.said


@pytest.mark.parametrize("planted", ["Unnormalised", "BatchDependent", "StaleCache", "Nondeterministic", "Mutates"])
def test_a_fault_of_one_kind_fails_one_check_alone(planted: str) -> None:
    (cls,) = [cls for cls in CAUGHT_BY if cls.__name__ == planted]
    names = [name for name in CHECKS if name != "spawn"]  # a new process costs most of the time
    failed = [name for name, verdict in run_checks(cls(), names) if verdict.status == "failed"]
    assert failed == [CAUGHT_BY[cls]]


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_do_what_they_say_and_fail_only_what_they_declare(name: str) -> None:
    failed = {check: v.said for check, v in run_checks(registry.load_embedder(name)) if v.status == "failed"}
    assert not failed


def test_the_reference_model_passes_the_quickest_checks() -> None:
    names = ["dimension", "empty-text", "image-1x1", "corrupt-media"]
    verdicts = dict(run_checks(registry.load_embedder("reference"), only=names))
    assert {verdict.status for verdict in verdicts.values()} == {"passed"}, verdicts


@pytest.mark.slow
@parametrize_with_checks(registry.load_embedder("reference"))
def test_the_reference_model_passes_whole(check: Callable[[], None]) -> None:
    check()


def test_a_tensor_with_a_gradient_is_as_good_as_an_array() -> None:
    import torch

    class Torch(Honest):
        def embed(self, items, role):  # type: ignore[no-untyped-def]
            return torch.tensor(super().embed(items, role), requires_grad=True) * 1.0

    verdicts = run_checks(Torch(), ["dimension", "dtype", "finite", "mutation", "determinism"])
    assert {verdict.status for _, verdict in verdicts} == {"passed"}


@pytest.mark.parametrize(
    "output",
    [None, [[1.0, 2.0]], np.ones(3), np.ones((1, 67, 2)), np.ones((2, 67), dtype=complex), np.array([{}]), "text"],
    ids=lambda output: type(output).__name__ + str(getattr(output, "shape", "")),
)
def test_whatever_embed_returns_the_kit_says_what_is_wrong(output: object) -> None:
    class Odd(Honest):
        def embed(self, items, role):  # type: ignore[no-untyped-def]
            return output

    verdicts = dict(run_checks(Odd()))
    assert verdicts.keys() == CHECKS.keys()
    assert "failed" in {verdicts[name].status for name in ("dimension", "dtype")}
    assert verdicts["finite"].status == "failed"


class Declares(Honest):
    expected_failures = {"normalised": "lengths carry the confidence", "order": "none, in truth"}

    def embed(self, items, role):  # type: ignore[no-untyped-def]
        return 2 * super().embed(items, role)


def test_expected_failures_are_shown_with_their_reason_and_must_be_true() -> None:
    verdicts = dict(run_checks(Declares(), only=["normalised", "order"]))
    assert verdicts["normalised"].status == "expected"
    assert verdicts["normalised"].said.startswith("lengths carry the confidence [")
    assert verdicts["order"].status == "failed"
    assert "take the declaration out" in verdicts["order"].said


def test_names_of_checks_are_known_or_suggested() -> None:
    with pytest.raises(UsageError, match="did you mean 'determinism'"):
        list(run_checks(Honest(), only=["determinsm"]))

    class Mistyped(Honest):
        expected_failures = {"colapse": "a slip"}

    with pytest.raises(UsageError, match="did you mean 'collapse'"):
        list(run_checks(Mistyped()))


def test_a_model_that_cannot_be_set_up_is_an_error_not_a_list_of_failures() -> None:
    class NoWeights(Honest):
        def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
            raise OSError("no such weights")

    with pytest.raises(ModelError, match="could not be set up: OSError: no such weights"):
        list(run_checks(NoWeights()))


def test_in_pytest_a_check_fails_skips_or_is_expected() -> None:
    from unite_bench.testing.checks import _checked

    with pytest.raises(CheckFailed, match=r"normalised: .*length 3"):
        _checked(Subject(next(cls for cls in CAUGHT_BY if cls.__name__ == "Unnormalised")()), "normalised")
    with pytest.raises(pytest.skip.Exception, match="no clips"):
        _checked(Subject(Honest()), "frame-order")
    with pytest.raises(pytest.xfail.Exception, match="confidence"):
        _checked(Subject(Declares()), "normalised")


def test_what_counts_as_a_change_follows_the_similarity_of_the_card() -> None:
    one, two, right = ([np.array([row], dtype=np.float32)] for row in ([1.0, 0.0], [2.0, 0.0], [0.0, 5.0]))
    cosine, dot = (Embedder.__new__(Honest) for _ in range(2))
    dot.card = EmbedderCard(name="dot", modalities={"text"}, dim=2, similarity="dot")
    assert Subject(cosine).change(one, two)[0] == 0.0
    assert Subject(dot).change(one, two)[0] == pytest.approx(0.125)
    assert Subject(cosine).change(one, right)[0] == pytest.approx(1.0), "1 - cosine"


def test_the_material_decodes_to_what_it_says() -> None:
    from unite_bench import media

    for n in range(material.CLIPS):
        (clip,) = Subject(Honest()).shown([material.items("video")[n]])[0].parts
        assert isinstance(clip, Video)
        frames = media.frames(clip).pixels.astype(int)
        assert len(frames) == material.FRAMES
        assert all(abs(a - b).max() > 50 for a, b in pairwise(frames))
    item = material.items("image+text+video")[0]
    assert [type(part) for part in item.parts] == [Image, Video, Text]


def test_every_check_says_what_it_checks() -> None:
    assert [name for name, check in CHECKS.items() if not check.__doc__] == []


MODEL = """
import numpy as np
import unite_bench as ub

class Lengths(ub.Embedder):
    card = ub.EmbedderCard(
        name="lengths", modalities={"text"}, dim=2, role_matters=False, instruction_matters=False, normalised=True
    )
    def embed(self, items, role):
        lengths = np.array([len(item.parts[0].text) / 50 for item in items])
        return np.stack([np.cos(lengths), np.sin(lengths)], axis=1) * SCALE
"""


def test_the_command_prints_every_verdict_and_its_exit_code_says_whether_all_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unite_bench.cli import checking  # noqa: F401  (registers the command)

    monkeypatch.syspath_prepend(str(tmp_path))
    good, bad = tmp_path / "good_model.py", tmp_path / "bad_model.py"
    good.write_text(MODEL.replace("SCALE", "1"))
    bad.write_text(MODEL.replace("SCALE", "2"))
    done = CliRunner().invoke(cli.app, ["check", str(good)])
    assert done.exit_code == 0, done.output
    assert "0 failed" in done.output
    done = CliRunner().invoke(cli.app, ["check", str(bad), "--only", "normalised", "--only", "spawn", "--json"])
    assert done.exit_code == 1
    said = [json.loads(line) for line in done.output.splitlines()]
    assert [(v["check"], v["status"]) for v in said] == [("normalised", "failed"), ("spawn", "passed")]
    assert "length 2" in said[0]["said"]


def test_an_oracle_cannot_be_checked() -> None:
    with pytest.raises(UsageError, match="only within a task"):
        list(run_checks(registry.load_embedder("oracle")))
