"""The model card of a trained stage: README.md beside its weights, made from `made.json` there, and from results if given.

    python -m reference_model card RUN/instruction/merged --results unite-bench-results

A stage writes its card when it is merged. Neither file names a folder of the machine: paths are cut down to names.
"""

from __future__ import annotations

import json
from ast import literal_eval
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from reference_model.checkpoint import MADE_FILE
from reference_model.settings import read_json
from unite_bench import __version__
from unite_bench.errors import DataError, ModelError

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from reference_model.checkpoint import Checkpoint
    from reference_model.train.material import Material
    from reference_model.train.recipe import StageName
    from reference_model.train.recipe_reader import Plan
    from unite_bench.results import Result

PACKAGES = ("torch", "transformers", "accelerate", "peft")
POINTS = 12  # of the loss that a card shows


def made_of(
    plan: Plan, name: StageName, start: Checkpoint, base: str, material: Material, arguments: TrainingArguments
) -> dict[str, Any]:
    """What there is to say of a stage that has been trained, as plain data: the content of `made.json`.

    `start` is the checkpoint that it started from, `base` the digest of its weights.
    """
    from reference_model.train.material import ManifestRows

    manifests = material.manifests if isinstance(material, ManifestRows) else ()
    log = [json.loads(line) for line in (plan.folder(name) / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    noted = [path.read_text(encoding="utf-8").splitlines() for path in plan.folder(name).glob("bad-rows*.jsonl")]
    earlier, known = trained_before(plan, name, start)
    return {
        "recipe": plan.digest,
        "stage": name,
        "data": material.digest,
        "sources": sorted({*earlier, *material.training_sets}),
        "model": plan.recipe.name,
        "base": {
            "name": _called(plan.base),
            "start": "base" if plan.start(name) == plan.base else "merged model of the stage before",
            "revision": start.revision,
            "weights": base,
            "sources known": known,
        },
        "rules": dict(start.told),
        "manifests": [
            {
                "name": manifest.path.name,
                "sha256": manifest.digest,
                "rows": len(manifest),
                "facts": {key: value for key, value in manifest.facts.items() if key != "root"},
            }
            for manifest in manifests
        ],
        "batches": len(material),
        "bad rows": len({json.loads(line)["row"] for lines in noted for line in lines}),
        "losses": _thinned([[row["step"], row["loss"], row["rate"]] for row in log if "loss" in row]),
        "scores": [[row["step"], row["validation"]] for row in log if "validation" in row],
        "seconds": log[-1]["seconds"] if log else 0.0,
        "environment": {
            "devices": f"{arguments.world_size} x {arguments.device.type}",
            "products": "bf16" if arguments.bf16 or plan.recipe.dtype == "bfloat16" else "fp32",
            "packages": {"unite-bench": __version__} | {package: metadata.version(package) for package in PACKAGES},
        },
        "whole recipe": _without_paths(plan.recipe.model_dump(mode="json", exclude={"out", "work", "data"})),
    }


def trained_before(plan: Plan, name: StageName, start: Checkpoint) -> tuple[tuple[str, ...], bool]:
    """The training sets of what a stage starts from, those of an earlier stage among them, and whether these are known to be
    all: nobody knows what an adapter has seen."""
    path, sets = start.folder / MADE_FILE, start.settings.training_sets
    adapted = plan.adapter is not None and plan.start(name) == plan.base
    if sets is None and path.is_file():
        return tuple(read_json(path)["sources"]), False
    return sets or (), sets is not None and not adapted


def check_results(folder: Path, results: Sequence[Result]) -> None:
    """Raises DataError for results of any other model than the checkpoint in the folder: the fingerprint in a result is of
    weights, rules, arguments and the code that computes vectors."""
    from reference_model.embedder import ReferenceEmbedder
    from unite_bench.encode.run import Encoder

    own = ReferenceEmbedder(str(folder)).card.name
    for result in results:
        measured = result.record["embedder"]
        label, cure = result.record["task"]["label"], f"measure it by `unite-bench run --model reference:{folder}`"
        if result.embedder != own:
            raise DataError(f"{label}: a result of {result.embedder}, and {folder} holds {own}; {cure}")
        given = {name: literal_eval(text) for name, text in measured["arguments"].items()}
        places = [given.pop(name) for name in sorted(filter(str.isdigit, given))]
        embedder = ReferenceEmbedder(*places, **given)
        embedder.name = str(folder)  # wherever it lay then
        now = Encoder(embedder, device=measured["device"], dtype=measured["dtype"], may_encode=False)
        if now.fingerprint != measured["fingerprint"]:
            raise DataError(f"{label}: a result of {own} with other weights or by other code than there is now; {cure}")


def write_card(folder: Path, results: Sequence[Result] = ()) -> Path:
    """Write `README.md` into the folder of a merged stage; results of the model, if there are, become its evaluation.

    Raises ModelError if the folder is none that a stage has written, DataError for results of other models.
    """
    path = folder / MADE_FILE
    if not path.is_file():
        raise ModelError(f"{path}: no such file; give the `merged` folder of a stage that `train` has finished")
    made = json.loads(path.read_text(encoding="utf-8"))
    header: dict[str, Any] = {
        "library_name": "transformers",
        "base_model": made["base"]["name"],
        "datasets": made["sources"],
        "tags": ["unite", "multimodal-embedding", "retrieval"],
    }
    evaluation = "Not measured yet: `unite-bench run --model reference:FOLDER --suite all`, then write this card again."
    if results:
        check_results(folder, results)
        from unite_bench.export.model_card import model_card, model_index

        header["model-index"] = model_index(results, made["model"])
        evaluation = model_card(results).partition("## Evaluation\n\n")[2]
    said = [
        "---",
        yaml.safe_dump(header, sort_keys=False, allow_unicode=True) + "---",
        "",
        *_body(made),
        "## Evaluation",
        "",
        evaluation.rstrip(),
        "",
    ]
    card = folder / "README.md"
    card.write_text("\n".join(said), encoding="utf-8")
    return card


def _body(made: dict[str, Any]) -> list[str]:
    base, environment = made["base"], made["environment"]
    unknown = "" if base.get("sources known") else "; what the base was trained on is not known, or not all of it"
    rows = {
        "stage": made["stage"],
        "base": f"{base['name']}, revision {base['revision']}",
        "started from": f"{base['start']}, digest of weights `{base['weights']}`",
        "batches": f"{made['batches']:,}",
        "rows left out": f"{made['bad rows']:,} (a medium could not be opened, or was too long)",
        "recipe": f"`{made['recipe']}`",
        "data and order": f"`{made['data']}`",
        "training sets": (", ".join(made["sources"]) or "none named") + unknown,
        **{rule: str(value) for rule, value in made["rules"].items()},
        "trained on": f"{environment['devices']}, {made['seconds'] / 3600:.2f} h",
        "packages": ", ".join(f"{name} {version}" for name, version in environment["packages"].items()),
    }
    said = [
        f"# {made['model']}, stage {made['stage']}",
        "",
        "A universal multimodal embedder trained with the recipe of UNITE (arXiv 2505.19650) by the reference model of "
        "unite-bench. Its vector of an item is the last token's state, L2-normalised.",
        "",
        *_table(("", ""), rows.items()),
        "## Data",
        "",
    ]
    for manifest in made["manifests"]:
        facts = json.dumps(manifest["facts"], sort_keys=True)
        said += [f"- {manifest['name']}: {manifest['rows']:,} rows, SHA-256 `{manifest['sha256']}`; {facts}"]
    if not made["manifests"]:
        said += ["Pairs drawn from rendered scenes and train splits; the recipe has sets and seeds."]
    said += ["", "## Loss", "", *_table(("step", "loss", "rate"), made["losses"])]
    if made["scores"]:
        by_step: dict[int, dict[str, float]] = {}
        for step, scores in made["scores"]:
            by_step.setdefault(step, {}).update(scores)
        names = sorted({name for scores in by_step.values() for name in scores})
        said += [
            "Scores by step, of what the recipe evaluates on: the tasks of a small suite and their `mean` above chance "
            "(see docs/checkpoints.md of unite-bench), hit@1 on scenes that are drawn for it.",
            "",
        ]
        scored = [[name, *(scores.get(name, "") for scores in by_step.values())] for name in names]
        said += _table(("score", *map(str, by_step)), scored)
    recipe = yaml.safe_dump(made["whole recipe"], sort_keys=False, allow_unicode=True).rstrip()
    return [*said, "## Recipe", "", "```yaml", recipe, "```", ""]


def _table(heads: Sequence[str], rows: Any) -> list[str]:
    lines = [f"| {' | '.join(_cell(value) for value in row)} |" for row in rows]
    return [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *lines, ""]


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def _thinned(points: list[list[float]]) -> list[list[float]]:
    """At most POINTS of them, the first and the last among them."""
    if len(points) <= POINTS:
        return points
    return [points[round(place * (len(points) - 1) / (POINTS - 1))] for place in range(POINTS)]


def _called(base: str) -> str:
    """A hub name as it is, a folder by its own name."""
    return Path(base).resolve().name if Path(base).is_dir() else base


def _without_paths(recipe: dict[str, Any]) -> dict[str, Any]:
    """The recipe with folders and files by their names alone."""
    recipe["base"] = _called(recipe["base"]) if recipe["base"].startswith((".", "/")) else recipe["base"]
    if recipe.get("adapter"):
        recipe["adapter"] = Path(recipe["adapter"]).name
    for stage in recipe["stages"].values():
        data = stage["data"] if stage else {}
        if data.get("manifests"):
            data["manifests"] = [Path(name).name if Path(name).is_absolute() else name for name in data["manifests"]]
        if data.get("draws") and data["draws"].get("real"):
            data["draws"]["real"] = Path(data["draws"]["real"]).name or "."
    return recipe
