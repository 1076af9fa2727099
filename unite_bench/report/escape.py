"""Text from data as text in every format: the one place where captions, titles and names meet a markup.

Line breaks become spaces. Characters that cannot be seen or that turn the direction of what follows (controls, Unicode's
directional overrides) are shown by their number, as in [U+202E], so that no name can reorder a table.
"""

from __future__ import annotations

import html
import re
import unicodedata

RAISED = {"ˢ": "s", "ʳ": "r", "⁺": "$+$", "⁻": "$-$"}
LATEX = {
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
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "{''}",
    "`": "{`}",
    "[": "{[}",  # after the end of a row, a bare bracket or star would be an argument
    "]": "{]}",
    "*": "{*}",
    "→": r"$\to$",
    "±": r"$\pm$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "✓": r"$\surd$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    **{raised: rf"\textsuperscript{{{plain}}}" for raised, plain in RAISED.items()},
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "…": r"\dots{}",
}
LATIN = frozenset("ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝßàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿŒœŁłŠšŽžČčĆćŘřĚěŮů")
LONG = 80  # characters that a table can bear on one line
RUN = 20  # letters without a break
CELL, PARAGRAPH = 400, 2_500  # characters that are printed of a text; TeX has no room for ten thousand
DIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
MARKDOWN = re.compile(r"[\\`*|$~]|\](?=[(\[:])|(?<![^\W_])_|_(?![^\W_])")
ENTITY = re.compile(r"&(?=#?\w+;)")
BLOCK = re.compile(r"^(#|[-+>](?=\s|$)|\d+[.)](?=\s|$)|=+$|-+$)")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?( \[[+-]?\d+(\.\d+)?, [+-]?\d+(\.\d+)?\])?$|-$")


def plain(text: str) -> str:
    """One line of visible characters."""
    return "".join(_visible(character) for character in re.sub(r"\r\n|[\r\n\t\v\f\x85\u2028\u2029]", " ", text))


def html_text(text: str) -> str:
    """For HTML, between tags and within quoted attributes. Right-to-left text keeps its own direction."""
    escaped = html.escape(plain(text))
    return f"<bdi>{escaped}</bdi>" if _right_to_left(text) else escaped


def html_attribute(text: str) -> str:
    """For a quoted attribute, where no element may stand."""
    return html.escape(plain(text))


def markdown_text(text: str) -> str:
    """For Markdown as GitHub reads it, within a line."""
    escaped = ENTITY.sub("&amp;", plain(text)).replace("<", "&lt;")
    escaped = MARKDOWN.sub(lambda match: "\\" + match[0], escaped)
    return f"\u2068{escaped}\u2069" if _right_to_left(text) else escaped


def markdown_line(text: str) -> str:
    """For Markdown, as a whole line: it starts no heading and no list either."""
    return BLOCK.sub(lambda match: match[0][:-1] + "\\" + match[0][-1], markdown_text(text))


def csv_text(text: str) -> str:
    """For CSV: what a spreadsheet would take for a formula is kept from being one by a quotation mark before it."""
    shown = plain(text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) and not NUMBER.match(shown) else shown


def latex_text(text: str) -> str:
    """For a cell of LaTeX under pdflatex, without further packages. What its fonts lack (emoji, other scripts) stands as its
    number; of what is too long to print, the beginning and the length."""
    shown = _cut(plain(text), CELL)
    if len(shown) <= LONG:
        return _latex(shown)
    broken = re.sub(rf"(\S{{{RUN}}})(?=\S)", "\\1\0", shown)
    pieces = r"\hspace{0pt}".join(map(_latex, broken.split("\0")))
    return rf"\parbox[t]{{0.6\linewidth}}{{\raggedright {pieces}}}"


def latex_mark(mark: str) -> str:
    """A mark for a superscript; one that is raised by itself comes down, since it is raised there."""
    return RAISED.get(mark) or latex_text(mark)


def latex_paragraph(text: str) -> str:
    """For running text of LaTeX, such as a caption; else like a cell."""
    return " ".join(map(latex_text, _cut(plain(text), PARAGRAPH).split(" ")))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[:length]}… ({len(text):,} characters)"


def _latex(text: str) -> str:
    return "".join(map(_latex_character, text)).replace("--", "-{}-")


def _latex_character(character: str) -> str:
    if character in LATEX:
        return LATEX[character]
    if character.isascii() or character in LATIN:
        return character
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in ("Cc", "Cs", "Cn", "Co") or character in DIRECTIONAL
    return f"[U+{ord(character):04X}]" if hidden else character


def _right_to_left(text: str) -> bool:
    return any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in text)
