"""The course's own models in `bench_peers`, each in a process of its own as the peers; see `peers_fit`."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

from helpers.data import Interactions
from helpers.models import baselines, mf
from helpers.models.baselines import EASE, BiasModel, ImplicitALS, ItemKNN, Popularity
from helpers.models.fm import TUNED_HYPERPARAMETERS, FactorizationMachine, side_by_side
from helpers.models.fm_gibbs import GibbsFM, rated_together
from helpers.models.implicit import LossMF
from helpers.models.mf import MatrixFactorization
from helpers.models.order import DecayedEASE, NextItemRidge, Transitions
from tests.benchmarks.planted_million import planted_million

Rows = dict[str, Any]
Predict = Callable[[], np.ndarray]


def _data(rows: Rows) -> Interactions:
    data = pickle.loads(Path(rows["folder"], "data.pickle").read_bytes())
    assert isinstance(data, Interactions)
    return data


def _nothing() -> None:
    """Have nothing to compile."""


def _compiled() -> None:
    """Compile the loops of the factorization machines: numba does so at the first call."""
    pairs, stars = np.array([[0, 0], [1, 1]]), np.array([1.0, 2.0], np.float32)
    GibbsFM(1, 1, 0).fit_predict(pairs, stars, pairs, (2, 2))
    FactorizationMachine(2, epochs=1).fit(side_by_side((pairs[:, 0], 2), (pairs[:, 1], 2)), stars)


def _loops() -> None:
    """Compile the loops that factorization and iALS take from half a million ratings on."""
    few = planted_million(users=9)
    with patch.object(mf, "_LARGE", 0), patch.object(baselines, "_LARGE", 0):
        MatrixFactorization(epochs=1).fit(few)
        ImplicitALS(epochs=1).fit(few)


def _model(make: Callable[..., Any], seeded: bool, rows: Rows, seed: int, **given: Any) -> Predict:
    """Fit a recommender; predict the test pairs, or the scores of all users where there are none."""
    model = make(**given, **({"seed": seed} if seeded else {})).fit(_data(rows))
    test, users = rows["test"], np.arange(rows["sizes"][0])
    return lambda: model.predict(*test.T) if len(test) else model.scores(users)


def _machine(rows: Rows, seed: int, **given: Any) -> Predict:
    """Fit the factorization machine of the talk, by Adam."""
    sizes = rows["sizes"]

    def features(pairs: np.ndarray) -> Any:
        return side_by_side(*((pairs[:, place], int(sizes[place])) for place in (0, 1)))

    settings = TUNED_HYPERPARAMETERS | given
    machine = FactorizationMachine.from_sagemaker(settings, seed=seed)
    machine.fit(features(rows["train"]), rows["stars"])
    return lambda: machine.scores(features(rows["test"]))


def _gibbs(blocks: bool, rows: Rows, seed: int, **given: Any) -> Predict:
    """Draw the weights; the rows of blocks are made of training pairs only."""
    groups: Any = rated_together(_data(rows)) if blocks else tuple(rows["sizes"].tolist())
    machine = GibbsFM(**given, seed=seed)
    found = machine.fit_predict(rows["train"], rows["stars"], rows["test"], groups)
    return lambda: found


def _shuffled(**settings: Any) -> Any:
    """Return transitions that learn from, and are asked with, histories in random order."""

    class OfShuffled(Transitions):
        def fit(self, data: Interactions) -> Any:
            times = np.random.default_rng(0).permutation(len(data))
            return super().fit(data.replace(data.frame.assign(timestamp=times)))

    return OfShuffled(**settings)


class _TransposedEASE(EASE):
    """EASE as RecTools 0.19 applies it: a user's row times the transposed map."""

    def scores(self, users: npt.ArrayLike) -> np.ndarray:
        rows = self._taken[self._users(users)]
        if not self._dual:
            return np.asarray(rows @ self._map.T)
        scaled = rows.multiply(self._scale).tocsr()  # the map is I - P diag(scale)
        left = scaled.toarray() - (scaled @ self._taken.T) @ self._through
        return np.asarray(rows.toarray() - left / self.regularization)


def _fit(
    make: Callable[..., Any], seeded: bool = False, ready: Callable[[], None] = _nothing
) -> tuple[str, Callable[[], None], Any]:
    return "", ready, partial(_model, make, seeded)


FITS: dict[str, tuple[str, Callable[[], None], Callable[..., Predict]]] = {
    "ours, two biases": _fit(BiasModel),
    "ours, factorization": _fit(MatrixFactorization, seeded=True, ready=_loops),
    "ours, FM by Adam": ("", _compiled, _machine),
    "ours, FM by Gibbs": ("", _compiled, partial(_gibbs, False)),
    "ours, FM by Gibbs, blocks of SVD++ flipped": ("", _compiled, partial(_gibbs, True)),
    "ours, popularity": _fit(Popularity),
    "ours, item-item": _fit(ItemKNN),
    "ours, iALS": _fit(ImplicitALS, seeded=True, ready=_loops),
    "ours, BPR": _fit(partial(LossMF, "pairwise"), seeded=True),
    "ours, EASE": _fit(EASE),
    "ours, EASE, map transposed": _fit(_TransposedEASE),
    "ours, EASE, input decayed by age": _fit(DecayedEASE),
    "ours, ridge to the next item": _fit(NextItemRidge),
    "ours, Transitions": _fit(Transitions),
    "ours, Transitions, orders shuffled": _fit(_shuffled),
}
