"""Content features of items (genres, year, title words), and two baselines that score by them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from helpers.models.base import Recommender, all_finite, at_least, binary_matrix, check_indices
from helpers.models.text import count_rows, unit_rows, words

if TYPE_CHECKING:
    from helpers.data import Interactions

#: Knots of the year's basis: a film of 1993 is half "1992" and half "1994".
_KNOTS = np.array([1915, 1930, 1940, 1950, 1960, 1970, 1975, 1980, 1985, *range(1988, 2018, 2)])


def genre_names(items: pd.DataFrame) -> list[str]:
    """Return every genre in an items' table, sorted."""
    return sorted({genre for genres in items["genres"] for genre in genres})


def genre_rows(items: pd.DataFrame, names: Sequence[str] | None = None) -> sparse.csr_matrix:
    """Return each item's genres as a row of length 1, (n_items, len(names)); zeros for no genre.

    The columns ``names`` are `genre_names` by default; other genres are left out.
    """
    return unit_rows(count_rows(items["genres"], genre_names(items) if names is None else names))


def year_rows(items: pd.DataFrame) -> sparse.csr_matrix:
    """Return each year spread over the two knots beside it, (n_items, n_knots); zeros if unknown.

    Neighboring years then share weights, also years that training never saw.
    """
    years = pd.to_numeric(items["year"]).to_numpy(dtype=np.float64, na_value=np.nan)
    all_finite(year=years[~np.isnan(years)])
    basis = np.column_stack([np.interp(years, _KNOTS, row) for row in np.eye(len(_KNOTS))])
    return sparse.csr_matrix(np.nan_to_num(basis), dtype=np.float32)


def word_rows(titles: Sequence[Any]) -> sparse.csr_matrix:
    """Return title words as rows of length 1, weighted by log(titles / titles with the word)."""
    found = [sorted(set(words(title))) for title in titles]
    table = count_rows(found, sorted({word for some in found for word in some}))
    rare = np.log(len(found) / np.maximum(table.getnnz(axis=0), 1))
    return unit_rows(table @ sparse.diags(rare.astype(np.float32)))


def join(parts: Sequence[tuple[float, sparse.csr_matrix]]) -> sparse.csr_matrix:
    """Return pairs (weight, unit rows) as rows side by side, whose cosines are weighted means."""
    total = sum(weight for weight, _ in parts)
    if not parts or min(weight for weight, _ in parts) < 0 or not total > 0:
        raise ValueError(f"weights {[w for w, _ in parts]}: expected 0 or more, and not all 0")
    all_finite(weights=total, **{f"part {place}": rows for place, (_, rows) in enumerate(parts)})
    scaled = [rows * np.float32(np.sqrt(weight / total)) for weight, rows in parts]
    return sparse.hstack(scaled, format="csr", dtype=np.float32)


class ContentModel(Recommender):
    """Base class of the baselines over ``features``: one sparse row of length 1 per item."""

    def __init__(self, features: sparse.csr_matrix) -> None:
        all_finite(features=features)
        self.features = features

    def fit(self, train: Interactions) -> ContentModel:
        """Remember who took what; return this object."""
        if (n := self.features.shape[0]) != train.n_items:
            raise ValueError(f"features have {n} rows; expected {train.n_items}, one per item")
        self._learn_from(train)
        self._taken = binary_matrix(train)
        return self


class GenreAffinity(ContentModel):
    """Score an item by its mean cosine with what the user took, 0 for a user without history."""

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        chosen = self._users(users)
        taken = self._taken[chosen]
        many = np.maximum(np.asarray(taken.sum(axis=1)), 1)
        profile = np.asarray((taken @ self.features).toarray() / many, dtype=np.float32)
        return np.asarray((self.features @ profile.T).T, dtype=np.float32)


class ContentKNN(ContentModel):
    """Score an item by the items of training most like it, if the user took them.

    ``neighbors`` items vote for each item, each with its cosine. Equal cosines are drawn from: by
    item index, the oldest and best known films would always vote.
    """

    def __init__(self, features: sparse.csr_matrix, neighbors: int = 5) -> None:
        super().__init__(features)
        self.neighbors = neighbors
        at_least(1, self, "neighbors")

    def scores(
        self, users: npt.ArrayLike, items: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the score of some items, by default of all: (len(users), len(items))."""
        chosen, rows = self._users(users), self.features
        if items is not None:
            rows = rows[check_indices(items, self.n_items, "items")]
        warm = np.random.default_rng(0).permutation(np.unique(self._taken.indices))
        keep = min(self.neighbors, len(warm))
        alike = np.asarray((rows @ self.features[warm].T).toarray(), dtype=np.float32)
        best = np.argpartition(-alike, keep - 1, axis=1)[:, :keep]
        votes = np.zeros_like(alike)
        np.put_along_axis(votes, best, np.take_along_axis(alike, best, axis=1), axis=1)
        return np.asarray(self._taken[chosen][:, warm] @ votes.T, dtype=np.float32)
