"""The factorization machine of the ``factorization-machines`` image, and its scores."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from local_sagemaker.algorithms.hyperparameters import fm_settings

FloatArray = NDArray[np.float32]
OnEpoch = Callable[[int, dict[str, float]], None]
_ROWS_AT_ONCE = 50_000  # bounds the memory of scoring: rows times factors


class Part(NamedTuple):
    """How one kind of weights learns and starts."""

    learning_rate: float  # of Adam
    regularization: float  # strength of the pull towards zero
    init: str = "normal"  # or "uniform" or "constant"
    sigma: float = 0.01  # standard deviation of a normal start, around 0
    scale: float = 0.0  # a uniform start is within ±scale
    value: float = 0.0  # of a constant start

    def first(self, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
        if self.init == "constant":
            return np.full(shape, self.value, dtype=np.float32)
        if self.init == "uniform":
            return rng.uniform(-self.scale, self.scale, shape).astype(np.float32)
        return rng.normal(0, self.sigma, shape).astype(np.float32)


@dataclass
class FactorizationMachine:
    r"""A factorization machine for ratings or for yes and no, trained by Adam in mini-batches.

    It scores a row x as :math:`w_0 + \sum_j w_j x_j + \sum_{i<j} \langle v_i, v_j \rangle x_i x_j`.
    As in SageMaker's container, a batch updates only the features that occur in it. `fit` sets w0,
    w1, (features,), v, (features, factors), ``seconds`` of training, and ``progress`` of the last
    epoch, in its order: each row's score before the step of its batch, and its label.
    """

    factors: int = 64  # length of each feature's vector
    classifies: bool = False  # logistic loss on 0 and 1, else squared error on numbers
    epochs: int = 1  # passes over the rows
    batch_size: int = 1000  # rows per step
    bias: Part = Part(0.1, 0.01)  # of w_0
    linear: Part = Part(0.001, 0.001)  # of w_j
    pairs: Part = Part(0.0001, 0.00001, sigma=0.001)  # of v_j
    clip_gradient: float | None = None  # largest entry of a gradient
    epsilon: float = 1e-8  # of Adam
    rescale_gradient: float | None = None  # factor on gradients; None: one over the batch's rows
    shuffle: bool = True  # a new order of the rows every epoch; SageMaker keeps that of the file
    seed: int = 0  # of the first weights and the order of the rows

    @classmethod
    def from_sagemaker(cls, given: Mapping[str, Any], **settings: Any) -> "FactorizationMachine":
        """Return a machine with SageMaker's hyperparameters, or else their defaults.

        ``settings`` are ``shuffle`` and ``seed``; raise ``ValueError`` for what it does not take.
        """
        needed = {"feature_dim": "1", "num_factors": "64", "predictor_type": "regressor"}
        found = fm_settings({**needed, **given})
        names = ("lr", "wd", "init_method", "init_sigma", "init_scale", "init_value")
        bias, linear, pairs = (
            Part(*(found.get(f"{part}_{name}", 0.0) for name in names))
            for part in ("bias", "linear", "factors")
        )
        classifies = found["predictor_type"] == "binary_classifier"
        sizes = found["num_factors"], classifies, found["epochs"], found["mini_batch_size"]
        clip, rescale = found.get("clip_gradient"), found.get("rescale_grad")
        bounds = clip, found.get("eps", cls.epsilon), rescale
        return cls(*sizes, bias, linear, pairs, *bounds, **settings)

    def fit(
        self, x: csr_matrix, y: ArrayLike, on_epoch: OnEpoch | None = None
    ) -> "FactorizationMachine":
        """Fit the machine to rows of features, (n, features), and labels, (n,), and return it.

        After each epoch ``on_epoch`` gets its number, from 0, and the `quality` of ``progress``.
        Raise ``ValueError`` for bad rows or labels, ``FloatingPointError`` where it diverges.
        """
        # loads a compiler, which a model server does without
        from local_sagemaker.algorithms.fm_kernels import Rows, Training, Weights, train_epoch

        x, labels = checked(x, y, self.classifies)
        rng, parts = np.random.default_rng(self.seed), (self.bias, self.linear, self.pairs)
        shapes = (1,), (x.shape[1],), (x.shape[1], self.factors)
        first = [part.first(shape, rng) for part, shape in zip(parts, shapes, strict=True)]
        weights = Weights(*(a for w in first for a in (w, np.zeros_like(w), np.zeros_like(w))))
        training = Training(
            batch_size=self.batch_size,
            rates=np.array([part.learning_rate for part in parts], dtype=np.float32),
            regularization=np.array([part.regularization for part in parts], dtype=np.float32),
            clip=np.float32(self.clip_gradient or np.inf),
            epsilon=np.float32(self.epsilon),
            rescale=float(self.rescale_gradient or 0),
            logistic=self.classifies,
        )
        scores, step = np.zeros(len(labels), dtype=np.float32), 0
        none = Rows(x.indptr[:1], x.indices[:0], x.data[:0], labels[:0])
        train_epoch(none, weights, training, step, scores)  # compiles, or loads what was compiled
        self.seconds = 0.0
        for epoch in range(self.epochs):
            began = time.perf_counter()
            order = rng.permutation(len(labels)) if self.shuffle else slice(None)
            rows, taken = x[order], labels[order]  # in order, memory is read as fast as it can be
            in_order = Rows(rows.indptr, rows.indices, rows.data, taken)
            step = train_epoch(in_order, weights, training, step, scores)
            self.seconds += time.perf_counter() - began
            self.w0, self.w1, self.v = float(weights.w0[0]), weights.w1, weights.v
            if not np.isfinite(scores).all():
                said = f"training diverged in epoch {epoch}: a score is not a finite number"
                raise FloatingPointError(f"{said}; lower the learning rates or set clip_gradient")
            self.progress = scores, taken
            if on_epoch:
                on_epoch(epoch, quality(scores, taken, self.classifies))
        return self

    def scores(self, x: csr_matrix) -> FloatArray:
        """Return the scores of rows, (n,) float32: ratings, or log-odds of a 1; see `fm_scores`."""
        if not hasattr(self, "v"):
            raise RuntimeError("FactorizationMachine: call fit(x, y) before asking it")
        return fm_scores(x, self.w0, self.w1, self.v)


def checked(x: csr_matrix, y: ArrayLike, classifies: bool) -> tuple[csr_matrix, FloatArray]:
    """Return rows and labels as float32 arrays that can be learned from."""
    x, y = csr_matrix(x, dtype=np.float32), np.ascontiguousarray(y, dtype=np.float32)
    _finite(x.data, "features")
    if y.shape != (x.shape[0],) or not len(y):
        found = f"{x.shape[0]} rows and labels of shape {y.shape}"
        raise ValueError(f"{found}: expected one label per row, and at least one row")
    wrong = y[~(np.isin(y, (0, 1)) if classifies else np.isfinite(y))]
    if len(wrong):
        expected = "0 or 1 for a binary_classifier" if classifies else "a finite number"
        raise ValueError(f"label {wrong[0]:g}: expected {expected}")
    return x, y


def _finite(values: np.ndarray, name: str) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: found NaN or infinity, expected finite numbers")


def fm_scores(x: csr_matrix, w0: float, w1: FloatArray, v: FloatArray) -> FloatArray:
    """Return the scores of rows, (n,) float32, in time proportional to their non-zeros.

    ``x`` is (n, features), ``w1`` (features,) and ``v`` (features, factors). Raise ``ValueError``
    for another number of features, and where one is not finite.
    """
    x = csr_matrix(x, dtype=np.float32)
    for name, values in ("features", x.data), ("w0", np.array(w0)), ("w1", w1), ("v", v):
        _finite(values, name)
    if x.shape[1] != len(v):
        raise ValueError(f"rows of {x.shape[1]} features, but the machine has {len(v)}")
    own = np.einsum("jf,jf->j", v, v)
    found = np.empty(x.shape[0], dtype=np.float32)
    for begin in range(0, x.shape[0], _ROWS_AT_ONCE):
        part = x[begin : begin + _ROWS_AT_ONCE]
        total = part @ v
        pairs = np.einsum("nf,nf->n", total, total) - part.multiply(part) @ own
        found[begin : begin + _ROWS_AT_ONCE] = w0 + part @ w1 + 0.5 * pairs
    return found


def quality(scores: FloatArray, y: FloatArray, classifies: bool) -> dict[str, float]:
    """Return accuracy, cross-entropy and F1 of log-odds, or else the RMSE of scores, both (n,)."""
    _finite(scores, "scores")
    _finite(y, "y")
    odds, truth = np.asarray(scores, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if not classifies:
        return {"rmse": float(np.sqrt(np.mean((odds - truth) ** 2)))}
    said, true = odds >= 0, truth >= 0.5
    hits = float(np.sum(said & true))
    return {
        "binary_classification_accuracy": float(np.mean(said == true)),
        "binary_classification_cross_entropy": float(np.mean(np.logaddexp(0, odds) - truth * odds)),
        "binary_f_1.000": 2 * hits / max(float(said.sum() + true.sum()), 1.0),
    }
