"""The factorization machine: second-order weights of low rank, trained by Adam in mini-batches.

Settings have the names and defaults of SageMaker's built-in algorithm, which this is the inside of; the
compiled loops stand in `helpers.models.fm_kernels`. With lazy updates its loss follows the real container's
published log: .5116 after 100 epochs of classifying ML-100K.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from helpers.models.base import NotFittedError
from helpers.models.fm_scoring import fm_scores, quality

# Chosen on a tenth of the training rows of ML-100K, never on test rows.
TUNED: dict[str, float | int] = {
    "num_factors": 32,
    "epochs": 25,
    "mini_batch_size": 256,
    "bias_lr": 0.01,
    "linear_lr": 0.002,
    "factors_lr": 0.002,
    "bias_wd": 0.0,
    "linear_wd": 0.0001,
    "factors_wd": 0.0005,
    "factors_init_sigma": 0.02,
}
PARTS = ("bias", "linear", "factors")


@dataclass
class FactorizationMachine:
    r"""A factorization machine for ratings or for yes and no.

    It scores a row x of features as
    :math:`w_0 + \sum_j w_j x_j + \sum_{i<j} \langle v_i, v_j \rangle x_i x_j`.

    Parameters
    ----------
    num_factors : int
        Length of each feature's vector.
    predictor_type : {"regressor", "binary_classifier"}
        Squared error on numbers, or logistic loss on 0 and 1.
    epochs, mini_batch_size : int
        Passes over the rows, rows in a step.
    bias_lr, linear_lr, factors_lr : float
        Learning rates of :math:`w_0`, :math:`w_j` and :math:`v_j`.
    bias_wd, linear_wd, factors_wd : float
        Weight decays of the same three.
    bias_init_method, linear_init_method, factors_init_method : {"normal", "uniform", "constant"}
        How each begins: with ``…_init_sigma`` around 0, within ``±…_init_scale``, at ``…_init_value``.
    clip_gradient : float, optional
        Largest absolute value of a gradient's entry.
    eps : float, optional
        Adam's, 1e-8 unless said.
    rescale_grad : float, optional
        Factor on gradients; one over the rows of the batch unless said.
    lazy : bool
        Update only the features that occur in a batch, as MXNet does for sparse gradients.
    shuffle : bool
        Take the rows in a new random order every epoch. SageMaker's container takes them as they come.
    seed : int
        Initial weights and order of the rows; same seed, same result.

    Attributes
    ----------
    w0 : float
        The constant.
    w1 : numpy.ndarray
        (features,), float32.
    v : numpy.ndarray
        (features, num_factors), float32.
    seconds : float
        Time spent in training steps.
    samples : int
        Rows those steps took in, each counted once an epoch.
    progress : tuple of numpy.ndarray
        Of the last epoch, in its order: scores when their batch was computed, and labels, (n,) each.
    """

    num_factors: int = 64
    predictor_type: str = "regressor"
    epochs: int = 1
    mini_batch_size: int = 1000
    bias_lr: float = 0.1
    linear_lr: float = 0.001
    factors_lr: float = 0.0001
    bias_wd: float = 0.01
    linear_wd: float = 0.001
    factors_wd: float = 0.00001
    bias_init_method: str = "normal"
    bias_init_sigma: float = 0.01
    bias_init_scale: float | None = None
    bias_init_value: float | None = None
    linear_init_method: str = "normal"
    linear_init_sigma: float = 0.01
    linear_init_scale: float | None = None
    linear_init_value: float | None = None
    factors_init_method: str = "normal"
    factors_init_sigma: float = 0.001
    factors_init_scale: float | None = None
    factors_init_value: float | None = None
    clip_gradient: float | None = None
    eps: float | None = None
    rescale_grad: float | None = None
    lazy: bool = True
    shuffle: bool = True
    seed: int = 0
    w0: float = field(init=False, repr=False, compare=False)
    w1: np.ndarray = field(init=False, repr=False, compare=False)
    v: np.ndarray = field(init=False, repr=False, compare=False)
    seconds: float = field(init=False, repr=False, compare=False, default=0.0)
    samples: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        """Refuse settings that cannot train."""
        for name in ("num_factors", "epochs", "mini_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)}: expected a whole number of at least 1"
                )
        for name in (f"{part}_{what}" for part in PARTS for what in ("lr", "wd", "init_sigma")):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)}: expected 0 or more")
        if self.predictor_type not in ("regressor", "binary_classifier"):
            raise ValueError(
                f"predictor_type={self.predictor_type!r}: expected 'regressor' or 'binary_classifier'"
            )
        for part in PARTS:
            method = getattr(self, f"{part}_init_method")
            needs = {"normal": "sigma", "uniform": "scale", "constant": "value"}
            if method not in needs:
                raise ValueError(
                    f"{part}_init_method={method!r}: expected one of {', '.join(needs)}"
                )
            if getattr(self, f"{part}_init_{needs[method]}") is None:
                raise ValueError(f"{part}_init_method={method!r} needs {part}_init_{needs[method]}")

    @property
    def classifies(self) -> bool:
        """Whether scores are log-odds."""
        return self.predictor_type == "binary_classifier"

    def fit(
        self,
        x: sparse.csr_matrix,
        y: np.ndarray,
        on_epoch: Callable[[int, dict[str, float]], None] | None = None,
    ) -> FactorizationMachine:
        """Learn from the rows of ``x``.

        Parameters
        ----------
        x : scipy.sparse.csr_matrix
            (n, features).
        y : numpy.ndarray
            (n,): ratings, or 0 and 1.
        on_epoch : callable, optional
            Called after each epoch with its number (from 0) and `quality` of the scores that the rows had
            when their batch was computed.

        Returns
        -------
        FactorizationMachine
            This one.

        Raises
        ------
        ValueError
            No rows, as many ``y`` as not rows, or labels that are not 0 and 1 where it classifies.
        FloatingPointError
            Training diverged: a weight is no finite number any more.
        """
        from helpers.models.fm_kernels import train_epoch

        x, y = _checked(x, y, self.classifies)
        random = np.random.default_rng(self.seed)
        shapes = {
            "bias": (1, 1),
            "linear": (x.shape[1], 1),
            "factors": (x.shape[1], self.num_factors),
        }
        weights = tuple(self._initial(part, shapes[part], random) for part in PARTS)
        means = tuple(np.zeros_like(w) for w in weights)
        squares = tuple(np.zeros_like(w) for w in weights)
        rates, decays = (
            np.array([getattr(self, f"{part}_{what}") for part in PARTS], dtype=np.float32)
            for what in ("lr", "wd")
        )
        scores = np.zeros(len(y), dtype=np.float32)
        self.seconds, self.samples, step = 0.0, 0, 0
        clip, eps = (
            np.float32(self.clip_gradient or 0),
            np.float32(1e-8 if self.eps is None else self.eps),
        )
        settings = (clip, eps, float(self.rescale_grad or 0))

        def run(rows: sparse.csr_matrix, labels: np.ndarray, steps: int) -> int:
            fixed = (self.mini_batch_size, weights, means, squares, rates, decays, *settings)
            data = (rows.indptr, rows.indices, rows.data)
            return train_epoch(data, labels, *fixed, steps, self.classifies, self.lazy, scores)

        run(x[:0], y[:0], 0)  # compiles, or loads what was compiled
        for epoch in range(self.epochs):
            began = time.perf_counter()
            order = random.permutation(len(y)) if self.shuffle else slice(None)
            labels = y[order]
            step = run(x[order], labels, step)  # in order, memory is read as fast as it can be
            self.seconds += time.perf_counter() - began
            self.samples += len(y)
            self.w0, self.w1, self.v = float(weights[0][0, 0]), weights[1][:, 0], weights[2]
            if not np.isfinite(scores).all():
                raise FloatingPointError(
                    f"training diverged in epoch {epoch}: a score is {scores[~np.isfinite(scores)][0]}; "
                    "lower the learning rates or set clip_gradient"
                )
            self.progress = scores, labels
            if on_epoch:
                on_epoch(epoch, quality(scores, labels, self.classifies))
        return self

    def _initial(
        self, part: str, shape: tuple[int, int], random: np.random.Generator
    ) -> np.ndarray:
        method = getattr(self, f"{part}_init_method")
        if method == "constant":
            return np.full(shape, getattr(self, f"{part}_init_value"), dtype=np.float32)
        if method == "uniform":
            scale = getattr(self, f"{part}_init_scale")
            return random.uniform(-scale, scale, shape).astype(np.float32)
        return random.normal(0, getattr(self, f"{part}_init_sigma"), shape).astype(np.float32)

    def scores(self, x: sparse.csr_matrix) -> np.ndarray:
        """Score rows; for a classifier these are log-odds.

        Parameters
        ----------
        x : scipy.sparse.csr_matrix
            (n, features).

        Returns
        -------
        numpy.ndarray
            (n,), float32.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            Another number of features than it learned from.
        """
        if not hasattr(self, "v"):
            raise NotFittedError(
                "this factorization machine has not learned anything: call fit first"
            )
        return fm_scores(x, self.w0, self.w1, self.v)

    def predict(self, x: sparse.csr_matrix) -> np.ndarray:
        """Predict ratings, or the probability of a 1; see `scores`."""
        scores = self.scores(x)
        return 1 / (1 + np.exp(-scores)) if self.classifies else scores


def _checked(
    x: sparse.csr_matrix, y: np.ndarray, classifies: bool
) -> tuple[sparse.csr_matrix, np.ndarray]:
    x = sparse.csr_matrix(x, dtype=np.float32)
    y = np.ascontiguousarray(y, dtype=np.float32)
    if y.shape != (x.shape[0],):
        raise ValueError(
            f"{x.shape[0]} rows and labels of shape {y.shape}: expected one label a row"
        )
    if not len(y):
        raise ValueError("no rows to learn from")
    if not (np.isfinite(x.data).all() and np.isfinite(y).all()):
        raise ValueError("features or labels hold NaN or infinity: expected finite numbers")
    if classifies and not np.isin(y, (0, 1)).all():
        wrong = y[~np.isin(y, (0, 1))][0]
        raise ValueError(f"label {wrong:g} for a binary_classifier: expected 0 or 1")
    return x, y
