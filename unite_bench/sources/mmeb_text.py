"""The texts that MMEB's published code gives to a model, byte for byte: instruction and text in one string.

After TIGER-AI-Lab/VLM2Vec at 6e1e1d4, `src/data/eval_dataset`: each task is read by one of five parsers, which differ in
what they strip and where they end a line. Where there is a picture, the string is what follows the model's image token.
"""

from __future__ import annotations

from unite_bench.spec.source_kinds import MmebParser

IMAGE_TOKEN = "<|image_1|>"


def query_text(parser: MmebParser, config: str, instruction: str, text: str) -> str:
    """Of a row's `qry_inst` and `qry_text`, as the data have them."""
    if parser == "image_t2i":
        return f"{instruction} {text}\n" + ("\n" if config == "VisDial" else "")
    said = instruction.replace(IMAGE_TOKEN, "")
    if parser in ("image_qa", "image_i2i_vg"):
        said = "\n" + said.strip()
    return _after_the_token(f"{said} {text}" if text else said) + "\n"


def candidate_text(parser: MmebParser, instruction: str, text: str, captioned: bool) -> str:
    """Of a row's `tgt_inst` and one of its `tgt_text`; `captioned` if the first of the row's is not blank."""
    if parser not in ("image_t2i", "image_i2i_vg"):
        return text
    said = _after_the_token(instruction.replace(IMAGE_TOKEN, "") + (f" {text}" if captioned else ""))
    return said + ("\n" if captioned or parser == "image_t2i" else "")


def _after_the_token(said: str) -> str:
    """A space parts the token from what is said, but not from the end of a line; nor does one stand before any other."""
    return f" {said}".replace(" \n", "\n")
