"""What is known of an item before anyone has taken it: rows of features, and two baselines over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from helpers.models.base import NotFittedError, binary_matrix, check_indices
from helpers.models.text import hashed_trigrams, unit_rows, words

if TYPE_CHECKING:
    from helpers.data import Interactions

#: Knots of the year's basis: a film of 1993 is half "1992" and half "1994".
KNOTS = np.array([1915, 1930, 1940, 1950, 1960, 1970, 1975, 1980, 1985, *range(1988, 2018, 2)])


def genre_names(items: pd.DataFrame) -> list[str]:
    """Return every genre in an items' table, sorted."""
    return sorted({genre for genres in items["genres"] for genre in genres})


def genre_rows(items: pd.DataFrame, names: Sequence[str] | None = None) -> sparse.csr_matrix:
    """Return unit rows of genres, (n_items, len(names)); a film without a genre has a row of zeros.

    Parameters
    ----------
    items : pandas.DataFrame
        With a column ``genres`` of tuples.
    names : sequence of str, optional
        The columns, `genre_names` by default; a genre that is not among them is left out.
    """
    names = genre_names(items) if names is None else names
    column = {name: c for c, name in enumerate(names)}
    cells = [
        (r, column[g]) for r, genres in enumerate(items["genres"]) for g in genres if g in column
    ]
    row, col = np.array(cells, dtype=np.int64).reshape(-1, 2).T
    ones = np.ones(len(row), np.float32)
    return unit_rows(sparse.csr_matrix((ones, (row, col)), shape=(len(items), len(names))))


def year_rows(items: pd.DataFrame) -> sparse.csr_matrix:
    """Spread each year over the two knots beside it, (n_items, len(KNOTS)); an unknown year is zeros.

    Neighboring years then share weights, and a year that training never saw still has some.
    """
    years = pd.to_numeric(items["year"]).to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.clip(np.nan_to_num(years, nan=KNOTS[0]), KNOTS[0], KNOTS[-1])
    basis = np.column_stack([np.interp(known, KNOTS, row) for row in np.eye(len(KNOTS))])
    basis[np.isnan(years)] = 0
    return sparse.csr_matrix(basis, dtype=np.float32)


def word_rows(titles: Sequence[Any]) -> sparse.csr_matrix:
    """Return unit rows of title words, (n_titles, n_words), each weighted by log(titles / titles with it)."""
    found = [sorted(set(words(title))) for title in titles]
    column = {word: c for c, word in enumerate(sorted({w for f in found for w in f}))}
    row = np.repeat(np.arange(len(found)), [len(f) for f in found])
    col = np.array([column[w] for f in found for w in f], dtype=np.int64)
    ones = np.ones(len(row), np.float32)
    table = sparse.csr_matrix((ones, (row, col)), shape=(len(found), len(column)))
    rare = np.log(len(found) / np.maximum(np.bincount(col, minlength=len(column)), 1))
    return unit_rows(table @ sparse.diags(rare.astype(np.float32)))


def item_features(
    items: pd.DataFrame, parts: Sequence[str] = ("genres", "year", "title"), n_buckets: int = 4096
) -> sparse.csr_matrix:
    """Put the parts of an item side by side: one sparse row an item.

    Parameters
    ----------
    items : pandas.DataFrame
        With the columns ``genres``, ``year`` and ``title`` that `parts` asks for.
    parts : sequence of str
        Of ``"genres"``, ``"year"``, ``"title"``; a part that is left out has no columns.
    n_buckets : int
        Columns of the title's trigrams.

    Returns
    -------
    scipy.sparse.csr_matrix of float32, (n_items, n_features)
        Nothing in it depends on who took the item.
    """
    makers = {
        "genres": lambda: genre_rows(items),
        "year": lambda: year_rows(items),
        "title": lambda: hashed_trigrams(items["title"].tolist(), n_buckets),
    }
    unknown = [part for part in parts if part not in makers]
    if unknown or not parts:
        raise ValueError(f"parts={list(parts)}: expected one or more of {', '.join(makers)}")
    return sparse.hstack([makers[part]() for part in parts], format="csr", dtype=np.float32)


class GenreAffinity:
    """Score an item by the genres it shares with what the user took.

    Parameters
    ----------
    genres : sparse matrix, (n_items, n_genres)
        From `genre_rows`: its unit rows make the score the user's mean cosine.
    """

    def __init__(self, genres: sparse.csr_matrix) -> None:
        self.genres = genres

    def fit(self, train: Interactions) -> GenreAffinity:
        """Average the genres of each user's items; a user without any has zeros."""
        taken = binary_matrix(train)
        many = np.maximum(np.asarray(taken.sum(axis=1)), 1)
        self.profile = np.asarray((taken @ self.genres).toarray() / many, dtype=np.float32)
        return self

    def scores(self, users: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Return the score of every item for some users, (len(users), n_items)."""
        if not hasattr(self, "profile"):
            raise NotFittedError("GenreAffinity: call fit(train) before scores")
        rows = self.profile[check_indices(np.asarray(users), len(self.profile), "users")]
        return np.asarray((self.genres @ rows.T).T, dtype=np.float32)


class ContentKNN:
    """Score an item by how alike it is to what the user took: the k items of training most like it vote.

    Parameters
    ----------
    features : sparse matrix, (n_items, n_features)
        Unit rows, so that an inner product is a cosine.
    neighbors : int
        Items of training that vote for each item.
    seed : int
        Of the order among equal cosines. Hundreds of films share their genres; by item index, the oldest of
        the catalog, which are its best known, would always be chosen.
    """

    def __init__(self, features: sparse.csr_matrix, neighbors: int = 5, seed: int = 0) -> None:
        if neighbors < 1:
            raise ValueError(f"neighbors={neighbors}: expected at least 1")
        self.features, self.neighbors, self.seed = features, neighbors, seed

    def fit(self, train: Interactions) -> ContentKNN:
        """Remember who took what, and which items training holds."""
        self.taken = binary_matrix(train)
        self.warm = np.random.default_rng(self.seed).permutation(
            np.flatnonzero(train.item_counts())
        )
        return self

    def scores(
        self, users: npt.ArrayLike, items: npt.ArrayLike | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the score of some items, by default of all, for some users: (len(users), len(items)).

        A vote is the cosine itself.
        """
        if not hasattr(self, "taken"):
            raise NotFittedError("ContentKNN: call fit(train) before scores")
        rows = self.features
        if items is not None:
            rows = rows[check_indices(np.asarray(items), rows.shape[0], "items")]
        keep = min(self.neighbors, len(self.warm))
        alike = np.asarray((rows @ self.features[self.warm].T).toarray(), dtype=np.float32)
        best = np.argpartition(-alike, keep - 1, axis=1)[:, :keep]
        votes = np.zeros_like(alike)
        np.put_along_axis(votes, best, np.take_along_axis(alike, best, axis=1), axis=1)
        chosen = check_indices(np.asarray(users), self.taken.shape[0], "users")
        return np.asarray(self.taken[chosen][:, self.warm] @ votes.T, dtype=np.float32)


def join(parts: Sequence[tuple[float, sparse.csr_matrix]]) -> sparse.csr_matrix:
    """Put unit rows side by side so that cosines add up with these weights, scaled to sum to 1."""
    total = sum(weight for weight, _ in parts)
    if not parts or min(weight for weight, _ in parts) < 0 or not total > 0:
        raise ValueError(f"weights {[w for w, _ in parts]}: expected 0 or more, and not all 0")
    return sparse.hstack(
        [rows * np.float32(np.sqrt(weight / total)) for weight, rows in parts],
        format="csr",
        dtype=np.float32,
    )
