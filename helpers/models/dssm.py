"""Two towers in one space (DSSM): users and what items are made of, trained on their cosine.

Each *part* of an item comes as one array. Its kind decides the layer that reads it:

========================  ============================  ================================
array                     part                          layer
========================  ============================  ================================
float or csr, (n, d)      a bag: genres, trigrams, …    Dense
int, (n, length)          words in order, 0 is padding  Embedding, LSTM
uint8, (n, h, w, 3)       a picture                     two convolutions, Flatten, Dense
========================  ============================  ================================

The layers' outputs are added, rectified, mapped to ``factors`` numbers and divided by their length.

Sources: Huang et al. 2013 (DSSM) and Yi et al. 2019 (batch softmax), see chapter 08.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers import gates
from helpers.models.base import Recommender, all_finite, check_indices
from helpers.models.training import adam_step, freed_afterwards, one_ahead
from helpers.sampling import NegativeSampler

if TYPE_CHECKING:
    import keras

    from helpers.data import Interactions

Parts = Mapping[str, Any]  # by name: an array or csr matrix with one row per item


def cosine_loss(a: npt.ArrayLike, b: npt.ArrayLike, label: npt.ArrayLike) -> tuple[Any, Any, Any]:
    """Return the loss of each pair of rows, (n,), and its gradients for a and b, (n, factors).

    The loss is 1 - cosine for ``label`` 1, a pair that belongs together, and max(0, cosine) for 0.
    A row of zeros has no direction: its cosine counts as 0, and its gradient is 0.
    """
    left, right = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if left.shape != right.shape or left.ndim != 2:
        raise ValueError(f"a has shape {left.shape}, b {right.shape}; expected (n, factors) twice")
    all_finite(a=left, b=right, label=label)
    lengths = [np.sqrt((x**2).sum(axis=1, keepdims=True)) for x in (left, right)]
    alive = (lengths[0] > 0) & (lengths[1] > 0)
    length_a, length_b = (np.where(length > 0, length, 1.0) for length in lengths)
    unit_a, unit_b = left / length_a, right / length_b
    cosine = (left * right).sum(axis=1, keepdims=True) / (length_a * length_b)
    mark = np.asarray(label, dtype=np.float64)[:, None]
    loss = mark * (1 - cosine) + (1 - mark) * np.maximum(cosine, 0)
    push = alive * ((1 - mark) * (cosine > 0) - mark)  # gradient for the cosine
    gradient_a = push * (unit_b - cosine * unit_a) / length_a
    return loss[:, 0], gradient_a, push * (unit_a - cosine * unit_b) / length_b


def keras_cosine_loss(a: Any, b: Any, label: Any) -> tuple[Any, Any, Any]:
    """Return what `cosine_loss` returns, computed by Keras and TensorFlow in float32."""
    import tensorflow as tf

    all_finite(a=a, b=b, label=label)
    ops = gates.import_keras().ops
    left, right = (tf.Variable(x, dtype=tf.float32) for x in (a, b))
    mark = tf.constant(label, tf.float32)
    with tf.GradientTape() as tape:
        squares = ops.sum(ops.square(left), axis=-1) * ops.sum(ops.square(right), axis=-1)
        alive = ops.cast(squares > 0, squares.dtype)
        cosine = alive * ops.sum(left * right, axis=-1) / ops.sqrt(squares + (1 - alive))
        loss = mark * (1 - cosine) + (1 - mark) * ops.relu(cosine)
    gradient_a, gradient_b = tape.gradient(loss, [left, right])
    return loss.numpy(), gradient_a.numpy(), gradient_b.numpy()


def item_tower(
    parts: Parts, factors: int = 32, hidden: int = 64, regularization: float = 0.0
) -> keras.Model:
    """Return the network from a dict of items' parts to vectors of length 1, (n, factors) float32.

    Of the parts given here, only shapes, dtypes and largest indices are read.
    """
    keras = gates.import_keras()
    if not parts:
        raise ValueError("parts is empty; expected at least one array that describes the items")
    read = {name: _reader(name, part, hidden, regularization) for name, part in parts.items()}
    outputs = [out for _, out in read.values()]
    joined = keras.layers.Add()(outputs) if len(outputs) > 1 else outputs[0]
    rectified = keras.layers.Activation("relu")(joined)
    vector = keras.layers.Dense(factors, name="to_shared_space")(rectified)
    inputs = {name: given for name, (given, _) in read.items()}
    return keras.Model(inputs, keras.layers.UnitNormalization()(vector), name="item_tower")


def _reader(name: str, part: Any, hidden: int, regularization: float) -> tuple[Any, Any]:
    """Return the input of a part, and the ``hidden`` numbers that its layers make of it."""
    import keras

    layers, whole = keras.layers, np.issubdtype(part.dtype, np.integer)
    small = keras.regularizers.L2(regularization) if regularization else None
    given = keras.Input(part.shape[1:], name=name, dtype=part.dtype, sparse=sparse.issparse(part))
    if part.ndim == 2 and not whole:
        dense = _sparse_dense() if sparse.issparse(part) else layers.Dense
        return given, dense(hidden, kernel_regularizer=small, name=f"{name}_bag")(given)
    if part.ndim == 2:
        rows = layers.Embedding(int(np.max(part)) + 1, 32, mask_zero=True, name=f"{name}_rows")
        # rows have one length, so the steps can be unrolled: a loop in the graph takes longer
        return given, layers.LSTM(hidden, unroll=True, name=f"{name}_lstm")(rows(given))
    if part.ndim == 4 and part.shape[-1] == 3 and part.dtype == np.uint8:
        how = {"kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu"}
        x = layers.Rescaling(1 / 127.5, offset=-1)(given)
        x = layers.Conv2D(8, **how, name=f"{name}_edges")(x)
        x = layers.Conv2D(16, **how, name=f"{name}_shapes")(x)
        return given, layers.Dense(hidden, name=f"{name}_look")(layers.Flatten()(x))
    raise ValueError(
        f"part {name!r} has shape {part.shape} and dtype {part.dtype}; "
        "expected float or sparse (n, d), int (n, length) or uint8 (n, h, w, 3)"
    )


@cache
def _sparse_dense() -> Any:
    """Return a Dense layer for sparse rows: one product, where Keras looks up, sorts and adds."""
    import keras
    import tensorflow as tf

    class SparseDense(keras.layers.Dense):  # type: ignore[misc, unused-ignore]
        def call(self, rows: Any, training: bool | None = None) -> Any:
            return tf.sparse.sparse_dense_matmul(rows, self.kernel) + self.bias

    return SparseDense


def _log_sum_exp(logits: Any) -> Any:
    """Return the logarithm of each row's sum of exponentials, (n,); TensorFlow's own is slower."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[misc, unused-ignore]
    def compute(rows: Any) -> Any:
        top = tf.reduce_max(rows, axis=1, keepdims=True)
        powers = tf.exp(rows - top)
        total = tf.reduce_sum(powers, axis=1, keepdims=True)
        return (tf.math.log(total) + top)[:, 0], lambda given: powers * (given[:, None] / total)

    return compute(logits)


class _PartReader:
    """Rows of parts in TensorFlow: it keeps dense parts; entries of sparse bags come per batch."""

    def __init__(self, parts: Parts) -> None:
        import tensorflow as tf

        all_finite(**parts)
        self._bags = {name: part for name, part in parts.items() if sparse.issparse(part)}
        self._tables = {name: tf.constant(p) for name, p in parts.items() if name not in self._bags}

    def entries(self, items: Any, dropout: float = 0, generator: Any = None) -> list[Any]:
        """Return places (n, 2) and values (n,) of each sparse bag; dropout scales the others up."""
        found: list[Any] = []
        for bag in self._bags.values():
            some = bag[items].tocoo()
            row, column, value = some.row, some.col, some.data
            if dropout > 0:
                kept = generator.random(len(value)) >= dropout
                row, column, value = row[kept], column[kept], value[kept] / np.float32(1 - dropout)
            found += [np.column_stack([row, column]).astype(np.int64), value]
        return found

    def look_up(self, items: Any, entries: Sequence[Any]) -> dict[str, Any]:
        """Return the rows of each part for an item tower, given items and their `entries`."""
        import tensorflow as tf

        given = {name: tf.gather(table, items) for name, table in self._tables.items()}
        for name, places, values in zip(self._bags, entries[::2], entries[1::2], strict=True):
            shape = (tf.size(items, out_type=tf.int64), self._bags[name].shape[1])
            given[name] = tf.SparseTensor(places, values, shape)
        return given


@dataclass(kw_only=True, eq=False)
class TwoTowers(Recommender):
    """Two towers, one over users and one over parts of items, trained with a batch softmax.

    Every row of a batch is a positive pair. The other rows' items are its negatives, without those
    that its user took. The logit is ``scale · cosine - log Q(item)`` with a learned scale; Q is the
    share of rows with the item, and ``correct=False`` leaves it out. A user's vector is a row that
    all share plus a row of their own. Adam's ``learning_rate`` falls to zero along the steps.

    ``hidden`` is the width of each part's layer, ``dropout`` the share of a sparse bag's entries
    that training leaves out, ``regularization`` the weight of the bags' squared weights in the
    loss. Sparse bags count ``sparse_weight`` times when an item is scored: training trusts titles
    that it has met more than a new title deserves. `fit` sets ``history``, each epoch's mean loss.
    """

    factors: int = 32
    hidden: int = 64
    epochs: int = 2
    batch_size: int = 512
    learning_rate: float = 0.01
    correct: bool = True
    dropout: float = 0.3
    regularization: float = 1e-4
    sparse_weight: float = 0.7
    seed: int = 0

    def fit(self, train: Interactions, parts: Parts) -> TwoTowers:
        """Fit both towers to who took what; ``parts`` have a row for every item, taken or not."""
        for name, part in parts.items():
            if (n := part.shape[0]) != train.n_items:
                raise ValueError(f"part {name!r} has {n} rows; expected {train.n_items}")
        gates.import_keras().utils.set_random_seed(self.seed)
        self.items = item_tower(parts, self.factors, self.hidden, self.regularization)
        self.parts, self._counts = dict(parts), train.user_counts()
        self._learn_from(train)
        with freed_afterwards():
            self._train(train)
        return self

    def _train(self, train: Interactions) -> None:
        import keras
        import tensorflow as tf

        generator = np.random.default_rng(self.seed)
        sampler, reader = NegativeSampler(train, avoid="train"), _PartReader(self.parts)
        users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
        size = min(self.batch_size, len(users))
        steps = len(users) // size
        rates = np.linspace(self.learning_rate, 0, self.epochs * steps, endpoint=False)
        own = tf.Variable(keras.initializers.RandomNormal(0, 0.1)((self.n_users, self.factors)))
        shared = tf.Variable(keras.initializers.RandomUniform()((1, self.factors)))
        scale = tf.Variable(10.0)

        def batches() -> Iterator[tuple[Any, ...]]:
            for at, rate in enumerate(rates.astype(np.float32)):
                if at % steps == 0:
                    order = generator.permutation(len(users))
                rows = order[at % steps * size :][:size]
                who, what = users[rows], items[rows]
                entries = reader.entries(what, self.dropout, generator)
                added = sampler.in_batch(who, what).added(correct=self.correct)
                yield tuple(map(tf.constant, (rate, who, what, added, *entries)))

        def loss(who: Any, what: Any, added: Any, *entries: Any) -> tuple[Any, Any]:
            row = tf.gather(own, who) + tf.gather(shared, tf.zeros_like(who))
            a = scale * keras.ops.normalize(row, axis=-1, epsilon=1e-12)
            b = self.items(reader.look_up(what, entries), training=True)
            # (batch, batch), each row's own item on the diagonal
            logits = tf.matmul(a, b, transpose_b=True) + added
            right = tf.reduce_sum(a * b, axis=1) + tf.linalg.diag_part(added)
            squares = tf.add_n([*self.items.losses, tf.zeros(())])
            return tf.reduce_mean(_log_sum_exp(logits) - right), squares

        learned = [variable.value for variable in self.items.trainable_variables]
        step = adam_step(loss, [own, shared, *learned, scale])
        losses = [float(step(*batch)) for batch in one_ahead(batches())]
        self.history: list[float] = np.reshape(losses, (self.epochs, -1)).mean(axis=1).tolist()
        self._own, self._shared = own.numpy(), shared.numpy()

    def item_vectors(self, parts: Parts | None = None) -> npt.NDArray[np.float32]:
        """Return the vectors of all items, or of new ``parts``: (n, factors), of length 1."""
        self._fitted()
        given = self.parts if parts is None else {**parts}
        if set(given) != set(self.parts):
            raise ValueError(f"parts {sorted(given)}; expected {sorted(self.parts)}, as in fit")
        n = next(iter(given.values())).shape[0]
        reader = _PartReader(
            {name: p * self.sparse_weight if sparse.issparse(p) else p for name, p in given.items()}
        )
        blocks = np.split(np.arange(n), range(2048, n, 2048))
        found = [self.items(reader.look_up(some, reader.entries(some))).numpy() for some in blocks]
        return np.concatenate(found)

    def user_vectors(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the vectors of users, (n, factors) of length 1; without history the shared one."""
        rows = self._users(users)
        vectors = np.where(self._counts[rows, None] > 0, self._own[rows], 0) + self._shared
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / lengths, dtype=np.float32)

    def scores(
        self, users: npt.ArrayLike, items: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Return cosines of users with some items, by default all: (len(users), len(items))."""
        vectors, parts = self.user_vectors(users), self.parts
        if items is not None:
            rows = check_indices(items, self.n_items, "items")
            parts = {name: part[rows] for name, part in parts.items()}
        return vectors @ self.item_vectors(parts).T
