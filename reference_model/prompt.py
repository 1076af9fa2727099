"""From an item to the words of its UNITE prompt. Pure: no tokenizer, no media, no torch.

The template is that of the released code (arXiv 2505.19650, friedrichor/UNITE): a Qwen2-VL chat turn that asks for the
content in one word and ends in `<|endoftext|>`, whose hidden state is the vector. Two things that the released code
leaves to chance are fixed here: the names of the modalities come in the order sentence, image, video; and a medium
always gets its placeholder, at the place of its part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unite_bench.items import Item, Text

Origin = Literal["template", "instruction", "text", "image", "video"]

IMAGE_PAD, VIDEO_PAD = "<|image_pad|>", "<|video_pad|>"
VISION_START, VISION_END = "<|vision_start|>", "<|vision_end|>"
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (END_OF_TEXT, TURN_START, TURN_END, VISION_START, VISION_END, IMAGE_PAD, VIDEO_PAD)

PLACEHOLDER: dict[str, str] = {
    "image": VISION_START + IMAGE_PAD + VISION_END,
    "video": VISION_START + VIDEO_PAD + VISION_END,
}
OPENING = f"{TURN_START}system\nYou are a helpful assistant.{TURN_END}\n{TURN_START}user\n"
CLOSING = f"\nSummary above {{modalities}} in one word:{TURN_END}\n{TURN_START}assistant\n{END_OF_TEXT}"
NAMES = (("text", "sentence"), ("image", "image"), ("video", "video"))


@dataclass(frozen=True)
class Segment:
    """A stretch of the prompt and where it comes from. Only `text` and `instruction` may ever be truncated."""

    text: str
    origin: Origin


def modality_names(item: Item) -> str:
    """What the prompt calls the content: `sentence`, `image`, `video`, joined by ` and `; an instruction is a sentence."""
    kinds = {part.kind for part in item.parts} | ({"text"} if item.instruction else set())
    return " and ".join(name for kind, name in NAMES if kind in kinds)


def render(item: Item) -> tuple[Segment, ...]:
    """The prompt as segments, in order; joined, their texts are the whole prompt with one placeholder per medium.

    The instruction comes before the content, on a line of its own; neighbouring text parts are lines as well.
    """
    content: list[Segment] = [Segment(item.instruction, "instruction")] if item.instruction else []
    for part in item.parts:
        if isinstance(part, Text):
            content.append(Segment(part.text, "text"))
        else:
            content.append(Segment(PLACEHOLDER[part.kind], part.kind))
    segments = [Segment(OPENING, "template")]
    for place, segment in enumerate(content):
        before = content[place - 1].origin if place else None
        if before == "instruction" or (before == "text" and segment.origin == "text"):
            segments.append(Segment("\n", "template"))
        segments.append(segment)
    segments.append(Segment(CLOSING.format(modalities=modality_names(item)), "template"))
    return tuple(segments)


def timed(segments: Sequence[Segment], seconds: Sequence[Sequence[float]]) -> tuple[Segment, ...]:
    """The segments with each clip told as frame groups: the time of a group as text, then a placeholder for it alone.

    `seconds[i]` are the times of the frame groups of medium i, in order of the prompt (ignored for a picture). This is
    how Qwen3-VL is trained; a time stands with one decimal, as in `<1.5 seconds>`.
    """
    told: list[Segment] = []
    place = 0
    for segment in segments:
        if segment.origin not in PLACEHOLDER:
            told.append(segment)
            continue
        if segment.origin == "video":
            for second in seconds[place]:
                told.append(Segment(f"<{second:.1f} seconds>{PLACEHOLDER['video']}", "video"))
        else:
            told.append(segment)
        place += 1
    return tuple(told)


def joined(segments: tuple[Segment, ...]) -> str:
    """The prompt as one string."""
    return "".join(segment.text for segment in segments)
