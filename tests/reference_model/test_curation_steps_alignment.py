"""Alignment: planted mismatches score low and go; each pair of modalities has its own scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from curation_pools import context_in, pool_of, row, saved, text
from pydantic import ValidationError

from reference_model.curation.pool import Pool
from reference_model.curation.steps.alignment import Settings, cosines, ranked_weights, run
from reference_model.curation.steps.groups import groups_of
from reference_model.curation.steps.near_vectors import near_vector_keys
from unite_bench.errors import DataError, UsageError

WORDS = ("lighthouse", "umbrella", "telescope", "cathedral", "waterfall", "harmonica", "skyscraper", "marmalade")
WRONG = [3, 5]


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Texts with texts that repeat their words, but for rows 3 and 5, whose targets are swapped; and a picture."""
    targets = [f"{word} {word} seen" for word in WORDS]
    targets[3], targets[5] = targets[5], targets[3]
    rows = [row(n, text(f"{word} {word}"), text(targets[n])) for n, word in enumerate(WORDS)]
    picture = saved(np.full((20, 20, 3), 90, np.uint8), tmp_path / "a.png")
    return pool_of([*rows, row(8, text("grey"), picture)], tmp_path)


def everything(pool: Pool) -> np.ndarray:
    return np.arange(len(pool))


def test_mismatched_pairs_go_by_threshold_or_quantile(pool: Pool, tmp_path: Path) -> None:
    for rule in ({"threshold": 0.3}, {"threshold": {"text>text": 0.3}}, {"quantile": 0.25}):
        decision = run(pool, everything(pool), Settings(embedder="hashed-text", **rule), context_in(tmp_path))
        assert np.flatnonzero(~decision.keep).tolist() == WRONG
        assert decision.names[decision.reasons[3]] == "query and target hardly fit"
        assert set(decision.examples["query and target hardly fit"]) == set(WRONG)
    figures = decision.facts["pairs"]["text>text"]
    assert figures["rows"] == figures["judged"] == 8
    assert figures["apart from shuffled"] > 0.8
    assert decision.weights is None


def test_rows_that_the_embedder_cannot_judge_are_counted_and_kept_unless_asked(pool: Pool, tmp_path: Path) -> None:
    settings = Settings(embedder="hashed-text", threshold=0.3)
    decision = run(pool, everything(pool), settings, context_in(tmp_path))
    assert decision.keep[8] and decision.facts["not declared"] == 1
    assert decision.facts["pairs"]["text>image"] == {"rows": 1, "judged": 0}
    settings = settings.model_copy(update={"unjudged": "drop"})
    decision = run(pool, everything(pool), settings, context_in(tmp_path))
    assert decision.names[decision.reasons[8]] == "not judged"


def test_a_medium_that_cannot_be_encoded_is_a_reason_of_its_own(tmp_path: Path) -> None:
    good = [saved(np.full((9, 9, 3), 9 * n, np.uint8), tmp_path / f"{n}.png") for n in range(1, 4)]
    broken = saved(np.zeros((9, 9, 3), np.uint8), tmp_path / "broken.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    pool = pool_of([row(0, good[0], good[1]), row(1, good[2], broken)], tmp_path, block=2)
    decision = run(pool, everything(pool), Settings(embedder="pixels", threshold=-1.0), context_in(tmp_path))
    assert [decision.names[reason] for reason in decision.reasons] == ["kept", "cannot be encoded"]
    assert decision.facts["failed"] == 1
    assert len(decision.facts["messages"]) == 1 and decision.facts["messages"][0].startswith("s:1: ")


def test_where_nothing_could_be_encoded_the_reason_is_told(tmp_path: Path) -> None:
    broken = saved(np.zeros((9, 9, 3), np.uint8), tmp_path / "broken.png")
    pool = pool_of([row(0, broken, broken), row(1, broken, broken)], tmp_path, block=2)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    said = r"pixels failed on 2 of them, first on row s:0: .*not a readable picture"
    with pytest.raises(DataError, match=f"alignment: no row can be judged: {said}"):
        run(pool, everything(pool), Settings(embedder="pixels", threshold=0.1), context_in(tmp_path))
    with pytest.raises(DataError, match=f"near: no query has a vector: {said}"):
        near_vector_keys(pool, everything(pool), "query", "pixels", 0.9, context_in(tmp_path))


def test_weights_rise_with_the_rank_within_a_pair_of_modalities(pool: Pool, tmp_path: Path) -> None:
    decision = run(pool, everything(pool), Settings(embedder="hashed-text", floor=0.2), context_in(tmp_path))
    assert decision.keep.all() and decision.weights is not None
    assert decision.weights[WRONG].max() < decision.weights[[0, 1, 2, 4, 6, 7]].min()
    assert decision.weights[8] == 1.0  # not judged
    assert decision.weights.min() / decision.weights[:8].max() == pytest.approx(0.2)
    assert decision.weights[:8].mean() == pytest.approx(1.0), "no pair of modalities gains on what is not judged"
    assert ranked_weights(np.array([0.1, 0.9, 0.5, 0.5]), 0.0).tolist() == pytest.approx([0, 2, 1, 1])
    assert ranked_weights(np.array([0.1, 0.9]), 0.5).tolist() == pytest.approx([2 / 3, 4 / 3])
    assert ranked_weights(np.array([0.4]), 0.3).tolist() == [1.0]


def test_true_pairs_stand_apart_from_shuffled_ones_as_far_as_they_do(tmp_path: Path) -> None:
    """Of eight rows, six equal their targets, and two have those of each other: by hand, against a cycle of the rows."""
    words = [f"{letter}{letter}{letter}{letter}" for letter in "abcdefgh"]
    targets = [*words[:6], words[7], words[6]]
    pool = pool_of([row(n, text(q), text(t)) for n, (q, t) in enumerate(zip(words, targets, strict=True))], tmp_path)
    facts = run(pool, everything(pool), Settings(embedder="hashed-text", quantile=0.0), context_in(tmp_path)).facts
    order = context_in(tmp_path).random("alignment", "text>text").permutation(8)
    shuffled = [words[i] == targets[j] for i, j in zip(order, np.roll(order, 1), strict=True)]
    own = [words[i] == targets[i] for i in order]
    above = np.mean([0.5 * (a == b) + (a > b) for a in own for b in shuffled])
    assert facts["pairs"]["text>text"]["apart from shuffled"] == pytest.approx(above, abs=1e-4) and above > 0.6


def test_scores_are_exact_cosines_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 50, 16)).astype(np.float32)
    second[7] = np.nan
    whole = cosines(first, second)
    expected = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    assert np.isnan(whole[7]) and np.allclose(np.delete(whole, 7), np.delete(expected, 7), atol=1e-6)
    monkeypatch.setattr("reference_model.curation.steps.alignment.BLOCK", 3)
    assert np.array_equal(whole, cosines(first, second), equal_nan=True)


def test_an_equal_run_gives_equal_bits_and_encodes_nothing_again(pool: Pool, tmp_path: Path, monkeypatch) -> None:
    settings = Settings(embedder="hashed-text", quantile=0.25)
    first = run(pool, everything(pool), settings, context_in(tmp_path))
    monkeypatch.setattr("unite_bench.embedders.hashed_text.HashedTextEmbedder.embed", None)
    again = run(pool, everything(pool), settings, context_in(tmp_path))
    assert (first.reasons == again.reasons).all() and first.facts == again.facts


def test_wrong_settings_are_errors(pool: Pool, tmp_path: Path) -> None:
    for wrong in ({}, {"threshold": 0.2, "floor": 0.1}):
        with pytest.raises(ValidationError, match="exactly one of"):
            Settings(**wrong)
    with pytest.raises(ValidationError, match="quantile lies between 0 and 1"):
        Settings(quantile={"text>image": 1.5})
    settings = Settings(embedder="hashed-text", threshold={"text>video": 0.2})
    with pytest.raises(DataError, match="no row is of text>video; the pool has text>image, text>text"):
        run(pool, everything(pool), settings, context_in(tmp_path))
    with pytest.raises(DataError, match="no row can be judged: hashed-text does not declare their modalities; name"):
        run(pool, np.array([8]), Settings(embedder="hashed-text", threshold=0.1), context_in(tmp_path))
    with pytest.raises(UsageError, match="unknown embedder 'referense'"):
        run(pool, everything(pool), Settings(embedder="referense", threshold=0.1), context_in(tmp_path))


def test_groups_have_sorted_names_and_follow_the_rows(pool: Pool) -> None:
    codes, names = groups_of(pool, np.array([0, 5, 8]), "modality_pair")
    assert names == ("text>image", "text>text") and codes.tolist() == [1, 1, 0]
    assert groups_of(pool, np.zeros(0, np.int64), "source")[1] == ()
