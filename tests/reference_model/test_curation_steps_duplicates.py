"""Duplicates: planted ones go, what is only alike stays, and nothing depends on how the pool is read."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curation_pools import compressed, context_in, pool_of, row, saved, text

from reference_model.curation.pool import Pool
from reference_model.curation.step import Decision
from reference_model.curation.steps import pictures, texts
from reference_model.curation.steps.bands import Buckets, near_leaders, rows_of_a_band
from reference_model.curation.steps.duplicates import Near, Settings, run
from reference_model.curation.steps.keys import joined, keys_of, leaders, mixed
from unite_bench.errors import MediaError
from unite_bench.items import File, Image, Item, Text
from unite_bench.sources.scenes.bases import still_base
from unite_bench.sources.scenes.edits import sample_edit
from unite_bench.sources.scenes.render import render_image

DRAWN = """
import numpy as np
from unite_bench import Embedder, EmbedderCard

class Drawn(Embedder):
    card = EmbedderCard(name="drawn", modalities={"text", "image"}, dim=16, role_matters=False)

    def embed(self, items, role):
        return np.stack([vector(item.text or "0") for item in items])

def vector(number):
    centre = np.random.default_rng(int(number) // 6).normal(size=16) + 1.0
    return (centre + np.random.default_rng(1000 + int(number)).normal(0, 0.3, size=16)).astype(np.float32)
"""
SCENES = still_base(1_400_005, "train", 12)


def vector(number: str) -> np.ndarray:
    held: dict = {}
    exec(DRAWN, held)
    return held["vector"](number)


def everything(pool: Pool) -> np.ndarray:
    return np.arange(len(pool))


def kept(decision: Decision) -> list[int]:
    return np.flatnonzero(decision.keep).tolist()


@pytest.fixture
def photos(tmp_path: Path) -> Pool:
    """Six scenes with captions; then a byte copy of row 0, a compressed copy of row 1 whose caption shouts, row 2 with
    another caption, and row 3 with one thing changed under its old caption."""
    shown = [render_image(scene, 168) for scene in SCENES[:6]]
    captions = [f"a drawing of scene number {n}, on squared paper, with several things in it" for n in range(6)]
    rows = [row(n, text(captions[n]), saved(shown[n], tmp_path / f"{n}.png")) for n in range(6)]
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    edited = render_image(sample_edit(SCENES[3], 3, "train")[1], 168)
    rows += [
        row(6, text(captions[0]), Item((Image(File(tmp_path / "copy.png")),))),
        row(7, text(captions[1].upper() + "!"), saved(compressed(shown[1], 60, 0.7), tmp_path / "small.png")),
        row(8, text("quite another caption of the same picture"), rows[2].target),
        row(9, text(captions[3]), saved(edited, tmp_path / "edited.png")),
    ]
    return pool_of(rows, tmp_path)


def test_exact_duplicates_are_equal_content_under_any_name(photos: Pool, tmp_path: Path) -> None:
    decision = run(photos, everything(photos), Settings(), context_in(tmp_path))
    assert kept(decision) == [0, 1, 2, 3, 4, 5, 7, 8, 9]
    assert decision.partners == {6: 0}
    assert decision.examples == {"equal to an earlier row": (6,)}
    assert decision.facts["exact"] == 1


def test_the_sides_that_must_be_equal_are_a_setting(photos: Pool, tmp_path: Path) -> None:
    decision = run(photos, everything(photos), Settings(equal="target"), context_in(tmp_path))
    assert kept(decision) == [0, 1, 2, 3, 4, 5, 7, 9]
    decision = run(photos, everything(photos), Settings(equal="query"), context_in(tmp_path))
    assert kept(decision) == [0, 1, 2, 3, 4, 5, 7, 8]


def test_near_duplicates_are_compressed_copies_and_not_edits(photos: Pool, tmp_path: Path) -> None:
    decision = run(photos, everything(photos), Settings(near=Near()), context_in(tmp_path))
    assert kept(decision) == [0, 1, 2, 3, 4, 5, 8, 9]
    assert decision.names[decision.reasons[7]] == "nearly equal to an earlier row"
    assert decision.partners == {6: 0, 7: 1}
    without = run(photos, everything(photos), Settings(near=Near(pictures=None)), context_in(tmp_path))
    assert 7 in kept(without)
    strict = run(photos, everything(photos), Settings(near=Near(pictures=0)), context_in(tmp_path))
    assert 7 in kept(strict)


def test_texts_below_the_threshold_stay_though_their_signatures_meet(tmp_path: Path) -> None:
    shop = "a pair of red running shoes in the window of a small shop"  # 0.91 and 0.89 from the first, sharing bands
    rows = [row(n, text(f"{shop} at {end}"), text("same")) for n, end in enumerate(["noon", "noon today", "night"])]
    pool = pool_of(rows, tmp_path)
    assert kept(run(pool, everything(pool), Settings(near=Near()), context_in(tmp_path))) == [0, 2]
    assert kept(run(pool, everything(pool), Settings(near=Near(texts=0.85)), context_in(tmp_path))) == [0]


def test_only_living_rows_count_and_the_first_of_them_stays(photos: Pool, tmp_path: Path) -> None:
    alive = np.array([2, 6, 7, 8])
    assert run(photos, alive, Settings(near=Near()), context_in(tmp_path)).keep.all()


def test_an_instruction_makes_another_row(tmp_path: Path) -> None:
    rows = [row(n, text("blue", ask), text("sky")) for n, ask in enumerate([None, "a", "b", "a", None])]
    pool = pool_of(rows, tmp_path)
    for settings in (Settings(), Settings(near=Near())):
        assert kept(run(pool, everything(pool), settings, context_in(tmp_path))) == [0, 1, 2]


def test_order_and_kind_of_parts_make_another_row(tmp_path: Path) -> None:
    target = text("same")
    queries = [("a", "b"), ("b", "a"), ("a",), ("a", "b")]
    rows = [row(n, Item(tuple(map(Text, words))), target) for n, words in enumerate(queries)]
    pool = pool_of(rows, tmp_path)
    assert kept(run(pool, everything(pool), Settings(near=Near()), context_in(tmp_path))) == [0, 1, 2]


def test_a_decision_is_the_same_however_the_pool_is_cut(photos: Pool, tmp_path: Path, monkeypatch) -> None:
    alive = everything(photos)
    whole = run(photos, alive, Settings(near=Near()), context_in(tmp_path))
    for module, name in ((pictures, "ROWS_AT_ONCE"),):
        monkeypatch.setattr(module, name, 1)
    monkeypatch.setattr("reference_model.curation.steps.parts.BLOCK", 3)
    monkeypatch.setattr("reference_model.curation.steps.near.TEXTS_AT_ONCE", 2)
    monkeypatch.setattr("reference_model.curation.steps.bands.PAIRS_AT_ONCE", 1)
    again = run(photos, alive, Settings(near=Near()), replace(context_in(tmp_path), work=tmp_path / "other"))
    assert (whole.reasons == again.reasons).all()
    assert whole.facts == again.facts and whole.partners == again.partners


def test_vectors_of_an_embedder_decide_where_one_is_named(photos: Pool, tmp_path: Path) -> None:
    settings = Settings(equal="target", near=Near(embedder="pixels", cosine=0.999))
    decision = run(photos, everything(photos), settings, context_in(tmp_path))
    assert 7 not in kept(decision) and set(range(6)) <= set(kept(decision))
    assert decision.facts["sides"]["target"]["with a vector"] == 8


def test_vectors_merge_what_brute_force_merges_and_never_two_modalities(tmp_path: Path) -> None:
    """A text's number is its vector: 30 clusters of 6, so loose that some of a cluster are near and some are not."""
    (tmp_path / "drawn.py").write_text(DRAWN, encoding="utf-8")
    picture = saved(np.full((8, 8, 3), 30, np.uint8), tmp_path / "a.png")
    rows = [row(n, text("same"), text(str(n))) for n in range(180)] + [row(180, text("same"), picture)]
    pool = pool_of(rows, tmp_path, block=64)
    settings = Settings(equal="target", near=Near(embedder="drawn.py:Drawn", cosine=0.97))
    decision = run(pool, everything(pool), settings, context_in(tmp_path))
    unit = np.stack([vector(str(n)) for n in range(180)])
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    expected = one_by_one(unit @ unit.T >= 0.97) == np.arange(180)
    assert 40 < expected.sum() < 170
    assert decision.keep.tolist() == [*expected.tolist(), True]  # the picture has the vector of text 0


def test_a_medium_that_is_missing_names_its_row(photos: Pool, tmp_path: Path) -> None:
    (tmp_path / "4.png").unlink()
    with pytest.raises(MediaError, match=r"row s:4.*validity"):
        run(photos, everything(photos), Settings(near=Near()), context_in(tmp_path))


def test_leaders_are_the_first_of_their_equals() -> None:
    values = np.random.default_rng(0).integers(0, 40, 500)
    keys = np.column_stack([mixed(values % 3), mixed(values)])
    first = {value: int(np.flatnonzero(values == value)[0]) for value in set(values.tolist())}
    assert leaders(keys).tolist() == [first[value] for value in values.tolist()]
    ab = keys_of(["ab" * 32, "cd" * 32])
    assert (joined(ab, ab[::-1]) != joined(ab[::-1], ab)).all()


def one_by_one(near: np.ndarray) -> np.ndarray:
    """Row by row, the first leader that it is near to, or itself."""
    found = np.arange(len(near))
    for at in range(len(near)):
        found[at] = next((i for i in range(at) if found[i] == i and near[at, i]), at)
    return found


def test_minhash_finds_what_brute_force_finds() -> None:
    rng = np.random.default_rng(3)
    words = [f"word{n}" for n in range(400)]
    base = [" ".join(rng.choice(words, 14)) for _ in range(150)]
    near = [" ".join([*one.split()[:-1], "changed"]) for one in base[:50]]
    held = [texts.normalised(one) for one in base + near]
    sets = [texts.shingles(one) for one in held]
    similar = np.array([[texts.jaccard(a, b) for a in sets] for b in sets])
    for threshold in (0.8, 0.5):
        rows, _ = texts.rows_at(threshold)
        leader, cut = near_leaders(texts.bands_of(held, rows), lambda a, b, t=threshold: similar[a, b] >= t, 200)
        expected = one_by_one(similar >= threshold)
        assert (leader == np.arange(200)).tolist() == (expected == np.arange(200)).tolist() and cut == 0
        assert (expected != np.arange(200)).sum() >= 45
        assert (np.concatenate([texts.bands_of([one], rows) for one in held]) == texts.bands_of(held, rows)).all()


@pytest.mark.parametrize("threshold", [0.3, 0.45, 0.6, 0.75, 0.9])
def test_texts_just_within_a_threshold_meet_whatever_it_is(threshold: float) -> None:
    """Pairs of texts of 400 runs in common and as few others as the similarity asks for."""
    rng = np.random.default_rng(5)
    letters, met = np.array(list("abcdefghijklmnopqrstuvwxyz")), 0
    rows, promised = texts.rows_at(threshold)
    for _ in range(300):
        own = round(400 * (1 / threshold - 1) / 2)
        same, *ends = ("".join(rng.choice(letters, size)) for size in (404, own, own))
        pair = [same + end for end in ends]
        assert texts.jaccard(*map(texts.shingles, pair)) == pytest.approx(threshold, abs=0.01)
        first, second = texts.bands_of(pair, rows)
        met += bool((first == second).any())
    assert promised > 0.999 and met >= 298


def test_bands_of_signs_are_as_high_as_the_misses_allow() -> None:
    for agreement in (0.99, 0.9, 0.75, 0.6):
        rows, found = rows_of_a_band(agreement, 288, 12)
        assert found == pytest.approx(1 - (1 - agreement**rows) ** (288 // rows)) and 1 - found <= 4e-4
        higher = next((n for n in range(rows + 1, 13) if 288 % n == 0), None)
        assert higher is None or (1 - agreement**higher) ** (288 // higher) > 4e-4


def test_similar_texts_share_bands_and_others_hardly_do() -> None:
    bands = texts.bands_of(
        ["the quick brown fox jumps", "the quick brown fox jumps!", "completely different words here"], 5
    )
    assert (bands[0] == bands[1]).any() and not (bands[0] == bands[2]).any()
    assert texts.normalised("  The QUICK,\n fox! ") == "the quick fox" and texts.normalised("?!") == "?!"


def test_letters_with_marks_and_symbols_are_told_apart() -> None:
    boy, girl = "लड़का दौड़ता है", "लड़की दौड़ती है"
    assert texts.normalised(boy) != texts.normalised(girl)
    assert len({texts.normalised(name) for name in ("C++", "C#", "C", "x < 3", "x > 3", "x 3")}) == 6
    assert texts.normalised("Cafe\u0301!") == texts.normalised("CAF\u00c9")


def test_nobody_is_further_from_the_leader_than_the_threshold() -> None:
    chain = np.abs(np.subtract.outer(np.arange(4), np.arange(4))) <= 1
    leader, _ = near_leaders(np.zeros((4, 1), np.uint64), lambda first, second: chain[first, second])
    assert leader.tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize("seed", range(5))
def test_leaders_are_those_of_comparing_row_by_row(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points on a line, in buckets that overlap at random: followers of a follower are looked at again."""
    monkeypatch.setattr("reference_model.curation.steps.bands.ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(seed)
    places, bands = rng.uniform(0, 12, 150), rng.integers(0, 4, (150, 3)).astype(np.uint64)
    near = np.abs(np.subtract.outer(places, places)) < 0.5
    near &= (bands[:, None] == bands[None]).any(axis=2)
    leader, cut = near_leaders(bands, lambda first, second: near[first, second])
    assert (leader == np.arange(150)).tolist() == (one_by_one(near) == np.arange(150)).tolist()
    assert near[leader, np.arange(150)].all() and cut == 0


def test_a_crowded_bucket_falls_to_its_leader_and_is_never_held_as_a_list_of_pairs() -> None:
    bands = np.zeros((30_000, 3), dtype=np.uint64)
    seen: list[int] = []

    def verify(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        seen.append(len(first))
        return np.ones(len(first), dtype=bool)

    tracemalloc.start()
    leader, cut = near_leaders(bands, verify)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not leader.any() and cut == 0 and sum(seen) < 30_000
    assert peak < 200 * len(bands)


def test_what_a_crowded_bucket_leaves_out_is_counted() -> None:
    bands = np.zeros((100, 1), dtype=np.uint64)
    leader, cut = near_leaders(bands, lambda first, second: np.zeros(len(first), dtype=bool), window=10)
    assert leader.tolist() == list(range(100)) and cut == 90
    found, left_out = Buckets(bands, window=10).candidates(bands[:2])
    assert len(found) == 20 and left_out == 2


def test_copies_from_one_template_are_one(tmp_path: Path) -> None:
    """Hundreds of texts that differ by a letter fall to the first of them, however many share its buckets."""
    words = "a template of a product with a long description that hardly ever changes at all, number "
    rows = [row(n, text(words + chr(97 + n % 26) + chr(97 + n // 26)), text("same")) for n in range(400)]
    pool = pool_of(rows, tmp_path)
    assert kept(run(pool, everything(pool), Settings(near=Near()), context_in(tmp_path))) == [0]


def test_looking_up_finds_what_comparing_all_with_all_finds() -> None:
    rng = np.random.default_rng(1)
    held, asked = (rng.integers(0, 30, (count, 3)).astype(np.uint64) for count in (50, 20))
    expected = {(i, j) for i in range(20) for j in range(50) if (asked[i] == held[j]).any()}
    found, cut = Buckets(held).candidates(asked)
    assert set(map(tuple, found.tolist())) == expected and cut == 0
