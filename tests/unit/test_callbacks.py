"""Scores while a model is trained: real runs of the three trainers, which go on as if no score had been taken."""

from __future__ import annotations

import random
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_encoders
import torch

from unite_bench import results
from unite_bench.callbacks.scoring import CheckpointScore, undisturbed
from unite_bench.callbacks.subset import Difference, differences, mean_above_chance, pairs_with_full
from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.baselines import RandomEmbedder
from unite_bench.embedders.hashed_text import HashedTextEmbedder
from unite_bench.errors import UsageError
from unite_bench.evaluation import evaluate
from unite_bench.registry import load_embedder
from unite_bench.running import run
from unite_bench.spec.catalogue import load_suite, tasks_of

STEPS = 4
SUITE = 'name: tiny\nvariant: {suffix: "-8", queries: 8}\ntasks: [scenes-t2t, scenes-t2i]\n'


class Bag(torch.nn.Module):
    """A mean of word vectors, with dropout so that a random state matters; its loss pulls two texts together."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.EmbeddingBag(512, 16, mode="mean")
        self.dropout = torch.nn.Dropout(0.3)

    def vectors(self, texts: Sequence[str]) -> torch.Tensor:
        ids = [[sum(map(ord, word)) % 512 for word in text.split()] or [0] for text in texts]
        starts = np.cumsum([0, *map(len, ids)])[:-1]
        return self.dropout(self.words(torch.tensor([i for own in ids for i in own]), torch.tensor(starts)))

    def forward(self, words: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        one, two = self.dropout(self.words(words)), self.dropout(self.words(labels))
        return {"loss": ((one - two) ** 2).mean(), "logits": one}


class BagEmbedder(Embedder):
    card = EmbedderCard(name="bag", modalities={"text"}, dim=16, role_matters=False, instruction_matters=False)

    def __init__(self, model: Any):
        self.model = model

    def embed(self, items, role):  # type: ignore[no-untyped-def]
        assert not self.model.training and not torch.is_grad_enabled()
        return self.model.vectors([item.text for item in items])


@pytest.fixture
def suite(tmp_path: Path) -> str:
    (tmp_path / "tiny.yaml").write_text(SUITE)
    return str(tmp_path / "tiny.yaml")


@pytest.fixture
def score(suite: str, tmp_path: Path) -> CheckpointScore:
    return CheckpointScore(BagEmbedder, suite, tmp_path / "results")


def rows() -> list[dict[str, Any]]:
    draw = np.random.default_rng(0)
    return [{key: draw.integers(0, 512, 5).tolist() for key in ("words", "labels")} for _ in range(16)]


def records(folder: Path) -> dict[str, results.Result]:
    return {result.embedder: result for result in results.read_all([folder])}


def test_a_score_writes_an_ordinary_record_of_the_small_task_alone(
    score: CheckpointScore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    model = Bag()
    first = score(model, 100)
    with torch.no_grad():
        model.words.weight.copy_(torch.ones_like(model.words.weight))
    second = score(model, 200)
    assert set(first) == {"unite_bench_scenes-t2t-8", "unite_bench_mean"}, "pictures are not on the card"
    assert second["unite_bench_scenes-t2t-8"] == pytest.approx(1 / 8), "the weights of now, never vectors of before"
    assert first["unite_bench_mean"] == pytest.approx((first["unite_bench_scenes-t2t-8"] - 1 / 8) / (1 - 1 / 8))
    found = records(tmp_path / "results")
    assert set(found) == {"bag@100", "bag@200"}
    assert {r.record["task"]["label"] for r in found.values()} == {"scenes-t2t-8@1"}
    assert found["bag@200"].record["embedder"]["revision"] == "step 200"
    said = capsys.readouterr().err
    assert "bag@100 on tiny: " in said and "how far that is from the full suite is unknown" in said


def test_training_goes_on_as_if_nothing_had_happened() -> None:
    model = Bag()
    model.dropout.eval()  # a part that its owner has frozen
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = (torch.rand(1).item(), random.random(), np.random.rand())
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    with pytest.raises(KeyError), undisturbed(model):
        torch.rand(5), random.random(), np.random.rand()
        assert not model.training
        raise KeyError
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected
    assert model.training and not model.dropout.training and torch.is_grad_enabled()


def test_what_can_be_wrong_is_said_before_training(suite: str) -> None:
    class Pictures(BagEmbedder):
        card = EmbedderCard(name="pictures", modalities={"video"}, dim=16)

    with pytest.raises(UsageError, match="pictures can do none of the tasks of tiny"):
        CheckpointScore(Pictures, suite).begin(Bag())


def test_a_task_that_fails_is_warned_of_and_there_is_no_mean(suite: str, tmp_path: Path) -> None:
    class Broken(BagEmbedder):
        def embed(self, items, role):  # type: ignore[no-untyped-def]
            return np.full((len(items), 16), np.nan, np.float32)

    with pytest.warns(UserWarning, match="scenes-t2t-8 gave no score: .*NaN"):
        assert CheckpointScore(Broken, suite, tmp_path)(Bag(), 1) == {}


def test_the_difference_from_the_full_suite_is_that_of_the_results(suite: str, tmp_path: Path) -> None:
    small = load_suite(suite)
    full = tasks_of(small.model_copy(update={"variant": None}))
    pairs = pairs_with_full(small, tasks_of(small)[:1])
    assert pairs == {"scenes-t2t-8@1": "scenes-t2t@1"}
    root = tmp_path / "results"
    assert "unknown" in str(differences(pairs, [root]))
    list(run(HashedTextEmbedder(), [tasks_of(small)[0]], results_root=root))
    assert differences(pairs, [root]).of == {}, "one of the two is not enough"
    expected = {}
    for embedder in (HashedTextEmbedder(), RandomEmbedder(), load_embedder("constant")):
        both = [o.result for o in run(embedder, [tasks_of(small)[0], full[0]], results_root=root)]
        expected[embedder.card.name] = mean_above_chance([both[0]]) - mean_above_chance([both[1]])
    del expected["constant"]  # exactly chance, whichever queries are drawn
    assert differences(pairs, [root]).of == expected
    assert str(Difference({"a": 0.01, "b": -0.03})) == (
        "over 2 embedders with results of both, it has differed from the full suite's by 2.0 on average and 3.0 at most"
    )


def test_a_suite_that_draws_nothing_again_has_no_full_one() -> None:
    suite = load_suite("embedded-scenes")
    assert pairs_with_full(suite, tasks_of(suite)) == {}
    checkpoint = load_suite("checkpoint")
    assert set(pairs_with_full(checkpoint, tasks_of(checkpoint)).values()) == {task.label for task in tasks_of(suite)}


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_transformers_logs_the_score_and_trains_the_same_weights(suite: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="transformers trains with accelerate: pip install 'unite-bench[train]'")
    from transformers import Trainer, TrainingArguments

    from unite_bench.callbacks.transformers import CheckpointCallback

    def trained(add: Callable[[Trainer], None]) -> Trainer:
        arguments = TrainingArguments(
            output_dir=str(tmp_path / "run"),
            max_steps=STEPS,
            per_device_train_batch_size=4,
            save_steps=2,
            eval_steps=4,
            eval_strategy="steps",
            metric_for_best_model="eval_unite_bench_mean" if add is not nothing else None,
            load_best_model_at_end=False,
            report_to=[],
            use_cpu=True,
            seed=1,
            disable_tqdm=True,
            logging_strategy="no",
        )
        torch.manual_seed(1)
        trainer = Trainer(Bag(), arguments, train_dataset=rows(), eval_dataset=rows())
        add(trainer)
        trainer.train()
        return trainer

    def nothing(trainer: Trainer) -> None:
        pass

    def callback(trainer: Trainer) -> None:
        trainer.add_callback(CheckpointCallback(BagEmbedder, trainer.log, suite, tmp_path / "results"))

    plain, scored = trained(nothing), trained(callback)
    assert torch.equal(plain.model.words.weight, scored.model.words.weight)
    logged = [entry for entry in scored.state.log_history if "eval_unite_bench_mean" in entry]
    assert [entry["step"] for entry in logged] == [2, 4], "once a step, though step 4 is both evaluated and saved"
    assert scored.state.best_metric == logged[1]["eval_unite_bench_mean"]
    assert set(records(tmp_path / "results")) == {"bag@2", "bag@4"}


@pytest.mark.filterwarnings("ignore")
def test_lightning_logs_the_score(suite: str, tmp_path: Path) -> None:
    lightning = pytest.importorskip(
        "lightning.pytorch", reason="lightning is not installed: pip install 'unite-bench[lightning]'"
    )
    from unite_bench.callbacks.lightning import CheckpointCallback

    class Module(lightning.LightningModule):  # type: ignore[name-defined,misc]
        def __init__(self) -> None:
            super().__init__()
            self.bag = Bag()

        def training_step(self, batch):  # type: ignore[no-untyped-def]
            return self.bag(batch["words"], batch["labels"])["loss"]

        def validation_step(self, batch):  # type: ignore[no-untyped-def]
            self.log("val_loss", self.training_step(batch))

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.SGD(self.parameters(), lr=0.1)

    batch = {key: torch.tensor([row[key] for row in rows()]) for key in ("words", "labels")}
    batches = torch.utils.data.DataLoader([batch], batch_size=None)
    keep = lightning.callbacks.ModelCheckpoint(tmp_path, monitor="unite_bench_mean", mode="max")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        callbacks=[CheckpointCallback(lambda module: BagEmbedder(module.bag), suite, tmp_path / "results"), keep],
        **quiet,
    )
    trainer.fit(Module(), batches, batches)
    found = records(tmp_path / "results")
    assert set(found) == {"bag@1", "bag@2"}, "not in the sanity check, and once an epoch"
    assert float(trainer.callback_metrics["unite_bench_scenes-t2t-8"]) == pytest.approx(found["bag@2"].primary)
    assert float(keep.best_model_score) == pytest.approx(max(mean_above_chance([r]) for r in found.values()), abs=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_the_trainer_of_sentence_transformers_takes_the_evaluator(suite: str, tmp_path: Path) -> None:
    pytest.importorskip(
        "sentence_transformers", reason="sentence-transformers is not installed: pip install 'unite-bench[st]'"
    )
    pytest.importorskip("accelerate", reason="its trainer needs accelerate: pip install 'unite-bench[train]'")
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from unite_bench.callbacks.sentence_transformers import CheckpointEvaluator

    folder = tiny_encoders.bert(tmp_path)
    model = SentenceTransformer(str(folder), device="cpu")
    evaluator = CheckpointEvaluator(suite=suite, results=tmp_path / "results")
    stored = evaluate(load_embedder(f"st:{folder}"), tasks_of(load_suite(suite))[0], store=tmp_path / "store")
    assert evaluator(model)["unite_bench_scenes-t2t-8"] == stored.primary, "the prompts and roles that st: gives"
    texts = [f"a {word} circle" for word in ("red", "green", "blue", "small")]
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(tmp_path / "run"),
        max_steps=2,
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer = SentenceTransformerTrainer(
        model,
        arguments,
        train_dataset=Dataset.from_dict({"anchor": texts, "positive": texts[::-1]}),
        loss=MultipleNegativesRankingLoss(model),
        evaluator=evaluator,
    )
    trainer.train()
    (logged,) = (entry for entry in trainer.state.log_history if "eval_unite_bench_mean" in entry)
    assert logged["eval_unite_bench_scenes-t2t-8"] == records(tmp_path / "results")["st:model@2"].primary


@pytest.mark.filterwarnings("ignore")
def test_the_script_of_the_docs_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("accelerate", reason="transformers trains with accelerate: pip install 'unite-bench[train]'")
    docs = (Path(__file__).parents[2] / "docs" / "checkpoints.md").read_text()
    (tmp_path / "train_bag.py").write_text(docs.split("<!-- file: train_bag.py -->\n```python\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    runpy.run_path("train_bag.py", run_name="__main__")
    said = capsys.readouterr()
    assert "eval_unite_bench_scenes-t2t-100" in said.out
    assert "bag@20 on checkpoint: " in said.err and "full suite" in said.err
    assert set(records(tmp_path / "unite-bench-results")) == {"bag@10", "bag@20"}
