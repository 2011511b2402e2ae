"""Who rated what, how and when: the one table every chapter starts from."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as dataclass_replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .checks import Where, check_ratings
from .errors import DataError, UnknownIdError
from .tables import contiguous, index_of, items_table, row_names

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FRAME_DTYPES = {"user": np.int32, "item": np.int32, "rating": np.float32, "timestamp": np.int64}


@dataclass(frozen=True, eq=False, repr=False)
class Interactions:
    """Ratings with contiguous zero-based indices, the items' table, and the way back to raw ids.

    Parameters
    ----------
    name : str
        Name of the data set, such as ``"latest-small"``.
    frame : pandas.DataFrame
        One row an interaction, in file order: ``user`` int32, ``item`` int32,
        ``rating`` float32 (stars), ``timestamp`` int64 (seconds since 1970, UTC).
    items : pandas.DataFrame
        Index ``item`` (0 … n_items - 1); columns ``item_id``, ``title`` (str),
        ``year`` (Int16, missing allowed), ``genres`` (tuple of str, may be empty).
    user_ids, item_ids : numpy.ndarray, shape (n_users,), (n_items,)
        Raw id of each user and item, strictly increasing.
    """

    name: str
    frame: pd.DataFrame
    items: pd.DataFrame
    user_ids: np.ndarray
    item_ids: np.ndarray

    @classmethod
    def from_frame(
        cls,
        ratings: pd.DataFrame,
        items: pd.DataFrame | None = None,
        name: str = "your data",
        *,
        rating_range: tuple[float, float] | None = (0.5, 5.0),
        where: Where | None = None,
    ) -> Interactions:
        """Check a raw table of ratings and give users and items contiguous indices.

        This is the only place where raw ids become indices; indices follow the
        order of the raw ids.

        Parameters
        ----------
        ratings : pandas.DataFrame
            Columns ``user_id``, ``item_id`` (integers or strings), ``rating``
            (stars), ``timestamp`` (whole seconds since 1970, UTC). Other columns
            are left behind.
        items : pandas.DataFrame, optional
            Columns ``item_id`` and, each optional, ``title``, ``year`` (number),
            ``genres`` (tuple, or one string with ``|`` between). Items without an
            interaction are left out.
        name : str
            Name that messages, splits and the ledger use.
        rating_range : (float, float) or None
            Smallest and largest rating allowed; None allows any finite number.
        where : callable, optional
            Names row ``i`` in messages; by default its index label.

        Returns
        -------
        Interactions

        Raises
        ------
        DataError
            For missing columns, wrong types, missing or out-of-range values, a
            repeated (user, item) pair, an empty table, and rated items that the
            items' table does not know. The message names the row.
        """
        if not isinstance(ratings, pd.DataFrame):
            raise DataError(
                f"{name}: ratings is a {type(ratings).__name__}, expected a pandas DataFrame with "
                "the columns user_id, item_id, rating, timestamp"
            )
        place = where or row_names(name, ratings)
        check_ratings(ratings, place, rating_range)
        user, user_ids = contiguous(ratings["user_id"])
        item, item_ids = contiguous(ratings["item_id"])
        frame = pd.DataFrame(
            {
                "user": user,
                "item": item,
                "rating": ratings["rating"].to_numpy(dtype=np.float32),
                "timestamp": ratings["timestamp"].to_numpy(dtype=np.int64),
            }
        )
        table = items_table(items, item_ids, name, lambda i: place(int((item == i).argmax())))
        return cls(name, frame, table, user_ids, item_ids)

    @property
    def n_users(self) -> int:
        """Number of users, also of those without a row in ``frame`` (as in a split)."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items, also of those without a row in ``frame`` (as in a split)."""
        return len(self.item_ids)

    @property
    def density(self) -> float:
        """Share of the user × item matrix that is filled, between 0 and 1."""
        return len(self) / (self.n_users * self.n_items)

    def __len__(self) -> int:
        """Return the number of interactions."""
        return len(self.frame)

    def __repr__(self) -> str:
        """Return one line: name, sizes, and how full the matrix is."""
        return (
            f"{self.name}: {len(self):,} interactions, {self.n_users:,} users × {self.n_items:,} items, "
            f"{self.density:.2%} full"
        )

    def user_of(self, user_id: Any) -> Any:
        """Index of a raw user id, or of an array of them.

        Parameters
        ----------
        user_id : int, str or array-like

        Returns
        -------
        int, or numpy.ndarray of int32 with the shape given

        Raises
        ------
        UnknownIdError
            For an id that the data set does not have.
        """
        return index_of(user_id, self.user_ids, "user_id", self.name)

    def item_of(self, item_id: Any) -> Any:
        """Index of a raw item id, or of an array of them; the twin of :meth:`user_of`.

        Parameters
        ----------
        item_id : int, str or array-like

        Returns
        -------
        int, or numpy.ndarray of int32 with the shape given

        Raises
        ------
        UnknownIdError
            For an id that the data set does not have.
        """
        return index_of(item_id, self.item_ids, "item_id", self.name)

    def replace(self, frame: pd.DataFrame) -> Interactions:
        """Return the same users and items with other rows.

        Parameters
        ----------
        frame : pandas.DataFrame
            Columns ``user``, ``item``, ``rating``, ``timestamp``, indices as in this object.

        Returns
        -------
        Interactions
            With a copy of ``frame``, its index counted from 0.

        Raises
        ------
        DataError
            For a missing column or an index outside 0 … n - 1.
        """
        missing = [column for column in FRAME_DTYPES if column not in frame.columns]
        if missing:
            raise DataError(
                f"{self.name}: the frame has no column {', '.join(missing)}; found "
                f"{', '.join(map(str, frame.columns)) or 'none'}, expected {', '.join(FRAME_DTYPES)}"
            )
        for column, size in (("user", self.n_users), ("item", self.n_items)):
            if len(frame) and not (frame[column].min() >= 0 and frame[column].max() < size):
                raise DataError(
                    f"{self.name}: {column} runs from {frame[column].min()} to {frame[column].max()}, "
                    f"expected 0 to {size - 1}; raw ids become indices with {column}_of()"
                )
        rows = frame[list(FRAME_DTYPES)].astype(FRAME_DTYPES).reset_index(drop=True)
        return dataclass_replace(self, frame=rows)

    def matrix(self, dtype: Any = np.float32) -> csr_matrix:
        """Return the ratings as a sparse matrix; a cell without a rating is not stored.

        Parameters
        ----------
        dtype : numpy dtype

        Returns
        -------
        scipy.sparse.csr_matrix, shape (n_users, n_items)
        """
        from scipy.sparse import csr_matrix

        cells = (self.frame["user"].to_numpy(), self.frame["item"].to_numpy())
        return csr_matrix(
            (self.frame["rating"].to_numpy().astype(dtype), cells),
            shape=(self.n_users, self.n_items),
        )

    def user_counts(self) -> np.ndarray:
        """Count the interactions of each user.

        Returns
        -------
        numpy.ndarray of int64, shape (n_users,)
        """
        return np.bincount(self.frame["user"], minlength=self.n_users)

    def item_counts(self) -> np.ndarray:
        """Count the interactions of each item: its popularity.

        Returns
        -------
        numpy.ndarray of int64, shape (n_items,)
        """
        return np.bincount(self.frame["item"], minlength=self.n_items)

    def history(self, user: int) -> pd.DataFrame:
        """List what one user rated, latest last, with titles.

        Parameters
        ----------
        user : int
            Contiguous index, 0 … n_users - 1.

        Returns
        -------
        pandas.DataFrame
            Columns ``item``, ``title``, ``rating``, ``timestamp``; ties in file order.

        Raises
        ------
        UnknownIdError
            For an index outside the data set.
        """
        if not 0 <= user < self.n_users:
            raise UnknownIdError(
                f"{self.name}: user {user}, expected 0 to {self.n_users - 1} (an index, not a user_id)"
            )
        rows = self.frame[self.frame["user"] == user].sort_values("timestamp", kind="stable")
        titles = self.items["title"].to_numpy()[rows["item"].to_numpy()]
        return rows.assign(title=titles)[["item", "title", "rating", "timestamp"]].reset_index(
            drop=True
        )
