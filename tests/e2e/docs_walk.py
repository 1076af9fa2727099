"""The documentation as programs: the files and commands of a page, taken from the page itself.

A comment before a fenced block says what becomes of it:

    <!-- file: NAME -->        written to NAME before anything of the page runs
    <!-- run -->               run
    <!-- run: slow -->         run by the tests marked slow
    <!-- not run: REASON -->   left out
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from unite_bench.cli import commands

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHELL = ("", "sh", "bash", "shell", "console")  # what a fence without a language holds is taken for commands
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^>\n]+) -->\n\n?)?^```(?P<language>[\w-]*)[^\n]*\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """A fenced block; `mark` is the comment before it, or "" if there is none."""

    where: str
    mark: str
    language: str
    body: str

    @property
    def file(self) -> str | None:
        """The name under which it is written, if it is a file."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else None


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            f"{page.name}:{text[: m.start()].count(chr(10)) + 1}", (m["mark"] or "").strip(), m["language"], m["body"]
        )
        for m in BLOCK.finditer(text)
    ]


def walk(page: Path, folder: Path, slow: bool = False) -> dict[str, str]:
    """Write the page's files into `folder`, which is the working directory, and run its blocks in order: what each command
    printed. Blocks marked slow are run if `slow`."""
    found = blocks(page)
    for block in found:
        if block.file:
            (folder / block.file).write_text(block.body, encoding="utf-8")
    printed = {}
    for block in found:
        if block.mark != "run" and not (slow and block.mark == "run: slow"):
            continue
        if block.language == "python":
            exec(compile(block.body, block.where, "exec"), {"__name__": "page"})
        else:
            printed |= run_commands(block)
    return printed


def run_commands(block: Block) -> dict[str, str]:
    """Each line of the block as a command, and what it printed; `unite-bench` within this process, which saves its start."""
    app = commands()
    printed = {}
    for line in block.body.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True) or [""]
        if program == "unite-bench":
            done = CliRunner().invoke(app, arguments)
            assert done.exit_code == 0, f"{block.where}: {line}\n{done.output}\n{done.exception!r}"
            printed[line] = done.output
        elif program == "python":
            printed[line] = subprocess.check_output([sys.executable, *arguments], text=True)
        else:
            assert not program, f"{block.where}: {line}: only unite-bench and python are run"
    return printed
