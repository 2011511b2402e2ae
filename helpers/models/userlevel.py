"""User-level models: a history goes in, a score for every item comes out, in one pass.

The network of the 2016 talk's last part::

    hidden = tanh(hidden_bias + sum of item_in[i] over the history / sqrt(its length))
    scores = item_out @ hidden + item_bias

A user has no parameters, so one who came after training is scored like any other. Histories are a
sparse matrix, or lists of item indices of one width, padded with -1.

Source: Dirac 2016, "Using MXNet for Recommendation Modeling at Scale", its last part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import expit

from helpers.data.pairs import user_order
from helpers.models.base import Recommender, above_zero, all_finite, at_least, binary_matrix, one_of
from helpers.models.training import Adam, Weights, one_ahead
from helpers.sampling import NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

Floats = npt.NDArray[np.float32]
Users = npt.NDArray[np.int64]
Rows = npt.NDArray[Any]  # of integers
Loss = Callable[[Any, Any, Any], tuple[float, Weights, Floats]]
Extra = Callable[[Users, sparse.csr_matrix], Any]  # what a batch holds beside its rows
PADDING = -1


def event_sequences(data: Interactions, seed: int = 0) -> list[npt.NDArray[np.int32]]:
    """Return the items that each user took, earliest first; a seeded draw orders equal times."""
    user, when = data.frame["user"].to_numpy(), data.frame["timestamp"].to_numpy()
    order = user_order(user, np.random.default_rng(seed).permutation(len(data)), when)
    items = data.frame["item"].to_numpy(np.int32)[order]
    return np.split(items, np.cumsum(data.user_counts())[:-1])


def pad_histories(histories: Sequence[Any], width: int | None = None) -> npt.NDArray[np.int32]:
    """Return lists of item indices as one table, (n_users, width) int32, padded with -1 at the end.

    ``width`` is by default that of the longest history; of a longer one the latest items stay.
    """
    lists = [np.asarray(h).ravel() for h in histories]
    for row, items in enumerate(lists):
        if items.size and (not np.issubdtype(items.dtype, np.integer) or items.min() < 0):
            raise ValueError(f"history {row} holds {items}, expected item indices of 0 or more")
    if width is None:
        width = max((len(items) for items in lists), default=0) or min(1, len(lists))
    table = np.full((len(lists), width), PADDING, np.int32)
    for row, items in zip(table, lists, strict=True):
        row[: min(len(items), width)] = items[max(0, len(items) - width) :]
    return table


def multi_hot(padded: npt.ArrayLike, n_items: int) -> sparse.csr_matrix:
    """Return padded lists as sparse rows of ones, (n_users, n_items); a repeated item adds up.

    Raise ``ValueError``, ``TypeError`` or ``IndexError`` for what are no padded histories.
    """
    table = np.asarray(padded)
    if table.ndim != 2:
        raise ValueError(f"padded histories have shape {table.shape}, expected (n_users, width)")
    if table.size and not np.issubdtype(table.dtype, np.integer):
        raise TypeError(f"padded histories hold {table.dtype}, expected whole item indices")
    for row, column in np.argwhere((table < PADDING) | (table >= n_items)):
        raise IndexError(
            f"history {row} holds {table[row, column]}, "
            f"expected an item index of 0..{n_items - 1}, or -1 for padding"
        )
    real = table != PADDING
    starts = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    ones = np.ones(int(starts[-1]), np.float32)
    items = table[real].astype(np.int32, copy=False)
    return sparse.csr_matrix((ones, items, starts), shape=(len(table), n_items))


def _hide_items(taken: sparse.csr_matrix, share: float, generator: Any) -> sparse.csr_matrix:
    """Return histories with a random share of items set to 0, the others scaled up to keep sums."""
    shown = generator.random(taken.nnz, dtype=np.float32) >= share
    values = (shown / np.float32(1 - share)).astype(np.float32)
    return sparse.csr_matrix((values, taken.indices, taken.indptr), shape=taken.shape)


def first_weights(n_items: int, hidden: int, counts: Any, n_users: int, seed: int) -> Weights:
    """Return weights to start training from: small tables, and biases that know popularity.

    ``counts`` says how many of the ``n_users`` took each item. Returns float32 arrays: ``item_in``
    and ``item_out`` (n_items, hidden), ``hidden_bias`` (hidden,), and ``item_bias`` (n_items,), the
    logarithm of the share of users, with half a user added.
    """
    scale, shape = 0.3 / np.sqrt(hidden), (2, n_items, hidden)
    item_in, item_out = np.random.default_rng([seed, 9]).normal(0, scale, shape).astype(np.float32)
    item_bias = np.log((np.asarray(counts, np.float64) + 0.5) / n_users).astype(np.float32)
    hidden_bias = np.zeros(hidden, np.float32)
    return dict(item_in=item_in, hidden_bias=hidden_bias, item_out=item_out, item_bias=item_bias)


def _hidden_layer(weights: Weights, histories: Any) -> npt.NDArray[np.float32]:
    """Return the hidden layer of each user, (n_users, hidden); see `forward`."""
    n_items = len(weights["item_in"])
    if not sparse.issparse(histories):
        histories = multi_hot(histories, n_items)
    if histories.shape[1] != n_items:
        raise ValueError(f"histories have {histories.shape[1]} items, the model has {n_items}")
    taken = sparse.csr_matrix(histories, dtype=np.float32)
    all_finite(histories=taken)
    length = np.maximum(np.asarray(taken.sum(axis=1)), 1.0)  # (n_users, 1)
    total = np.asarray(taken @ weights["item_in"]) / np.sqrt(length)
    return np.tanh(total + weights["hidden_bias"]).astype(np.float32)


def forward(weights: Weights, histories: Any) -> npt.NDArray[np.float32]:
    """Return the logit of every item for every history, (n_users, n_items) float32, in one pass.

    ``weights`` are as `first_weights` makes them. ``histories`` are a sparse matrix of ones,
    (n_users, n_items), or padded lists, (n_users, length). All users without history get the same
    row. Raise ``ValueError``, ``TypeError`` or ``IndexError`` for what is no history.
    """
    return _item_scores(weights, _hidden_layer(weights, histories))


def _item_scores(weights: Weights, vectors: Floats) -> Floats:
    """Return the score of every item for each vector, (n_vectors, n_items) float32."""
    scores: Floats = vectors @ weights["item_out"].T
    scores += weights["item_bias"]
    return scores


# The losses below sum over a user's items and average over users, in nats: one learning rate suits
# them all. They return the loss and its gradient by the scores, (n_users, n_items), dense or not.
# ``row`` and ``positive`` are the taken pairs, (n_pairs,). Gradients are written out: TensorFlow
# compiles a step for each training, multiplies more slowly than BLAS, and reads histories as dense.


def _multi_label(scores: Floats, row: Rows, positive: Rows) -> tuple[float, Floats]:
    """Return the multi-label loss: every item is a yes-or-no question of its own."""
    chance = np.tanh(0.5 * scores)
    chance += 1
    chance *= 0.5
    loss = np.maximum(scores, 0).sum() - np.log(np.maximum(chance, 1 - chance)).sum()
    loss -= scores[row, positive].sum()
    chance[row, positive] -= 1
    chance /= len(scores)
    return loss / len(scores), chance


def _softmax(scores: Floats, row: Rows, positive: Rows) -> tuple[float, Floats]:
    """Return the softmax loss (Liang et al. 2018): taken items are draws from one distribution."""
    top = scores.max(axis=1, keepdims=True)
    share = np.exp(scores - top)
    total = share.sum(axis=1, keepdims=True)
    loss = (np.log(total) + top).ravel()[row].sum() - scores[row, positive].sum()
    n_taken = np.bincount(row, minlength=len(scores)).astype(scores.dtype)[:, None]
    share *= n_taken / total / len(scores)
    share[row, positive] -= 1 / len(scores)
    return loss / len(scores), share


def _pairwise(scores: Floats, row: Rows, positive: Rows, negative: Rows) -> tuple[float, Any]:
    """Return the ranking loss (BPR, Rendle et al. 2009): positives should score above negatives."""
    lead = scores[row, positive] - scores[row, negative]
    push = expit(-lead) / len(scores)
    pairs = np.tile(row, 2), np.concatenate([positive, negative])
    gradient = sparse.csr_matrix((np.concatenate([-push, push]), pairs), shape=scores.shape)
    return np.logaddexp(0, -lead).sum() / len(scores), gradient


def _sampled(hidden: Floats, weights: Weights, batch: dict[str, Any]) -> tuple[float, Any]:
    """Return the softmax loss with its sum estimated from a sample (Bengio and Senécal 2003)."""
    # Taken items enter exactly. Drawn ones represent the rest, each divided by how often the sample
    # is expected to hold it; ``drawn_is_taken`` is 1 where the sum has a drawn item already.
    row, positive, drawn = batch["row"], batch["positive"], batch["drawn"]
    item_out, item_bias, users = weights["item_out"], weights["item_bias"], len(hidden)
    of_taken = np.einsum("nk,nk->n", hidden[row], item_out[positive]) + item_bias[positive]
    of_drawn = hidden @ item_out[drawn].T + item_bias[drawn]
    of_drawn += -batch["log_expected"] - np.float32(1e9) * batch["drawn_is_taken"]
    top = of_drawn.max(axis=1)
    np.maximum.at(top, row, of_taken)
    taken_share, drawn_share = np.exp(of_taken - top[row]), np.exp(of_drawn - top[:, None])
    total = drawn_share.sum(axis=1) + np.bincount(row, taken_share, users).astype(hidden.dtype)
    loss = ((np.log(total) + top)[row] - of_taken).sum()
    weight = np.bincount(row, minlength=users).astype(hidden.dtype) / total
    values = [taken_share * weight[row] - 1, (drawn_share * weight[:, None]).ravel()]
    rows = np.concatenate([row, np.repeat(np.arange(users), len(drawn))])
    pairs = rows, np.concatenate([positive, np.tile(drawn, users)])
    shape = users, len(item_out)
    return loss / users, sparse.csr_matrix((np.concatenate(values) / users, pairs), shape=shape)


def _through_items(weights: Weights, vectors: Floats, gradient: Any) -> tuple[Weights, Floats]:
    """Return the gradients of the last two tables and of the vectors that they score."""
    bias = np.asarray(gradient.sum(axis=0)).ravel()
    tables = {"item_out": np.asarray(gradient.T @ vectors), "item_bias": bias}
    return tables, np.asarray(gradient @ weights["item_out"])


@dataclass(kw_only=True, eq=False)
class HistoryModel(Recommender):
    """Base class of models that score a user from an interaction history, with their training loop.

    Each epoch hides a share ``dropout`` of every history, and the loss asks for the whole of it,
    plus ``regularization`` times the sum of squares of ``item_in`` and ``item_out``. ``hidden`` is
    the width of the hidden layer; ``batch_size`` counts users. `fit` sets ``weights`` (arrays by
    name) and ``history`` (the mean loss of each epoch, in nats per user, without regularization).
    """

    hidden: int = 64
    epochs: int = 20
    learning_rate: float = 0.005
    dropout: float = 0.5
    regularization: float = 0.0
    batch_size: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, self, "hidden", "epochs", "batch_size")
        above_zero(self, "learning_rate")
        at_least(0, self, "regularization")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout}: expected a number from 0 to below 1")

    def fit(self, data: Interactions) -> HistoryModel:
        """Train on the users of ``data`` who have a history; return this object."""
        self._learn_from(data)
        self._taken = binary_matrix(data)
        users = np.flatnonzero(np.diff(self._taken.indptr))
        start = first_weights(data.n_items, self.hidden, data.item_counts(), len(users), self.seed)
        self._train(data, users, start)
        return self

    def _train(self, data: Interactions, users: Users, start: Weights) -> None:
        raise NotImplementedError

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for histories of anyone; see `forward`."""
        self._fitted()
        return forward(self.weights, histories)

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        rows = self._users(users)
        return self.score_histories(self._taken[rows])

    def _minimize(self, loss: Loss, start: Weights, users: Users, extra: Extra) -> None:
        """Fill `weights` and `history` by Adam over batches of users, in new order every epoch."""
        # loss(hidden layer, taken pairs, extra(users, rows)) returns the loss, the gradients of the
        # tables behind the hidden layer, and the gradient of the hidden layer
        optimizer = Adam(self.learning_rate, epsilon_hat=True)
        optimizer.epsilon = 1e-7  # as Keras
        generator = np.random.default_rng([self.seed, 1])
        starts = range(0, len(users), self.batch_size)

        def batches() -> Iterator[tuple[Any, ...]]:
            for _ in range(self.epochs):
                order = generator.permutation(users)
                for part in (order[at : at + self.batch_size] for at in starts):
                    rows = self._taken[part]
                    yield rows, _hide_items(rows, self.dropout, generator), extra(part, rows)

        losses = []
        for rows, shown, more in one_ahead(batches()):
            hidden = _hidden_layer(start, shown)
            pairs = np.repeat(np.arange(len(hidden)), np.diff(rows.indptr)), rows.indices
            value, gradients, above = loss(hidden, pairs, more)
            above *= 1 - hidden**2
            gradients["hidden_bias"] = above.sum(axis=0)
            length = np.maximum(np.asarray(shown.sum(axis=1)), 1.0)
            gradients["item_in"] = shown.T @ (above / np.sqrt(length))
            for name in ("item_in", "item_out") if self.regularization else ():
                gradients[name] += np.float32(2 * self.regularization) * start[name]
            optimizer.step(start, dict.fromkeys(start, slice(None)), gradients)
            losses.append(value)
        sizes = [min(self.batch_size, len(users) - at) for at in starts]
        by_epoch = np.reshape(losses, (self.epochs, -1))
        self.history = [float(np.average(epoch, weights=sizes)) for epoch in by_epoch]
        self.weights = start


@dataclass(eq=False)
class UserLevel(HistoryModel):
    """The user-level network, trained to complete histories. See `HistoryModel` for other settings.

    ``loss`` is "multi-label" (a yes or no per item), "softmax" (a softmax over all items),
    "pairwise", or "sampled" (a softmax over ``sample`` items drawn by popularity; with ``correct``,
    each is divided by how often it is expected).
    """

    loss: str = "multi-label"
    correct: bool = True
    sample: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, self, "sample")
        one_of(("multi-label", "softmax", "pairwise", "sampled"), self, "loss")

    def _train(self, data: Interactions, users: Users, start: Weights) -> None:
        of_scores: dict[str, Callable[..., tuple[float, Any]]] = {
            "multi-label": _multi_label,
            "softmax": _softmax,
            "pairwise": _pairwise,
        }

        def loss(hidden: Floats, pairs: Any, extra: Any) -> tuple[float, Weights, Floats]:
            if self.loss == "sampled":  # the scores of all items are what this loss avoids
                value, gradient = _sampled(hidden, start, extra)
            else:
                scores = _item_scores(start, hidden)
                value, gradient = of_scores[self.loss](scores, *pairs, **extra)
            return value, *_through_items(start, hidden, gradient)

        self._minimize(loss, start, users, self._draws(data))

    def _draws(self, data: Interactions) -> Extra:
        """Return what draws the rest of a batch: nothing, negatives, or a sample of the catalog."""
        generator = np.random.default_rng([self.seed, 2])
        sampler = NegativeSampler(data, avoid="train") if self.loss == "pairwise" else None
        weight = np.maximum(data.item_counts(), 0.5)  # never 0: all items can be drawn
        chance = weight / weight.sum()

        def draw(users: Users, rows: sparse.csr_matrix) -> dict[str, Any]:
            row = np.repeat(np.arange(len(users)), np.diff(rows.indptr))
            if sampler is not None:
                return {"negative": sampler.draw(users[row], ratio=1, rng=generator)[:, 0]}
            drawn = generator.choice(data.n_items, self.sample, p=chance).astype(np.int32)
            expected = self.sample * chance[drawn] if self.correct else np.ones(self.sample)
            return {
                "row": row,
                "positive": rows.indices,
                "drawn": drawn,
                "log_expected": np.log(expected).astype(np.float32),
                "drawn_is_taken": rows[:, drawn].toarray(),
            }

        return draw if self.loss in ("pairwise", "sampled") else lambda users, rows: {}


@dataclass(kw_only=True, eq=False)
class MultVAE(HistoryModel):
    """Multinomial variational autoencoder. See `HistoryModel` for other settings.

    From the hidden layer come a mean and a log variance for each of ``latent`` numbers. Training
    scores a draw from that distribution, and adds its divergence from the standard normal one times
    ``strength``, which grows from 0 over the first half. Scoring uses the mean.

    Source: Liang et al. 2018, "Variational autoencoders for collaborative filtering".
    """

    latent: int = 32
    strength: float = 0.1

    def _train(self, data: Interactions, users: Users, start: Weights) -> None:
        generator, noise = (np.random.default_rng([self.seed, place]) for place in (3, 4))

        def drawn(scale: float, *shape: int) -> Floats:
            return generator.normal(0, scale, shape).astype(np.float32)

        narrow = np.sqrt(self.hidden)
        start["to_mean"] = drawn(1.0 / narrow, self.hidden, self.latent)
        start["to_log_variance"] = drawn(0.1 / narrow, self.hidden, self.latent)
        start["item_out"] = drawn(0.3 / np.sqrt(self.latent), data.n_items, self.latent)

        def loss(hidden: Floats, pairs: Any, strength: Any) -> tuple[float, Weights, Floats]:
            mean, log_variance = hidden @ start["to_mean"], hidden @ start["to_log_variance"]
            off = np.exp(log_variance / 2) * noise.standard_normal(mean.shape, dtype=np.float32)
            value, gradient = _softmax(_item_scores(start, mean + off), *pairs)
            gradients, of_draw = _through_items(start, mean + off, gradient)
            divergence, of_mean, of_log_variance = _divergence(mean, log_variance)
            share = strength / np.float32(len(hidden))
            of_mean = of_draw + share * of_mean
            of_log_variance = of_draw * off / 2 + share * of_log_variance
            gradients["to_mean"] = hidden.T @ of_mean
            gradients["to_log_variance"] = hidden.T @ of_log_variance
            above = of_mean @ start["to_mean"].T + of_log_variance @ start["to_log_variance"].T
            return value + share * divergence.sum(), gradients, above

        steps = -(-len(users) // self.batch_size) * self.epochs
        ramp = np.minimum(1, 2 * np.arange(1, steps + 1, dtype=np.float32) / steps)
        strengths = iter((self.strength * ramp).astype(np.float32))
        self._minimize(loss, start, users, lambda _users, _rows: next(strengths))

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for histories of anyone; see `forward`."""
        self._fitted()
        mean = _hidden_layer(self.weights, histories) @ self.weights["to_mean"]
        return _item_scores(self.weights, mean)


def _divergence(mean: Floats, log_variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Return each row's divergence from the standard normal, in nats, and the two gradients."""
    variance = np.exp(log_variance)
    divergence = 0.5 * (variance + mean**2 - 1 - log_variance).sum(axis=1)
    return divergence, mean, (variance - 1) / 2
