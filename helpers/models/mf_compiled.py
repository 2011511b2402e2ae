"""An epoch of matrix factorization, compiled by numba: what `mf` does batch by batch, in one loop.

Its sums are in another order than NumPy's, so results differ in the last digits of float32.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from helpers.models.training import Adam, Weights
from local_sagemaker.algorithms.fm_kernels import compiled

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, items, ratings: (n,) each

# Both sides' factors (n, factors) and biases (n,), each with Adam's mean and square; without
# biases those tables have no row. Training changes them in place.
Tables = namedtuple("Tables", "vectors means squares bias bias_means bias_squares")

# Numbers of a training; the mean and the pulls towards zero are float32
Numbers = namedtuple("Numbers", "batch_size mean pull bias_pull learning_rate epsilon")

# What the batches share: each row's place in a batch (or -1), the rows that occur, how often, and
# their gradients
_Sums = namedtuple("_Sums", "place rows counts vectors bias")


@compiled
def _sums(n, size, factors):  # type: ignore[no-untyped-def]
    return _Sums(
        np.full(n, -1, np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.float32),
        np.empty((size, factors), np.float32),
        np.empty(size, np.float32),
    )


@compiled
def _enter(row, sums, count):  # type: ignore[no-untyped-def]
    """Return the place of a row in the batch, and how many rows the batch has by now."""
    at = sums.place[row]
    if at < 0:
        at = sums.place[row] = count
        sums.rows[count] = row
        sums.counts[count] = 0
        sums.bias[count] = 0
        sums.vectors[count] = 0
        count += 1
    sums.counts[at] += 1
    return at, count


@compiled
def _adam(weights, means, squares, gradients, rate, epsilon):  # type: ignore[no-untyped-def]
    for f in range(len(weights)):
        g = gradients[f]
        s = np.float32(0.999) * squares[f] + np.float32(0.001) * g * g
        m = means[f] + np.float32(0.1) * (g - means[f])
        means[f], squares[f] = m, s
        weights[f] -= rate * m / (np.sqrt(s) + epsilon)


@compiled
def _step(side, sums, count, size, numbers, rate, epsilon):  # type: ignore[no-untyped-def]
    """Move the rows of a side that a batch reads."""
    for at in range(count):
        row, share = sums.rows[at], sums.counts[at] / np.float32(size)
        sums.place[row] = -1
        vector, gradient = side.vectors[row], sums.vectors[at]
        for f in range(len(vector)):
            gradient[f] += numbers.pull * share * vector[f]
        _adam(vector, side.means[row], side.squares[row], gradient, rate, epsilon)
        if len(side.bias):
            own = slice(row, row + 1)
            sums.bias[at] += numbers.bias_pull * share * side.bias[row]
            of_bias = side.bias_means[own], side.bias_squares[own], sums.bias[at : at + 1]
            _adam(side.bias[own], *of_bias, rate, epsilon)


@compiled
def _epoch(users, items, ratings, of_users, of_items, numbers, steps):  # type: ignore[no-untyped-def]
    """Take a step of Adam per batch of the ratings, in their order; return the steps so far."""
    size, k = numbers.batch_size, of_users.vectors.shape[1]
    user_sums = _sums(len(of_users.vectors), size, k)
    item_sums = _sums(len(of_items.vectors), size, k)
    for begin in range(0, len(ratings), size):
        end = min(begin + size, len(ratings))
        n_users = n_items = 0
        for n in range(begin, end):
            user, item = users[n], items[n]
            p, q, error = of_users.vectors[user], of_items.vectors[item], numbers.mean - ratings[n]
            for f in range(k):
                error += p[f] * q[f]
            if len(of_users.bias):
                error += of_users.bias[user] + of_items.bias[item]
            error /= np.float32(end - begin)
            at, n_users = _enter(user, user_sums, n_users)
            to, n_items = _enter(item, item_sums, n_items)
            by_user, by_item = user_sums.vectors[at], item_sums.vectors[to]
            for f in range(k):
                by_user[f] += error * q[f]
                by_item[f] += error * p[f]
            user_sums.bias[at] += error
            item_sums.bias[to] += error
        steps += 1
        right = np.sqrt(1 - 0.999**steps)
        rate = np.float32(numbers.learning_rate / (1 - 0.9**steps) * right)
        tiny = np.float32(numbers.epsilon * right)
        _step(of_users, user_sums, n_users, end - begin, numbers, rate, tiny)
        _step(of_items, item_sums, n_items, end - begin, numbers, rate, tiny)
    return steps


def run_epoch(
    weights: Weights, train: Triples, optimizer: Adam, batch_size: int, *numbers: float
) -> None:
    """Take a step of ``optimizer`` for each batch of users, items and ratings, in their order.

    ``numbers`` are the mean that is added to every prediction, and the pulls towards zero on
    factors and on biases.
    """
    none = np.zeros(0, np.float32)
    sides = []
    for side in ("user", "item"):
        columns: list[np.ndarray] = []
        for name in (f"{side}_factors", f"{side}_bias"):
            table = weights.get(name, none)
            columns += [table, *optimizer.memory(name, table)]
        sides.append(Tables(*columns))
    mean, pull, bias_pull = map(np.float32, numbers)
    rates = optimizer.learning_rate, optimizer.epsilon
    settings = Numbers(batch_size, mean, pull, bias_pull, *rates)
    optimizer.steps = _epoch(*train, *sides, settings, optimizer.steps)
