"""Vectors: stored under what they are the vectors of, never lost, never another model's; a bad item is named."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unite_bench.embedders.base import Embedder, EmbedderCard
from unite_bench.embedders.fusion import FusedEmbedder
from unite_bench.embedders.pixels import PixelsEmbedder
from unite_bench.encode.fingerprint import fingerprint
from unite_bench.encode.plan import MOST_ITEMS, plan
from unite_bench.encode.run import Encoder
from unite_bench.encode.store import Store, collect, inventory
from unite_bench.errors import ItemFailed, ModelError, StoreError
from unite_bench.items import Item, Role, Text
from unite_bench.registry import load_embedder


class Lengths(Embedder):
    """Embeds a text by its length; fails as its texts ask it to. Counts what it is given."""

    card = EmbedderCard(name="lengths", modalities=frozenset({"text"}), dim=2)

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.roles: list[Role] = []

    def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
        texts = [f"{item.instruction or ''}{item.text}" for item in items]
        self.seen += texts
        self.roles.append(role)
        if any("raise" in text for text in texts):
            raise RuntimeError("cannot read this")
        rows = np.array([[len(text), 1.0] for text in texts])
        rows[[("nan" in text) for text in texts]] = np.nan
        rows[[("zero" in text) for text in texts]] = 0.0
        return rows


def texts(*words: str) -> list[Item]:
    return [Item((Text(word),), id=f"id of {word}") for word in words]


def test_what_is_stored_is_not_encoded_again(tmp_path: Path) -> None:
    model = Lengths()
    first = Encoder(model, tmp_path).encode(texts("a", "bb", "a"), "query")
    assert (sorted(model.seen), first.computed) == (["a", "bb"], 2)
    again = Encoder(model, tmp_path).encode(texts("bb", "a"), "query")
    assert (len(model.seen), again.reused, again.computed) == (2, 2, 0)
    np.testing.assert_array_equal(again.vectors[::-1], first.vectors[:2])


def test_role_and_instruction_are_in_the_key_unless_the_card_says_otherwise(tmp_path: Path) -> None:
    plain, asked = texts("a")[0], Item((Text("a"),), instruction="Find: ")
    model = Lengths()
    encoder = Encoder(model, tmp_path)
    for item in (plain, asked):
        encoder.encode([item], "query")
        encoder.encode([item], "candidate")
    assert model.seen == ["a", "a", "Find: a", "Find: a"]

    class Indifferent(Lengths):
        card = EmbedderCard(
            name="indifferent", modalities=frozenset({"text"}), dim=2, role_matters=False, instruction_matters=False
        )

    blind = Indifferent()
    encoder = Encoder(blind, tmp_path)
    for item in (plain, asked):
        encoder.encode([item], "candidate")
    assert (blind.seen, blind.roles) == (["a"], ["query"]), "what is not in the key is not given to the model"


class Foresighted(Lengths):
    """Notes what it is told beforehand; has one vector for both roles."""

    card = EmbedderCard(name="foresighted", modalities=frozenset({"text"}), dim=2, role_matters=False)

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[list[str], Role]] = []

    def cost(self, item: Item) -> float:
        return 4096.0

    def upcoming(self, items: Sequence[Item], role: Role) -> None:
        if self.seen:
            raise RuntimeError("told too late")
        self.told.append(([f"{item.instruction or ''}{item.text}" for item in items], role))


def test_an_embedder_is_told_once_what_it_will_be_asked_in_order(tmp_path: Path) -> None:
    Encoder(Lengths(), tmp_path / "other").encode(texts("a"), "query")  # one that listens to nothing
    model = Foresighted()
    items = texts(*(word * 3 for word in "edcba"))
    encoder = Encoder(model, tmp_path)
    encoder.encode([*items, items[0]], "candidate")
    assert len(model.roles) == 3, "two items a batch"
    assert model.told == [(model.seen, "query")], "in the order of the batches, and the role as it is in the key"
    encoder.encode(items, "candidate")
    assert len(model.told) == 1, "nothing is missing, so nothing is to come"
    with pytest.raises(ModelError, match=r"foresighted: upcoming\(\) raised RuntimeError: told too late"):
        encoder.encode(texts("new"), "candidate")


def test_a_failed_call_holds_no_memory_while_its_halves_run(tmp_path: Path) -> None:
    """Else a pass that ran out of memory would be divided into ones that have less of it."""
    held: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    class Large(Lengths):
        def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
            alive.append(sum(one() is not None for one in held))
            made = np.zeros((1000, 2))
            held.append(weakref.ref(made))
            if len(items) > 1:
                raise RuntimeError("out of memory")
            return made[: len(items)] + 1.0

    found = Encoder(Large(), tmp_path).encode(texts(*"abcdefgh"), "query")
    assert found.computed == 8 and len(alive) == 15 and not any(alive)


@pytest.mark.parametrize(
    ("word", "reason"),
    [("raise", "RuntimeError: cannot read this"), ("nan", "NaN or infinity"), ("zero", "zero vector")],
)
def test_a_bad_item_is_named_and_the_others_are_kept(tmp_path: Path, word: str, reason: str) -> None:
    items = texts("a", "bb", word, "dddd", "eeeee")
    with pytest.raises(ItemFailed, match=f"id of {word}.*{reason}"):
        Encoder(Lengths(), tmp_path).encode(items, "query")
    model = Lengths()
    done = Encoder(model, tmp_path).encode(items, "query", on_error="skip")
    assert set(model.seen) == {word}, "everything else was stored before the error"
    assert list(done.failed) == [f"id of {word}"]
    assert done.usable.tolist() == [True, True, False, True, True]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (np.ones((1, 3)), r"shape \(1, 3\) for 1 items, the card says dim=2"),
        (np.ones((2, 2)), r"shape \(2, 2\) for 1 items"),
        (np.ones((1, 2), dtype=int), "float array or tensor, not int64"),
        ([[1.0, 2.0]], "float array or tensor, not list"),
    ],
)
def test_a_broken_contract_is_a_model_error(tmp_path: Path, returned: object, message: str) -> None:
    class Wrong(Lengths):
        def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
            return returned  # type: ignore[return-value]

    with pytest.raises(ModelError, match=message):
        Encoder(Wrong(), tmp_path).encode(texts("a"), "query")


def test_a_killed_run_resumes_within_a_batch(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        from pathlib import Path
        import numpy as np
        import unite_bench as ub
        from unite_bench.encode.run import Encoder

        class Slow(ub.Embedder):
            card = ub.EmbedderCard(name="slow", modalities=frozenset({"text"}), dim=2)
            def cost(self, item): return 1024.0
            def embed(self, items, role):
                with open(sys.argv[2], "a") as log: log.write(f"{len(items)}\\n")
                if len(open(sys.argv[2]).readlines()) == 4: os._exit(9)
                return np.array([[float(item.text), 1.0] for item in items])

        items = [ub.Item((ub.Text(str(n)),), id=str(n)) for n in range(64)]
        Encoder(Slow(), Path(sys.argv[1])).encode(items, "query")
        """)
    )
    log = tmp_path / "log"
    call = [sys.executable, str(script), str(tmp_path / "store"), str(log)]
    assert subprocess.run(call).returncode == 9
    subprocess.run(call, check=True)
    sizes = [int(line) for line in log.read_text().split()]
    assert sizes == [8] * 9, "three batches were kept, the fourth was lost and is made again"
    (entry,) = inventory(tmp_path / "store") or [None]
    assert entry is not None and entry.shards == 8


ADAPTER = """
import numpy as np
import unite_bench as ub
from helper import scale

class Mine(ub.Embedder):
    card = ub.EmbedderCard(name="mine", modalities=frozenset({"text"}), dim=2)
    def weights(self):
        from pathlib import Path
        return [Path(__file__).parent / "weights.bin"]
    def embed(self, items, role):
        return np.array([[len(item.text) * scale, 1.0] for item in items], dtype=np.float32)
"""


def test_an_edit_to_adapter_helper_or_weights_changes_the_fingerprint(tmp_path: Path) -> None:
    files = {"mine.py": ADAPTER, "helper.py": "scale = 1.0\n", "weights.bin": "1"}

    def print_of(**changed: str) -> str:
        for name, content in (files | {k.replace("__", "."): v for k, v in changed.items()}).items():
            (tmp_path / name).write_text(content)
        code = (
            "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '.')\n"
            "from unite_bench.registry import load_embedder\n"
            "from unite_bench.encode.fingerprint import fingerprint\n"
            "print(fingerprint(load_embedder('mine.py'), 'float32'))"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    prints = [
        print_of(),
        print_of(mine__py=ADAPTER.replace("1.0]", "2.0]")),
        print_of(helper__py="scale = 2.0\n"),
        print_of(weights__bin="2"),
    ]
    assert len(set(prints)) == 4
    assert print_of() == prints[0]


def test_arguments_dtype_and_wrapping_change_the_fingerprint() -> None:
    random = [load_embedder("random"), load_embedder("random:1"), load_embedder("random:2")]
    prints = {fingerprint(e, "float32") for e in random} | {fingerprint(random[0], "bfloat16")}
    fused = FusedEmbedder(PixelsEmbedder())
    assert len(prints | {fingerprint(fused, "float32"), fingerprint(fused.inner, "float32")}) == 6


class Holder(Lengths):
    def __init__(self, held: object) -> None:
        super().__init__()
        self.held = held


def test_arguments_that_cannot_be_told_apart_are_never_taken_for_equal(tmp_path: Path) -> None:
    """Arrays and modules print alike whatever they hold; a path stands for its content."""
    first, second = np.zeros(10_000), np.zeros(10_000)
    second[5_000] = 1.0
    models = [Holder(first), Holder(second), Holder(first)]
    assert len({fingerprint(model, "float32") for model in models}) == 3
    assert fingerprint(models[0], "float32") == fingerprint(models[0], "float32")
    (tmp_path / "w.bin").write_bytes(b"1")
    holder = Holder(tmp_path / "w.bin")
    before = fingerprint(holder, "float32")
    (tmp_path / "w.bin").write_bytes(b"22")
    assert fingerprint(holder, "float32") != before
    assert fingerprint(Holder(["a", 1, None]), "float32") == fingerprint(Holder(["a", 1, None]), "float32")


def test_a_fused_embedder_has_one_fingerprint_in_every_process() -> None:
    code = (
        "from unite_bench.registry import load_embedder as load\n"
        "from unite_bench.embedders.fusion import FusedEmbedder\n"
        "from unite_bench.encode.fingerprint import fingerprint\n"
        "print(fingerprint(FusedEmbedder(load('pixels')), 'float32'))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout


def test_model_files_of_one_name_and_base_classes_are_told_apart(tmp_path: Path) -> None:
    for folder, scale in (("v1", "1.0"), ("v2", "2.0")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "model.py").write_text(
            ADAPTER.replace("from helper import scale", f"scale = {scale}").replace("    def weights", "    def unused")
        )
    one, two = (load_embedder(str(tmp_path / folder / "model.py")) for folder in ("v1", "v2"))
    assert fingerprint(one, "float32") != fingerprint(two, "float32")

    class Derived(type(one)):  # type: ignore[misc]
        pass

    class OtherDerived(type(two)):  # type: ignore[misc]
        pass

    assert fingerprint(Derived(), "float32") != fingerprint(OtherDerived(), "float32")


def test_a_model_that_cannot_be_set_up_is_a_model_error(tmp_path: Path) -> None:
    class Broken(Lengths):
        def setup(self, device: str = "cpu", dtype: str = "float32") -> None:
            raise OSError("no such weights")

    with pytest.raises(ModelError, match="lengths could not be set up: OSError: no such weights"):
        Encoder(Broken(), tmp_path).encode(texts("a"), "query")


def test_vectors_of_extreme_length_are_refused(tmp_path: Path) -> None:
    class Extreme(Lengths):
        def embed(self, items: Sequence[Item], role: Role) -> np.ndarray:
            return np.full((len(items), 2), 1e-39, dtype=np.float32)

    with pytest.raises(ItemFailed, match=r"a vector of length 1\.4"):
        Encoder(Extreme(), tmp_path).encode(texts("a"), "query")


def test_two_processes_may_write_the_same_store(tmp_path: Path) -> None:
    one, two = Store(tmp_path, "f"), Store(tmp_path, "f")
    keys = [f"{n:064x}" for n in range(4)]
    one.put(keys[:3], [np.full((1, 2), n, dtype=np.float32) for n in range(3)])
    two.put(keys[1:], [np.full((n, 2), n, dtype=np.float32) for n in range(1, 4)])
    assert len(Store(tmp_path, "f")) == 4
    assert Store(tmp_path, "f").get(keys[3]).shape == (3, 2)


def test_damage_is_noticed_and_collected(tmp_path: Path) -> None:
    store = Store(tmp_path, "f")
    store.put(["00" * 32], [np.ones((1, 4), dtype=np.float32)])
    store.put(["11" * 32], [np.ones((1, 4), dtype=np.float32)])
    shards = sorted((tmp_path / "f").glob("*.safetensors"))
    flipped = bytearray(shards[0].read_bytes())
    flipped[-1] ^= 1
    shards[0].write_bytes(flipped)
    with pytest.raises(StoreError, match="checksum does not match"):
        Store(tmp_path, "f")
    shards[1].write_bytes(shards[1].read_bytes()[:-3])
    assert len(collect(tmp_path, damaged=True)) == 2
    assert len(Store(tmp_path, "f")) == 0


def test_a_file_that_a_run_publishes_meanwhile_is_not_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the listing and the look at it, its name was changed to that of a shard; a damaged shard was gone too."""
    found = {"*/.*.tmp": [tmp_path / "a" / ".shard.tmp"], "*/*.safetensors": [tmp_path / "a" / "b.safetensors"]}
    monkeypatch.setattr(Path, "glob", lambda path, pattern: iter(found[pattern]))
    assert collect(tmp_path) == []
    assert collect(tmp_path, damaged=True) == found["*/*.safetensors"]


@given(st.permutations(range(30)), st.floats(1, 5000))
def test_batches_do_not_depend_on_the_order_of_items(order: list[int], budget: float) -> None:
    keys = [f"k{n:02}" for n in range(30)]
    kinds = ["text" if n % 3 else "image" for n in range(30)]
    costs = [float(n % 7) * 100 + 1 for n in range(30)]

    def batches(numbers: Sequence[int]) -> list[list[str]]:
        made = plan([keys[n] for n in numbers], [kinds[n] for n in numbers], [costs[n] for n in numbers], budget)
        return [[keys[numbers[i]] for i in batch] for batch in made]

    expected = batches(range(30))
    assert batches(order) == expected
    assert sorted(key for batch in expected for key in batch) == keys
    for batch in expected:
        numbers = [int(key[1:]) for key in batch]
        assert len({kinds[n] for n in numbers}) == 1
        assert len(batch) <= MOST_ITEMS
        assert len(batch) == 1 or sum(costs[n] for n in numbers) <= budget


def test_packages_of_another_site_are_installed_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unite_bench.encode.fingerprint import local_sources

    site = tmp_path / "site-packages"
    (site / "theirs").mkdir(parents=True)
    (site / "theirs" / "__init__.py").write_text("import nothing")
    (tmp_path / "mine.py").write_text("from . import beside\nimport theirs\nimport helper")
    (tmp_path / "helper.py").write_text("")
    monkeypatch.syspath_prepend(str(site))
    assert {path.name for path in local_sources(tmp_path / "mine.py", "mine")} == {"mine.py", "helper.py"}


def test_an_adapter_is_told_apart_by_the_modules_beside_it_and_not_by_its_base_class() -> None:
    from unite_bench.embedders import base, decoder
    from unite_bench.encode.fingerprint import local_sources

    found = local_sources(Path(decoder.__file__).resolve(), decoder.__name__)
    assert {"decoder.py", "qwen_vl.py", "mllama.py", "tokens.py", "prompt.py", "checkpoint.py"} <= {
        p.name for p in found
    }
    assert Path(base.__file__).resolve() not in found
    assert not {"media.py", "items.py"} & {p.name for p in found}, "which are in every fingerprint by themselves"
