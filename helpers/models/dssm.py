"""Two towers that meet in one space (DSSM): the cosine loss by hand, and the model that ranks by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.base import NotFittedError, binary_matrix, check_indices
from helpers.models.dssm_keras import item_tower, log_sum_exp, user_tower
from helpers.models.dssm_parts import PartReader, Parts
from helpers.models.training import adam_step, freed_afterwards, one_ahead
from helpers.sampling import NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions


def cosine_loss(
    a: npt.ArrayLike, b: npt.ArrayLike, label: npt.ArrayLike = 1.0
) -> npt.NDArray[np.float64]:
    """Return the cosine loss of each pair of rows.

    Parameters
    ----------
    a, b : array-like
        (n, k) or (k,). A row of zeros has no direction: its cosine counts as 0.
    label : array-like
        (n,) or a number. 1 for a pair that belongs together: the loss is 1 - cosine, which is 0 for one
        direction, 1 for a right angle, 2 for opposites. 0 for a pair that does not: max(0, cosine).

    Returns
    -------
    numpy.ndarray of float64, (n,) or ()
    """
    cosine, mark = _cosine(*_pair(a, b))[0], np.asarray(label, dtype=np.float64)
    return np.asarray(mark * (1 - cosine) + (1 - mark) * np.maximum(cosine, 0))


def cosine_slopes(
    a: npt.ArrayLike, b: npt.ArrayLike, label: npt.ArrayLike = 1.0
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the slopes of `cosine_loss` for ``a`` and ``b``, each of their shape.

    With label 1 the slope for ``a`` is ``(cosine · a / ‖a‖ - b / ‖b‖) / ‖a‖``: it stands at a right angle to
    ``a``, so a step turns a vector and does not pull at its length. A row of zeros has slope 0.
    """
    left, right = _pair(a, b)
    cosine, length_a, length_b = (x[..., None] for x in _cosine(left, right))
    unit_a, unit_b = left / length_a, right / length_b
    mark = np.broadcast_to(np.asarray(label, dtype=np.float64), left.shape[:-1])[..., None]
    push = (1 - mark) * (cosine > 0) - mark  # the loss's slope for the cosine
    push = push * (((left**2).sum(-1) > 0) & ((right**2).sum(-1) > 0))[..., None]
    return push * (unit_b - cosine * unit_a) / length_a, push * (
        unit_a - cosine * unit_b
    ) / length_b


def _pair(
    a: npt.ArrayLike, b: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.ndim not in (1, 2):
        raise ValueError(
            f"a has shape {left.shape} and b {right.shape}; expected the same (n, k) or (k,)"
        )
    return left, right


def _cosine(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[Any, Any, Any]:
    """Cosine and both lengths, a length of 0 replaced by 1."""
    lengths = [np.sqrt((x**2).sum(axis=-1)) for x in (a, b)]
    length_a, length_b = (np.where(length > 0, length, 1.0) for length in lengths)
    return (a * b).sum(axis=-1) / (length_a * length_b), length_a, length_b


def batch_softmax_loss(logits: npt.ArrayLike) -> float:
    """Mean over rows of -log softmax at the row's own column, the diagonal.

    Parameters
    ----------
    logits : array-like
        (batch, batch): row r's user against column c's item; minus infinity leaves a column out.
    """
    matrix = np.asarray(logits, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(
            f"logits have shape {matrix.shape}; expected (batch, batch), the positives on the diagonal"
        )
    top = matrix.max(axis=1, keepdims=True)
    total = top[:, 0] + np.log(np.exp(matrix - top).sum(axis=1))
    return float((total - np.diag(matrix)).mean())


@dataclass
class TwoTowers:
    """A tower over users and one over what items are made of, trained with a softmax over each batch.

    Every row of a batch is a positive pair; the other rows' items are its negatives, without those its
    user is known to have taken. The logit is ``scale · cosine - log Q(item)``; see `InBatchNegatives` for
    the correction.

    Parameters
    ----------
    k, hidden : int
        Numbers of the shared space, and of each part's layer.
    epochs, batch_size, learning_rate
        Of Adam; the rate falls to zero along the steps.
    correct : bool
        Subtract log Q. Without it the model learns popularity away.
    scale : float
        First value of what multiplies the cosine; it is learned.
    entry_dropout, part_dropout : float
        Share of a sparse bag's entries, and of whole parts, that are blanked in training.
    decay, user_decay : float
        Weights of squared weights in the loss, see `item_tower` and `user_tower`.
    sparse_weight : float
        What sparse bags count for when an item is scored. Below 1, because training has seen each of
        its titles beside its ratings and trusts titles more than those of strangers deserve.
    profile : sequence of str
        Dense bags that also describe users: the mean of those of their items, without the row's own item in
        training. Names that are not among the parts are left out.
    seed : int
        First weights, order of the rows, dropout.
    """

    k: int = 32
    hidden: int = 64
    epochs: int = 2
    batch_size: int = 512
    learning_rate: float = 0.01
    correct: bool = True
    scale: float = 10.0
    entry_dropout: float = 0.3
    part_dropout: float = 0.0
    decay: float = 1e-4
    user_decay: float = 0.0
    sparse_weight: float = 0.7
    profile: Sequence[str] = ()
    seed: int = 0
    history: list[float] = field(init=False, repr=False, compare=False)

    def fit(self, train: Interactions, parts: Parts) -> TwoTowers:
        """Learn from who took what.

        Parameters
        ----------
        train : Interactions
            Every row is a positive, whatever its rating.
        parts : mapping of str to array
            What is known of every item of `train` *and* of those to be scored, one row an item.

        Returns
        -------
        TwoTowers
            This object; ``history`` holds the mean loss of each epoch.
        """
        import keras

        for name, part in parts.items():
            if part.shape[0] != train.n_items:
                raise ValueError(
                    f"part {name!r} has {part.shape[0]} rows; expected {train.n_items}, one an item"
                )
        keras.utils.set_random_seed(self.seed)
        self.parts, self.n_users = dict(parts), train.n_users
        self.items = item_tower(parts, self.k, self.hidden, self.part_dropout, self.decay)
        bags = [np.asarray(parts[name], np.float32) for name in self.profile if name in parts]
        self._bags = np.hstack(bags) if bags else np.zeros((train.n_items, 0), np.float32)
        self.users = user_tower(train.n_users, self.k, self._bags.shape[1], self.user_decay)
        self._counts = train.user_counts()
        self._sums = np.asarray(binary_matrix(train) @ self._bags, dtype=np.float32)
        with freed_afterwards():
            self.history = self._train(train, np.random.default_rng(self.seed))
        return self

    def _train(self, train: Interactions, generator: np.random.Generator) -> list[float]:
        import tensorflow as tf

        sampler, reader = NegativeSampler(train, avoid="train"), PartReader(self.parts)
        users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
        size = min(self.batch_size, len(users))
        steps = len(users) // size
        rates = np.linspace(
            self.learning_rate, 0, self.epochs * steps, endpoint=False, dtype=np.float32
        )
        level = np.zeros((size, size), np.float32)

        def batches() -> Iterator[tuple[Any, ...]]:
            for at, rate in enumerate(rates):
                if at % steps == 0:
                    order = generator.permutation(len(users))
                rows = order[at % steps * size :][:size]
                who, what = users[rows], items[rows]
                entries = reader.entries(what, generator, self.entry_dropout)
                added = sampler.in_batch(who, what).logits(level, correct=self.correct)
                batch = (rate, who, what, self._profile(who, what), added, *entries)
                yield tuple(map(tf.constant, batch))

        step = self._step(reader)
        losses = [float(step(*batch)) for batch in one_ahead(batches())]
        return [float(epoch) for epoch in np.reshape(losses, (self.epochs, steps)).mean(axis=1)]

    def _profile(
        self, users: npt.NDArray[Any], own: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float32]:
        """Mean bag of each user's items, without the item `own` of its row; zeros where nothing is left."""
        total, count = self._sums[users], self._counts[users]
        if own is not None:
            total, count = total - self._bags[own], count - 1
        return np.asarray(total / np.maximum(count, 1)[:, None], dtype=np.float32)

    def _step(self, reader: PartReader) -> Any:
        """One step of Adam: takes a learning rate, users, items, profiles, what joins the logits, entries."""
        import tensorflow as tf

        scale = tf.Variable(self.scale, name="scale")
        self.learned_scale = scale

        def loss(who: Any, what: Any, profile: Any, added: Any, *entries: Any) -> tuple[Any, Any]:
            person = {"user": who, "profile": profile} if self._bags.shape[1] else {"user": who}
            a = scale * self.users(person, training=True)
            b = self.items(reader.look_up(what, entries), training=True)
            logits = (
                tf.matmul(a, b, transpose_b=True) + added
            )  # (batch, batch), rows' own on the diagonal
            own = tf.reduce_sum(a * b, axis=1) + tf.linalg.diag_part(added)
            value = tf.reduce_mean(log_sum_exp(logits) - own)
            return value, tf.add_n([*self.users.losses, *self.items.losses, tf.zeros(())])

        learned = [*self.users.trainable_variables, *self.items.trainable_variables]
        return adam_step(loss, [*(variable.value for variable in learned), scale])

    def item_vectors(
        self, parts: Parts | None = None, block: int = 2048
    ) -> npt.NDArray[np.float32]:
        """Return the vectors of items, (n, k) of length 1: of all known ones, or of new `parts`."""
        self._check_fitted()
        given = self.parts if parts is None else {**parts}
        if set(given) != set(self.parts):
            raise ValueError(f"parts {sorted(given)}; expected {sorted(self.parts)}, as in fit")
        n = next(iter(given.values())).shape[0]
        weighed = {
            name: p * self.sparse_weight if sparse.issparse(p) else p for name, p in given.items()
        }
        some = [np.arange(start, min(start + block, n)) for start in range(0, n, block)]
        reader = PartReader(weighed)
        return np.concatenate([self.items(reader.rows(rows)).numpy() for rows in some])

    def user_vectors(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the vectors of users, (n, k) of length 1; without history, the direction that all share."""
        self._check_fitted()
        rows = check_indices(np.asarray(users), self.n_users, "users")
        weights = {layer.name: layer.get_weights() for layer in self.users.layers}
        own = np.where(self._counts[rows, None] > 0, weights["user_rows"][0][rows], 0)
        vectors = own + weights["shared_row"][0]
        if self._bags.shape[1]:
            vectors = vectors + self._profile(rows) @ weights["user_profile"][0]
        return np.asarray(
            vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32
        )

    def scores(
        self, users: npt.ArrayLike, items: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Return cosines of some users with some items, by default with all: (len(users), len(items))."""
        self._check_fitted()
        if items is None:
            return self.user_vectors(users) @ self.item_vectors().T
        rows = check_indices(np.asarray(items), next(iter(self.parts.values())).shape[0], "items")
        return (
            self.user_vectors(users)
            @ self.item_vectors({n: p[rows] for n, p in self.parts.items()}).T
        )

    def _check_fitted(self) -> None:
        if not hasattr(self, "history"):
            raise NotFittedError("TwoTowers: call fit(train, parts) first")
