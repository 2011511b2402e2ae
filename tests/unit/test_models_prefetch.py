"""Batches made one ahead come in order, as late as can be, and fail where they are asked for."""

from __future__ import annotations

import threading

import pytest

from helpers.models.training import one_ahead


def test_all_come_in_order_from_another_thread():
    makers = []

    def batches():
        for number in range(5):
            makers.append(threading.get_ident())
            yield number if number != 2 else None

    assert list(one_ahead(batches())) == [0, 1, None, 3, 4]
    assert len(set(makers)) == 1 and makers[0] != threading.get_ident()
    assert list(one_ahead(iter([]))) == []


def test_never_more_than_one_ahead():
    made = []
    ahead = one_ahead(made.append(n) or n for n in range(9))
    assert next(ahead) == 0
    ahead.close()
    assert made in ([0], [0, 1])


def test_what_fails_fails_in_its_turn():
    def batches():
        yield 1
        raise ValueError("no second batch")

    ahead = one_ahead(batches())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="no second batch"):
        next(ahead)
