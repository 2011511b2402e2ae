"""Training of two towers (DSSM): each pair of a batch is positive, the other rows' items are not.

The towers and the loss stand in chapter 08. Sources: Huang et al. 2013 (DSSM) and Yi et al. 2019
(batch softmax).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from helpers.models.training import adam_step, freed_afterwards, one_ahead
from helpers.sampling import NegativeSampler

if TYPE_CHECKING:
    from helpers.data import Interactions


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
    falls to zero along the steps. An epoch leaves out the rows that do not fill a batch.
    """
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}, expected 1 or more")
    generator, sampler = np.random.default_rng(seed), NegativeSampler(train, avoid="train")
    users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
    size = min(batch_size, len(users))
    steps = len(users) // size
    rates = np.linspace(learning_rate, 0, epochs * steps, endpoint=False, dtype=np.float32)

    def batches() -> Iterator[tuple[Any, ...]]:
        for at, rate in enumerate(rates):
            if at % steps == 0:
                order = generator.permutation(len(users))
            rows = order[at % steps * size :][:size]
            who, what = users[rows], items[rows]
            yield rate, who, what, sampler.in_batch(who, what).added(correct=correct)

    with freed_afterwards():
        step = adam_step(lambda *batch: (loss(*batch), 0.0), list(variables))
        losses = [float(step(*batch)) for batch in one_ahead(batches())]
    found: list[float] = np.reshape(losses, (epochs, -1)).mean(axis=1).tolist()
    return found
