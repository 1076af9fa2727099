"""Values summed within clusters: all that resampling, sign flips and standard errors need to know of the queries.

A cluster is what was drawn from the world in one piece: the queries that share a medium, in whichever tasks they stand. An
equal label in two tasks is the same cluster. If two media bear one label by chance, the tests stay exact and the intervals
keep their meaning; if one medium bore two labels, both would promise too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Doubles = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ClusterSums:
    """`totals` (clusters, tasks, columns) float64, the sum of each column's values within each cluster and task; `sizes`
    (clusters, tasks) float64, how many queries that is. A column is an embedder, or the difference of two."""

    totals: Doubles
    sizes: Doubles

    @classmethod
    def of(cls, values: Sequence[Doubles], labels: Sequence[Sequence[str]]) -> ClusterSums:
        """From one array of values (queries, columns) and one label a query for each task.

        Neither the order of the queries nor the names of the clusters changes a bit of what is made of the sums. Raises
        ValueError if a task has no query, or its labels are not one a query.
        """
        for task, (value, label) in enumerate(zip(values, labels, strict=True)):
            if value.ndim != 2 or len(value) != len(label) or not len(label):
                raise ValueError(f"task {task}: values {value.shape} of {len(label)} labelled queries")
        names, codes = np.unique(np.concatenate([np.asarray(label) for label in labels]), return_inverse=True)
        totals = np.zeros((names.size, len(values), values[0].shape[1]))
        sizes = np.zeros((names.size, len(values)))
        for task, code in enumerate(np.split(codes, np.cumsum([len(label) for label in labels])[:-1])):
            sizes[:, task] = np.bincount(code, minlength=names.size)
            for column, value in enumerate(values[task].T):
                order = np.lexsort((value, code))  # sums of floats then come out the same in any order of the queries
                totals[:, task, column] = np.bincount(code[order], value[order], minlength=names.size)
        return cls(totals, sizes)

    @property
    def means(self) -> Doubles:
        """Mean over the queries of each task, (tasks, columns)."""
        return np.asarray(self.totals.sum(axis=0) / self.sizes.sum(axis=0)[:, None])

    @property
    def clusters(self) -> Ints:
        """How many clusters each task has, (tasks,)."""
        return np.asarray((self.sizes > 0).sum(axis=0))

    @property
    def influence(self) -> Doubles:
        """What each cluster adds to the deviation of each mean, (clusters, tasks, columns); sums to 0 over clusters.

        The empirical influence of a ratio mean (Davison and Hinkley, Bootstrap Methods, 1997, section 2.7.2).
        """
        residuals = self.totals - self.sizes[:, :, None] * self.means
        return np.asarray(residuals / self.sizes.sum(axis=0)[:, None])

    def still(self, contrast: Doubles) -> npt.NDArray[np.bool_]:
        """In which tasks (tasks,) a contrast of the columns varies less over clusters than if one query had been half a hit
        apart. Resampling and sign flips see nothing there of hits that are too rare to have been sampled."""
        residuals = self.influence @ contrast * self.sizes.sum(axis=0)
        return np.asarray((residuals**2).sum(axis=0) < 0.5)

    def contributions(self, weights: Doubles, contrast: Doubles) -> Doubles:
        """What each cluster adds to the weighted sum of the tasks' means of a contrast of the columns, (clusters,)."""
        return np.asarray(np.einsum("ctk,t,k->c", self.totals, weights / self.sizes.sum(axis=0), contrast))

    @property
    def strata(self) -> Ints:
        """Which clusters are drawn together, (clusters,): tasks that share a cluster, directly or through others, belong
        to one stratum; the others are independent of them. Numbered in the order of the tasks."""
        shared = sparse.csr_array(self.sizes > 0)
        graph = sparse.block_array([[None, shared.T], [shared, None]])
        _, component = sparse.csgraph.connected_components(graph, directed=False)
        return np.asarray(component[self.sizes.shape[1] :], dtype=np.int64)
