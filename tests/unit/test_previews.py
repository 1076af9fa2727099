"""What pages show of items: parts in order, bounded files named by content, media that are gone said in place."""

from __future__ import annotations

import io
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

from unite_bench.items import RGB, Blob, File, FramePolicy, Image, Item, Text, Video
from unite_bench.report import clips, previews
from unite_bench.report.previews import Preview, Previews
from unite_bench.sources.scenes import Clip, sample_moving


def picture(width: int, height: int, colour: str = "red", orientation: int = 1) -> Blob:
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Pillow.new("RGB", (width, height), colour).save(out, "PNG", exif=exif)
    return Blob(out.getvalue(), "picture.png")


def clip(path: Path, codec: str = "libx264", pixels: str = "yuv420p", frames: int = 20) -> File:
    """Ten frames a second, the n-th of grey level 12 n."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels  # type: ignore[union-attr]
        for n in range(frames):
            grey = np.full((48, 64, 3), 12 * n, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))  # type: ignore[union-attr,arg-type]
        container.mux(stream.encode())  # type: ignore[union-attr]
    return File(path)


def one(folder: Path, *parts: Text | Image | Video, side: int = 320) -> Preview:
    return Previews(folder, side).of(Item(parts))[0]


def pixels(path: Path) -> RGB:
    return np.asarray(Pillow.open(path).convert("RGB"))


def test_parts_keep_their_order_and_the_instruction_stays_apart(tmp_path: Path) -> None:
    item = Item((Text("a"), Image(picture(4, 4)), Text("b")), instruction="Find it.")
    shown = Previews(tmp_path).of(item)
    assert [part.kind for part in shown] == ["text", "image", "text"]
    assert [shown[0].as_data(), shown[2].as_data()] == [{"kind": "text", "text": "a"}, {"kind": "text", "text": "b"}]
    assert "Find it." not in str(shown)


def test_thumbnails_are_upright_bounded_and_never_enlarged(tmp_path: Path) -> None:
    large = one(tmp_path, Image(picture(900, 300, orientation=6)), side=90)  # a quarter turn when shown
    assert large.size == (30, 90) and pixels(tmp_path / str(large.picture)).shape == (90, 30, 3)
    assert one(tmp_path, Image(picture(20, 10)), side=90).size == (20, 10)
    thin = one(tmp_path, Image(picture(4000, 1)), side=90)
    assert thin.size == (90, 1)


def test_equal_content_is_one_file_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = one(tmp_path, Image(picture(8, 8)))
    monkeypatch.setattr(previews.media, "pixels", lambda part: pytest.fail("decoded again"))
    assert one(tmp_path, Image(Blob(picture(8, 8).data, "under another name"))) == first
    assert [path.name for path in tmp_path.iterdir()] == [first.picture]
    assert one(tmp_path, Image(picture(8, 8)), Text("x")) == first


def test_other_content_or_size_is_another_file(tmp_path: Path) -> None:
    made = {
        one(tmp_path, Image(picture(8, 8, colour)), side=side).picture for colour in ("red", "green") for side in (4, 8)
    }
    assert len(made) == 4


def test_the_strip_shows_what_a_model_is_given(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4")
    shown = one(tmp_path, Video(medium, policy=FramePolicy(frames=4)))
    assert (shown.frames, shown.shown, shown.size) == (4, 4, (4 * 64, 48))
    greys = pixels(tmp_path / str(shown.picture))[24, 32::64, 0]
    assert np.abs(greys.astype(int) - 12 * np.array([2, 7, 12, 17])).max() < 8
    many = one(tmp_path, Video(medium, policy=FramePolicy(frames=20)))
    assert (many.frames, many.shown) == (previews.STRIP_FRAMES, 20)
    greys = pixels(tmp_path / str(many.picture))[24, 32::64, 0]
    assert np.abs(greys.astype(int) - 12 * np.array([1, 3, 6, 8, 11, 13, 16, 18])).max() < 8
    shuffled = one(tmp_path, Video(medium, policy=FramePolicy(frames=4, order="shuffled")))
    mixed = pixels(tmp_path / str(shuffled.picture))[24, 32::64, 0]
    assert (np.diff(mixed.astype(int)) < 0).any() and shuffled.clip == shown.clip
    policies = [FramePolicy(frames=n) for n in (4, 5)]
    both = Previews(tmp_path).of(Item(tuple(Video(medium, policy=policy) for policy in policies)))
    assert [part.frames for part in both] == [4, 5]


def test_a_clip_that_browsers_play_is_copied_as_it_is_with_its_span(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4")
    whole = one(tmp_path, Video(medium))
    assert (tmp_path / str(whole.clip)).read_bytes() == medium.path.read_bytes()
    span = one(tmp_path, Video(medium, start=0.5, end=1.25))
    assert span.clip == f"{whole.clip}#t=0.5,1.25"
    assert one(tmp_path, Video(medium, start=0.5)).clip == f"{whole.clip}#t=0.5"


@pytest.mark.parametrize("codec, pixel_format, name", [("mpeg4", "yuv420p", "a.mp4"), ("libx264", "yuv444p", "b.mp4")])
def test_other_clips_are_encoded_with_their_times(tmp_path: Path, codec: str, pixel_format: str, name: str) -> None:
    medium = clip(tmp_path / name, codec, pixel_format)
    assert clips.played_as_is(medium) is None
    shown = one(tmp_path, Video(medium, start=0.5, end=1.25))
    made = tmp_path / str(shown.clip)
    assert clips.played_as_is(File(made)) == made.suffix
    times = previews.media.frame_times(File(made))
    assert times == pytest.approx(np.arange(8) / 10)  # the span alone, from its own start


def test_a_large_file_is_encoded_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    medium = clip(tmp_path / "a.mp4")
    monkeypatch.setattr(clips, "LARGEST_FILE", 100)
    monkeypatch.setattr(clips, "SHOWN", FramePolicy(frames=5, pixels=32 * 24))
    made = File(tmp_path / str(one(tmp_path, Video(medium)).clip))
    shown = previews.media.frames(Video(made, policy=FramePolicy(frames=9)))
    assert shown.pixels.shape == (5, 24, 32, 3)
    assert shown.times == pytest.approx(np.arange(5) * 0.4)


def test_a_clip_of_odd_sides_is_made_even(tmp_path: Path) -> None:
    class Dot:
        name, digest = "dot", "d" * 64

        def times(self) -> npt.NDArray[np.float64]:
            return np.array([0.0])

        def frame(self, index: int) -> RGB:
            return np.full((1, 3, 3), 200, dtype=np.uint8)

    made = File(tmp_path / str(one(tmp_path, Video(Dot())).clip))
    assert previews.media.frames(Video(made)).pixels.shape == (1, 2, 4, 3)


def test_a_rendered_scene_is_encoded_to_the_same_bytes_each_time(tmp_path: Path) -> None:
    part = Video(Clip(sample_moving(0, 0, "iid")))
    shown = one(tmp_path / "one", part)
    again = one(tmp_path / "two", part)
    assert shown == again and shown.clip is not None and shown.clip.endswith(clips.encoded_suffix())
    assert (tmp_path / "one" / shown.clip).read_bytes() == (tmp_path / "two" / shown.clip).read_bytes()
    assert previews.media.frame_times(File(tmp_path / "one" / shown.clip)).size == part.medium.times().size  # type: ignore[union-attr]


def test_media_that_cannot_be_opened_say_so_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "cut.mp4").write_bytes(b"no video")
    item = Item((Image(File(tmp_path / "gone.png")), Text("still here"), Video(File(tmp_path / "cut.mp4"))))
    gone, text, cut = Previews(tmp_path / "made").of(item)
    assert "gone.png: cannot read the file" in str(gone.lost) and gone.picture is None
    assert text.text == "still here"
    assert "cut.mp4: not a readable video" in str(cut.lost) and cut.clip is None
    assert list((tmp_path / "made").iterdir()) == []
