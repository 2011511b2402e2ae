"""Checks of chapter 02 on the model: its error, its biases, its embedding, its size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect, number, numbers
from .grading import Check

# 02.1


def _rmse_perfect(rmse: Callable[..., float]) -> None:
    stars = np.array([4.0, 2.0, 5.0])
    expect(
        abs(number(rmse(stars, stars), "rmse")) < 1e-9,
        "`rmse` of perfect predictions is not 0, expected 0.",
    )


def _rmse_hand(rmse: Callable[..., float]) -> None:
    predicted, actual = np.array([3.0, 3.0, 3.0, 3.0]), np.array([3.0, 3.0, 3.0, 5.0])
    got = number(rmse(predicted, actual), "rmse")
    where = "on four ratings of which one is missed by 2 stars"
    expect(
        abs(got - 0.5) > 1e-9,
        f"`rmse` {where} gave 0.5: that is the mean absolute error; square first.",
    )
    expect(
        abs(got + 0.5) > 1e-9,
        f"`rmse` {where} gave -0.5: errors of both signs must not cancel; square first.",
    )
    expect(
        abs(got - 2) > 1e-9,
        f"`rmse` {where} gave 2: is it the root of the sum instead of the mean?",
    )
    expect(
        abs(got - 1) < 1e-6,
        f"`rmse` {where} gave {got:.4g}, expected the root of the mean of the squared errors.",
    )


def _rmse_root(rmse: Callable[..., float]) -> None:
    got = number(rmse(np.zeros(3), np.full(3, 3.0)), "rmse")
    expect(
        abs(got - 9) > 1e-9, "`rmse` of errors that are all 3 stars gave 9: the root is missing."
    )
    expect(
        abs(got - 3) < 1e-6,
        f"`rmse` of errors that are all 3 stars gave {got:.4g}, expected a value in stars.",
    )


# 02.2

_USER_BIAS, _ITEM_BIAS = np.array([0.5, -1.0, 0.0]), np.array([0.25, -0.5, 1.0])


def _bias_one(predict_bias: Callable[..., Any]) -> None:
    got = numbers(
        predict_bias(3.0, _USER_BIAS, _ITEM_BIAS, np.array([0]), np.array([1])),
        "predict_bias",
        (1,),
    )
    where = "for mean 3, user bias 0.5 and item bias -0.5"
    expect(abs(got[0]) > 1e-9, f"`predict_bias` {where} gave 0: the mean is missing.")
    expect(
        abs(got[0] - 3.0) < 1e-6,
        f"`predict_bias` {where} gave {got[0]:.4g}, expected the sum of the three numbers.",
    )


def _bias_many(predict_bias: Callable[..., Any]) -> None:
    users, items = np.array([1, 1, 2, 0]), np.array([0, 1, 0, 0])
    value = predict_bias(3.0, _USER_BIAS, _ITEM_BIAS, users, items)
    expect(
        np.shape(value) == (4,),
        f"`predict_bias` for four pairs returned the shape {np.shape(value)}, expected (4,): "
        "pick one bias for each pair.",
    )
    got = numbers(value, "predict_bias", (4,))
    right = np.array([2.25, 1.5, 3.25, 3.75])
    swapped = np.allclose(got, 3.0 + _USER_BIAS[items] + _ITEM_BIAS[users])
    expect(
        not swapped,
        "`predict_bias` looks user biases up with items: check which index goes with which array.",
    )
    expect(
        np.allclose(got, right, atol=1e-5),
        "`predict_bias` is right for one pair and not for four: every pair needs the bias of its own user and item.",
    )


# 02.3

_TABLE = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0], [4.0, 40.0]])


def _product_shape(lookup: Callable[..., Any]) -> None:
    value = lookup(_TABLE, np.array([2, 0, 2]))
    expect(
        isinstance(value, tuple) and len(value) == 2,
        "`lookup_by_product` must return two things: the one-hot matrix and the product.",
    )
    one_hot = numbers(value[0], "lookup_by_product", (3, 4))
    expect(
        set(np.unique(one_hot)) <= {0.0, 1.0} and (one_hot.sum(axis=1) == 1).all(),
        "the one-hot matrix of `lookup_by_product` must hold a single 1 in each row and 0 elsewhere.",
    )
    expect(
        np.array_equal(one_hot.argmax(axis=1), [2, 0, 2]),
        "the 1 of each row of the one-hot matrix stands in the wrong column: the column is the index itself, counted from 0.",
    )


def _product_rows(lookup: Callable[..., Any]) -> None:
    value = lookup(_TABLE, np.array([3, 1]))
    rows = numbers(value[1], "lookup_by_product", (2, 2))
    expect(
        np.allclose(rows, [[4, 40], [2, 20]]),
        "the product of `lookup_by_product` for the indices 3 and 1 is not made of rows 3 and 1 of the table.",
    )


# 02.4


def _count_factors(count: Callable[..., Any]) -> None:
    got = number(count(3, 4, 2, biases=False), "count_parameters")
    expect(
        got != 24,
        "`count_parameters` multiplies users by items: each has a row of its own, so the tables add up.",
    )
    expect(got != 7, "`count_parameters` forgets that every row holds k numbers.")
    expect(
        got == 14,
        f"`count_parameters` for 3 users, 4 items, k = 2 and no biases gave {got:g}: count the numbers in two tables.",
    )


def _count_biases(count: Callable[..., Any]) -> None:
    got = number(count(3, 4, 2, biases=True), "count_parameters")
    expect(
        got != 14,
        "`count_parameters` ignores `biases`: with them every user and every item has one more number.",
    )
    expect(
        got != 21,
        "`count_parameters` with biases forgets the mean: it is one more number for the whole model.",
    )
    expect(
        got == 22,
        f"`count_parameters` for 3 users, 4 items, k = 2 with biases gave {got:g}, which is not the count.",
    )


CHECKS: dict[str, list[Check]] = {
    "02.1": [_rmse_perfect, _rmse_hand, _rmse_root],
    "02.2": [_bias_one, _bias_many],
    "02.3": [_product_shape, _product_rows],
    "02.4": [_count_factors, _count_biases],
}

# the course's own answers


def rmse(predicted: np.ndarray, actual: np.ndarray) -> float:
    """Return the root of the mean squared error, in stars."""
    return float(np.sqrt(np.mean((np.asarray(predicted) - np.asarray(actual)) ** 2)))


def predict_bias(
    mean: float, user_bias: np.ndarray, item_bias: np.ndarray, users: np.ndarray, items: np.ndarray
) -> np.ndarray:
    """Return (n,) predicted stars from the mean and two biases."""
    return mean + user_bias[users] + item_bias[items]


def lookup_by_product(table: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the (n, rows) one-hot matrix of the indices and its (n, k) product with the table."""
    one_hot = np.eye(len(table))[indices]
    return one_hot, one_hot @ table


def count_parameters(n_users: int, n_items: int, k: int, biases: bool) -> int:
    """Return how many numbers the model learns."""
    total = (n_users + n_items) * k
    return total + n_users + n_items + 1 if biases else total
