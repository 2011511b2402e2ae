"""Checks of chapter 02: RMSE, embedding, SGD, the gradient of a batch, early stopping, neighbors."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case, cases
from .converters import array, integers, number, pair, whole
from .cost import grows, memory
from .grading import Exercise, Quiz
from .registry import register

TABLE = np.array([[2.0, 0.5], [-1.0, 4.0], [1.5, 1.0], [0.0, -2.0]])
P, Q = np.array([1.0, 0.5, 2.0]), np.array([2.0, 6.0, -0.5])  # their product is 4
TABLES = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 1.0]]), np.array([[2.0, 1.0], [-1.0, 0.5]])
VECTORS = np.array([[5.0, 0.5], [1.0, 0.0], [0.9, 0.9], [-1.0, 0.0], [0.1, 0.005]])


def some_predictions(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return predictions, near the stars or far from them, and the stars."""
    stars = rng.integers(1, 11, rng.integers(1, 40)) / 2
    return stars + rng.normal(rng.normal(), 1, len(stars)) * rng.choice([0.02, 1.0]), stars


def some_lookup(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a table and indices of its rows, some of them twice."""
    rows, columns = rng.integers(1, 8, 2)
    return rng.normal(size=(rows, columns)), rng.integers(0, rows, rng.integers(1, 12))


def some_rows(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return two rows of one length, and a rating."""
    k = int(rng.integers(1, 7))
    return rng.normal(size=k), rng.normal(size=k), float(rng.integers(1, 11) / 2)


def some_step(rng: np.random.Generator) -> Case:
    """Return two rows, a rating and a rate, the last two by name."""
    p, q, rating = some_rows(rng)
    return Case((p, q), keywords={"rating": rating, "learning_rate": float(rng.uniform(0.02, 0.5))})


def some_batch(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return two tables, and a batch whose rows often repeat."""
    users, items, k = (int(n) for n in rng.integers(1, 6, 3))
    n = int(rng.integers(1, 12))
    pairs = rng.integers(0, users, n), rng.integers(0, items, n)
    tables = rng.normal(size=(users, k)), rng.normal(size=(items, k))
    return *tables, *pairs, rng.integers(1, 11, n) / 2


def some_errors(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return validation errors that fall, rise and repeat, and a patience."""
    epochs, size = int(rng.integers(1, 14)), rng.choice([0.01, 0.0003])
    errors = 0.9 - size * (np.arange(epochs) * rng.integers(0, 4) + rng.integers(-8, 9, epochs))
    return errors.round(4).tolist(), int(rng.integers(1, 5))


def some_vectors(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return an item, vectors whose cosines differ clearly (often one is its double), a number."""
    rows, k = rng.integers(3, 60), rng.integers(3, 20)
    while True:
        vectors = rng.normal(size=(rows, k)) * rng.exponential(1, (rows, 1)) + 0.01
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        item = rng.integers(rows)
        if np.diff(np.sort(unit @ unit[item])).min() > 1e-5:
            if rng.random() < 0.4:
                vectors[(item + rng.choice([-1, 1])) % rows] = 2 * vectors[item]
            return item, vectors.astype(np.float32), int(rng.integers(1, min(rows, 12)))


register(
    Exercise(
        "02.1",
        "rmse",
        number,
        cases=cases((np.array([3.0, 4.0]), np.array([4.0, 2.0])), (np.ones(3), np.ones(3))),
        inputs=some_predictions,
        mistakes={
            "return np.mean(np.abs(predicted - actual))": "that is the mean absolute error; square the errors, take the mean, then the root.",
            "return np.mean((predicted - actual) ** 2)": "the root is missing; without it the error is in squared stars.",
            "return np.sqrt(np.sum((predicted - actual) ** 2))": "that is the root of the sum, and grows with the number of ratings; take the mean.",
            "return np.linalg.norm(predicted - actual) / len(actual)": "divide before the root: it is the root of the mean, not the root of the sum divided by the number.",
            "return np.mean(predicted - actual)": "errors of both signs must not cancel; square each one first.",
            "return np.std(predicted - actual)": "a standard deviation leaves out the mean error. Predictions that are all wrong by the same amount are wrong, too.",
        }.items(),
        hints=[
            "Read the name backwards: error, squared, mean, root.",
            "`np.sqrt(np.mean(... ** 2))` does three of the four steps; the error goes in place of the dots.",
        ],
        minutes=3,
    ),
    Exercise(
        "02.3",
        "lookup_by_product",
        pair(("one_hot", array), ("product", array)),
        cases=cases((TABLE, np.array([2, 0, 2])), (TABLE, np.array([3]))),
        inputs=some_lookup,
        mistakes={
            "one_hot = np.eye(len(table))[indices]\nreturn one_hot.T, one_hot @ table": "the one-hot matrix has a row for each index and a column for each row of the table.",
            "one_hot = np.eye(len(table))[indices - 1]\nreturn one_hot, one_hot @ table": "the 1 is in the wrong column: the column is the index itself, counted from 0.",
            "one_hot = np.eye(len(table))[indices]\nreturn one_hot, one_hot": "the second value is the product of the one-hot matrix with the table.",
            "one_hot = np.zeros((len(indices), len(table)))\none_hot[:, indices] = 1\nreturn one_hot, one_hot @ table": "each row of the one-hot matrix holds a single 1, at its own index.",
        }.items(),
        hints=[
            "Row i of an identity matrix is the one-hot vector of i.",
            "`one_hot = np.eye(len(table))[indices]` is the one-hot matrix; return it and `one_hot @ table`.",
        ],
    ),
    Exercise(
        "02.5",
        "pair_gradient",
        pair(("of_user", array), ("of_item", array)),
        cases=cases((P, Q, 2.5), (P, Q, 4.0), (P, Q, 5.0), (P[:1], Q[:1], 3.0)),
        inputs=some_rows,
        mistakes={
            "error = rating - p @ q\nreturn error * q, error * p": "the sign is the opposite one: the error is prediction minus rating.",
            "error = p @ q - rating\nreturn error * p, error * q": "the user's gradient is the error times the item's numbers, and the other way round.",
            "error = 2 * (p @ q - rating)\nreturn error * q, error * p": "that is twice too large: the loss here is *half* the squared error.",
            "return q, p": "the error is missing: the gradient of half a square is the error times the gradient of the prediction.",
            "error = abs(p @ q - rating)\nreturn error * q, error * p": "keep the sign of the error: it says in which direction to move.",
            "error = np.sign(p @ q - rating)\nreturn error * q, error * p": "the size of the error counts, too, not only its sign.",
            "error = (p @ q - rating) ** 2\nreturn error * q, error * p": "the derivative of half a square is the error itself, not its square.",
            "error = p * q - rating\nreturn error * q, error * p": "there is one error, a number: the inner product of the rows minus the rating.",
        }.items(),
        hints=[
            "Differentiate half the square first: the outer derivative is the error itself.",
            "The prediction's gradient is q with respect to p, and p with respect to q. With `error = p @ q - rating`, return `error * q` and `error * p`.",
        ],
        minutes=8,
    ),
    Exercise(
        "02.6",
        "sgd_step",
        pair(("the new p", array), ("the new q", array)),
        cases=[
            Case((P, Q, 5.0, 0.1)),
            Case((np.ones(1), np.ones(1)), keywords={"rating": 4.0, "learning_rate": 0.1}),
            Case((P, Q, 4.0, 0.5)),
        ],
        inputs=some_step,
        mistakes={
            "p = p - learning_rate * pair_gradient(p, q, rating)[0]\nreturn p, q - learning_rate * pair_gradient(p, q, rating)[1]": "q moves with the p that has moved already: compute both gradients first.",
            " - learning_rate =>  + learning_rate": "that moves away from the rating: a step goes *against* the gradient.",
            "learning_rate * => ": "the learning rate is missing.",
            "of_user, of_item = => of_item, of_user =": "the first gradient belongs to p, the second one to q.",
            "p - learning_rate * of_user, q - => learning_rate * of_user, ": "that is only the step: return the new rows.",
            "q - learning_rate * of_item => q": "the item's row takes a step, too.",
        }.items(),
        hints=[
            "Compute both gradients before a row moves: `of_user, of_item = pair_gradient(p, q, rating)`.",
            "Against the gradient means minus: `p - learning_rate * of_user`, and the same for q.",
        ],
    ),
    Exercise(
        "02.7",
        "best_epoch",
        whole,
        cases=cases(
            ([1.0, 0.9, 0.95, 0.97, 0.99], 2),
            ([1.0, 0.9, 0.95, 0.97, 0.5], 2),
            ([1.0, 0.95, 0.97, 0.9, 0.92, 0.93], 2),
            ([1.0, 0.9, 0.8], 2),
            ([0.9, 0.95, 0.8, 0.85, 0.7], 2),
            ([0.9, 0.95, 0.94, 0.93, 0.5], 2),
            ([0.9, 0.9, 0.8], 1),
            ([0.9, 0.95, 0.96, 0.8], 3),
            ([0.9], 1),
            ([250.0, 180.0, 190.0, 200.0, 120.0], 2),
        ),
        inputs=some_errors,
        mistakes={
            "return int(np.argmin(errors)) + 1": "that looks past the stop: after `patience` epochs in a row without a new lowest, no later epoch is seen.",
            "return int(np.argmin(errors))": "epochs are counted from 1, and none is seen after the stop.",
            "best + 1 => best": "epochs are counted from 1.",
            "best + 1 => epoch + 1": "training ends there, but the weights to keep are those of the best epoch.",
            "< => <=": "an epoch that only equals the lowest error is no new lowest.",
            "errors[best] => errors[epoch - 1]": "compare with the lowest error so far, not with the epoch before.",
            ">= patience => > patience": "training ends at the `patience`-th epoch without a new lowest, not one later.",
            ">= patience => >= patience - 1": "training ends too early: count the epochs since the best one.",
            ">= patience => >= 1": "that stops at the first epoch that is worse; `patience` of them in a row end the training.",
            "best = bad = 0\nfor epoch, error in enumerate(errors):\n    if error < errors[best]:\n        best = epoch\n    elif epoch:\n        bad += 1\n    if bad >= patience:\n        break\nreturn best + 1": "the count starts again with every new lowest error: `patience` epochs *in a row*.",
        }.items(),
        hints=[
            "While you walk through the list, keep the place of the best error so far; compare it with where you are.",
            "Leave the loop when `epoch - best >= patience`, and return the best, counted from 1.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "02.8",
        "nearest",
        integers,
        cases=[
            Case(
                (1, VECTORS, 2), wrong=[([1, 4], "the item itself is in the list: leave it out.")]
            ),
            Case((2, np.array([[1.0, 2.0], [3.0, 0.3], [1.0, 0.0], [2.0, 2.0]]), 3)),
            Case((1, VECTORS, 4)),
            Case((0, np.array([[1.0, 0.1], [100.0, 60.0], [0.01, 0.0]]), 1)),
            Case(
                (2, np.array([[0.0, 1.0], [4.0, 0.0], [2.0, 0.0], [2.0, 1.0]]), 2),
                wrong=[([2, 3], "the item itself need not be the first: leave it out by number.")],
            ),
        ],
        inputs=some_vectors,
        mistakes={
            "-cosine => -(vectors @ vectors[item])": "that is the inner product, which prefers long vectors: divide by both lengths.",
            "-cosine => np.linalg.norm(vectors - vectors[item], axis=1)": "that is the distance; only the direction counts, so divide the inner product by both lengths.",
            "-cosine => cosine": "those point the other way: the largest cosine comes first.",
            "-cosine => -abs(cosine)": "a cosine of -1 points the other way: keep its sign.",
            "return np.argsort(-np.delete(vectors @ vectors[item] / np.linalg.norm(vectors, axis=1), item))[:n]": "after the item is taken out, the numbers of all items behind it are one too small.",
            "order[order != item][:n] => np.sort(order[order != item][:n])": "those are the right items; put the best one first.",
        }.items(),
        hints=[
            "One matrix product gives all inner products with the item. Then divide by the lengths, and sort.",
            "`np.linalg.norm(vectors, axis=1)` gives the lengths; `order = np.argsort(-cosine)` sorts downwards, and `order[order != item][:n]` leaves the item out.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "02.9",
        "batch_gradient",
        pair(("the gradient of P", array), ("the gradient of Q", array)),
        cases=cases(
            (*TABLES, np.array([0]), np.array([1]), np.array([3.0])),
            (*TABLES, np.array([2, 0]), np.array([1, 0]), np.array([3.0, 0.5])),
            (*TABLES, np.array([1, 0, 2]), np.array([1, 1, 0]), np.array([4.0, 2.5, 3.0])),
            (*TABLES, np.array([2, 2, 1]), np.array([0, 1, 0]), np.array([5.0, 1.0, 2.0])),
        ),
        inputs=some_batch,
        mistakes={
            "error = np.sum(P[users] * Q[items], axis=1) - stars\ngradient_P, gradient_Q = np.zeros_like(P), np.zeros_like(Q)\ngradient_P[users] += error[:, None] * Q[items] / len(stars)\ngradient_Q[items] += error[:, None] * P[users] / len(stars)\nreturn gradient_P, gradient_Q": "a row that occurs twice keeps only its last error: `np.add.at` adds them all.",
            "error = (np.sum(P[users] * Q[items], axis=1) - stars) / len(stars)\ngradient_P, gradient_Q = np.zeros_like(P), np.zeros_like(Q)\ngradient_P[users] = error[:, None] * Q[items]\ngradient_Q[items] = error[:, None] * P[users]\nreturn gradient_P, gradient_Q": "a row that occurs twice keeps only its last error: `np.add.at` adds them all.",
            "np.add.at(gradient_P, users, error[:, None] * Q[items]) => gradient_P[users] += error[:, None] * Q[items]": "a user that occurs twice keeps only the last error: `np.add.at` adds them all.",
            "np.add.at(gradient_Q, items, error[:, None] * P[users]) => gradient_Q[items] += error[:, None] * P[users]": "an item that occurs twice keeps only the last error: `np.add.at` adds them all.",
            ") / len(stars) => )": "that is the gradient of the sum: the loss is the *mean* over the batch.",
            "error = np.sum(P[users] * Q[items], axis=1) - stars\ngradient_P, gradient_Q = np.zeros_like(P), np.zeros_like(Q)\nnp.add.at(gradient_P, users, error[:, None] * Q[items])\nnp.add.at(gradient_Q, items, error[:, None] * P[users])\nreturn gradient_P / np.maximum(np.bincount(users, minlength=len(P)), 1)[:, None], gradient_Q / np.maximum(np.bincount(items, minlength=len(Q)), 1)[:, None]": "divide by the number of ratings in the batch, not by how often a row occurs in it.",
            " - stars) / => - stars) * 2 /": "that is twice too large: the loss is *half* the squared error.",
            "(np.sum(P[users] * Q[items], axis=1) - stars) => (stars - np.sum(P[users] * Q[items], axis=1))": "the sign is the opposite one: the error is prediction minus rating.",
            "error[:, None] * => error *": "that multiplies columns by errors: `error[:, None] * Q[items]` multiplies each row by its own error.",
            "error[:, None] * Q[items] => error[:, None] * P[users]": "the gradient of a user's row is the error times the *item's* row.",
            "error = (np.sum(P[users] * Q[items], axis=1) - stars) / len(stars)\ngradient_P, gradient_Q = np.zeros_like(P), np.zeros_like(Q)\nnp.add.at(gradient_P, users, error[:, None] * P[users])\nnp.add.at(gradient_Q, items, error[:, None] * Q[items])\nreturn gradient_P, gradient_Q": "the gradient of a user's row is the error times the *item's* row, and the other way round.",
            "return gradient_P, gradient_Q => return P - gradient_P, Q - gradient_Q": "those are the tables after a step: return the gradients.",
        }.items(),
        hints=[
            "Do what `pair_gradient` does, for many ratings at once. Divide each error by `len(stars)`; `error[:, None]` multiplies whole rows.",
            "Start with `np.zeros_like(P)` and `np.zeros_like(Q)`; then `np.add.at(gradient_P, users, error[:, None] * Q[items])`, and the same for Q.",
        ],
        checks=[
            grows(
                memory,
                100,
                (np.ones((50, 2)), np.ones((50, 2)), np.arange(5), np.arange(5), np.ones(5)),
                (np.ones((1500, 2)), np.ones((1500, 2)), np.arange(5), np.arange(5), np.ones(5)),
                "the gradients are right, but a matrix of all rows by all rows is too large for 9,066 films: add to the rows of the batch only.",
            ),
            grows(
                memory,
                1000,
                (np.ones((50, 2)), np.ones((50, 2)), np.arange(5), np.arange(5), np.ones(5)),
                (
                    np.ones((50, 2)),
                    np.ones((50, 2)),
                    *np.arange(3000).reshape(2, -1) % 50,
                    np.ones(1500),
                ),
                "the gradients are right, but a matrix of the batch by the batch is too large: an error per rating is `np.sum(P[users] * Q[items], axis=1) - stars`.",
            ),
        ],
        minutes=10,
    ),
    Quiz(
        "02.q1",
        "Three users, three films, one number each. How many of the six numbers does one SGD step on one rating change?",
        "b",
        {
            "all six": "Only the rows that made the prediction have a gradient; for the others it is zero.",
            "two": "The user's number and the film's number; the other four had no part in the prediction.",
            "one": "The prediction is a product of two numbers, and both have a gradient.",
            "four": "Four would be two rows of two numbers; here each row holds one.",
        },
    ),
    Quiz(
        "02.q2",
        "The training error still falls, the validation error has been rising for some epochs. Which weights do you ship?",
        "c",
        {
            "those of the last epoch, because the training error is lowest there": "A model that knows its training rows by heart is lowest there, and worse on everything else.",
            "those of the epoch with the lowest test error": "Then the test set has chosen the model, and its error is no longer an honest estimate.",
            "those of the epoch with the lowest validation error": "The validation rows choose, the test rows only judge; that is what both are for.",
        },
    ),
    Quiz(
        "02.q3",
        "Among all films, most of the nearest neighbors of a well-known one have hardly any ratings. Why?",
        "b",
        {
            "the viewers of rare films share a taste with it": "Perhaps, but the model cannot know it: it saw only a handful of ratings per film.",
            "a vector fitted to one rating can point anywhere, and a few of thousands point here": "Their directions are chance, and there are thousands of them. With twenty ratings, a direction has to fit twenty people.",
            "the training stopped too early for them": "More epochs fit the same few ratings more closely; they bring no new ones.",
        },
    ),
)
