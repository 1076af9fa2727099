"""What the backbone stage is told: talks about scenes, real pictures and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reference_model.nano.language import Talk
from reference_model.nano.real import Picture, Wording
from reference_model.nano.world import World
from unite_bench.sources.scenes.language import long, paraphrase, short
from unite_bench.sources.scenes.phrases import NUMBERS, Voice
from unite_bench.sources.scenes.questions import questions
from unite_bench.sources.scenes.world import PLACES, VARYING, Scene, Thing

LIST = "List what is there."
PATTERNS = 1_000_000
Turn = tuple[str, str]


def full_noun(thing: Thing) -> str:
    """A thing with everything that can be told by looking, in a fixed order of words."""
    size = "" if thing.size == VARYING else f"{thing.size} "
    number = "a" if thing.count == 1 else NUMBERS[thing.count]
    return f"{number} {size}{thing.fill} {thing.colour} {thing.shape}"


def listing(scene: Scene) -> str:
    """The whole scene in a fixed order: by place, what moves first; then events, then the paper."""
    voice = Voice(0, other=False)
    told = []
    order = sorted(range(len(scene.things)), key=lambda i: (_mover(scene) != i, scene.things[i].place))
    for index in order:
        thing = scene.things[index]
        if _mover(scene) == index and scene.motion is not None:
            place = f" {PLACES[thing.place]}" if scene.motion.path in ("grows", "shrinks") else ""
            told.append(f"{full_noun(thing)} {voice.motion(scene.motion, True, False)}{place}")
        else:
            told.append(f"{full_noun(thing)} {PLACES[thing.place]}")
    for event in sorted(scene.events, key=lambda event: event.slot):
        thing = scene.things[event.thing]
        told.append(f"the {thing.colour} {thing.shape} {voice.event(event, False, timed=True)}")
    return "; ".join([*told, f"{scene.paper} paper"])


def _mover(scene: Scene) -> int:
    return -1 if scene.motion is None else scene.motion.mover


def _pattern(rng: np.random.Generator) -> int:
    return int(rng.integers(PATTERNS))


def still_questions(scene: Scene, rng: np.random.Generator) -> list[Turn]:
    """Every question that the world can ask about a still scene, and one about each of a few places."""
    turns = [(question.text(_pattern(rng)), question.answer) for question in questions(scene)]
    held = {thing.place: thing for thing in scene.things}
    places = set(held) | {int(place) for place in rng.choice(9, 2, replace=False)}
    turns += [(f"What is {PLACES[p]}?", full_noun(held[p]) if p in held else "nothing") for p in sorted(places)]
    return [turns[i] for i in rng.permutation(len(turns))]


def clip_questions(scene: Scene, rng: np.random.Generator) -> list[Turn]:
    """What moves, which way and how fast; what happens."""
    voice = Voice(0, other=False)
    turns: list[Turn] = []
    if scene.motion is not None:
        mover = scene.things[scene.motion.mover]
        turns += [
            ("What is moving?", full_noun(mover)),
            ("How does it move?", voice.motion(scene.motion, True, False)),
            (f"What does the {mover.colour} {mover.shape} do?", voice.motion(scene.motion, True, False)),
        ]
    for event in scene.events:
        thing = scene.things[event.thing]
        turns.append((f"What does the {thing.colour} {thing.shape} do?", voice.event(event, False, timed=True)))
    for index, thing in enumerate(scene.things):
        if index != _mover(scene):
            turns.append((f"What is {PLACES[thing.place]}?", full_noun(thing)))
    return [turns[i] for i in rng.permutation(len(turns))]


def still_talk(world: World, rng: np.random.Generator, turns: int = 5) -> Talk:
    """A still scene: its listing, a caption of some kind, and questions."""
    index = int(rng.integers(len(world.stills)))
    scene = world.stills[index]
    asked: list[Turn] = [("\n" + LIST, listing(scene)), _caption(scene, "image", rng)]
    return Talk(tuple([*asked, *still_questions(scene, rng)][:turns]), (world.images, world.still_at[index]), "image")


def clip_talk(world: World, rng: np.random.Generator, turns: int = 5) -> Talk:
    """A moving scene: its listing, a caption of some kind, and questions."""
    index = int(rng.integers(len(world.movings)))
    scene = world.movings[index]
    asked: list[Turn] = [("\n" + LIST, listing(scene)), _caption(scene, "video", rng)]
    return Talk(tuple([*asked, *clip_questions(scene, rng)][:turns]), (world.clips, world.clip_at[index]), "video")


def change_talk(world: World, rng: np.random.Generator) -> Talk:
    """A picture and a wish, or the words that complete it: what is there then?"""
    if rng.random() < 0.3:
        fused = world.fused[int(rng.integers(len(world.fused)))]
        return Talk(
            ((fused.text + "\n" + LIST, listing(world.stills[fused.scene])),), (world.images, fused.shown), "image"
        )
    edit = world.still_edits[int(rng.integers(len(world.still_edits)))]
    turn = (f"{edit.text}\n{LIST}", listing(world.image_scenes[edit.after]))
    return Talk((turn,), (world.images, world.still_at[edit.source]), "image")


def reading_talk(world: World, rng: np.random.Generator, turns: int = 4) -> Talk:
    """Texts about scenes, without any medium: say it in other words, list it, answer questions about it."""
    asked: list[Turn] = []
    while len(asked) < turns:
        scenes = world.stills if rng.random() < 0.6 else world.movings
        scene, pattern = scenes[int(rng.integers(len(scenes)))], _pattern(rng)
        choice = rng.random()
        if choice < 0.3:
            asked.append((f"{long(scene, pattern)}\n{LIST}", listing(scene)))
        elif choice < 0.5:
            asked.append((f"{short(scene, pattern)}\nSay it in other words.", paraphrase(scene, pattern)))
        elif choice < 0.7:
            asked.append((f"{paraphrase(scene, pattern)}\nSay it in plain words.", short(scene, pattern)))
        else:
            options = still_questions(scene, rng) if not scene.moving else clip_questions(scene, rng)
            asked.append((f"{listing(scene)}\n{options[0][0]}", options[0][1]))
    return Talk(tuple(asked))


def picture_talk(pictures: Sequence[Picture], rng: np.random.Generator) -> Talk:
    """A real picture: what it is, and what it is about."""
    picture = pictures[int(rng.integers(len(pictures)))]
    turns = [(f"\n{wording.asked}", wording.text(rng)) for wording in picture.wordings]
    chosen = rng.permutation(len(turns))[:3]
    return Talk(tuple(turns[i] for i in chosen), (picture.bank, picture.number), "image")


def word_talk(words: Sequence[Wording], rng: np.random.Generator, turns: int = 6) -> Talk:
    """Words and what they mean, asked both ways."""
    chosen = [words[int(i)] for i in rng.integers(len(words), size=turns)]
    asked = [
        (f"What is {word.asked}?", word.answers[0])
        if rng.random() < 0.5
        else (f"Which word: {word.answers[0]}", word.asked)
        for word in chosen
    ]
    return Talk(tuple(asked))


def _caption(scene: Scene, kind: str, rng: np.random.Generator) -> Turn:
    if rng.random() < 0.2:
        return (f"\nDescribe the {kind} in detail.", long(scene, _pattern(rng)))
    return (f"\nDescribe the {kind}.", short(scene, _pattern(rng)))
