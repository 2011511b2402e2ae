"""Checks of chapter 08: trigrams, towers, histories, gradients, batch softmax, votes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from helpers import gates

from . import source
from .cases import Case, cases
from .checking import NotYet, expect
from .converters import array, number, single
from .grading import Exercise, Quiz
from .registry import register

A = np.array([3.0, 4.0])
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


COSINES = np.array([[0.9, 0.2, 0.7, 0.5], [-0.1, 0.8, -0.3, 0.6]])
ALLOWED = np.array([[False, True, True, True], [True, False, False, False]])
OWN = np.array([[1.0, 0.0], [2.0, 2.0], [0.5, -1.0]])


def some_votes(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return cosines without ties, a mask, and a number of neighbors, at times too large."""
    shape = tuple(rng.integers(1, 8, 2))
    cosines = rng.permutation(np.linspace(-0.4, 1, int(np.prod(shape)))).reshape(shape)
    return cosines, rng.random(shape) < 0.6, int(rng.integers(1, 7))


def some_batch(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return sums, counts and own rows of a batch; some users took one film only."""
    size, k = (int(n) for n in rng.integers(1, 6, 2))
    counts, own = rng.integers(1, 6, size), rng.normal(size=(size, k))
    return own + (counts > 1)[:, None] * rng.normal(size=(size, k)), counts, own


def _vectors(model: Any, parts: dict[str, np.ndarray]) -> np.ndarray:
    """Return a network's output once weights of one shape have one value, in whatever order."""
    for weight in model.weights:
        places = np.indices(weight.shape)
        weight.assign(np.sin(sum((i % 32 + 1) * (3 + n) for n, i in enumerate(places))) / 2)
    return np.asarray(model(parts))


def _item_tower(item_tower: Callable[..., Any]) -> None:
    """Build both towers over three parts; compare shapes, lengths, parameters and vectors."""
    keras, rng = gates.import_keras(), np.random.default_rng(0)
    widths = {"genres": 7, "year": 3, "vectors": 4}
    parts = {name: rng.random((5, n)).astype(np.float32) for name, n in widths.items()}
    ours, theirs = (
        build({name: keras.Input(rows.shape[1:], name=name) for name, rows in parts.items()})
        for build in (source.make("08.6", "item_tower"), item_tower)
    )
    kind, is_model = type(theirs).__name__, isinstance(theirs, keras.Model)
    expect(is_model, f"`item_tower` returned a {kind}, expected `keras.Model(given, vectors)`.")
    got = np.asarray(theirs(parts))
    expect(got.shape == (5, 32), f"vectors have the shape {got.shape} for 5 films, not (5, 32).")
    lengths = np.linalg.norm(got, axis=1)
    said = f"the vectors have lengths from {lengths.min():.2g} to {lengths.max():.2g}"
    expect(
        np.allclose(lengths, 1, atol=1e-3), f"{said}: divide each by its length, as the last step."
    )
    got = _vectors(theirs, parts)
    for name, rows in parts.items():
        still = np.allclose(got, theirs(parts | {name: rows[::-1] + 1}), atol=1e-6)
        expect(not still, f"`{name}` changes nothing in the vectors: read every part of `given`.")
    size, right = theirs.count_params(), ours.count_params()
    added = right - size == 2 * 32 * 64
    hint = ": put the parts side by side, do not add them" if added else ""
    said = f"the tower has {size:,} parameters, expected {right:,}"
    expect(
        size == right,
        f"{said}{hint or ': those of the readers, of a layer of 64 and of one of 32'}.",
    )
    fits = np.allclose(got, _vectors(ours, parts), atol=1e-4)
    said = "with the same weights it gives other vectors"
    expect(fits, f"{said}: a ReLU follows the layer of 64, and none the layer of 32.")


register(
    Quiz(
        "08.q4",
        "Factorization has a row for every item number. In which order does it put the films that nobody has rated?",
        "b",
        {
            "By how good they are: a row learns from the rows beside it.": "A row moves when one of its own ratings asks for it. Which rating asks for these?",
            "In a random order: their rows still hold the random numbers they started with.": "A row of an embedding moves when a rating asks for it. Without ratings it stays where it was, and so does its place in the list.",
            "By their item numbers: films with neighboring numbers stand together.": "Numbers are names: 17 is no closer to 18 than to 900. Which step of training touches the row?",
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
        "08.6",
        "item_tower",
        checks=[_item_tower],
        hints=[
            "One output per part: `READERS[name](part)` for each name and part of `given.items()`. `layers.Concatenate()` takes their list.",
            "Then `layers.Dense(64, activation='relu')`, `layers.Dense(32)` and `layers.UnitNormalization()`, each called with what the layer before it returned.",
        ],
        minutes=10,
        seconds=60,
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
        "cosine_gradient",
        array,
        cases=cases((A, 2 * A[::-1]), (np.array([0.0, 2.0]), A)),
        inputs=lambda rng: tuple(rng.normal(size=(2, 4)) * rng.gamma(2, 1, (2, 1))),
        mistakes={
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn (v - (u @ v) * u) / np.sqrt(a @ a)": "that points downhill; a gradient is the way *up*, and the optimizer takes its opposite.",
            "return -b / np.sqrt((a @ a) * (b @ b))": "the length of a moves as well: that adds the part along a.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn (u @ v) * u - v": "a twice as long needs twice the step for the same turn: divide by a's length once more.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn (u - v) / np.sqrt(a @ a)": "a longer a has the same loss, so the gradient must be at a right angle to a.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn u - v": "a longer a has the same loss, so the gradient must be at a right angle to a.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn ((u @ v) * v - u) / np.sqrt(b @ b)": "that is the gradient for b.",
            "u, v = a / np.sqrt(a @ a), b / np.sqrt(b @ b)\nreturn ((u @ v) * u - v) / (a @ a)": "that divides by a's length twice.",
        }.items(),
        hints=[
            "With u = a / ‖a‖ and v = b / ‖b‖ the loss is 1 - u·v. A longer a changes nothing: which part of v is left?",
            "The part of v along u is `(u @ v) * u`. The gradient is minus the rest of v, divided by the length of a.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "08.8",
        "other_films",
        array,
        cases=cases(
            (OWN + [[3.0, 1.0], [0, 4], [2, 2]], np.array([2, 3, 5]), OWN),
            (OWN + [[3.0, 1.0], [0, 0], [0, 0]], np.array([4, 1, 1]), OWN),
        ),
        inputs=some_batch,
        mistakes={
            "return sums / counts[:, None]": "that is the mean of all films, the pair's own one included: the tower could copy it.",
            "return (sums - own) / counts[:, None]": "one film is gone from the sum: how many are left to divide by?",
            "return sums - own": "that is the sum of the other films; their mean is asked for.",
            "return sums / counts[:, None] - own": "take the own row away from the *sum*, before the division.",
            "return (sums - own) / (counts - 1)[:, None]": "a user with one film has no other: 0 / 0 is not a number, and zeros are asked for.",
            "return sums / np.maximum(counts - 1, 1)[:, None]": "the own row is still in the sum.",
        }.items(),
        hints=[
            "Without the pair's own film the sum is `sums - own`. How many films is that?",
            "`counts - 1` films are left, and `np.maximum(counts - 1, 1)` is never 0. Give it a second axis with `[:, None]`.",
        ],
        minutes=6,
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
    Exercise(
        "08.7",
        "votes",
        single,
        cases=cases(
            (COSINES, np.ones((2, 4), bool), 2),
            (COSINES, ALLOWED, 2),
            (COSINES[:, :2], ALLOWED[:, :2], 3),
        ),
        inputs=some_votes,
        mistakes={
            "least = np.sort(cosines, axis=1)[:, ::-1][:, min(neighbors, cosines.shape[1]) - 1]\nreturn np.where(cosines >= least[:, None], cosines, 0)": "`allowed` is not used: films that may not vote still do.",
            "least = np.sort(cosines, axis=1)[:, ::-1][:, min(neighbors, cosines.shape[1]) - 1]\nreturn np.where(allowed & (cosines >= least[:, None]), cosines, 0)": "first leave out who may not vote, then count neighbors: a film that may not vote took the place of one that may.",
            "return np.where(allowed, cosines, 0)": "only the `neighbors` largest of each row vote.",
            "few = min(neighbors, cosines.shape[1])\nranked = np.where(allowed, cosines, 0)\nleast = np.sort(ranked, axis=1)[:, [-few]]\nreturn np.where(allowed & (ranked >= least), cosines, 0)": "a film that may not vote must rank last: a 0 ranks above a negative cosine.",
            "few = min(neighbors, cosines.shape[1])\nranked = np.where(allowed, cosines, -np.inf)\nleast = np.sort(ranked, axis=1)[:, [-few]]\nreturn np.where(ranked >= least, cosines, 0)": "where fewer are allowed than `neighbors`, films that may not vote fill up the rest.",
            "few = min(neighbors, len(cosines))\nranked = np.where(allowed, cosines, -np.inf)\nleast = np.sort(ranked, axis=0)[[-few]]\nreturn np.where(allowed & (ranked >= least), cosines, 0)": "a row is a new film: its neighbors are chosen along the row.",
            "few = min(neighbors, cosines.shape[1])\nranked = np.where(allowed, cosines, -np.inf)\nleast = np.sort(ranked, axis=1)[:, [-few]]\nreturn (allowed & (ranked >= least)) * 1.0": "a vote counts its cosine, not 1.",
        }.items(),
        hints=[
            "Who may not vote must never be among the largest: rank `np.where(allowed, cosines, -np.inf)`.",
            "`np.sort(ranked, axis=1)[:, [-few]]` is the smallest cosine that still votes, with `few = min(neighbors, cosines.shape[1])`. Keep what is allowed and not below it.",
        ],
        minutes=8,
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
