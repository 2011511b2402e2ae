"""Checks, from both sides: no right answer fails, no wrong one passes."""

from __future__ import annotations

import importlib
import inspect

import numpy as np
import pytest

from helpers import book
from helpers.exercises import Outcome, exercises_of, source
from helpers.exercises.cases import same

from .mutants import python_mutants, sql_mutants

CHAPTERS = [s.name[:2] for s in book.sources()]


def answers(chapter):
    return importlib.import_module(f"tests.exercises.answers_{chapter}")


def coding(chapter):
    return [q for q in exercises_of(chapter) if ".q" not in q.id]


def graded(q, body):
    return q.grade(source.make(q.id, q.name, body))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_mistakes_fail_with_the_message_meant_for_them(chapter):
    """The rules of the checks themselves, and mistakes that others put in other words."""
    bad = []
    for q in exercises_of(chapter):
        mistakes = answers(chapter).MISTAKES[q.id]
        assert len(mistakes) >= (2 if ".q" in q.id else 3), q.id
        for body, words in [*mistakes, *q.mistakes]:
            said = graded(q, body)
            if said.outcome is not Outcome.FAIL or words not in said.text:
                bad.append(f"{q.id} expected {words!r}:\n{body}\n{said}")
    assert not bad, "\n\n".join(bad)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_right_answers_of_other_idioms_pass(chapter):
    bad = []
    for q in coding(chapter):
        idioms = answers(chapter).IDIOMS[q.id]
        assert len(idioms) >= 4, q.id
        bad += [f"{b}\n{s}" for b in idioms if (s := graded(q, b)).outcome is not Outcome.PASS]
    assert not bad, "\n\n".join(bad)


def mutants_of(q):
    body = source.worked(q.id)
    if q.asked:
        query = source.make(q.id, q.name)
        if isinstance(query, str):
            return {k: f"{q.name} = {v!r}" for k, v in sql_mutants(query).items()}
    reference = q.reference
    parameters = [*inspect.signature(reference).parameters] if callable(reference) else []
    return python_mutants(body, parameters)


def outcome_of(q, body):
    try:
        answer = source.make(q.id, q.name, body)
    except Exception:
        return Outcome.EXCEPTION  # the cell itself raises
    return q.grade(answer).outcome


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_mutant_fails_or_is_proved_equivalent(chapter, record_property, monkeypatch):
    listed = answers(chapter).EQUIVALENT
    survivors, lines = [], []
    for q in coding(chapter):
        monkeypatch.setattr(q, "seconds", 2.0)
        mutants, equal = mutants_of(q), listed.get(q.id, {})
        assert set(equal) <= set(mutants), f"{q.id}: no such mutants {set(equal) - set(mutants)}"
        killed = 0
        for line, body in mutants.items():
            outcome = outcome_of(q, body)
            killed += outcome is not Outcome.PASS
            if (outcome is Outcome.PASS) != (line in equal):
                survivors.append(f"{q.id} {outcome.value}: {line}")
        score = f"{q.id} {killed}/{len(mutants) - len(equal)}"
        lines.append(score + (f" (+{len(equal)} equal)" if equal else ""))
    record_property("scores", lines)
    assert not survivors, "\n".join(survivors)


def values(q, answer, cases):
    """Return what an answer gives for each case, as its check would compare it."""
    function = q.asked(answer) if q.asked else answer
    came = [case.call(function)[0] for case in cases]
    return [q.gives(value, q.name) for value in came] if q.gives else came


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_equivalent_mutants_agree_on_2000_random_inputs(chapter):
    differ = []
    for q in [q for q in coding(chapter) if answers(chapter).EQUIVALENT.get(q.id)]:
        bodies, cases = mutants_of(q), q.random_cases(2_000)
        assert cases, f"{q.id} has no random inputs"
        with np.errstate(all="ignore"):
            right = values(q, q.reference, cases)
            for line in answers(chapter).EQUIVALENT[q.id]:
                came = values(q, source.make(q.id, q.name, bodies[line]), cases)
                wrong = [c for c, v, r in zip(cases, came, right, strict=True) if not same(v, r)]
                differ += [f"{q.id} {line}: {case.described(q.name)}" for case in wrong[:1]]
    assert not differ, "\n".join(differ)
