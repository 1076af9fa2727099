"""The caption grammar: short captions, paraphrases and long captions of a scene.

A text follows from the scene, a pattern number (any number from 0) and the part. The pattern decides the facts that are
told and the template; `short` and `paraphrase` of one scene and pattern tell the same facts in other words. Templates
that are held out serve only parts with held-out wording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from unite_bench.sources.scenes.draw import Draw
from unite_bench.sources.scenes.phrases import NUMBERS, WORDING, Voice
from unite_bench.sources.scenes.world import GENERATOR_VERSION, PLACES, SLOTS, Event, Scene, Thing, part_of, taken_cells

LONG_WORDS = (40, 80)


@dataclass(frozen=True)
class Facts:
    """Which facts a caption tells, beside colour, shape, motion and events; and in which order the things come."""

    place: bool
    look: bool
    speed: bool
    relation: tuple[int, str, int] | None
    order: tuple[int, ...]
    motion: bool = True


@dataclass(frozen=True)
class Clause:
    """What is said of one thing, before a template words it."""

    noun: str
    place: str  # "" where no place is told
    finite: str  # "is at the top left", "moves left"; "" if nothing but the noun is said
    participle: str  # "at the top left", "moving left"
    plural: bool
    then: bool  # comes after the clause before it, in time


def short(scene: Scene, pattern: int, part: str = "train", motion: bool = True) -> str:
    """A short caption: colour and shape of every thing, what moves or happens, and place, look or a relation.

    Without `motion` only what a single frame shows is told, so that the caption fits every form of the scene.
    """
    return tell(scene, choose_facts(scene, pattern, motion), pattern, part)


def paraphrase(scene: Scene, pattern: int, part: str = "train", motion: bool = True) -> str:
    """The facts of `short` with the same pattern, in other words and another order of words."""
    return tell(scene, choose_facts(scene, pattern, motion), pattern, part, other=True)


def tell(scene: Scene, facts: Facts, pattern: int, part: str = "train", other: bool = False) -> str:
    """These facts in the words of `short`, or of `paraphrase` (`other`); the pattern decides the template alone.

    Two scenes told with one pattern and facts in one order differ in words only where they differ themselves.
    """
    held_out = part_of(part).wording
    voice = Voice(pattern, other, stream=int(other))
    if other:
        return sentence_case(voice.draw.choice(_OTHER_HELD_OUT if held_out else _OTHER)(clauses(scene, facts, voice)))
    return voice.draw.choice(_SHORT_HELD_OUT if held_out else _SHORT)(clauses(scene, facts, voice))


def long(scene: Scene, pattern: int, part: str = "train") -> str:
    """Everything about a scene in 40 to 80 words: paper, number, every attribute, motion, events, relations."""
    voice = Voice(pattern, other=False, stream=2)
    held_out = part_of(part).wording
    voice.other = voice.draw.chance(30)
    facts = Facts(True, True, True, None, _order(scene, voice.draw))
    told = clauses(scene, facts, voice, timed=True)
    style = 3 if held_out else voice.draw.below(3)
    sentences = _opening(scene, style) + [_LONG[style](clause) for clause in told]
    if scene.motion is not None:
        if len(scene.things) > 1 and not scene.events:
            sentences.append("everything else stays still" if style != 1 else "nothing else moves")
        sentences.append("the motion ends near where it began")
    spare = _relations(scene, voice) + _empty(scene, voice)
    while spare and sum(len(s.split()) for s in sentences) < LONG_WORDS[0] + 4:
        sentences.append(spare.pop(0))
    return " ".join(s[0].upper() + s[1:] + "." for s in sentences)


def choose_facts(scene: Scene, pattern: int, motion: bool = True) -> Facts:
    """The facts that a pattern tells. A lone thing is told in full, so that few other scenes fit the caption."""
    draw = Draw(GENERATOR_VERSION, WORDING + 3, 0, 0, pattern)
    order = _order(scene, draw)
    mode, speed, look = draw.choice(("place", "place", "look", "relation")), draw.chance(50), draw.chance(20)
    if len(scene.things) == 1:
        return Facts(True, True, True, None, order, motion)
    if mode == "look":
        return Facts(False, True, speed, None, order, motion)
    pairs = relations(scene) if mode == "relation" else []
    return Facts(True, look, speed, draw.choice(pairs) if pairs else None, order, motion)


def relations(scene: Scene) -> list[tuple[int, str, int]]:
    """Every (thing, relation, thing) of things that stay: cells in different columns or rows."""
    mover = None if scene.motion is None else scene.motion.mover
    found = []
    for i, one in enumerate(scene.things):
        for j, two in enumerate(scene.things):
            if i == j or mover in (i, j):
                continue
            if one.column != two.column:
                found.append((i, "left" if one.column < two.column else "right", j))
            if one.row != two.row:
                found.append((i, "above" if one.row < two.row else "below", j))
    return found


def placed(scene: Scene, index: int) -> bool:
    """Whether a thing has a place that can be named: it stays, or grows where it is."""
    return scene.motion is None or scene.motion.mover != index or scene.motion.path in ("grows", "shrinks")


def clauses(scene: Scene, facts: Facts, voice: Voice, timed: bool = False) -> list[Clause]:
    """One clause a thing, in the facts' order; two related things share one."""
    if facts.relation is not None:
        i, relation, j = facts.relation
        events = {event.thing for event in scene.events}
        if not {i, j} & events:
            phrase = f"{voice.relation(relation)} {voice.noun(scene.things[j], facts.look)}"
            one = scene.things[i]
            joint = Clause(voice.noun(one, facts.look), "", f"{_be(one)} {phrase}", phrase, one.count > 1, False)
            rest = [_clause(scene, k, facts, voice, timed) for k in facts.order if k not in (i, j)]
            return [joint, *rest]
    return [_clause(scene, index, facts, voice, timed) for index in facts.order]


def sentence_case(text: str) -> str:
    """Capital letters after full stops, and one at the end."""
    return ". ".join(part[0].upper() + part[1:] for part in text.rstrip(".").split(". ")) + "."


def _be(thing: Thing) -> str:
    return "is" if thing.count == 1 else "are"


def _order(scene: Scene, draw: Draw) -> tuple[int, ...]:
    """Things in random order, but things that blink come last and in the order of time."""
    blinks = [event.thing for event in scene.events if event.kind == "blinks"]
    return tuple(draw.shuffled([i for i in range(len(scene.things)) if i not in blinks]) + blinks)


def _clause(scene: Scene, index: int, facts: Facts, voice: Voice, timed: bool) -> Clause:
    thing = scene.things[index]
    place = voice.place(thing.place) if facts.place and placed(scene, index) else ""
    noun = voice.noun(thing, facts.look)
    event = next((event for event in scene.events if event.thing == index), None)
    plural = thing.count > 1
    if facts.motion and scene.motion is not None and scene.motion.mover == index:
        told = [voice.motion(scene.motion, facts.speed, participle) for participle in (False, True)]
        finite, participle = (f"{text} {place}".strip() for text in told)
        return Clause(noun, place, finite, participle, plural, False)
    if event is not None:
        finite, participle = (voice.event(event, p, place, timed) for p in (False, True))
        return Clause(noun, place, finite, participle, plural, _second(scene, event))
    return Clause(noun, place, f"{_be(thing)} {place}" if place else "", place, plural, False)


def _second(scene: Scene, event: Event) -> bool:
    return len(scene.events) == 2 and SLOTS[event.slot][0] == max(SLOTS[other.slot][0] for other in scene.events)


def _joined(told: Sequence[Clause], texts: Sequence[str], last: str = " and ") -> str:
    """Texts in a row: commas, `last` before the last one, and `then` where one thing follows another in time."""
    out = texts[0]
    for i in range(1, len(texts)):
        if told[i].then:
            out += f", then {texts[i]}"
        else:
            out += f"{last if i == len(texts) - 1 else ', '}{texts[i]}"
    return out


def _bare(clause: Clause) -> str:
    return f"{clause.noun} {clause.participle}".strip()


def _alone(told: Sequence[Clause]) -> str:
    """A lone clause, which has no joint to be worded otherwise, as no training template has it; else nothing."""
    return f"just {_bare(told[0])}" if len(told) == 1 else ""


def _parted(told: Sequence[Clause]) -> str:
    return "; ".join(("then " if clause.then else "") + _fronted(clause) for clause in told)


def _fronted(clause: Clause) -> str:
    """The place before the noun, where the place is all that is said."""
    return f"{clause.place} {clause.noun}" if clause.place and clause.participle == clause.place else _bare(clause)


def _there(clause: Clause) -> str:
    return f"there {'are' if clause.plural else 'is'} {_bare(clause)}"


def _sentences(told: Sequence[Clause], texts: Sequence[str]) -> str:
    return ". ".join(f"then {text}" if clause.then else text for clause, text in zip(told, texts, strict=True))


def _finite(clause: Clause) -> str:
    return f"{clause.noun} {clause.finite}" if clause.finite else _there(clause)


def _place_there(clause: Clause) -> str:
    if clause.place and clause.participle == clause.place:
        return f"{clause.place} there {'are' if clause.plural else 'is'} {clause.noun}"
    return _there(clause)


Template = Callable[[Sequence[Clause]], str]
_SHORT: tuple[Template, ...] = (
    lambda told: _joined(told, [_bare(c) for c in told]),
    lambda told: _joined(told, [_fronted(c) for c in told], ", "),
    lambda told: _joined(told, [f"{c.noun} {c.finite}".strip() for c in told]),
)
_SHORT_HELD_OUT: tuple[Template, ...] = (
    lambda told: _parted(told) if told[-1].then else _alone(told) or _joined(told, [_bare(c) for c in told], " with "),
    lambda told: _alone(told) or _parted(told),
)
_OTHER: tuple[Template, ...] = (
    lambda told: _sentences(told, [_there(c) for c in told]),
    lambda told: "we see " + _joined(told, [_bare(c) for c in told]),
    lambda told: _sentences(told, [_place_there(c) for c in told]),
    lambda told: "shown here: " + _joined(told, [_bare(c) for c in told], " together with "),
)
_OTHER_HELD_OUT: tuple[Template, ...] = (
    lambda told: "you can spot " + _joined(told, [_fronted(c) for c in told], " as well as "),
    lambda told: _sentences(told, [f"look for {_bare(c)}" for c in told]),
)
_LONG: tuple[Callable[[Clause], str], ...] = (
    lambda c: f"{'then ' if c.then else ''}{_finite(c)}",
    lambda c: f"{'then ' if c.then else ''}{_place_there(c)}",
    lambda c: f"{'then ' if c.then else ''}one can see {_bare(c)}",
    lambda c: f"{'then ' if c.then else ''}look for {_bare(c)}",
)


def _opening(scene: Scene, style: int) -> list[str]:
    number = NUMBERS[scene.figures]
    shapes = f"{number} shape" + ("" if scene.figures == 1 else "s")
    are = "is" if scene.figures == 1 else "are"
    return (
        [f"the paper is {scene.paper}", f"there {are} {shapes} in all"],
        [f"on {scene.paper} paper there {are} {shapes} in all"],
        [f"this scene has {scene.paper} paper and {shapes} in all"],
        [f"number of shapes: {number} in all", f"kind of paper: {scene.paper}"],
    )[style]


def _relations(scene: Scene, voice: Voice) -> list[str]:
    """Sentences about where things stand to each other, each pair once."""
    told = []
    for i, relation, j in voice.draw.shuffled([r for r in relations(scene) if r[0] < r[2]]):
        one, two = (voice.noun(scene.things[k], look=False, article="the") for k in (i, j))
        told.append(f"{one} {_be(scene.things[i])} {voice.relation(relation)} {two}")
    return told


def _empty(scene: Scene, voice: Voice) -> list[str]:
    free = [cell for cell in range(len(PLACES)) if cell not in taken_cells(scene)]
    return [f"nothing is {voice.place(cell)}" for cell in voice.draw.shuffled(free)]
