"""What training learns from: only training seeds, right targets, negatives that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from tiny_model import TINY, Noise

from reference_model.backbone import Backbone, load_tokenizer
from reference_model.nano import lessons, naming, real_pairs, scene_pairs
from reference_model.nano.real import Real, load_real
from reference_model.nano.world import Sizes, World, build_world
from reference_model.preprocess import Grid
from reference_model.train.batches import patches_of
from reference_model.train.pairs import draw_batch, modality_bits, pick_kinds
from unite_bench.errors import DataError, StoreError, UsageError
from unite_bench.items import Text
from unite_bench.sources.scenes.entailment import entails
from unite_bench.sources.scenes.world import HELD_OUT_PAIRS, TRAIN_SEEDS, Scene

SEED = TRAIN_SEEDS.start + 5
SIZES = Sizes(stills=24, movings=14, still_edits=12, clip_edits=6, fused=10)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build_world(SEED, SIZES, tmp_path_factory.mktemp("world"), TINY.preprocessing)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Real:
    data = tmp_path_factory.mktemp("data")
    rows: dict[str, list[dict[str, object]]] = {
        "openclipart": [
            {"image": f"images/{i}.png", "title": f"thing {i}", "keywords": ["k", f"w{i}"], "label": "tool"}
            for i in range(3)
        ],
        "lucide": [{"image": f"images/{i}.png", "tags": ["round", f"tag {i}"]} for i in range(2)],
        "emoji": [
            {"image": "images/0.png", "edit": "with dark skin", "positives": ["1"], "group": "g"},
            {"image": "images/0.png", "edit": "with light skin", "positives": ["2"], "group": "g"},
        ],
        "flags": [
            {
                "image": "images/0.png",
                "question": "Capital?",
                "answers": ["Rome"],
                "type": "capital",
                "country": "Italy",
            },
            {
                "image": "images/1.png",
                "question": "Capital?",
                "answers": ["Oslo"],
                "type": "capital",
                "country": "Norway",
            },
        ],
        "wordnet": [{"words": "dog, hound", "gloss": "a domestic animal"}, {"words": "cat", "gloss": "it purrs"}],
    }
    for name, held in rows.items():
        (data / name / "images").mkdir(parents=True)
        (data / name / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held))
        for number in range(3):
            Pillow.fromarray(Noise(number).picture()).save(data / name / "images" / f"{number}.png")
    return load_real(data, tmp_path_factory.mktemp("banks"), TINY.preprocessing)


def test_test_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kept apart"):
        build_world(5, SIZES, tmp_path, TINY.preprocessing)


def test_held_out_pairs_are_never_trained_on(world: World) -> None:
    scenes: list[Scene] = [*world.stills, *world.movings, *world.image_scenes]
    assert not any((thing.colour, thing.shape) in HELD_OUT_PAIRS for scene in scenes for thing in scene.things)


def test_a_world_is_found_again(world: World) -> None:
    again = build_world(SEED, SIZES, world.images.folder.parent, TINY.preprocessing)
    assert again.still_at == world.still_at
    assert again.still_edits == world.still_edits
    assert len(again.images) == len(world.image_scenes)
    with pytest.raises(StoreError, match="of another size of this world"):
        build_world(SEED, Sizes(12, 7, 6, 3, 5), world.images.folder.parent, TINY.preprocessing)


def test_edits_lead_elsewhere_and_their_negatives_are_wrong(world: World) -> None:
    assert world.still_edits
    assert world.clip_edits
    for edit in world.still_edits:
        after = world.image_scenes[edit.after].meaning
        assert after != world.stills[edit.source].meaning
        assert all(world.image_scenes[number].meaning != after for number in edit.others)


def test_listing_tells_every_thing(world: World) -> None:
    for scene in (*world.stills, *world.movings):
        told = lessons.listing(scene)
        assert scene.paper in told
        for thing in scene.things:
            assert lessons.full_noun(thing) in told


def test_scene_pairs_have_right_targets_and_wrong_negatives(world: World) -> None:
    rng = np.random.default_rng(0)
    for kind in [*scene_pairs.adaptation_kinds(world), *scene_pairs.instruction_kinds(world)]:
        for _ in range(20):
            pair = kind.draw(rng)
            assert pair.query.parts, kind.name
            assert pair.target.digest not in {item.digest for item in pair.negatives}, kind.name
            assert pair.unmasked == (kind.name == "scene form")
            if pair.unmasked:
                assert modality_bits(pair.target) not in {modality_bits(item) for item in pair.negatives}


def test_hard_negatives_are_false_and_easy_pairs_have_none(world: World) -> None:
    """What is said of a scene one edit away, and what shows it, is kept only where the checker finds it false."""
    rng = np.random.default_rng(3)
    scenes = {world.images.image(at).digest: scene for at, scene in enumerate(world.image_scenes)}
    scenes |= {world.clips.video(at).digest: scene for at, scene in enumerate(world.clip_scenes)}
    found = 0
    for kind in scene_pairs.adaptation_kinds(world, hard=True):
        for pair in (kind.draw(rng) for _ in range(40)):
            (query,), (target,) = pair.query.parts, pair.target.parts
            for (other,) in (item.parts for item in pair.negatives):
                text, medium = (other, query) if isinstance(other, Text) else (query, other)
                if isinstance(text, Text) and medium.digest in scenes:
                    assert not entails(scenes[medium.digest], text.text), kind.name
                    found += 1
            if isinstance(query, Text) and target.digest in scenes:
                assert entails(scenes[target.digest], query.text), kind.name
    assert found > 100
    assert not any(kind.draw(rng).negatives for kind in scene_pairs.adaptation_kinds(world) for _ in range(20))


def test_settling_leaves_what_tells_words_apart(world: World, tiny: Path) -> None:
    backbone = Backbone.load(tiny)
    words = backbone.model.get_input_embeddings().weight
    with torch.no_grad():
        kept = words.clone() - words.mean(dim=0)
        words += 5.0  # what all words share
        words[::2, 0] += 9.0  # and what half of them share
    naming.settle(backbone.model, [naming.named_still(world, np.random.default_rng(4))], backbone.preprocessing)
    assert words.mean(dim=0).norm() < 1e-4
    assert words.norm(dim=1).mean().item() == pytest.approx(1.0, abs=1e-4)
    assert words[:, 0].std() < words[:, 1:].std() / 2, "the direction that half of them shared is gone"
    before, after = (torch.nn.functional.normalize(each[:, 1:], dim=1) for each in (kept, words))
    assert (before * after).sum(dim=1).mean() > 0.99
    patches, grids = patches_of([(world.images, 0)], backbone.preprocessing)
    assert 0.3 < backbone.visual(patches, grids).norm(dim=1).mean() < 3.0


def test_a_form_is_answered_in_the_form_that_is_asked_for(world: World) -> None:
    rng = np.random.default_rng(1)
    form = next(kind for kind in scene_pairs.instruction_kinds(world) if kind.name == "scene form")
    pictured = ("image", "picture")
    words = {1: ("text", "caption", "words"), 2: pictured, 3: pictured, 4: ("video", "clip", "moving")}
    seen = set()
    for _ in range(60):
        pair = form.draw(rng)
        assert any(word in (pair.query.instruction or "") for word in words[modality_bits(pair.target)])
        seen.add(modality_bits(pair.target))
    assert seen == {1, 2, 3, 4}


def test_tokens_are_named_where_the_things_are(world: World) -> None:
    rng = np.random.default_rng(2)
    for _ in range(10):
        named = naming.named_still(world, rng)
        scene = world.stills[world.still_at.index(named.medium[1])]
        said = naming._said(named, Grid(1, 6, 6), 2)
        held = {thing.place: thing for thing in scene.things}
        for place, words in enumerate(said):
            assert scene.paper in words
            assert (naming.NOTHING in words) == (place not in held)
            if place in held:
                assert set(naming.thing_words(held[place])) <= set(words)
    clip = naming.named_clip(world, rng)
    assert len(naming._said(clip, Grid(4, 6, 6), 2)) == 36


def test_talks_of_every_sort_can_be_drawn(world: World, real: Real, tiny: Path) -> None:
    rng = np.random.default_rng(3)
    pictures = [picture for held in real.pictures.values() for picture in held if picture.wordings]
    talks = [
        lessons.still_talk(world, rng),
        lessons.clip_talk(world, rng),
        lessons.reading_talk(world, rng),
        lessons.picture_talk(pictures, rng),
        lessons.word_talk(real.words, rng),
        *(lessons.change_talk(world, rng) for _ in range(4)),
    ]
    assert load_tokenizer(tiny).encode(talks[0].turns[0][1]).ids
    assert all(question and answer for talk in talks for question, answer in talk.turns)


def test_real_pairs_follow_their_rows(real: Real) -> None:
    rng = np.random.default_rng(4)
    kinds = [*real_pairs.adaptation_kinds(real), *real_pairs.instruction_kinds(real)]
    names = {kind.name for kind in kinds}
    assert {"words-gloss", "openclipart title", "lucide tags", "flags country", "emoji edit", "flag question"} <= names
    for kind in kinds:
        for _ in range(10):
            pair = kind.draw(rng)
            assert pair.target.digest not in {item.digest for item in pair.negatives}, kind.name
    emoji = next(kind for kind in kinds if kind.name == "emoji edit").draw(rng)
    wish = next(part.text for part in emoji.query.parts if isinstance(part, Text))
    assert emoji.target.parts[0].medium.number == (1 if wish == "with dark skin" else 2)  # type: ignore[union-attr]


def test_sets_that_are_not_there_are_left_out(tmp_path: Path) -> None:
    empty = load_real(tmp_path, tmp_path, TINY.preprocessing)
    assert not real_pairs.adaptation_kinds(empty)
    assert not real_pairs.instruction_kinds(empty)


def test_broken_rows_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "lucide").mkdir()
    (tmp_path / "lucide" / "rows.jsonl").write_text("{not json\n")
    with pytest.raises(DataError, match=r"lucide.rows\.jsonl"):
        load_real(tmp_path, tmp_path, TINY.preprocessing)


def test_batches_hold_the_drawn_kinds_in_equal_shares(world: World) -> None:
    kinds = scene_pairs.adaptation_kinds(world)
    chosen = pick_kinds(kinds, 2, np.random.default_rng(0))
    assert len({kind.name for kind in chosen}) == 2
    assert len(draw_batch(chosen, 11, np.random.default_rng(0))) == 11
