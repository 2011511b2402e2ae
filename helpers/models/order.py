"""Models that read the order of a history: what comes after what.

A history is a list of item indices, earliest first. Its latest event weighs 1, the one before it
``decay``, the one before that ``decay ** 2``, and after ``window`` events it is over. ``seed``
draws the order of a user's events that have equal timestamps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import linalg, sparse

from helpers.models.base import Recommender, above_zero, at_least
from helpers.models.baselines import EASE
from helpers.models.userlevel import PADDING, event_sequences

if TYPE_CHECKING:
    from helpers.data import Interactions

FloatArray = npt.NDArray[np.float32]
_EVENTS = 1 << 20  # events whose histories are in memory at a time
_TINY = np.float32(1e-30)  # keeps an empty history from dividing by zero


def decayed(
    histories: Sequence[Any], n_items: int, decay: float = 0.8, window: int = 10
) -> sparse.csr_matrix:
    """Return histories as weights of items, (n_histories, n_items) float32; repeated ones add up.

    Histories are lists of item indices or a padded table. A -1 is padding, or an item that the
    catalog lacks: it is passed over. Raise ``TypeError`` unless items are whole numbers,
    ``IndexError`` for one out of range.
    """
    latest = []
    for row, history in enumerate(histories):
        items = np.asarray(history).ravel()
        if items.size and not np.issubdtype(items.dtype, np.integer):
            raise TypeError(f"history {row} holds {items.dtype}, expected whole item indices")
        if items.size and (items.min() < PADDING or items.max() >= n_items):
            wrong = items[(items < PADDING) | (items >= n_items)][0]
            expected = f"an item index of 0..{n_items - 1}, or -1 for an unknown item"
            raise IndexError(f"history {row} holds {wrong}, expected {expected}")
        latest.append(items[items != PADDING][: -window - 1 : -1].astype(np.int32))
    sizes = np.array([len(items) for items in latest], np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    steps = np.arange(starts[-1]) - np.repeat(starts[:-1], sizes)
    weights = (decay**steps).astype(np.float32), np.concatenate([*latest, []]), starts
    rows = sparse.csr_matrix(weights, shape=(len(latest), n_items))
    rows.sum_duplicates()
    return rows


@dataclass(kw_only=True)
class OrderModel(Recommender):
    """Base class of models that score the next event of a history, of users or of anyone."""

    decay: float = 0.8
    window: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "window")
        above_zero(self, "decay")

    def fit(self, data: Interactions) -> OrderModel:
        """Learn from every user's events in their order, whatever their rating."""
        self._learn_from(data)
        self._sequences = event_sequences(data, self.seed)
        self._learn(data)
        return self

    def _learn(self, data: Interactions) -> None:
        raise NotImplementedError

    def scores(self, users: npt.ArrayLike) -> FloatArray:
        return self.score_histories([self._sequences[user] for user in self._users(users)])

    def score_histories(self, histories: Sequence[Any]) -> FloatArray:
        """Return the score of every item after some histories; see `decayed`."""
        self._fitted()
        return self._score(decayed(histories, self.n_items, self.decay, self.window))

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        raise NotImplementedError

    def _before(self, events: npt.NDArray[np.int64]) -> sparse.csr_matrix:
        """Return the histories before some events of `_flat`, `decayed`, (len(events), n_items)."""
        items, places = self._flat
        steps = np.arange(1, self.window + 1)
        there = steps <= places[events][:, None]
        weights = (self.decay ** (steps - 1.0)).astype(np.float32)
        starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))])
        cells = (
            np.broadcast_to(weights, there.shape)[there],
            items[(events[:, None] - steps)[there]],
        )
        return sparse.csr_matrix((*cells, starts), shape=(len(events), self.n_items))

    def _count(self) -> sparse.csr_matrix:
        """Return how often the column's item came after the row's, (n_items, n_items) float32.

        A pair of events d steps apart counts ``decay ** (d - 1)``, for d up to ``window``.
        """
        sizes = [len(sequence) for sequence in self._sequences]
        places = np.arange(sum(sizes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self._flat = np.concatenate(self._sequences), places
        order = np.argsort(self._flat[0], kind="stable")
        starts = np.searchsorted(self._flat[0][order], np.arange(self.n_items + 1))
        cuts = np.unique(np.searchsorted(starts, np.arange(0, len(order), _EVENTS)))
        blocks = []  # rows of later items
        for first, last in zip(cuts, [*cuts[1:], self.n_items], strict=True):
            events, of_item = order[starts[first] : starts[last]], starts[first : last + 1]
            ones = np.ones(len(events), np.float32), np.arange(len(events)), of_item - of_item[0]
            who = sparse.csr_matrix(ones, shape=(last - first, len(events)))
            blocks.append(who @ self._before(events))
        return sparse.vstack(blocks, format="csr").T.tocsr()


@dataclass
class Transitions(OrderModel):
    """Score items by the chance that they come next: how often they came after the latest events.

    ``counts`` (n_items, n_items), sparse: how often the column's item came after the row's, where a
    pair d steps apart counts ``decay ** (d - 1)``, for d up to ``window``. The chance of item j
    after item i is ``(counts[i, j] + smoothing * share[j]) / (counts[i].sum() + smoothing)``, with
    the popularity ``share`` (n_items,). A score is the mean of these chances over a history's
    events, weighted as in `decayed`. Without a history it is the item's share.
    """

    smoothing: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self, "smoothing")

    def _learn(self, data: Interactions) -> None:
        self.counts = self._count()
        self.share = (data.item_counts() / len(data)).astype(np.float32)
        total = np.asarray(self.counts.sum(axis=1)).ravel() + self.smoothing
        self._chances = sparse.diags(1 / total, dtype=np.float32) @ self.counts

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        weight = np.maximum(rows.sum(axis=1), _TINY)
        counted = np.asarray((rows @ self._chances).toarray() / weight)
        return counted + (1 - counted.sum(axis=1, keepdims=True)) * self.share  # a row sums to 1


@dataclass
class NextItemRidge(OrderModel):
    """Predict the next event from the decayed history before it, by ridge regression.

    With X the `decayed` histories before all events and Y those events, one-hot, the map W
    minimizes ``|Y - X W|² + regularization |W|²``: ``(X'X + regularization I) W = X'Y``. X'Y are
    the ``counts`` of `Transitions`. Memory and time grow with n_items² and n_items³.
    """

    regularization: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        above_zero(self, "regularization")

    def _learn(self, data: Interactions) -> None:
        self.counts = self._count()
        before = self._before(np.arange(len(data)))
        gram = (before.T @ before).toarray().T  # in LAPACK's order
        gram[np.diag_indices(len(gram))] += self.regularization
        self._factor = linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        solved = linalg.cho_solve((self._factor, True), rows.toarray().T, check_finite=False)
        return np.ascontiguousarray((self.counts.T @ solved).T)


@dataclass
class DecayedEASE(OrderModel):
    """EASE, asked with a history whose older events count less. The map itself knows no order."""

    decay: float = 0.97
    window: int = 200
    regularization: float = 200.0

    def _learn(self, data: Interactions) -> None:
        self._ease = EASE(self.regularization).fit(data)

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        return self._ease.score_histories(rows)
