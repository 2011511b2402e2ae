"""Checks of chapter 00: a share of cells, a long tail, and the constant with the smallest error."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import cases
from .converters import array, number
from .grading import Exercise, Quiz
from .registry import register

USERS, STARS = np.array([2, 0, 2, 0, 2]), np.array([1.0, 4.5, 2.5, 3.0, 5.0])


def some_table(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return a number of ratings, of users and of items."""
    n_users, n_items = (int(n) for n in rng.integers(2, 900, 2))
    return int(rng.integers(1, n_users * n_items)), n_users, n_items


def some_counts(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return the counts of items, in no order and with ties, and how many are the head."""
    counts = rng.integers(1, 60, rng.integers(2, 40))
    return counts, int(rng.integers(1, len(counts) + 1))


def some_stars(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return ratings in half stars."""
    return (rng.integers(1, 11, rng.integers(1, 30)) / 2,)


def some_users(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return users, their ratings, and a number of users of whom some rated nothing."""
    n_users = int(rng.integers(2, 9))
    users = rng.integers(0, n_users, rng.integers(1, 30))
    return users, rng.integers(1, 11, len(users)) / 2, n_users


register(
    Exercise(
        "00.1",
        "density",
        number,
        cases=cases((6, 4, 3), (0, 4, 3), (12, 4, 3)),
        inputs=some_table,
        mistakes=[
            (
                "return n_ratings",
                "that is the number of ratings; a share of all cells is asked for.",
            ),
            ("return n_ratings / (n_users + n_items)", "a table of 4 × 3 has more than 7 cells."),
            (
                "return 100 * n_ratings / (n_users * n_items)",
                "a share is between 0 and 1, not a percentage.",
            ),
            (
                "return 1 - n_ratings / (n_users * n_items)",
                "that is the share of the *empty* cells.",
            ),
        ],
        hints=[
            "How many cells does a table of `n_users` rows and `n_items` columns have?",
            "Divide the number of ratings by `n_users * n_items`.",
        ],
        minutes=2,
    ),
    Quiz(
        "00.q1",
        "Why is the corner of ten users and ten items so much fuller than the whole table?",
        "c",
        {
            "Because ten is a small number: small tables are always fuller.": "A random corner of ten by ten would be as empty as the rest. How were these ten chosen?",
            "Because those users rated everything.": "There are white cells in the corner, so they did not. How were the ten chosen?",
            "Because we picked the rows and the columns with the most ratings.": "They were chosen for their many ratings, so there are many ratings to find. A random corner would be as empty as the rest.",
        },
    ),
    Exercise(
        "00.2",
        "head_share",
        number,
        cases=cases((np.array([1, 5, 2, 2]), 2), (np.array([1, 5, 2, 2]), 4)),
        inputs=some_counts,
        mistakes=[
            (
                "return counts[:top].sum() / counts.sum()",
                "the counts come in any order: take the *largest*.",
            ),
            ("return np.sort(counts)[:top].sum() / counts.sum()", "those are the smallest counts."),
            (
                "return np.sort(counts)[::-1][:top].sum()",
                "a share of all ratings is asked for, not their number.",
            ),
            (
                "return 100 * np.sort(counts)[::-1][:top].sum() / counts.sum()",
                "that is a percentage; a share lies between 0 and 1.",
            ),
            (
                "return top / len(counts)",
                "that is the share of the *items*; add up their ratings.",
            ),
            (
                "return np.sort(counts)[::-1][:top].mean() / counts.mean()",
                "divide a sum by a sum, not a mean by a mean.",
            ),
        ],
        hints=[
            "Which items are the `top` most popular ones? Put the counts in order first, largest first.",
            "`np.sort(counts)[::-1][:top]` are the largest counts; divide their sum by the sum of all.",
        ],
        minutes=4,
    ),
    Quiz(
        "00.q2",
        "A shop shows everyone its 300 most popular items, and sells well. What does it learn about its other items?",
        "a",
        {
            "Little: hardly anyone sees them, so hardly anyone rates them.": "What is not shown is not rated. Chapter 10 returns to this loop.",
            "That people do not like them, since they do not buy them.": "Items that are not bought may be disliked or not seen. The data cannot tell the two apart.",
            "As much as about the popular ones. It only takes longer.": "Items that are not shown collect nearly nothing, however long it takes.",
        },
    ),
    Exercise(
        "00.3",
        "best_constant",
        number,
        cases=cases(
            (np.array([1.0, 1.0, 4.0]),), (np.array([1.0, 2.0, 2.0]),), (np.array([3.0, 3.0]),)
        ),
        inputs=some_stars,
        mistakes=[
            (
                "return np.median(stars)",
                "the median minimizes the *absolute* error, not the squared one.",
            ),
            (
                "return (stars.min() + stars.max()) / 2",
                "the middle of the range ignores how often each rating was given.",
            ),
            (
                "return np.round(stars.mean())",
                "the constant need not be a rating that somebody could give.",
            ),
            (
                "return np.round(2 * stars.mean()) / 2",
                "the constant need not be a rating that somebody could give.",
            ),
            (
                "return np.bincount((2 * stars).astype(int)).argmax() / 2",
                "the most frequent rating need not have the smallest squared error.",
            ),
        ],
        hints=[
            "Try 1, 2 and 3 on the ratings 1, 1, 4 by hand: which has the smallest sum of squares?",
            "Set the derivative of the sum of (c - r)² to zero: what is c?",
        ],
        minutes=3,
    ),
    Exercise(
        "00.4",
        "user_means",
        array,
        cases=cases((USERS, STARS, 4), (np.array([1]), np.array([2.0]), 2)),
        inputs=some_users,
        mistakes=[
            (
                "return np.bincount(users, weights=stars, minlength=n_users)",
                "those are sums; divide by how many there are.",
            ),
            (
                "return np.array([stars[users == u].mean() if (users == u).any() else 0 for u in range(n_users)])",
                "a user without a rating gets the mean of all ratings, not 0.",
            ),
            (
                "return np.array([stars[users == u].mean() if (users == u).any() else np.nan for u in range(n_users)])",
                "a user without a rating gets the mean of all ratings: 0 / 0 is not a number.",
            ),
            (
                "means = [stars[users == u].mean() if (users == u).any() else None for u in range(n_users)]\n"
                "known = np.mean([m for m in means if m is not None])\n"
                "return np.array([known if m is None else m for m in means])",
                "the mean of all *ratings* is asked for, not the mean of the users' means.",
            ),
            (
                "import pandas as pd\nreturn pd.Series(stars).groupby(users).mean().to_numpy()",
                "one entry for each of the `n_users` users, also for those without a rating.",
            ),
        ],
        hints=[
            "`np.bincount(users, minlength=n_users)` counts each user's ratings; `weights=` makes it add them up.",
            "Divide sums by counts where the count is positive, and use `np.where` for the other users.",
        ],
        minutes=6,
        stretch=True,
    ),
    Quiz(
        "00.q3",
        "A blog reports an RMSE of 0.80 on film ratings. What do you need before you can call it good?",
        "b",
        {
            "Nothing: less than one star is good.": "On ratings that vary by 0.7 stars a constant does better than 0.80.",
            "The data set, the split, and what a constant and other baselines reach on it.": "An error is small only in comparison, and only under the same protocol.",
            "The name of the model.": "The name says nothing about the data, the split or the baseline.",
        },
    ),
)
