"""Checks of chapter 09, user-level models: toy cases whose answers are known by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect, number, numbers
from .grading import Exercise, Quiz
from .registry import register

# 09.1


def score_all(users: np.ndarray, user_vectors: np.ndarray, item_vectors: np.ndarray) -> np.ndarray:
    """Return the score of every item for some users, (len(users), n_items)."""
    return user_vectors[users] @ item_vectors.T


def _scores_of_toy_vectors(f: Callable[..., Any]) -> None:
    user_vectors = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    item_vectors = np.array([[1.0, 3.0], [2.0, -1.0], [0.0, 5.0], [4.0, 4.0]])
    want = np.array([[4.0, 1.0, 5.0, 8.0], [1.0, 2.0, 0.0, 4.0]])
    value = f(np.array([2, 0]), user_vectors, item_vectors)
    got = np.asarray(value)
    expect(
        got.shape != (3, 4),
        "asked for the users 2 and 0 of three, `score_all` returned rows for all three: use `users` to pick rows.",
    )
    expect(
        got.shape != (4, 2),
        "`score_all` returned items × users, (4, 2); expected users × items, (2, 4).",
    )
    got = numbers(value, "score_all", (2, 4))
    expect(
        not np.allclose(got, want[::-1]),
        "asked for the users 2 and 0, `score_all` returned them in another order: row r belongs to `users[r]`.",
    )
    expect(
        np.allclose(got, want),
        f"user 2 has the vector (1, 1) and item 0 (1, 3): their score is 4, a product of the two; `score_all` says {got[0, 0]:g}.",
    )
    got = numbers(f(np.array([], dtype=int), user_vectors, item_vectors), "score_all", (0, 4))


# 09.2


def cut(history: Any, k: int, width: int) -> tuple[list[int], list[int]]:
    """Return padded inputs and targets of one history."""
    history = list(history)
    at = len(history) - k if len(history) > k else len(history)
    kept = history[max(0, at - width) : at]
    return kept + [-1] * (width - len(kept)), history[at:]


def _pair(value: Any) -> tuple[list[int], list[int]]:
    """Return an answer of `cut` as two lists of whole numbers."""
    ok = isinstance(value, (tuple, list)) and len(value) == 2
    expect(ok, f"`cut` returned a {type(value).__name__}, expected two lists: inputs, targets.")
    lists = []
    for part, name in zip(value, ("inputs", "targets"), strict=True):
        array = np.asarray(part)
        expect(
            array.ndim == 1,
            f"the {name} of `cut` have the shape {array.shape}, expected one dimension.",
        )
        lists.append([int(item) for item in array])
    return lists[0], lists[1]


def _cut_a_short_one(f: Callable[..., Any]) -> None:
    history = np.array([4, 0, 7, 2, 9])
    inputs, targets = _pair(f(history, 2, 5))
    where = "history 4 0 7 2 9, k=2, width=5"
    expect(
        targets != [4, 0],
        f"{where}: `cut` took the first two as targets; the last two are the latest.",
    )
    expect(targets == [2, 9], f"{where}: the targets must be 2 9, `cut` says {targets}.")
    expect(
        inputs[:3] != [-1, -1, 4],
        f"{where}: `cut` padded at the start of the inputs; the padding belongs at the end.",
    )
    expect(
        len(inputs) == 5, f"{where}: `cut` returned {len(inputs)} inputs, expected `width` of them."
    )
    expect(
        not set(targets) & set(inputs),
        f"{where}: a target stands among the inputs {inputs} of `cut`: the network would be told the answer.",
    )
    expect(
        0 not in inputs[3:],
        f"{where}: `cut` padded with 0, but 0 is the index of an item; padding is −1.",
    )
    expect(inputs == [4, 0, 7, -1, -1], f"{where}: `cut` returned the inputs {inputs}.")


def _cut_a_long_one(f: Callable[..., Any]) -> None:
    inputs, targets = _pair(f([1, 2, 3, 4, 5, 6, 7], 2, 3))
    where = "history 1 … 7, k=2, width=3"
    expect(inputs != [1, 2, 3], f"{where}: `cut` kept the earliest inputs, expected the latest.")
    expect(
        (inputs, targets) == ([3, 4, 5], [6, 7]),
        f"{where}: expected the three events before the last two; `cut` says {inputs} and {targets}.",
    )


def _cut_at_the_ends(f: Callable[..., Any]) -> None:
    for history in ([8, 3], [8]):
        inputs, targets = _pair(f(history, 2, 3))
        wanted = history + [-1] * (3 - len(history))
        expect(
            targets == [] and inputs == wanted,
            f"history {history}, k=2: a history of k events or fewer stays whole, its targets are empty; `cut` says {inputs} "
            f"and {targets}.",
        )
    inputs, targets = _pair(f([], 2, 3))
    expect(
        (inputs, targets) == ([-1, -1, -1], []),
        "an empty history must give only padding, and no targets.",
    )


# 09.3


def masked_sum(table: np.ndarray, padded: np.ndarray) -> np.ndarray:
    """Return the sum of the rows that each padded list names, (n_users, width)."""
    real = padded >= 0
    rows = table[np.where(real, padded, 0)]
    return (rows * real[:, :, None]).sum(axis=1)


def _sum_of_toy_rows(f: Callable[..., Any]) -> None:
    table = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])
    padded = np.array([[0, 2, -1], [3, -1, -1], [-1, -1, -1], [1, 1, 0]])
    before = table.copy(), padded.copy()
    got = numbers(f(table, padded), "masked_sum", (4, 2))
    unchanged = np.array_equal(table, before[0]) and np.array_equal(padded, before[1])
    expect(unchanged, "`masked_sum` must leave `table` and `padded` as they were.")
    expect(
        not np.allclose(got[0], [13, 130]),
        "the list 0, 2, −1 must give row 0 plus row 2; `masked_sum` added the last row for −1: mask the padding.",
    )
    expect(
        not np.allclose(got[0], [6, 60]),
        "the list 0, 2, −1 must give row 0 plus row 2; `masked_sum` added row 0 once more, for the padding.",
    )
    expect(
        not np.allclose(got[0], [2.5, 25]),
        "`masked_sum` must add the rows, not average them: 0, 2, −1 gives 5 in the first column.",
    )
    expect(
        np.allclose(got[0], [5, 50]),
        f"the list 0, 2, −1 gives (5, 50); `masked_sum` says {got[0]}.",
    )
    expect(
        np.allclose(got[2], 0),
        f"a row of only −1 must give zeros, `masked_sum` says {got[2]}: what is left?",
    )
    expect(
        np.allclose(got[3], [5, 50]),
        "an item that stands twice in a list counts twice; `masked_sum` of 1, 1, 0 must be (5, 50).",
    )
    expect(
        np.allclose(got, masked_sum(table, padded)), "`masked_sum` is off for the list 3, −1, −1."
    )


def _sum_at_the_ends(f: Callable[..., Any]) -> None:
    table = np.arange(12.0).reshape(4, 3)
    numbers(f(table, np.empty((0, 5), int)), "masked_sum", (0, 3))
    got = numbers(f(table, np.array([[3, 0], [-1, 0]])), "masked_sum", (2, 3))
    expect(
        np.allclose(got, [[9, 11, 13], [0, 1, 2]]),
        "index 0 is an item like any other, also beside padding; `masked_sum` lost or doubled it.",
    )


# 09.4


def multinomial_loss(scores: np.ndarray, taken: np.ndarray) -> float:
    """Return the mean over users of minus the log shares of what they took."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_share = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return float(-(taken * log_share).sum(axis=1).mean())


def _loss_by_hand(f: Callable[..., Any]) -> None:
    name = "multinomial_loss"
    scores, taken = np.log(np.array([[1.0, 2.0, 5.0]])), np.array([[1, 1, 0]])
    got = number(f(scores, taken), name)
    want = float(np.log(8) + np.log(4))
    where = (
        "one user, scores log 1, log 2, log 5, the first two taken: the shares are 1/8, 2/8, 5/8"
    )
    expect(
        not np.isclose(got, -want), f"{where}. `{name}` is negative: a loss is minus the logarithm."
    )
    expect(
        not np.isclose(got, want / 3), f"{where}. `{name}` took the mean over items; add them up."
    )
    expect(
        not np.isclose(got, want / 2),
        f"{where}. `{name}` took the mean over the taken items; add them up.",
    )
    expect(
        not np.isclose(got, np.log(2) + np.log(1.5) + np.log(6)),
        f"{where}. `{name}` is the binary cross-entropy: one unit of chance must be shared by all items.",
    )
    expect(np.isclose(got, want), f"{where}. `{name}` says {got:.4g}.")
    scores, taken = np.zeros((2, 4)), np.array([[1, 0, 0, 0], [1, 1, 1, 0]])
    got = number(f(scores, taken), name)
    expect(
        not np.isclose(got, 4 * np.log(4)),
        f"`{name}` must be the mean over users, it added them up: two users.",
    )
    expect(
        np.isclose(got, 2 * np.log(4)),
        f"two users, four equal scores, one and three taken: expected the mean of log 4 and 3 log 4; `{name}` says {got:.4g}.",
    )


def _loss_of_large_scores(f: Callable[..., Any]) -> None:
    with np.errstate(all="ignore"):
        got = number(
            f(np.array([[1000.0, 1000.0], [-1000.0, -1001.0]]), np.array([[1, 0], [0, 1]])),
            "multinomial_loss",
        )
    expect(
        np.isfinite(got),
        f"with scores of 1,000 `multinomial_loss` says {got}: subtract each row's largest score first.",
    )
    want = (np.log(2) + 1 + np.log1p(np.exp(-1))) / 2
    expect(
        np.isclose(got, want),
        "`multinomial_loss` must not change when a number is added to all scores of a row: take the largest of each *row*.",
    )


# 09.5


def log_normalizer(drawn_scores: np.ndarray, drawn_chances: np.ndarray) -> float:
    """Return the log of the estimated sum of exponentials over the catalog."""
    corrected = np.asarray(drawn_scores, float) - np.log(
        len(drawn_scores) * np.asarray(drawn_chances)
    )
    top = corrected.max()
    return float(top + np.log(np.exp(corrected - top).sum()))


def _normalizer_by_hand(f: Callable[..., Any]) -> None:
    name = "log_normalizer"
    scores, chances = np.log(np.array([3.0, 4.0])), np.array([0.5, 0.1])
    got = number(f(scores, chances), name)
    where = "two drawn items, exp(score) 3 and 4, chances .5 and .1: 3/.5 = 6 and 4/.1 = 40, of which 23 is the mean"
    expect(
        not np.isclose(got, np.log(7)) and not np.isclose(got, np.log(3.5)),
        f"{where}. `{name}` left the chances out: that is the sum without the correction.",
    )
    expect(
        not np.isclose(got, np.log(46)),
        f"{where}. `{name}` added the two; it is a mean over the draws.",
    )
    expect(
        not np.isclose(got, np.log(0.95)),
        f"{where}. `{name}` multiplied by the chance: what is drawn often must count *less*.",
    )
    expect(
        not np.isclose(got, 23), f"{where}. `{name}` returned the sum itself; take its logarithm."
    )
    expect(
        np.isclose(got, np.log(23)),
        f"{where}. `{name}` must be log 23 = 3.135, yours says {got:.4g}.",
    )


def _normalizer_of_large_scores(f: Callable[..., Any]) -> None:
    with np.errstate(all="ignore"):
        got = number(f(np.array([1000.0, 999.0]), np.array([0.5, 0.5])), "log_normalizer")
    expect(
        np.isfinite(got),
        f"with scores of 1,000 `log_normalizer` says {got}: take the largest out before `np.exp`, and add it at the end.",
    )
    want = 1000 + np.log1p(np.exp(-1))
    expect(
        np.isclose(got, want),
        f"scores 1,000 and 999, chances .5: expected {want:.3f}, yours says {got:.3f}.",
    )


# 09.6


def divergence(mean: np.ndarray, log_variance: np.ndarray) -> np.ndarray:
    """Return how far each user's normal distribution is from the standard one, (n_users,)."""
    return 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1)


def _divergence_by_hand(f: Callable[..., Any]) -> None:
    mean = np.array([[0.0, 0.0, 0.0], [2.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    log_variance = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [np.log(4), 0.0, 0.0]])
    value = f(mean, log_variance)
    expect(
        np.asarray(value).shape != (),
        "`divergence` returned one number for three users: add up over the coordinates only, axis 1.",
    )
    got = numbers(value, "divergence", (3,))
    expect(
        np.isclose(got[0], 0),
        f"mean 0 and variance 1 is the standard normal: 0, `divergence` says {got[0]:.4g}.",
    )
    expect(
        not np.isclose(got[1], 5),
        "means 2, 0, 1 with variance 1 gave 5: does `divergence` have its factor ½?",
    )
    expect(
        np.isclose(got[1], 2.5),
        f"means 2, 0, 1 with variance 1 have 2.5; `divergence` says {got[1]:.4g}.",
    )
    want = (4 - 1 - np.log(4)) / 2
    expect(
        np.isclose(got[2], want),
        f"a log variance of log 4 is a variance of 4, which enters as 4 − 1 − log 4; `divergence` says {got[2]:.4g}.",
    )


register(
    Exercise(
        "09.1",
        "score_all",
        [_scores_of_toy_vectors],
        [
            "`user_vectors[users]` has one row for each user asked for.",
            "A product of matrices, `A @ B`, takes rows of A times columns of B; `item_vectors` has items as rows.",
        ],
        score_all,
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
        [_cut_a_short_one, _cut_a_long_one, _cut_at_the_ends],
        [
            "First find the place of the cut: `len(history) - k`, or the very end for a history of `k` events or fewer.",
            "The inputs are `history[max(0, at - width) : at]`, and `[-1] * missing` fills them up.",
        ],
        cut,
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
        [_sum_of_toy_rows, _sum_at_the_ends],
        [
            "Look up some valid row for the padding, such as row 0, and multiply what came out by zero there.",
            "`real = padded >= 0` has shape (users, length), the rows (users, length, width): `real[:, :, None]` fits.",
        ],
        masked_sum,
        minutes=6,
    ),
    Exercise(
        "09.4",
        "multinomial_loss",
        [_loss_by_hand, _loss_of_large_scores],
        [
            "The log share of an item is its score minus the logarithm of the row's sum of exponentials.",
            "Subtract each row's maximum from its scores first: the shares stay, and `np.exp` cannot overflow.",
        ],
        multinomial_loss,
        minutes=8,
    ),
    Exercise(
        "09.5",
        "log_normalizer",
        [_normalizer_by_hand, _normalizer_of_large_scores],
        [
            "Dividing by S · q before the sum is subtracting log(S · q) from the score.",
            "With c the corrected scores: `c.max() + np.log(np.exp(c - c.max()).sum())`.",
        ],
        log_normalizer,
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
        [_divergence_by_hand],
        [
            "Write the bracket for whole arrays, then `.sum(axis=1)`.",
            "The variance is `np.exp(log_variance)`; the factor ½ stands before the sum.",
        ],
        divergence,
        minutes=5,
        stretch=True,
    ),
)
