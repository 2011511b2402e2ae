"""Requests that share one run of a model: each gets its own answer, whatever the others sent."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from helpers.cloud.serving.tfs_batch import MOST_ROWS, Together, is_by_row


class Model:
    """Doubles its input; the first run waits for a sign, so that the requests after it gather."""

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.began, self.go_on = threading.Event(), threading.Event()

    def __call__(self, arrays):
        x = arrays["x"]
        self.runs.append(len(x))
        if not self.began.is_set():
            self.began.set()
            assert self.go_on.wait(10)
        if (x < 0).any():
            raise ValueError(f"negative: {x.min()}")
        return {"y": 2 * x}


def gathered(requests):
    """Send one request, the others while it runs, and return the model and the future of each of the others."""
    model = Model()
    together = Together(model)
    pool = ThreadPoolExecutor(len(requests) + 1)
    first = pool.submit(together, {"x": np.zeros(1)})
    assert model.began.wait(10)
    others = []
    for array in requests:
        waiting = len(together._waiting)
        others.append(pool.submit(together, {"x": array}))
        while 0 < len(array) <= MOST_ROWS and len(together._waiting) == waiting:
            time.sleep(0.001)
    model.go_on.set()
    np.testing.assert_array_equal(first.result(10)["y"], [0])
    pool.shutdown()
    return model, others


def test_a_lone_request_runs_at_once():
    model = Model()
    model.go_on.set()
    np.testing.assert_array_equal(Together(model)({"x": np.arange(3.0)})["y"], [0, 2, 4])
    assert model.runs == [3]


def test_requests_that_wait_share_one_run():
    requests = [np.full(size, float(size)) for size in (1, 5, 2, 7)]
    model, answers = gathered(requests)
    for request, answer in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(answer.result(10)["y"], 2 * request)
    assert model.runs == [1, 15]


def test_other_shapes_and_types_do_not_share():
    requests = [
        np.ones(2),
        np.ones((2, 3)),
        np.ones(3),
        np.ones((1, 3)),
        np.ones(2, dtype=np.int32),
    ]
    model, answers = gathered(requests)
    for request, answer in zip(requests, answers, strict=True):
        found = answer.result(10)["y"]
        np.testing.assert_array_equal(found, 2 * request)
        assert found.shape == request.shape and found.dtype == request.dtype
    assert model.runs == [1, 5, 3, 2]


def test_one_bad_request_does_not_spoil_the_others():
    model, answers = gathered([np.ones(2), np.array([1.0, -5.0]), np.ones(3)])
    np.testing.assert_array_equal(answers[0].result(10)["y"], [2, 2])
    np.testing.assert_array_equal(answers[2].result(10)["y"], [2, 2, 2])
    with pytest.raises(ValueError, match="negative: -5"):
        answers[1].result(10)
    assert model.runs == [1, 7, 2, 2, 3]


def test_a_run_has_an_upper_limit_of_rows():
    model, answers = gathered([np.ones(MOST_ROWS - 1), np.ones(2), np.ones(1)])
    assert [len(answer.result(10)["y"]) for answer in answers] == [MOST_ROWS - 1, 2, 1]
    assert model.runs == [1, MOST_ROWS, 2]


@pytest.mark.parametrize("rows", [0, MOST_ROWS + 1])
def test_empty_and_huge_requests_run_by_themselves(rows):
    model, answers = gathered([np.ones(rows)])
    assert answers[0].result(10)["y"].shape == (rows,)
    assert sorted(model.runs) == sorted([1, rows])


def test_many_threads_get_their_own_answers():
    model = Model()
    model.began.set()
    together = Together(model)

    def ask(number: int) -> bool:
        x = np.full(1 + number % 5, float(number))
        return bool(np.array_equal(together({"x": x})["y"], 2 * x))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(500)))
    assert not together._waiting and not together._busy


@pytest.mark.parametrize(
    "model, wanted",
    [
        (lambda x: 3 * x, True),
        (lambda x: np.stack([x, -x], axis=1), True),
        (lambda x: x - x.mean(), False),
        (lambda x: np.cumsum(x), False),
        (lambda x: np.sort(x), False),
        (lambda x: x.sum(), False),
        (lambda x: x[:1], False),
        (lambda x: np.zeros_like(x), False),
        (lambda x: np.array([b"a"] * len(x), dtype=object), False),
    ],
)
def test_models_that_mix_rows_are_found_out(model, wanted):
    one, other = {"x": np.zeros(1)}, {"x": np.ones(2)}
    assert is_by_row(lambda arrays: {"y": model(arrays["x"])}, one, other) is wanted


def test_sampling_models_are_found_out():
    random = np.random.default_rng(0)
    model = {"call": lambda arrays: {"y": arrays["x"] + random.normal(size=len(arrays["x"]))}}
    assert not is_by_row(model["call"], {"x": np.zeros(1)}, {"x": np.ones(2)})
