"""What models that score users by their histories share: the loop that trains them, and whom they know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from helpers.models.base import NotFittedError, binary_matrix, check_indices
from helpers.models.training import Weights, one_ahead
from helpers.models.userlevel import hide_items

if TYPE_CHECKING:
    from helpers.data import Interactions

Prepare = Callable[[npt.NDArray[np.int64], sparse.csr_matrix, sparse.csr_matrix], tuple[Any, ...]]
Step = Callable[..., Any]


class HistoryModel:
    """What every model that scores users by their histories shares.

    A subclass sets `weights` in ``fit`` and says in ``score_histories`` how they score.
    """

    weights: Weights
    history: list[float]
    epochs: int
    batch_size: int
    dropout: float
    seed: int

    def score_histories(self, histories: Any) -> npt.NDArray[np.float32]:
        """Return the score of every item for some histories, (n_users, n_items)."""
        raise NotImplementedError

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the score of every item for some users of the training data, (len(users), n_items).

        Raises
        ------
        NotFittedError
            Before ``fit``.
        TypeError, ValueError, IndexError
            As `helpers.models.base.check_indices`.
        """
        taken = self._known()
        return self.score_histories(
            taken[check_indices(np.asarray(users), taken.shape[0], "users")]
        )

    def _known(self) -> sparse.csr_matrix:
        if not hasattr(self, "_taken"):
            raise NotFittedError(f"{type(self).__name__}: call fit(data) before asking it")
        taken: sparse.csr_matrix = self._taken
        return taken

    def _remember(self, data: Interactions) -> npt.NDArray[np.int64]:
        """Keep the histories; return the users who have one."""
        self._taken = binary_matrix(data)
        return np.flatnonzero(np.diff(self._taken.indptr))

    def _minimize(self, prepare: Prepare, step: Step, users: npt.NDArray[np.int64]) -> None:
        """Take a step for batches of ``users`` in a new order every epoch; fill `history`.

        ``prepare`` takes users (B,), their rows of the histories and the same rows with other items hidden
        every time (B, n_items), see `hide_items`, and returns what ``step`` takes. It is called in order, one
        batch ahead, while ``step`` changes the weights and returns the loss.
        """
        generator, taken = np.random.default_rng([self.seed, 1]), self._known()
        starts = range(0, len(users), self.batch_size)

        def batches() -> Iterator[tuple[Any, ...]]:
            for _ in range(self.epochs):
                order = generator.permutation(users)
                for part in (order[at : at + self.batch_size] for at in starts):
                    yield prepare(
                        part, taken[part], hide_items(taken[part], self.dropout, generator)
                    )

        losses = np.reshape(
            [float(step(*batch)) for batch in one_ahead(batches())], (self.epochs, -1)
        )
        sizes = [min(self.batch_size, len(users) - at) for at in starts]
        self.history = [float(np.average(epoch, weights=sizes)) for epoch in losses]


def check_settings(learning_rate: float, dropout: float, **sizes: int) -> None:
    """Say which setting of a training cannot be.

    Raises
    ------
    ValueError
        A size below 1, a learning rate of 0 or below, or a dropout outside 0 to below 1.
    """
    for name, value in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value}: expected at least 1")
    if learning_rate <= 0 or not 0 <= dropout < 1:
        raise ValueError(
            f"learning_rate={learning_rate}, dropout={dropout}: expected above 0, and from 0 to below 1"
        )
