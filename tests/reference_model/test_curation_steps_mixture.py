"""The automatic mixture: the fit finds a planted optimum, nothing held out stays, and the account tells every run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from curation_pools import context_in, pool_of, row, saved, text

from reference_model.curation.pool import Pool
from reference_model.curation.proxy import ProxySettings, TrainedProxy, masked_losses
from reference_model.curation.steps import mixture
from reference_model.curation.steps.mixture import Settings, run
from reference_model.curation.steps.regression import best_mixture, bounded, draw_mixtures, fit
from unite_bench.errors import DataError
from unite_bench.items import Item, Text

SIZES = {"a": 120, "b": 60, "c": 40}
BEST = np.array([0.2, 0.5, 0.3])


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    """Three sources; in `c` every target stands twice."""
    rows = []
    for name, size in SIZES.items():
        for n in range(size):
            rows.append(row(n, text(f"q {name} {n}"), text(f"t {name} {n // 2 if name == 'c' else n}"), source=name))
    return pool_of(rows, tmp_path, block=64)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, int]]:
    """A proxy in place of training: the nearer to BEST in logarithms, the better; its calls are kept."""
    calls: list[tuple[np.ndarray, int]] = []

    def opened(pool, training, held, settings, context):
        def proxy(shares: np.ndarray, seed: int) -> np.ndarray:
            calls.append((shares, seed))
            return -((np.log(shares + 0.01) - np.log(BEST + 0.01)) ** 2)

        return proxy

    monkeypatch.setattr(mixture, "open_proxy", opened)
    return calls


def counted(pool: Pool, rows: np.ndarray) -> dict[str, int]:
    names = [name for _, table in pool.batches(("source",), rows) for name in table["source"].to_pylist()]
    return {name: names.count(name) for name in SIZES}


def test_the_best_mixture_is_found_and_taken(pool: Pool, asked, tmp_path: Path) -> None:
    alive = np.arange(len(pool))
    decision = run(pool, alive, Settings(runs=16, total=60, validation=10), context_in(tmp_path))
    facts = decision.facts
    assert facts["taken"] == "fitted" and facts["fit"]["explained, leaving one out"] > 0.9
    assert np.abs(np.array(facts["mixtures"]["fitted"]) - BEST).max() < 0.06
    counts = counted(pool, alive[decision.keep])
    assert sum(counts.values()) == 60
    assert np.abs(np.array(list(counts.values())) / 60 - facts["mixtures"]["fitted"]).max() < 0.02
    assert len(asked) == 16 + 3 * 2 and len(facts["runs"]) == 16
    assert np.allclose(asked[0][0], np.array([120, 60, 40]) / 220) and np.allclose(asked[1][0], 1 / 3)
    tried, verifying = {seed for _, seed in asked[:16]}, {seed for _, seed in asked[16:]}
    assert len(tried) == 1 and len(verifying) == 2 and not tried & verifying


def test_what_is_held_out_leaves_with_every_row_of_its_target(pool: Pool, asked, tmp_path: Path, monkeypatch) -> None:
    seen = {}
    inner = mixture.open_proxy

    def opened(pool, training, held, settings, context):
        seen.update(training=np.concatenate(training), held=np.concatenate(held))
        return inner(pool, training, held, settings, context)

    monkeypatch.setattr(mixture, "open_proxy", opened)
    alive = np.arange(20, len(pool))
    decision = run(pool, alive, Settings(runs=4, validation=8), context_in(tmp_path))
    out = alive[decision.reasons == 1]
    assert set(seen["held"]) <= set(out) and not set(seen["training"]) & set(out)
    assert set(seen["training"]) | set(out) == set(alive)
    assert counted(pool, seen["held"]) == {"a": 8, "b": 8, "c": 8}
    assert counted(pool, out) == {"a": 8, "b": 8, "c": 16}
    targets = {item.text for item in pool.items(out, "target")}
    assert not targets & {item.text for item in pool.items(np.sort(seen["training"]), "target")}


def test_no_item_of_what_is_held_out_is_trained_on(tmp_path: Path) -> None:
    """In `a` each question has two answers; `b` asks for the questions of `a`, and for other things."""
    rows = [row(n, text(f"q {n // 2}"), text(f"t {n}"), source="a") for n in range(80)]
    rows += [row(n, text(f"other {n}"), text(f"q {n}" if n < 40 else f"s {n}"), source="b") for n in range(80)]
    pool = pool_of(rows, tmp_path, block=64)
    codes = np.repeat(np.arange(2, dtype=np.int32), 80)
    held, out = mixture.hold_out(pool, np.arange(len(pool)), codes, 2, 8, context_in(tmp_path))
    sides = [[item.text for item in pool.items(np.arange(len(pool)), side)] for side in ("query", "target")]
    kept, left = ({side[n] for side in sides for n in rows} for rows in (np.concatenate(held), np.flatnonzero(~out)))
    assert out[np.concatenate(held)].all() and out.sum() > 16
    assert not kept & left


def test_neither_a_picture_nor_a_caption_that_is_held_out_is_trained_on_in_other_company(tmp_path: Path) -> None:
    """The same pictures and captions turned round, under an instruction, and beside a question that many rows ask."""
    rows, ask, question = [], "Find the caption.", Text("what is it?")
    for n in range(40):
        shown, words = saved(np.full((8, 8, 3), 5 * n, np.uint8), tmp_path / f"{n}.png"), text(f"caption {n}")
        asked = Item((*shown.parts, question))
        rows.append(row(n, Item(shown.parts, ask), words, source="i2t"))
        rows.append(row(n, words, shown, source="t2i"))
        rows.append(row(n, asked, text(f"answer {n}"), source="it2t"))
    pool = pool_of(rows, tmp_path, block=64)
    codes = np.tile(np.arange(3, dtype=np.int32), 40)
    held, out = mixture.hold_out(pool, np.arange(120), codes, 3, 4, context_in(tmp_path))
    numbers = {int(n) // 3 for n in np.concatenate(held)}
    assert set(np.flatnonzero(out)) == {3 * n + kind for n in numbers for kind in range(3)}
    assert out.sum() < 60, "the question is no reason to leave"


def test_a_group_of_heavier_rows_has_its_share_with_fewer(pool: Pool, asked, tmp_path: Path) -> None:
    context = context_in(tmp_path)
    source = np.array([name for _, table in pool.batches(("source",)) for name in table["source"].to_pylist()])
    heavier = replace(context, weights=np.where(source == "b", 3.0, 1.0).astype(np.float32))
    settings = Settings(runs=8, total=60, validation=10)
    plain, weighted = (run(pool, np.arange(len(pool)), settings, one) for one in (context, heavier))
    first, second = (counted(pool, np.flatnonzero(one.keep)) for one in (plain, weighted))
    shares = np.array(weighted.facts["mixtures"][weighted.facts["taken"]])
    drawn = np.array([second["a"], 3 * second["b"], second["c"]])
    assert (
        second["b"] < first["b"] and np.abs(drawn / drawn.sum() - shares).max() < 0.06
    )  # 20 rows of c are all there are


def test_declared_shares_stay_where_the_fit_is_worse(pool: Pool, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(mixture, "open_proxy", lambda *_: lambda shares, seed: -np.abs(shares - BEST))
    monkeypatch.setattr(mixture, "best_mixture", lambda *_: np.array([0.9, 0.05, 0.05]))
    declared = dict(zip("abc", BEST.tolist(), strict=True))
    settings = Settings(runs=5, declared=declared, total=40)
    decision = run(pool, np.arange(len(pool)), settings, context_in(tmp_path))
    assert decision.facts["taken"] == "declared"
    assert counted(pool, np.flatnonzero(decision.keep)) == {"a": 8, "b": 20, "c": 12}
    always = run(pool, np.arange(len(pool)), settings.model_copy(update={"take": "fitted"}), context_in(tmp_path))
    assert always.facts["taken"] == "fitted" and counted(pool, np.flatnonzero(always.keep))["a"] == 36


def test_equal_seeds_give_equal_decisions(pool: Pool, asked, tmp_path: Path) -> None:
    alive = np.arange(len(pool))
    first, again = (run(pool, alive, Settings(runs=5), context_in(tmp_path)) for _ in range(2))
    assert (first.reasons == again.reasons).all() and first.facts == again.facts
    other = run(pool, alive, Settings(runs=5), context_in(tmp_path, seed=3))
    assert (other.reasons != first.reasons).any()


def test_bounds_hold_for_every_mixture(pool: Pool, asked, tmp_path: Path) -> None:
    settings = Settings(runs=6, bounds={"a": (0.5, 0.6), "b": (0.1, 1.0)}, worth={"b": 1.0})
    run(pool, np.arange(len(pool)), settings, context_in(tmp_path))
    for shares, _ in asked:
        assert 0.5 - 1e-6 <= shares[0] <= 0.6 + 1e-6 and shares[1] >= 0.1 - 1e-6
        assert shares.sum() == pytest.approx(1)


def test_the_fitted_mixture_is_never_beyond_those_tried(pool: Pool, tmp_path: Path, monkeypatch) -> None:
    calls: list[np.ndarray] = []

    def proxy(shares: np.ndarray, seed: int) -> np.ndarray:
        calls.append(shares)
        return shares * np.array([0.0, 0.0, 3.0])  # a straight line, which points beyond every run

    monkeypatch.setattr(mixture, "open_proxy", lambda *_: proxy)
    run(pool, np.arange(len(pool)), Settings(runs=6), context_in(tmp_path))
    tried, fitted = np.stack(calls[:6]), calls[6]
    assert (fitted <= tried.max(axis=0) + 1e-6).all() and (fitted >= tried.min(axis=0) - 1e-6).all()
    assert fitted[2] > 0.8 * tried[:, 2].max()


@pytest.mark.parametrize("broken", [2, 7], ids=["a tried one", "a verified one"])
def test_a_proxy_run_that_diverges_is_an_error(pool: Pool, tmp_path: Path, monkeypatch, broken: int) -> None:
    runs: list[np.ndarray] = []

    def proxy(shares: np.ndarray, seed: int) -> np.ndarray:
        runs.append(shares)
        return -np.abs(shares - BEST) if len(runs) < broken else shares * np.nan

    monkeypatch.setattr(mixture, "open_proxy", lambda *_: proxy)
    with pytest.raises(DataError, match="diverged"):
        run(pool, np.arange(len(pool)), Settings(runs=6, declared=dict.fromkeys("abc", 0.3)), context_in(tmp_path))


def test_wrong_settings_are_errors(pool: Pool, asked, tmp_path: Path) -> None:
    wrong = {
        "no row is of source z; there are a, b, c": Settings(worth={"z": 1.0}),
        "no shares within the bounds": Settings(bounds={"a": (0.0, 0.1), "b": (0.0, 0.1), "c": (0.0, 0.1)}),
        "must be ordered": Settings(bounds={"a": (0.5, 0.1)}),
        "nothing to mix": Settings(by="topic"),
    }
    for message, settings in wrong.items():
        with pytest.raises(DataError, match=message):
            run(pool, np.arange(len(pool)), settings, context_in(tmp_path))
    with pytest.raises(DataError, match="a group has 5 rows"):
        run(pool, np.arange(115, len(pool)), Settings(), context_in(tmp_path))
    assert asked == []


def test_the_regression_finds_what_it_can_and_says_when_it_cannot() -> None:
    rng = np.random.default_rng(0)
    low, high, prior = np.zeros(3), np.ones(3), np.full(3, 1 / 3)
    shares = draw_mixtures(prior, low, high, 12, rng)
    linear = fit(shares, shares @ np.array([1.0, 2.0, 4.0]))
    assert linear.form == "linear" and linear.explained > 0.99
    assert best_mixture(linear, prior, low, high, rng)[2] > 0.9
    assert fit(shares, rng.normal(size=12)).explained < 0.5


def test_leave_one_out_is_really_leaving_one_out() -> None:
    rng = np.random.default_rng(1)
    shares = draw_mixtures(np.full(3, 1 / 3), np.zeros(3), np.ones(3), 10, rng)
    scores = shares @ np.array([1.0, 0.0, 3.0]) + rng.normal(0, 0.3, 10)
    found = fit(shares, scores)
    missed = []
    for n in range(10):
        rest = np.delete(np.arange(10), n)
        one = fit(shares[rest], scores[rest])
        missed.append(scores[n] - one.predict(shares[n : n + 1])[0])
    spread = sum((scores[n] - np.delete(scores, n).mean()) ** 2 for n in range(10))
    assert found.explained == pytest.approx(1 - np.square(missed).sum() / spread, abs=0.15)


def test_shares_are_scaled_into_their_bounds() -> None:
    low, high = np.array([0.0, 0.3, 0.0]), np.array([0.4, 1.0, 0.2])
    found = bounded(np.array([[0.8, 0.1, 0.1], [0.1, 0.1, 0.8]]), low, high)
    assert np.allclose(found.sum(1), 1) and (found >= low - 1e-9).all() and (found <= high + 1e-9).all()
    assert np.allclose(bounded(np.array([0.5, 0.3, 0.2]), np.zeros(3), np.ones(3)), [0.5, 0.3, 0.2])


def test_the_score_of_a_proxy_is_the_masked_loss() -> None:
    rng = np.random.default_rng(0)
    queries, targets = rng.normal(size=(2, 4, 8))
    sets, contents = np.array([1, 1, 2, 1]), np.array([7, 8, 9, 7])
    losses = masked_losses(queries, targets, sets, contents, 0.5)
    scores = np.exp(queries @ targets.T / 0.5)
    assert losses[0] == pytest.approx(-np.log(scores[0, 0] / scores[0, [0, 1]].sum()))  # row 3 repeats its target
    assert losses[1] == pytest.approx(-np.log(scores[1, 1] / scores[1, [0, 1, 3]].sum()))
    assert losses[2] == pytest.approx(0)


@pytest.mark.slow
def test_a_real_proxy_learns_from_what_it_is_given(tiny: Path, tmp_path: Path) -> None:
    """A tiny model learns pictures with captions, or texts with texts, by heart, whichever it is given; and equal runs
    give equal bits."""
    shades = [np.full((28, 28, 3), (n * 60 % 256, n * 110 % 256, n * 170 % 256), np.uint8) for n in range(12)]
    rows = [row(n, text(f"shade {n}"), saved(shade, tmp_path / f"{n}.png"), "shades") for n, shade in enumerate(shades)]
    rows += [row(n, text(f"number {n}"), text(f"{n * 7919 % 97}"), "numbers") for n in range(12)]
    pool = pool_of(rows, tmp_path, block=64)
    groups = (np.arange(12), np.arange(12, 24))
    settings = ProxySettings(backbone=str(tiny), steps=40, batch=12, rate=5e-3, temperature=0.1)
    proxy = TrainedProxy(pool, groups, groups, settings, context_in(tmp_path))
    shades_alone, numbers_alone = proxy(np.array([1.0, 0.0]), 5), proxy(np.array([0.0, 1.0]), 5)
    assert shades_alone[0] > numbers_alone[0] + 1
    assert numbers_alone[1] > shades_alone[1] + 1
    assert np.array_equal(shades_alone, proxy(np.array([1.0, 0.0]), 5))
    assert not np.array_equal(shades_alone, proxy(np.array([1.0, 0.0]), 6))
