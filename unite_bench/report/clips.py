"""Clips as browsers play them: the file itself where its codec and size allow, else a small copy encoded by PyAV."""

from __future__ import annotations

import io
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

import numpy as np

from unite_bench import media
from unite_bench.errors import MediaError
from unite_bench.items import Blob, ClipProgram, File, FramePolicy, Video
from unite_bench.readers.pyav_reader import opened

LARGEST_FILE = 4_000_000  # bytes above which a clip is encoded again, smaller
SHOWN = FramePolicy(frames=300, pixels=320 * 240)  # of an encoded clip, at most; a long one has fewer frames a second
PLAYED = {  # containers as ffmpeg names them: the suffix, and the codecs that browsers play in them
    "mov,mp4,m4a,3gp,3g2,mj2": (".mp4", ("h264", "av1", "vp9")),
    "matroska,webm": (".webm", ("vp8", "vp9", "av1")),
}
REALTIME = {"deadline": "realtime", "cpu-used": "8", "crf": "32"}
ENCODERS = {  # codec: container and options; the first codec that this PyAV has is used
    "libvpx-vp9": ("webm", REALTIME | {"b": "0"}),
    "libvpx": ("webm", REALTIME | {"b": "1M"}),
    "libx264": ("mp4", {"preset": "veryfast", "crf": "26"}),
}
MILLISECONDS = Fraction(1, 1000)


def played_as_is(medium: File | Blob | ClipProgram) -> str | None:
    """The suffix under which browsers play a file as it is; None if it must be encoded. Raises MediaError."""
    if isinstance(medium, ClipProgram) or _size(medium) > LARGEST_FILE:
        return None
    with opened(medium) as container:
        codec = container.streams.video[0].codec_context
        suffix, codecs = PLAYED.get(container.format.name, ("", ()))
        return suffix if codec.codec.canonical_name in codecs and codec.pix_fmt in ("yuv420p", "yuvj420p") else None


def encoded_suffix() -> str:
    """The suffix of what `encoded` gives."""
    return f".{ENCODERS[_codec()][0]}"


def encoded(part: Video) -> bytes:
    """The span of a clip as a small file with the times of its frames kept. Raises MediaError."""
    import av
    from av.video.stream import VideoStream

    clip = media.frames(replace(part, policy=SHOWN, indices=None))
    height, width = clip.pixels.shape[1:3]
    even = np.pad(clip.pixels, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")  # as encoders need them
    stamps = np.round((clip.times - clip.times[0]) * 1000).astype(int)
    step = int(np.median(np.diff(stamps))) if stamps.size > 1 else 1000
    container_format, options = ENCODERS[_codec()]
    out = io.BytesIO()
    try:
        with av.open(out, "w", format=container_format, options={"fflags": "bitexact"}) as container:
            stream = container.add_stream(_codec(), rate=max(1, round(1000 / max(1, step))), options=options)
            assert isinstance(stream, VideoStream)  # every one of ENCODERS gives that
            stream.width, stream.height, stream.pix_fmt = even.shape[2], even.shape[1], "yuv420p"
            stream.time_base = stream.codec_context.time_base = MILLISECONDS
            for pixels, stamp in zip(even, stamps.tolist(), strict=True):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base, frame.duration = stamp, MILLISECONDS, step
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise MediaError(f"{part.medium.name}: cannot be encoded as {_codec()} ({error})") from error
    return out.getvalue()


@lru_cache(maxsize=1)
def _codec() -> str:
    import av

    for name in ENCODERS:
        try:
            av.codec.Codec(name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        return name
    raise MediaError(f"this build of PyAV encodes none of {', '.join(ENCODERS)}; install the av wheel from PyPI")


def _size(medium: File | Blob) -> int:
    if isinstance(medium, Blob):
        return len(medium.data)
    try:
        return medium.path.stat().st_size
    except OSError as error:
        raise MediaError(f"{medium.name}: cannot read the file ({error.strerror})") from error
