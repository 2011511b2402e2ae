"""Negatives that are free: the positives of the other rows of the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class InBatchNegatives:
    """One batch of positives, each the negative of the other rows.

    Item c stands in the batch in proportion to its popularity, so a softmax
    over the batch learns log p(item | user) - log Q(item) and treats popular
    items as if they were disliked. Subtracting log Q from the logits undoes it.

    Attributes
    ----------
    items : ndarray of int32, (batch,)
        The positive of each row; column c of a score matrix belongs to ``items[c]``.
    usable : ndarray of bool, (batch, batch)
        Whether item c may be a negative of row r: not the row's own positive,
        not another copy of it, not a known positive of the row's user.
    log_q : ndarray of float32, (batch,)
        Natural logarithm of each item's share of the training interactions.

    References
    ----------
    Yi et al. 2019, "Sampling-bias-corrected neural modeling for large corpus item recommendations".
    """

    items: npt.NDArray[np.int32]
    usable: npt.NDArray[np.bool_]
    log_q: npt.NDArray[np.float32]

    def logits(self, scores: npt.ArrayLike, *, correct: bool = True) -> npt.NDArray[np.float32]:
        """Return the logits of the batch softmax.

        Parameters
        ----------
        scores : array of float, (batch, batch)
            Score of every row's user for every column's item.
        correct : bool
            Subtract log Q.

        Returns
        -------
        ndarray of float32, (batch, batch)
            Minus infinity where item c is neither row r's positive nor a usable negative.
        """
        matrix = np.asarray(scores, dtype=np.float32)
        if matrix.shape != self.usable.shape:
            raise ValueError(
                f"scores have shape {matrix.shape}; expected {self.usable.shape}, a row and a column a pair"
            )
        if correct:
            matrix = matrix - self.log_q[None, :]
        return np.where(self.usable | np.eye(len(matrix), dtype=bool), matrix, np.float32(-np.inf))
