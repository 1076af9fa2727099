"""The embedded suite under embedders whose scores are known beforehand: chance for `constant` and `random`, the maximum for
`oracle`. If these fail, a task or the scoring gives something away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from unite_bench import media
from unite_bench.embedders.base import Embedder
from unite_bench.embedders.baselines import ConstantEmbedder, RandomEmbedder
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.evaluation import evaluate
from unite_bench.items import Image, Item, Text, Video
from unite_bench.metrics.measures import per_query
from unite_bench.ragged import Ragged
from unite_bench.rank.counts import count
from unite_bench.results import Result
from unite_bench.sources.build import TaskData, build
from unite_bench.spec.catalogue import load_suite, load_task, tasks_of
from unite_bench.spec.measures import Measure, parse_measure

TASKS = [task.name for task in tasks_of(load_suite("embedded"))]
LONG = 200  # a text of more characters is a long text
QUARTETS = {"text_score": 6 / 24, "image_score": 6 / 24, "group_score": 4 / 24, "pairwise": 12 / 24}  # of 4! orders


@cache
def data_of(name: str) -> TaskData:
    return build(load_task(name))


def scored(embedder: Embedder, name: str) -> Result:
    return evaluate(embedder, load_task(name))


def chance(measure: Measure, pool: int, grades: list[float]) -> float:
    """Expected value for one query under a random order of its pool, from sums over exact integers."""
    k, p = measure.k or 0, len(grades)
    if measure.name == "all_first":
        return 1 / math.comb(pool, p)
    if measure.name in ("hit", "content"):
        return 1 - math.comb(pool - p, k) / math.comb(pool, k) if k <= pool else 1.0
    if measure.name == "recall":
        return min(k, pool) / pool
    if measure.name == "precision":
        return min(k, pool) * p / pool / k
    first = [math.comb(pool - j, p - 1) / math.comb(pool, p) for j in range(1, pool - p + 2)]
    if measure.name == "mrr":
        return sum(chance / j for j, chance in enumerate(first, start=1))
    if measure.name == "median_rank":
        return sum(chance * j for j, chance in enumerate(first, start=1))
    if measure.name == "ndcg":
        discounts = [1 / math.log2(j + 1) for j in range(1, min(k, pool) + 1)]
        best = sorted(grades, reverse=True)[:k]
        return sum(grades) / pool * sum(discounts) / sum(g / math.log2(j + 1) for j, g in enumerate(best, start=1))
    raise NotImplementedError(measure.name)


def expected_chance(measure: Measure, data: TaskData) -> float:
    if measure.name == "modality":
        assert data.target_modality is not None
        pools = data.pools or [range(len(data.candidates))] * len(data.queries)
        forms = [[data.candidates[i].modality for i in pool] for pool in pools]
        return float(np.mean([f.count(form) / len(f) for f, form in zip(forms, data.target_modality, strict=True)]))
    if measure.name in QUARTETS:
        return QUARTETS[measure.name]
    values = []
    for n in range(len(data.queries)):
        pool = len(data.pools[n]) if data.pools is not None else len(data.candidates)
        pool -= len(data.excluded[n])
        if measure.name == "content":  # hit@k among the candidates of the form that is asked for
            assert data.target_modality is not None
            pool = [c.modality for c in data.candidates].count(data.target_modality[n])
        values.append(chance(measure, pool, data.qrels.values_of(n).tolist()))
    return float(np.median(values) if measure.name == "median_rank" else np.mean(values))


@pytest.mark.parametrize("name", TASKS)
def test_constant_scores_chance_and_the_record_says_so(name: str) -> None:
    result = scored(ConstantEmbedder(), name)
    for text, measured in result.record["measures"].items():
        expected = expected_chance(parse_measure(text), data_of(name))
        assert measured["value"] == pytest.approx(expected, abs=1e-9), text
        assert measured["chance"] == pytest.approx(expected, abs=1e-9), text
    assert any("collapsed" in warning for warning in result.record["warnings"])


@pytest.mark.parametrize("name", TASKS)
def test_oracle_reaches_the_maximum_of_every_measure(name: str) -> None:
    data = data_of(name)
    result = scored(OracleEmbedder(), name)
    positives = data.qrels.counts
    for text, measured in result.record["measures"].items():
        measure = parse_measure(text)
        found = np.minimum(positives, measure.k or 1)
        best = {"recall": found / positives, "precision": found / (measure.k or 1)}
        maximum = float(np.mean(best[measure.name])) if measure.name in best else 1.0
        if name == "scenes-form-preference":
            maximum = 0.5  # both forms of a pair are right, and who knows that leans to neither
        assert measured["value"] == pytest.approx(maximum, abs=1e-12), text


def test_random_over_twenty_seeds_is_within_three_standard_errors_of_chance() -> None:
    """Every task whose primary measure ranks; the standard error is over the seeds, which are fixed."""
    for name in TASKS:
        data, primary = data_of(name), parse_measure(load_task(name).primary)
        if primary.name not in ("hit", "mrr", "ndcg", "recall"):
            continue
        values = [float(np.mean(per_query(primary, random_counts(data, seed)))) for seed in range(20)]
        error = np.std(values, ddof=1) / math.sqrt(len(values))
        distance = abs(float(np.mean(values)) - expected_chance(primary, data)) / error
        assert distance < 3, (name, distance)


def random_counts(data: TaskData, seed: int):  # type: ignore[no-untyped-def]
    model = RandomEmbedder(str(seed))
    queries = model.embed([media.resolve(q) for q in data.queries], "query")
    candidates = model.embed([media.resolve(c) for c in data.candidates], "candidate")
    return count(queries, candidates, data.qrels, data.pools, data.excluded)


def test_renaming_ids_and_permuting_rows_changes_no_bit() -> None:
    data = data_of("scenes-t2i")
    rng = np.random.default_rng(5)
    order = rng.permutation(len(data.candidates))
    new = np.argsort(order)
    moved = Ragged.of([new[row] for row in (data.qrels[n] for n in range(len(data.queries)))])
    model = RandomEmbedder("3")
    renamed = [Item(c.parts, c.instruction, f"other {n}") for n, c in enumerate(data.candidates)]
    before = count(model.embed(data.queries, "query"), model.embed(data.candidates, "candidate"), data.qrels)
    after = count(
        model.embed(data.queries, "query"),
        model.embed([renamed[i] for i in order], "candidate"),
        moved,
        candidate_block=7,
    )
    for name in ("hit@1", "hit@10", "mrr", "map@10", "ndcg@10", "median_rank"):
        assert per_query(parse_measure(name), before).tobytes() == per_query(parse_measure(name), after).tobytes()


def parts_of(name: str) -> Iterator[tuple[str, Image | Text | Video]]:
    data = data_of(name)
    for item in (*data.queries, *data.candidates):
        for part in media.resolve(item).parts:
            yield (item.instruction or "") if isinstance(part, Text) else "", part
        if item.instruction:
            yield item.instruction, Text(item.instruction)


def test_the_embedded_suite_is_small_enough_to_encode_in_minutes() -> None:
    """Distinct parts over all tasks, a text counted once for every instruction it stands under."""
    found: dict[str, set[tuple[str, str]]] = {"short": set(), "long": set(), "image": set(), "video": set()}
    for name in TASKS:
        for instruction, part in parts_of(name):
            kind = part.kind
            if isinstance(part, Text):
                kind = "long" if len(part.text) > LONG else "short"  # type: ignore[assignment]
            found[kind].add((part.digest, instruction))
    counts = {kind: len(parts) for kind, parts in found.items()}
    assert counts["short"] <= 8000 and counts["long"] <= 1000, counts
    assert counts["image"] <= 5000 and counts["video"] <= 1000, counts
