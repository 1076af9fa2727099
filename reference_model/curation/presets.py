"""The paper's mixtures as designs (Kong et al., arXiv 2505.19650v2: training data of the two stages).

Numbers of pairs are the paper's, rounded as printed there. Its printed shares of the first stage add up to 96.9: the
one of video-text, 36.1, is not what the printed numbers of pairs give (39.2). Both are kept as printed. The training
sets are public as friedrichor/Unite-Base-Retrieval-Train and friedrichor/Unite-Instruct-Retrieval-Train.
"""

from __future__ import annotations

from dataclasses import dataclass

from reference_model.curation.composition import Cell
from reference_model.curation.rows import Granularity, Stage


@dataclass(frozen=True)
class Preset:
    """A published mixture: `shares` of pairs as printed, and (dataset, pair, granularity, pairs in thousands)."""

    stage: Stage
    dataset: str
    shares: dict[str, float]
    sets: tuple[tuple[str, str, Granularity, float], ...]

    def cells(self, merged: bool = False) -> tuple[Cell, ...]:
        """The design: a cell a pair with its share, then a cell a dataset with its number of pairs. Each is known by its
        datasets, for the paper counts no instruction as text, and the public records hold theirs in the text. Of one
        `merged` file the cells are those of the pairs, by what the rows hold."""
        if merged:
            return tuple(Cell(stage=self.stage, pair=pair, share=share) for pair, share in self.shares.items())
        of = {pair: tuple(name for name, own, *_ in self.sets if own == pair) for pair in self.shares}
        pairs = [Cell(stage=self.stage, pair=pair, share=self.shares[pair], sources=of[pair]) for pair in of]
        sets = [
            Cell(stage=self.stage, pair=pair, source=name, sources=(name,), rows=round(1000 * thousands))
            for name, pair, _, thousands in self.sets
        ]
        return (*pairs, *sets)

    def shares_of_pairs(self) -> dict[str, float]:
        """Percent of each pair by the printed numbers of pairs, to hold against the printed shares."""
        total = sum(thousands for *_, thousands in self.sets)
        return {
            pair: 100 * sum(thousands for _, of, _, thousands in self.sets if of == pair) / total
            for pair in self.shares
        }

    def granularity(self, source: str) -> Granularity:
        """That of one dataset."""
        return next(how for name, _, how, _ in self.sets if name == source)


PRESETS = {
    "unite-adaptation": Preset(
        "adaptation",
        "friedrichor/Unite-Base-Retrieval-Train",
        {"text-text": 21.6, "image-text": 39.2, "text-video": 36.1},
        (
            ("NLI", "text-text", "coarse", 275.6),
            ("MSMARCO", "text-text", "coarse", 532.8),
            ("NQ", "text-text", "coarse", 100.2),
            ("HotpotQA", "text-text", "coarse", 170.0),
            ("Fever", "text-text", "coarse", 140.1),
            ("TriviaQA", "text-text", "coarse", 73.3),
            ("SQuAD", "text-text", "coarse", 87.6),
            ("CapsFusion", "image-text", "coarse", 1000.0),
            ("LAION-Art", "image-text", "coarse", 1000.0),
            ("MSCOCO", "image-text", "coarse", 500.0),
            ("InternVid-FLT", "text-video", "coarse", 2000.0),
            ("Tarsier2-Recap", "text-video", "fine", 500.0),
        ),
    ),
    "unite-instruction": Preset(
        "instruction",
        "friedrichor/Unite-Instruct-Retrieval-Train",
        {
            "image>image": 1.3,
            "text>image": 25.5,
            "image>text": 27.6,
            "text>image+text": 1.4,
            "image+text>text": 14.8,
            "image+text>image": 13.8,
            "text+video>video": 15.8,
        },
        (
            ("NIGHTS", "image>image", "instruction", 15.9),
            ("COCO-t2i", "text>image", "instruction", 100.0),
            ("VisDial", "text>image", "instruction", 123.3),
            ("VisualNews-t2i", "text>image", "instruction", 99.9),
            ("HatefulMemes", "image>text", "instruction", 8.5),
            ("ImageNet-1K", "image>text", "instruction", 100.0),
            ("COCO-i2t", "image>text", "instruction", 113.3),
            ("SUN397", "image>text", "instruction", 19.9),
            ("VisualNews-i2t", "image>text", "instruction", 100.0),
            ("VOC2007", "image>text", "instruction", 7.9),
            ("WebQA", "text>image+text", "instruction", 17.2),
            ("A-OKVQA", "image+text>text", "instruction", 17.1),
            ("ChartQA", "image+text>text", "instruction", 28.3),
            ("DocVQA", "image+text>text", "instruction", 39.5),
            ("InfographicsVQA", "image+text>text", "instruction", 23.5),
            ("OK-VQA", "image+text>text", "instruction", 9.0),
            ("Visual7W", "image+text>text", "instruction", 69.8),
            ("CIRR", "image+text>image", "instruction", 26.1),
            ("COCO-it2i", "image+text>image", "instruction", 100.0),
            ("N24News", "image+text>image", "instruction", 49.0),
            ("WebVid-CoVR", "text+video>video", "instruction", 200.0),
        ),
    ),
}
