"""The study's verdicts as a forest plot: one line a comparison, one panel an endpoint, the margin shaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reference_model.study.design import MARGINS
from reference_model.study.verdicts import Verdict
from unite_bench.errors import UsageError

ENDPOINTS = ("same", "union", "bias", "images", "fine")
TITLES = {
    "same": "hit@1,\nown pools",
    "union": "hit@1,\nunion pool",
    "bias": "bias\n(right: more)",
    "images": "hit@1,\nimage-text",
    "fine": "hit@1,\nlong captions",
}


def draw_verdicts(verdicts: Sequence[Verdict], out: Path) -> None:
    """Write a PDF or PNG. A filled marker is a difference by the corrected test; a hollow one is none.

    Raises UsageError if there is none.
    """
    from unite_bench.report.figures.style import COLOURS, drawing, save

    if not verdicts:
        raise UsageError(
            "there is no verdict to draw: no family has all of its runs yet; `python -m reference_model study` makes them"
        )
    shown = [endpoint for endpoint in ENDPOINTS if any(v.comparison.endpoint == endpoint for v in verdicts)]
    lines = list(dict.fromkeys((v.comparison.arm, v.comparison.against) for v in verdicts))
    place = {line: number for number, line in enumerate(lines)}
    with drawing(0.9 + 0.19 * len(lines), _caption(verdicts)) as figure:
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, endpoint in zip(panels, shown, strict=True):
            margin = 100 * MARGINS[endpoint]
            axes.axvspan(-margin, margin, color="#e6e6e6", linewidth=0)
            axes.axvline(0, color="black", linewidth=0.8)
            for verdict in (v for v in verdicts if v.comparison.endpoint == endpoint):
                value, (low, high) = 100 * verdict.difference, (100 * end for end in verdict.interval)
                axes.errorbar(
                    value,
                    place[verdict.comparison.arm, verdict.comparison.against],
                    xerr=[[value - low], [high - value]],
                    fmt="D" if verdict.comparison.primary else "o",
                    color=COLOURS[1 if verdict.comparison.primary else 0],
                    markerfacecolor=COLOURS[1 if verdict.comparison.primary else 0] if verdict.differs else "white",
                    elinewidth=1.0,
                    capsize=2,
                )
            axes.set_title(TITLES[endpoint])
            axes.grid(axis="x")
            axes.tick_params(axis="both", length=2.5, width=0.7)
        panels[0].set_ylim(len(lines) - 0.4, -0.6)
        panels[0].set_yticks(range(len(lines)), [_label(*line) for line in lines])
        panels[len(shown) // 2].set_xlabel("difference in percentage points")
        for family in dict.fromkeys(arm.split("/")[0] for arm, _ in lines):
            own = [number for number, (arm, _) in enumerate(lines) if arm.startswith(f"{family}/")]
            panels[-1].text(
                1.04, sum(own) / len(own), family, rotation=270, va="center", transform=panels[-1].get_yaxis_transform()
            )
            for axes in panels if own[0] else []:
                axes.axhline(own[0] - 0.5, color="#999999", linewidth=0.7)
    save(figure, out)


def _label(*line: str) -> str:
    return " − ".join(name.partition("/")[2] for name in line)


def _caption(verdicts: Sequence[Verdict]) -> str:
    counts = sorted({v.seeds for v in verdicts})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"Paired differences over {seeds} seeds with 95 % intervals (Student). Diamonds: the primary comparisons. Filled: "
        "p ≤ 0.05 after Holm's correction within the primary comparisons, or within the family. Grey: the margin within "
        "which a difference does not matter. Nano scale, scenes; nothing here is about a larger model."
    )
