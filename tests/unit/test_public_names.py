"""The names of `unite_bench` itself: all there, told of, typed, and loaded when they are first used."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

import unite_bench as ub

NAMES = (
    *("Embedder", "EmbedderCard", "Item", "Text", "Image", "Video", "Role", "Task", "Result", "Settings", "Comparison"),
    *("load_task", "load_suite", "load_embedder", "evaluate", "run", "compare"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_there_with_a_docstring_and_types(name: str) -> None:
    named = getattr(ub, name)
    assert name in dir(ub)
    if name == "Role":
        assert get_args(named) == ("query", "candidate")
        return
    assert inspect.getdoc(named) and not inspect.getdoc(named).startswith(f"{name}("), "a docstring of its own"
    if inspect.isfunction(named):
        signature = inspect.signature(named)
        assert signature.return_annotation is not inspect.Signature.empty
        assert all(p.annotation is not inspect.Parameter.empty for p in signature.parameters.values())


def test_the_names_are_those_that_type_checkers_see() -> None:
    source = Path(ub.__file__).read_text(encoding="utf-8").split("if TYPE_CHECKING:")[1].split("\n\n\n")[0]
    assert sorted(line.split()[-1] for line in source.strip().splitlines()) == sorted(NAMES)
    assert (Path(ub.__file__).parent / "py.typed").exists()


def test_importing_the_package_imports_nothing_else() -> None:
    code = (
        "import sys; before = set(sys.modules); import unite_bench; dir(unite_bench); "
        "new = {m.split('.')[0] for m in set(sys.modules) - before}; "
        "assert not new & {'numpy', 'scipy', 'torch', 'pydantic', 'typer', 'pyarrow'}, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'evaluat'"):
        ub.evaluat


class Length(ub.Embedder):
    """Knows how long a text is."""

    def __init__(self, name: str, sign: float):
        super().__init__()
        self.card = ub.EmbedderCard(name=name, modalities={"text"}, dim=2, training_sets=frozenset())
        self.sign = sign

    def embed(self, items: list[ub.Item], role: ub.Role) -> np.ndarray:
        sign = self.sign if role == "candidate" else 1.0
        return np.array([[np.sin(len(i.text)), sign * np.cos(len(i.text))] for i in items])


def test_from_a_class_to_a_comparison(tmp_path: Path) -> None:
    """The walk of the README: evaluate two embedders on one task, and compare the results in memory and from files."""
    (tmp_path / "rows.jsonl").write_text("".join(f'{{"q": "{"a" * n}", "c": "{"b" * n}"}}\n' for n in range(1, 9)))
    (tmp_path / "lengths.yaml").write_text(
        "name: lengths\nversion: 1\ngranularity: coarse\nsource: {kind: files, path: rows.jsonl}\n"
        "queries: {modality: text, text: q}\ncandidates: {modality: text, text: c}\n"
        "qrels: by-row\nmetrics: [hit@1]\nprimary: hit@1\n"
    )
    task = ub.load_task(str(tmp_path / "lengths.yaml"))
    good, bad = Length("good", 1.0), Length("bad", -1.0)
    first, second = (ub.evaluate(model, task, store=tmp_path / "store") for model in (good, bad))
    found = ub.compare([first, second], tasks=[task])
    (difference,) = found.tasks
    assert found.embedders == ("good", "bad") and difference.where == "lengths@1"
    assert difference.scores == (first["hit@1"], second["hit@1"]) and first["hit@1"] == 1.0 > second["hit@1"]
    assert "| lengths@1 |" in str(found) and "Holm over 1 pair x 1 task" in str(found)
    for model in (good, bad):
        assert all(
            o.status == "done" for o in ub.run(model, [task], results_root=tmp_path / "out", store=tmp_path / "store")
        )
    assert ub.compare([tmp_path / "out"], ["good", "bad"]).tasks == found.tasks
    (turned,) = ub.compare([str(tmp_path / "out")]).tasks
    assert turned.pair == ("bad", "good"), "without names, all embedders in the order of their results"
