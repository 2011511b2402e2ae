"""Exercises that give feedback, quizzes, and the progress of one learner.

In a notebook::

    from helpers.exercises import exercise, progress

    q1 = exercise("02.1")
    q1.check(rmse)          # PASS, FAIL, EXCEPTION or NOT ATTEMPTED
    q1.hint()               # the first hint, then the second
    q1.solution()           # the worked answer, read from the chapter's source
    rmse = q1.use(rmse)     # the learner's own once it is right, the course's until then

    exercise("02.q1").ask(choice)   # a quiz: buttons, or choice = "b"
    progress("02")                  # a bar for one chapter; progress() for all

The checks of chapter NN stand in ``checks_NN.py``; they see planted data only,
never a trained model.
"""

from .api import Exercise, Quiz, exercise, exercises_of, register
from .messages import Message, NotYet, Outcome, expect
from .progress import Progress, progress

__all__ = [
    "Exercise",
    "Message",
    "NotYet",
    "Outcome",
    "Progress",
    "Quiz",
    "exercise",
    "exercises_of",
    "expect",
    "progress",
    "register",
]
