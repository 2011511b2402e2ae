"""Checks of chapter 02 on training and what comes of it: slopes, steps, early stopping, neighbors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect, number, numbers
from .grading import Check

# 02.5

_P, _Q = np.array([1.0, 0.5]), np.array([2.0, 4.0])  # prediction 4


def _pair(value: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    expect(
        isinstance(value, tuple | list) and len(value) == 2,
        f"`{name}` must return two arrays, the user's and the item's.",
    )
    return numbers(value[0], name, (2,)), numbers(value[1], name, (2,))


def _gradient_zero(gradient: Callable[..., Any]) -> None:
    for got in _pair(gradient(_P, _Q, 4.0), "pair_gradient"):
        expect(
            np.allclose(got, 0),
            "`pair_gradient` is not 0 where the prediction is exact; expected no slope there.",
        )


def _gradient_sign(gradient: Callable[..., Any]) -> None:
    of_user, of_item = _pair(gradient(_P, _Q, 3.0), "pair_gradient")
    where = "for p = (1, 0.5), q = (2, 4) and a rating of 3, one star below the prediction,"
    expect(
        not np.allclose(of_user, -_Q),
        f"`pair_gradient` {where} has the opposite sign: the error is prediction minus rating.",
    )
    expect(
        not np.allclose(of_user, _P),
        f"`pair_gradient` {where} swaps the two: the user's slope is made of the item's numbers, and the other way round.",
    )
    expect(
        not np.allclose(of_user, 2 * _Q),
        f"`pair_gradient` {where} is twice too large: the loss here has a factor of one half.",
    )
    expect(
        np.allclose(of_user, _Q) and np.allclose(of_item, _P),
        f"`pair_gradient` {where} is not the slope of half the squared error.",
    )


def _gradient_numeric(gradient: Callable[..., Any]) -> None:
    p, q, rating, tiny = np.array([0.3, -1.2]), np.array([0.7, 0.4]), 2.5, 1e-6

    def loss(a: np.ndarray, b: np.ndarray) -> float:
        return 0.5 * float(a @ b - rating) ** 2

    slope = [(loss(p + d, q) - loss(p - d, q)) / (2 * tiny) for d in np.eye(2) * tiny]
    of_user, _ = _pair(gradient(p, q, rating), "pair_gradient")
    expect(
        np.allclose(of_user, slope, atol=1e-4),
        "`pair_gradient` differs from the slope measured by moving each number of p a little: the error must scale it.",
    )


# 02.6


def _step_moves(step: Callable[..., Any]) -> None:
    user, item = _pair(step(_P.copy(), _Q.copy(), 5.0, 0.1), "sgd_step")
    where = "for p = (1, 0.5), q = (2, 4), a rating of 5 and a rate of 0.1"
    expect(
        not (np.allclose(user, _P) and np.allclose(item, _Q)),
        f"`sgd_step` {where} moved nothing: return the new rows.",
    )
    expect(
        not np.allclose(user, _P - 0.1 * _Q),
        f"`sgd_step` {where} moved away from the rating: a step goes against the gradient.",
    )
    expect(not np.allclose(user, _P + _Q), f"`sgd_step` {where} ignores the learning rate.")
    expect(
        not (np.allclose(user, [1.2, 0.9]) and not np.allclose(item, [2.1, 4.05])),
        f"`sgd_step` {where} moves q with the p that has moved already: take both gradients first.",
    )
    expect(
        np.allclose(user, [1.2, 0.9]) and np.allclose(item, [2.1, 4.05]),
        f"`sgd_step` {where} gave {np.round(user, 3)} and {np.round(item, 3)}, which is not one step of the rule above.",
    )


def _step_copies(step: Callable[..., Any]) -> None:
    p, q = _P.copy(), _Q.copy()
    step(p, q, 1.0, 0.1)
    expect(
        np.array_equal(p, _P) and np.array_equal(q, _Q),
        "`sgd_step` changes its arguments in place (`-=` does that); return new arrays and leave p and q alone.",
    )


# 02.7 stretch


def _stop_simple(best_epoch: Callable[..., Any]) -> None:
    got = number(best_epoch([1.0, 0.9, 0.95, 0.97, 0.99], 2), "best_epoch")
    where = "for the errors 1.00, 0.90, 0.95, 0.97, 0.99 and a patience of 2"
    expect(got != 1, f"`best_epoch` {where} gave 1: epochs are counted from 1, so the second is 2.")
    expect(
        got != 4,
        f"`best_epoch` {where} gave 4: training ends there, but the weights to keep are those of the best epoch.",
    )
    expect(
        got == 2,
        f"`best_epoch` {where} gave {got:g}, expected the epoch of the lowest error seen before stopping.",
    )


def _stop_patience(best_epoch: Callable[..., Any]) -> None:
    got = number(best_epoch([1.0, 0.9, 0.95, 0.97, 0.5], 2), "best_epoch")
    expect(
        got != 5,
        "`best_epoch` looks past the stop: after two epochs without a new best, training has ended and never sees the 0.50.",
    )
    expect(got == 2, f"`best_epoch` gave {got:g} where training stops after epoch 4.")
    got = number(best_epoch([1.0, 0.95, 0.97, 0.9, 0.92, 0.93], 2), "best_epoch")
    expect(
        got != 2,
        "`best_epoch` stops at the first epoch that is worse; patience 2 means two of them in a row without a new best.",
    )
    expect(
        got == 4,
        f"`best_epoch` gave {got:g} for 1.00, 0.95, 0.97, 0.90, 0.92, 0.93 with patience 2.",
    )


def _stop_never(best_epoch: Callable[..., Any]) -> None:
    got = number(best_epoch([1.0, 0.9, 0.8], 2), "best_epoch")
    expect(got == 3, f"`best_epoch` gave {got:g} for errors that fall to the end, 1.0, 0.9, 0.8.")


# 02.8 stretch

_VECTORS = np.array([[1.0, 0.0], [5.0, 0.5], [0.9, 0.9], [-1.0, 0.0], [0.1, 0.005]])


def _near_self(nearest: Callable[..., Any]) -> None:
    got = [int(i) for i in np.asarray(nearest(0, _VECTORS, 2)).ravel()]
    expect(len(got) == 2, f"`nearest` with n = 2 returned {len(got)} items.")
    expect(0 not in got, "`nearest` lists the item itself among its neighbors; leave it out.")
    expect(
        3 not in got,
        "`nearest` of the vector (1, 0) lists (-1, 0), which points the other way: sort the cosines downwards.",
    )
    expect(
        2 not in got,
        "`nearest` of the vector (1, 0) lists (0.9, 0.9), but (5, 0.5) and (0.1, 0.005) point almost the same way: "
        "only directions count, so divide by both lengths.",
    )
    expect(
        set(got) == {1, 4},
        f"`nearest` of item 0 gave {got}, expected the two vectors with the largest cosine.",
    )


def _near_order(nearest: Callable[..., Any]) -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 2.0], [3.0, 0.3], [2.0, 2.0]])
    got = [int(i) for i in np.asarray(nearest(0, vectors, 3)).ravel()]
    expect(
        got == [2, 3, 1],
        f"`nearest` gave the order {got} for four vectors, expected the closest direction first.",
    )


def _near_length(nearest: Callable[..., Any]) -> None:
    vectors = np.array([[1.0, 0.1], [100.0, 60.0], [0.01, 0.0]])
    got = [int(i) for i in np.asarray(nearest(0, vectors, 1)).ravel()]
    expect(
        got == [2],
        "`nearest` prefers a long vector to one of the same direction: divide the inner product by both lengths.",
    )


CHECKS: dict[str, list[Check]] = {
    "02.5": [_gradient_zero, _gradient_sign, _gradient_numeric],
    "02.6": [_step_moves, _step_copies],
    "02.7": [_stop_simple, _stop_patience, _stop_never],
    "02.8": [_near_self, _near_order, _near_length],
}

# the course's own answers


def pair_gradient(p: np.ndarray, q: np.ndarray, rating: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the slopes of half the squared error for a user's and an item's factors."""
    error = p @ q - rating
    return error * q, error * p


def sgd_step(
    p: np.ndarray, q: np.ndarray, rating: float, learning_rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two rows after one step against the gradient."""
    of_user, of_item = pair_gradient(p, q, rating)
    return p - learning_rate * of_user, q - learning_rate * of_item


def best_epoch(errors: list[float], patience: int) -> int:
    """Return the epoch (from 1) whose weights early stopping keeps."""
    best = 0
    for epoch in range(1, len(errors)):
        if errors[epoch] < errors[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best + 1


def nearest(item: int, vectors: np.ndarray, n: int) -> np.ndarray:
    """Return the n items whose vectors have the largest cosine with the item's own."""
    cosine = (
        vectors @ vectors[item] / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[item]))
    )
    order = np.argsort(-cosine, kind="stable")
    return order[order != item][:n]
