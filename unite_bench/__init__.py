"""unite-bench measures universal multimodal embedders: texts, images, videos and mixtures of them in one vector space.

    import unite_bench as ub
    result = ub.evaluate(MyEmbedder(), ub.load_task("scenes-t2i"))

Names are loaded when they are first used, so that `import unite_bench` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

_HOMES = {
    "Comparison": "unite_bench.report.comparing",
    "Embedder": "unite_bench.embedders.base",
    "EmbedderCard": "unite_bench.embedders.base",
    "Image": "unite_bench.items",
    "Item": "unite_bench.items",
    "Result": "unite_bench.results",
    "Role": "unite_bench.items",
    "Settings": "unite_bench.protocol",
    "Task": "unite_bench.spec.model",
    "Text": "unite_bench.items",
    "Video": "unite_bench.items",
    "compare": "unite_bench.report.comparing",
    "evaluate": "unite_bench.evaluation",
    "load_embedder": "unite_bench.registry",
    "load_suite": "unite_bench.spec.catalogue",
    "load_task": "unite_bench.spec.catalogue",
    "run": "unite_bench.running",
}

if TYPE_CHECKING:
    from unite_bench.embedders.base import Embedder as Embedder
    from unite_bench.embedders.base import EmbedderCard as EmbedderCard
    from unite_bench.evaluation import evaluate as evaluate
    from unite_bench.items import Image as Image
    from unite_bench.items import Item as Item
    from unite_bench.items import Role as Role
    from unite_bench.items import Text as Text
    from unite_bench.items import Video as Video
    from unite_bench.protocol import Settings as Settings
    from unite_bench.registry import load_embedder as load_embedder
    from unite_bench.report.comparing import Comparison as Comparison
    from unite_bench.report.comparing import compare as compare
    from unite_bench.results import Result as Result
    from unite_bench.running import run as run
    from unite_bench.spec.catalogue import load_suite as load_suite
    from unite_bench.spec.catalogue import load_task as load_task
    from unite_bench.spec.model import Task as Task


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unite_bench' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
