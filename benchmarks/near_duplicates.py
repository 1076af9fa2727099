"""Error rates of the near-duplicate thresholds: planted copies that should be found, edits that should not.

    python benchmarks/near_duplicates.py [--scenes 1000] [--embedder reference]

Pictures and captions of the procedural training scenes; every edit changes one thing of its scene (a colour, a size, a
place, ...). A pair is found if its signatures share a band and it lies within the threshold, as in the step `duplicates`.
"""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageEnhance
from scipy.fft import dctn

from reference_model.curation.steps import pictures, texts
from reference_model.curation.steps.near import Near
from unite_bench.items import Blob, Image, Item
from unite_bench.sources.scenes.bases import still_base
from unite_bench.sources.scenes.edits import sample_edit
from unite_bench.sources.scenes.language import long, short
from unite_bench.sources.scenes.render import render_image
from unite_bench.sources.scenes.world import Scene

SEED = 1_400_005
EMBEDDED = 200
PHASH_BITS = 6
Change = Callable[[Pillow.Image], Pillow.Image]


def jpeg(picture: Pillow.Image, quality: int, scale: float = 1.0) -> Pillow.Image:
    held = io.BytesIO()
    size = (round(picture.width * scale), round(picture.height * scale))
    picture.resize(size, Pillow.Resampling.BICUBIC).save(held, "JPEG", quality=quality)
    return Pillow.open(io.BytesIO(held.getvalue()))


def cropped(picture: Pillow.Image, share: float) -> Pillow.Image:
    left, top = round(picture.width * share), round(picture.height * share)
    return picture.crop((left, top, picture.width - left, picture.height - top))


COPIES: dict[str, Change] = {
    "JPEG, quality 60": lambda p: jpeg(p, 60),
    "JPEG, quality 30": lambda p: jpeg(p, 30),
    "0.7 of the size, quality 60": lambda p: jpeg(p, 60, 0.7),
    "half the size, quality 50": lambda p: jpeg(p, 50, 0.5),
    "10 % brighter": lambda p: ImageEnhance.Brightness(p).enhance(1.1),
    "2 % cut off each side": lambda p: cropped(p, 0.02),
}


def typo(words: str, rng: np.random.Generator) -> str:
    at = int(rng.integers(1, len(words) - 2))
    return words[:at] + words[at + 1] + words[at] + words[at + 2 :]


def dropped(words: str, rng: np.random.Generator) -> str:
    held = words.split()
    del held[int(rng.integers(len(held)))]
    return " ".join(held)


REWORDED: dict[str, Callable[[str, np.random.Generator], str]] = {
    "case and punctuation": lambda words, _: f"{words.upper()} !",
    "two letters swapped": typo,
    "a word added at the end": lambda words, _: f"{words} today",
    "a word dropped": dropped,
    "'a picture of' in front": lambda words, _: f"a picture of {words}",
}


def item(picture: Pillow.Image) -> Item:
    held = io.BytesIO()
    picture.convert("RGB").save(held, "PNG")
    return Item((Image(Blob(held.getvalue())),))


def thumbnails(shown: Sequence[Pillow.Image]) -> pictures.Thumbnails:
    found = []
    for picture in shown:
        (part,) = item(picture).parts
        assert isinstance(part, Image)
        found.append(pictures.thumbnail(part))
    return np.stack(found)


def brightness_hashes(shown: Sequence[Pillow.Image]) -> Any:
    """pHash, for comparison: 63 low frequencies of the grey picture, each above or below their median."""
    grey = [np.asarray(picture.convert("L").resize((32, 32), Pillow.Resampling.BILINEAR), float) for picture in shown]
    low = np.stack([dctn(one, norm="ortho")[:8, :8].ravel()[1:] for one in grey])
    return low > np.median(low, axis=1, keepdims=True)


def of_pictures(scenes: Sequence[Scene], edited: Sequence[Scene], most: int) -> dict[str, Any]:
    shown = [Pillow.fromarray(render_image(scene)) for scene in scenes]
    base = thumbnails(shown)
    bands, hashes = pictures.bands_of(base), brightness_hashes(shown)
    rates: dict[str, Any] = {}
    others = {name: [change(picture) for picture in shown] for name, change in COPIES.items()}
    others["one thing edited (should not be found)"] = [Pillow.fromarray(render_image(scene)) for scene in edited]
    others["another scene (should not be found)"] = [*shown[1:], shown[0]]
    for name, group in others.items():
        own = thumbnails(group)
        within = pictures.difference(base, own) <= most
        sharing = (bands == pictures.bands_of(own)).any(axis=1)
        bits = (hashes != brightness_hashes(group)).sum(axis=1)
        rates[name] = {
            "within": share(within),
            "found": share(within & sharing),
            f"pHash within {PHASH_BITS} bits": share(bits <= PHASH_BITS),
        }
    return rates


def of_texts(say: Callable[[Scene, int], str], scenes: Sequence[Scene], edited: Sequence[Scene], least: float) -> Any:
    rng = np.random.default_rng(0)
    base = [say(scene, n) for n, scene in enumerate(scenes)]
    groups = {name: [change(words, rng) for words in base] for name, change in REWORDED.items()}
    groups["one thing edited (should not be found)"] = [say(scene, n) for n, scene in enumerate(edited)]
    rates: dict[str, Any] = {"characters": round(float(np.mean([len(words) for words in base])))}
    for name, group in groups.items():
        pairs = [(texts.normalised(a), texts.normalised(b)) for a, b in zip(base, group, strict=True)]
        if "edited" in name:  # a caption need not tell what was edited
            pairs = [(a, b) for a, b in pairs if a != b]
        within = np.array([texts.jaccard(texts.shingles(a), texts.shingles(b)) >= least for a, b in pairs])
        first, second = (texts.bands_of(side, texts.rows_at(least)[0]) for side in zip(*pairs, strict=True))
        sharing = (first == second).any(axis=1)
        rates[name] = {"pairs": len(pairs), "within": share(within), "found": share(within & sharing)}
    return rates


def of_vectors(scenes: Sequence[Scene], edited: Sequence[Scene], name: str, least: float) -> dict[str, Any]:
    from unite_bench.encode.run import Encoder
    from unite_bench.registry import load_embedder

    encoder = Encoder(load_embedder(name))
    shown = [Pillow.fromarray(render_image(scene)) for scene in scenes]
    groups = {
        "JPEG, quality 60": [jpeg(p, 60) for p in shown],
        "half the size, quality 50": [jpeg(p, 50, 0.5) for p in shown],
    }
    groups["one thing edited (should not be found)"] = [Pillow.fromarray(render_image(scene)) for scene in edited]
    base = unit(encoder, shown)
    return {name: share((base * unit(encoder, group)).sum(axis=1) >= least) for name, group in groups.items()}


def unit(encoder: Any, shown: Sequence[Pillow.Image]) -> Any:
    vectors = encoder.encode([item(picture) for picture in shown], "candidate").vectors
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def share(found: Any) -> float:
    return round(float(np.mean(found)), 4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenes", type=int, default=1000)
    parser.add_argument("--embedder", default="reference")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    near = Near()
    assert near.pictures is not None and near.texts is not None
    scenes = still_base(SEED, "train", asked.scenes)
    edited = [sample_edit(scene, n, "train")[1] for n, scene in enumerate(scenes)]
    vectors = of_vectors(scenes[:EMBEDDED], edited[:EMBEDDED], asked.embedder, near.cosine)
    figures = {
        "scenes": len(scenes),
        "pictures": {"threshold": near.pictures, **of_pictures(scenes, edited, near.pictures)},
        "short captions": {"threshold": near.texts, **of_texts(short, scenes, edited, near.texts)},
        "long captions": {"threshold": near.texts, **of_texts(long, scenes, edited, near.texts)},
        "vectors": {
            "embedder": asked.embedder,
            "threshold": near.cosine,
            "scenes": min(EMBEDDED, len(scenes)),
            **vectors,
        },
    }
    print(json.dumps(figures, indent=1))
    if asked.out is not None:
        asked.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
