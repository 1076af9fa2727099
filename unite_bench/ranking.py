"""From vectors to ranks: under which rule the candidates of a task are ordered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unite_bench.encode.run import Encoded
from unite_bench.items import content_digest
from unite_bench.measuring import Ranked
from unite_bench.protocol import Settings
from unite_bench.rank.counts import count
from unite_bench.rank.dual_softmax import dual_softmax
from unite_bench.rank.grid import Similarity
from unite_bench.rank.maxsim import Tokens
from unite_bench.rank.ties import by_descending_name, positives_first
from unite_bench.rank.top import first
from unite_bench.sources.build import TaskData


def rank(data: TaskData, asked: Encoded, held: Encoded, similarity: Similarity, settings: Settings) -> Ranked:
    """Counts and the first candidates; what could not be encoded is taken out and counted as missed."""
    has_query, has_candidate = asked.usable, held.usable
    new = np.cumsum(has_candidate) - 1

    def of_the_held(lists: Any) -> Any:
        return lists and lists.keep(has_query[lists.rows] & has_candidate[lists.indices]).renumber(new)

    qrels, pools, excluded = map(of_the_held, (data.qrels, data.pools, data.excluded))
    candidates, queries = held.vectors[has_candidate], asked.rankable
    if settings.dual_softmax is not None:
        assert not isinstance(queries, Tokens) and not isinstance(candidates, Tokens)  # `not_for` refuses them
        order, temperature = _by_content(data, has_query), settings.dual_softmax
        counts, places, scores = dual_softmax(queries, candidates, qrels, excluded, temperature, order, settings.first)
    else:
        counts = count(queries, candidates, qrels, pools, excluded, similarity)
        places, scores = first(queries, candidates, settings.first, pools, excluded, similarity)
    if settings.compat == "mmeb":
        counts = positives_first(counts)
    elif settings.compat == "trec":
        names = [data.candidates[n].id for n in np.flatnonzero(has_candidate)]
        counts = by_descending_name(counts, queries, candidates, names, pools, excluded, similarity)
    counts = replace(counts, judged=data.qrels)
    places = np.where((places >= 0) & has_query[:, None], np.flatnonzero(has_candidate)[places], -1)
    return Ranked(counts, places, scores, queries, candidates, has_candidate, has_query, pools, excluded, similarity)


def _by_content(data: TaskData, has_query: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Positions of the encoded queries in the order of their content digests."""
    digests = [content_digest(query.digest, query.instruction or "") for query in data.queries]
    return np.array(sorted(np.flatnonzero(has_query), key=lambda n: digests[n]), dtype=np.int64)
