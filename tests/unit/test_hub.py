"""Datasets of the hub, read from replicas in the same layouts: what is relevant, what is missing, what is refused."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from replica import finish, place, png, write_dataset

from unite_bench import media
from unite_bench.embedders.oracle import OracleEmbedder
from unite_bench.errors import DataError
from unite_bench.evaluation import evaluate
from unite_bench.fetching import unpack
from unite_bench.items import Image
from unite_bench.sources import hub
from unite_bench.sources.build import build
from unite_bench.sources.hub_store import Dataset, changed_files, manifest
from unite_bench.sources.opening import missing_datasets
from unite_bench.spec.model import Task
from unite_bench.spec.reader import parse_task

pytest.importorskip("datasets")
SHA = "a" * 40
BEIR = f"""
name: toy-t2i
version: 1
granularity: coarse
source: {{kind: hub-beir, dataset: toy/pictures, revision: {SHA}}}
queries: {{id: id, modality: text, text: text}}
candidates: {{id: id, modality: image, image: image}}
qrels: source
metrics: [hit@1, recall@1, ndcg@10]
primary: hit@1
"""
ROWS = f"""
name: toy-rows
version: 1
granularity: coarse
source: {{kind: hub, dataset: toy/rows, revision: {SHA}, config: small}}
queries: {{modality: text, text: caption}}
candidates: {{modality: image, image: picture}}
qrels: by-row
metrics: [hit@1]
primary: hit@1
"""
MMEB = """
name: toy-mmeb
version: 1
granularity: instruction
source:
  kind: mmeb
  dataset: toy/mmeb
  config: Toy
  parser: image_cls
  named_by: text
  archive: {dataset: toy/media, file: images/all.tar.gz, root: MMEB}
queries: {id: id, modality: image, image: image, instruction: {column: instruction}}
candidates: {id: id, modality: text, text: text}
qrels: {column: positive}
pool: {per-query: pool}
metrics: [hit@1]
primary: hit@1
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def beir(root: Path, judged: str = "qrels", asked: str = "query") -> Task:
    """Two captions of the red picture, one of the blue; the green one and a query that is not judged are left over."""
    folder = place(root, "toy/pictures")
    corpus = [
        {"id": name, "modality": "image", "image": {"bytes": png(name), "path": None}}
        for name in ("red", "green", "blue")
    ]
    texts = {"q1": "something red", "q2": "red again", "q3": "blue", "q4": "of the train split"}
    queries = [{"id": key, "modality": "text", "text": text, "image": None} for key, text in texts.items()]
    pairs = [("q1", "red", 1), ("q2", "red", 1), ("q3", "blue", 1), ("q3", "red", 0)]
    qrels = [{"query-id": q, "corpus-id": c, "score": s} for q, c, s in pairs]
    write_dataset(folder, {("corpus", "corpus"): corpus, (asked, "test"): queries, (judged, "test"): qrels})
    finish(folder)
    return parse_task(BEIR)


@pytest.mark.parametrize(("judged", "asked"), [("qrels", "query"), ("default", "queries")])
def test_the_layout_of_mteb_is_read_as_mteb_reads_it(root: Path, judged: str, asked: str) -> None:
    data = build(beir(root, judged, asked))
    assert [query.id for query in data.queries] == ["q1", "q2", "q3"]
    assert [[data.candidates[i].id for i in data.qrels[n]] for n in range(3)] == [["red"], ["red"], ["blue"]]
    shown = data.candidates[0].parts[0]
    assert isinstance(shown, Image) and media.pixels(shown)[0, 0].tolist() == [220, 20, 20]
    again = build(beir_again := parse_task(BEIR))
    assert again.digest == data.digest and beir_again.protocol_digest
    assert evaluate(OracleEmbedder(), parse_task(BEIR))["hit@1"] == 1.0


def test_rows_of_one_config_are_items(root: Path) -> None:
    folder = place(root, "toy/rows")
    rows = [{"caption": name, "picture": {"bytes": png(name), "path": None}} for name in ("red", "blue")]
    write_dataset(folder, {("small", "test"): rows, ("large", "test"): rows * 2}, images=("picture",))
    finish(folder)
    data = build(parse_task(ROWS))
    assert len(data.candidates) == 2 and [query.text for query in data.queries] == ["red", "blue"]
    first = build(parse_task(ROWS.replace("config: small", "config: large, first: 3")))
    assert [query.text for query in first.queries] == ["red", "blue", "red"]
    with pytest.raises(DataError, match=r"toy/rows at aaaaaaaaaaaa, huge/test: cannot be read"):
        build(parse_task(ROWS.replace("small", "huge")))
    with pytest.raises(DataError, match="no column 'title'"):
        build(parse_task(ROWS.replace("caption", "title")))


def mmeb(root: Path, archive: bool = True) -> Task:
    """Two queries; the second one's list names one label twice, which the published code takes for one candidate."""
    folder = place(root, "toy/mmeb", pinned=False)
    asked = "<|image_1|>\nWhat colour is it?\n"
    rows = [
        {"qry_inst": asked, "qry_text": "", "qry_img_path": "A/1.png", "tgt_inst": "", "tgt_text": ["red", "blue"]},
        {
            "qry_inst": asked,
            "qry_text": "",
            "qry_img_path": "A/2.png",
            "tgt_inst": "",
            "tgt_text": ["blue", "red", "blue"],
        },
    ]
    write_dataset(folder, {("Toy", "test"): [{**row, "tgt_img_path": ["", ""]} for row in rows]})
    finish(folder)
    if archive:
        folder = place(root, "toy/media", "b" * 40, pinned=False)
        (folder / "images").mkdir()
        with tarfile.open(folder / "images" / "all.tar.gz", "w:gz") as held:
            for name, colour in (("MMEB/A/1.png", "red"), ("MMEB/A/2.png", "blue")):
                member = tarfile.TarInfo(name)
                member.size = len(png(colour))
                held.addfile(member, io.BytesIO(png(colour)))
        unpack(folder / "images" / "all.tar.gz", folder / ".unpacked" / "images" / "all.tar.gz")
        finish(folder, ["images/all.tar.gz"])
    return parse_task(MMEB)


def test_mmeb_rows_become_pools_of_their_own(root: Path) -> None:
    data = build(mmeb(root))
    assert [query.instruction for query in data.queries] == ["What colour is it?"] * 2
    assert data.pools is not None and [len(data.pools[n]) for n in range(2)] == [2, 2]
    assert [data.candidates[int(data.qrels[n][0])].text for n in range(2)] == ["red", "blue"]
    assert evaluate(OracleEmbedder(), parse_task(MMEB))["hit@1"] == 1.0


def test_what_is_not_here_is_named_with_the_cure(root: Path) -> None:
    task = mmeb(root, archive=False)
    assert [str(dataset) for dataset in missing_datasets(task)] == ["toy/media at unpinned"]
    with pytest.raises(DataError, match=r"toy/media at unpinned: not on this machine; `unite-bench data get`"):
        build(task)
    with pytest.raises(DataError, match="toy/pictures"):
        build(parse_task(BEIR))


def test_a_download_that_did_not_end_is_not_there(root: Path) -> None:
    beir(root)
    dataset = Dataset("toy/pictures", SHA)
    assert manifest(dataset) is not None
    (root / "hub" / "toy--pictures" / f"{SHA}.json").unlink()
    assert manifest(dataset) is None


def test_changed_and_missing_files_are_found(root: Path) -> None:
    beir(root)
    dataset = Dataset("toy/pictures", SHA)
    assert list(changed_files(dataset)) == []
    folder = root / "hub" / "toy--pictures" / SHA
    (folder / "README.md").write_text("edited")
    next(folder.glob("corpus/*.parquet")).unlink()
    said = list(changed_files(dataset))
    assert len(said) == 2 and "README.md has changed" in said[0] and "is missing" in said[1]


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as held:
        for name, content in members.items():
            held.writestr(name, content)
    return path


def tarred(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as held:
        for member in members:
            member.size = len(content) if member.isfile() else 0
            held.addfile(member, io.BytesIO(content))
    return path


def link(kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo("link")
    member.type, member.linkname = kind, "/etc/passwd"
    return member


def lying(path: Path) -> Path:
    """A zip file whose directory says that its one member is small."""
    zipped(path, zeros=b"\0" * 20_000_000)
    content = path.read_bytes()
    path.write_bytes(content.replace((20_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    return path


def damaged(path: Path) -> Path:
    content = bytearray(zipped(path, a=png("red", 400)).read_bytes())
    content[60:70] = bytes(10)
    path.write_bytes(content)
    return path


def cut(path: Path) -> Path:
    content = tarred(path, tarfile.TarInfo("a"), content=png("red", 400)).read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "climbs.zip": (lambda p: zipped(p, **{"good.txt": b"x", "../evil.txt": b"x"}), "climbs out of its folder"),
    "root.zip": (lambda p: zipped(p, **{"/evil.txt": b"x"}), "climbs out of its folder"),
    "windows.zip": (lambda p: zipped(p, **{"..\\evil.txt": b"x"}), "climbs out of its folder"),
    "climbs.tar": (lambda p: tarred(p, tarfile.TarInfo("a/../../evil.txt")), "climbs out of its folder"),
    "soft.tar": (lambda p: tarred(p, link(tarfile.SYMTYPE)), "is a link"),
    "hard.tar": (lambda p: tarred(p, link(tarfile.LNKTYPE)), "is a link"),
    "device.tar": (lambda p: tarred(p, link(tarfile.CHRTYPE)), "is a link"),
    "bomb.zip": (lambda p: zipped(p, zeros=b"\0" * 20_000_000), "unpacks to more than"),
    "bomb.tar.gz": (lambda p: tarred(p, tarfile.TarInfo("z"), content=b"\0" * 20_000_000), "unpacks to more than"),
    "lying.zip": (lying, "not a whole archive|swells beyond"),
    "cut.tar.gz": (cut, "not a whole"),
    "damaged.zip": (damaged, "not a whole"),
    "twice.tar": (lambda p: tarred(p, tarfile.TarInfo("a"), tarfile.TarInfo("a/b")), "not a whole"),
    "none.zip": (lambda p: p, "no such archive"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_an_archive_that_climbs_out_swells_or_is_cut_is_refused_whole(tmp_path: Path, name: str) -> None:
    make, reason = HOSTILE[name]
    make(tmp_path / name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=reason):
        unpack(tmp_path / name, tmp_path / "out" / name)
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before] in ([], [tmp_path / "out"])


def test_an_archive_unpacked_before_is_replaced_as_a_whole(tmp_path: Path) -> None:
    unpack(zipped(tmp_path / "a.zip", old=b"1"), tmp_path / "out")
    with pytest.raises(DataError, match="climbs out"):
        unpack(zipped(tmp_path / "b.zip", **{"../x": b"2"}), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["old"], "what was there stays"
    unpack(zipped(tmp_path / "c.zip", new=b"3"), tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new"]


def test_fewer_rows_than_declared_are_refused(root: Path) -> None:
    beir(root)
    declared = BEIR + "expected: {queries: 1000, candidates: 3, status: verified}\n"
    with pytest.raises(DataError, match="toy-t2i: 3 queries, but the task file expects 1000; fetch the data again"):
        build(parse_task(declared))
    unverified = evaluate(OracleEmbedder(), parse_task(declared.replace("verified", "unverified")))
    assert any("expects 1000" in warning for warning in unverified.record["warnings"])


def test_a_path_in_a_table_may_not_lead_out_of_the_dataset(root: Path) -> None:
    (root.parent / "secret.png").write_bytes(png("red"))
    folder = place(root, "toy/rows")
    for path in ("../../../../secret.png", str(root.parent / "secret.png")):
        write_dataset(folder, {("small", "test"): [{"caption": "red", "picture": path}]}, images=())
        finish(folder)
        hub._read.cache_clear()
        with pytest.raises(DataError, match=r"column 'picture': .* climbs out of the dataset; not read"):
            build(parse_task(ROWS))


def test_the_record_names_the_revision_that_was_read(root: Path) -> None:
    task = mmeb(root)
    found = evaluate(OracleEmbedder(), task).record["data"]["revisions"]
    assert found == {"toy/mmeb": "a" * 40, "toy/media": "b" * 40}, "of an unpinned dataset the one in its lock"


def test_archives_alone_are_not_the_dataset(root: Path) -> None:
    """Of a dataset that is read for its archive only the archive is fetched; its tables are then still missing."""
    folder = place(root, "toy/media", "b" * 40, pinned=False)
    finish(folder, ["a.zip"], whole=False)
    assert manifest(Dataset("toy/media", "unpinned", ("a.zip",), whole=False)) is not None
    assert manifest(Dataset("toy/media", "unpinned", ("a.zip", "b.zip"), whole=False)) is None
    assert manifest(Dataset("toy/media", "unpinned", ("a.zip",))) is None
