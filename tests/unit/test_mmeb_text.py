"""The texts of MMEB as its published code gives them to a model, byte for byte; written out by hand after its rules."""

from __future__ import annotations

from pathlib import Path

import pytest
from catalogue_replica import Tens, write_replica

from unite_bench.embedders.baselines import ConstantEmbedder
from unite_bench.errors import UsageError
from unite_bench.evaluation import evaluate
from unite_bench.items import Image, Text
from unite_bench.protocol import Settings
from unite_bench.sources.build import build
from unite_bench.sources.mmeb_text import candidate_text, query_text
from unite_bench.spec.catalogue import load_task
from unite_bench.spec.source_kinds import MmebParser

QUERIES: list[tuple[MmebParser, str, str, str, str]] = [
    # An instruction that ends its line keeps the end, loses the space before it, and gets another.
    ("image_cls", "ImageNet-1K", "<|image_1|>\nName the object.\n", "", "\nName the object.\n\n"),
    ("image_cls", "ImageNet-1K", "<|image_1|>\nName the object.", "", "\nName the object.\n"),
    ("image_cls", "N24News", "<|image_1|> Name the domain.", "A headline", "  Name the domain. A headline\n"),
    ("image_i2t", "MSCOCO_i2t", "<|image_1|> Find a caption.\n", "", "  Find a caption.\n\n"),
    # Questions and grounding: stripped, on a line of their own.
    (
        "image_qa",
        "OK-VQA",
        "<|image_1|>\nAnswer the question:  ",
        "What is it? \n",
        "\nAnswer the question: What is it?\n\n",
    ),
    ("image_i2i_vg", "CIRR", "<|image_1|> Find the edit: \n", "in red", "\nFind the edit: in red\n"),
    # Texts alone: nothing is taken off, VisDial ends in two lines.
    ("image_t2i", "MSCOCO_t2i", "Find the picture: ", "a cat \n", "Find the picture:  a cat \n\n"),
    ("image_t2i", "VisDial", "Find the picture:", "Q: who?", "Find the picture: Q: who?\n\n"),
]
CANDIDATES: list[tuple[MmebParser, str, str, bool, str]] = [
    ("image_cls", "ignored", "a cat", True, "a cat"),
    ("image_qa", "ignored", " two ", True, " two "),
    ("image_i2t", "ignored", "a caption\n", True, "a caption\n"),
    ("image_t2i", "<|image_1|>\nRepresent it.\n", "", False, "\nRepresent it.\n\n"),
    ("image_t2i", "<|image_1|> Represent it:", "a title", True, "  Represent it: a title\n"),
    ("image_t2i", "<|image_1|> Represent it:", "", True, "  Represent it: \n"),
    ("image_i2i_vg", "<|image_1|>\nRepresent it.", "", False, "\nRepresent it."),
    ("image_i2i_vg", "<|image_1|>\nThe object:", '"a dog"', True, '\nThe object: "a dog"\n'),
]


@pytest.mark.parametrize(("parser", "config", "instruction", "text", "published"), QUERIES)
def test_a_query(parser: MmebParser, config: str, instruction: str, text: str, published: str) -> None:
    assert query_text(parser, config, instruction, text) == published


@pytest.mark.parametrize(("parser", "instruction", "text", "captioned", "published"), CANDIDATES)
def test_a_candidate(parser: MmebParser, instruction: str, text: str, captioned: bool, published: str) -> None:
    assert candidate_text(parser, instruction, text, captioned) == published


class Reading(ConstantEmbedder):
    """Remembers what it was given."""

    def embed(self, items, role):  # type: ignore[no-untyped-def]
        self.given = [*getattr(self, "given", []), *items]
        return super().embed(items, role)


def test_a_model_gets_the_published_texts_where_a_run_asks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNITE_BENCH_DATA", str(tmp_path))
    task = load_task("mmeb-a-okvqa")
    write_replica(tmp_path, task)
    apart = build(task).queries[3]
    assert (apart.instruction, apart.text) == ("Find it.", "item 3")
    model = Reading()
    record = evaluate(model, task, Settings(instructions="published")).record
    assert record["protocol"]["instructions"] == "published"
    shown: dict[bool, set[str]] = {True: set(), False: set()}  # by whether a picture comes first
    for item in model.given:
        assert item.instruction is None and isinstance(item.parts[-1], Text)
        shown[isinstance(item.parts[0], Image)].add(item.parts[-1].text)
    assert shown == {True: {f"\nFind it. item {n}\n" for n in range(10)}, False: {f"item {n}" for n in range(10)}}
    digests = {Settings(instructions=how).digest(task.protocol_digest) for how in ("task", "none", "published")}
    assert len(digests) == 3


def test_a_task_without_published_texts_says_so() -> None:
    with pytest.raises(UsageError, match="no published code is known to give its texts"):
        evaluate(Tens(), load_task("scenes-t2i"), Settings(instructions="published"))
