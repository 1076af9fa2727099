"""Results as the JSON files of mteb, one a task, under `<folder>/<embedder>/<revision>/` as mteb lays them out.

Measures that mteb has too carry its names. mteb does not know the tasks, so what it looks up by a task's name (type,
domains, languages) is not there; and it breaks ties by order, where these values are expectations.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from unite_bench.encode.store import publish
from unite_bench.report.protocols import named_protocol
from unite_bench.results import Result

UNDETERMINED = "und-Zyyy"  # language and script, in the codes of ISO 639-3 and 15924
NAMES = {
    "hit": "hit_rate_at_",
    "recall": "recall_at_",
    "precision": "precision_at_",
    "map": "map_at_",
    "ndcg": "ndcg_at_",
}


def as_mteb(result: Result) -> dict[str, Any]:
    """What `mteb.TaskResult` reads. `mteb_version` is null: no mteb measured this."""
    record = result.record
    primary = record["measures"][record["task"]["primary"]]
    return {
        "task_name": record["task"]["label"],
        "dataset_revision": record["data"]["digest"],
        "mteb_version": None,
        "evaluation_time": sum(result.environment.get("seconds", {}).values()),
        "kg_co2_emissions": None,
        "scores": {
            "test": [
                {
                    **{mteb_name(name): measured["value"] for name, measured in record["measures"].items()},
                    "main_score": primary["value"],
                    "main_score_name": record["task"]["primary"],
                    "main_score_interval": [primary["low"], primary["high"]],
                    "main_score_chance": primary["chance"],
                    "protocol": named_protocol(result),
                    "unite_bench_version": record["unite_bench"],
                    "hf_subset": "default",
                    "languages": [UNDETERMINED],
                }
            ]
        },
    }


def mteb_name(measure: str) -> str:
    """`ndcg@10` as `ndcg_at_10`, `hit@1` as `hit_rate_at_1`; what mteb does not have keeps its own name."""
    base, _, k = measure.partition("@")
    return NAMES[base] + k if base in NAMES and k else measure


def write_mteb(result: Result, folder: Path) -> Path:
    """Write one result; returns the file."""
    embedder = result.record["embedder"]
    parts = (re.sub(r"[^\w.+-]", "_", str(embedder[key])) for key in ("name", "revision"))
    path = folder.joinpath(*parts) / f"{result.record['task']['label']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    publish(path, json.dumps(as_mteb(result), indent=2).encode() + b"\n")
    return path
