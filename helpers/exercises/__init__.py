"""Exercises that give feedback, quizzes, and the progress of one learner.

In a notebook::

    from helpers.exercises import exercise, progress

    q1 = exercise("02.1")
    q1.check(rmse)          # PASS, FAIL, EXCEPTION or NOT ATTEMPTED
    q1.hint()               # the first hint, then the second
    q1.solution()           # the worked answer, read from the chapter's source
    rmse = q1.use(rmse)     # the learner's own once it is right, the course's until then

    exercise("02.q1").ask(choice)   # a quiz: buttons, or choice = "b"
    guess("02", "Which?", ["A"])    # a guess, kept; guess("02").meets("A") quotes it
    progress("02")                  # a bar for one chapter; progress() for all
    reset("02")                     # start a chapter over

The checks of chapter NN are in ``checks_NN.py``; they see planted data only, never a trained model.
"""

from .guesses import guess
from .messages import Outcome
from .progress_file import reset
from .registry import exercise, exercises_of, progress
from .source import REGION

__all__ = ["REGION", "Outcome", "exercise", "exercises_of", "guess", "progress", "reset"]
