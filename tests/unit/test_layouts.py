"""Rows that hold several items, and folders of frames: how they are read from files of one's own, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from catalogue_replica import picture
from replica import png

from unite_bench import media
from unite_bench.errors import DataError, MediaError, SpecError
from unite_bench.items import FramePolicy, Item, Video
from unite_bench.sources.build import TaskData, build
from unite_bench.sources.frame_folder import FrameFolder
from unite_bench.spec.reader import parse_task

QUARTETS = """
name: quartets
version: 1
granularity: fine
source: {kind: files, path: rows.jsonl, rows: {quartets: {texts: [caption_0, caption_1], media: [image_0, image_1]}}}
queries: {id: id, modality: text, text: text}
candidates: {id: id, modality: image, image: medium}
qrels: {column: positive}
pool: {per-query: pool}
quartets: {column: quartet}
metrics: [group_score]
primary: group_score
"""
CHOICES = """
name: choices
version: 1
granularity: instruction
source: {kind: files, path: rows.jsonl, rows: {choices: {columns: [options], answer: answer}}}
queries: {id: id, modality: image+text, image: image, text: question}
candidates: {id: id, modality: text, text: choice}
qrels: {column: positive}
pool: {per-query: pool}
metrics: [hit@1]
primary: hit@1
"""
CLIPS = """
name: clips
version: 1
granularity: coarse
source: {kind: files, path: rows.jsonl}
queries: {modality: text, text: caption}
candidates: {modality: video, video: clip, frames: 2, sampling: linspace}
qrels: by-row
metrics: [hit@1]
primary: hit@1
"""


def built(folder: Path, task: str, *rows: dict[str, object]) -> TaskData:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "a.png").write_bytes(png("red"))
    (folder / "b.png").write_bytes(png("blue"))
    return build(parse_task(task, "mine.yaml", folder))


def test_a_row_of_two_captions_and_two_pictures_is_a_quartet(tmp_path: Path) -> None:
    row = {"caption_0": "a red thing", "caption_1": "a blue thing", "image_0": "a.png", "image_1": "b.png"}
    data = built(tmp_path, QUARTETS, row)
    assert data.quartets == ("0", "0") and [query.text for query in data.queries] == ["a red thing", "a blue thing"]
    assert [data.qrels[n].tolist() for n in range(2)] == [[0], [1]]
    assert data.pools is not None and [data.pools[n].tolist() for n in range(2)] == [[0, 1], [0, 1]]
    del row["caption_1"]
    with pytest.raises(DataError, match="no column 'caption_1'; it has caption_0, image_0, image_1"):
        built(tmp_path, QUARTETS, row)
    with pytest.raises(SpecError, match="at least 2 items"):
        parse_task(QUARTETS.replace("[caption_0, caption_1]", "[caption_0]"))
    with pytest.raises(SpecError, match="rows takes either quartets or choices"):
        parse_task(QUARTETS.replace("{quartets: {texts", "{choices: {columns: [a]}, quartets: {texts"))


def test_choices_lie_in_a_list_and_the_answer_in_a_column(tmp_path: Path) -> None:
    row = {"image": "a.png", "question": "Which colour?", "options": ["blue", "red"], "answer": "red"}
    other = {"image": "b.png", "question": "Which colour?", "options": ["blue", "green", "white"], "answer": "blue"}
    data = built(tmp_path, CHOICES, row, other)
    assert data.pools is not None and [len(data.pools[n]) for n in range(2)] == [2, 3]
    assert [data.candidates[int(data.qrels[n][0])].text for n in range(2)] == ["red", "blue"]
    assert len(data.candidates) == 4, "blue is one candidate for both"
    with pytest.raises(DataError, match=r"rows.jsonl:1: the answer 'pink' in column 'answer' is none"):
        built(tmp_path, CHOICES, {**row, "answer": "pink"})
    with pytest.raises(DataError, match=r"rows.jsonl:1: no choice in options"):
        built(tmp_path, CHOICES, {**row, "options": []})


def frames(folder: Path, name: str, numbers: list[int], size: int = 8) -> None:
    (folder / name).mkdir()
    for place, number in enumerate(numbers):
        (folder / name / f"frame_{place}.png").write_bytes(picture(number, size))


def test_a_folder_of_frames_is_a_clip(tmp_path: Path) -> None:
    frames(tmp_path, "clip", list(range(1, 12)))
    data = built(tmp_path, CLIPS, {"caption": "eleven frames", "clip": "clip"})
    (part,) = media.resolve(data.candidates[0]).parts
    assert isinstance(part, Video) and part.indices == (0, 10), "from the first frame to the last"
    shown = media.frames(part)
    assert shown.pixels[:, 0, 0, 0].tolist() == [20, 220] and shown.times.tolist() == [0.0, 10.0]
    assert (tmp_path / "clip" / "frame_10.png").exists(), "numbers in names count, frame_10 is not before frame_2"


@pytest.mark.parametrize(("frames", "chosen"), [(8, [0, 9, 18, 27, 36, 45, 54, 63]), (4, [0, 21, 42, 63]), (1, [0])])
def test_linspace_takes_the_frames_of_the_published_code(tmp_path: Path, frames: int, chosen: list[int]) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    for place in range(64):
        (folder / f"{place:03}.png").write_bytes(picture(1, 8))
    policy = FramePolicy(frames=frames, sampling="linspace")
    assert media.choose(Video(FrameFolder(folder), policy=policy)) == tuple(chosen)
    assert chosen == np.linspace(0, 63, frames, dtype=int).tolist()


def test_what_is_no_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"rows.jsonl:1: column 'clip': .*empty is a folder without pictures"):
        built(tmp_path, CLIPS, {"caption": "nothing", "clip": "empty"})
    with pytest.raises(DataError, match="no file"):
        built(tmp_path, CLIPS, {"caption": "nothing", "clip": "nowhere"})
    frames(tmp_path, "uneven", [1, 2])
    (tmp_path / "uneven" / "frame_2.png").write_bytes(picture(3, 9))
    data = built(tmp_path, CLIPS, {"caption": "uneven", "clip": "uneven"})
    with pytest.raises(MediaError, match=r"frame_2.png: not of the size of the folder's first frame"):
        media.check(Item(data.candidates[0].parts))
    timed = CLIPS.replace("video: clip,", "video: clip, start: begins,")
    with pytest.raises(DataError, match="a folder of frames has no seconds"):
        built(tmp_path, timed, {"caption": "timed", "clip": "uneven", "begins": 1.0})
