"""Decoding: what comes out is upright RGB on white; what cannot be decoded is named; every reader sees the same frames."""

from __future__ import annotations

import io
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from unite_bench import media
from unite_bench.errors import MediaError, UsageError
from unite_bench.items import Blob, File, FramePolicy, Image, Item, Text, Video
from unite_bench.protocol import Settings
from unite_bench.readers import frame_reader
from unite_bench.readers.decord_reader import DecordReader


def png(picture: Pillow.Image, **options: object) -> Blob:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", **options)  # type: ignore[arg-type]
    return Blob(buffer.getvalue(), "picture.png")


def clip(path: Path, frames: int, rate: int = 10, gaps: bool = False) -> File:
    """An H.264 clip whose n-th frame is grey level 5 * n; with `gaps`, frame n is shown at n * n / 40 seconds."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "0", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for n in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 5 * n, dtype=np.uint8), format="rgb24")
            frame.pts = n * n * 25 if gaps else n * 1000 // rate
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return File(path)


def test_alpha_is_laid_on_white_and_exif_applied() -> None:
    clear = Pillow.new("RGBA", (4, 2), (255, 0, 0, 0))
    assert (media.pixels(Image(png(clear))) == 255).all()
    exif = Pillow.Exif()
    exif[0x0112] = 6  # shown after a quarter turn
    assert media.pixels(Image(png(Pillow.new("RGB", (4, 2)), exif=exif))).shape == (4, 2, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_comes_out_as_rgb(mode: str) -> None:
    shown = media.pixels(Image(png(Pillow.new(mode, (5, 3)))))
    assert (shown.shape, shown.dtype) == ((3, 5, 3), np.uint8)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = Pillow.fromarray(np.full((2, 2), 0x8080, dtype=np.uint16))
    assert (media.pixels(Image(png(grey))) == 128).all()


def test_cmyk_jpeg_is_read() -> None:
    buffer = io.BytesIO()
    Pillow.new("CMYK", (8, 8), (0, 0, 0, 0)).save(buffer, format="JPEG")
    assert media.pixels(Image(Blob(buffer.getvalue()))).min() > 250


def test_bad_pictures_are_named(tmp_path: Path) -> None:
    whole = png(Pillow.effect_noise((64, 64), 50))
    (tmp_path / "cut.png").write_bytes(whole.data[: len(whole.data) // 2])
    (tmp_path / "text.jpg").write_text("this is no picture")
    for name in ("cut.png", "text.jpg"):
        with pytest.raises(MediaError, match=f"{name}: not a readable picture"):
            media.pixels(Image(File(tmp_path / name)))
    with pytest.raises(MediaError, match=r"lost\.png: cannot read the file"):
        _ = Image(File(tmp_path / "lost.png")).digest


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Pillow.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    with pytest.raises(MediaError, match=r"huge\.png: .*more than 100,000,000 pixels"):
        media.pixels(Image(File(tmp_path / "huge.png")))


def test_frames_are_chosen_by_index_and_found_by_time(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4", 20)
    shown = media.frames(Video(medium, policy=FramePolicy(frames=4)))
    assert shown.times.tolist() == [0.2, 0.7, 1.2, 1.7]
    np.testing.assert_allclose(shown.pixels.mean(axis=(1, 2, 3)), [10, 35, 60, 85], atol=2)


def test_variable_frame_rates_follow_presentation_times(tmp_path: Path) -> None:
    medium = clip(tmp_path / "v.mp4", 9, gaps=True)
    np.testing.assert_allclose(media.frame_times(medium), [n * n / 40 for n in range(9)], atol=1e-3)
    part = Video(medium, policy=FramePolicy(frames=None, fps=2.0, max_frames=8))
    assert media.choose(part) == (0, 4, 6, 7)


def test_a_span_in_seconds_limits_the_frames(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4", 20)
    assert media.choose(Video(medium, 1.0, 1.5, FramePolicy(frames=64))) == tuple(range(10, 16))
    with pytest.raises(MediaError, match="no frame between"):
        media.choose(Video(medium, 7.0, 8.0))


def test_a_clip_with_fewer_frames_gives_each_once(tmp_path: Path) -> None:
    assert media.choose(Video(clip(tmp_path / "one.mp4", 1), policy=FramePolicy(frames=8))) == (0,)


def test_shuffled_frames_are_the_same_frames_in_another_order(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4", 20)
    shown = Video(medium, policy=FramePolicy(frames=8))
    shuffled = Video(medium, policy=FramePolicy(frames=8, order="shuffled"))
    assert sorted(media.choose(shuffled)) == list(media.choose(shown)) != list(media.choose(shuffled))
    assert media.choose(shuffled) == media.choose(shuffled)
    assert media.frames(shuffled).times.tolist() == media.frames(shown).times.tolist()
    assert media.resolve(Item((shuffled,))).digest != media.resolve(Item((shown,))).digest


def test_the_pixel_budget_scales_frames_down(tmp_path: Path) -> None:
    part = Video(clip(tmp_path / "a.mp4", 3), policy=FramePolicy(frames=1, pixels=768))
    assert media.frames(part).pixels.shape == (1, 24, 32, 3)


@pytest.mark.parametrize("gaps", [False, True])
def test_all_readers_give_the_same_frames(tmp_path: Path, gaps: bool) -> None:
    """By index, in any order, from files and from bytes; colours may differ by the rounding of their conversion."""
    pytest.importorskip("decord")
    file = clip(tmp_path / "a.mp4", 20, gaps=gaps)
    times = media.frame_times(file)
    decord, pyav = frame_reader("decord"), frame_reader("pyav")
    for medium in (file, Blob(file.path.read_bytes(), "a")):
        for indices in ((2, 7, 19), (19, 0, 7)):
            theirs, ours = (np.stack(reader.read(medium, indices, times)) for reader in (decord, pyav))
            assert np.abs(theirs.astype(int) - ours).max() <= 3


def test_a_reader_that_hangs_or_dies_is_replaced(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    medium = clip(tmp_path / "a.mp4", 4)
    times = media.frame_times(medium)
    reader = DecordReader(seconds=0.3, worker=(sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(MediaError, match=r"a\.mp4: decord died or gave no answer in 0\.3 s"):
        reader.read(medium, (0, 1), times)
    reader.seconds, reader.worker = 600.0, (sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(MediaError, match="decord died"):
        reader.read(medium, (0, 1), times)
    reader.worker = DecordReader().worker
    assert len(reader.read(medium, (0, 1), times)) == 2
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(MediaError, match=r"text\.mp4: decord cannot read it"):
        reader.read(File(tmp_path / "text.mp4"), (0,), times)
    assert len(reader.read(medium, (3,), times)) == 1, "an unreadable clip costs nobody else anything"


def test_frames_at_other_times_than_the_table_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("decord")
    medium = clip(tmp_path / "a.mp4", 4)
    with pytest.raises(MediaError, match="other times"):
        frame_reader("decord").read(medium, (0, 1), media.frame_times(medium) * 1.5)


def test_an_unknown_or_missing_reader_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="unknown frame reader"):
        frame_reader("opencv")  # type: ignore[arg-type]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"unite-bench\[video\]"):
        frame_reader("decord")


def test_native_frames_replace_those_of_the_task_but_for_its_order_and_single_frames(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4", 20)
    native = Settings(frames="native")
    own = FramePolicy(frames=4)

    def chosen(policy: FramePolicy, settings: Settings = native, card: FramePolicy | None = own) -> tuple[int, ...]:
        item = media.resolve(settings.shown(Item((Video(medium, policy=policy),)), card))
        return item.parts[0].indices or ()  # type: ignore[union-attr]

    assert len(chosen(FramePolicy(frames=8))) == 4
    assert len(chosen(FramePolicy(frames=8), Settings())) == len(chosen(FramePolicy(frames=8), card=None)) == 8
    assert len(chosen(FramePolicy(frames=1))) == 1
    shuffled = chosen(FramePolicy(frames=8, order="shuffled"))
    assert len(shuffled) == 4 and list(shuffled) != sorted(shuffled)
    assert native.digest("t") != Settings().digest("t") != Settings(reader="decord").digest("t")


def test_bad_clips_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no clip")
    for name in ("empty.mp4", "text.mp4"):
        with pytest.raises(MediaError, match=f"{name}: not a readable video"):
            media.frames(Video(File(tmp_path / name)))


def test_digests_follow_content(tmp_path: Path) -> None:
    medium = clip(tmp_path / "a.mp4", 8)
    resolved = media.resolve(Item((Video(medium, policy=FramePolicy(frames=2)),)))
    other = media.resolve(Item((Video(medium, policy=FramePolicy(frames=4)),)))
    assert resolved.digest != other.digest
    assert resolved.content == other.content
    assert Item((Text("a"), Text("b"))).digest != Item((Text("b"), Text("a"))).digest
    assert Item((Text("ab"), Text("c"))).digest != Item((Text("a"), Text("bc"))).digest
