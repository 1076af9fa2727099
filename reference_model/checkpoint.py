"""Which checkpoint is meant, and what is known of it before anything is loaded: no torch here.

A name is a committed checkpoint (`nano`), a folder, or a model of the Hugging Face hub. Its rules (positions, sizes,
frames) come from the arguments given, else from its `unite.json`, else from the defaults of its kind. There are two
kinds. A *released UNITE* checkpoint was trained by the published code, with running 1-D positions, and gets the rules of
the published inference code; it is known by its architecture (`UniteQwen2VL` in config.json) or by its name
(`Unite-Base-Qwen2-VL-2B` and the like). Any other is a plain backbone. What was chosen, and why, is in the card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from reference_model.families import FAMILIES, Clock, Family, family_of
from reference_model.preprocess import PROCESSOR_FILE, Preprocessing
from reference_model.settings import SETTINGS_FILE, Settings, read_json
from unite_bench.embedders.checkpoint import Trust, size_of
from unite_bench.errors import ModelError

CHECKPOINTS = Path(__file__).parent / "checkpoints"
UNVERSIONED = "unversioned"
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
RELEASED_NAME = re.compile(r"Unite-(Base|Instruct)-Qwen2-VL-(2B|7B)")
TOKEN = 28 * 28
MERGED = "merged"  # the folder of a trained stage's checkpoint, in every run of the same name
MADE_FILE = "made.json"  # in it: what it was made from
DECISIVE = (
    "config.json",
    "tokenizer.json",
    "preprocessor_config.json",
    PROCESSOR_FILE,
    SETTINGS_FILE,
    "model.safetensors.index.json",
)


def name_of(folder: Path) -> str:
    """The folder's own name; of a `merged` folder that training wrote, those of recipe and stage: "shop-adaptation"."""
    own = folder.resolve().name
    if own != MERGED or not (folder / MADE_FILE).is_file():
        return own
    made = read_json(folder / MADE_FILE)
    return f"{made['model']}-{made['stage']}"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was found: its folder, and the `name` and `revision` that its card bears.

    `given` are settings that take the place of the checkpoint's own (see `Settings`), and `adapted` those that an adapter
    brings, which `given` ones take the place of; None there means not given.
    """

    folder: Path
    name: str
    revision: str = UNVERSIONED
    given: Mapping[str, Any] | None = None
    adapted: Mapping[str, Any] | None = None

    @classmethod
    def find(
        cls,
        name: str,
        revision: str | None = None,
        given: Mapping[str, Any] | None = None,
        adapted: Mapping[str, Any] | None = None,
    ) -> Checkpoint:
        """By the name of a committed checkpoint, a folder, or a name on the hub, at `revision` if one is given.

        A hub model comes from the hub's cache, or is fetched into it. Raises ModelError where there is no such
        checkpoint, and says how to get it.
        """
        committed = sorted(path.parent.name for path in CHECKPOINTS.glob("*/config.json"))
        for folder in (CHECKPOINTS / name if name in committed else Path(name), Path(name)):
            if (folder / "config.json").is_file():
                if revision is not None:
                    raise ModelError(f"{name} is a folder, which has no revision {revision!r}; leave the revision out")
                return cls(folder, name_of(folder), given=given, adapted=adapted)
        if not HUB_NAME.fullmatch(name) or Path(name).exists():
            raise ModelError(
                f"no checkpoint {name!r}: give one of {committed or 'none committed'}, a folder with config.json, "
                "or a name on the hub (OWNER/NAME)"
            )
        at = f" --revision {revision}" if revision else ""
        try:
            folder = Trust().folder_of(name, revision)
        except ModelError as error:
            raise ModelError(
                f"{error}\nFetch it once, where there is a network and HF_HUB_OFFLINE is not set: hf download {name}{at}"
            ) from error
        return cls(folder, name, folder.name, given, adapted)

    @cached_property
    def config(self) -> Mapping[str, Any]:
        return read_json(self.folder / "config.json")

    def _object(self, key: str) -> Mapping[str, Any]:
        """An object within config.json, {} where there is none. Raises ModelError for anything else under that key."""
        found = self.config.get(key, {})
        if not isinstance(found, Mapping):
            raise ModelError(f"{self.folder / 'config.json'}: {key} is {found!r}, and no object; restore the file")
        return found

    @cached_property
    def family(self) -> Family:
        return FAMILIES[family_of(self.config, str(self.folder / "config.json"))]

    @property
    def clock(self) -> Clock:
        return self.family.clock(self.config, str(self.folder / "config.json"))

    @property
    def width(self) -> int:
        """Width of the language model, and so of a vector."""
        width = self.config.get("hidden_size") or self._object("text_config").get("hidden_size")
        if not isinstance(width, int):
            raise ModelError(f"{self.folder / 'config.json'}: no hidden_size; is this a Qwen-VL checkpoint?")
        return width

    @cached_property
    def released(self) -> str:
        """Why this is taken for a released UNITE checkpoint, or ""."""
        architectures = [str(name) for name in self.config.get("architectures") or ()]
        for name in (*architectures, str(self.config.get("model_type", ""))):
            if name.lower().startswith("unite"):
                return f"architecture {name}"
        last = self.name.rpartition("/")[2]
        return f"name {last}" if RELEASED_NAME.fullmatch(last) else ""

    @property
    def _defaults(self) -> Settings:
        length = self.config.get("max_position_embeddings") or self._object("text_config").get(
            "max_position_embeddings", 32768
        )
        if not isinstance(length, int) or isinstance(length, bool) or length <= 0:
            raise ModelError(f"{self.folder / 'config.json'}: max_position_embeddings is {length!r}; restore the file")
        if not self.released:
            return Settings(max_length=length)
        # Budgets, frame rule and the absence of truncation are those of the published inference code.
        return Settings(
            positions="1d",
            sizes="twice",
            max_length=length,
            min_pixels=256 * TOKEN,
            max_pixels=1280 * TOKEN,
            fps=1.0,
            min_frames=4,
            most_frames=32,
        )

    @cached_property
    def settings(self) -> Settings:
        said = {
            key: value
            for source in (self.adapted, self.given)
            for key, value in (source or {}).items()
            if value is not None
        }
        return Settings.read(self.folder, self._defaults, said)

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Preprocessing of the checkpoint under its settings; the patch sizes of its config.json win over those of its
        preprocessor_config.json, because the weights depend on them."""
        vision = self._object("vision_config")
        named = {"patch": "patch_size", "merge": "spatial_merge_size", "temporal_patch": "temporal_patch_size"}
        sizes = {field: vision[key] for field, key in named.items() if key in vision}
        own = Preprocessing.read(self.folder / "preprocessor_config.json", self.family.preprocessing)
        return replace(own, **sizes).under(self.settings)

    def why(self, setting: str) -> str:
        """Where the value of a setting comes from, for the card."""
        if (self.given or {}).get(setting) is not None:
            return "given"
        if (self.adapted or {}).get(setting) is not None:
            return "adapter"
        path = self.folder / SETTINGS_FILE
        if path.exists() and read_json(path).get(setting) is not None:
            return SETTINGS_FILE
        if self.released:
            return f"released UNITE, known by its {self.released}"
        return "default"

    @property
    def told(self) -> dict[str, str]:
        """The rules and budgets that decide a vector, and where each comes from, for the card and the record."""
        settings, shown = self.settings, self.preprocessing

        def told(value: str, *names: str) -> str:
            """With where it comes from; a budget that nobody sets is the preprocessor's own."""
            why = dict.fromkeys(self.why(name) for name in names if getattr(settings, name) is not None)
            return f"{value} ({'; '.join(why)})" if why else value

        image, frame = (f"{least} to {most}" for least, most in (shown.budget(), shown.budget(clip=True)))
        own = f"{settings.fps or 0:g} a second, {settings.min_frames} to {settings.most_frames}"
        own = told(own, "fps", "min_frames", "most_frames")
        return {
            **({"native_frames": own} if settings.fps else {}),
            "positions": told(settings.positions, "positions"),
            "sizes": told(f"fitted {settings.sizes}", "sizes"),
            "image_pixels": told(image, "min_pixels", "max_pixels"),
            "frame_pixels": told(frame, "frame_min_pixels", "frame_max_pixels"),
            "max_length": told(str(settings.max_length), "max_length"),
        }

    @cached_property
    def size(self) -> str | None:
        """Its number of parameters, for tables."""
        return size_of(self.files())

    def files(self) -> Sequence[Path]:
        """Every file of the checkpoint that can change a vector."""
        kept = [self.folder / name for name in DECISIVE if (self.folder / name).is_file()]
        return [*kept, *sorted(self.folder.glob("*.safetensors"))]
