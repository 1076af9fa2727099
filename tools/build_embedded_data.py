"""Rebuilds the embedded real data from the named packages. For maintainers.

    python tools/build_embedded_data.py --work DIR [--train-out DIR] [--only SET ...]
    python tools/build_embedded_data.py --work DIR --record

The first form fetches the packages, writes the test splits into ``unite_bench/tasks/embedded/SET/data`` (they are
committed) and the train splits into ``--train-out`` (they are not). The same packages give the same bytes. All sets but
the animations take about four minutes on two cores.

The animations need takes of the screen savers in ``DIR/recordings``. The second form makes those that are missing, in
about twenty minutes. A recording can't be reproduced byte by byte, so it is a step of its own; the committed clips are
the truth, and a new recording is a new version of the tasks.

Needs ``numpy``, ``pillow``, ``fonttools`` and ``av``, and the programs ``rsvg-convert``, ``ffmpeg``, ``Xvfb``,
``apt-get``, ``dpkg-deb`` and ``npm``; to record, the xscreensaver packages must be installed.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path

from embedded_data.recording import record_all
from embedded_data.train_readme import write_train_readme

SETS = ("wordnet", "openclipart", "emoji", "lucide", "flags", "animations")
TASKS = Path(__file__).resolve().parent.parent / "unite_bench" / "tasks" / "embedded"

log = logging.getLogger("build_embedded_data")


def default_train_folder() -> Path:
    """``$UNITE_BENCH_DATA/embedded-train``, or below the user's cache folder where that isn't set."""
    data = os.environ.get("UNITE_BENCH_DATA")
    return (Path(data) if data else Path.home() / ".cache" / "unite-bench" / "data") / "embedded-train"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for downloads, drawings and recordings")
    parser.add_argument("--train-out", type=Path, default=default_train_folder(), help="folder of the train splits")
    parser.add_argument("--tasks-out", type=Path, default=TASKS, help="folder of the test splits")
    parser.add_argument("--only", nargs="+", choices=SETS, default=SETS, metavar="SET", help=", ".join(SETS))
    parser.add_argument("--record", action="store_true", help="record the missing animations and do nothing else")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    if options.record:
        record_all(options.work)
        return
    options.train_out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        log.info("building %s", name)
        importlib.import_module(f"embedded_data.{name}").build(
            options.work, options.tasks_out / name, options.train_out
        )
    write_train_readme(options.train_out)


if __name__ == "__main__":
    main()
