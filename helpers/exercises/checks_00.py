"""Checks of chapter 00: density, the head of the long tail, the best constant, user means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect
from .grading import Exercise, Quiz
from .registry import register


def _close(a: Any, b: float) -> bool:
    return bool(np.isclose(float(a), b, rtol=1e-6, atol=1e-9))


def density(n_ratings: int, n_users: int, n_items: int) -> float:
    """Return the share of filled cells, between 0 and 1."""
    return n_ratings / (n_users * n_items)


def _density_of_toy_tables(f: Callable[..., Any]) -> None:
    expect(
        not _close(f(6, 4, 3), 6),
        "`density` must be a share of all cells, not the number of ratings.",
    )
    expect(
        not _close(f(6, 4, 3), 50), "`density` must be a share between 0 and 1, not a percentage."
    )
    expect(
        not _close(f(6, 4, 3), 6 / 7),
        "a table of 4 users and 3 items has more than 7 cells: how many does `density` divide by?",
    )
    expect(
        _close(f(6, 4, 3), 0.5),
        f"6 ratings in a table of 4 × 3: half of it is full, `density` says {f(6, 4, 3)}.",
    )
    expect(_close(f(0, 4, 3), 0), "a table without ratings must have `density` 0.")
    expect(_close(f(12, 4, 3), 1), "a full table must have `density` 1.")


def head_share(counts: Any, top: int) -> float:
    """Return the share of all ratings that the ``top`` largest counts make up."""
    return float(np.sort(counts)[::-1][:top].sum() / np.sum(counts))


def _head_of_toy_counts(f: Callable[..., Any]) -> None:
    counts = np.array([1, 5, 2, 2])
    expect(
        not _close(f(counts, 2), 6 / 10),
        "the counts come in any order: `head_share` of 1, 5, 2, 2 with top=2 must take the two largest.",
    )
    expect(
        not _close(f(counts, 2), 7),
        "`head_share` must be a share of all ratings, not their number.",
    )
    expect(
        not _close(f(counts, 2), 3 / 10), "`head_share` took the smallest counts, not the largest."
    )
    expect(
        _close(f(counts, 2), 0.7),
        f"of the counts 1, 5, 2, 2 the two largest hold 7 of 10 ratings; `head_share` says {f(counts, 2)}.",
    )
    expect(_close(f(counts, 4), 1), "all items together must have `head_share` 1.")
    expect(_close(f([3, 1], 1), 0.75), "`head_share` must also take a plain list of counts.")
    expect(
        list(counts) == [1, 5, 2, 2],
        "`head_share` must leave the counts it was given as they were.",
    )


def best_constant(stars: Any) -> float:
    """Return the constant with the smallest RMSE: the mean."""
    return float(np.mean(stars))


def _constant_of_toy_ratings(f: Callable[..., Any]) -> None:
    stars = np.array([1.0, 1.0, 4.0])
    expect(
        not _close(f(stars), 1.0),
        "for the ratings 1, 1, 4 the answer 1 (their median) makes the absolute error small, not the squared one.",
    )
    expect(
        not _close(f(stars), 2.5),
        "the middle between the smallest and the largest rating forgets that two of three people said 1.",
    )
    expect(
        _close(f(stars), 2.0), f"for 1, 1, 4 another constant has a smaller RMSE than {f(stars)}."
    )
    expect(_close(f([3.0, 3.0]), 3.0), "if everyone says 3, the best constant is 3.")


def user_means(users: Any, stars: Any, n_users: int) -> np.ndarray:
    """Return each user's mean rating, and the mean of all ratings for a user without one."""
    count = np.bincount(users, minlength=n_users)
    total = np.bincount(users, weights=stars, minlength=n_users)
    return np.where(count > 0, total / np.maximum(count, 1), np.mean(stars))


def _means_of_toy_users(f: Callable[..., Any]) -> None:
    users, stars = np.array([0, 2, 0, 2, 2]), np.array([5.0, 1.0, 3.0, 2.0, 3.0])
    got = np.asarray(f(users, stars, 4), dtype=float)
    expect(
        got.shape == (4,),
        f"`user_means` for 4 users must have 4 entries, it has shape {got.shape}.",
    )
    expect(
        not np.isnan(got).any(),
        "`user_means` of a user without a rating must be the mean of all ratings, not NaN.",
    )
    expect(_close(got[0], 4.0), f"user 0 gave 5 and 3 stars; `user_means` says {got[0]:g}.")
    expect(_close(got[2], 2.0), f"user 2 gave 1, 2 and 3 stars; `user_means` says {got[2]:g}.")
    expect(
        not _close(got[1], 0.0),
        "user 1 gave no rating: `user_means` must be the mean of all ratings there, not 0.",
    )
    expect(
        _close(got[1], 2.8) and _close(got[3], 2.8),
        f"users 1 and 3 gave no rating: the mean of all five ratings is expected, `user_means` says {got[1]:g}.",
    )


register(
    Exercise(
        "00.1",
        "density",
        [_density_of_toy_tables],
        [
            "How many cells has a table with 4 rows and 3 columns?",
            "Divide the number of ratings by `n_users * n_items`.",
        ],
        density,
        minutes=2,
    ),
    Quiz(
        "00.q1",
        "Why is the corner of ten users and ten items so much fuller than the whole table?",
        {
            "a": "Because ten is a small number: small tables are always fuller.",
            "b": "Because those users rated everything.",
            "c": "Because we picked the rows and the columns with the most ratings.",
        },
        "c",
        {
            "a": "A random corner of ten by ten would be as empty as the rest; how were these ten chosen?",
            "b": "There are white cells in the corner, so they did not; and how were the ten chosen?",
            "c": "We selected on what we then measured. A random corner would be as empty as the rest.",
        },
    ),
    Exercise(
        "00.2",
        "head_share",
        [_head_of_toy_counts],
        [
            "Which items are the `top` most popular ones? Put the counts in order first, largest first.",
            "`np.sort(counts)[::-1][:top]` are the largest counts; divide their sum by the sum of all.",
        ],
        head_share,
        minutes=4,
    ),
    Quiz(
        "00.q2",
        "A shop shows everyone its 300 most popular items, and sells well. What does it learn about the others?",
        {
            "a": "Little: hardly anyone meets them, so hardly anyone rates them.",
            "b": "That people do not like them, since they do not buy them.",
            "c": "As much as about the popular ones, it only takes longer.",
        },
        "a",
        {
            "a": "What is not shown is not rated. Chapter 10 returns to this loop.",
            "b": "They were not refused: they were not seen. The data cannot tell these two apart.",
            "c": "Without being shown they collect nearly nothing, however long it takes.",
        },
    ),
    Exercise(
        "00.3",
        "best_constant",
        [_constant_of_toy_ratings],
        [
            "Try 1, 2 and 3 on the ratings 1, 1, 4 by hand: which has the smallest sum of squares?",
            "Set the derivative of the sum of (c - r)² to zero: what is c?",
        ],
        best_constant,
        minutes=3,
    ),
    Exercise(
        "00.4",
        "user_means",
        [_means_of_toy_users],
        [
            "`np.bincount(users, minlength=n_users)` counts each user's ratings; `weights=` makes it add them up.",
            "Divide sums by counts where the count is positive, and use `np.where` for the other users.",
        ],
        user_means,
        minutes=6,
        stretch=True,
    ),
    Quiz(
        "00.q3",
        "A blog reports an RMSE of 0.80 on film ratings. What do you need before you can call it good?",
        {
            "a": "Nothing: less than one star is good.",
            "b": "The data set, the split, and what a constant and other baselines reach on it.",
            "c": "The name of the model.",
        },
        "b",
        {
            "a": "On ratings that vary by 0.7 stars a constant does better than 0.80.",
            "b": "An error is small only in comparison, and only under the same protocol.",
            "c": "The name says nothing about the data, the split or the baseline.",
        },
    ),
)
