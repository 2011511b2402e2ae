"""The inner loops of the factorization machine, compiled by numba: import only where one is trained.

Importing takes about half a second, compiling some seconds, once: the result is kept beside this file, or in
the user's cache folder where that cannot be written.

A batch takes two passes. Forward, its rows are scored in order, each row's sum of x_j v_j is kept, and the
entries of one feature are chained. Backward, each feature follows its chain, adds up its gradient in a few
cache lines, and takes its step of Adam while its weights are at hand. Everything runs in one thread: a second
one would have to wait twice a batch, some tenths of a millisecond, which costs more than it gives on a busy
machine; and so results are the same whatever the number of cores.
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
    options: dict[str, Any] = {
        "fastmath": _FAST,
        "nogil": True,
        "error_model": "numpy",
    }  # no checks for zero
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # neither this folder nor the user's can be written
        return njit(**options)(function)


@_compiled
def _adam(weight, mean, square, g, rate, clip, eps):  # type: ignore[no-untyped-def]
    """MXNet's Adam on one weight: its new value and its moments."""
    g = min(max(g, -clip), clip)
    m = np.float32(0.9) * mean + np.float32(0.1) * g
    s = np.float32(0.999) * square + np.float32(0.001) * g * g
    return weight - rate * m / (np.sqrt(s) + eps), m, s


@_compiled
def _forward(  # type: ignore[no-untyped-def]
    begin,
    end,
    indptr,
    indices,
    data,
    target,
    w0,
    w1,
    v,
    head,
    following,
    row,
    touched,
    totals,
    errors,
    scores,
    factor,
    logistic,
):
    """Score a batch and chain its entries: ``head`` has a feature's last one, ``following`` each one's next.

    Returns how many features occur, which ``touched`` then lists.
    """
    k = v.shape[1]
    origin = indptr[begin]
    count = 0
    for r in range(begin, end):
        place = r - begin
        score = w0[0, 0]
        own = pairs = np.float32(0)
        for f in range(k):
            totals[place, f] = np.float32(0)
        for i in range(indptr[r], indptr[r + 1]):
            j, x = indices[i], data[i]
            touched[count] = (
                j  # the next overwrites it where this one was there already: no branch to guess
            )
            count += head[j] < 0
            row[i - origin] = place
            following[i - origin] = head[j]
            head[j] = i - origin
            score += x * w1[j, 0]
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
        errors[place] = (score - target[r]) * factor
    return count


@_compiled
def _backward(  # type: ignore[no-untyped-def]
    count,
    touched,
    head,
    following,
    row,
    data,
    errors,
    totals,
    w1,
    m1,
    s1,
    r1,
    d1,
    v,
    mv,
    sv,
    rv,
    dv,
    clip,
    eps,
):
    """Update the features listed: a row's gradient for ``v[j]`` is error · x_j · (total − x_j v_j)."""
    k = v.shape[1]
    gradient = np.empty(k, np.float32)
    for place in range(count):
        j = touched[place]
        linear = own = np.float32(0)
        for f in range(k):
            gradient[f] = np.float32(0)
        i = head[j]
        head[j] = -1
        while i >= 0:
            x, r = data[i], row[i]
            ex = errors[r] * x
            linear += ex
            own += ex * x
            for f in range(k):
                gradient[f] += ex * totals[r, f]
            i = following[i]
        g = linear + d1 * w1[j, 0]
        w1[j, 0], m1[j, 0], s1[j, 0] = _adam(w1[j, 0], m1[j, 0], s1[j, 0], g, r1, clip, eps)
        for f in range(k):
            g = gradient[f] + (dv - own) * v[j, f]
            v[j, f], mv[j, f], sv[j, f] = _adam(v[j, f], mv[j, f], sv[j, f], g, rv, clip, eps)


@_compiled
def train_epoch(  # type: ignore[no-untyped-def]
    rows,
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
    rows : tuple of numpy.ndarray
        ``indptr``, ``indices`` and ``data`` of the CSR matrix, in the order of this epoch.
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
    indptr, indices, data = rows
    w0, w1, v = weights
    m0, m1, mv = means
    s0, s1, sv = squares
    n, features = target.shape[0], v.shape[0]
    limit = clip if clip > 0 else np.float32(np.inf)
    entries = 0
    for begin in range(0, n, batch):
        entries = max(entries, indptr[min(begin + batch, n)] - indptr[begin])
    head = np.full(features, -1, np.int32)
    following, row = np.empty(entries, np.int32), np.empty(entries, np.int32)
    touched = np.empty(features + 1, np.int32)
    totals = np.empty((min(batch, n), v.shape[1]), np.float32)
    errors = np.empty(min(batch, n), np.float32)
    for begin in range(0, n, batch):
        end = min(begin + batch, n)
        factor = np.float32(scale) if scale > 0 else np.float32(1.0 / (end - begin))
        count = _forward(
            begin,
            end,
            indptr,
            indices,
            data,
            target,
            w0,
            w1,
            v,
            head,
            following,
            row,
            touched,
            totals,
            errors,
            scores,
            factor,
            logistic,
        )
        g = decays[0] * w0[0, 0]
        for r in range(end - begin):
            g += errors[r]
        step += 1
        correction = np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        r0 = np.float32(rates[0] * correction)
        r1 = np.float32(rates[1] * correction)
        rv = np.float32(rates[2] * correction)
        w0[0, 0], m0[0, 0], s0[0, 0] = _adam(w0[0, 0], m0[0, 0], s0[0, 0], g, r0, limit, eps)
        if not lazy:
            count = features
            for j in range(features):
                touched[j] = j
        values = data[indptr[begin] : indptr[end]]
        _backward(
            count,
            touched,
            head,
            following,
            row,
            values,
            errors,
            totals,
            w1,
            m1,
            s1,
            r1,
            decays[1],
            v,
            mv,
            sv,
            rv,
            decays[2],
            limit,
            eps,
        )
    return step
