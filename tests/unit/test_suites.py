"""The suites hold what their papers and boards name: counts copied from these, and every task where it belongs."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from unite_bench.spec.catalogue import entries_of, load_entry, load_suite, task_files
from unite_bench.spec.model import Task

# UNITE: 23 directions of its own and the 36 of MMEB. MMEB: 10 classification, 10 VQA, 12 retrieval, 4 grounding.
COUNTS = {
    "unite": 59,
    "unite-coarse": 10,
    "unite-fine": 12,
    "unite-instruction": 37,
    "mmeb": 36,
    "mmeb-v2": 78,
    "mmeb-v2-video": 18,
    "mmeb-v2-visdoc": 24,
    "uvrb": 16,
    "embedded": 64,
    "embedded-sanity": 14,
    "scenes": 50,
    "smoke": 50,
}
# mteb 2.26 has 81 multimodal tasks without a loader of their own; these are of several languages.
MTEB = {"mteb-any2any": 50, "mteb-compositionality": 5, "mteb-documents": 24, "mteb-vision-centric": 2}
LANGUAGES = {"mteb-multi30k": 4, "mteb-vidore3": 6}


def names(suite: str) -> list[str]:
    return [entry.name for entry in entries_of(load_suite(suite))]


@pytest.mark.parametrize("suite", COUNTS)
def test_a_suite_holds_as_many_tasks_as_its_paper(suite: str) -> None:
    assert len(names(suite)) == COUNTS[suite]


def test_the_117_tasks_of_the_papers_are_there_once_each() -> None:
    own = set(names("unite")) - set(names("mmeb"))
    papers = [own, set(names("mmeb")), set(names("mmeb-v2-video")), set(names("mmeb-v2-visdoc")), set(names("uvrb"))]
    assert [len(paper) for paper in papers] == [23, 36, 18, 24, 16]
    assert sum(map(len, papers)) == len(set.union(*papers)) == 117


def test_the_81_tasks_of_mteb_are_there_and_the_multilingual_by_language() -> None:
    told = {}
    for suite in MTEB:
        by_task = Counter(re.sub(r"^(mteb-(?:multi30k|vidore3)\S+)-[a-z]+$", r"\1", name) for name in names(suite))
        told[suite] = len(by_task)
        for task, languages in by_task.items():
            wanted = next((n for front, n in LANGUAGES.items() if task.startswith(front)), 1)
            assert languages == wanted, task
    assert told == MTEB and sum(told.values()) == 81
    assert sorted(names("mteb")) == sorted(name for suite in MTEB for name in names(suite))


def test_every_task_belongs_to_all() -> None:
    assert set(names("all")) == set(task_files())


def test_languages_read_configs_of_their_own() -> None:
    entries = [entry for entry in entries_of(load_suite("mteb")) if isinstance(entry, Task)]
    read = [
        (source.dataset, source.language) for entry in entries for source in entry.sources if source.kind == "hub-beir"
    ]
    several = [pair for pair in read if pair[1] is not None]
    assert len(several) == len(set(several)) == 2 * 4 + 8 * 6


def test_contamination_is_told_where_it_is_known() -> None:
    """UNITE was trained on COCO, WebVid-CoVR and the in-domain tasks of MMEB."""
    told = {entry.name for entry in entries_of(load_suite("all")) if any("unite" in name for name in entry.trained_on)}
    assert {"unite-mscoco-t2i", "unite-mscoco-mbeir-i2t", "unite-webvid-covr", "mteb-mscocot2iretrieval"} <= told
    assert len(told & set(names("mmeb"))) == 20, "the in-domain tasks of MMEB"


@pytest.mark.parametrize("dataset", ["mscoco", "cirr", "nights", "visualnews", "webqa"])
def test_a_dataset_that_mmeb_trains_on_is_in_domain_under_every_name(dataset: str) -> None:
    entries = [entry for entry in entries_of(load_suite("all")) if re.search(rf"-{dataset}(-|i|t|$)", entry.name)]
    assert {entry.name.split("-")[0] for entry in entries} >= {"mmeb", "mteb"}
    assert [entry.name for entry in entries if "mmeb-train" not in entry.trained_on] == []


def test_a_count_of_media_is_on_the_side_of_the_media() -> None:
    """Papers give 5,000 pictures and 670 clips; how many captions are asked or held is what is not known."""
    for name, media in (("unite-mscoco", 5000), ("unite-msvd", 670)):
        asked, held = (
            load_entry(f"{name}-{d}").expected for d in (("i2t", "t2i") if "coco" in name else ("v2t", "t2v"))
        )
        assert asked and held and (asked.queries, asked.candidates) == (media, None) == (held.candidates, held.queries)
