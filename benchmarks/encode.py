"""Items a second of the encoding engine, and of a plain loop over the same items and weights; their vectors must agree.

    python benchmarks/encode.py [--size nano] [--share 1 8] [--runs 5]
    python benchmarks/encode.py --device cuda --dtype bfloat16 --size 2b --peak h200

The plain loop is what the published code does: batches of one size in the order given, decoded, put through transformers'
image processor, padded on the left to the longest, and one forward pass of the whole model, vision tower included, for
every occurrence of an item's media. (transformers' video processor needs torchvision, so frames go through the image
processor and are paired.) The engine is asked as the harness asks it. Items are the distinct ones of a suite, all of its
queries and candidates together; `--share N OF` takes those whose first medium, or text, falls into the N-th of OF shares,
so that what shares a medium stays together.

The programs run in turn in one process. A machine that others use only ever adds time, to either of them: the ratio is that
of neighbouring runs, and all of them are reported; so is processor time, which waiting does not change. Sizes other than
nano have random weights and nano's words. The share of the peak counts what the engine runs, by reference_model/cost.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence

os.environ.setdefault("OMP_NUM_THREADS", "2")  # before any library reads it

import numpy as np
import torch

from reference_model.backbone import Backbone
from reference_model.checkpoint import CHECKPOINTS
from reference_model.cost.devices import device_of
from reference_model.cost.flops import language_forward, vision_forward
from reference_model.cost.shapes import NAMED, ModelShape
from reference_model.embedder import ReferenceEmbedder
from reference_model.encoding.decoding import decode
from reference_model.encoding.engine import Engine, grid_of, workers_of
from reference_model.packing import common_opening
from reference_model.preprocess import Grid, Preprocessing
from reference_model.prompt import render
from reference_model.settings import Settings
from unite_bench.encode.plan import plan
from unite_bench.encode.run import within_limits
from unite_bench.items import Item, Text
from unite_bench.protocol import Settings as Protocol
from unite_bench.sources.build import build
from unite_bench.spec.catalogue import load_suite, tasks_of

WARM = 24  # items that both programs run first, untimed
BOUND = {"float32": 1e-4, "bfloat16": 1e-2}  # cosine change; the processors resize by other code
VISION_2B = {"embed_dim": 1280, "depth": 32, "num_heads": 16, "mlp_ratio": 4, "patch_size": 14, "hidden_size": 1536}
TINY = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 1}
TINY |= {"num_key_value_heads": 1}
VISION_TINY = {"embed_dim": 32, "depth": 2, "num_heads": 1, "mlp_ratio": 4, "patch_size": 14, "hidden_size": 64}


def collected(suite: str, share: Sequence[int]) -> list[Item]:
    """The distinct items of a suite's tasks, in the order of the tasks, frames chosen."""
    found: dict[tuple[str, str | None], Item] = {}
    number, of = share
    for task in tasks_of(load_suite(suite)):
        data = build(task)
        for item in (*data.queries, *data.candidates):
            shown = within_limits(Protocol().shown(item, None), None)
            first = next((part for part in shown.parts if not isinstance(part, Text)), shown.parts[0])
            if int(first.digest, 16) % of == number - 1:
                found.setdefault((shown.digest, shown.instruction), shown)
    return list(found.values())


class PlainLoop:
    """Batches of `size` in the order given, each by transformers alone."""

    def __init__(self, backbone: Backbone, size: int):
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

        self.backbone, self.size = backbone, size
        settings = backbone.preprocessing
        assert settings.budget(True) == settings.budget(False), "frames and pictures go through one processor here"
        self.processor = Qwen2VLImageProcessorPil(
            size={"shortest_edge": settings.min_pixels, "longest_edge": settings.max_pixels},
            patch_size=settings.patch,
            merge_size=settings.merge,
            temporal_patch_size=settings.temporal_patch,
            image_mean=list(settings.mean),
            image_std=list(settings.std),
        )

    @torch.inference_mode()
    def __call__(self, items: Sequence[Item]) -> torch.Tensor:
        """(n, width) fp32 on the CPU, L2-normalised."""
        self.backbone.model.set_attn_implementation("sdpa")  # whole prompts, not packed
        starts = range(0, len(items), self.size)
        return torch.cat([self.batch(items[start : start + self.size]) for start in starts])

    def batch(self, items: Sequence[Item]) -> torch.Tensor:
        backbone, device = self.backbone, self.backbone.device
        media: dict[str, list[tuple[torch.Tensor, Grid]]] = {"image": [], "video": []}
        prompts = []
        for item in items:
            grids = []
            for part in item.parts:
                if not isinstance(part, Text):
                    frames = decode(part)
                    grid = grid_of(frames, backbone.preprocessing)
                    media[part.kind].append((self.processed(frames.pixels), grid))
                    grids.append(grid)
            prompts.append(backbone.prepare(render(item), grids))
        longest = max(len(prompt) for prompt in prompts)
        ids, mask = np.zeros((2, len(items), longest), dtype=np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, longest - len(prompt) :], mask[row, longest - len(prompt) :] = prompt.ids, 1
        given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        config = backbone.model.config
        kinds = 1 * (given["input_ids"] == config.image_token_id) + 2 * (given["input_ids"] == config.video_token_id)
        given["mm_token_type_ids"] = kinds.int()
        for kind, pixels in (("image", "pixel_values"), ("video", "pixel_values_videos")):
            if media[kind]:
                given[pixels] = torch.cat([cut for cut, _ in media[kind]]).to(backbone.model.dtype)
                shapes = [[grid.time, grid.rows, grid.columns] for _, grid in media[kind]]
                given[f"{kind}_grid_thw"] = torch.tensor(shapes)
        there = {name: value.to(device) for name, value in given.items()}
        states = backbone.model.model(**there, use_cache=False).last_hidden_state[:, -1]
        return torch.nn.functional.normalize(states.float(), dim=-1).cpu()

    def processed(self, frames: np.ndarray) -> torch.Tensor:
        """Frames (n, height, width, 3) -> patches of one clip, or of one picture."""
        settings = self.backbone.preprocessing
        cut = self.processor.preprocess(list(frames), return_tensors="pt")["pixel_values"]
        if len(frames) == 1:
            return cut
        shape = (len(frames), -1, 3, settings.temporal_patch, settings.patch**2)
        each = cut.view(shape)[:, :, :, 0]  # a frame is repeated to fill its group
        each = torch.cat([each, each[-1:].expand(-len(each) % settings.temporal_patch, -1, -1, -1)])
        return each.unflatten(0, (-1, settings.temporal_patch)).permute(0, 2, 3, 1, 4).flatten(0, 1).flatten(1)


def engine_run(backbone: Backbone, device: str, items: Sequence[Item]) -> torch.Tensor:
    """(n, width), by an engine that knows nothing yet, asked for the batches that the harness would make."""
    engine = Engine([backbone], workers_of([device]))
    price = ReferenceEmbedder("nano").cost
    names = [f"{item.digest} {item.instruction}" for item in items]
    batches = plan(names, [item.modality for item in items], [price(item) for item in items])
    engine.upcoming([items[i] for batch in batches for i in batch])
    vectors = torch.empty(len(items), backbone.model.get_input_embeddings().weight.shape[1])
    for batch in batches:
        vectors[batch] = engine.embed([items[i] for i in batch])
    engine.decoder.close()
    return vectors


def loaded(size: str, device: str, dtype: str) -> Backbone:
    """nano as committed, or a Qwen2-VL of that size with random weights and nano's words."""
    nano = CHECKPOINTS / "nano"
    if size == "nano":
        return Backbone.load(nano, device, dtype)
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    words = Backbone.load(nano)
    sizes, vision = (NAMED["Qwen/Qwen2-VL-2B-Instruct"], VISION_2B) if size == "2b" else (TINY, VISION_TINY)
    text = {key: value for key, value in sizes.items() if key not in ("model_type", "vision_config")}
    half = sizes["hidden_size"] // sizes["num_attention_heads"] // 2
    sections = [half // 4, half * 3 // 8, half - half // 4 - half * 3 // 8]
    own = words.model.config
    tokens = {name: getattr(own, name) for name in ("image_token_id", "video_token_id")}
    tokens |= {name: getattr(own, name) for name in ("vision_start_token_id", "vision_end_token_id")}
    rope = {"rope_type": "default", "rope_theta": 1e6, "mrope_section": sections}
    text = {"vocab_size": own.text_config.vocab_size, **text, "rope_parameters": rope}
    text |= {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    config = Qwen2VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **tokens)
    torch.manual_seed(0)
    with torch.device(device):
        model = Qwen2VLForConditionalGeneration._from_config(config, dtype=getattr(torch, dtype))
    model.eval().requires_grad_(False)
    return Backbone(
        model, words.tokenizer, Preprocessing(), Settings(positions="mrope-5")
    )  # as the plain loop has them


def run_flops(backbone: Backbone, items: Sequence[Item]) -> float:
    """FLOPs of the engine's run: distinct media through the tower, prompts without their shared opening."""
    shape = ModelShape.from_config(backbone.model.config.to_dict())
    grids: dict[str, Grid] = {}
    prompts = []
    for item in items:
        for part in item.parts:
            if not isinstance(part, Text) and part.digest not in grids:
                grids[part.digest] = grid_of(decode(part), backbone.preprocessing)
        own = [grids[part.digest] for part in item.parts if not isinstance(part, Text)]
        prompts.append(backbone.prepare(render(item), own))
    shared = common_opening(prompts)
    lengths = Counter(len(prompt) - shared for prompt in prompts)
    language = language_forward(shape.language, {length: float(n) for length, n in lengths.items()}, None)
    return language + sum(vision_forward(shape.vision, grid) for grid in grids.values())


def timed(program: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, float, float]:
    """What it returns, seconds, and seconds of the processor: of all threads, and of the processes that it began and ended,
    which decode."""
    start, cpu = time.perf_counter(), processor_time()
    vectors = program()
    return vectors, time.perf_counter() - start, processor_time() - cpu


def processor_time() -> float:
    """Seconds of the processor so far, by this process and by those of its children that have ended."""
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    named = {"min": min(values), "median": statistics.median(values), "max": max(values)}
    return {name: round(value, digits) for name, value in named.items()}


def changed(vectors: dict[str, torch.Tensor], dtype: str) -> float:
    """The greatest change of a vector, in cosine; the two programs must agree."""
    change = float((1 - (vectors["plain"] * vectors["engine"]).sum(-1)).max())
    assert change <= BOUND[dtype], f"the two programs give other vectors: cosine change {change:.1e}"
    return change


def measured(options: argparse.Namespace) -> dict[str, object]:
    backbone = loaded(options.size, options.device, options.dtype)
    items = collected(options.suite, options.share)[: options.items]
    plain = PlainLoop(backbone, options.batch)
    programs = {"plain": lambda: plain(items), "engine": lambda: engine_run(backbone, options.device, items)}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    few = items[:: max(1, len(items) // WARM)]  # of every sort; what a device or a library does once, it does here
    change = changed({"plain": plain(few), "engine": engine_run(backbone, options.device, few)}, options.dtype)
    for _ in range(options.runs):
        vectors = {}
        for name, program in programs.items():
            vectors[name], seconds, processor = timed(program)
            times[name].append((seconds, processor))
        change = max(change, changed(vectors, options.dtype))
    media = [part.digest for item in items for part in item.parts if not isinstance(part, Text)]
    pairs = list(zip(times["plain"], times["engine"], strict=True))
    figures: dict[str, object] = {
        "distinct_items": len(items),
        "by_modality": dict(sorted(Counter(item.modality for item in items).items())),
        "media": len(media),
        "distinct_media": len(set(media)),
        "greatest_cosine_change": float(f"{change:.1e}"),
        "plain_items_a_second": spread([len(items) / seconds for seconds, _ in times["plain"]], 1),
        "engine_items_a_second": spread([len(items) / seconds for seconds, _ in times["engine"]], 1),
        "ratio": spread([a / b for (a, _), (b, _) in pairs]),
        "ratio_of_processor_time": spread([a / b for (_, a), (_, b) in pairs]),
    }
    if options.peak is not None:
        flops = run_flops(backbone, items)
        peak = device_of(options.peak).peak
        figures["run_flops"] = flops
        figures["share_of_peak"] = spread([flops / seconds / peak for seconds, _ in times["engine"]], 3)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="embedded")
    parser.add_argument("--share", type=int, nargs=2, default=(1, 1), metavar=("N", "OF"))
    parser.add_argument("--items", type=int, help="the first so many only")
    parser.add_argument("--size", choices=("nano", "2b", "tiny"), default="nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=tuple(BOUND), default="float32")
    parser.add_argument("--batch", type=int, default=16, help="of the plain loop")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peak", help="a device of reference_model/cost/devices.py, for the share of its peak")
    options = parser.parse_args()
    threads = int(os.environ["OMP_NUM_THREADS"])
    torch.set_num_threads(threads)
    print(json.dumps({**vars(options), "threads": threads, **measured(options)}, indent=1))


if __name__ == "__main__":
    main()
