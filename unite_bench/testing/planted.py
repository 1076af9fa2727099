"""Planted models: the symbolic oracle with one blindness each. A diagnostic must find that one and no other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from unite_bench.embedders.base import Vectors
from unite_bench.embedders.oracle import Judged, OracleEmbedder
from unite_bench.items import Item, Role
from unite_bench.sources.scenes import Scene
from unite_bench.sources.scenes.world import COLOURS, REVERSED
from unite_bench.testing.symbolic import SymbolicOracle

_COLOUR = re.compile(rf"\b({'|'.join((*COLOURS, 'violet'))})\b", re.IGNORECASE)
_WAY = re.compile(
    r"(?<=moves|.goes) (round )?(SIDES)\b|(?<=moving|.going) (round )?(SIDES)\b".replace(
        "SIDES",
        "up and left|down and right|upwards and to the left|downwards and to the right|to the left|to the right|"
        "left|right|upwards|downwards|up|down|clockwise|counter-clockwise|anticlockwise",
    ),
    re.IGNORECASE,
)
_SHRINKING = {"shrinks": "grows", "shrinking": "growing", "smaller": "bigger"}
_NUMBERED = re.compile(r"\b(two|three|four|five|six|seven|eight) shapes in all|(?<=shapes: )\w+ in all", re.IGNORECASE)


class ColourBlind(SymbolicOracle):
    """Every thing and every colour word is red."""

    card = replace(SymbolicOracle.card, name="colour-blind")

    def perceive(self, scene: Scene, text: str) -> tuple[Scene, str]:
        things = tuple(replace(thing, colour="red") for thing in scene.things)
        return replace(scene, things=things), _COLOUR.sub("red", text)


class OrderBlind(SymbolicOracle):
    """A clip is a bag of frames: a path and its reverse are one, and all events happen at once."""

    card = replace(SymbolicOracle.card, name="order-blind")

    def perceive(self, scene: Scene, text: str) -> tuple[Scene, str]:
        motion = scene.motion and replace(scene.motion, path=min(scene.motion.path, REVERSED[scene.motion.path]))
        events = tuple(replace(event, slot="midway") for event in scene.events)
        words = re.sub(r"\bthen\b", "", _WAY.sub("", text), flags=re.IGNORECASE)
        for shrinking, growing in _SHRINKING.items():
            words = re.sub(rf"\b{shrinking}\b", growing, words, flags=re.IGNORECASE)
        return replace(scene, motion=motion, events=events), words


class CountBlind(SymbolicOracle):
    """Any number of shapes in all is one."""

    card = replace(SymbolicOracle.card, name="count-blind")

    def perceive(self, scene: Scene, text: str) -> tuple[Scene, str]:
        if "in all" not in text:
            return scene, text
        words = _NUMBERED.sub(lambda found: "one in all" if "shapes" not in found[0] else "one shape in all", text)
        return replace(scene, things=(replace(scene.things[0], count=1),)), words


class InstructionBlind(OracleEmbedder):
    """Told all answers, but not what was asked for: the answers to all instructions of one query are one to it."""

    card = replace(OracleEmbedder.card, name="instruction-blind")

    def told(self, candidates: Sequence[Item], judged: Judged) -> OracleEmbedder:
        inner = super().told(candidates, [(replace(query, instruction=None), grades) for query, grades in judged])
        blind = InstructionBlind()
        blind.card, blind._given, blind._vectors = replace(inner.card), inner._given, inner._vectors
        return blind

    def embed(self, items: Sequence[Item], role: Role) -> Vectors:
        return super().embed([replace(item, instruction=None) for item in items], role)
