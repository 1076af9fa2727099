"""`curate` turns pairs into a manifest, `train` trains a checkpoint by a recipe, `card` writes its card again,
`backbone` makes that of nano from nothing, `curve` draws the log of a run, `study` and `verdicts`
run and judge the arms of the study."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from reference_model.cost.devices import UTILISATION, device_of
from reference_model.study.design import FAMILIES, RUNS
from unite_bench.errors import UniteBenchError, UsageError

AGAIN = "mend that (room on the disk, the folder's rights), and start the same command again: what was whole is kept"
PLANNED = {"devices": 1, "device": None, "sharding": "ddp", "utilisation": UTILISATION}  # options of --plan


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m reference_model", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train one stage of a recipe, or go on with one that was killed")
    train.add_argument("recipe", type=Path, help="the recipe, a .yaml")
    train.add_argument(
        "--stage", choices=["adaptation", "instruction"], required=True, help="which of the two to train"
    )
    train.add_argument("--out", type=Path, help="the run folder, instead of the recipe's")
    train.add_argument(
        "--work", type=Path, help="folder for what is large and can be made again, instead of the recipe's"
    )
    train.add_argument("--data", type=Path, help="folder of manifests and train splits, instead of the recipe's")
    train.add_argument("--plan", action="store_true", help="print steps, tokens, memory and time, and train nothing")
    train.add_argument("--devices", type=int, default=PLANNED["devices"], help="of the plan: how many")
    train.add_argument("--device", help="of the plan: a100-80gb, h100, ..., or PEAK,MEMORY in TFLOP/s and GB")
    train.add_argument(
        "--sharding",
        choices=["ddp", "zero1", "zero2", "fsdp"],
        default=PLANNED["sharding"],
        help="of the plan: what shares weights",
    )
    train.add_argument(
        "--utilisation", type=float, default=PLANNED["utilisation"], help="of the plan: share of the peak rate"
    )
    card = commands.add_parser("card", help="write the card of a trained stage again, with results")
    card.add_argument("folder", type=Path, help="the `merged` folder of the stage")
    card.add_argument("--results", type=Path, nargs="+", default=(), help="folders of unite-bench's results")
    card.add_argument("--embedder", help="whose results; default: those of the model in the folder")
    backbone = commands.add_parser("backbone", help="make nano's backbone from nothing, or go on with it")
    backbone.add_argument("--data", type=Path, required=True, help="folder of the real train splits")
    backbone.add_argument("--work", type=Path, required=True, help="folder for banks and states: large, not for git")
    backbone.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and its log")
    backbone.add_argument(
        "--minutes",
        type=float,
        nargs=2,
        metavar=("NAMING", "BACKBONE"),
        help="time for each, in place of the recipe's steps",
    )
    backbone.add_argument("--scenes", type=float, default=1.0, help="share of the recipe's scenes to render")
    curve = commands.add_parser("curve", help="draw the log of a run")
    curve.add_argument("log", type=Path, help="the training.jsonl of a run")
    curve.add_argument("out", type=Path, help="the picture to write, a .png or .pdf")
    study = commands.add_parser("study", help="run the study's arms (study/PROTOCOL.md), or go on with it")
    study.add_argument("--work", type=Path, required=True, help="folder for worlds and features: large, not for git")
    study.add_argument("--out", type=Path, default=RUNS, help="one line a run is appended here")
    study.add_argument(
        "--families", nargs="+", choices=FAMILIES, default=FAMILIES, help="which arms to run; default: all"
    )
    verdicts = commands.add_parser("verdicts", help="print the study's table, of the families whose runs are done")
    verdicts.add_argument("runs", type=Path, nargs="?", default=RUNS, help="lines of runs; default: the committed ones")
    verdicts.add_argument("--explored", action="store_true", help="print what was looked at after the verdicts instead")
    verdicts.add_argument("--figure", type=Path, help="draw them as well: a .png or .pdf")
    curate = commands.add_parser("curate", help="turn pairs into a manifest for training, with a report")
    curate.add_argument("recipe", type=Path, help="a YAML file (docs/curation.md)")
    curate.add_argument("--out", type=Path, help="folder of manifest and report, in place of the recipe's")
    curate.add_argument("--work", type=Path, help="folder for what can be computed again, in place of the recipe's")
    curate.add_argument("--threads", type=int, default=1, help="threads for decoding; no result depends on them")
    given = parser.parse_args(arguments)
    try:
        done = {
            "curate": _curate,
            "train": _train,
            "card": _card,
            "backbone": _backbone,
            "curve": _curve,
            "study": _study,
            "verdicts": _verdicts,
        }
        return done[given.command](given)
    except UniteBenchError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from what is whole", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}; {AGAIN}", file=sys.stderr)
    except SafetensorError as error:
        print(f"error: a file of weights could not be written or read: {error}; {AGAIN}", file=sys.stderr)
    return 1


def _curve(given: argparse.Namespace) -> int:
    from reference_model.nano.curve import draw_curves

    draw_curves(given.log, given.out)
    return 0


def _train(given: argparse.Namespace) -> int:
    from reference_model.train.recipe_reader import read_recipe
    from reference_model.train.run import train_stage

    recipe = read_recipe(given.recipe, given.out, given.work, given.data, (given.stage,))
    asked = {name: getattr(given, name) for name in PLANNED if getattr(given, name) != PLANNED[name]}
    if asked and not given.plan:
        raise UsageError(
            f"--{', --'.join(asked)}: of the plan; add --plan, or leave them out (a launcher says what trains)"
        )
    if given.devices < 1 or not 0 < given.utilisation <= 1:
        raise UsageError("--devices is 1 or more, and --utilisation a share above 0 and up to 1")
    if given.plan:
        from reference_model.train.plan import Machine, plan_stage

        device = device_of(given.device) if given.device else None
        machine = Machine(given.devices, device, given.sharding, given.utilisation)
        print("\n".join(plan_stage(recipe, given.stage, machine)))
        return 0
    merged = train_stage(recipe, given.stage)
    if os.environ.get("RANK", "0") == "0":
        print(f"{merged}: the model of stage {given.stage}; `unite-bench run --model reference:{merged}` measures it")
    return 0


def _card(given: argparse.Namespace) -> int:
    from reference_model.embedder import ReferenceEmbedder
    from reference_model.train.model_card import write_card
    from unite_bench.export.chosen import chosen, whole

    results = []
    if given.results:
        embedder = given.embedder or ReferenceEmbedder(str(given.folder)).card.name
        results = list(whole(chosen(given.results, embedder)))
    print(write_card(given.folder, results))
    return 0


def _backbone(given: argparse.Namespace) -> int:
    from reference_model.nano.budget import Budget
    from reference_model.nano.training import Recipe, make_backbone
    from reference_model.nano.world import Sizes

    recipe = Recipe()
    if given.minutes:
        stages = zip(("naming", "backbone"), given.minutes, strict=True)
        timed = {name: replace(getattr(recipe, name), budget=Budget(minutes=minutes)) for name, minutes in stages}
        recipe = replace(recipe, **timed)
    sizes = {name: int(value * given.scenes) for name, value in vars(recipe.sizes).items()}
    make_backbone(replace(recipe, sizes=Sizes(**sizes)), given.data, given.work, given.out)
    return 0


def _study(given: argparse.Namespace) -> int:
    from reference_model.study.run import run_all

    run_all(given.work, given.out, given.families)
    return 0


def _curate(given: argparse.Namespace) -> int:
    from reference_model.curation.command import run

    run(given.recipe, given.out, given.work, given.threads, lambda line: print(line, flush=True))
    return 0


def _verdicts(given: argparse.Namespace) -> int:
    from reference_model.study.design import COMPARISONS
    from reference_model.study.verdicts import finished, judge, read_runs, table

    runs = read_runs(given.runs)
    if given.explored:
        from reference_model.study.explored import explored

        print(explored(runs))
        return 0
    whole = finished(runs)
    found = judge(runs, whole)
    print(table(found))
    if left_out := sorted({c.family for c in COMPARISONS if c not in whole}):
        print(f"left out until all of their runs are done: comparisons of {', '.join(left_out)}", file=sys.stderr)
    if given.figure:
        from reference_model.study.figure import draw_verdicts

        draw_verdicts(found, given.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
