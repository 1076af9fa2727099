"""The steps of curation, one module each; `MODULES` is where a new one is registered."""

from __future__ import annotations

from importlib import import_module

from reference_model.curation.step import Step

MODULES = (
    "validity",
    "duplicates",
    "contamination",
    "alignment",
    "selection",
    "balance",
    "mixture",
)


def known() -> dict[str, Step]:
    """Every step by its kind. Importing them is light: models and other heavy libraries are imported when a step runs."""
    found = [import_module(f"{__name__}.{module}").STEP for module in MODULES]
    return {step.kind: step for step in found}
