"""Exercises of chapter 02, matrix factorization: tiny tables whose right answers are known by hand."""

from __future__ import annotations

from . import checks_02_model as model
from . import checks_02_training as training
from .grading import Exercise, Quiz
from .registry import register

register(
    Exercise(
        "02.1",
        "rmse",
        model.CHECKS["02.1"],
        [
            "Read the name backwards: error, squared, mean, root.",
            "`np.mean` and `np.sqrt` do two of the four steps.",
        ],
        model.rmse,
        minutes=3,
    ),
    Exercise(
        "02.2",
        "predict_bias",
        model.CHECKS["02.2"],
        [
            "An array of indices inside square brackets picks one entry for each of them.",
            "`user_bias[users]` is already the right length; two more terms are missing.",
        ],
        model.predict_bias,
    ),
    Exercise(
        "02.3",
        "lookup_by_product",
        model.CHECKS["02.3"],
        [
            "Row i of an identity matrix is the one-hot vector of i.",
            "`np.eye(len(table))[indices]` is the one-hot matrix; the product takes one more character, `@`.",
        ],
        model.lookup_by_product,
    ),
    Exercise(
        "02.4",
        "count_parameters",
        model.CHECKS["02.4"],
        [
            "Draw the two tables: how many rows and columns does each have?",
            "With biases there is one more number for each row of each table, and one for the whole model.",
        ],
        model.count_parameters,
        minutes=3,
    ),
    Exercise(
        "02.5",
        "pair_gradient",
        training.CHECKS["02.5"],
        [
            "Differentiate half the square first: the outer slope is the error itself.",
            "The prediction is p · q, so its slope with respect to p is q, and the other way round.",
        ],
        training.pair_gradient,
        minutes=8,
    ),
    Exercise(
        "02.6",
        "sgd_step",
        training.CHECKS["02.6"],
        [
            "Take both gradients before you move anything.",
            "Against the gradient means minus: `p - learning_rate * of_user`, and the same for q.",
        ],
        training.sgd_step,
    ),
    Exercise(
        "02.7",
        "best_epoch",
        training.CHECKS["02.7"],
        [
            "Keep two things while you walk through the list: where the best error so far was, and how far you have come since.",
            "Leave the loop when `epoch - best >= patience`, and return the best, counted from 1.",
        ],
        training.best_epoch,
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "02.8",
        "nearest",
        training.CHECKS["02.8"],
        [
            "One matrix product gives all inner products with the item; what is left is to divide by lengths and to sort.",
            "`np.linalg.norm(vectors, axis=1)` gives the lengths; `np.argsort(-cosine)` sorts downwards.",
        ],
        training.nearest,
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "02.q1",
        "Three users, three films, one number each. How many of the six numbers does one SGD step on one rating change?",
        "b",
        {
            "all six": "Only the rows that made the prediction have a slope; for the others it is zero.",
            "two": "The user's number and the film's number; the other four had no part in the prediction.",
            "one": "The prediction has two factors, and both have a slope.",
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
            "the viewers of rare films share a taste with it": "Perhaps, but the model cannot know it: it saw a handful of ratings of each.",
            "a vector fitted to one rating can point anywhere, and among thousands of such some point here": "Chance directions, and many of them. With twenty ratings a direction has to please twenty people.",
            "the training stopped too early for them": "More epochs fit the same few ratings more closely; they bring no new ones.",
        },
    ),
)
