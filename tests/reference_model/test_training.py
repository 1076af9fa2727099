"""The parts of training: adapters that merge, turns that cannot see each other, banks, a loop that resumes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import TINY, Noise, clip, picture

from reference_model.backbone import Backbone, Prepared, Settings, last_states
from reference_model.nano.budget import Budget, learning_rate
from reference_model.nano.contrastive import contrastive_loss, item_vectors
from reference_model.nano.language import Talk, encode, language_loss, turn_mask
from reference_model.nano.stages import Group, Stage, Workplace, run_stage
from reference_model.nano.training import Recipe, note_recipe
from reference_model.preprocess import patches
from reference_model.prompt import render
from reference_model.states import inputs
from reference_model.study.lora import add_lora, merge_lora
from reference_model.train.bank import Bank, writing
from reference_model.train.batches import length_groups, patches_of
from reference_model.train.features import compute_features
from reference_model.train.mamcl import Options
from reference_model.train.pairs import Pair, modality_bits
from unite_bench import media
from unite_bench.errors import StoreError, UsageError
from unite_bench.items import Item, Text


@pytest.fixture()
def backbone(tiny: Path) -> Backbone:
    return Backbone.load(tiny)


@pytest.fixture()
def bank(tmp_path: Path) -> Bank:
    with writing(tmp_path / "bank", TINY.preprocessing) as writer:
        for seed in range(4):
            writer.add(Noise(seed).picture()[np.newaxis])
        writer.add(media.frames(clip(9, 3)).pixels)
    return Bank(tmp_path / "bank")


def states(backbone: Backbone) -> torch.Tensor:
    prompts = [backbone.prepare(render(Item((Text(words),))), []) for words in ("a word", "some other words")]
    return last_states(backbone.model, prompts, [None, None])


def test_lora_starts_as_nothing_and_merges_into_the_same_function(backbone: Backbone) -> None:
    before = states(backbone).detach()
    names = set(backbone.model.state_dict())
    trained = add_lora(backbone.model, rank=4, alpha=8.0)
    assert torch.allclose(states(backbone), before, atol=1e-6)
    for parameter in trained:
        torch.nn.init.normal_(parameter, std=0.1)
    adapted = states(backbone).detach()
    assert not torch.allclose(adapted, before, atol=1e-2)
    merge_lora(backbone.model)
    assert torch.allclose(states(backbone), adapted, atol=1e-5)
    assert set(backbone.model.state_dict()) == names


def test_lora_touches_the_language_model_only(backbone: Backbone) -> None:
    trained = add_lora(backbone.model, rank=4, alpha=8.0)
    assert len(trained) == 2 * 7 * TINY.layers
    free = [name for name, parameter in backbone.model.named_parameters() if parameter.requires_grad]
    assert all(".language_model.layers." in name and name.endswith((".up", ".down")) for name in free)
    assert not any("visual" in name for name in free)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_turns_do_not_see_each_other(backbone: Backbone, bank: Bank, attention: str) -> None:
    """The loss of two turns in one talk is that of two talks with one turn each."""
    backbone.model.set_attn_implementation(attention)
    turns = (("What is it?", "a red circle"), ("Where?", "top left"))
    for medium, kind in (((bank, 0), "image"), ((bank, 4), "video"), (None, "text")):
        given = (backbone.tokenizer, backbone.preprocessing)
        whole, count = language_loss(backbone.model, [Talk(turns, medium, kind)], *given)
        parts = [language_loss(backbone.model, [Talk((turn,), medium, kind)], *given) for turn in turns]
        assert count == sum(number for _, number in parts)
        mean = sum(loss.item() * number for loss, number in parts) / count
        assert whole.item() == pytest.approx(mean, abs=1e-4)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_no_token_sees_what_comes_after_it(backbone: Backbone, bank: Bank, attention: str) -> None:
    """Two answers that differ in their last word have the same states until that word."""
    backbone.model.set_attn_implementation(attention)
    given = (backbone.tokenizer, backbone.preprocessing)
    states_of = {}
    for end in ("!", "?"):
        encoded = encode(Talk((("Where?", f"the circle is {end}"),), None), None, *given)
        prompt = Prepared(encoded.ids, encoded.positions, encoded.visual)
        mask = turn_mask(torch.from_numpy(encoded.turns)[None], torch.float32)
        states_of[end] = backbone.model.model.language_model(
            **inputs(backbone.model, prompt, []), attention_mask={"full_attention": mask}, use_cache=False
        ).last_hidden_state
    apart = (states_of["!"] - states_of["?"]).abs().amax(dim=-1)[0] > 1e-5
    first = int(apart.int().argmax())
    shared = len(encode(Talk((("Where?", "the circle is"),), None), None, *given).ids) - 1
    assert first >= shared


def test_answers_depend_on_the_picture(backbone: Backbone, bank: Bank) -> None:
    given = (backbone.tokenizer, backbone.preprocessing)
    losses = [
        language_loss(backbone.model, [Talk((("What is it?", "a circle"),), (bank, i), "image")], *given)[0].item()
        for i in (0, 1)
    ]
    assert abs(losses[0] - losses[1]) > 1e-6


def test_a_bank_gives_back_what_the_model_would_see(bank: Bank) -> None:
    direct, grid = patches(Noise(2).picture()[np.newaxis], TINY.preprocessing)
    banked, grids = patches_of([(bank, 2), (bank, 4)], TINY.preprocessing)
    assert grids[0] == grid
    assert (banked[: grid.patches] == direct).all()
    whole, clip_grid = patches(media.frames(clip(9, 3)).pixels, TINY.preprocessing)
    assert grids[1] == clip_grid
    assert (banked[grid.patches :] == whole).all()


def test_an_unfinished_bank_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), writing(tmp_path / "half", TINY.preprocessing):
        raise RuntimeError("killed")
    with pytest.raises(StoreError, match="build it again"):
        len(Bank(tmp_path / "half"))


def test_training_and_inference_give_one_vector(tiny: Path, backbone: Backbone, bank: Bank) -> None:
    """Cached features and banked pixels lead to the vector that the embedder gives for the picture itself."""
    from reference_model.embedder import ReferenceEmbedder

    features = compute_features(backbone.model, [bank], backbone.preprocessing)
    items = [Item((bank.image(1), Text("words"))), Item((bank.video(4),)), Item((Text("words only"),))]
    ours = item_vectors(backbone.model, items, features, backbone.tokenizer, backbone.preprocessing, backbone.settings)
    embedder = ReferenceEmbedder(str(tiny))
    direct = [Item((picture(1), Text("words"))), Item((clip(9, 3),)), Item((Text("words only"),))]
    assert (ours * embedder.embed(direct, "query")).sum(-1).min() > 0.999  # features are kept in bf16


def test_contrastive_loss_falls_on_a_batch_that_repeats(backbone: Backbone, bank: Bank) -> None:
    features = compute_features(backbone.model, [bank], backbone.preprocessing)
    pairs = [Pair(Item((Text(f"picture {i}"),)), Item((bank.image(i),))) for i in range(4)]
    pairs.append(Pair(Item((Text("the clip"),), "Find it."), Item((bank.video(4),)), (pairs[0].target,), unmasked=True))
    torch.manual_seed(0)  # the adapters start at random, and not every start halves the loss in thirty steps
    trained = add_lora(backbone.model, rank=8, alpha=8.0)
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    losses = []
    for _ in range(30):
        given = (features, backbone.tokenizer, backbone.preprocessing, Settings())
        loss = contrastive_loss(backbone.model, pairs, *given, 0.03, Options(ways="both"))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_killed_stage_goes_on_where_it_was(tiny: Path, tmp_path: Path) -> None:
    """Three steps, a kill, three more: the same weights as six at once, and a finished stage is not run again."""

    def run(folder: str, steps: int) -> torch.Tensor:
        backbone = Backbone.load(tiny)
        trained = list(backbone.model.model.language_model.layers[0].parameters())
        for parameter in trained:
            parameter.requires_grad_(True)
        place = Workplace(
            tmp_path / folder, tmp_path / folder / "out", backbone.tokenizer, backbone.preprocessing, Settings()
        )
        stage = Stage("adaptation", Budget(steps=6), 1e-3, seed=5, save_minutes=0.0)
        calls = 0

        def draw(rng: np.random.Generator) -> str:
            return " ".join(map(str, rng.integers(0, 9, 4)))

        def loss_of(words: str) -> torch.Tensor:
            nonlocal calls
            calls += 1
            if calls > steps:
                raise KeyboardInterrupt
            prompt = backbone.prepare(render(Item((Text(words),))), [])
            return last_states(backbone.model, [prompt], [None]).square().mean()

        run_stage(stage, backbone.model, [Group(trained)], draw, loss_of, dict, place)
        return torch.cat([parameter.detach().flatten() for parameter in trained])

    at_once = run("whole", 6)
    with pytest.raises(KeyboardInterrupt):
        run("parts", 3)
    assert torch.equal(run("parts", 3), at_once)
    assert torch.equal(run("parts", 0), at_once)
    assert (tmp_path / "whole" / "out" / "model.safetensors").exists()


def test_states_of_another_recipe_of_the_backbone_are_refused(tmp_path: Path) -> None:
    note_recipe(Recipe(talks=2), tmp_path)
    note_recipe(Recipe(talks=3), tmp_path)  # nothing has been trained yet
    (tmp_path / "state-naming.pt").touch()
    note_recipe(Recipe(talks=3), tmp_path)
    with pytest.raises(UsageError, match="states of another recipe"):
        note_recipe(Recipe(talks=4), tmp_path)


def test_budget_and_learning_rate() -> None:
    assert Budget(steps=10).progress(5, 1e9) == 0.5
    assert Budget(minutes=2).progress(5, 60.0) == 0.5
    rates = [learning_rate(1.0, step / 1000, step) for step in range(1001)]
    assert max(rates) <= 1.0
    assert rates[0] < 0.02
    assert rates[-1] == pytest.approx(0.02)


def test_modality_sets_are_the_papers() -> None:
    """T = 1, I = 2, V = 4; image and text together are a class of their own."""
    parts = (Text("a"), picture(1), clip(1))
    sets = [
        modality_bits(Item(tuple(parts[i] for i in chosen))) for chosen in ((0,), (1,), (2,), (0, 1), (1, 0), (0, 2))
    ]
    assert sets == [1, 2, 4, 3, 3, 5]


def test_length_groups_hold_every_row_once_within_the_budget() -> None:
    lengths = np.random.default_rng(0).integers(1, 90, 200).tolist()
    groups = length_groups(lengths, 500)
    assert sorted(row for group in groups for row in group) == list(range(200))
    assert all(max(lengths[row] for row in group) * len(group) <= 500 for group in groups)
