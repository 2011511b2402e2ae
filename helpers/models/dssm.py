"""Training of two towers (DSSM): each pair of a batch is positive, the other rows' items are not.

The towers and the loss stand in chapter 08. Sources: Huang et al. 2013 (DSSM) and Yi et al. 2019
(batch softmax).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.models.training import FusedAdam, one_ahead
from helpers.sampling import NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions

_AT_ONCE = 2  # steps in one call of the graph, without Python between them; 1 MB of logits each


def train_pairs(
    loss: Callable[[Any, Any, Any], Any],
    variables: Sequence[Any],
    train: Interactions,
    *,
    epochs: int = 1,
    batch_size: int = 512,
    learning_rate: float = 0.01,
    correct: bool = True,
    seed: int = 0,
) -> list[float]:
    """Fit variables to who took what, by Adam; return each epoch's mean loss.

    ``loss(users, items, added)`` returns the loss of one batch. It gets two index tensors (batch,)
    and what a batch softmax adds to its logits, (batch, batch): minus log Q of the column's item,
    0 if not ``correct``, and minus infinity for items that the row's user took. The learning rate
    falls to zero along the steps. An epoch leaves out the rows that do not fill a batch. Several
    trainings can run in threads beside each other; `freed_afterwards` around them frees memory.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, expected 1 or more")
    generator, sampler = np.random.default_rng(seed), NegativeSampler(train, avoid="train")
    users, items = (train.frame[c].to_numpy(np.int32) for c in ("user", "item"))
    size = min(batch_size, len(users))
    steps = len(users) // size
    rates = np.linspace(learning_rate, 0, epochs * steps, endpoint=False, dtype=np.float32)

    def calls() -> Iterator[tuple[Any, ...]]:
        for first in range(0, len(rates), _AT_ONCE):
            made = []
            for at, rate in enumerate(rates[first : first + _AT_ONCE], first):
                if at % steps == 0:
                    order = generator.permutation(len(users))
                rows = order[at % steps * size :][:size]
                who, what = users[rows], items[rows]
                made.append((rate, who, what, sampler.in_batch(who, what).added(correct=correct)))
            yield tuple(map(np.stack, zip(*made, strict=True)))

    do = _steps(loss, list(variables), size)
    losses = [do(*call).numpy() for call in one_ahead(calls())]
    found: list[float] = np.concatenate(losses).reshape(epochs, -1).mean(axis=1).tolist()
    return found


def _steps(
    loss: Callable[[Any, Any, Any], Any], variables: list[Any], size: int
) -> Callable[..., Any]:
    """Return a function that makes a step for each rate and its batch, and returns their losses.

    It is compiled once, for any number of steps.
    """
    import tensorflow as tf

    optimizer = FusedAdam(variables)
    shapes = (None,), (None, size), (None, size), (None, size, size)
    given = [*map(tf.TensorSpec, shapes, (tf.float32, tf.int32, tf.int32, tf.float32))]

    @tf.function(input_signature=given, autograph=False)  # type: ignore[misc, unused-ignore]
    def do(rates: Any, *batches: Any) -> Any:
        n = tf.shape(rates)[0]

        def step(at: Any, losses: Any) -> Any:
            with tf.GradientTape() as tape:
                value = loss(*(part[at] for part in batches))
            optimizer.apply(tape.gradient(value, variables), rates[at])
            return at + 1, losses.write(at, value)

        start = (0, tf.TensorArray(tf.float32, n))
        return tf.while_loop(lambda at, _: at < n, step, start, parallel_iterations=1)[1].stack()

    return do
