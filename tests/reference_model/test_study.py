"""The study: its design holds together, its endpoints are what they say, and its verdicts follow the protocol."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from scipy import stats

from reference_model.backbone import Backbone, Settings, prepare
from reference_model.nano.world import Sizes, build_world
from reference_model.prompt import render
from reference_model.study import endpoints, run, worlds
from reference_model.study.design import ARMS, COMPARISONS, EQUAL, PAIRS, PAPER_LIKE, Arm, Comparison, Phase
from reference_model.study.explored import LOOKS, TASKS, explored
from reference_model.study.figure import draw_verdicts
from reference_model.study.lora import add_lora
from reference_model.study.run import draw, losses_of, pairs_of, planned, run_all, run_arm, target_set
from reference_model.study.verdicts import finished, judge, read_runs, table
from reference_model.study.worlds import Laboratory, training_kinds
from reference_model.train.features import cached_features, compute_features
from reference_model.train.mamcl import Options, Side, dense_losses, directions, negatives
from reference_model.train.pairs import modality_bits
from unite_bench.errors import UsageError


@pytest.fixture(scope="module")
def laboratory(tiny, tmp_path_factory) -> Laboratory:
    """Small worlds, a tiny model, one slice."""
    patch = pytest.MonkeyPatch()
    patch.setattr(worlds, "PLAIN", Sizes(26, 4, 0, 0, 0))
    patch.setattr(worlds, "EDITED", Sizes(4, 2, 4, 2, 0))
    patch.setattr(worlds, "FORMS", Sizes(4, 4, 0, 0, 4))
    folder, base = tmp_path_factory.mktemp("study"), Backbone.load(tiny)
    trained = build_world(1_000_001, Sizes(12, 6, 6, 3, 6), folder, base.preprocessing)
    sizes = (worlds.PLAIN, worlds.EDITED, worlds.FORMS)
    tests = [build_world(1_700_000 + n, size, folder, base.preprocessing) for n, size in enumerate(sizes)]
    banks = [bank for world in (trained, *tests) for bank in (world.images, world.clips)]
    features = cached_features(base.model, banks, base.preprocessing, folder)
    kinds = {kind.name: kind for kind in training_kinds(trained)}
    settings = replace(base.settings, max_length=512)
    yield Laboratory(base.model.state_dict(), base.tokenizer, base.preprocessing, settings, features, kinds, *tests)
    patch.undo()


def test_every_comparison_is_between_arms_of_one_family() -> None:
    labels = {arm.label for arm in ARMS}
    assert len(labels) == len(ARMS)
    for comparison in COMPARISONS:
        assert {comparison.arm, comparison.against} <= labels
        assert comparison.against.split("/")[0] == comparison.family
    assert len(set(COMPARISONS)) == len(COMPARISONS)
    assert sum(comparison.primary for comparison in COMPARISONS) == 3


def test_arms_have_equal_pairs_and_known_kinds(laboratory: Laboratory) -> None:
    for arm in ARMS:
        assert sum(phase.pairs for phase in arm.phases) == PAIRS * (arm.name != "untrained")
        for phase in arm.phases:
            assert set(phase.mixture) <= set(laboratory.kinds)


def test_every_arm_is_run_with_all_its_seeds_and_no_training_twice(laboratory: Laboratory) -> None:
    runs = planned(sorted({arm.family for arm in ARMS}))
    named = [(arm.label, seed) for arms, seed in runs for arm in arms]
    assert len(set(named)) == len(named)
    assert all((arm.label, seed) in named for arm in ARMS for seed in range(arm.seeds))
    assert [(arms[0].name, seed) for arms, seed in runs[:3]] == [("infonce", 0), ("mamcl", 0), ("infonce", 1)]
    assert {arm.name: arm.seeds for arm in ARMS if arm.seeds > 6} == {"infonce": 10, "mamcl": 10}
    settings = Settings(max_length=512)
    for arms, _ in runs:
        for twin in arms[1:]:
            for own, other in zip(arms[0].phases, twin.phases, strict=True):
                assert list(own.mixture.items()) == list(other.mixture.items()), "draws depend on the order"
                assert pairs_of(own, laboratory, settings) == pairs_of(other, laboratory, settings)


def test_processes_that_share_a_study_take_different_runs_and_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, int]] = []

    def recorded(arm: Arm, seed: int, laboratory: object, part: int) -> dict[str, object]:
        assert part == seed % worlds.SLICES
        done.append((arm.label, seed))
        return {"seed": seed, "t2i": 0.5, "i2t": 0.5, "long-t2i": 0.5, "long-t2v": 0.5}

    monkeypatch.setattr(run, "run_arm", recorded)
    monkeypatch.setattr(run, "open_laboratory", lambda work: None)
    out = tmp_path / "runs.jsonl"
    with FileLock(tmp_path / "video-images-only-2.lock"):
        run_all(tmp_path, out, ["video"])
    assert ("video/images-only", 2) not in done and len(done) == 17
    run_all(tmp_path, out, ["video"])
    assert done[17:] == [("video/images-only", 2)]
    run_all(tmp_path, out, ["mixture", "video"])
    assert ("mixture/image", 0) in done, "a twin that has no line yet"
    held = read_runs(out)
    assert {arm for arm, _ in held} == {arm.label for arm in ARMS if arm.family in ("mixture", "video")}
    assert len(out.read_text().splitlines()) == len(held) == 6 * 17


def test_targets_have_the_set_that_their_kind_is_filed_under(laboratory: Laboratory) -> None:
    bits = {"text": 1, "image": 2, "video": 4, "image+text": 3}
    rng = np.random.default_rng(0)
    for name, kind in laboratory.kinds.items():
        assert modality_bits(kind.draw(rng).target) == bits[target_set(name)], name


def test_homogeneous_batches_have_one_target_set(laboratory: Laboratory) -> None:
    rng = np.random.default_rng(0)
    seen = [{modality_bits(p.target) for p in draw(Phase(EQUAL, homogeneous=True), laboratory, rng)} for _ in range(12)]
    assert all(len(sets) == 1 for sets in seen)
    assert len(set.union(*seen)) > 1
    assert len({modality_bits(p.target) for p in draw(Phase(EQUAL), laboratory, rng)}) == 4


def test_equal_tokens_are_equal(laboratory: Laboratory) -> None:
    """Tokens of the whole phase, counted on other pairs than those the budget was fixed on, are those of image-text."""
    long, settings = {"scene long-video": 1.0}, Settings(max_length=512)
    phase = Phase(long, equal_tokens=True)
    assert pairs_of(replace(phase, equal_tokens=False), laboratory, settings) == PAIRS
    rng = np.random.default_rng(5)

    def counted(kind: str) -> float:
        pairs = [laboratory.kinds[kind].draw(rng) for _ in range(60)]
        items = [item for pair in pairs for item in (pair.query, pair.target, *pair.negatives)]
        given = laboratory.tokenizer, laboratory.preprocessing.merge, settings
        return sum(len(prepare(render(item), laboratory.features.of(item)[1], *given)) for item in items) / 60

    stills = (counted("scene text-image") + counted("scene image-text")) / 2
    assert pairs_of(phase, laboratory, settings) * counted("scene long-video") == pytest.approx(PAIRS * stills, rel=0.1)


def test_random_mask_keeps_as_many_negatives_as_mamcl() -> None:
    draw_of = torch.Generator().manual_seed(0)
    vectors = torch.nn.functional.normalize(torch.randn(9, 8, generator=draw_of), dim=-1)
    sets, contents = torch.tensor([1, 1, 2, 2, 2, 1, 2, 4, 1]), torch.tensor([0, 1, 2, 2, 4, 5, 6, 7, 8])
    queries = Side(vectors[:6], torch.ones(6).long(), 50 + torch.arange(6))
    side = directions(queries, Side(vectors, sets, contents), torch.arange(6), None, "forward")[0]
    kept = {}
    random_losses = losses_of(Phase(EQUAL, "random"), torch.Generator().manual_seed(1))
    for _ in range(40):  # at an infinite temperature, a loss is the log of the number of terms
        for row, loss in enumerate(random_losses(side, 1e9, Options()).exp().round().int().tolist()):
            kept.setdefault(row, set()).add(loss - 1)
    assert [kept[row] for row in range(6)] == [{int(n)} for n in negatives(side)]
    drawn = {round(random_losses(side, 0.1, Options())[0].item(), 4) for _ in range(40)}
    assert len(drawn) > 5
    assert losses_of(Phase(EQUAL), torch.Generator()) is dense_losses


def test_endpoints_of_a_perfect_and_of_a_one_sided_embedder(laboratory: Laboratory) -> None:
    """Told the answers, every hit@1 is 1; with one constant added to all texts, only `union` and `bias` see it."""
    ids: dict[str, int] = {}
    for task in endpoints.tasks(laboratory, 0):
        for query, target in zip(task.queries, task.targets, strict=True):
            ids[query.digest + (query.instruction or "")] = ids.setdefault(target.digest, len(ids))
    captions, shown = endpoints.forms(laboratory.forms, 0)

    def embed_with(pull: float):
        def embed(items) -> np.ndarray:
            rng = np.random.default_rng(0)
            table = rng.standard_normal((len(ids) + 1, 64))
            rows = []
            for item in items:
                known = ids.get(item.digest + (item.instruction or ""))
                row = table[known] if known is not None else np.zeros(64)
                row = row / (np.linalg.norm(row) or 1.0)
                rows.append([*row, pull * (modality_bits(item) == 1), 0.1, 0.01 * len(rows) / len(items)])
            return np.array(rows, dtype=np.float32)

        return embed

    plain = endpoints.measure(laboratory, 0, embed_with(0.0))
    pulled = endpoints.measure(laboratory, 0, embed_with(4.0))
    assert plain["same"] > 0.9
    assert plain["union"] > 0.85
    assert pulled["union"] < plain["union"] - 0.2
    assert pulled["same"] == pytest.approx(plain["same"], abs=0.1)
    assert pulled["first-text"] == 1.0
    assert pulled["bias"] == pytest.approx(0.75)
    assert len(captions) == len(shown) > 0


def test_no_scene_is_the_target_of_two_tasks(laboratory: Laboratory) -> None:
    asked = [task for task in endpoints.tasks(laboratory, 0) if task.name not in endpoints.FINE]
    targets = [target.digest for task in asked for target in set(task.targets)]
    assert len(targets) - len(set(targets)) <= 2  # words of different scenes may be the same by chance
    assert {task.name for task in asked} == {"t2i", "i2t", "t2t", "t2v", "v2t", "t2it", "it2i", "vt2v"}


def test_a_run_repeats_itself_and_seeds_are_shared_by_arms(laboratory: Laboratory, monkeypatch) -> None:
    from tiny_model import TINY

    from reference_model.nano.architecture import new_model

    monkeypatch.setattr("reference_model.study.worlds.Shape", lambda: TINY)
    monkeypatch.setattr("reference_model.study.worlds.new_model", new_model)
    arms = {arm.label: arm for arm in ARMS}
    short = [replace(arms[n], phases=(replace(arms[n].phases[0], pairs=64),)) for n in ("mask/mamcl", "mask/infonce")]
    drawn: list[list[tuple[str, str]]] = []
    adapters: list[torch.Tensor] = []

    def noted(*given):
        pairs = draw(*given)
        drawn.append([(pair.query.digest, pair.target.digest) for pair in pairs])
        return pairs

    def adapted(*given):
        found = add_lora(*given)
        adapters.append(torch.cat([weight.detach().flatten() for weight in found]))
        return found

    monkeypatch.setattr(run, "draw", noted)
    monkeypatch.setattr(run, "add_lora", adapted)
    first, again, other = (run_arm(arm, 3, laboratory, 0) for arm in (short[0], short[0], short[1]))
    run_arm(short[0], 4, laboratory, 0)
    assert drawn[0] == drawn[1] == drawn[2] != drawn[3], "equal mixtures and seeds have equal pairs, whatever the arm"
    assert torch.equal(adapters[0], adapters[2]) and not torch.equal(adapters[0], adapters[3])
    strip = {"seconds"}
    assert {k: v for k, v in first.items() if k not in strip} == {k: v for k, v in again.items() if k not in strip}
    assert first["steps"] == other["steps"] == 1
    assert first["loss"] < other["loss"]  # fewer terms in the denominator over the same pairs


def test_an_arm_without_a_phase_is_the_backbone_and_positions_are_those_of_the_arm(
    laboratory: Laboratory, monkeypatch
) -> None:
    from tiny_model import TINY

    from reference_model.nano.architecture import new_model

    monkeypatch.setattr("reference_model.study.worlds.Shape", lambda: TINY)
    monkeypatch.setattr("reference_model.study.worlds.new_model", new_model)
    arms = {arm.label: arm for arm in ARMS}
    row = run_arm(arms["mask/untrained"], 0, laboratory, 0)
    assert row["steps"] == 0 and row["loss"] is None and 0 <= row["same"] <= 1
    assert laboratory.model(arms["mask/mamcl"].positions)[1].positions == "mrope-5"
    assert laboratory.model(arms["mask/mamcl-1d"].positions)[1].positions == "1d"
    assert [arm.name for arm in ARMS if arm.positions == "1d"] == ["mamcl-1d"]


def test_the_paper_s_shares_are_those_of_its_second_stage() -> None:
    shares: dict[str, float] = {}
    for kind, share in PAPER_LIKE.items():
        shares[target_set(kind)] = shares.get(target_set(kind), 0.0) + share
    assert shares == pytest.approx({"image": 40.6, "text": 42.4, "video": 15.8, "image+text": 1.4})
    assert {name for arm in ARMS for phase in arm.phases if phase.mixture is PAPER_LIKE for name in [arm.name]} == {
        "infonce-paper-like",
        "mamcl-paper-like",
    }


def test_what_was_run_in_two_precisions_is_not_compared() -> None:
    runs = {("mask/infonce", s): {"same": 0.5, "products": "fp32"} for s in range(3)}
    runs |= {("mask/mamcl", s): {"same": 0.6} for s in range(3)}
    with pytest.raises(UsageError, match="mask/mamcl was run in bf16 and mask/infonce in fp32, seed 0"):
        judge(runs, [Comparison("mask/mamcl", "mask/infonce", "same", primary=True)])


def test_what_was_looked_at_afterwards_is_a_mean_of_tasks_over_shared_seeds() -> None:
    rng = np.random.default_rng(2)
    arms = {arm for look in LOOKS for arm in (look.arm, look.against, *(look.less or ()))}
    keys = [*TASKS, *(f"union-{task}" for task in TASKS), "bias"]
    runs = {(arm, seed): dict(zip(keys, rng.random(17), strict=True)) for arm in sorted(arms) for seed in range(5)}
    del runs["mask/mamcl", 4]
    said = explored(runs).splitlines()
    row = next(line for line in said if line.startswith("| own pools without text to text | mask/mamcl | mask/infonce"))
    kept = [task for task in TASKS if task != "t2t"]
    means = [[np.mean([runs[arm, s][t] for t in kept]) for s in range(4)] for arm in ("mask/mamcl", "mask/infonce")]
    difference = 100 * np.subtract(*means)
    low, high = stats.ttest_1samp(difference, 0.0).confidence_interval()
    assert f"{difference.mean():+.1f} [{low:+.1f}, {high:+.1f}]" in row and row.endswith("| 4 |")
    assert sum(line.startswith(tuple(f"| {task} |" for task in TASKS)) for line in said) == 8


def test_features_on_disk_are_the_features(tiny, tmp_path) -> None:
    base = Backbone.load(tiny)
    world = build_world(1_000_001, Sizes(5, 3, 0, 0, 0), tmp_path, base.preprocessing)
    banks = [world.images, world.clips]
    fresh = compute_features(base.model, banks, base.preprocessing)
    for _ in range(2):  # computed, then read
        cached = cached_features(base.model, banks, base.preprocessing, tmp_path)
        for name, pieces in fresh.held.items():
            assert cached.grids[name] == fresh.grids[name]
            assert all(torch.equal(a, b) for a, b in zip(cached.held[name], pieces, strict=True))
    written = len(list(tmp_path.glob("features-*.json")))
    base.model.model.visual.blocks[0].norm1.weight.add_(0.1)
    cached_features(base.model, banks, base.preprocessing, tmp_path)
    assert len(list(tmp_path.glob("features-*.json"))) == 2 * written  # another tower, other features


@pytest.mark.parametrize(
    ("shift", "spread", "word"),
    [
        (0.05, 0.01, "better"),
        (-0.05, 0.01, "worse"),
        (0.004, 0.001, "better, within the margin"),
        (0.0, 0.004, "equivalent"),
        (0.0, 0.017, "equivalent"),  # by the 90 % interval; that of 95 % leaves the margin
        (0.0, 0.021, "undecided"),
        (0.005, 0.03, "undecided"),
    ],
)
def test_verdicts(shift: float, spread: float, word: str) -> None:
    noise = np.array([-1.2, 0.9, -0.4, 1.1, -0.8, 0.3, 1.3, -1.0, 0.2, -0.4])
    base = np.linspace(0.4, 0.6, 10)
    runs = {("mask/infonce", s): {"same": base[s]} for s in range(10)}
    runs |= {("mask/mamcl", s): {"same": base[s] + shift + spread * noise[s]} for s in range(10)}
    (verdict,) = judge(runs, [Comparison("mask/mamcl", "mask/infonce", "same", primary=True)])
    assert verdict.word == word
    assert verdict.seeds == 10
    assert verdict.difference == pytest.approx(shift, abs=1e-9)


def test_corrections_are_within_families_and_bias_has_its_own_words() -> None:
    noise = np.array([0.01, -0.02, 0.015, 0.0, -0.01, 0.02])
    rows, moved = {"same": 0.5, "union": 0.5, "bias": 0.1}, {"same": 0.53, "union": 0.485, "bias": 0.4}
    runs = {("mask/infonce", s): rows for s in range(6)}
    runs |= {("mask/mamcl", s): {k: v + noise[s] for k, v in moved.items()} for s in range(6)}
    comparisons = [Comparison("mask/mamcl", "mask/infonce", end, primary=True) for end in rows]
    alone = [judge(runs, [comparison])[0] for comparison in comparisons]
    for verdict, end in zip(alone, rows, strict=True):
        differences = [runs["mask/mamcl", s][end] - rows[end] for s in range(6)]
        assert verdict.p == pytest.approx(stats.ttest_1samp(differences, 0.0).pvalue)
        assert verdict.interval == pytest.approx(stats.ttest_1samp(differences, 0.0).confidence_interval())
    together = judge(runs, comparisons)
    by_size = sorted(verdict.p for verdict in alone)
    assert sorted(v.p for v in together) == pytest.approx([3 * by_size[0], 2 * by_size[1], by_size[2]])
    secondary = [*comparisons[:1], Comparison("mask/mamcl", "mask/infonce", "union")]
    assert [v.p for v in judge(runs, secondary)] == pytest.approx([alone[0].p, alone[1].p])
    assert [v.word for v in together] == ["better", "undecided", "more biased"]


def test_the_figure_shows_every_comparison_and_none_is_an_error(tmp_path) -> None:
    noise = np.array([0.01, -0.02, 0.015, 0.0])
    runs = {("mask/infonce", s): {"same": 0.5, "bias": 0.1} for s in range(4)}
    runs |= {("mask/mamcl", s): {"same": 0.6 + noise[s], "bias": 0.1 + noise[s]} for s in range(4)}
    held = [Comparison("mask/mamcl", "mask/infonce", end, primary=True) for end in ("same", "bias")]
    verdicts = judge(runs, held)
    assert [verdict.differs for verdict in verdicts] == [True, False]
    drawn = []
    for name, shown in (("both.png", verdicts), ("again.png", verdicts), ("one.png", verdicts[:1])):
        draw_verdicts(shown, tmp_path / name)
        drawn.append((tmp_path / name).read_bytes())
    assert drawn[0] == drawn[1] != drawn[2]
    assert "| < 0.001 |" in table(
        judge({**runs, **{key: {**row, "same": 0.9} for key, row in list(runs.items())[4:]}}, held[:1])
    )
    with pytest.raises(UsageError, match="no family has all of its runs yet"):
        draw_verdicts([], tmp_path / "none.png")


def test_a_family_is_finished_when_every_arm_in_its_comparisons_has_all_its_seeds() -> None:
    row = dict.fromkeys(("same", "union", "bias", "images", "fine"), 0.5)
    runs = {(arm.label, seed): row for arm in ARMS for seed in range(arm.seeds) if arm.family in ("mask", "fine")}
    assert {c.family for c in finished(runs)} == {"mask", "fine"}
    assert {c for c in COMPARISONS if c.primary} < set(finished(runs))
    del runs["fine/none", 5]
    assert {c.family for c in finished(runs)} == {"mask"}
    del runs["mask/mamcl-1d", 0]
    assert finished(runs) == [c for c in COMPARISONS if c.primary]
    del runs["mask/infonce", 9]
    assert finished(runs) == []
