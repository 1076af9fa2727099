"""One table in four formats: Markdown, CSV, LaTeX (booktabs) and HTML. Best is bold, second best underlined."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable

from unite_bench.report.table import Cell, Row, Table

LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "→": r"$\to$",
    "±": r"$\pm$",
    "†": r"$\dagger$",
}


def markdown(table: Table) -> str:
    """A GitHub table, columns padded so that it reads as plain text too."""
    best = {1: "**{}**", 2: "<u>{}</u>"}
    grid = [[table.name_column, *table.columns]]
    for n, row in enumerate(table.rows):
        grid.append([_markdown_text(row.name), *_cells(table, n, row, best, _markdown_text)])
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    lines = [_markdown_line(grid[0], widths), _markdown_line(rule, widths)]
    lines += [_markdown_line(line, widths) for line in grid[1:]]
    return "\n".join([*lines, "", table.caption, *(f"{mark} {text}" for mark, text in table.notes.items())])


def comma_separated(table: Table) -> str:
    """Plain values, one line a row; marks and emphasis are left out."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([table.name_column, *table.columns])
    for row in table.rows:
        writer.writerow([row.name, *(cell.text for cell in row.cells)])
    return out.getvalue().rstrip("\n")


def latex(table: Table) -> str:
    """A booktabs table; needs \\usepackage{booktabs}."""
    best = {1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{_latex_text(' '.join([table.caption, *(f'{m} {t}' for m, t in table.notes.items())]))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(map(_latex_text, [table.name_column, *table.columns])) + r" \\",
        r"\midrule",
    ]
    for n, row in enumerate(table.rows):
        if _starts_rule(table, n):
            lines.append(r"\midrule")
        lines.append(" & ".join([_latex_text(row.name), *_cells(table, n, row, best, _latex_text)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def hypertext(table: Table) -> str:
    """A table element with its caption."""
    best = {1: "<strong>{}</strong>", 2: "<u>{}</u>"}
    head = "".join(f"<th>{html.escape(c)}</th>" for c in [table.name_column, *table.columns])
    lines = [
        "<table>",
        f"<caption>{html.escape(table.caption)}</caption>",
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
    ]
    for n, row in enumerate(table.rows):
        cells = "".join(f"<td>{cell}</td>" for cell in _cells(table, n, row, best, html.escape))
        style = ' class="below-rule"' if _starts_rule(table, n) else ""
        lines.append(f"<tr{style}><th>{html.escape(row.name)}</th>{cells}</tr>")
    lines += ["</tbody>", "</table>"]
    return "\n".join(lines + [f"<p>{html.escape(mark)} {html.escape(text)}</p>" for mark, text in table.notes.items()])


FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
    "html": hypertext,
}


def _cells(table: Table, n: int, row: Row, best: dict[int, str], escape: Callable[[str], str]) -> list[str]:
    out = []
    places = table.places()
    for column, cell in enumerate(row.cells):
        text = escape(_marked(cell))
        place = places.get((n, column))
        out.append(best[place].format(text) if place else text)
    return out


def _marked(cell: Cell) -> str:
    return cell.text + "".join(cell.marks)


def _starts_rule(table: Table, n: int) -> bool:
    return n > 0 and table.rows[n].below_rule and not table.rows[n - 1].below_rule


def _markdown_line(cells: list[str], widths: list[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"


def _markdown_text(text: str) -> str:
    return text.replace("|", "\\|")


def _latex_text(text: str) -> str:
    return "".join(LATEX_SPECIAL.get(character, character) for character in text)
