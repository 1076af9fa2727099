"""Tables as papers print them: their columns, their means, and what may stand beside what."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unite_bench import results
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.errors import DataError, SpecError, UsageError
from unite_bench.evaluation import evaluate
from unite_bench.published import Published, Row, all_published, published_files, read_published
from unite_bench.report.arrange import arranged
from unite_bench.report.board import Wanted, boards, layout_titles
from unite_bench.report.entries import (
    BETTER,
    IN_DOMAIN,
    PROTOCOL,
    PUBLISHED,
    WORSE,
    Asked,
    Entry,
    Score,
    measured,
    published,
)
from unite_bench.report.formats import latex
from unite_bench.report.layout import Column, Layout
from unite_bench.report.layout_file import layout_files, load_layout
from unite_bench.report.leaderboard import TARGET, layout_table
from unite_bench.report.mean_intervals import mean_intervals
from unite_bench.report.significance import with_significance
from unite_bench.report.table import MISSING, NOT_APPLICABLE, Table
from unite_bench.results import Result
from unite_bench.spec.reader import parse_task

SIZES = {
    "mmeb": {"CLS": 10, "VQA": 10, "RET": 12, "GD": 4, "IND": 20, "OOD": 16, "Overall": 36},
    "mmeb-v2": {
        "Image CLS": 10,
        "Image QA": 10,
        "Image RET": 12,
        "Image GD": 4,
        "Image All": 36,
        "Video CLS": 5,
        "Video QA": 5,
        "Video RET": 5,
        "Video MRET": 3,
        "Video All": 18,
        "VisDoc VDRv1": 10,
        "VisDoc VDRv2": 4,
        "VisDoc VisRAG": 6,
        "VisDoc OOD": 4,
        "VisDoc All": 24,
        "All": 78,
    },
}
PARTS = {
    "mmeb/Overall": ["mmeb/CLS", "mmeb/VQA", "mmeb/RET", "mmeb/GD"],
    "mmeb-v2/Image All": [f"mmeb-v2/Image {name}" for name in ("CLS", "QA", "RET", "GD")],
    "mmeb-v2/Video All": [f"mmeb-v2/Video {name}" for name in ("CLS", "QA", "RET", "MRET")],
    "mmeb-v2/VisDoc All": [f"mmeb-v2/VisDoc {name}" for name in ("VDRv1", "VDRv2", "VisRAG", "OOD")],
    "mmeb-v2/All": [f"mmeb-v2/{name} All" for name in ("Image", "Video", "VisDoc")],
}
ROUNDING = 0.1 + 1e-9  # a mean of numbers with one digit, itself printed with one digit


@cache
def columns(layout: str) -> dict[str, Column]:
    return {f"{layout}/{column.full_name}": column for column in load_layout(layout).columns}


def shown(names: list[str], layout: str, **options: object) -> Table:
    """The table of these published scores, with all columns unless some are chosen."""
    return next(boards(Wanted(layout=layout, published=tuple(names), **{"columns": ("*",), **options})))  # type: ignore[arg-type]


def test_every_layout_loads_with_the_columns_of_its_paper() -> None:
    for name, sizes in SIZES.items():
        assert {c.full_name: len(c.all_tasks) for c in load_layout(name).columns} == sizes
    whole = set(load_layout("mmeb").columns[-1].all_tasks)
    assert set(columns("mmeb")["mmeb/IND"].tasks) | set(columns("mmeb")["mmeb/OOD"].tasks) == whole
    coarse = load_layout("unite-coarse").columns
    assert len(coarse) == 31 and coarse[-1].total and coarse[-1].optional and len(coarse[-1].of) == 30
    assert coarse[0].full_name == "Flickr30K T→I R@1" and coarse[29].measure == "hit@10"
    assert len(load_layout("unite-fine").columns) == 12
    assert [c.measure for c in load_layout("unite-covr").columns] == ["hit@1", "hit@5", "hit@10", "hit@50"]
    assert len(load_layout("uvrb").tasks) == 16
    assert len(load_layout("mmeb").per_task().columns) == 36
    assert set(layout_files()) < set(layout_titles())


def test_every_published_mean_belongs_to_a_column() -> None:
    means = {column.mean for file in all_published() for column in file.columns.values() if column.mean is not None}
    assert means <= {name for layout in ("mmeb", "mmeb-v2", "uvrb") for name in columns(layout)}


def recomputed() -> Iterator[tuple[Published, Row, str, float, float]]:
    """File, row, column, mean as printed and as recomputed from what is printed beside it."""
    for file in all_published():
        for row in file.rows:
            printed = {file.columns[name].mean: value for name, value in row.scores.items() if file.columns[name].mean}
            names = {file.columns[name].mean: name for name in row.scores}
            for mean, parts in PARTS.items():
                if mean in printed and all(part in printed for part in parts):
                    sizes = [len(columns(mean.split("/")[0])[part].all_tasks) for part in parts]
                    again = float(np.average([printed[part] for part in parts], weights=sizes))
                    yield file, row, names[mean], printed[mean], again


def test_printed_means_are_the_means_of_what_is_printed_but_where_flagged() -> None:
    found = list(recomputed())
    assert len(found) == 27 + 4 * 10
    wrong = {(file.name, row.checkpoint, name) for file, row, name, a, b in found if abs(a - b) > ROUNDING}
    assert wrong == {
        ("freeret", "UniME Phi-3.5-V", "Overall"),
        ("freeret", "UniME LLaVA-1.6-7B", "Overall"),
        ("mmeb-leaderboard", "VLM2Vec Qwen2-VL-2B-LoRA-HighRes", "Overall"),
        ("qwen3-vl-embedding", "GME-7B", "VisDoc Overall"),
        ("qwen3-vl-embedding", "Seed-1.6-embedding-1215", "VisDoc Overall"),
    }
    assert all(name in row.flags for file, row, name, *_ in found if (file.name, row.checkpoint, name) in wrong)


def test_the_uvrb_table_regenerates_from_its_sixteen_scores() -> None:
    gve = read_published(published_files()["gve"])
    printed = {row.checkpoint: row.scores["AVG"] for row in gve.rows}
    table = shown(["gve"], "uvrb", digits=2)
    average = table.full_columns.index("AVG")
    for row in table.rows:
        name = row.name.removesuffix(" (gve)")
        close = abs(100 * (row.cells[average].value or 0) - printed[name]) <= ROUNDING / 2
        assert close == (name != "VLM2Vec-V2"), (name, row.cells[average], printed[name])
    by_ability = shown(["embed-rl"], "uvrb")
    unite = {table.name: table for table in table.rows}["Unite-7B (gve)"]
    for name in ("CG", "FG", "LC"):
        at = table.full_columns.index(name)
        printed_mean = next(row for row in by_ability.rows if row.name.startswith("Unite-7B")).cells[at].value
        assert abs(100 * (unite.cells[at].value or 0) - 100 * (printed_mean or 0)) <= ROUNDING


def test_a_printed_table_of_mmeb_v2_regenerates_from_the_score_files_of_others() -> None:
    """Rows of the Qwen3-VL-Embedding table against means over the per-task files of VLM2Vec, which it does not name."""
    same = {
        "VLM2Vec-2B": "VLM2Vec-V1-Qwen2VL-2B",
        "VLM2Vec-V2-2B": "VLM2Vec-V2.0-Qwen2VL-2B",
        "GME-2B": "gme-Qwen2-VL-2B-Instruct",
        "GME-7B": "gme-Qwen2-VL-7B-Instruct",
    }
    printed, files = shown(["qwen3-vl-embedding"], "mmeb-v2"), shown(["vlm2vec-v2.0.0"], "mmeb-v2")
    theirs = {row.name: row for row in printed.rows}
    ours = {row.name: row for row in files.rows}
    compared = 0
    for name, checkpoint in same.items():
        for n, column in enumerate(printed.full_columns):
            a, b = theirs[f"{name} (qwen3-vl-embedding)"].cells[n], ours[f"{checkpoint} (vlm2vec-v2.0.0)"].cells[n]
            if column in ("Video MRET", "Video All", "VisDoc OOD", "VisDoc All", "All"):
                assert b == MISSING, "a score below it is of other data, so there is no mean"
            else:
                assert abs(100 * ((a.value or 0) - (b.value or 0))) <= 0.051, (name, column, a.text, b.text)
                compared += 1
    assert compared == 4 * 11


def test_the_tables_of_papers_compile(pdflatex: Callable[[Sequence[str]], str], folder: Path) -> None:
    """Heads, sections, rules and every mark, as the layouts print them."""
    tables = [shown(["all"], "mmeb-v2"), shown(["gve"], "uvrb"), shown(["unite"], "unite-covr")]
    tables.append(arranged(shown(["all"], "mmeb", per_task=False), groups=["backbone", "size"]))
    tables.append(shown(["vlm2vec-v2.1"], "mmeb", per_task=True).transposed())
    tables += boards(wanted(folder, "by-task", against="without-b", intervals=True))
    log = pdflatex([latex(table) for table in tables])
    assert "Missing character" not in log and f"({len(tables)} page" in log.replace("\n", "")


def asked(name: str, form: str = "text") -> Asked:
    return Asked(name, f"{name}@1", "hit@1", frozenset({form}), None, frozenset({f"{name}-train"}))


def entry(name: str, *values: float | None, marks: tuple[str, ...] = (), published: bool = False) -> Entry:
    scores = {
        (f"{task}@1", "hit@1"): Score(value, (value - 0.05, value + 0.05), 0.1, 100, marks)
        for task, value in zip("abc", values, strict=False)
        if value is not None
    }
    return Entry(
        name,
        scores,
        modalities=frozenset({"text"}),
        published=published,
        backbone=f"B{len(name)}",
        marks=(PUBLISHED,) * published,
    )


MEAN = Layout("own", "Own", (Column("A", "head", (asked("a"),)), Column("mean", tasks=(asked("a"), asked("b")))))


def test_a_partial_row_has_no_mean_and_a_lacking_modality_reads_not_applicable() -> None:
    table = layout_table(MEAN, [entry("full", 0.5, 0.7), entry("part", 0.5)])
    assert [row.cells[1] for row in table.rows][1] == MISSING
    assert table.rows[0].cells[1].text == "60.0"
    seeing = Layout("own", "Own", (Column("A", tasks=(asked("a", "image"),)),))
    assert layout_table(seeing, [entry("blind")]).rows[0].cells == (NOT_APPLICABLE,)
    unknown = replace(entry("who knows"), modalities=None)
    assert layout_table(seeing, [unknown]).rows[0].cells == (MISSING,), "what is not known is not claimed"


def test_in_domain_rows_stand_below_the_rule_and_are_never_best() -> None:
    table = layout_table(
        MEAN, [entry("seen", 0.9, 0.9, marks=(IN_DOMAIN,)), entry("x", 0.5, 0.5), entry("y", 0.4, 0.4)]
    )
    assert [row.name for row in table.rows] == ["x", "y", "seen"] and table.rows[2].below_rule
    assert table.places() == {(0, 0): 1, (0, 1): 1, (1, 0): 2, (1, 1): 2}
    assert IN_DOMAIN in table.notes


def test_published_rows_are_marked_and_not_compared_with_measured_ones() -> None:
    printed = [entry("p", 0.9, 0.9, published=True), entry("q", 0.8, 0.8, published=True)]
    table = layout_table(MEAN, [entry("x", 0.5, 0.5), entry("y", 0.4, 0.4), *printed])
    assert {at[0] for at in table.places()} == {0, 1}
    assert [row.marks for row in table.rows] == [(), (), (PUBLISHED,), (PUBLISHED,)]
    alone = layout_table(MEAN, printed)
    assert alone.places()[0, 0] == 1, "a table of published rows has its own best"


def test_published_marks_say_why() -> None:
    layout = load_layout("mmeb")
    rows = published(all_published(), {task.name: task for task in layout.tasks}, layout.means)
    by_name = {row.name: row for row in rows}
    seen = by_name["Unite-Instruct-7B (unite)"].means["mmeb/Overall"]
    assert set(seen.marks) == {"†", "ˢ", "§"} and "run_by: the authors of UNITE" in seen.reason
    disputed = by_name["UniME Phi-3.5-V (freeret)"].means["mmeb/Overall"]
    assert set(disputed.marks) == {"?", "§", "!"} and disputed.reason.startswith("the mean of 36 from the sub-scores")
    out_of_domain = by_name["VLM2Vec-V1-Qwen2VL-7B (vlm2vec-v2.1)"].scores["mmeb-place365@1", "hit@1"]
    assert out_of_domain.marks == ("?", "ˢ"), "not known to be in the training data, and not known not to be"
    table = layout_table(layout, [by_name["UniME Phi-3.5-V (freeret)"]])
    assert "UniME Phi-3.5-V (freeret): 64.2, the mean of 36" in table.notes["!"]


def test_totals_controls_and_means_of_columns() -> None:
    a, b = Column("A", tasks=(asked("a"),)), Column("B", tasks=(asked("b"),))
    total = Column("sum", of=(a, b), total=True)
    less = Column("over", tasks=(asked("a"),), less=(asked("b"), asked("c")))
    table = layout_table(Layout("own", "Own", (a, b, total, less)), [entry("x", 0.5, 0.3, 0.02), entry("y", 0.5, 0.3)])
    assert [cell.text for cell in table.rows[0].cells] == ["50.0", "30.0", "80.0", "20.0"]
    assert table.rows[1].cells[3] == MISSING, "without a control there is nothing to take away"
    below = layout_table(Layout("own", "Own", (less,)), [entry("x", 0.5, 0.01, 0.02)])
    assert below.rows[0].cells[0].text == "40.0", "a control below chance counts as chance"


def test_columns_rows_order_groups_precision_and_highlights_are_chosen() -> None:
    held = [entry("x", 0.5, 0.7), entry("long", 0.6, 0.4), entry("zz", 0.2, 0.3)]
    table = layout_table(MEAN, held, digits=2)
    assert table.rows[0].cells[1].text == "60.00"
    only = arranged(table, columns=["mean", "head *"], rows=["zz", "x"], order="A")
    assert only.full_columns == ("mean", "head A") and [row.name for row in only.rows] == ["x", "zz"]
    assert [row.name for row in arranged(table, rows=["zz", "x*"]).rows] == ["zz", "x"]
    grouped = arranged(table, groups=["backbone"], highlight="best")
    assert [row.section for row in grouped.rows] == ["B1", "B4", "B2"] and set(grouped.places().values()) == {1}
    assert arranged(table, highlight="none").places() == {}
    for wrong in ({"columns": ["C"]}, {"rows": ["nobody"]}, {"order": "C"}, {"groups": ["colour"]}):
        with pytest.raises(UsageError):
            arranged(table, **wrong)  # type: ignore[arg-type]


def test_a_wrong_layout_says_what_and_where(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\ntitle: Own\ngroups:\n  - columns: [{name: A, task: scenes-t2i}]\n")
    with pytest.raises(SpecError, match=r"own.yaml:4:25: unknown key 'task', did you mean 'tasks'"):
        load_layout(str(path))
    with pytest.raises(UsageError, match="unknown layout 'mmebb', did you mean 'mmeb'"):
        list(boards(Wanted(layout="mmebb", published=("all",))))
    with pytest.raises(UsageError, match="no published scores 'gv'"):
        list(boards(Wanted(layout="uvrb", published=("gv",))))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of three variants of one embedder on 12 texts: one right, one wrong twice, one wrong ten times."""
    root = tmp_path_factory.mktemp("variants")
    words = [f"word{n} other{n}" for n in range(12)]
    (root / "rows.jsonl").write_text("\n".join(json.dumps({"q": w, "c": w}) for w in words))
    text = """\
name: words
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {modality: text, text: q}
candidates: {modality: text, text: c}
qrels: by-row
metrics: [hit@1]
primary: hit@1
trained_on: [words-train]
protocol: {status: reconstructed}
"""
    (root / "words.yaml").write_text(text)
    base = evaluate(HashedTextEmbedder(), parse_task(text, "words.yaml", root))
    for name, wrong in (("full", 0), ("without-a", 2), ("without-b", 10)):
        results.write(variant(base, name, wrong), root / "out")
    return root


def variant(base: Result, name: str, wrong: int) -> Result:
    record = json.loads(json.dumps(base.record))
    record["embedder"]["name"] = name
    value = 1 - wrong / 12
    record["measures"]["hit@1"] |= {"value": value, "low": max(0.0, value - 0.3), "high": min(1.0, value + 0.2)}
    rows = [{**row, "hit@1": float(n >= wrong)} for n, row in enumerate(base.rows)]
    return Result(record, base.environment, rows)


def wanted(folder: Path, layout: str, **options: object) -> Wanted:
    return Wanted(layout=layout, folders=(folder / "out",), tasks=(str(folder / "words.yaml"),), **options)  # type: ignore[arg-type]


class Named(HashedTextEmbedder):
    card = replace(HashedTextEmbedder.card, name="named", backbone="Qwen2-VL", size="2B")


def test_rows_are_grouped_by_what_cards_say(folder: Path, tmp_path: Path) -> None:
    task = folder / "words.yaml"
    results.write(evaluate(Named(), parse_task(task.read_text(), "words.yaml", folder)), tmp_path / "out")
    asked_for = Wanted(layout="by-task", folders=(folder / "out", tmp_path / "out"), tasks=(str(task),))
    (table,) = boards(asked_for)
    grouped = arranged(table, groups=["backbone", "size"])
    sections = {row.name: row.section for row in grouped.rows}
    assert grouped.rows[0].name == "named" and sections["named"] == "Qwen2-VL, 2B"
    assert sections["full"] == "backbone unknown, size unknown" and sections["chance"] == ""


def test_significance_is_marked_with_its_test_and_family(folder: Path) -> None:
    (table,) = boards(wanted(folder, "by-task", against="without-b"))
    marks = {row.name: row.cells[0].marks for row in table.rows}
    assert BETTER in marks["full"] and BETTER in marks["without-a"] and BETTER not in marks["without-b"]
    assert "sign flips by cluster, two-sided; Holm over 2 tests: up to 2 pairs x 1 columns" in table.caption
    assert "n = 12 queries" in table.caption and PROTOCOL in marks["full"]
    (fewer,) = boards(wanted(folder, "by-task", against="full", rows=("without-a",)))
    assert "Holm over 1 tests" in fewer.caption and not {BETTER, WORSE} & set(fewer.notes), "2 of 12 may be luck"
    with pytest.raises(UsageError, match="no row of 'nobody'"):
        list(boards(wanted(folder, "by-task", against="nobody")))


def test_means_of_what_controls_are_taken_from_are_not_tested(folder: Path) -> None:
    words = Asked("words", "words@1", "hit@1", frozenset({"text"}), None, frozenset())
    plain, less = Column("plain", tasks=(words,)), Column("less", tasks=(words,), less=(words,))
    layout = Layout("own", "Own", (plain, less, Column("mean", of=(less, less))))
    paths = list(results.paths([folder / "out"]))
    table = layout_table(layout, measured(layout.tasks, map(results.read, paths)))
    assert all(cell.value is not None for row in table.rows for cell in row.cells)
    assert "Holm over 2 tests: up to 2 pairs x 1 columns" in with_significance(table, layout, paths, "full").caption


def test_what_is_counted_and_tested_is_what_is_shown() -> None:
    assert "; 10 tasks; n = 10,000 queries." in shown(["vlm2vec-v2.1"], "mmeb", columns=("CLS",)).caption
    (plain,) = boards(Wanted(layout="mmeb-v2", published=("vlm2vec-v2.1",)))
    assert "VisDoc All" in plain.full_columns and "VisDoc OOD" not in plain.full_columns, "optional: only if asked for"
    options = {"committed": True, "suites": ("embedded-scenes",), "rows": ("hashed-text",), "against": "random"}
    (one,) = boards(Wanted(columns=("coarse T→T",), **options))  # type: ignore[arg-type]
    assert one.columns == ("coarse T→T",) and "; 1 task; n = 400 queries." in one.caption
    assert "Holm over 1 tests: up to 1 pairs x 1 columns" in one.caption
    with pytest.raises(UsageError, match="no column matches 'T→T'"):
        list(boards(Wanted(columns=("T→T",), **options)))  # type: ignore[arg-type]


def test_the_caption_says_what_intervals_are_for(folder: Path) -> None:
    (table,) = boards(wanted(folder, "by-task", intervals=True))
    assert "100.0 [" in table.rows[0].cells[0].text and table.caption.endswith(f"n = 12 queries. {TARGET}")
    assert all(TARGET not in table.caption for table in boards(wanted(folder, "by-task"))), "no intervals are shown"


@pytest.mark.parametrize("layout", ["embedded", "scenes", "by-task"])
def test_every_mean_of_the_committed_results_has_an_interval_around_it(layout: str) -> None:
    plain = boards(Wanted(layout=layout, committed=True))
    found = 0
    for before, table in zip(plain, boards(Wanted(layout=layout, committed=True, intervals=True)), strict=True):
        for old, row in zip(before.rows, table.rows, strict=True):
            for was, cell in zip(old.cells, row.cells, strict=True):
                assert (was.value, was.marks) == (cell.value, cell.marks)
                if cell.interval is not None and cell.value is not None:
                    found += 1
                    assert cell.interval[0] <= cell.value + 1e-12 and cell.value - 1e-12 <= cell.interval[1], row.name
                    assert (
                        cell.interval[1] > cell.interval[0] and cell.text == f"{was.text} {cell.text.split(' ', 1)[1]}"
                    )
    assert found > 50


def test_shares_say_what_a_mean_is_made_of() -> None:
    """Of some layouts with means: shares times scores are the value of the column."""
    for name in ("mmeb", "uvrb", "unite-coarse"):
        layout = load_layout(name)
        score_of = {key: n / 1000 for n, key in enumerate({k: None for c in layout.columns for k in c.shares})}
        scores = {(task.label, measure): Score(value) for (task, measure), value in score_of.items()}
        (row,) = layout_table(layout, [Entry("made up", scores)]).rows
        for column, cell in zip(layout.columns, row.cells, strict=True):
            assert cell.value == pytest.approx(sum(share * score_of[key] for key, share in column.shares.items()))


def test_which_columns_have_an_interval_of_their_own(tmp_path: Path) -> None:
    a, less = Column("A", tasks=(asked("a"),)), Column("B", tasks=(asked("a"),), less=(asked("b"),))
    more = Column("A@5", tasks=(asked("a"),), measure="hit@5")
    columns = [
        Column("over", of=(a, less)),
        Column("sum", of=(a, more), total=True),
        Column("twice", tasks=a.tasks * 2),
    ]
    held = entry("x", 0.5, 0.3)
    held = replace(held, scores={**held.scores, ("a@1", "hit@5"): Score(0.5, (0.45, 0.55), 0.1)})
    rows = [{"hit@1": float(n % 2), "hit@5": float(n % 2), "cluster": str(n)} for n in range(40)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    layout = Layout("own", "Own", tuple(columns))
    spans = mean_intervals(layout, [held], {("x", "a@1"): tmp_path / "a.json"})
    assert set(spans) == {("x", 1), ("x", 2)}, "none of what controls are taken from"
    assert spans["x", 1] == pytest.approx((0.9, 1.1)) and spans["x", 2] == pytest.approx((0.45, 0.55))
    shown = layout_table(layout, [held], intervals=True, of_means=spans).rows[0].cells
    assert [cell.text for cell in shown] == ["35.0", "100.0 [90.0, 110.0]", "50.0 [45.0, 55.0]"]


def test_intervals_of_means_take_shared_media_together_and_want_clusters(tmp_path: Path) -> None:
    def spans(*clusters: str) -> dict[tuple[str, int], tuple[float, float]]:
        for task, cluster in zip("ab", clusters, strict=True):
            rows = [{"hit@1": float(n % 2), **({"cluster": f"{cluster}{n}"} if cluster else {})} for n in range(40)]
            pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{task}.parquet")
        files = {("x", f"{task}@1"): tmp_path / f"{task}.json" for task in "ab"}
        return mean_intervals(replace(MEAN, corrected=True), [entry("x", 0.5, 0.5)], files)

    apart, together = spans("a", "b"), spans("a", "a")
    assert apart["x", 0] == together["x", 0] == pytest.approx((0.35 / 0.9, 0.45 / 0.9)), "single, above a chance of 0.1"
    assert together["x", 1] == pytest.approx(together["x", 0]), "two tasks that hit the same media are one"
    half = 0.05 / 0.9 / np.sqrt(2)
    assert apart["x", 1] == pytest.approx((0.4 / 0.9 - half, 0.4 / 0.9 + half))
    with pytest.raises(DataError, match=r"a\.parquet: rows without their cluster; run the task again"):
        spans("", "")


def test_an_ablation_has_check_marks_differences_and_intervals(folder: Path) -> None:
    file = folder / "variants.yaml"
    file.write_text("variants:\n  full: [a, b]\n  without-a: [b]\n  without-b: [a]\n")
    (table,) = boards(wanted(folder, "ablation", variants=file))
    assert table.columns == ("a", "b", "score", "difference", "95 % interval", "p")
    assert [cell.text for cell in table.rows[1].cells[:2]] == ["", "✓"]
    base, a, b = ((row.cells[3].value, row.cells[3].interval) for row in table.rows)
    assert base == (None, None)
    assert a[0] is not None and b[0] is not None and b[0] < a[0] < 0
    assert all(interval[0] < value < interval[1] for value, interval in (a, b))
    assert float(table.rows[2].cells[5].text) < 0.05 < float(table.rows[1].cells[5].text)
    with pytest.raises(UsageError, match="an ablation needs --variants"):
        list(boards(wanted(folder, "ablation")))


def test_a_matrix_of_modalities_holds_the_pairs_that_are_asked(folder: Path) -> None:
    (table,) = boards(wanted(folder, "modality-matrix"))
    assert table.columns == ("T",) and (table.rows[0].section, table.rows[0].name) == ("full", "T")
    assert table.rows[0].cells[0].text == "100.0" and table.places() == {}
    assert [row.section for row in arranged(table, rows=["without-*"]).rows] == ["without-a", "without-b"]


def test_raised_marks_are_raised_once_in_latex() -> None:
    """On a row they stand in a superscript; on the column that the row becomes, and in the note, they are one."""
    table = layout_table(MEAN, [entry("p", 0.9, 0.9, published=True), entry("q", 0.8, 0.8, marks=("ˢ",))])
    marked = replace(table, rows=(replace(table.rows[0], marks=("ˢ",)), *table.rows[1:]), notes={"ˢ": "by its makers."})
    assert rf"{table.rows[0].name}\textsuperscript{{s}}" in latex(marked)
    assert rf"{table.rows[0].name}\textsuperscript{{s}} &" in latex(marked.transposed())
    assert r"\textsuperscript{s} by its makers" in latex(marked)
