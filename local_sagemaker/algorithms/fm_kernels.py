"""Loops of the factorization machine and of checksums, compiled by numba for one thread."""

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; NaN stays NaN

# CSR rows in the order of an epoch, and their labels, (n,); values and labels are float32
Rows = namedtuple("Rows", "indptr indices values labels")

# Constant (1,), linear weights (features,) and factors (features, factors), all float32, each with
# Adam's mean of gradients (m) and of their squares (s). Training changes them in place.
Weights = namedtuple("Weights", "w0 m0 s0 w1 m1 s1 v mv sv")

# Settings of a `FactorizationMachine`; the learning rates and the regularization of
# the three are (3,) float32, and `rescale` is 0 for one over the rows of a batch
Training = namedtuple("Training", "batch_size rates regularization clip epsilon rescale logistic")

# Memory that the batches share: the last entry of each feature (or -1), for each entry the next of
# its feature (or -1) and its row, the features that occur, sums of x_j v_j (rows, factors), errors
_Batch = namedtuple("_Batch", "head following row touched totals errors")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on the first call, and keep the result on disk where there is a place for it."""
    njit: Callable[..., Callable[..., Any]] = numba.njit
    options = {"fastmath": _FAST, "nogil": True, "error_model": "numpy"}  # no checks for zero
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's can be written
        return njit(**options)(function)


@compiled
def _adam(weight, mean, square, g, rate, clip, epsilon):  # type: ignore[no-untyped-def]
    """MXNet's Adam on one weight, as for sparse gradients: a weight without a gradient stays."""
    g = min(max(g, -clip), clip)
    m = np.float32(0.9) * mean + np.float32(0.1) * g
    s = np.float32(0.999) * square + np.float32(0.001) * g * g
    return weight - rate * m / (np.sqrt(s) + epsilon), m, s


@compiled
def _forward(  # type: ignore[no-untyped-def]
    rows, begin, end, weights, batch, factor, logistic, scores
):
    """Score a batch and chain its entries by feature; return how many features occur."""
    # unpacked here: a tuple that is read in the inner loops can take twice the time
    indptr, indices, values, labels = rows
    w0, _, _, w1, _, _, v, _, _ = weights
    head, following, row, touched, totals, errors = batch
    k, origin, count = v.shape[1], indptr[begin], 0
    for r in range(begin, end):
        place = r - begin
        score = w0[0]
        own = pairs = np.float32(0)
        for f in range(k):
            totals[place, f] = np.float32(0)
        for i in range(indptr[r], indptr[r + 1]):
            j, x = indices[i], values[i]
            touched[count] = j  # overwritten by the next if it occurred before: no branch to guess
            count += head[j] < 0
            row[i - origin] = place
            following[i - origin] = head[j]
            head[j] = i - origin
            score += x * w1[j]
            for f in range(k):
                product = x * v[j, f]
                totals[place, f] += product
                own += product * product
        for f in range(k):
            pairs += totals[place, f] * totals[place, f]
        score += np.float32(0.5) * (pairs - own)
        scores[r] = score
        if logistic:
            score = np.float32(1) / (np.float32(1) + np.exp(-score))
        errors[place] = (score - labels[r]) * factor
    return count


@compiled
def _backward(count, values, weights, batch, rates, training):  # type: ignore[no-untyped-def]
    """Update the features listed: a row's gradient for v_j is error · x_j · (total - x_j v_j)."""
    _, _, _, w1, m1, s1, v, mv, sv = weights
    head, following, row, touched, totals, errors = batch
    _, r1, rv = rates
    _, p1, pv = training.regularization
    clip, epsilon, k = training.clip, training.epsilon, v.shape[1]
    gradient = np.empty(k, np.float32)
    for place in range(count):
        j = touched[place]
        linear = own = np.float32(0)
        for f in range(k):
            gradient[f] = np.float32(0)
        i = head[j]
        head[j] = -1
        while i >= 0:
            x, r = values[i], row[i]
            ex = errors[r] * x
            linear += ex
            own += ex * x
            for f in range(k):
                gradient[f] += ex * totals[r, f]
            i = following[i]
        g = linear + p1 * w1[j]
        w1[j], m1[j], s1[j] = _adam(w1[j], m1[j], s1[j], g, r1, clip, epsilon)
        for f in range(k):
            g = gradient[f] + (pv - own) * v[j, f]
            v[j, f], mv[j, f], sv[j, f] = _adam(v[j, f], mv[j, f], sv[j, f], g, rv, clip, epsilon)


@compiled
def train_epoch(rows, weights, training, step, scores):  # type: ignore[no-untyped-def]
    """Train once on all rows, fill ``scores`` before each batch's step; return the steps so far."""
    w0, m0, s0, _, _, _, v, _, _ = weights
    indptr, n, size = rows.indptr, len(rows.labels), training.batch_size
    clip, epsilon, (features, k) = training.clip, training.epsilon, v.shape
    batch = _Batch(
        head=np.full(features, -1, np.int32),
        following=np.empty(len(rows.indices), np.int32),
        row=np.empty(len(rows.indices), np.int32),
        touched=np.empty(features + 1, np.int32),
        totals=np.empty((min(size, n), k), np.float32),
        errors=np.empty(min(size, n), np.float32),
    )
    for begin in range(0, n, size):
        end = min(begin + size, n)
        factor = np.float32(training.rescale if training.rescale > 0 else 1.0 / (end - begin))
        count = _forward(rows, begin, end, weights, batch, factor, training.logistic, scores)
        g = training.regularization[0] * w0[0]
        for r in range(end - begin):
            g += batch.errors[r]
        step += 1
        correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        rates = (training.rates * correction).astype(np.float32)
        w0[0], m0[0], s0[0] = _adam(w0[0], m0[0], s0[0], g, rates[0], clip, epsilon)
        _backward(count, rows.values[indptr[begin] : indptr[end]], weights, batch, rates, training)
    return step


@compiled
def remainder(table, state, body):  # type: ignore[no-untyped-def]
    """Divide bytes as a CRC does, from a first state on; the table says it for each byte."""
    for byte in body:
        state = table[(state ^ byte) & np.uint64(255)] ^ (state >> np.uint64(8))
    return state
