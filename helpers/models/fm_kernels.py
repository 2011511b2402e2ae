"""The inner loops of the factorization machine, compiled by numba: import only where one is trained.

Importing takes about half a second, compiling some seconds, once: the result is kept beside this file, or in
the user's cache folder where that cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

_FAST = {"reassoc", "contract", "nsz", "arcp"}  # sums in any order; NaN stays NaN


def _compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile on the first call, and keep the result on disk where there is a place for it."""
    njit: Callable[..., Callable[..., Any]] = numba.njit
    options: dict[str, Any] = {"fastmath": _FAST, "nogil": True, "error_model": "numpy"}  # no checks for zero
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's can be written
        return njit(**options)(function)


@_compiled
def _adam(j, weight, mean, square, gradient, rate, decay, clip, eps):  # type: ignore[no-untyped-def]
    """MXNet's Adam on row ``j``; its gradient is set back to zero."""
    for f in range(weight.shape[1]):
        g = gradient[j, f] + decay * weight[j, f]
        if clip > 0:
            g = min(max(g, -clip), clip)
        m = np.float32(0.9) * mean[j, f] + np.float32(0.1) * g
        s = np.float32(0.999) * square[j, f] + np.float32(0.001) * g * g
        mean[j, f] = m
        square[j, f] = s
        weight[j, f] -= rate * m / (np.sqrt(s) + eps)
        gradient[j, f] = np.float32(0)


@_compiled
def _gradients(  # type: ignore[no-untyped-def]
    indptr,
    indices,
    data,
    target,
    begin,
    end,
    w0,
    w1,
    v,
    g0,
    g1,
    gv,
    seen,
    touched,
    total,
    factor,
    logistic,
    scores,
):
    """Add up the gradients of a batch; returns how many features occur in it, which ``touched`` then lists.

    A row's gradient for ``v[j]`` is error · x_j · (total − x_j v_j).
    """
    k = v.shape[1]
    count = 0
    for row in range(begin, end):
        first, last = indptr[row], indptr[row + 1]
        score = w0[0, 0]
        own = np.float32(0)
        for f in range(k):
            total[f] = np.float32(0)
        for i in range(first, last):
            j, x = indices[i], data[i]
            score += x * w1[j, 0]
            for f in range(k):
                product = x * v[j, f]
                total[f] += product
                own += product * product
        pairs = np.float32(0)
        for f in range(k):
            pairs += total[f] * total[f]
        score += np.float32(0.5) * (pairs - own)
        scores[row] = score
        error = score - target[row]
        if logistic:
            error = np.float32(1) / (np.float32(1) + np.exp(-score)) - target[row]
        error *= factor
        g0[0, 0] += error
        for i in range(first, last):
            j, x = indices[i], data[i]
            if not seen[j]:
                seen[j] = True
                touched[count] = j
                count += 1
            ex = error * x
            g1[j, 0] += ex
            for f in range(k):
                gv[j, f] += ex * (total[f] - x * v[j, f])
    return count


@_compiled
def train_epoch(  # type: ignore[no-untyped-def]
    indptr,
    indices,
    data,
    target,
    batch,
    weights,
    means,
    squares,
    rates,
    decays,
    clip,
    eps,
    scale,
    step,
    logistic,
    lazy,
    scores,
):
    """Run one epoch of mini-batches; the arrays of ``weights``, ``means`` and ``squares`` change in place.

    Parameters
    ----------
    indptr, indices, data : numpy.ndarray
        Rows of the CSR matrix, in the order of this epoch.
    target : numpy.ndarray
        (n,), float32.
    batch : int
        Rows in a step.
    weights, means, squares : tuple of numpy.ndarray
        Constant (1, 1), linear (features, 1), factors (features, k), float32: parameters and Adam's moments.
    rates, decays : numpy.ndarray
        (3,), float32: learning rates and weight decays of the three.
    clip, eps, scale : float
        Largest gradient (0: any), Adam's epsilon, factor on gradients (0: one over the rows of the batch).
    step : int
        Steps before this epoch.
    logistic : bool
        Logistic loss on 0 and 1, else squared error.
    lazy : bool
        Update only features that occur in the batch.
    scores : numpy.ndarray
        (n,), float32: filled with each row's score as it was when its batch was computed.

    Returns
    -------
    int
        Steps after this epoch.
    """
    w0, w1, v = weights
    m0, m1, mv = means
    s0, s1, sv = squares
    features, k = v.shape
    g0 = np.zeros((1, 1), np.float32)
    g1 = np.zeros((features, 1), np.float32)
    gv = np.zeros((features, k), np.float32)
    seen = np.zeros(features, np.bool_)
    touched = np.empty(features, np.int64)
    total = np.empty(k, np.float32)
    n = target.shape[0]
    for begin in range(0, n, batch):
        end = min(begin + batch, n)
        factor = np.float32(scale) if scale > 0 else np.float32(1.0 / (end - begin))
        count = _gradients(
            indptr,
            indices,
            data,
            target,
            begin,
            end,
            w0,
            w1,
            v,
            g0,
            g1,
            gv,
            seen,
            touched,
            total,
            factor,
            logistic,
            scores,
        )
        step += 1
        correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        r0 = np.float32(rates[0] * correction)
        r1 = np.float32(rates[1] * correction)
        rv = np.float32(rates[2] * correction)
        _adam(0, w0, m0, s0, g0, r0, decays[0], clip, eps)
        if lazy:
            for place in range(count):
                j = touched[place]
                seen[j] = False
                _adam(j, w1, m1, s1, g1, r1, decays[1], clip, eps)
                _adam(j, v, mv, sv, gv, rv, decays[2], clip, eps)
        else:
            seen[:] = False
            for j in range(features):
                _adam(j, w1, m1, s1, g1, r1, decays[1], clip, eps)
                _adam(j, v, mv, sv, gv, rv, decays[2], clip, eps)
    return step
