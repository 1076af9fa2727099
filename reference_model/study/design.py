"""The arms: what each is trained on, in what order, under which mask. PROTOCOL.md says why, and was written first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Mask = Literal["modality", "none", "random"]

RUNS = Path(__file__).with_name("runs.jsonl")
PAIRS = 8_192  # of every arm, over all its phases, but for the arms at equal tokens
BATCH = 64
SEEDS = 6
SEEDS_OF_PRIMARY = 10
RATE = 1.0e-3
RANK, ALPHA = 64, 64.0
TEMPERATURE = 0.03

# Kinds of pairs by the modality set of their target (reference_model/nano/scene_pairs.py has the draws).
TEXT = ("scene image-text", "scene video-text", "scene paraphrase", "scene question")
IMAGE = ("scene text-image", "scene image edit")
VIDEO = ("scene text-video", "scene video edit")
FUSED = ("scene fused",)
Mixture = dict[str, float]


def _spread(shares: dict[tuple[str, ...], float]) -> Mixture:
    return {kind: share / len(kinds) for kinds, share in shares.items() for kind in kinds}


EQUAL: Mixture = _spread({TEXT: 1.0, IMAGE: 1.0, VIDEO: 1.0, FUSED: 1.0})
# Shares of target modalities in UNITE's second stage: I 40.6 %, T 42.4 %, V 15.8 %, I+T 1.4 %.
PAPER_LIKE: Mixture = _spread({TEXT: 42.4, IMAGE: 40.6, VIDEO: 15.8, FUSED: 1.4})

COARSE: Mixture = {"scene text-image": 3.0, "scene text-video": 3.0, "scene paraphrase": 1.0}
FINE: Mixture = {"scene long-image": 1.0, "scene long-video": 1.0}
INSTRUCTIONS: Mixture = {
    "scene image edit": 1.0,
    "scene video edit": 1.0,
    "scene question": 1.0,
    "scene fused": 1.0,
    "scene text-image": 1.0,
    "scene image-text": 1.0,
    "scene text-video": 1.0,
    "scene video-text": 1.0,
}
TEXT_TEXT: Mixture = {"scene paraphrase": 1.0, "scene short-long": 1.0}
IMAGE_TEXT: Mixture = {"scene text-image": 1.0, "scene image-text": 1.0}
VIDEO_TEXT: Mixture = {"scene text-video": 1.0, "scene video-text": 1.0}
FRAMES_TEXT: Mixture = {"frames text-image": 1.0, "frames image-text": 1.0}


@dataclass(frozen=True)
class Phase:
    """`pairs` pairs of a mixture, under one mask. `homogeneous` batches have targets of one modality set each.

    `other_weight` keeps negatives of other modalities at a weight. `tokens`: the budget is this share of the tokens that
    `pairs` pairs of image and text have, instead of the number of pairs.
    """

    mixture: Mixture
    mask: Mask = "modality"
    both: bool = False
    homogeneous: bool = False
    other_weight: float = 0.0
    pairs: int = PAIRS
    equal_tokens: bool = False


@dataclass(frozen=True)
class Arm:
    """One way to train, from the same backbone: phases one after the other, adapters merged after each."""

    family: str
    name: str
    phases: tuple[Phase, ...]
    positions: Literal["mrope-5", "1d"] = "mrope-5"  # the first is what the backbone was trained with

    @property
    def label(self) -> str:
        return f"{self.family}/{self.name}"

    @property
    def seeds(self) -> int:
        """How many runs it has."""
        return SEEDS_OF_PRIMARY if any(c.primary and self.label in (c.arm, c.against) for c in COMPARISONS) else SEEDS

    def same_training(self, other: Arm) -> bool:
        """Whether a run of the other with the same seed is the same run: arms of two families may be one."""
        return (self.positions, _as_pairs(self.phases)) == (other.positions, _as_pairs(other.phases))


def _as_pairs(phases: tuple[Phase, ...]) -> list[Phase]:
    """The phases; image-text pairs at as many tokens as image-text pairs have are those pairs."""
    return [replace(phase, equal_tokens=phase.equal_tokens and phase.mixture != IMAGE_TEXT) for phase in phases]


def _mask_arms() -> list[Arm]:
    plain = Phase(EQUAL, "none")
    phases = {
        "infonce": plain,
        "mamcl": Phase(EQUAL),
        "random-mask": Phase(EQUAL, "random"),
        "homogeneous": Phase(EQUAL, homogeneous=True),
        "soft-0.01": Phase(EQUAL, other_weight=0.01),
        "soft-0.1": Phase(EQUAL, other_weight=0.1),
    }
    both = ("infonce", "mamcl", "random-mask", "homogeneous")
    phases |= {f"{name}-both": replace(phases[name], both=True) for name in both}
    balanced = ("infonce", "mamcl")
    phases |= {f"{name}-paper-like": replace(phases[name], mixture=PAPER_LIKE) for name in balanced}
    arms = [Arm("mask", name, (phase,)) for name, phase in phases.items()]
    return [*arms, Arm("mask", "mamcl-1d", (phases["mamcl"],), "1d"), Arm("mask", "untrained", ())]


def _stage_arms() -> list[Arm]:
    adaptation = Phase(COARSE, both=True, pairs=PAIRS // 2)
    instruction = Phase(INSTRUCTIONS, pairs=PAIRS // 2)
    halves = [{kind: weight / sum(half.values()) for kind, weight in half.items()} for half in (COARSE, INSTRUCTIONS)]
    shuffled = {kind: halves[0].get(kind, 0.0) + halves[1].get(kind, 0.0) for kind in {**halves[0], **halves[1]}}
    return [
        Arm("stages", "1-then-2", (adaptation, instruction)),
        Arm("stages", "2-then-1", (instruction, adaptation)),
        Arm("stages", "shuffled", (Phase(shuffled),)),
    ]


def _mixture_arms() -> list[Arm]:
    parts = {"text": TEXT_TEXT, "image": IMAGE_TEXT, "video": VIDEO_TEXT}
    chosen = [("text",), ("image",), ("video",), ("text", "image"), ("text", "video"), ("image", "video")]
    arms = []
    for names in [*chosen, ("text", "image", "video")]:
        mixture = {kind: weight for name in names for kind, weight in parts[name].items()}
        arms.append(Arm("mixture", "+".join(names), (Phase(mixture),)))
        arms.append(Arm("mixture", "+".join(names) + "@tokens", (Phase(mixture, equal_tokens=True),)))
    return arms


def _fine_arms() -> list[Arm]:
    """Fine captions take a quarter of the pairs of the stage that has them."""

    def with_fine(mixture: Mixture) -> Mixture:
        total = sum(mixture.values())
        return {**mixture, **dict.fromkeys(FINE, total / 6)}

    arms = []
    for name, first, second in (("none", 0, 0), ("stage-1", 1, 0), ("stage-2", 0, 1), ("both", 1, 1)):
        adaptation = Phase(with_fine(COARSE) if first else COARSE, both=True, pairs=PAIRS // 2)
        instruction = Phase(with_fine(INSTRUCTIONS) if second else INSTRUCTIONS, pairs=PAIRS // 2)
        arms.append(Arm("fine", name, (adaptation, instruction)))
    return arms


def _video_arms() -> list[Arm]:
    """Half the pairs are of images in all three; the other half are of images, of clips, or of a frame of those clips."""
    return [
        Arm("video", "images-only", (Phase(IMAGE_TEXT),)),
        Arm("video", "with-clips", (Phase({**IMAGE_TEXT, **VIDEO_TEXT}),)),
        Arm("video", "with-frames", (Phase({**IMAGE_TEXT, **FRAMES_TEXT}),)),
    ]


ARMS = [*_mask_arms(), *_stage_arms(), *_mixture_arms(), *_fine_arms(), *_video_arms()]
FAMILIES = tuple(dict.fromkeys(arm.family for arm in ARMS))


@dataclass(frozen=True)
class Comparison:
    """An arm against another of its family, on one endpoint. `primary` ones carry a hypothesis."""

    arm: str
    against: str
    endpoint: str
    primary: bool = False

    @property
    def family(self) -> str:
        return self.arm.split("/")[0]


MARGINS = {"same": 0.01, "union": 0.01, "bias": 0.05, "images": 0.01, "fine": 0.01}  # smaller differences do not matter


def _comparisons() -> list[Comparison]:
    def of(family: str, pairs: list[tuple[str, str]], *endpoints: str) -> list[Comparison]:
        return [Comparison(f"{family}/{a}", f"{family}/{b}", e) for e in endpoints for a, b in pairs]

    first = [Comparison("mask/mamcl", "mask/infonce", end, primary=True) for end in ("same", "union", "bias")]
    masks = [
        ("random-mask", "infonce"),
        ("mamcl", "random-mask"),
        ("homogeneous", "infonce"),
        ("mamcl", "homogeneous"),
        ("soft-0.01", "infonce"),
        ("soft-0.1", "infonce"),
        ("mamcl-both", "infonce-both"),
        ("random-mask-both", "infonce-both"),
        ("homogeneous-both", "infonce-both"),
        ("mamcl-paper-like", "infonce-paper-like"),
        ("mamcl-1d", "mamcl"),
    ]
    mixtures = ["text", "image", "video", "text+image", "text+video", "image+video"]
    everything = "text+image+video"
    return [
        *first,
        *of("mask", masks, "same", "union", "bias"),
        *of("stages", [("1-then-2", "shuffled"), ("2-then-1", "shuffled"), ("1-then-2", "2-then-1")], "same", "union"),
        *of("mixture", [(name, everything) for name in mixtures], "same", "images"),
        *of("mixture", [(f"{name}@tokens", f"{everything}@tokens") for name in mixtures], "same", "images"),
        *of(
            "fine", [("stage-1", "none"), ("stage-2", "none"), ("both", "none"), ("stage-1", "stage-2")], "fine", "same"
        ),
        *of(
            "video",
            [("with-clips", "images-only"), ("with-frames", "images-only"), ("with-clips", "with-frames")],
            "images",
        ),
    ]


COMPARISONS = _comparisons()
