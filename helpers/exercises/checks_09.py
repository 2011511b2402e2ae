"""Checks of chapter 09, user-level models: toy cases whose answers are known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case, cases
from .converters import array, items, number, pair, single
from .cost import grows, steps
from .grading import Exercise, Quiz
from .registry import register

USERS = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
ITEMS = np.array([[1.0, 3.0], [2.0, -1.0], [0.0, 5.0], [4.0, 4.0]])
MANY = [(np.arange(n), np.ones((n, 3)), np.ones((n, 3))) for n in (20, 80)]
TABLE = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
LARGE = [
    (value, "scores of 1,000 overflow in `np.exp`: subtract the largest one first.")
    for value in (np.nan, np.inf)
]


def some_lists(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a table and padded lists of its rows, some of them empty."""
    n_users, width, n_items, k = (int(n) for n in rng.integers(2, 9, 4))
    padded = rng.integers(0, n_items, (n_users, width))
    padded[np.arange(width) >= rng.integers(0, width + 1, n_users)[:, None]] = -1
    return rng.normal(size=(n_items, k)), padded


SMALL = "a share can be too small for a float: take the logarithm of the share without computing the share."
SHARE = "z = scores - scores.max(axis=1, keepdims=True)\np = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\n"

register(
    Exercise(
        "09.1",
        "score_all",
        single,
        cases=cases((np.array([2, 0]), USERS, ITEMS)),
        inputs=lambda rng: (
            *(rng.integers(0, 6, 5), rng.normal(size=(6, 3)), rng.normal(size=(7, 3))),
        ),
        mistakes={
            "return user_vectors @ item_vectors.T": "those are the rows of all users: use `users` to pick rows.",
            "return item_vectors @ user_vectors[users].T": "those are items × users, expected users × items.",
            "return user_vectors[np.sort(users)] @ item_vectors.T": "those are the users in another order: row r belongs to `users[r]`.",
            "return user_vectors[: len(users)] @ item_vectors.T": "those are the first users, whoever was asked for.",
            "return abs(user_vectors[users][:, None] - item_vectors[None]).sum(axis=2)": "a score is a product of the two vectors, as in the loop above.",
        }.items(),
        checks=[
            grows(
                steps,
                2,
                MANY[0],
                MANY[1],
                "`score_all` is right, but loops: it takes four times the steps for four times the users. One product of matrices does it.",
            )
        ],
        hints=[
            "`user_vectors[users]` has one row for each user asked for.",
            "A product of matrices, `A @ B`, takes rows of A times columns of B; `item_vectors` has items as rows.",
        ],
        minutes=4,
    ),
    Quiz(
        "09.q1",
        "Somebody signs up and names three films. What must be trained before the user-level network can score all films for them?",
        "c",
        {
            "Their own vector, with the rest of the network fixed.": "Look at the list of weights again: which of the tables has one row a user?",
            "The whole network, with their row added to the data.": "It may get better with every person it learns from, but scoring somebody needs no step of training.",
            "Nothing: their films pick rows of a table that is there.": "The history is the input. So a network trained last night serves people who come today.",
        },
    ),
    Exercise(
        "09.2",
        "cut",
        pair(("inputs", items), ("targets", items)),
        cases=[
            *cases(([4, 0, 7, 2, 9], 2, 5), ([1, 2, 3, 4, 5, 6, 7], 2, 3)),
            *cases(([8, 3], 2, 3), ([8], 2, 3), ([0, 1, 2, 3, 4, 5], 9, 4)),
            Case(([4, 0, 7, 2, 9],), keywords={"k": 1, "width": 4}),
        ],
        inputs=lambda rng: (
            rng.integers(0, 50, rng.integers(1, 14)).tolist(),
            *map(int, rng.integers(1, 9, 2)),
        ),
        mistakes={
            "return (history[k:] + [-1] * width)[:width], history[:k]": "those are the first as targets; the last are the latest.",
            "x = history[:-k][-width:] if len(history) > k else history[-width:]\nreturn [-1] * (width - len(x)) + x, history[len(x) :][-k:]": "the padding belongs at the end of the inputs.",
            "return history[:-k], history[-k:]": "the inputs must be `width` long.",
            "return (history + [-1] * width)[:width], history[-k:]": "targets stand among the inputs: the network would be told the answer.",
            "x = history[:-k][-width:] if len(history) > k else history[-width:]\nreturn x + [0] * (width - len(x)), history[-k:] if len(history) > k else []": "0 is the index of an item; padding is -1.",
            "x = history[:-k][:width] if len(history) > k else history[:width]\nreturn x + [-1] * (width - len(x)), history[-k:] if len(history) > k else []": "those are the earliest inputs, expected the latest.",
            "x = history[:-k][-width:] if len(history) > k else history\nreturn x + [-1] * (width - len(x)), history[-k:] if len(history) > k else []": "a short history can be longer than `width`, too.",
            "x = history[:-k][-width:]\nreturn x + [-1] * (width - len(x)), history[-k:]": "a history of `k` events or fewer stays whole, and its targets are empty.",
        }.items(),
        hints=[
            "First find the place of the cut: `len(history) - k`, or the very end for a history of `k` events or fewer.",
            "The inputs are `history[max(0, at - width) : at]`, and `[-1] * missing` fills them up.",
        ],
        minutes=6,
    ),
    Quiz(
        "09.q2",
        "A history of 3 films is padded to 10 and summed without a mask, with a Keras Embedding. What does the network see?",
        "b",
        {
            "An error that names the index −1.": "The table above says who raises an error, and it was not this one.",
            "The 3 films, and the catalog's last film seven times.": "And in MXNet the first film. The shorter the history, the more the padding speaks.",
            "The 3 films and zeros: an Embedding treats −1 as padding.": "Nothing tells it so. Keras' `mask_zero` concerns the index 0, and a sum ignores that mask, too.",
        },
    ),
    Exercise(
        "09.3",
        "masked_sum",
        array,
        cases=cases(
            (TABLE, np.array([[0, 2, -1]])),
            (TABLE, np.array([[3, -1, -1], [-1, -1, -1]])),
            (TABLE, np.array([[1, 1, 0, -1]])),
        ),
        inputs=some_lists,
        mistakes={
            "return table[padded].sum(axis=1)": "the last row was added for -1: mask the padding.",
            "return table[np.maximum(padded, 0)].sum(axis=1)": "row 0 was added once more, for the padding.",
            "real = padded >= 0\nreturn (table[padded] * real[:, :, None]).sum(axis=1) / np.maximum(1, real.sum(axis=1))[:, None]": "add the rows, do not average them.",
            "return (table[padded] * (padded > 0)[:, :, None]).sum(axis=1)": "0 is the index of an item like any other.",
            "return np.array([table[np.unique(row[row >= 0])].sum(axis=0) for row in padded])": "an item that stands twice in a list counts twice.",
            "return (table[padded] * (padded >= 0)[:, :, None]).sum(axis=0)": "that adds up over the users; each list has a sum of its own.",
        }.items(),
        hints=[
            "Look up some valid row for the padding, such as row 0, and multiply what came out by zero there.",
            "`real = padded >= 0` has shape (users, length), the rows (users, length, width): `real[:, :, None]` fits.",
        ],
        minutes=6,
    ),
    Exercise(
        "09.4",
        "multinomial_loss",
        number,
        cases=[
            Case((np.log([[1.0, 2.0, 5.0]]), np.array([[1, 1, 0]]))),
            Case((np.zeros((2, 4)), np.array([[1, 0, 0, 0], [1, 1, 1, 0]]))),
            Case((np.array([[1000.0, 1e3], [-1e3, -1001]]), np.eye(2, dtype=int)), wrong=LARGE),
            Case(
                (np.array([[1e3, 0, 1, 2, 0]]), np.array([[0, 1, 0, 0, 0]])),
                wrong=[(np.inf, SMALL), *LARGE],
            ),
        ],
        inputs=lambda rng: (
            rng.normal(size=(4, 6)) * rng.choice([1, 5]),
            (rng.random((4, 6)) < 0.4).astype(int),
        ),
        mistakes={
            "return - => return ": "a loss is minus the logarithm.",
            ".sum(axis=1).mean() => .mean()": "that is the mean over items; for each user add them up.",
            ".sum(axis=1).mean() => .sum() / taken.sum()": "that is the mean over what was taken; for each user add it up.",
            ".sum(axis=1).mean() => .sum()": "the mean over users is wanted, that adds them up.",
            "taken * => ": "only what was taken counts: where is `taken`?",
            "p = 1 / (1 + np.exp(-scores))\nreturn -(taken * np.log(p) + (1 - taken) * np.log(1 - p)).sum(axis=1).mean()": "that is the binary cross-entropy: one unit of chance must be shared by all items.",
            "scores.max(axis=1, keepdims=True) => scores.max()": "subtract the largest of *each row*: after the largest of all, a whole row can vanish in `np.exp`.",
            f"{SHARE}return -(taken * np.log(p)).sum(axis=1).mean()": SMALL,
            f"{SHARE}return -(taken * np.log(p + 1e-9)).sum(axis=1).mean()": SMALL,
        }.items(),
        hints=[
            "The log share of an item is its score minus the logarithm of the row's sum of exponentials.",
            "Subtract each row's maximum from its scores first: the shares stay, and `np.exp` cannot overflow.",
        ],
        minutes=8,
    ),
    Exercise(
        "09.5",
        "log_normalizer",
        number,
        cases=[
            Case((np.log([3.0, 4.0]), np.array([0.5, 0.1]))),
            Case((np.array([1000.0, 999.0]), np.array([0.5, 0.5])), wrong=LARGE),
            Case((np.array([3.0, 1e3, 0, 2]), np.array([0.5, 0.25, 1e-6, 0.1])), wrong=LARGE),
            *cases((np.array([1.0, 1, 2]), np.array([0.2, 0.2, 0.1]))),  # drawn twice
            *cases(
                (np.array([-1000.0, -1001]), np.array([0.5, 0.1]))
            ),  # after the largest |s|: log 0
        ],
        inputs=lambda rng: (rng.normal(0, rng.choice([1, 8]), 7), rng.uniform(1e-4, 0.9, 7)),
        mistakes={
            "return np.log(np.exp(drawn_scores).sum())": "that leaves the chances out: the sum without the correction.",
            "return np.log(np.exp(drawn_scores).mean())": "that leaves the chances out: the mean without the correction.",
            "return np.log((np.exp(drawn_scores) / drawn_chances).sum())": "that adds up what was drawn; it is a mean over the draws.",
            "return np.log((np.exp(drawn_scores) * drawn_chances).mean())": "what is drawn often must count *less*.",
            "return (np.exp(drawn_scores) / drawn_chances).mean()": "that is the sum itself; take its logarithm.",
            "return np.mean(drawn_scores - np.log(drawn_chances))": "the logarithm of a mean is not the mean of logarithms.",
        }.items(),
        hints=[
            "Dividing by S · q before the sum is subtracting log(S · q) from the score.",
            "With c the corrected scores: `c.max() + np.log(np.exp(c - c.max()).sum())`.",
        ],
        minutes=8,
        stretch=True,
    ),
    Quiz(
        "09.q3",
        "A sampled softmax draws by popularity and leaves the correction out. Which films will stand too low in the lists?",
        "a",
        {
            "The popular ones.": "They are in nearly every sample, each time counted in full, and each time pushed down.",
            "The rare ones.": "A rare film is hardly ever drawn, so hardly ever pushed down. Who is?",
            "None: over many batches the errors cancel.": "Noise cancels, a bias does not: with 10,000 draws the uncorrected sum above was as wrong as with 100.",
        },
    ),
    Exercise(
        "09.6",
        "divergence",
        array,
        cases=cases(
            (np.array([[0.0, 0, 0], [2, 0, -1]]), np.zeros((2, 3))),
            (np.zeros((1, 3)), np.log([[4.0, 1, 0.5]])),
        ),
        inputs=lambda rng: tuple(rng.normal(size=(2, *rng.integers(1, 7, 2)))),
        mistakes={
            "axis=1 => ": "that is one number for all: add up over the coordinates only.",
            "axis=1 => axis=0": "that is one number for each coordinate; each user gets one.",
            "0.5 * => ": "where is the factor ½?",
            ".sum => .mean": "the coordinates are added up, not averaged.",
            "mean**2 => mean": "the mean enters as a square.",
            ".sum(axis=1) => ": "add up over the coordinates: one number for each user.",
            "return 0.5 * (log_variance + mean**2 - 1 - np.log(log_variance)).sum(axis=1)": "the second argument is the logarithm of the variance, not the variance.",
            "return 0.5 * (np.exp(log_variance) ** 2 + mean**2 - 1 - 2 * log_variance).sum(axis=1)": "the second argument is the logarithm of the variance, not of its root.",
        }.items(),
        hints=[
            "Write the bracket for whole arrays, then `.sum(axis=1)`.",
            "The variance is `np.exp(log_variance)`; the factor ½ stands before the sum.",
        ],
        stretch=True,
    ),
)
