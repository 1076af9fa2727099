"""Write docs/catalogue.md from the task files. Run by maintainers after a task file changed; a test compares the two."""

from __future__ import annotations

from pathlib import Path

from unite_bench.report.catalogue import catalogue_table
from unite_bench.report.formats import markdown
from unite_bench.spec.catalogue import entries_of, load_suite

PAGE = Path(__file__).parent.parent / "docs" / "catalogue.md"
SUITES = ("embedded-sanity", "embedded-diagnostic", "unite", "mmeb-v2", "uvrb", "mteb")
HEAD = """# The catalogue

Every task that ships as a file under `unite_bench/tasks`, by suite; written by `tools/catalogue.py`. `unite-bench list tasks
--granularity fine --modality video` filters the same rows, and `unite-bench show TASK` tells one.

- *own*: ours, with data in the package. *verified*: compared with published numbers. *reconstructed*: after a paper whose
  test files were not released. *unverified*: written from what is known of the dataset, never run against it.
- *incomplete*: something is missing (`unite-bench show TASK` says what); listed, and refuses to run.
- Nothing here was invented: what is not known says so. Counts with a question mark are what a source states, not what was
  counted. A dataset without a pinned revision is resolved by the first download, which notes what it found.
- *seen by*: training sets that contain the task's data. A model that declares one of them is marked in-domain.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name in SUITES:
        suite = load_suite(name)
        parts.append(f"## {suite.title}\n\nSuite `{name}`.\n\n{markdown(catalogue_table(entries_of(suite)))}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(page().splitlines())} lines")
