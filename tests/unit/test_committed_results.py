"""What is committed as a result is whole, in its place, of the task as it reads today, and says what its rows say."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unite_bench import results
from unite_bench.embedders.baselines import ConstantEmbedder
from unite_bench.errors import SpecError
from unite_bench.evaluation import evaluate
from unite_bench.report.board import Wanted, boards
from unite_bench.results import committed_root
from unite_bench.spec.catalogue import load_task
from unite_bench.submissions import FILE, badge, gaps, read_submission

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from check_results import findings, page_findings

TASK = "scenes-quartet-order-one-frame"
SUBMISSION = """\
embedder: constant
by: maintainers
reported: self
model: in this repository
command: unite-bench run --model constant --suite all
"""


def test_the_committed_results_hold() -> None:
    assert list(findings(committed_root())) == []


def test_the_pages_show_the_committed_results() -> None:
    assert list(page_findings()) == []


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    results.write(evaluate(ConstantEmbedder(), load_task(TASK)), root)
    (root / "constant" / FILE).write_text(SUBMISSION)
    return root


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    shutil.copytree(made, tmp_path / "copy")
    return tmp_path / "copy"


def test_a_whole_result_has_no_findings(copy: Path) -> None:
    assert list(findings(copy)) == []


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        data = json.loads(path.read_text())
        change(data["record"])
        path.write_text(json.dumps(data))

    return edit


def doubled(path: Path) -> None:
    data = json.loads(path.read_text())
    data["record"]["embedder"]["fingerprint"] = "another"
    result = results.Result(data["record"], data["environment"], results.read_rows(path))
    results.write(result, path.parent.parent)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (edited(lambda record: record.pop("data")), "no 'data' in the record"),
        (edited(lambda record: record["protocol"].pop("ties")), "no 'ties' in the record's 'protocol'"),
        (edited(lambda record: record["measures"]["pairwise"].pop("chance")), "pairwise lacks a number"),
        (edited(lambda record: record["measures"]["pairwise"].update(value=0.9)), "0.9 lies outside its interval"),
        (edited(lambda record: record["measures"]["pairwise"].update(value=0.51, high=0.9)), "but 0.5 by its rows"),
        (edited(lambda record: record["data"].update(queries=7)), "rows for 7 queries"),
        (edited(lambda record: record["data"].update(digest="0")), "its content belongs under the name"),
        (edited(lambda record: record["embedder"].update(name="other")), "it is a result of other"),
        (edited(lambda record: record.update(contamination="unknown")), "but by its training sets clean"),
        (edited(lambda record: record["protocol"].update(task="0" * 12)), "reads otherwise today"),
        (edited(lambda record: record["task"].update(label=f"{TASK}@9")), "the catalogue holds"),
        (edited(lambda record: record["task"].update(name="gone")), "unknown task 'gone'"),
        (edited(lambda record: record.update(partial=True)), "a partial result"),
        (edited(lambda record: record.update(schema=0)), "written under schema 0"),
        (lambda path: path.write_text("{"), "not a readable result"),
        (lambda path: path.with_suffix(".parquet").unlink(), "no readable rows beside it"),
        (lambda path: (path.parent / "notes.txt").write_text("x"), "notes.txt: belongs to no result"),
        (lambda path: path.unlink(), ".parquet: belongs to no result"),
        (lambda path: (path.parent / FILE).unlink(), f"no {FILE}; docs/submitting.md"),
        (lambda path: (path.parent / FILE).write_text(SUBMISSION + "colour: red\n"), "unknown key 'colour'"),
        (lambda path: (path.parent / FILE).write_text(SUBMISSION.replace("constant", "x", 1)), "it is about x"),
        (doubled, "the same task and protocol as"),
    ],
)
def test_every_fault_is_found(copy: Path, change: Callable[[Path], object], finding: str) -> None:
    change(next((copy / "constant").glob("*.json")))
    assert finding in "\n".join(findings(copy))


def test_a_badge_says_who_measured_and_who_measured_again(copy: Path) -> None:
    folder, path = copy / "constant", next((copy / "constant").glob("*.json"))
    result = results.read(path)
    found = badge(read_submission(folder / FILE), [result])
    assert (found.results, found.rerun, found.reported) == (1, 0, "self")
    (table,) = boards(Wanted(layout="by-task", folders=(copy,), tasks=(TASK,)))
    assert table.rows[0].marks == ("ˢ",) and "self-reported" in table.notes["ˢ"]
    rerun = f"reruns:\n  - {{by: a reader, date: 2026-11-20, results: [{result.identity}], outcome: same record}}\n"
    (folder / FILE).write_text(SUBMISSION + rerun)
    assert badge(read_submission(folder / FILE), [result]).rerun == 1
    (table,) = boards(Wanted(layout="by-task", folders=(copy,), tasks=(TASK,)))
    assert table.rows[0].marks == ("ʳ",) and "measured again by others" in table.notes["ʳ"]
    (told,) = boards(Wanted(layout="badges", folders=(copy,)))
    assert [cell.text for cell in told.rows[0].cells][2:4] == ["1", "those who made the model"]
    (folder / FILE).write_text(SUBMISSION + rerun.replace("same record", "differs"))
    assert badge(read_submission(folder / FILE), [result]).rerun == 0
    (folder / FILE).write_text(SUBMISSION + rerun.replace("a reader", "Maintainers"))
    with pytest.raises(SpecError, match="a rerun is by somebody else than maintainers"):
        read_submission(folder / FILE)


def test_a_record_lacks_what_would_be_needed_to_make_it_again(made: Path) -> None:
    result = results.read(next((made / "constant").glob("*.json")))
    whole = dict(result.environment) | {"git_revision": "0" * 40}
    assert gaps(results.Result(result.record, whole)) == []
    dirty = whole | {"git_revision": "0123456-dirty"}
    assert gaps(results.Result(result.record, dirty)) == ["made in a checkout with changes that are not committed"]
    nowhere = whole | {"git_revision": None, "packages": {"unite-bench": "0.1.0.dev0"}}
    assert len(gaps(results.Result(result.record, nowhere))) == 2
    released = whole | {"git_revision": None, "packages": {"unite-bench": "0.1.0", "numpy": "2"}}
    assert gaps(results.Result(result.record, released)) == []
