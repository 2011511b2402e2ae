"""The one negative sampler; the MXNet iterator and the tf.data pipeline are shells over it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from helpers.data.pairs import PairSource, as_pairs, check_ids, name_some, user_name
from helpers.sampling.checks import (
    Avoid,
    SamplingError,
    ScoreFunction,
    Strategy,
    check_ratio,
    check_settings,
)
from helpers.sampling.inbatch import InBatchNegatives
from helpers.sampling.known import BitSet, SortedKeys, known_pairs
from helpers.sampling.proposals import InBatch, Proposal, Uniform, Weighted

_CHUNK = 1 << 16  # draws at a time: the working arrays stay in cache
_ROUNDS = 16  # refusals before a row's negatives are drawn from the list of what is left


class LabeledPairs(NamedTuple):
    """Training examples: the positives (label 1) and their negatives (label 0)."""

    users: npt.NDArray[np.int32]  # (n_examples,)
    items: npt.NDArray[np.int32]  # (n_examples,)
    labels: npt.NDArray[np.float32]  # (n_examples,)


class NegativeSampler:
    """Draw items that a user is not known to have taken, to stand as negatives.

    Draws are independent and with replacement: two negatives of one row may
    be the same item.

    Parameters
    ----------
    train : Interactions or (users, items)
        The positives. Every stored pair is one, whatever its rating.
    strategy : {"uniform", "popularity", "in-batch", "hard"}
        ``uniform``: every item alike. ``popularity``: in proportion to the
        item's count in `train` to the power `alpha`. ``in-batch``: the
        positives of other rows of the same batch. ``hard``: of `hard_draws`
        candidates, the one that `score` puts highest.
    alpha : float, optional
        Power of popularity: 0 is uniform, 1 in proportion to the count. Default
        0.75 for "popularity" (word2vec's choice), 0 for the candidates of "hard".
    avoid : {"train", "all", "none"}
        What a negative may not be. ``train``: a training positive of the same
        user; a held-out positive can then be drawn, as in production, where
        nobody knows tomorrow's clicks. ``all``: any positive in `known` or
        `train`; right for evaluation candidates, but in training it tells the
        model which items were held out. ``none``: nothing is refused.
    known : Interactions or (users, items), optional
        All known positives; needed by ``avoid="all"``, refused otherwise.
    n_users, n_items : int, optional
        Size of the matrix, where `train` is a pair of arrays.
    hard_draws : int
        Candidates for each negative of strategy "hard".
    score : callable, optional
        ``score(users, items)``, for strategy "hard".
    batch_size : int
        Rows in a batch of strategy "in-batch"; rows left over join the last whole batch.

    Raises
    ------
    SamplingError
        For empty positives and settings outside their range.
    ValueError
        For ids outside the matrix.

    Examples
    --------
    >>> sampler = NegativeSampler(([0, 0, 1], [0, 1, 2]), n_items=4)
    >>> sampler.draw([0, 1], ratio=3, rng=np.random.default_rng(0)).shape
    (2, 3)
    """

    def __init__(
        self,
        train: PairSource,
        *,
        strategy: Strategy = "uniform",
        alpha: float | None = None,
        avoid: Avoid = "train",
        known: PairSource | None = None,
        n_users: int | None = None,
        n_items: int | None = None,
        hard_draws: int = 8,
        score: ScoreFunction | None = None,
        batch_size: int = 256,
    ) -> None:
        check_settings(strategy, alpha, avoid, known, hard_draws, score, batch_size)
        pairs = as_pairs(train, "train", n_users=n_users, n_items=n_items)
        if not len(pairs.users):
            raise SamplingError("train holds no positives; expected at least one (user, item) pair")
        users, items = pairs.users, pairs.items
        if known is not None:
            # a pair of arrays without stated sizes may know fewer users and items than `known` does
            rows, columns = getattr(train, "n_users", n_users), getattr(train, "n_items", n_items)
            more = as_pairs(known, "known", n_users=rows, n_items=columns)
            users, items = np.concatenate([users, more.users]), np.concatenate([items, more.items])
            pairs = pairs._replace(
                n_users=max(pairs.n_users, more.n_users), n_items=max(pairs.n_items, more.n_items)
            )
        self.strategy, self.avoid = strategy, avoid
        self.alpha = alpha if alpha is not None else (0.75 if strategy == "popularity" else 0.0)
        self.hard_draws, self.score, self.batch_size = hard_draws, score, batch_size
        self.users, self.items = pairs.users, pairs.items
        self.n_users, self.n_items = pairs.n_users, pairs.n_items
        self._names = known if known is not None else train
        self.known: BitSet | SortedKeys | None = None
        if avoid != "none":
            self.known = known_pairs(users, items, self.n_users, self.n_items)
        self.counts = np.bincount(
            self.items, minlength=self.n_items
        )  # (n_items,) popularity in train
        weights = self.counts.astype(np.float64) ** (1.0 if strategy == "in-batch" else self.alpha)
        #: Chance of each item in one draw, before any is refused, (n_items,).
        self.probabilities = weights / weights.sum()
        self._proposal: Proposal = Uniform(self.n_items) if self.alpha == 0 else Weighted(weights)
        self._drawable = self._count_drawable(users, items)

    def draw(
        self,
        users: npt.ArrayLike,
        ratio: int = 5,
        *,
        rng: np.random.Generator,
        positives: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.int32]:
        """Draw `ratio` negatives for every row.

        Parameters
        ----------
        users : array of int, (n_rows,)
            The user of each row; users may repeat.
        ratio : int
            Negatives a row, at least 1.
        rng : numpy.random.Generator
            The same state gives the same draw.
        positives : array of int, (n_rows,), optional
            The positive item of each row; strategy "in-batch" draws from them.

        Returns
        -------
        ndarray of int32, (n_rows, ratio)

        Raises
        ------
        SamplingError
            For a ratio below 1, and for users who have no negative left: they are named.
        ValueError
            For unknown users.
        """
        check_ratio(ratio, rng)
        rows = np.atleast_1d(check_ids(users, self.n_users, "user"))
        if self.strategy == "in-batch":
            if positives is None:
                raise SamplingError(
                    'strategy "in-batch" draws from the batch\'s positives: pass positives'
                )
            batch = np.atleast_1d(check_ids(positives, self.n_items, "item"))
            if batch.shape != rows.shape:
                raise SamplingError(
                    f"{len(rows)} users but {len(batch)} positives; expected one a row"
                )
            return self._fill(rows, ratio, rng, InBatch(batch, self.n_items, self.batch_size))
        self._refuse_exhausted(rows)
        if self.strategy == "hard":
            return self._hardest(rows, ratio, rng)
        return self._fill(rows, ratio, rng, self._proposal)

    def epoch(
        self, ratio: int = 5, *, rng: np.random.Generator, shuffle: bool = True
    ) -> LabeledPairs:
        """Return every positive of `train` with `ratio` fresh negatives each.

        Without `shuffle`, the positives stand first, in the order of `train`,
        then their negatives, row by row.

        Returns
        -------
        LabeledPairs
            ``len(train) * (1 + ratio)`` of them.
        """
        check_ratio(ratio, rng)
        users, items = self.users, self.items
        if shuffle and self.strategy == "in-batch":  # which rows share a batch is part of the draw
            order = rng.permutation(len(users))
            users, items = users[order], items[order]
        negatives = self.draw(users, ratio, rng=rng, positives=items)
        labels = np.zeros(len(users) * (1 + ratio), dtype=np.float32)
        labels[: len(users)] = 1.0
        examples = LabeledPairs(
            np.concatenate([users, np.repeat(users, ratio)]),
            np.concatenate([items, negatives.ravel()]),
            labels,
        )
        if not shuffle:
            return examples
        order = rng.permutation(len(labels))
        return LabeledPairs(*(column[order] for column in examples))

    def in_batch(self, users: npt.ArrayLike, items: npt.ArrayLike) -> InBatchNegatives:
        """Return what an in-batch softmax needs: the mask of usable negatives and log Q.

        Parameters
        ----------
        users, items : array of int, (batch,)
            The positives of one batch; row r's positive is ``items[r]``.

        Returns
        -------
        InBatchNegatives
            Whatever the sampler's strategy; only `avoid` and the item counts matter.
        """
        rows = np.atleast_1d(check_ids(users, self.n_users, "user"))
        batch = np.atleast_1d(check_ids(items, self.n_items, "item"))
        if rows.shape != batch.shape:
            raise SamplingError(
                f"{len(rows)} users but {len(batch)} items; expected one positive a row"
            )
        usable = batch[None, :] != batch[:, None]
        if self.known is not None:
            usable &= ~self.known.hits(rows[:, None], batch[None, :])
        share = np.maximum(self.counts[batch], 1) / len(self.items)
        return InBatchNegatives(batch, usable, np.log(share).astype(np.float32))

    def _fill(
        self, users: npt.NDArray[np.int32], ratio: int, rng: np.random.Generator, proposal: Proposal
    ) -> npt.NDArray[np.int32]:
        """Draw, refuse known positives, draw again; the stubborn rest exactly."""
        out = np.empty((len(users), ratio), dtype=np.int32)
        step = max(1, _CHUNK // ratio)
        refused = []
        for start in range(0, len(users), step):
            here = users[start : start + step]
            items = proposal.draw(rng, np.arange(start, start + len(here)), ratio)
            if self.known is not None:
                refused.append(
                    start * ratio + np.flatnonzero(self.known.hits(here[:, None], items))
                )
            out[start : start + step] = items
        if self.known is None:
            return out
        bad, flat = np.concatenate(refused or [np.zeros(0, dtype=np.int64)]), out.reshape(-1)
        for _ in range(_ROUNDS):
            if not len(bad):
                return out
            rows = bad // ratio
            again = proposal.draw(rng, rows, 1)[:, 0]
            flat[bad] = again
            bad = bad[self.known.hits(users[rows], again)]
        self._fill_exactly(out, bad, users, rng, proposal)
        return out

    def _fill_exactly(
        self,
        out: npt.NDArray[np.int32],
        places: npt.NDArray[np.int64],
        users: npt.NDArray[np.int32],
        rng: np.random.Generator,
        proposal: Proposal,
    ) -> None:
        """Fill the flat `places` of `out` from the list of what each user has left."""
        if self.known is None:
            return
        rows = places // out.shape[1]
        group = rows if isinstance(proposal, InBatch) else users[rows]
        order = np.argsort(group, kind="stable")
        starts = np.flatnonzero(np.diff(group[order], prepend=-1))
        for block in np.split(order, starts[1:]) if len(order) else []:
            row = int(rows[block[0]])
            weights = proposal.weights(row) * ~self.known.row(int(users[row]))
            total = np.cumsum(weights)
            if total[-1] <= 0:
                raise SamplingError(
                    f"{user_name(int(users[row]), self._names)} has taken every item of the batch "
                    f"of row {row}: no in-batch negative exists; "
                    "shuffle the rows or enlarge the batch"
                )
            picked = np.searchsorted(total, rng.random(len(block)) * total[-1], side="right")
            out.reshape(-1)[places[block]] = picked

    def _hardest(
        self, users: npt.NDArray[np.int32], ratio: int, rng: np.random.Generator
    ) -> npt.NDArray[np.int32]:
        """Keep the highest scored of `hard_draws` candidates, for every negative."""
        assert self.score is not None
        out = np.empty((len(users), ratio), dtype=np.int32)
        width = ratio * self.hard_draws
        step = max(1, 4 * _CHUNK // width)
        for start in range(0, len(users), step):
            here = users[start : start + step]
            drawn = self._fill(here, width, rng, self._proposal)
            scores = np.asarray(self.score(np.repeat(here, width), drawn.ravel()))
            if scores.size != drawn.size:
                raise SamplingError(
                    f"score returned shape {scores.shape} for {drawn.size} pairs; expected one number a pair"
                )
            best = scores.reshape(len(here), ratio, self.hard_draws).argmax(axis=2)
            candidates = drawn.reshape(len(here), ratio, self.hard_draws)
            out[start : start + step] = np.take_along_axis(candidates, best[:, :, None], axis=2)[
                :, :, 0
            ]
        return out

    def _count_drawable(
        self, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.int64] | None:
        """Count the items each user can get as a negative, (n_users,)."""
        if self.known is None:
            return None
        if self.alpha == 0:
            return self.n_items - self.known.counts
        drawable = self.counts > 0
        keys = np.unique(users.astype(np.int64) * self.n_items + items)
        keys = keys[drawable[keys % self.n_items]]
        return drawable.sum() - np.bincount(keys // self.n_items, minlength=self.n_users)

    def _refuse_exhausted(self, users: npt.NDArray[np.int32]) -> None:
        if self._drawable is None:
            return
        nothing_left = np.unique(users[self._drawable[users] <= 0])
        if len(nothing_left):
            among = "" if self.alpha == 0 else " that has a training interaction"
            raise SamplingError(
                f"no negative exists for {name_some(nothing_left, self._names)}: every item of the "
                f'{self.n_items}{among} is a known positive (avoid="{self.avoid}"); '
                "leave these users out of the request"
            )
