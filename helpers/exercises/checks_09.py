"""Checks of chapter 09, user-level models: toy cases whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import NotYet
from .converters import array, items, number, pair, single
from .grading import Exercise, Quiz
from .registry import register

TABLE = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
WEIGHTS = {
    "item_in": np.array([[1.0, 0.0], [0.5, -1.0], [0.0, 2.0]]),
    "hidden_bias": np.array([0.25, -0.5]),
    "item_out": np.array([[1.0, 2.0], [-1.0, 0.5], [3.0, 0.0]]),
    "item_bias": np.array([-1.0, 0.5, 2.0]),
}
LOGS = np.log([[1.0, 2.0, 5.0], [4.0, 4.0, 2.0]])
WALK = [4, 0, 7, 2]
LARGE = [
    (value, "scores of 1,000 overflow in `np.exp`: `logsumexp` subtracts the largest one first.")
    for value in (np.nan, np.inf)
]


def some_lists(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a table and padded lists of its rows, some of them empty."""
    n_users, width, n_items, k = (int(n) for n in rng.integers(2, 9, 4))
    padded = rng.integers(0, n_items, (n_users, width))
    padded[np.arange(width) >= rng.integers(0, width + 1, n_users)[:, None]] = -1
    return rng.normal(size=(n_items, k)), padded


def some_weights(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return weights of a network, and padded lists that it can read."""
    table, padded = some_lists(rng)
    out, hidden, bias = (rng.normal(size=n) for n in (table.shape, table.shape[1], len(table)))
    return dict(item_in=table, hidden_bias=hidden, item_out=out, item_bias=bias), padded


def some_targets(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return scores, and padded targets of the same users."""
    table, padded = some_lists(rng)
    return rng.normal(size=(len(padded), len(table))) * rng.choice([1, 5]), padded


def some_draws(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return scores of taken and of drawn items, the chances of those, the number of draws."""
    n, kept, left_out = (int(n) for n in rng.integers(1, 8, 3))
    return rng.normal(size=n), rng.normal(size=kept), rng.uniform(0.001, 0.9, kept), kept + left_out


def weighted_pairs(value: Any, name: str) -> np.ndarray:
    """Return rows (earlier, later, weight), sorted, with the weights of equal pairs added up."""
    if isinstance(value, Mapping) and all(isinstance(k, tuple) for k in value):
        value = [(*k, weight) for k, weight in value.items()]
    rows = array(value, name)
    rows = rows.reshape(0, 3) if rows.size == 0 else rows
    if rows.ndim != 2 or rows.shape[1] != 3:
        raise NotYet(f"`{name}` returned the shape {rows.shape}, expected rows of three.")
    pairs, place = np.unique(rows[:, :2], axis=0, return_inverse=True)
    return np.column_stack([pairs, np.bincount(place.ravel(), rows[:, 2], len(pairs))])


register(
    Quiz(
        "09.q1",
        "Somebody signs up and names three films. What must be trained before the user-level network can score all films for them?",
        "c",
        {
            "Their own vector, with the rest of the network fixed.": "Look at the list of weights again: which of the tables has one row per user?",
            "The whole network, with their row added to the data.": "Training with more users may improve the network. But scoring a history needs no step of training.",
            "Nothing: their films pick rows of a table that is there.": "The history is the input. So a network trained last night serves users who come today.",
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
            "An error that names the index −1.": "The table above shows which lookup raises an error. Keras' Embedding does not.",
            "The 3 films, and the catalog's last film seven times.": "In MXNet it would be the first film. The shorter the history, the more of the sum comes from padding.",
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
        "09.7",
        "forward",
        single,
        cases=cases(
            (WEIGHTS, np.array([[2, 0, -1, -1]])),
            (WEIGHTS, np.array([[1, -1], [-1, -1]])),
            (WEIGHTS, np.array([[0, 0, 1, 2, -1]])),
        ),
        inputs=some_weights,
        mistakes={
            "np.sqrt(length) => np.sqrt(padded.shape[1])": "|H| counts the items of each list, and padding is no item.",
            'masked_sum(weights["item_in"], padded) => weights["item_in"][padded].sum(axis=1)': "the padding was read as an item: use your `masked_sum`.",
            "np.sqrt(length) => length": "divide by the square root of |H|, not by |H|.",
            " / np.sqrt(length) => ": "where is the division by the square root of |H|?",
            "np.maximum((padded >= 0).sum(axis=1, keepdims=True), 1) => (padded >= 0).sum(axis=1, keepdims=True)": "without a history, 0 is divided by 0: let |H| be at least 1 there.",
            "(padded >= 0) => (padded > 0)": "|H| left out item 0, which is an item like any other.",
            ' + weights["hidden_bias"] => ': "where is the bias of the hidden layer?",
            ' + weights["item_bias"] => ': "where is the bias of each item?",
            "np.tanh(total) => total": "the hidden layer is the hyperbolic tangent of that: where is `np.tanh`?",
            'weights["item_out"] => weights["item_in"]': "the first table reads histories; scores come from the second, `item_out`.",
        }.items(),
        hints=[
            "Three steps: the masked sum over the square root of |H|, the hidden layer, the scores.",
            "`(padded >= 0).sum(axis=1, keepdims=True)` has shape (users, 1), which fits the sum. `np.maximum(…, 1)` keeps it above 0.",
        ],
        minutes=8,
    ),
    Exercise(
        "09.8",
        "padded_loss",
        number,
        cases=cases(
            (LOGS, np.array([[2, 1], [0, -1]])),
            (LOGS, np.array([[0, -1, -1], [2, 1, 0]])),
            (LOGS, np.array([[1, -1], [-1, -1]])),
            (LOGS, np.array([[-1, -1], [-1, -1]])),
            (np.array([[1e3, 0, 1, 2]]), np.array([[1, -1]])),
        ),
        inputs=some_targets,
        mistakes={
            "return -np.take_along_axis(log_softmax(scores, axis=1), targets, axis=1).mean()": "-1 took the last item for a target: mask the padding.",
            "(logs * real) => logs": "for the padding, item 0 became a target: its logarithms must count as 0.",
            "max(1, real.sum()) => real.size": "that is the mean over all places. Padding is no target: divide by the number of real ones.",
            "max(1, real.sum()) => len(scores)": "that is the mean over users; here it is over all targets of the batch.",
            "(logs * real).sum() / max(1, real.sum()) => ((logs * real).sum(axis=1) / np.maximum(1, real.sum(axis=1))).mean()": "that averages each user first; every target of the batch counts the same here.",
            "max(1, real.sum()) => real.sum()": "a batch without any target must give 0, not nan.",
            "targets >= 0 => targets > 0": "0 is the index of an item like any other.",
            "return -( => return (": "a loss is minus the logarithm.",
        }.items(),
        hints=[
            "First take the logarithms at the targets, with any valid item in place of the padding. Then multiply those by 0.",
            "`np.take_along_axis(log_shares, safe, axis=1)` picks `safe[u, n]` of row u. Divide by the number of *real* targets, at least 1.",
        ],
        minutes=8,
    ),
    Exercise(
        "09.9",
        "transitions",
        weighted_pairs,
        cases=[
            *cases((WALK, 1, 0.5), (WALK, 2, 0.5), (WALK, 9, 0.5), ([3], 2, 0.5), ([], 2, 0.5)),
            *cases(([1, 2, 1, 2], 3, 0.5)),
            Case((WALK,), keywords={"window": 2, "decay": 0.8}),
        ],
        inputs=lambda rng: (
            rng.integers(0, 6, rng.integers(0, 9)).tolist(),
            int(rng.integers(1, 5)),
            float(rng.choice([0.5, 0.8, 1.0])),
        ),
        mistakes={
            "window + 1 => window": "events exactly `window` steps apart count, too.",
            "decay ** (b - a - 1) => decay ** (b - a)": "neighbors, one step apart, have the weight 1.",
            "decay ** (b - a - 1) => 1": "a pair that is further apart weighs less: where is `decay`?",
            "range(1, window + 1) => range(1, 2)": "those are neighbors only: pairs up to `window` steps apart count.",
            "range(1, window + 1) => range(1, len(history))": "those are all pairs: stop at `window` steps.",
            "(history[a], history[b] => (history[b], history[a]": "that counts backwards: the earlier item comes first.",
            "(history[a], history[b] => (*sorted((history[a], history[b]))": "the order of time is lost: the earlier item comes first, not the smaller one.",
            "range(1, window + 1) => range(window + 1)": "an event does not follow itself: begin with one step.",
            "h = list(dict.fromkeys(history))\nreturn [(h[a], h[a + d], decay ** (d - 1)) for d in range(1, window + 1) for a in range(len(h) - d)]": "an item that comes twice is two events.",
        }.items(),
        hints=[
            "Take one distance d at a time. Events d steps apart are at the places `a` and `a + d`.",
            "`a` runs over `range(len(history) - d)`, and every such pair has the weight `decay ** (d - 1)`.",
        ],
        minutes=8,
    ),
    Exercise(
        "09.10",
        "people_needed",
        number,
        cases=cases(
            (-0.02, 0.02, 100, 0.01),
            (-0.014, 0.002, 68, 0.02),
            (0.01, 0.03, 50, 0.03),
            (0.01, 0.05, 50, 0.02),
            (0.25, 0.75, 50, 0.5),
            (-0.05, -0.01, 50, 0.03),
        ),
        inputs=lambda rng: (
            *(float(x) for x in np.sort(rng.normal(0, 0.01, 2))),
            int(rng.integers(20, 900)),
            float(rng.choice([0.002, 0.01, 0.03])),
        ),
        mistakes={
            "(half / room) ** 2 => half / room": "four times the people halve the width: the number of people goes with the *square*.",
            "half / room => half / margin": "the middle is not 0: one end of the interval comes nearer to the margin.",
            "abs(low + high) / 2 => (low + high) / 2": "an interval below 0 must fit, too: the lower end may be the one outside.",
            "half / room => 2 * half / room": "compare *half* the width with the room between the middle and the margin.",
            "half, middle = (high - low) / 2, abs(low + high) / 2\nreturn people * (half / (margin - middle)) ** 2": "where the middle lies outside the margin, no number of people is enough: return `np.inf`.",
        }.items(),
        hints=[
            "Draw it: the middle, half the width, and the room that is left between the middle and the nearer margin.",
            "Half the width is proportional to 1/√people. By which factor must it shrink to fit the room?",
        ],
        minutes=8,
        stretch=True,
    ),
    Exercise(
        "09.11",
        "log_sum",
        number,
        cases=[
            *cases(
                (np.log([6.0]), np.log([3.0, 4.0]), np.array([0.5, 0.1]), 2),
                (np.log([6.0, 1.0]), np.log([3.0, 4.0]), np.array([0.5, 0.1]), 4),
                (np.array([]), np.log([3.0, 3.0]), np.array([0.25, 0.25]), 2),
                (np.log([6.0]), np.array([]), np.array([]), 3),
            ),
            Case((np.array([1e3]), np.array([999.0]), np.array([0.5]), 2), wrong=LARGE),
        ],
        inputs=some_draws,
        mistakes={
            "n_drawn * drawn_chances => len(drawn_scores) * drawn_chances": "`n_drawn` counts all draws, also those left out because the user took the item.",
            "return np.log(np.exp(taken_scores).sum() + (np.exp(drawn_scores) / drawn_chances).mean())": "`n_drawn` counts all draws, also those left out because the user took the item.",
            "1 / (n_drawn * drawn_chances) => np.ones(len(drawn_scores))": "that counts each draw once: a popular item would count as often as it is drawn.",
            "1 / (n_drawn * drawn_chances) => n_drawn * drawn_chances": "what is drawn often must count *less*.",
            "1 / (n_drawn * drawn_chances) => 1 / drawn_chances": "with more draws, each must count less: how often is an item expected in all draws?",
            "return np.log(np.exp(drawn_scores) @ (1 / (n_drawn * drawn_chances)))": "the taken items are missing: add them as they are.",
            "return np.exp(taken_scores).sum() + (np.exp(drawn_scores) / (n_drawn * drawn_chances)).sum()": "that is the sum itself; take its logarithm.",
        }.items(),
        hints=[
            "Item j is expected n_drawn · q_j times. All its draws together must count once.",
            "`logsumexp(scores, b=weights)` is the logarithm of a weighted sum of exponentials: weight 1 for what was taken.",
        ],
        minutes=8,
        stretch=True,
    ),
    Quiz(
        "09.q3",
        "A sampled softmax draws by popularity and leaves the correction out. Which films end up too low in the lists?",
        "a",
        {
            "The popular ones.": "They are in nearly every sample. Each time they count in full, so the loss pushes them down too often.",
            "The rare ones.": "A rare film is hardly ever drawn, so it is hardly ever pushed down. Which films are drawn most?",
            "None: over many batches the errors cancel.": "Noise cancels, a bias does not: with 2,000 draws the uncorrected sum above is as wrong as with 50.",
        },
    ),
)
