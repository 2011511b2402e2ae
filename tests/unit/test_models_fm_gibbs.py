"""The Gibbs sampler: what it learns from planted data, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from helpers.models.base import NotFittedError
from helpers.models.fm_gibbs import GibbsFM


def planted(n: int = 6000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.integers(0, 40, n), rng.integers(0, 30, n)])
    p, q = rng.normal(size=(40, 2)), rng.normal(size=(30, 2))
    return rows, 3 + (p[rows[:, 0]] * q[rows[:, 1]]).sum(1) + rng.normal(0, 0.1, n)


def test_planted_interactions_are_found():
    rows, y = planted()
    seen = []
    model = GibbsFM(num_factors=4, samples=60, burn_in=30)
    found = model.fit_predict(
        rows[:5000], y[:5000], rows[5000:], (40, 30), lambda draw, mean: seen.append(draw)
    )
    assert np.sqrt(np.mean((found - y[5000:]) ** 2)) < 0.15 < 0.3 * y.std()
    assert seen == list(range(30, 60)) and len(model.history) == 60
    assert [(w.shape, v.shape) for w, v in model.weights] == [((40,), (40, 4)), ((30,), (30, 4))]
    again = GibbsFM(num_factors=4, samples=60, burn_in=30).fit_predict(
        rows[:5000], y[:5000], rows[5000:], (40, 30)
    )
    np.testing.assert_array_equal(found, again)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda r, y: GibbsFM(num_factors=0), ValueError, "num_factors=0"),
        (lambda r, y: GibbsFM(samples=5, burn_in=5), ValueError, "burn_in=5: expected 0 to 4"),
        (
            lambda r, y: GibbsFM().fit_predict(r, y[:-1], r, (40, 30)),
            ValueError,
            "expected one a row",
        ),
        (
            lambda r, y: GibbsFM().fit_predict(r, y, r, (40,)),
            ValueError,
            "a column for each of 1 blocks",
        ),
        (
            lambda r, y: GibbsFM().fit_predict(r, y, r, (40, 29)),
            IndexError,
            r"block 1: features must be in 0\.\.28",
        ),
        (lambda r, y: GibbsFM().fit_predict(r, y * np.nan, r, (40, 30)), ValueError, "NaN"),
        (lambda r, y: GibbsFM().weights, NotFittedError, "call fit_predict first"),
    ],
)
def test_misuse(call, error, message):
    with pytest.raises(error, match=message):
        call(*planted())
