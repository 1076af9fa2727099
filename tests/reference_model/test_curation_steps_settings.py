"""Every step can be written in YAML as its documentation says, and is labelled as beyond the paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from reference_model.curation.steps import MODULES, known
from reference_model.curation.steps.near import Near

PAGE = Path(__file__).parents[2] / "docs" / "curation-steps.md"
WRITTEN = """
- {kind: duplicates}
- {kind: duplicates, equal: target, near: {texts: null, pictures: 12}}
- {kind: duplicates, near: {embedder: "st:some/model", cosine: 0.95}}
- {kind: contamination, tasks: [embedded, mine/task.yaml], texts: null, action: flag}
- {kind: alignment, threshold: {text>image: 0.2, "text>text": 1}}
- {kind: alignment, embedder: pixels, quantile: 0.05, unjudged: drop}
- {kind: alignment, floor: 0}
- {kind: selection, method: k-centre, side: target, budget: 1000, within: null}
- {kind: selection, share: 0.2, within: source}
- {kind: balance, by: topic, cap: {shoes: 100}}
- {kind: balance, shares: {a: 1, b: 2.5}, total: 100, repeat: 3}
- {kind: balance, by: modality_pair, alpha: 0.5}
- {kind: mixture, bounds: {a: [0.1, 1]}, worth: {b: 1}, declared: {a: 0.5, b: 0.5}, take: fitted}
- {kind: mixture, by: topic, proxy: {steps: 10, rate: 0.001, backbone: nano-backbone}}
"""


@pytest.mark.parametrize("written", yaml.safe_load(WRITTEN), ids=str)
def test_settings_are_what_yaml_gives(written: dict) -> None:
    settings = known()[written["kind"]].settings.model_validate(written)
    told = settings.model_dump(mode="json", exclude_unset=True)
    assert told == written


def test_every_step_is_beyond_the_paper_and_described() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert list(known()) == list(MODULES)
    for kind, step in known().items():
        assert step.beyond and step.about and step.kind == kind
        if kind != "validity":
            (row,) = re.findall(rf"^\| `{kind}` \| (.*) \|$", page, re.MULTILINE)
            assert f"\n## {kind}\n" in page
            told = set(re.findall(r"`([a-z_]+)`", row))
            assert told and told <= set(step.settings.model_fields) | set(Near.model_fields), kind
