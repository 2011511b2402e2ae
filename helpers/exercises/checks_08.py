"""Checks of chapter 08: trigrams, the cosine loss and its slope, genre affinity, the corrected batch softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import NotYet
from .converters import array, number
from .grading import Exercise, Quiz
from .registry import register

A = np.array([3.0, 4.0])
ROOT = np.sqrt(0.5)
TAKEN = np.array([[1.0, 0, 0], [ROOT, ROOT, 0]])
CANDIDATES = np.array([[1.0, 0, 0], [0, 1, 0], [0, ROOT, -ROOT], [0, 0, 0]])
LOG_Q = np.log([0.5, 0.2])
OVERFLOW = [
    (value, "scores of 2000 overflow in exp: take the largest of each row away first.")
    for value in (np.nan, np.inf)
]
LETTERS = list("abcdeZYXaaнжБЮ卧虎7-")


def words(value: Any, name: str) -> list[str]:
    """Return a list of texts."""
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, list | tuple) and all(isinstance(text, str) for text in value):
        return [*value]
    kind = "None" if value is None else f"a {type(value).__name__}"
    raise NotYet(f"`{name}` returned {kind}, expected a list of texts.")


def some_genres(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return films as rows of length 1, or of zeros where a film has no genre."""
    n_taken, n_candidates, n_genres = (int(n) for n in rng.integers(1, 8, 3))
    rows = rng.random((n_taken + n_candidates, n_genres)) < 0.5
    rows = rows / np.sqrt(np.maximum(1, rows.sum(axis=1)))[:, None]
    return rows[:n_taken], rows[n_taken:]


register(
    Quiz(
        "08.q1",
        "Factorization has a vector for every item number. What does it say about a film that nobody has rated?",
        "b",
        {
            "The mean of all films, since nothing else is known.": "That would be a sensible rule, and somebody would have to write it. Which step of training touches the row?",
            "Whatever its vector was before training: random numbers, and nothing ever moved them.": "A row of an embedding moves when a rating asks for it. No rating, no step.",
            "What it says of the films with neighboring numbers.": "Numbers are names: 17 is no closer to 18 than to 900. Which step of training touches the row?",
        },
    ),
    Exercise(
        "08.1",
        "trigrams",
        words,
        cases=cases(("cat",), ("CAT",), ("aaaa",), ("ж",)),
        inputs=lambda rng: ("".join(rng.choice(LETTERS, rng.integers(1, 13))),),
        mistakes={
            "return [word[i : i + 3] for i in range(len(word) - 2)]": "put a # before and after the word first, so that its ends count.",
            "word = '#' + word + '#'\nreturn [word[i : i + 3] for i in range(len(word) - 2)]": "capitals and small letters are one: make them small.",
            "word = '#' + word.lower() + '#'\nreturn [word[i : i + 3] for i in range(len(word))]": "every trigram has three characters: where does the last one start?",
            "word = '#' + word.lower() + '#'\nreturn [word[i : i + 3] for i in range(len(word) - 3)]": "is the last one missing?",
            "word = '#' + word.lower() + '#'\nreturn list(dict.fromkeys(word[i : i + 3] for i in range(len(word) - 2)))": "repetitions are kept: a bag counts.",
            "word = '#' + word.lower() + '#'\nreturn sorted(word[i : i + 3] for i in range(len(word) - 2))": "those are the right ones in another order: read the word from left to right.",
            "word = '#' + word.lower() + '#'\nreturn [word[i : i + 3] for i in range(0, len(word), 3)]": "the windows overlap: the next one begins one letter further.",
        }.items(),
        hints=[
            "Put a # at both ends of the word in small letters.",
            "A text of n characters has n - 2 windows of three: `marked[i : i + 3]` for i = 0 … n - 3.",
        ],
    ),
    Exercise(
        "08.2",
        "cosine_loss",
        number,
        cases=cases((A, A[::-1]), (A, 2 * A[::-1]), (A, -2 * A)),
        inputs=lambda rng: tuple(rng.normal(size=(2, 4)) * rng.gamma(2, 1, (2, 1))),
        mistakes={
            "return a @ b / np.sqrt((a @ a) * (b @ b))": "that is the cosine itself; a *loss* must be small where the vectors agree.",
            "return 1 - a @ b": "that is 1 minus the inner product: divide that by both lengths.",
            "return 1 - a @ b / ((a @ a) * (b @ b))": "that divides by the squares of the lengths.",
            "return 1 - a @ b / np.sqrt(a @ a) * np.sqrt(b @ b)": "of `x / y * z` only `y` is below the line: put both lengths into brackets.",
            "return 1 - abs(a @ b) / np.sqrt((a @ a) * (b @ b))": "opposite directions are the furthest apart, with a loss of 2.",
            "return 1 - a @ b / (a.sum() * b.sum())": "the length of a vector is the root of its sum of *squares*.",
        }.items(),
        hints=[
            "`a @ b` is the inner product. What must it be divided by?",
            "The length of a is `np.sqrt(a @ a)`, or `np.linalg.norm(a)`; divide by both lengths, then take it from 1.",
        ],
    ),
    Quiz(
        "08.q2",
        "Train two towers with the loss 1 - cosine on pairs that belong together, and on nothing else. What comes out?",
        "c",
        {
            "Good vectors, but training takes longer.": "More steps only bring the loss closer to its minimum. What does the minimum look like?",
            "Vectors that fit the training pairs, and are random elsewhere.": "The towers share their weights among all pairs. Which weights make every training pair agree at once?",
            "Every vector in one direction: loss 0, and every item scores 1 for everyone.": "It is `return 1.0` again. Something must push vectors apart: negatives.",
        },
    ),
    Exercise(
        "08.3",
        "cosine_slope",
        array,
        cases=cases((A, 2 * A[::-1]), (np.array([0.0, 2.0]), A)),
        inputs=lambda rng: tuple(rng.normal(size=(2, 4)) * rng.gamma(2, 1, (2, 1))),
        mistakes={
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn (v - (u @ v) * u) / np.sqrt(a @ a)": "that points downhill; a slope is the way *up*, and the optimizer takes its opposite.",
            "return -b / np.sqrt((a @ a) * (b @ b))": "the length of a moves as well: that adds the part along a.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn (u @ v) * u - v": "a twice as long needs twice the step for the same turn: divide by a's length once more.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn (u - v) / np.sqrt(a @ a)": "stretching a does not change the loss, so the slope must be at a right angle to a.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn u - v": "stretching a does not change the loss, so the slope must be at a right angle to a.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn ((u @ v) * v - u) / np.sqrt(b @ b)": "that is the slope for b.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn ((u @ v) * u - v) / (a @ a)": "that divides by a's length twice.",
        }.items(),
        hints=[
            "With u = a / ‖a‖ and v = b / ‖b‖ the loss is 1 - u·v. Stretching a changes nothing: which part of v is left?",
            "The part of v along u is `(u @ v) * u`. The slope is minus the rest of v, divided by the length of a.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "08.4",
        "genre_affinity",
        array,
        cases=cases((TAKEN, CANDIDATES), (TAKEN[1:], CANDIDATES[:3])),
        inputs=some_genres,
        mistakes={
            "return (candidates @ taken.T).sum(axis=1)": "that adds the cosines; with the *mean*, people who took much and little can be compared.",
            "return (candidates @ taken.T).max(axis=1)": "that is the best match only; every film the user took has a say.",
            "return candidates @ taken.T": "that holds every cosine; one number for each candidate is wanted.",
            "return (candidates @ taken.T).mean(axis=0)": "that is the mean over the candidates, one number for each film taken.",
            "mean = taken.mean(axis=0)\nreturn candidates @ mean / np.sqrt(mean @ mean)": "that is the cosine with the mean row; the mean of the cosines is wanted.",
            "lengths = np.linalg.norm(candidates, axis=1)[:, None] * np.linalg.norm(taken, axis=1)\nreturn (candidates @ taken.T / lengths).mean(axis=1)": "a film without a genre has the length 0, and 0 / 0 is not a number: the rows need no other length.",
        }.items(),
        hints=[
            "The rows have length 1, so `candidates @ taken.T` holds every cosine.",
            "Take the mean over the films the user took, for each candidate.",
        ],
    ),
    Exercise(
        "08.5",
        "batch_loss",
        number,
        cases=[
            *cases(
                (np.zeros((3, 3)), np.log([0.2, 0.2, 0.2])),
                (np.array([[2.0, 0.0], [1.0, 4.0]]), np.log([0.5, 0.1])),
            ),
            Case((np.array([[2000.0, 0.0], [0.0, 1.0]]), LOG_Q), wrong=OVERFLOW),
            Case((np.array([[0.0, 2000.0], [1.0, 3.0]]), LOG_Q), wrong=OVERFLOW),
        ],
        inputs=lambda rng: (
            rng.normal(size=(5, 5)) * rng.choice([1, 4]),
            np.log(rng.uniform(0.001, 0.9, 5)),
        ),
        mistakes={
            "z = scores - log_q\nz = z - z.max(axis=1, keepdims=True)\nreturn np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))": "a loss is *minus* the log of a probability.",
            "z = scores - log_q\nz = z - z.max(axis=1, keepdims=True)\nreturn -np.sum(np.diag(z) - np.log(np.exp(z).sum(axis=1)))": "the mean over the rows is wanted, not their sum.",
            "z = scores - scores.max(axis=1, keepdims=True)\nreturn -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))": "that is the same for popular and for rare items: where does it use `log_q`?",
            "z = scores + log_q\nz = z - z.max(axis=1, keepdims=True)\nreturn -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))": "that *adds* log Q: popular films are negatives too often already, and this pushes them down a second time. Subtract it.",
            "z = scores.T - log_q\nz = z - z.max(axis=1, keepdims=True)\nreturn -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))": "row r is a user and column c an item: the softmax must run over the items of a row.",
            "z = scores - log_q\nz = z - z.max(axis=0)\nreturn -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=0)))": "row r is a user and column c an item: the softmax must run over the items of a row.",
            "z = scores - log_q\nz = z - z.max()\nreturn -np.mean(np.diag(z) - np.log(np.exp(z).sum(axis=1)))": "the largest of *each row* must be taken away: after the largest of all, a whole row can vanish in exp.",
            "z = scores - log_q\np = np.exp(z - z.max(axis=1, keepdims=True))\nreturn -np.mean(np.log(np.diag(p / p.sum(axis=1, keepdims=True))))": "a probability can be too small for a float: take the logarithm before the softmax is computed, not after.",
        }.items(),
        hints=[
            "Subtract `log_q[None, :]` from the scores, then the largest number of each row, so that exp cannot overflow.",
            "log softmax is the logit minus the log of the row's sum of exp; its diagonal holds the positives.",
        ],
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "08.q3",
        "Which of these may a model of this chapter not use for a held-out film?",
        "a",
        {
            "How many people rated it.": "On its first day nobody has rated a film. Its count is part of what the test asks for.",
            "The year it came out.": "The catalog knows the year on the first day.",
            "The years of the films that the user rated in training.": "They belong to the user and to other films. They were known before the held-out film came.",
        },
    ),
)
