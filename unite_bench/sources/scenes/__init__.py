"""A procedural world with known truth: scenes as text, image, video and image+text.

Everything follows from (GENERATOR_VERSION, seed, index, part). `sample_still` and `sample_moving` give scene programs;
`render_image` and `render_frames` their pixels; `short`, `paraphrase` and `long` what is said of them; `sample_edit`,
`sample_question`, `split_fused` and `union_instruction` the other forms of the tasks. With part `train` and a seed of
TRAIN_SEEDS the same calls give training data; the held-out features of the world never occur in it.
"""

from unite_bench.sources.scenes.edits import sample_edit
from unite_bench.sources.scenes.entailment import entails
from unite_bench.sources.scenes.forms import FORMS, clear_frame, split_fused, union_instruction
from unite_bench.sources.scenes.language import long, paraphrase, short
from unite_bench.sources.scenes.questions import sample_question
from unite_bench.sources.scenes.render import Clip, Still, frame_indices, render_frames, render_image
from unite_bench.sources.scenes.sample import sample_moving, sample_still
from unite_bench.sources.scenes.tables import table
from unite_bench.sources.scenes.world import (
    CANVAS,
    GENERATOR_VERSION,
    PARTS,
    TEST_SEEDS,
    TRAIN_SEEDS,
    Event,
    Motion,
    Scene,
    Thing,
)

__all__ = [
    "CANVAS",
    "FORMS",
    "GENERATOR_VERSION",
    "PARTS",
    "TEST_SEEDS",
    "TRAIN_SEEDS",
    "Clip",
    "Event",
    "Motion",
    "Scene",
    "Still",
    "Thing",
    "clear_frame",
    "entails",
    "frame_indices",
    "long",
    "paraphrase",
    "render_frames",
    "render_image",
    "sample_edit",
    "sample_moving",
    "sample_question",
    "sample_still",
    "short",
    "split_fused",
    "table",
    "union_instruction",
]
