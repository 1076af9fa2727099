"""The tables of `calibration.py` in Markdown. What lies outside its bar is bold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Row = Mapping[str, float]
COVERAGE, EXACT, MID_P = (0.93, 0.97), (0.0, 0.055), (0.042, 0.058)
ENOUGH = 12  # discordant clusters, on average, from which a test of so few outcomes can come near its level
TITLES = {
    "proportions": "Coverage, one embedder, share of hits",
    "reciprocal_ranks": "Coverage, one embedder, mean of 1 / rank",
    "suite_means": "Coverage, one embedder, mean of three tasks on the same media",
    "differences": "Coverage, difference of two embedders",
    "tests": "Rejections at 5 % of two embedders that are equally good",
    "suites": "A suite of three tasks on the same media, two embedders that are equally good",
    "other_tasks": "Coverage for other tasks, difference of two embedders",
    "ranks": "Rank sets of five embedders, two of them equally good",
}
COUNTS = ("captions", "queries", "media", "coarse tasks", "fine tasks")


def written(sections: Mapping[str, Sequence[Row]], trials: int) -> str:
    """One table a section."""
    parts = []
    for name, rows in sections.items():
        head = list(dict.fromkeys(column for row in rows for column in row))
        lines = [head, [("-" * max(1, len(column) - 1)) + ":" for column in head]]
        lines += [[_cell(column, row, name) for column in head] for row in rows]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"**{TITLES[name]}** ({trials:,} trials)\n\n{body}")
    return "\n\n".join(parts)


def missed(sections: Mapping[str, Sequence[Row]]) -> list[str]:
    """The cells of the methods in use that lie outside their bar, in words."""
    found = []
    for name, rows in sections.items():
        for row in rows:
            for column, value in row.items():
                low, high = _bar(name, column, row)
                if value < low or value > high:
                    where = ", ".join(f"{k} {v:g}" for k, v in list(row.items())[:5] if k != column)
                    found.append(f"{name}: {column} {value:.3f} ({where})")
    return found


def _cell(column: str, row: Row, name: str) -> str:
    if column not in row:
        return "-"
    value = row[column]
    if column in COUNTS:
        return f"{value:.0f}"
    low, high = _bar(name, column, row)
    text = f"{value:.1f}" if column in ("discordant", "ranks left open") else f"{value:.3f}"
    return text if low <= value <= high else f"**{text}**"


def _bar(name: str, column: str, row: Row) -> tuple[float, float]:
    """Between what a figure should lie; of methods shown for contrast, anywhere."""
    if column == "used":
        # The sets hold all ranks at once, and where embedders are well apart they do so more often.
        return (COVERAGE[0], 1.0) if name == "ranks" else COVERAGE
    if column == "narrowest":
        return 1e-9, float("inf")
    if column in ("exact", "size of test"):
        return EXACT
    if column == "mid-p":
        return MID_P if row["discordant"] >= ENOUGH else (0.0, MID_P[1])
    return float("-inf"), float("inf")
