"""An embedder that knows the truth of scenes: a text is close to the scenes of which it is true, by the checker.

It reads the programs behind pictures and clips, and tests tasks: below 100 %, a task asks what is not so. `perceive` lets a
subclass see scenes and texts less well; what such a planted model fails is what the task measures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.oracle import Judged, OracleEmbedder
from unite_bench.errors import ModelError
from unite_bench.items import Image, Item, Role, Text, Video
from unite_bench.sources.scenes import Scene, entails


class SymbolicOracle(OracleEmbedder):
    """Candidates on axes of their own; a query has a 1 where it and the candidate are true of each other.

    Scores are dot products, so that a query true of many candidates is no farther from each.
    """

    card = replace(OracleEmbedder.card, name="symbolic-oracle", similarity="dot")

    def __init__(self) -> None:
        super().__init__()
        self._scenes: dict[str, Scene] = {}

    def perceive(self, scene: Scene, text: str) -> tuple[Scene, str]:
        """What is left of a scene and a text on the way to the checker."""
        return scene, text

    def told(self, candidates: Sequence[Item], judged: Judged) -> SymbolicOracle:
        """The oracle over these candidates; of what is judged it takes the queries, never the answers."""
        oracle = type(self)()
        oracle.card = replace(self.card, dim=len(candidates) + 1)
        axes = np.eye(len(candidates) + 1, dtype=np.float32)  # the last axis is of no candidate: no vector is zero
        oracle._vectors = {(c.content, "candidate"): axes[n] for n, c in enumerate(candidates)}
        for query, _ in judged:
            row = axes[-1].copy()
            row[: len(candidates)] = [self._agree(query, candidate) for candidate in candidates]
            oracle._vectors[query.content, "query"] = row
        return oracle

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        return np.stack([self._vectors[item.content, role] for item in items])

    def scene_of(self, part: Image | Video) -> Scene:
        """The scene behind a picture or clip: the program itself."""
        scene = getattr(part.medium, "scene", None)
        if not isinstance(scene, Scene):
            raise ModelError(f"{self.card.name}: {part.medium.name} is no scene program")
        return scene

    def _agree(self, one: Item, two: Item) -> bool:
        parts = (*one.parts, *two.parts)
        texts = [part.text for part in parts if isinstance(part, Text)]
        media = [part for part in parts if not isinstance(part, Text)]
        if len(texts) != 1 or len(media) != 1:
            raise ModelError(f"{self.card.name} takes one caption and one scene, as in the quartet tasks")
        scene = self._scenes.get(media[0].digest)
        if scene is None:
            scene = self._scenes[media[0].digest] = self.scene_of(media[0])
        return entails(*self.perceive(scene, texts[0]))
