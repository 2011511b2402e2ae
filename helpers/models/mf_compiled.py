"""An epoch of matrix factorization, compiled by numba: what `mf` and `implicit` do by batches.

Its sums are in another order than NumPy's, so results differ in the last digits of float32.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from helpers.models.training import Adam, Weights
from local_sagemaker.algorithms.fm_kernels import compiled

Triples = tuple[np.ndarray, np.ndarray, np.ndarray]  # users, items, ratings: (n,) each

# One side's table, (n, columns), with Adam's mean and square of each number. ``last`` is the step
# up to which a row has moved, where rows coast, else empty, and ``fixed`` a column that is not
# learned, or -1. Training changes all of them in place.
Side = namedtuple("Side", "vectors means squares last fixed")

# Numbers of a training; the mean is float32, as are the pulls towards zero of the columns. With
# ``biases`` the last two columns are the own bias and a one that meets the other side's.
Numbers = namedtuple("Numbers", "batch_size mean pulls biases logistic")

# A row that coasts moves less from step to step: by .9 / sqrt(.999) where epsilon is nothing beside
# the root of the square, by .9 where it is all; in between, the two are mixed, right to 1e-5.
_FALLS = 0.9 / 0.999**0.5, 0.9
_COASTS = 256  # steps; then a row does not move any more

# What the batches share: each row's place in a batch (or -1), the rows that occur, how often, and
# their gradients
_Sums = namedtuple("_Sums", "place rows counts vectors")


@compiled
def _sums(n, size, columns):  # type: ignore[no-untyped-def]
    return _Sums(
        np.full(n, -1, np.int32),
        np.empty(size, np.int32),
        np.empty(size, np.float32),
        np.empty((size, columns), np.float32),
    )


@compiled
def _catch_up(side, row, coast, step, epsilon):  # type: ignore[no-untyped-def]
    """Move a row to where dense Adam, which moves rows without a gradient too, has it by now."""
    missed = step - side.last[row]
    if missed > 0:
        far, near = coast[0, side.last[row]], coast[1, side.last[row]] * epsilon
        mean, square = side.means[row], side.squares[row]
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
        sums.vectors[count] = 0
        count += 1
    sums.counts[at] += 1
    return at, count


@compiled
def _step(side, sums, count, size, numbers, rate, epsilon, step):  # type: ignore[no-untyped-def]
    """Move the rows of a side that a batch reads."""
    pulls = numbers.pulls
    for at in range(count):
        row, share = sums.rows[at], sums.counts[at] / np.float32(size)
        sums.place[row] = -1
        vector, gradient = side.vectors[row], sums.vectors[at]
        means, squares = side.means[row], side.squares[row]
        for f in range(len(vector)):
            gradient[f] += pulls[f] * share * vector[f]
        if side.fixed >= 0:
            gradient[side.fixed] = 0
        for f in range(len(vector)):
            g = gradient[f]
            s = np.float32(0.999) * squares[f] + np.float32(0.001) * g * g
            m = means[f] + np.float32(0.1) * (g - means[f])
            means[f], squares[f] = m, s
            vector[f] -= rate * m / (np.sqrt(s) + epsilon)
        if len(side.last):
            side.last[row] = step


@compiled
def _epoch(users, items, ratings, of_users, of_items, numbers, rates, steps):  # type: ignore[no-untyped-def]
    """Take a step of Adam per batch of the ratings, in their order; return the sum of losses."""
    size, total, one = numbers.batch_size, 0.0, np.float32(1)
    columns = of_users.vectors.shape[1]
    user_sums = _sums(len(of_users.vectors), size, columns)
    item_sums = _sums(len(of_items.vectors), size, columns)
    coast = np.zeros((2, len(ratings) // size + 2), np.float32)  # by now, since each step
    tiny, step = one, 0
    for begin in range(0, len(ratings), size):
        end = min(begin + size, len(ratings))
        n_users = n_items = 0
        right = np.sqrt(1 - 0.999 ** (steps + step + 1))
        rate = rates[0] / (1 - 0.9 ** (steps + step + 1)) * right
        tiny = np.float32(rates[1] * (1.0 if numbers.logistic else right))
        for n in range(begin, end):
            user, item, score = users[n], items[n], numbers.mean
            at, n_users = _enter(user, user_sums, n_users, of_users, coast, step, tiny)
            to, n_items = _enter(item, item_sums, n_items, of_items, coast, step, tiny)
            p, q = of_users.vectors[user], of_items.vectors[item]
            for f in range(columns):
                score += p[f] * q[f]
            if numbers.logistic:
                odds = np.exp(-abs(score))
                total += np.log1p(odds) + max(score, np.float32(0)) - ratings[n] * score
                score = (one if score > 0 else odds) / (one + odds)
            error = (score - ratings[n]) / np.float32(end - begin)
            by_user, by_item = user_sums.vectors[at], item_sums.vectors[to]
            for f in range(columns):
                by_user[f] += error * q[f]
                by_item[f] += error * p[f]
        for way in range(2 if len(of_users.last) else 0):
            moved = rate
            for since in range(step, max(step - _COASTS, -1), -1):
                moved *= _FALLS[way]
                coast[way, since] += moved
        step += 1
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

    ``weights`` are as in `mf.forward`. ``numbers`` are the mean that is added to every prediction,
    and the pulls towards zero on factors and on biases.
    """
    k, biases, views = weights["user_factors"].shape[1], "user_bias" in weights, {}
    pulls = np.repeat(np.array(numbers[1:], np.float32), (k, 2 * biases))
    rows = {side: len(weights[f"{side}_factors"]) for side in ("user", "item")}
    tables = {side: np.ones((n, len(pulls)), np.float32) for side, n in rows.items()}
    for name, table in weights.items():
        columns = slice(k) if name.endswith("factors") else k + (name == "item_bias")
        views[name] = tables[name.partition("_")[0]][:, columns]
        views[name][:] = table
    settings = batch_size, np.float32(numbers[0]), pulls
    _run(tables, train, optimizer, Numbers(*settings, biases, False))
    for name, view in views.items():
        weights[name][:] = view


def run_logistic_epoch(
    tables: Weights, examples: Triples, optimizer: Adam, batch_size: int, mean: float, pull: float
) -> float:
    """Take a step of ``optimizer`` per batch of users, items and labels; return the mean loss.

    ``tables`` are the vectors of ``"user"`` and ``"item"``: factors, the own bias, and a one that
    meets the other's bias, in the order of the other side. ``mean`` are the mean log odds, and
    ``pull`` is that towards zero on vectors. All rows move at every step, as the optimizer has it.
    """
    pulls = np.full(tables["user"].shape[1], pull, np.float32)
    numbers = Numbers(batch_size, np.float32(mean), pulls, True, True)
    return _run(tables, examples, optimizer, numbers) / len(examples[2])


def _run(tables: Weights, train: Triples, optimizer: Adam, numbers: Numbers) -> float:
    """Run an epoch with the optimizer's memory of the tables; return the sum of losses."""
    sides, numbers = [], numbers._replace(batch_size=min(numbers.batch_size, len(train[2])))
    for side, ones in (("user", -1), ("item", -2)):
        table, fixed = tables[side], len(numbers.pulls) + ones if numbers.biases else -1
        last = np.zeros(len(table) if numbers.logistic else 0, np.int32)
        sides.append(Side(table, *optimizer.memory(side, table), last, fixed))
    rates = optimizer.learning_rate, optimizer.epsilon
    loss = _epoch(*train, *sides, numbers, rates, optimizer.steps)
    optimizer.steps += -(-len(train[2]) // numbers.batch_size)
    return float(loss)
