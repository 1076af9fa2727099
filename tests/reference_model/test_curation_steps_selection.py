"""Selection: greedy choices are those of brute force, clusters are all covered, and better than by chance."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from curation_pools import context_in, pool_of, row, saved, text
from pydantic import ValidationError

from reference_model.curation.pool import Pool
from reference_model.curation.steps.greedy import coverage, facility_location, k_centre, similarities
from reference_model.curation.steps.selection import Settings, run
from unite_bench.errors import DataError

EMBEDDER = '''
import numpy as np
from unite_bench import Embedder, EmbedderCard

class Angles(Embedder):
    """A text is its angle in degrees."""
    card = EmbedderCard(name="angles", modalities={"text"}, dim=2, role_matters=False)

    def embed(self, items, role):
        angles = np.radians([float(item.text) for item in items])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)
'''
CLUSTERS = (0, 90, 180, 270)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Four clusters of 100, 20, 5 and 3 rows."""
    (tmp_path / "angles.py").write_text(EMBEDDER, encoding="utf-8")
    rng = np.random.default_rng(0)
    angles = [
        centre + rng.normal(0, 2) for centre, size in zip(CLUSTERS, (100, 20, 5, 3), strict=True) for _ in range(size)
    ]
    rows = [row(n, text("0"), text(f"{angle}")) for n, angle in enumerate(rng.permutation(angles))]
    return pool_of(rows, tmp_path, block=50)


def everything(pool: Pool) -> np.ndarray:
    return np.arange(len(pool))


def unit(count: int, dim: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)


def value(similarity: np.ndarray, chosen: tuple[int, ...]) -> float:
    return float(similarity[:, list(chosen)].max(axis=1).astype(np.float64).sum())


def test_lazy_greedy_is_greedy_and_near_the_best() -> None:
    for seed in range(4):
        similarity = similarities(unit(14, 3, seed), unit(14, 3, seed))
        chosen = facility_location(similarity, 4).tolist()
        greedy: list[int] = []
        for _ in range(4):
            greedy.append(
                max((c for c in range(14) if c not in greedy), key=lambda c: (value(similarity, (*greedy, c)), -c))
            )
        assert chosen == greedy
        best = max(value(similarity, four) for four in combinations(range(14), 4))
        assert value(similarity, tuple(chosen)) + 14 >= (1 - 1 / np.e) * (best + 14)


def test_the_first_of_equal_rows_is_chosen() -> None:
    vectors = np.repeat(unit(5, 3), 3, axis=0)
    chosen = facility_location(similarities(vectors, vectors), 5)
    assert sorted(chosen.tolist()) == [0, 3, 6, 9, 12]
    assert sorted(k_centre(similarities(vectors, vectors), 5).tolist()) == [0, 3, 6, 9, 12]
    for rule in (facility_location, k_centre):
        assert len(set(rule(similarities(vectors, vectors), 9).tolist())) == 9


def test_farthest_first_is_within_twice_the_best_radius() -> None:
    def angle(similarity: np.ndarray, chosen: tuple[int, ...]) -> float:
        return float(np.arccos(np.clip(similarity[:, list(chosen)].max(axis=1), -1, 1)).max())

    for seed in range(4):
        similarity = similarities(unit(14, 3, seed), unit(14, 3, seed))
        best = min(angle(similarity, three) for three in combinations(range(14), 3))
        assert angle(similarity, tuple(k_centre(similarity, 3).tolist())) <= 2 * best + 1e-6


def test_coverage_is_the_nearest_chosen_row() -> None:
    vectors = unit(40, 4)
    similarity = similarities(vectors, vectors)
    mean, radius = coverage(vectors, np.array([3, 9]), np.arange(40))
    nearest = similarity[:, [3, 9]].max(axis=1)
    assert mean == pytest.approx(nearest.mean()) and radius == pytest.approx(1 - nearest.min())


@pytest.mark.parametrize("method", ["facility-location", "k-centre"])
def test_every_cluster_is_covered_where_chance_misses_some(pool: Pool, tmp_path: Path, method: str) -> None:
    settings = Settings(embedder="angles.py:Angles", method=method, side="target", budget=8)
    decision = run(pool, everything(pool), settings, context_in(tmp_path))
    angles = np.array([float(item.text) for item in pool.items(everything(pool)[decision.keep], "target")])
    assert set((np.rint(angles / 90).astype(int) * 90 % 360).tolist()) == set(CLUSTERS)
    figures = decision.facts["groups"]["text>text"]
    assert decision.keep.sum() == figures["kept"] == 8
    assert figures["radius"] < 0.01 < figures["random radius"][1]
    assert figures["nearest"] > figures["random nearest"][1]


def test_parts_share_the_budget_and_equal_runs_choose_equal_rows(pool: Pool, tmp_path: Path) -> None:
    settings = Settings(embedder="angles.py:Angles", share=0.25, part=10)
    first = run(pool, everything(pool), settings, context_in(tmp_path))
    again = run(pool, everything(pool), settings, context_in(tmp_path))
    assert first.keep.sum() == 32 and (first.keep == again.keep).all() and first.facts == again.facts
    other = run(pool, everything(pool), settings, context_in(tmp_path, seed=1))
    assert other.keep.sum() == 32 and (other.keep != first.keep).any()
    alive = np.arange(5, 60)
    some = run(pool, alive, Settings(embedder="angles.py:Angles", budget=900), context_in(tmp_path))
    assert some.keep.all() and some.keep.size == 55


def test_groups_get_their_share_of_the_budget(tmp_path: Path) -> None:
    (tmp_path / "angles.py").write_text(EMBEDDER, encoding="utf-8")
    rows = [row(n, text("0"), text(str(n)), source="ab"[n >= 12]) for n in range(16)]
    pool = pool_of(rows, tmp_path)
    settings = Settings(embedder="angles.py:Angles", budget=8, within="source")
    decision = run(pool, everything(pool), settings, context_in(tmp_path))
    assert decision.keep[:12].sum() == 6 and decision.keep[12:].sum() == 2


def test_what_has_no_vector_is_never_lost_in_silence(pool: Pool, tmp_path: Path) -> None:
    picture = saved(np.full((9, 9, 3), 50, np.uint8), tmp_path / "a.png")
    mixed = pool_of([row(0, text("1"), text("2")), row(1, text("3"), picture)], tmp_path, block=2)
    with pytest.raises(DataError, match=r"angles.py:Angles does not declare the modality of 1 items"):
        run(mixed, everything(mixed), Settings(embedder="angles.py:Angles", budget=1), context_in(tmp_path))
    (tmp_path / "a.png").write_bytes(b"no picture")
    other = saved(np.full((9, 9, 3), 80, np.uint8), tmp_path / "b.png")
    broken = pool_of([row(0, text("1"), other), row(1, text("3"), picture)], tmp_path, block=3)
    settings = Settings(embedder="pixels", side="target", budget=2)
    decision = run(broken, everything(broken), settings, context_in(tmp_path))
    assert [decision.names[reason] for reason in decision.reasons] == ["kept", "cannot be encoded"]
    assert len(decision.facts["messages"]) == 1 and decision.facts["messages"][0].startswith("s:1: ")


def test_wrong_settings_are_errors() -> None:
    for wrong in ({}, {"budget": 5, "share": 0.5}):
        with pytest.raises(ValidationError, match="exactly one of"):
            Settings(**wrong)
