"""The loss over several processes: gradients of W ranks, averaged, are those of one process with the whole batch."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch.nn.functional import normalize

from reference_model.train.gathering import distributed_mamcl_loss
from reference_model.train.mamcl import Options, Side, dense_losses, mamcl_loss
from reference_model.train.mamcl_blocks import blocked_losses

ROWS = (4, 2, 3)  # uneven: the last batch of an epoch
NEGATIVES = (1, 2, 0)  # explicit ones, for the first of a rank's queries
TAU = 0.05


def parts(world: int) -> list[tuple[torch.Tensor, Side, torch.Tensor, Side]]:
    """Of every rank: inputs and labels of its queries and candidates."""
    draw = torch.Generator().manual_seed(world)
    found = []
    for rank in range(world):
        counts = (ROWS[rank], ROWS[rank] + NEGATIVES[rank])
        sides = []
        for side, count in enumerate(counts):
            contents = 100 * side + torch.randint(0, 12, (count,), generator=draw)
            sides += [torch.randn(count, 6, generator=draw).double(), Side(torch.empty(0), contents % 2 + 1, contents)]
        found.append(tuple(sides))
    return found


def model() -> torch.nn.Linear:
    """With a temperature that is learned."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 5).double()
    layer.log_tau = torch.nn.Parameter(torch.tensor(TAU).double().log())
    return layer


ASKED = {
    "forward": Options(),
    "backward": Options(ways="backward"),
    "both": Options(ways="both"),
    "positives": Options(ways="both", repeats="positive"),
    "soft": Options(other_weight=0.3, other_temperature=0.2, false_above=0.4),
}
FORMS = {"dense": dense_losses, "blocked": blocked_losses}


def embedded(layer: torch.nn.Linear, inputs: torch.Tensor, labels: Side) -> Side:
    return Side(normalize(layer(inputs), dim=-1), labels.sets, labels.contents)


def alone(world: int, options: Options) -> list[torch.Tensor]:
    """Gradients of one process over the whole batch: its candidates are those of all ranks, one after the other."""
    layer, given, at, start = model(), parts(world), [], 0
    for rank, (_, _, candidates, _) in enumerate(given):
        at.append(start + torch.arange(ROWS[rank]))
        start += len(candidates)
    inputs = [torch.cat([part[place] for part in given]) for place in (0, 2)]
    labels = [
        Side(torch.empty(0), torch.cat([p[n].sets for p in given]), torch.cat([p[n].contents for p in given]))
        for n in (1, 3)
    ]
    sides = [embedded(layer, *side) for side in zip(inputs, labels, strict=True)]
    free = torch.cat([unmasked(rank) for rank in range(world)])
    mamcl_loss(*sides, torch.cat(at), layer.log_tau.exp(), options, free).backward()
    return [parameter.grad for parameter in layer.parameters()]


def unmasked(rank: int) -> torch.Tensor:
    """Rows of a rank that compete with every modality: not the same of each."""
    return torch.arange(ROWS[rank]) % 3 == rank


def forms_of(options: Options) -> list[str]:
    return ["dense", "blocked"] if options.hard_mask and options.repeats == "left-out" else ["dense"]


def one_rank(rank: int, world: int, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{out}.meeting", world_size=world, rank=rank)
    results = {}
    for asked_for, options in ASKED.items():
        for name in forms_of(options):
            layer = model()
            queries, query_labels, shown, shown_labels = parts(world)[rank]
            sides = embedded(layer, queries, query_labels), embedded(layer, shown, shown_labels)
            at = torch.arange(ROWS[rank])
            tau = layer.log_tau.exp()
            distributed_mamcl_loss(*sides, at, tau, options, unmasked(rank), losses=FORMS[name]).backward()
            gradients = [parameter.grad for parameter in layer.parameters()]
            for gradient in gradients:
                dist.all_reduce(gradient)
            results[f"{name}-{asked_for}"] = [gradient / world for gradient in gradients]
    if rank == 0:
        torch.save(results, out)
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("world", [2, 3])
def test_ranks_together_have_the_gradient_of_one_process(world, tmp_path) -> None:
    multiprocessing.spawn(one_rank, (world, str(tmp_path / "gradients.pt")), nprocs=world)
    found = torch.load(tmp_path / "gradients.pt", weights_only=True)
    for asked_for, options in ASKED.items():
        expected = alone(world, options)
        for name in forms_of(options):
            for ours, whole in zip(found[f"{name}-{asked_for}"], expected, strict=True):
                assert (ours - whole).abs().max() <= 1e-6 * whole.abs().max(), (name, asked_for)
