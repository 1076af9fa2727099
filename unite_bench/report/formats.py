"""One table in four formats: Markdown, CSV, LaTeX (booktabs) and HTML. Best is bold, second best underlined."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from unite_bench.report.entries import MARK_NAMES
from unite_bench.report.escape import (
    csv_text,
    html_attribute,
    html_text,
    latex_mark,
    latex_paragraph,
    latex_text,
    markdown_line,
    markdown_text,
)
from unite_bench.report.table import Cell, Row, Table


def markdown(table: Table) -> str:
    """A GitHub table, columns padded so that it reads as plain text too."""
    best = {1: "**{}**", 2: "<u>{}</u>"}
    places = table.places()
    grid = [[markdown_text(name) for name in (table.name_column, *table.full_columns)]]
    for n, row in enumerate(table.rows):
        if _starts_section(table, n):
            grid.append([f"*{markdown_text(row.section)}*", *[""] * len(row.cells)])
        cells = [_placed(best, places.get((n, c)), markdown_text(_marked(cell))) for c, cell in enumerate(row.cells)]
        grid.append([markdown_text(row.name + "".join(row.marks)), *cells])
    widths = [max(3, *(len(line[i]) for line in grid)) for i in range(len(grid[0]))]
    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    lines = [_grid_line(grid[0], widths), _grid_line(rule, widths)]
    lines += [_grid_line(line, widths) for line in grid[1:]]
    return "\n".join([*lines, "", *map(markdown_line, _below(table))])


def comma_separated(table: Table) -> str:
    """Plain values, one line a row; emphasis is left out, and marks stand in words in a column of their own."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    marked = any(row.marks or any(cell.marks for cell in row.cells) for row in table.rows)
    sections = any(row.section for row in table.rows)
    head = [*(["section"] if sections else []), table.name_column, *table.full_columns, *(["marks"] if marked else [])]
    writer.writerow(map(csv_text, head))
    for row in table.rows:
        line = [*([row.section] if sections else []), row.name, *(cell.text for cell in row.cells)]
        writer.writerow(map(csv_text, [*line, *([_marks_in_words(table, row)] if marked else [])]))
    return out.getvalue().rstrip("\n")


def latex(table: Table) -> str:
    """A booktabs table; needs \\usepackage{booktabs}."""
    best = {1: r"\textbf{{{}}}", 2: r"\underline{{{}}}"}
    places = table.places()
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{latex_paragraph(' '.join(_below(table)))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        *_latex_heads(table),
        " & ".join(map(latex_text, (table.name_column, *table.columns))) + r" \\",
        r"\midrule",
    ]
    for n, row in enumerate(table.rows):
        if _starts_rule(table, n):
            lines.append(r"\midrule")
        if _starts_section(table, n):
            lines.append(rf"\multicolumn{{{len(row.cells) + 1}}}{{l}}{{\emph{{{latex_text(row.section)}}}}} \\")
        cells = [
            _placed(best, places.get((n, c)), latex_text(cell.text)) + _latex_marks(cell.marks)
            for c, cell in enumerate(row.cells)
        ]
        lines.append(" & ".join([latex_text(row.name) + _latex_marks(row.marks), *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def hypertext(table: Table) -> str:
    """A table element with its caption; what is odd about a cell stands in its title."""
    best = {1: "<strong>{}</strong>", 2: "<u>{}</u>"}
    places = table.places()
    lines = ["<table>", f"<caption>{html_text(table.caption)}</caption>", "<thead>"]
    if table.heads:
        spans = (
            f'<th colspan="{width}" scope="colgroup">{html_text(head)}</th>' if head else f'<td colspan="{width}"></td>'
            for head, width in _spans(table)
        )
        lines.append(f"<tr><td></td>{''.join(spans)}</tr>")
    head = "".join(f'<th scope="col">{html_text(name)}</th>' for name in (table.name_column, *table.columns))
    lines += [f"<tr>{head}</tr>", "</thead>", "<tbody>"]
    for n, row in enumerate(table.rows):
        below = " below-rule" if _starts_rule(table, n) else ""
        if _starts_section(table, n):
            lines.append(
                f'<tr class="section{below}"><th colspan="{len(row.cells) + 1}">{html_text(row.section)}</th></tr>'
            )
            below = ""
        cells = "".join(
            f"<td{_title(cell)}>{_placed(best, places.get((n, c)), html_text(cell.text))}{_html_marks(cell.marks)}</td>"
            for c, cell in enumerate(row.cells)
        )
        style = f' class="{below.strip()}"' if below else ""
        lines.append(f'<tr{style}><th scope="row">{html_text(row.name)}{_html_marks(row.marks)}</th>{cells}</tr>')
    lines += ["</tbody>", "</table>"]
    return "\n".join([*lines, *(f"<p>{html_text(line)}</p>" for line in _below(table)[1:])])


FORMATS: dict[str, Callable[[Table], str]] = {
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
    "html": hypertext,
}


def _below(table: Table) -> list[str]:
    """The caption, and a line a mark."""
    return [table.caption, *(f"{mark} {text}" for mark, text in table.notes.items())]


def _placed(best: dict[int, str], place: int | None, text: str) -> str:
    return best[place].format(text) if place else text


def _marked(cell: Cell) -> str:
    return cell.text + "".join(cell.marks)


def _marks_in_words(table: Table, row: Row) -> str:
    """`in-domain: coarse T→I, mean`; what holds of the whole row first."""
    said = [MARK_NAMES.get(mark, mark) for mark in row.marks]
    held: dict[str, list[str]] = {}
    for name, cell in zip(table.full_columns, row.cells, strict=True):
        for mark in cell.marks:
            held.setdefault(MARK_NAMES.get(mark, mark), []).append(name)
    return "; ".join([*said, *(f"{mark}: {', '.join(names)}" for mark, names in held.items())])


def _starts_rule(table: Table, n: int) -> bool:
    return n > 0 and table.rows[n].below_rule and not table.rows[n - 1].below_rule


def _starts_section(table: Table, n: int) -> bool:
    row = table.rows[n]
    return bool(row.section) and (n == 0 or table.rows[n - 1].section != row.section or _starts_rule(table, n))


def _spans(table: Table) -> Iterator[tuple[str, int]]:
    """Each head with the number of neighbouring columns that share it."""
    for head, columns in groupby(table.heads):
        yield head, len(list(columns))


def _latex_heads(table: Table) -> list[str]:
    if not table.heads:
        return []
    cells, rules, at = [], [], 2
    for head, width in _spans(table):
        cells.append(rf"\multicolumn{{{width}}}{{c}}{{{latex_text(head)}}}" if head else " & ".join([""] * width))
        rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if head else []
        at += width
    return [" & ".join(["", *cells]).lstrip() + r" \\", *rules]


def _latex_marks(marks: Sequence[str]) -> str:
    return rf"\textsuperscript{{{''.join(map(latex_mark, marks))}}}" if marks else ""


def _html_marks(marks: Sequence[str]) -> str:
    return f"<sup>{html_text(''.join(marks))}</sup>" if marks else ""


def _title(cell: Cell) -> str:
    return f' title="{html_attribute(cell.reason)}"' if cell.reason else ""


def _grid_line(cells: list[str], widths: list[int]) -> str:
    first = cells[0].ljust(widths[0])
    rest = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
    return "| " + " | ".join([first, *rest]) + " |"
