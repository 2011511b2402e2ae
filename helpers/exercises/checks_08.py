"""Checks of chapter 08: trigrams, the cosine loss and its slope, genre affinity, the corrected batch softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .checking import expect, numbers
from .grading import Exercise, Quiz
from .registry import register


def _close(a: Any, b: Any) -> bool:
    return bool(np.allclose(a, b, rtol=1e-4, atol=1e-6))


# 08.1


def trigrams(word: str) -> list[str]:
    """Return the letter trigrams of one word between two ``#``."""
    marked = f"#{word.lower()}#"
    return [marked[i : i + 3] for i in range(len(marked) - 2)]


def _trigrams_of_words(f: Callable[..., Any]) -> None:
    got = f("cat")
    expect(
        isinstance(got, list | tuple | np.ndarray) and all(isinstance(t, str) for t in got),
        f"`trigrams` returned a {type(got).__name__}, expected a list of strings.",
    )
    got = list(got)
    expect(
        got != ["cat"],
        "`trigrams('cat')` gave only the word itself: put a # before and after it first, so that its ends count.",
    )
    expect(
        len(got) >= 3,
        f"a word of 3 letters has 3 trigrams with its # marks; `trigrams` found {len(got)}: is the last one missing?",
    )
    expect(
        all(len(t) == 3 for t in got),
        "every trigram has three characters; `trigrams('cat')` holds one that has not: where does the last one start?",
    )
    expect(
        sorted(got) == sorted(trigrams("cat")),
        f"'cat' between two # is '#cat#', read three at a time; `trigrams` says {got}.",
    )
    expect(
        sorted(f("CAT")) == sorted(trigrams("cat")),
        "'CAT' and 'cat' are one word: `trigrams` must not tell capitals from small letters.",
    )
    expect(
        sorted(f("aaaa")) == sorted(trigrams("aaaa")),
        "'aaaa' has 'aaa' twice: `trigrams` must keep both, a bag counts.",
    )
    expect(
        list(f("ж")) == ["#ж#"],
        "one letter of any script has one trigram: `trigrams('ж')` is '#ж#'.",
    )


# 08.2


def cosine_loss(a: Any, b: Any) -> float:
    """Return 1 - cosine of two vectors."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return float(1 - a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))


def _loss_of_toy_vectors(f: Callable[..., Any]) -> None:
    a, b = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    got = numbers(f(a, b), "cosine_loss", ())
    expect(
        not _close(got, 0.96),
        "`cosine_loss` gave the cosine itself; a *loss* must be small where the vectors agree.",
    )
    expect(
        not _close(got, -23),
        "`cosine_loss` gave 1 minus the inner product: divide that by both lengths.",
    )
    expect(
        not _close(got, 1 - 24 / 625),
        "for (3, 4) and (4, 3) both lengths are 5; `cosine_loss` divided by the squares of the lengths.",
    )
    expect(
        _close(got, 0.04),
        f"(3, 4) and (4, 3): inner product 24, lengths 5 and 5; `cosine_loss` says {float(got):.4g}.",
    )
    for c, wanted, what in (
        ([6, 8], 0, "the same direction"),
        ([-3, -4], 2, "opposite directions"),
        ([4, -3], 1, "a right angle"),
    ):
        got = numbers(f(a, np.array(c, float)), "cosine_loss", ())
        expect(
            _close(got, wanted),
            f"(3, 4) and ({c[0]}, {c[1]}) have {what}: `cosine_loss` says {float(got):.4g}.",
        )


# 08.3


def cosine_slope(a: Any, b: Any) -> np.ndarray:
    """Return the slope of the cosine loss for ``a``."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    length_a, length_b = np.sqrt(a @ a), np.sqrt(b @ b)
    cosine = a @ b / (length_a * length_b)
    return (cosine * a / length_a - b / length_b) / length_a


def _slope_of_toy_vectors(f: Callable[..., Any]) -> None:
    a, b = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    right = cosine_slope(a, b)
    got = numbers(f(a, b), "cosine_slope", (2,))
    expect(
        not _close(got, -right),
        "`cosine_slope` points downhill; a slope is the way *up*, and the optimizer takes its opposite.",
    )
    expect(
        not _close(got, -b / 25),
        "`cosine_slope` forgot that the length of a moves as well: that adds the part along a.",
    )
    expect(
        abs(float(got @ a)) < 1e-6,
        "stretching a does not change the loss, so the slope must be at a right angle to a; "
        f"`cosine_slope` has an inner product of {float(got @ a):.3g} with it.",
    )
    expect(
        not _close(got, right * 5),
        "a twice as long needs twice the step for the same turn: `cosine_slope` must divide by a's length once more.",
    )
    expect(
        _close(got, right),
        f"`cosine_slope` has the right direction for (3, 4) and (4, 3), but a length of {np.linalg.norm(got):.3g}.",
    )
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 5))
    got = numbers(f(a, b), "cosine_slope", (5,))
    expect(
        _close(got, cosine_slope(a, b)),
        "for five numbers `cosine_slope` does not agree with a small step of the loss in every direction.",
    )


# 08.4


def genre_affinity(taken: Any, candidates: Any) -> np.ndarray:
    """Return the mean cosine of each candidate with what the user took: unit rows in, (n_candidates,) out."""
    return np.asarray(candidates, float) @ np.asarray(taken, float).mean(axis=0)


def _affinity_of_toy_genres(f: Callable[..., Any]) -> None:
    s = np.sqrt(0.5)
    taken = np.array([[1.0, 0, 0], [s, s, 0]])
    candidates = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    right = genre_affinity(taken, candidates)
    got = numbers(f(taken, candidates), "genre_affinity", (4,))
    expect(
        not _close(got, right * 2),
        "`genre_affinity` added the cosines; with the *mean*, people who took much and little can be compared.",
    )
    expect(
        not _close(got, (candidates @ taken.T).max(axis=1)),
        "`genre_affinity` took the best match only; every film the user took has a say.",
    )
    expect(
        _close(got, right),
        "two films taken, (1, 0, 0) and (0.71, 0.71, 0): the candidate (1, 0, 0) has cosines 1 and 0.71 with them; "
        f"`genre_affinity` says {float(got[0]):.3g} for it.",
    )
    got = numbers(f(taken[:1], candidates[:2]), "genre_affinity", (2,))
    expect(_close(got, [1, 0]), "`genre_affinity` must also work for a user who took one film.")


# 08.5


def batch_loss(scores: Any, log_q: Any) -> float:
    """Return the mean over rows of -log softmax(scores - log_q) on the diagonal."""
    logits = np.asarray(scores, float) - np.asarray(log_q, float)[None, :]
    logits = logits - logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-np.diag(log_p).mean())


def _loss_of_toy_batches(f: Callable[..., Any]) -> None:
    flat, equal = np.zeros((3, 3)), np.log(np.full(3, 0.2))
    got = numbers(f(flat, equal), "batch_loss", ())
    expect(
        not _close(got, -np.log(3)),
        "`batch_loss` is negative where all scores are equal: a loss is *minus* the log of a probability.",
    )
    expect(
        not _close(got, 3 * np.log(3)),
        "`batch_loss` added the rows; the mean over the rows is wanted.",
    )
    expect(
        _close(got, np.log(3)),
        f"three equal scores, equally popular items: each has 1/3, so the loss is log 3; `batch_loss` says {float(got):.4g}.",
    )
    scores, log_q = np.array([[2.0, 0.0], [1.0, 4.0]]), np.log([0.5, 0.1])
    got = numbers(f(scores, log_q), "batch_loss", ())
    expect(
        not _close(got, batch_loss(scores, 0 * log_q)),
        "`batch_loss` is the same for popular and for rare items: where does it use `log_q`?",
    )
    expect(
        not _close(got, batch_loss(scores, -log_q)),
        "`batch_loss` *adds* log Q: popular films are negatives too often already, and this pushes them down a second "
        "time. Subtract it.",
    )
    rows = scores - log_q[:, None]
    expect(
        not _close(got, batch_loss(rows, 0 * log_q)),
        "`batch_loss` shifts whole rows, which changes no softmax: log Q belongs to the item, so to the *column*.",
    )
    expect(
        not _close(got, batch_loss(scores.T - log_q, 0 * log_q)),
        "row r is a user and column c an item: the softmax of `batch_loss` must run over the items of a row.",
    )
    expect(
        _close(got, batch_loss(scores, log_q)),
        f"a batch of two, scores (2, 0) and (1, 4), Q = 0.5 and 0.1: `batch_loss` says {float(got):.4g}.",
    )
    got = numbers(f(np.array([[2000.0, 0], [0, 2000]]), np.log([0.5, 0.5])), "batch_loss", ())
    expect(
        bool(np.isfinite(got)) and _close(got, 0),
        "scores of 2000 overflow in exp: `batch_loss` must take the largest of each row away first.",
    )


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
        [_trigrams_of_words],
        [
            "Put a # at both ends of the word in small letters.",
            "A text of n characters has n - 2 windows of three: `marked[i : i + 3]` for i = 0 … n - 3.",
        ],
        trigrams,
        minutes=5,
    ),
    Exercise(
        "08.2",
        "cosine_loss",
        [_loss_of_toy_vectors],
        [
            "`a @ b` is the inner product. What must it be divided by?",
            "The length of a is `np.sqrt(a @ a)`, or `np.linalg.norm(a)`; divide by both lengths, then take it from 1.",
        ],
        cosine_loss,
        minutes=5,
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
        [_slope_of_toy_vectors],
        [
            "With u = a / ‖a‖ and v = b / ‖b‖ the loss is 1 - u·v. Stretching a changes nothing: which part of v is left?",
            "The part of v along u is `(u @ v) * u`. The slope is minus the rest of v, divided by the length of a.",
        ],
        cosine_slope,
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "08.4",
        "genre_affinity",
        [_affinity_of_toy_genres],
        [
            "The rows have length 1, so `candidates @ taken.T` holds every cosine.",
            "Take the mean over the films the user took, for each candidate.",
        ],
        genre_affinity,
        minutes=5,
    ),
    Exercise(
        "08.5",
        "batch_loss",
        [_loss_of_toy_batches],
        [
            "Subtract `log_q[None, :]` from the scores, then the largest number of each row, so that exp cannot overflow.",
            "log softmax is the logit minus the log of the row's sum of exp; its diagonal holds the positives.",
        ],
        batch_loss,
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
