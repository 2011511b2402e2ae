"""Checks of chapter 02, matrix factorization: tiny tables whose right answers are known by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .api import Exercise, Quiz, register
from .messages import expect


def _numbers(value: Any, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an answer as floats of the shape asked for, or say what it is instead."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        array = None
    expect(array is not None, f"`{name}` returned a {type(value).__name__}, expected numbers.")
    assert array is not None
    expect(array.shape == shape, f"`{name}` returned the shape {array.shape}, expected {shape}.")
    return array


def _number(value: Any, name: str) -> float:
    return float(_numbers(np.squeeze(np.asarray(value)), name, ()))


# 02.1


def _rmse_perfect(rmse: Callable[..., float]) -> None:
    stars = np.array([4.0, 2.0, 5.0])
    expect(
        abs(_number(rmse(stars, stars), "rmse")) < 1e-9, "`rmse` of perfect predictions is not 0, expected 0."
    )


def _rmse_hand(rmse: Callable[..., float]) -> None:
    predicted, actual = np.array([3.0, 3.0, 3.0, 3.0]), np.array([3.0, 3.0, 3.0, 5.0])
    got = _number(rmse(predicted, actual), "rmse")
    where = "on four ratings of which one is missed by 2 stars"
    expect(abs(got - 0.5) > 1e-9, f"`rmse` {where} gave 0.5: that is the mean absolute error; square first.")
    expect(
        abs(got + 0.5) > 1e-9, f"`rmse` {where} gave -0.5: errors of both signs must not cancel; square first."
    )
    expect(abs(got - 2) > 1e-9, f"`rmse` {where} gave 2: is it the root of the sum instead of the mean?")
    expect(
        abs(got - 1) < 1e-6, f"`rmse` {where} gave {got:.4g}, expected the root of the mean of the squared errors."
    )


def _rmse_root(rmse: Callable[..., float]) -> None:
    got = _number(rmse(np.zeros(3), np.full(3, 3.0)), "rmse")
    expect(abs(got - 9) > 1e-9, "`rmse` of errors that are all 3 stars gave 9: the root is missing.")
    expect(abs(got - 3) < 1e-6, f"`rmse` of errors that are all 3 stars gave {got:.4g}, expected a value in stars.")


# 02.2

_USER_BIAS, _ITEM_BIAS = np.array([0.5, -1.0, 0.0]), np.array([0.25, -0.5, 1.0])


def _bias_one(predict_bias: Callable[..., Any]) -> None:
    got = _numbers(
        predict_bias(3.0, _USER_BIAS, _ITEM_BIAS, np.array([0]), np.array([1])), "predict_bias", (1,)
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
    got = _numbers(value, "predict_bias", (4,))
    right = np.array([2.25, 1.5, 3.25, 3.75])
    swapped = np.allclose(got, 3.0 + _USER_BIAS[items] + _ITEM_BIAS[users])
    expect(not swapped, "`predict_bias` looks user biases up with items: check which index goes with which array.")
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
    one_hot = _numbers(value[0], "lookup_by_product", (3, 4))
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
    rows = _numbers(value[1], "lookup_by_product", (2, 2))
    expect(
        np.allclose(rows, [[4, 40], [2, 20]]),
        "the product of `lookup_by_product` for the indices 3 and 1 is not made of rows 3 and 1 of the table.",
    )


# 02.4


def _count_factors(count: Callable[..., Any]) -> None:
    got = _number(count(3, 4, 2, biases=False), "count_parameters")
    expect(
        got != 24, "`count_parameters` multiplies users by items: each has a row of its own, so the tables add up."
    )
    expect(got != 7, "`count_parameters` forgets that every row holds k numbers.")
    expect(
        got == 14, f"`count_parameters` for 3 users, 4 items, k = 2 and no biases gave {got:g}: count the numbers in two tables."
    )


def _count_biases(count: Callable[..., Any]) -> None:
    got = _number(count(3, 4, 2, biases=True), "count_parameters")
    expect(
        got != 14, "`count_parameters` ignores `biases`: with them every user and every item has one more number."
    )
    expect(
        got != 21, "`count_parameters` with biases forgets the mean: it is one more number for the whole model."
    )
    expect(got == 22, f"`count_parameters` for 3 users, 4 items, k = 2 with biases gave {got:g}, which is not the count.")


# 02.5

_P, _Q = np.array([1.0, 0.5]), np.array([2.0, 4.0])  # prediction 4


def _pair(value: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    expect(
        isinstance(value, tuple | list) and len(value) == 2,
        f"`{name}` must return two arrays, the user's and the item's.",
    )
    return _numbers(value[0], name, (2,)), _numbers(value[1], name, (2,))


def _gradient_zero(gradient: Callable[..., Any]) -> None:
    for got in _pair(gradient(_P, _Q, 4.0), "pair_gradient"):
        expect(np.allclose(got, 0), "`pair_gradient` is not 0 where the prediction is exact; expected no slope there.")


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
        not (np.allclose(user, _P) and np.allclose(item, _Q)), f"`sgd_step` {where} moved nothing: return the new rows."
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
    got = _number(best_epoch([1.0, 0.9, 0.95, 0.97, 0.99], 2), "best_epoch")
    where = "for the errors 1.00, 0.90, 0.95, 0.97, 0.99 and a patience of 2"
    expect(got != 1, f"`best_epoch` {where} gave 1: epochs are counted from 1, so the second is 2.")
    expect(
        got != 4, f"`best_epoch` {where} gave 4: training ends there, but the weights to keep are those of the best epoch."
    )
    expect(got == 2, f"`best_epoch` {where} gave {got:g}, expected the epoch of the lowest error seen before stopping.")


def _stop_patience(best_epoch: Callable[..., Any]) -> None:
    got = _number(best_epoch([1.0, 0.9, 0.95, 0.97, 0.5], 2), "best_epoch")
    expect(
        got != 5,
        "`best_epoch` looks past the stop: after two epochs without a new best, training has ended and never sees the 0.50.",
    )
    expect(got == 2, f"`best_epoch` gave {got:g} where training stops after epoch 4.")
    got = _number(best_epoch([1.0, 0.95, 0.97, 0.9, 0.92, 0.93], 2), "best_epoch")
    expect(
        got != 2,
        "`best_epoch` stops at the first epoch that is worse; patience 2 means two of them in a row without a new best.",
    )
    expect(got == 4, f"`best_epoch` gave {got:g} for 1.00, 0.95, 0.97, 0.90, 0.92, 0.93 with patience 2.")


def _stop_never(best_epoch: Callable[..., Any]) -> None:
    got = _number(best_epoch([1.0, 0.9, 0.8], 2), "best_epoch")
    expect(got == 3, f"`best_epoch` gave {got:g} for errors that fall to the end, 1.0, 0.9, 0.8.")


# 02.8 stretch

_VECTORS = np.array([[1.0, 0.0], [5.0, 0.5], [0.9, 0.9], [-1.0, 0.0], [0.1, 0.005]])


def _near_self(nearest: Callable[..., Any]) -> None:
    got = [int(i) for i in np.asarray(nearest(0, _VECTORS, 2)).ravel()]
    expect(len(got) == 2, f"`nearest` with n = 2 returned {len(got)} items.")
    expect(0 not in got, "`nearest` lists the item itself among its neighbors; leave it out.")
    expect(
        2 not in got,
        "`nearest` of the vector (1, 0) lists (0.9, 0.9), but (5, 0.5) and (0.1, 0.005) point almost the same way: "
        "only directions count, so divide by both lengths.",
    )
    expect(3 not in got, "`nearest` of the vector (1, 0) lists (-1, 0), which points the other way: sort the cosines downwards.")
    expect(set(got) == {1, 4}, f"`nearest` of item 0 gave {got}, expected the two vectors with the largest cosine.")


def _near_order(nearest: Callable[..., Any]) -> None:
    vectors = np.array([[1.0, 0.0], [1.0, 2.0], [3.0, 0.3], [2.0, 2.0]])
    got = [int(i) for i in np.asarray(nearest(0, vectors, 3)).ravel()]
    expect(got == [2, 3, 1], f"`nearest` gave the order {got} for four vectors, expected the closest direction first.")


def _near_length(nearest: Callable[..., Any]) -> None:
    vectors = np.array([[1.0, 0.1], [100.0, 60.0], [0.01, 0.0]])
    got = [int(i) for i in np.asarray(nearest(0, vectors, 1)).ravel()]
    expect(
        got == [2],
        "`nearest` prefers a long vector to one of the same direction: divide the inner product by both lengths.",
    )


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
    cosine = vectors @ vectors[item] / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[item]))
    order = np.argsort(-cosine, kind="stable")
    return order[order != item][:n]


register(
    Exercise(
        "02.1",
        "rmse",
        [_rmse_perfect, _rmse_hand, _rmse_root],
        [
            "Read the name backwards: error, squared, mean, root.",
            "`np.mean` and `np.sqrt` do two of the four steps.",
        ],
        rmse,
        minutes=3,
    ),
    Exercise(
        "02.2",
        "predict_bias",
        [_bias_one, _bias_many],
        [
            "An array of indices inside square brackets picks one entry for each of them.",
            "`user_bias[users]` is already the right length; two more terms are missing.",
        ],
        predict_bias,
    ),
    Exercise(
        "02.3",
        "lookup_by_product",
        [_product_shape, _product_rows],
        [
            "Row i of an identity matrix is the one-hot vector of i.",
            "`np.eye(len(table))[indices]` is the one-hot matrix; the product takes one more character, `@`.",
        ],
        lookup_by_product,
    ),
    Exercise(
        "02.4",
        "count_parameters",
        [_count_factors, _count_biases],
        [
            "Draw the two tables: how many rows and columns does each have?",
            "With biases there is one more number for each row of each table, and one for the whole model.",
        ],
        count_parameters,
        minutes=3,
    ),
    Exercise(
        "02.5",
        "pair_gradient",
        [_gradient_zero, _gradient_sign, _gradient_numeric],
        [
            "Differentiate half the square first: the outer slope is the error itself.",
            "The prediction is p · q, so its slope with respect to p is q, and the other way round.",
        ],
        pair_gradient,
        minutes=8,
    ),
    Exercise(
        "02.6",
        "sgd_step",
        [_step_moves, _step_copies],
        [
            "Take both gradients before you move anything.",
            "Against the gradient means minus: `p - learning_rate * of_user`, and the same for q.",
        ],
        sgd_step,
    ),
    Exercise(
        "02.7",
        "best_epoch",
        [_stop_simple, _stop_patience, _stop_never],
        [
            "Keep two things while you walk through the list: where the best error so far was, and how far you have come since.",
            "Leave the loop when `epoch - best >= patience`, and return the best, counted from 1.",
        ],
        best_epoch,
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "02.8",
        "nearest",
        [_near_self, _near_order, _near_length],
        [
            "One matrix product gives all inner products with the item; what is left is to divide by lengths and to sort.",
            "`np.linalg.norm(vectors, axis=1)` gives the lengths; `np.argsort(-cosine)` sorts downwards.",
        ],
        nearest,
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "02.q1",
        "Three users, three films, one number each. How many of the six numbers does one SGD step on one rating change?",
        {"a": "all six", "b": "two", "c": "one", "d": "four"},
        "b",
        {
            "a": "Only the rows that made the prediction have a slope; for the others it is zero.",
            "b": "The user's number and the film's number; the other four had no part in the prediction.",
            "c": "The prediction has two factors, and both have a slope.",
            "d": "Four would be two rows of two numbers; here each row holds one.",
        },
    ),
    Quiz(
        "02.q2",
        "The training error still falls, the validation error has been rising for some epochs. Which weights do you ship?",
        {
            "a": "those of the last epoch, because the training error is lowest there",
            "b": "those of the epoch with the lowest test error",
            "c": "those of the epoch with the lowest validation error",
        },
        "c",
        {
            "a": "A model that knows its training rows by heart is lowest there, and worse on everything else.",
            "b": "Then the test set has chosen the model, and its error is no longer an honest estimate.",
            "c": "The validation rows choose, the test rows only judge; that is what both are for.",
        },
    ),
    Quiz(
        "02.q3",
        "Among all 9,066 films, the Euclidean neighbors of a film with few ratings are mostly other films with few ratings. Why?",
        {
            "a": "viewers of rare films share a taste",
            "b": "without ratings to pull it away, weight decay keeps a vector short, and short vectors are close to each other",
            "c": "the optimizer has not converged",
        },
        "b",
        {
            "a": "Perhaps, but the model cannot know it: it saw one or two ratings of each.",
            "b": "Distance mixes direction with length, and length mostly says how many ratings there were.",
            "c": "More epochs change nothing: rows without ratings have no other slope than the decay.",
        },
    ),
)
