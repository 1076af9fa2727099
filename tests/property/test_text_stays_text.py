"""Whatever a caption, title or name holds, a table shows it as text and nothing else: no markup, no formula, no command."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from unite_bench.report.escape import LATIN, csv_text, html_text, latex_text, markdown_text, plain
from unite_bench.report.formats import FORMATS
from unite_bench.report.table import Cell, Row, Table

NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "&lt;b&gt; &#60; &amp;",
    r"\input{/etc/passwd} \write18{ls} \end{table}",
    r"100 % of $x_1^2$ & {a} # ~ \\ ^^41",
    "?`quoted`' ''two'' \"three\" --- a--b",
    "שלום עולם",
    "مرحبا ١٢٣",
    "safe\u202egnp.exe",
    "👩‍🔬 emoji 🇨🇭",
    "漢字 кириллица ὄνομα é ß Ł ŷ",
    "=HYPERLINK(1)",
    "@SUM(A1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "\t=1",
    "＝1",
    "a\nb\r\nc\x00d",
    "| pipe | `code` *bold* _it_ ~~no~~ [link](http://x) ![i](y)",
    "[2cm] bracket",
    "*star",
    "# heading",
    "- list",
    "1. list",
    "x" * 10_000,
    "wort " * 2_000,
]
TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=60))


def table(text: str, other: str = "plain") -> Table:
    return Table(
        caption=text,
        name_column=text,
        columns=(text, other),
        heads=(text, ""),
        rows=(
            Row(text, (Cell(text, 0.5, reason=text), Cell("1.0")), section=text),
            Row(other, (Cell(other, 0.4, marks=("†",)), Cell("2.0")), below_rule=True),
        ),
        notes={"†": text},
    )


class Seen(HTMLParser):
    """Tags, their attributes and the text between them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(deadline=None)
@given(TEXT)
def test_html_holds_our_own_elements_only(text: str) -> None:
    seen = Seen()
    seen.feed(FORMATS["html"](table(text)))
    seen.close()
    ours = {"table", "caption", "thead", "tbody", "tr", "th", "td", "strong", "u", "sup", "p", "bdi"}
    assert seen.tags <= ours
    assert seen.attributes <= {"scope", "colspan", "class", "title"}
    assert plain(text) in seen.text


@settings(deadline=None)
@given(TEXT)
def test_csv_gives_the_text_back_and_no_formula(text: str) -> None:
    rows = list(csv.reader(io.StringIO(FORMATS["csv"](table(text)))))
    for row in rows:
        assert len(row) == len(rows[0]) >= 4, "name, two values, marks, and the section if it has a name"
        for cell in row:
            formula = cell.lstrip()[:1] in ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t")
            assert not formula or re.fullmatch(r"[+-]?\d+(\.\d+)?|-", cell), cell
    assert csv_text(text).removeprefix("'") == plain(text) or text.startswith("'")


@settings(deadline=None)
@given(TEXT)
def test_markdown_keeps_its_cells_and_opens_no_tag(text: str) -> None:
    written = markdown_text(text)
    assert "<" not in written and "\n" not in written
    assert not re.search(r"(?<!\\)(\\\\)*[|`*$]", written), "each stands behind a backslash"
    lines = FORMATS["markdown"](table(text)).split("\n")
    cells = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines[: lines.index("")]]
    assert set(cells) == {4}, "every line has three cells"
    assert not re.match(r"(#|[-+>] |\d+[.)] )", lines[lines.index("") + 1]), "the caption is a paragraph"


@settings(deadline=None)
@given(TEXT)
def test_latex_has_balanced_braces_and_no_command_of_the_text(text: str) -> None:
    written = latex_text(text)
    assert all(character.isascii() or character in LATIN for character in written)
    bare = re.sub(r"\\[&%$#_{}]", "", written)
    assert bare.count("{") == bare.count("}")
    known = {
        "textbackslash",
        "textasciitilde",
        "textasciicircum",
        "textless",
        "textgreater",
        "textbar",
        "to",
        "pm",
        "leq",
    }
    known |= {
        "geq",
        "times",
        "surd",
        "dagger",
        "ddagger",
        "S",
        "P",
        "textendash",
        "textemdash",
        "dots",
        "parbox",
        "Delta",
    }
    known |= {"linewidth", "raggedright", "hspace"}
    assert set(re.findall(r"\\([A-Za-z]+)", bare)) <= known
    assert not set("&%#_~") & set(bare), "every special character is written out"


@settings(deadline=None)
@given(TEXT)
def test_nothing_invisible_is_left(text: str) -> None:
    for write in (html_text, csv_text, latex_text):
        assert not re.search("[\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]", write(text))


def test_pdflatex_compiles_them_all(pdflatex: Callable[[Sequence[str]], str]) -> None:
    log = pdflatex([FORMATS["latex"](table(text)) for text in NASTY])
    assert "Missing character" not in log
