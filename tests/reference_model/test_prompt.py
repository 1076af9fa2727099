"""The words of the prompt, to the letter: a changed template would silently change every vector."""

from __future__ import annotations

import pytest
from tiny_model import clip, picture

from reference_model.prompt import joined, modality_names, render
from unite_bench.items import Item, Text

OPEN = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"


def close(names: str) -> str:
    return f"\nSummary above {names} in one word:<|im_end|>\n<|im_start|>assistant\n<|endoftext|>"


@pytest.mark.parametrize(
    ("item", "content", "names"),
    [
        (Item((Text("a red circle"),)), "a red circle", "sentence"),
        (Item((picture(1),)), IMAGE, "image"),
        (Item((clip(1),)), VIDEO, "video"),
        (Item((picture(1), Text("a caption"))), f"{IMAGE}a caption", "sentence and image"),
        (Item((Text("a caption"), picture(1))), f"a caption{IMAGE}", "sentence and image"),
        (Item((clip(1), Text("faster"))), f"{VIDEO}faster", "sentence and video"),
        (Item((clip(1), picture(1))), VIDEO + IMAGE, "image and video"),
        (Item((Text("one"), Text("two"))), "one\ntwo", "sentence"),
        (Item((Text("l"), picture(1), Text("r"), picture(2))), f"l{IMAGE}r{IMAGE}", "sentence and image"),
        (Item((Text("a query"),), "Find it."), "Find it.\na query", "sentence"),
        (Item((picture(1),), "Classify it."), f"Classify it.\n{IMAGE}", "sentence and image"),
        (Item((clip(1), Text("faster")), "Find it."), f"Find it.\n{VIDEO}faster", "sentence and video"),
    ],
)
def test_golden_prompts(item: Item, content: str, names: str) -> None:
    assert joined(render(item)) == OPEN + content + close(names)


def test_names_do_not_follow_the_order_of_parts() -> None:
    parts = (clip(1), picture(1), Text("words"))
    assert modality_names(Item(parts)) == modality_names(Item(parts[::-1])) == "sentence and image and video"


def test_only_words_of_the_item_may_be_truncated() -> None:
    segments = render(Item((picture(1), Text("words")), "Find it."))
    assert [segment.text for segment in segments if segment.origin in ("text", "instruction")] == ["Find it.", "words"]
