"""Which group every row of a pool belongs to, in two bytes a row, so that any set of rows is counted at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reference_model.curation.composition import Group
from reference_model.curation.pool import Numbers, Pool

COLUMNS = ["source", "stage", "granularity", "query_modality", "target_modality"]


class Groups:
    """The groups of a pool, read once."""

    def __init__(self, pool: Pool):
        known: dict[Group, int] = {}
        self._codes = np.zeros(len(pool), dtype=np.uint16)
        for numbers, table in pool.batches(COLUMNS):
            numbered = table.append_column("at", pa.array(np.arange(numbers.size)))
            for row in numbered.group_by(COLUMNS, use_threads=False).aggregate([("at", "list")]).to_pylist():
                group = Group(*(row[name] for name in COLUMNS))
                self._codes[numbers[0] + np.array(row["at_list"])] = known.setdefault(group, len(known))
        self._groups = list(known)

    def counts(self, rows: Numbers | None = None) -> dict[Group, int]:
        """Number of rows a group, of all or of some; groups without rows are left out."""
        codes = self._codes if rows is None else self._codes[rows]
        counts = np.bincount(codes, minlength=len(self._groups))
        return {group: int(n) for group, n in zip(self._groups, counts, strict=True) if n}

    def sums(self, rows: Numbers, weights: npt.NDArray[np.float32]) -> dict[Group, float]:
        """The weights (n,) of `rows` (n,), added up by group."""
        sums = np.bincount(self._codes[rows], weights=weights, minlength=len(self._groups))
        counts = np.bincount(self._codes[rows], minlength=len(self._groups))
        return {group: float(sum_) for group, sum_, n in zip(self._groups, sums, counts, strict=True) if n}
