"""Models that read the order of a history: what comes after what.

The latest event of a history weighs 1, the one before it ``decay``, then ``decay ** 2``, and so on
for ``window`` events. ``seed`` draws the order of a user's events that have equal timestamps.
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
_LARGE = 2_000_000  # events from which on compiled loops save more than their loading takes


def decayed(
    histories: Sequence[Any], n_items: int, decay: float = 0.8, window: int = 10
) -> sparse.csr_matrix:
    """Return histories as weights of items, (n_histories, n_items) float32; repeated ones add up.

    Histories are lists of item indices, earliest first, or a padded table. A -1 is padding, or an
    item that the catalog lacks. Raise ``TypeError`` or ``IndexError`` for what is no item index.
    """
    latest = []
    for row, history in enumerate(histories):
        items = np.asarray(history).ravel()
        if items.size and not np.issubdtype(items.dtype, np.integer):
            raise TypeError(f"history {row} holds {items.dtype}, expected whole item indices")
        for wrong in items[(items < PADDING) | (items >= n_items)]:
            raise IndexError(f"history {row} holds {wrong}, expected 0..{n_items - 1}, or -1")
        latest.append(items[items != PADDING][: -window - 1 : -1])
    starts = np.cumsum([0, *map(len, latest)])
    steps = np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))
    weights, items = (decay**steps).astype(np.float32), np.concatenate([*latest, []])
    return sparse.csr_matrix((weights, items, starts), shape=(len(latest), n_items))


@dataclass(kw_only=True)
class OrderModel(Recommender):
    """Base class of models that score the next event of a history, of users or of anyone."""

    decay: float = 0.8
    window: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "window")
        above_zero(self, *vars(self).keys() - {"seed", "window"})

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

    def _before(self) -> sparse.csr_matrix:
        """Return the histories before all events, as `decayed`, (n_events, n_items)."""
        steps, events = np.arange(1, self.window + 1), np.arange(len(self._items))
        there = steps <= self._places[:, None]
        weights = (there * self.decay ** (steps - 1.0))[there].astype(np.float32)
        items = self._items[(events[:, None] - steps)[there]]
        starts = np.append(0, np.cumsum(there.sum(axis=1)))
        return sparse.csr_matrix((weights, items, starts), shape=(len(events), self.n_items))

    def _count(self) -> sparse.csr_matrix:
        """Return how often the column's item came after the row's, (n_items, n_items) float32."""
        sizes = [len(sequence) for sequence in self._sequences]
        self._items, every = np.concatenate(self._sequences), np.arange(sum(sizes))
        self._places = every - np.repeat(np.cumsum(sizes) - sizes, sizes)
        one_hot = np.ones(len(every), np.float32), self._items, np.arange(len(every) + 1)
        after = sparse.csr_matrix(one_hot, shape=(len(every), self.n_items))
        if len(every) >= _LARGE:
            from helpers.models.order_compiled import count_before  # loads a compiler

            weights = (self.decay ** np.arange(self.window, dtype=np.float64)).astype(np.float32)
            return count_before(after, self._places, weights).T.tocsr()
        return (after.T @ self._before()).T.tocsr()


@dataclass
class Transitions(OrderModel):
    """Score items by the chance that they come next: how often they came after the latest events.

    ``counts`` (n_items, n_items), sparse: how often the column's item came after the row's, where a
    pair d steps apart counts ``decay ** (d - 1)``, for d up to ``window``. The chance of item j
    after item i is ``(counts[i, j] + smoothing * share[j]) / (counts[i].sum() + smoothing)``, with
    the popularity ``share`` (n_items,). A score is the mean of these chances over a history's
    events, weighted as in `decayed`; without a history, the item's share.
    """

    smoothing: float = 50.0

    def _learn(self, data: Interactions) -> None:
        self.counts = self._count()
        self.share = (data.item_counts() / len(data)).astype(np.float32)
        total = np.asarray(self.counts.sum(axis=1)).ravel() + self.smoothing
        self._chances = sparse.diags(1 / total, dtype=np.float32) @ self.counts

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        weight = np.asarray(rows.sum(axis=1))  # 0 for an empty history
        counted = (rows @ self._chances).toarray() / np.where(weight, weight, 1)
        return counted + (1 - counted.sum(axis=1, keepdims=True)) * self.share  # a row sums to 1


@dataclass
class NextItemRidge(OrderModel):
    """Predict the next event from the decayed history before it, by ridge regression.

    With X the `decayed` histories before all events and Y those events, one-hot, the map W
    minimizes ``|Y - X W|² + regularization |W|²``: ``(X'X + regularization I) W = X'Y``. X'Y are
    the ``counts`` of `Transitions`. Memory and time grow with n_items² and n_items³.
    """

    regularization: float = 300.0

    def _learn(self, data: Interactions) -> None:
        self.counts = self._count()
        before = self._before()
        gram = (before.T @ before).toarray().T  # in LAPACK's order
        gram[np.diag_indices(len(gram))] += self.regularization
        self._factor = linalg.cholesky(gram, lower=True, overwrite_a=True, check_finite=False)

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        solved = linalg.cho_solve((self._factor, True), rows.toarray().T, check_finite=False)
        return np.ascontiguousarray((self.counts.T @ solved).T)


@dataclass
class DecayedEASE(OrderModel):
    """EASE, asked with a history whose older events count less. The map itself knows no order."""

    regularization: float = 500.0

    def _learn(self, data: Interactions) -> None:
        self._ease = EASE(self.regularization).fit(data)

    def _score(self, rows: sparse.csr_matrix) -> FloatArray:
        return self._ease.score_histories(rows)
