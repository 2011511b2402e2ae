"""Optimizers on some rows of a table, and batches made one ahead in a thread."""

import threading

import numpy as np
import pytest

from helpers.models.training import Adam, Momentum, one_ahead


@pytest.mark.parametrize("momentum", [0.9, 0.0])
def test_momentum_by_rows_is_dense_momentum(momentum):
    generator = np.random.default_rng(0)
    sparse = {"table": generator.normal(size=(20, 3)).astype(np.float32)}
    sparse["bias"] = np.zeros(20, np.float32)
    dense = {name: table.astype(np.float64) for name, table in sparse.items()}
    velocity = {name: np.zeros_like(table) for name, table in dense.items()}
    optimizer = Momentum(0.1, momentum)
    for _ in range(60):
        rows = {name: np.unique(generator.integers(0, 20, 3)) for name in sparse}
        optimizer.refresh(sparse, rows)
        gradients = {}
        for name, index in rows.items():
            np.testing.assert_allclose(sparse[name][index], dense[name][index], atol=1e-4)
            gradients[name] = generator.normal(size=sparse[name][index].shape).astype(np.float32)
            full = np.zeros_like(dense[name])
            full[index] = gradients[name]
            velocity[name] = momentum * velocity[name] - 0.1 * full
            dense[name] += velocity[name]
        optimizer.step(sparse, rows, gradients)
    optimizer.refresh(sparse, {name: slice(None) for name in sparse})
    for name in sparse:
        np.testing.assert_allclose(sparse[name], dense[name], atol=1e-4)


@pytest.mark.parametrize("epsilon_hat", [False, True])
def test_adam_is_its_formula(epsilon_hat):
    generator = np.random.default_rng(0)
    table, mean, square = generator.normal(size=(4, 2)), 0.0, 0.0
    weights, adam = {"table": table.astype(np.float32)}, Adam(0.1, epsilon_hat)
    adam.epsilon = 0.01
    for step in range(1, 6):
        gradient = generator.normal(size=(4, 2)).astype(np.float32)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        scale = np.sqrt(1 - 0.999**step)
        root = (np.sqrt(square) + 0.01) / scale if epsilon_hat else np.sqrt(square) / scale + 0.01
        table = table - 0.1 * mean / (1 - 0.9**step) / root
        adam.step(weights, {"table": slice(None)}, {"table": gradient})
    np.testing.assert_allclose(weights["table"], table, atol=1e-5)


def test_adam_leaves_rows_outside_the_batch_where_they_are():
    start, gradients = np.ones((3, 2), np.float32), np.array([[5.0, -0.001]], np.float32)
    some, all_rows = {"table": start.copy()}, {"table": start[1:2].copy()}
    adams = Adam(0.1), Adam(0.1)
    for _ in range(3):
        adams[0].step(some, {"table": np.array([1])}, {"table": gradients})
        adams[1].step(all_rows, {"table": slice(None)}, {"table": gradients})
    np.testing.assert_array_equal(some["table"], [start[0], all_rows["table"][0], start[2]])
    assert (some["table"][1] != 1).all()


def test_batches_come_in_order_from_another_thread_and_fail_in_their_turn():
    makers, found = [], []

    def batches():
        for number in (0, None, 3):
            makers.append(threading.get_ident())
            yield number
        raise ValueError("no fourth batch")

    with pytest.raises(ValueError, match="no fourth batch"):
        found.extend(batch for batch in one_ahead(batches()))
    assert found == [0, None, 3] and list(one_ahead(iter([]))) == []
    assert len(set(makers)) == 1 and makers[0] != threading.get_ident()


def test_never_more_than_one_batch_ahead():
    made = []
    ahead = one_ahead(made.append(n) or n for n in range(9))
    assert next(ahead) == 0
    ahead.close()
    assert made in ([0], [0, 1])
