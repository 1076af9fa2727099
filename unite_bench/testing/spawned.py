"""An embedder in a process of its own, started afresh: `python -m unite_bench.testing.spawned FOLDER`.

The embedder travels by pickle between these two processes only; its vectors come back as a .npz file, one array an item.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unite_bench.embedders.contract import Rows, as_rows
from unite_bench.encode.run import ask, set_up
from unite_bench.errors import CheckFailed
from unite_bench.items import Item
from unite_bench.testing.subject import Subject

SECONDS = 600.0
REQUEST, ANSWER = "request.pickle", "vectors.npz"


def vectors(subject: Subject, items: Sequence[Item]) -> list[Rows]:
    """The (tokens, dim) float32 rows of every item, from another process. Raises CheckFailed with the last line of its
    errors."""
    module = type(subject.embedder).__module__
    file = getattr(sys.modules.get(module), "__file__", None)
    with tempfile.TemporaryDirectory() as folder:
        request = (module, file, subject.device, subject.dtype, subject.pickled, pickle.dumps(list(items)))
        (Path(folder) / REQUEST).write_bytes(pickle.dumps(request))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or "." for path in sys.path)}
        command = [sys.executable, "-m", "unite_bench.testing.spawned", folder]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(f"a new process gave no vectors in {SECONDS:g} s") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            raise CheckFailed(f"a new process ended with code {done.returncode}: {said[-1]}")
        with np.load(Path(folder) / ANSWER, allow_pickle=False) as found:
            return [found[str(n)] for n in range(len(items))]


def _main(folder: Path) -> None:
    module, file, device, dtype, embedder, items = pickle.loads((folder / REQUEST).read_bytes())
    _import(module, file)
    model, shown = pickle.loads(embedder), pickle.loads(items)
    set_up(model, device, dtype)
    rows = as_rows(ask(model, shown, "query"), len(shown), model.card)
    np.savez(folder / ANSWER, **{str(n): own for n, own in enumerate(rows)})  # type: ignore[arg-type]


def _import(module: str, file: str | None) -> None:
    """Import a module that was loaded from a file under a name that no path leads to."""
    if file is None or importlib.util.find_spec(module) is not None:
        return
    spec = importlib.util.spec_from_file_location(module, file)
    assert spec is not None and spec.loader is not None  # a .py file always has a loader
    sys.modules[module] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[module])


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
