"""The README of the train folder, kept in code so that a rebuild writes it beside the data."""

from __future__ import annotations

from pathlib import Path

TEXT = """# Train splits of the embedded real data

Made by `tools/build_embedded_data.py`. Each set has a folder with `rows.jsonl` (one object a row) and, where it has
pictures, `images/`. Paths are relative to the set's folder. Every row has `id` and `group`; no group (for WordNet: no
word) stands in the committed test split. `DONE-<set>` says that a set is complete; `manifest.json` has counts, package
versions and a digest of each set's folder. Pictures are RGB or grey on white, 160 px on the long side (emoji 136 x
128). Animations are test data only. Split by group again if you need a development set.

Columns besides `id` and `group`:

- wordnet, a row is a synset: `words` (lemmas joined by ", "), `lemmas` (list), `part_of_speech`, `gloss`, `examples`
  (list, may be empty).
- openclipart, a drawing: `image`, `title`, `description` ("" where there is no good one), `keywords` (list, may be
  empty), `label` ("" where its folder has none).
- emoji, an edit: `image` (the source), `edit` (text), `positives` (list of target ids; the picture of one is
  `images/<id>.webp`), `source` (id), `kind`.
- lucide, an icon: `image`, `tags` (list).
- flags, a question: `image`, `question`, `answers` (list, all are right), `type`, `country`.

The test tasks use these forms: WordNet `words` to `gloss`; a drawing and its `title` or `description`, the title to the
drawing with its keywords joined by ", ", and a drawing with the instruction "Classify the drawing as one of: a, b, c."
to a label; icon tags joined by ", " to the icon; an emoji with its edit under "Find the emoji after this change."; a
flag with its question under "Answer the question about the country with this flag."
"""


def write_train_readme(folder: Path) -> None:
    (folder / "README.md").write_text(TEXT, encoding="utf-8")
