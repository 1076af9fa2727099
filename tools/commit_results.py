"""Copy results into the committed leaderboard and write the README's tables from them. Run by maintainers:

    unite-bench run --model reference --suite all --results out      # and the baselines
    python tools/commit_results.py out

Partial results are refused. The README's tables stand between two comments and are never edited by hand; a test compares
them with what the tool prints.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from unite_bench import results
from unite_bench.report.board import Wanted, boards
from unite_bench.report.formats import markdown
from unite_bench.results import committed_root

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- results -->", "<!-- /results -->"


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
    return "\n\n".join(markdown(table.transposed()) for table, _ in tables)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="*", help="folders of results; none: only rewrite the README")
    copied = sum(copy(folder) for folder in parser.parse_args().results)
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    README.write_text(f"{before}{BEGIN}\n{tables()}\n{END}{after}", encoding="utf-8")
    print(f"{copied} results copied, README tables rewritten")


if __name__ == "__main__":
    main()
