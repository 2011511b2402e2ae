"""An epoch of matrix factorization, compiled by numba: what `mf` and `implicit` do by batches.

Its sums are in another order than NumPy's, so results differ in the last digits of float32.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from helpers.models.training import Adam, Weights
from local_sagemaker.algorithms.fm_kernels import compiled

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, items, ratings: (n,) each

# Both sides' factors (n, factors) and biases (n,), each with Adam's mean and square; without
# biases those tables have no row. ``last`` is the step up to which a row has moved, where rows
# coast, and ``fixed`` a column that is not learned, or -1. Training changes them in place.
Tables = namedtuple("Tables", "vectors means squares bias bias_means bias_squares last fixed")

# Numbers of a training; the mean and the pulls towards zero are float32
Numbers = namedtuple("Numbers", "batch_size mean pull bias_pull learning_rate epsilon logistic")

# How far rows have coasted since a step, (2, n): by the number of missed steps, and in the end. A
# move falls by .9 / sqrt(.999) from step to step where epsilon is nothing beside the root of the
# square, and by .9 where it is all: in between, the two are mixed, which is right to 1e-5.
_Coast = namedtuple("_Coast", "recent whole")
_FALLS = 0.9 / 0.999**0.5, 0.9

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
def _catch_up(side, row, coast, step, epsilon):  # type: ignore[no-untyped-def]
    """Move a row to where dense Adam, which moves rows without a gradient too, has it by now."""
    missed = step - side.last[row]
    if missed > 0:
        by = coast.whole[:, side.last[row]]
        if missed < coast.recent.shape[1]:
            by = coast.recent[:, missed]
        mean, square, far, near = side.means[row], side.squares[row], by[0], by[1] * epsilon
        keep_mean, keep_square = np.float32(0.9**missed), np.float32(0.999**missed)
        for f in range(len(mean)):
            root = np.sqrt(square[f])
            side.vectors[row, f] -= mean[f] * (far * root + near) / (root + epsilon) ** 2
            mean[f] *= keep_mean
            square[f] *= keep_square
        side.last[row] = step


@compiled
def _enter(row, sums, count, side, coast, step, epsilon):  # type: ignore[no-untyped-def]
    """Return the place of a row in the batch, and how many rows the batch has by now."""
    at = sums.place[row]
    if at < 0:
        if len(side.last):
            _catch_up(side, row, coast, step, epsilon)
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
def _step(side, sums, count, size, numbers, rate, epsilon, step):  # type: ignore[no-untyped-def]
    """Move the rows of a side that a batch reads."""
    for at in range(count):
        row, share = sums.rows[at], sums.counts[at] / np.float32(size)
        sums.place[row] = -1
        vector, gradient = side.vectors[row], sums.vectors[at]
        for f in range(len(vector)):
            gradient[f] += numbers.pull * share * vector[f]
        if side.fixed >= 0:
            gradient[side.fixed] = 0
        if len(side.last):
            side.last[row] = step
        _adam(vector, side.means[row], side.squares[row], gradient, rate, epsilon)
        if len(side.bias):
            own = slice(row, row + 1)
            sums.bias[at] += numbers.bias_pull * share * side.bias[row]
            of_bias = side.bias_means[own], side.bias_squares[own], sums.bias[at : at + 1]
            _adam(side.bias[own], *of_bias, rate, epsilon)


@compiled
def _epoch(users, items, ratings, of_users, of_items, numbers, steps):  # type: ignore[no-untyped-def]
    """Take a step of Adam per batch of the ratings, in their order; return the sum of losses."""
    size, k, total, one = numbers.batch_size, of_users.vectors.shape[1], 0.0, np.float32(1)
    user_sums = _sums(len(of_users.vectors), size, k)
    item_sums = _sums(len(of_items.vectors), size, k)
    whole = np.zeros((2, len(ratings) // size + 2), np.float32)
    coast, tiny, step = _Coast(np.zeros((2, 257), np.float32), whole), one, 0
    for begin in range(0, len(ratings), size):
        end = min(begin + size, len(ratings))
        n_users = n_items = 0
        right = np.sqrt(1 - 0.999 ** (steps + step + 1))
        rate = numbers.learning_rate / (1 - 0.9 ** (steps + step + 1)) * right
        tiny = np.float32(numbers.epsilon * (1.0 if numbers.logistic else right))
        for n in range(begin, end):
            user, item, score = users[n], items[n], numbers.mean
            at, n_users = _enter(user, user_sums, n_users, of_users, coast, step, tiny)
            to, n_items = _enter(item, item_sums, n_items, of_items, coast, step, tiny)
            p, q = of_users.vectors[user], of_items.vectors[item]
            for f in range(k):
                score += p[f] * q[f]
            if len(of_users.bias):
                score += of_users.bias[user] + of_items.bias[item]
            if numbers.logistic:
                odds = np.exp(-abs(score))
                total += np.log1p(odds) + max(score, np.float32(0)) - ratings[n] * score
                score = (one if score > 0 else odds) / (one + odds)
            error = (score - ratings[n]) / np.float32(end - begin)
            by_user, by_item = user_sums.vectors[at], item_sums.vectors[to]
            for f in range(k):
                by_user[f] += error * q[f]
                by_item[f] += error * p[f]
            user_sums.bias[at] += error
            item_sums.bias[to] += error
        step += 1
        for way in range(2 if len(of_users.last) else 0):
            for missed in range(256, 0, -1):
                moved = coast.recent[way, missed - 1] + rate * _FALLS[way] ** missed
                coast.recent[way, missed] = moved
            coast.whole[way, max(step - 256, 0)] = coast.recent[way, 256]
        _step(of_users, user_sums, n_users, end - begin, numbers, np.float32(rate), tiny, step)
        _step(of_items, item_sums, n_items, end - begin, numbers, np.float32(rate), tiny, step)
    for side in (of_users, of_items):
        for row in range(len(side.last)):
            _catch_up(side, row, coast, step, tiny)
    return total


def run_epoch(
    weights: Weights, train: Triples, optimizer: Adam, batch_size: int, *numbers: float
) -> None:
    """Take a step of ``optimizer`` for each batch of users, items and ratings, in their order.

    ``numbers`` are the mean that is added to every prediction, and the pulls towards zero on
    factors and on biases.
    """
    none, sides = np.zeros(0, np.float32), []
    for side in ("user", "item"):
        columns: list[np.ndarray] = []
        for name in (f"{side}_factors", f"{side}_bias"):
            table = weights.get(name, none)
            columns += [table, *optimizer.memory(name, table)]
        sides.append(Tables._make([*columns, np.zeros(0, np.int32), -1]))
    _run(train, sides, optimizer, batch_size, numbers, False)


def run_logistic_epoch(
    tables: Weights, examples: Triples, optimizer: Adam, batch_size: int, *numbers: float
) -> float:
    """Take a step of ``optimizer`` per batch of users, items and labels; return the mean loss.

    ``tables`` are the vectors of ``"user"`` and ``"item"``: factors, the own bias, and a one that
    meets the other's bias, in the order of the other side. ``numbers`` are the mean log odds and
    the pull towards zero on vectors. All rows move at every step, as the optimizer has it.
    """
    none, sides = np.zeros(0, np.float32), []
    for side, ones in (("user", -1), ("item", -2)):
        table = tables[side]
        moved = np.zeros(len(table), np.int32)
        memory = optimizer.memory(side, table)
        sides.append(Tables(table, *memory, none, none, none, moved, table.shape[1] + ones))
    return _run(examples, sides, optimizer, batch_size, (*numbers, 0.0), True) / len(examples[2])


def _run(
    train: Triples, sides: list[Tables], optimizer: Adam, size: int, numbers: tuple, logistic: bool
) -> float:
    mean, pull, bias_pull = map(np.float32, numbers)
    rates = optimizer.learning_rate, optimizer.epsilon
    settings = Numbers(size, mean, pull, bias_pull, *rates, logistic)
    loss = _epoch(*train, *sides, settings, optimizer.steps)
    optimizer.steps += -(-len(train[2]) // size)
    return float(loss)
