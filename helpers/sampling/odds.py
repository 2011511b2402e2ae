"""How often a negative is a positive in disguise, and what sampling does to a probability."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import as_pairs


def collision_rate(
    train: Any, against: Any = None, probabilities: npt.ArrayLike | None = None
) -> float:
    """Chance that one unchecked draw for a training row hits a known positive of its user.

    Every training row draws alike, so active users count as often as they have
    rows, and they are the ones with the most to collide with: with uniform draws
    the rate is ``sum(c_u ** 2) / (n * n_items)``, larger than the density.

    Parameters
    ----------
    train : Interactions or (users, items)
        The rows that draw.
    against : Interactions or (users, items), optional
        The positives to collide with; `train` itself without it. With the
        held-out positives, this is the chance of a false negative.
    probabilities : array of float, (n_items,), optional
        Chance of each item in one draw, as ``NegativeSampler.probabilities``; uniform without it.

    Returns
    -------
    float
        Between 0 and 1.

    Examples
    --------
    >>> collision_rate(([0, 0, 1], [0, 1, 3]))  # (2 * 2 + 1 * 1) / (3 * 4)
    0.4166666666666667
    """
    rows = as_pairs(train, "train")
    if not len(rows.users):
        raise ValueError("train holds no positives; expected at least one (user, item) pair")
    targets = rows if against is None else as_pairs(against, "against")
    n_users, n_items = max(rows.n_users, targets.n_users), max(rows.n_items, targets.n_items)
    chance = np.full(n_items, 1.0 / n_items) if probabilities is None else np.asarray(probabilities)
    mass = np.bincount(targets.users, weights=chance[targets.items], minlength=n_users)
    return float(mass[rows.users].mean())


def false_negative_rate(
    train: Any, held_out: Any, probabilities: npt.ArrayLike | None = None
) -> float:
    """Chance that a negative drawn under ``avoid="train"`` is one of its user's held-out positives.

    Parameters
    ----------
    train, held_out : Interactions or (users, items)
        The two parts of a split.
    probabilities : array of float, (n_items,), optional
        As in `collision_rate`.

    Returns
    -------
    float
        Between 0 and 1, over training rows.
    """
    rows, targets = as_pairs(train, "train"), as_pairs(held_out, "held_out")
    n_users, n_items = max(rows.n_users, targets.n_users), max(rows.n_items, targets.n_items)
    chance = np.full(n_items, 1.0 / n_items) if probabilities is None else np.asarray(probabilities)
    refused = np.bincount(rows.users, weights=chance[rows.items], minlength=n_users)
    wanted = np.bincount(targets.users, weights=chance[targets.items], minlength=n_users)
    return float((wanted[rows.users] / np.maximum(1.0 - refused[rows.users], 1e-12)).mean())


def any_of(chance: npt.ArrayLike, draws: npt.ArrayLike) -> Any:
    """Chance of at least one hit in several independent draws, ``1 - (1 - chance) ** draws``."""
    return -np.expm1(np.asarray(draws) * np.log1p(-np.asarray(chance, dtype=np.float64)))


def keep_rate(n_positives: int, ratio: int, n_cells: int) -> float:
    """Expected number of times each empty cell of the matrix is drawn in one epoch, uniformly.

    Parameters
    ----------
    n_positives : int
        Training rows.
    ratio : int
        Negatives a row.
    n_cells : int
        ``n_users * n_items``.

    Returns
    -------
    float
        Above 1 when empty cells are drawn more than once each.
    """
    if not 0 < n_positives < n_cells or ratio < 1:
        raise ValueError(
            f"n_positives={n_positives}, ratio={ratio}, n_cells={n_cells}; "
            "expected positives below cells, and a ratio of 1 or more"
        )
    return n_positives * ratio / (n_cells - n_positives)


def undo_sampling(probabilities: npt.ArrayLike, keep: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn probabilities learned on sampled negatives into those of the full matrix.

    Keeping every positive and a share `keep` of the negatives multiplies the
    odds by ``1 / keep``; the correction multiplies them by `keep` again:
    ``p' = keep * p / (keep * p + 1 - p)``. The order of items does not change
    where `keep` is one number.

    Parameters
    ----------
    probabilities : array of float
        Predictions of a model trained on sampled negatives, 0 to 1.
    keep : float or array
        As from `keep_rate`; one number, or one a prediction where negatives are
        not drawn uniformly.

    Returns
    -------
    ndarray of float64, shape of `probabilities`

    References
    ----------
    King and Zeng 2001, "Logistic regression in rare events data"; He et al.
    2014, "Practical lessons from predicting clicks on ads at Facebook", section 6.3.

    Examples
    --------
    >>> undo_sampling([0.5], keep=0.1)  # even odds become 1 to 10
    array([0.09090909])
    """
    p = np.asarray(probabilities, dtype=np.float64)
    share = np.asarray(keep, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all() or not (share > 0).all():
        raise ValueError("expected probabilities from 0 to 1 and keep rates above 0")
    return share * p / (share * p + 1.0 - p)
