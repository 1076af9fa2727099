"""Write docs/catalogue.md and unite_bench/tasks/README.md from the task files. A test compares the two.

    python tools/catalogue.py

Run by maintainers after a task file changed.
"""

from __future__ import annotations

from pathlib import Path

from unite_bench.report.catalogue import catalogue_table, status_table
from unite_bench.report.formats import markdown
from unite_bench.spec.catalogue import entries_of, load_suite, tasks_root

PAGES = (Path(__file__).parent.parent / "docs" / "catalogue.md", tasks_root() / "README.md")
SUITES = ("embedded-sanity", "embedded-diagnostic", "unite", "unite-readings", "mmeb-v2", "uvrb", "mteb")
HEAD = """# The catalogue

Every task that ships as a file under `unite_bench/tasks`, by suite; written by `tools/catalogue.py`. `unite-bench list tasks
--granularity fine --modality video` filters the same rows, and `unite-bench show TASK` tells one.

A task *asks* for one modality with another (T text, I image, V video). Its *status*:

- *own*: ours, with data in the package. *verified*: compared with published numbers. *reconstructed*: after a paper whose
  test files were not released. *unverified*: written from what is known of the dataset, never run against it.
- *incomplete*: something is missing (`unite-bench show TASK` says what); listed, and refuses to run.

Nothing here was invented: what is not known says so. Counts with a question mark are what a source states, not what was
counted. A dataset without a pinned revision is resolved by the first download, which locks what it found.
*seen by*: training sets that contain the task's data. A model that declares one of them is marked in-domain.
"""


def page() -> str:
    """The whole page; the same in both places."""
    suites = {name: load_suite(name) for name in SUITES}
    entries = {name: entries_of(suite) for name, suite in suites.items()}
    parts = [HEAD, markdown(status_table(entries)).strip() + "\n"]
    for name, suite in suites.items():
        parts.append(f"## {suite.title}\n\nSuite `{name}`.\n\n{markdown(catalogue_table(entries[name]))}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(page(), encoding="utf-8")
        print(f"{path.name}: {len(page().splitlines())} lines")
