"""Copy results into the committed leaderboard and write the README's tables from them. Run by maintainers:

    unite-bench run --model reference --suite all --results out      # and the baselines
    python tools/commit_results.py out

Partial results are refused. The README's tables, the differences of the suite `checkpoint` in docs/checkpoints.md, nano's
profile in docs/nano.md and what the study found, in reference_model/README.md, stand between two comments, never edited by
hand; a test compares them with what the tool writes.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from reference_model.study.design import RUNS
from reference_model.study.explored import explored
from reference_model.study.verdicts import finished, judge, read_runs, table
from unite_bench import results
from unite_bench.callbacks.subset import differences, pairs_with_full
from unite_bench.report.board import Wanted, boards
from unite_bench.report.formats import markdown
from unite_bench.results import committed_root
from unite_bench.spec.catalogue import load_suite, tasks_of

sys.path.insert(0, str(Path(__file__).parent))
from nano_profile import profile

ROOT = Path(__file__).parent.parent


def copy(source: Path) -> int:
    """Copy every result and its rows; a newer result of the same embedder and task takes the old one's place."""
    copied = 0
    for path in sorted(source.glob("*/*.json")):
        record = results.read(path).record
        if record["partial"]:
            raise SystemExit(f"{path}: a partial result is not committed")
        folder = committed_root() / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob(f"{record['task']['label']}-*"):
            old.unlink()
        for file in (path, path.with_suffix(".parquet")):
            shutil.copyfile(file, folder / file.name)
        copied += 1
    return copied


def tables() -> str:
    """What stands in the README: one table a suite, from the committed results."""
    tables = boards(Wanted(committed=True))
    return "\n\n".join(markdown(table.transposed()) for table in tables)


def small_suite() -> str:
    """What stands in docs/checkpoints.md: how far the suite `checkpoint` is from the full one, in the committed results."""
    suite = load_suite("checkpoint")
    found = differences(pairs_with_full(suite, tasks_of(suite)), [committed_root()])
    rows = [f"| {name} | {100 * value:+.1f} |" for name, value in sorted(found.of.items())]
    return "\n".join(["| embedder | small less full, in points |", "|---|---:|", *rows])


def verdicts() -> str:
    """What the study has found, of the families of comparisons that have all their runs."""
    runs = read_runs(RUNS)
    return table(judge(runs, finished(runs)))


def looked_at() -> str:
    """What was looked at after the study's verdicts."""
    return explored(read_runs(RUNS))


GENERATED: tuple[tuple[Path, str, Callable[[], str]], ...] = (
    (ROOT / "README.md", "results", tables),
    (ROOT / "docs" / "checkpoints.md", "small suite", small_suite),
    (ROOT / "docs" / "nano.md", "profile", profile),
    (ROOT / "reference_model" / "README.md", "verdicts", verdicts),
    (ROOT / "reference_model" / "README.md", "explored", looked_at),
)  # page, name of its two comments, what stands between them


def standing(page: Path, name: str) -> str:
    """What stands between the page's two comments of that name."""
    begin, end = _comments(name)
    return page.read_text(encoding="utf-8").split(begin)[1].split(end)[0].strip("\n")


def rewrite(page: Path, name: str, text: str) -> None:
    """Put the text between the page's two comments of that name."""
    begin, end = _comments(name)
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def _comments(name: str) -> tuple[str, str]:
    return f"<!-- {name} -->", f"<!-- /{name} -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="*", help="folders of results; none: only rewrite the pages")
    copied = sum(copy(folder) for folder in parser.parse_args().results)
    for page, name, text in GENERATED:
        rewrite(page, name, text())
    print(f"{copied} results copied, tables rewritten")


if __name__ == "__main__":
    main()
