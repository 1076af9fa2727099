"""From media and prompts to tensors, many at a time: what both kinds of training share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reference_model.preprocess import Grid, Preprocessing, cut
from reference_model.train.bank import Bank

if TYPE_CHECKING:
    import torch

Medium = tuple[Bank, int]


def even(frames: npt.NDArray[np.uint8], group: int) -> npt.NDArray[np.uint8]:
    """Frames with the last one repeated until they fill whole temporal patches."""
    return np.concatenate([frames, np.repeat(frames[-1:], -len(frames) % group, axis=0)])


def patches_of(media: Sequence[Medium], preprocessing: Preprocessing) -> tuple[torch.Tensor, list[Grid]]:
    """Patches of banked media, one after the other, and their grids; media of one size are cut together."""
    import torch

    group = preprocessing.temporal_patch
    frames = [even(bank.frames(number), group) for bank, number in media]
    by_size: dict[tuple[int, ...], list[int]] = {}
    for index, shown in enumerate(frames):
        by_size.setdefault(shown.shape[1:3], []).append(index)
    pieces: list[torch.Tensor] = [torch.empty(0)] * len(frames)
    grids: list[Grid] = [Grid(0, 0, 0)] * len(frames)
    for members in by_size.values():
        stacked = torch.from_numpy(np.concatenate([frames[i] for i in members])).permute(0, 3, 1, 2)
        patches, whole = cut(stacked, preprocessing)
        own = [Grid(len(frames[i]) // group, whole.rows, whole.columns) for i in members]
        for i, grid, piece in zip(members, own, patches.split([grid.patches for grid in own]), strict=True):
            pieces[i], grids[i] = piece, grid
    return torch.cat(pieces), grids


def length_groups(lengths: Sequence[int], tokens: int) -> list[list[int]]:
    """Rows sorted by length and cut into groups of at most `tokens` tokens, padding included."""
    groups: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda index: lengths[index]):
        if groups and lengths[row] * (len(groups[-1]) + 1) <= tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups
