"""Negative sampler for implicit feedback: items that a user is not known to have taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from helpers.data.pairs import PairSource, as_pairs, check_ids
from helpers.sampling.proposals import BitSet, InBatch, ItemArray, Uniform, Weighted

_CHUNK = 1 << 16  # draws at a time: the working arrays stay in cache
_ROUNDS = 16  # refusals before a row's negatives are drawn from the list of what is left


class SamplingError(ValueError):
    """The negatives asked for do not exist, or the request makes no sense."""


class LabeledPairs(NamedTuple):
    """Training examples: the positives (label 1) and their negatives (label 0)."""

    users: NDArray[np.int32]  # (n_examples,)
    items: NDArray[np.int32]  # (n_examples,)
    labels: NDArray[np.float32]  # (n_examples,)


class InBatchNegatives(NamedTuple):
    """One batch of positives, each the negative of the other rows.

    Popular items are in many batches, so a softmax over the batch learns log p(item | user) minus
    log Q(item). Subtracting log Q from the logits undoes it (Yi et al. 2019, RecSys).
    """

    items: NDArray[np.int32]  # (batch,) the positive of each row, and of each column of scores
    usable: NDArray[np.bool_]  # (batch, batch) whether item c may be a negative of row r
    log_q: NDArray[np.float32]  # (batch,) logarithm of each item's share of train

    def added(self, *, correct: bool = True) -> NDArray[np.float32]:
        """Return what a batch softmax adds to the scores of row r and item c, (batch, batch).

        It is minus log Q, or 0 if not ``correct``, and minus infinity where item c is neither the
        positive of row r nor a usable negative.
        """
        level = -self.log_q if correct else np.zeros_like(self.log_q)
        allowed = self.usable | np.eye(len(level), dtype=bool)
        return np.where(allowed, level, np.float32(-np.inf))


class NegativeSampler:
    """Draw items that a user is not known to have taken, to serve as negatives.

    Draws are with replacement: two negatives of one row may be the same item. A `SamplingError`
    names settings that are out of range or contradict each other, and users with no negative left.

    Parameters
    ----------
    train : Interactions or (users, items)
        The positives. Every stored pair is one, whatever its rating.
    strategy : {"uniform", "popularity", "in-batch", "hard"}
        ``uniform``: every item alike. ``popularity``: in proportion to the item's count in
        ``train`` to the power ``alpha``. ``in-batch``: the positives of other rows of the same
        batch. ``hard``: of `hard_draws` uniform candidates, the one with the highest ``score``.
    alpha : float, optional
        Power of popularity: 0 is uniform, 1 the count. The default 0.75 is word2vec's choice.
    avoid : {"train", "all", "none"}
        What a negative may not be. ``train``: a training positive of the same user; a held-out one
        can be drawn, as in production, where tomorrow's clicks are unknown. ``all``: any positive
        in ``train`` or ``known``; in training this tells the model which items were held out.
        ``none``: nothing is refused.
    known : Interactions or (users, items), optional
        All known positives, for ``avoid="all"`` only; within the numbers of users and items.
    score : callable, optional
        ``score(users, items)`` returns one number per pair, for strategy "hard".
    shape : (int, int), optional
        Numbers of users and items, where ``train`` is a pair of arrays.
    """

    # both may be set on a sampler
    hard_draws = 8  # candidates per negative of strategy "hard"
    batch_size = 256  # rows per batch of strategy "in-batch"

    def __init__(
        self,
        train: PairSource,
        *,
        strategy: Literal["uniform", "popularity", "in-batch", "hard"] = "uniform",
        alpha: float | None = None,
        avoid: Literal["train", "all", "none"] = "train",
        known: PairSource | None = None,
        score: Callable[[ItemArray, ItemArray], ArrayLike] | None = None,
        shape: tuple[int, int] | None = None,
    ) -> None:
        _refuse(strategy, alpha, avoid, known is not None, score is not None)
        n_users, n_items = shape or (None, None)
        pairs = as_pairs(train, "train", n_users=n_users, n_items=n_items)
        self.users, self.items, self.n_users, self.n_items = pairs
        if not len(pairs.users):
            raise SamplingError("train holds no positives; expected at least one (user, item) pair")
        sources = [pairs]
        if known is not None:
            sources.append(as_pairs(known, "known", n_users=self.n_users, n_items=self.n_items))
        self.known = None if avoid == "none" else BitSet(self.n_users, self.n_items, *sources)
        self.strategy, self.avoid, self._names = strategy, avoid, train
        self.score: Any = score
        self._counts = np.bincount(self.items, minlength=self.n_items)  # popularity in train
        power = (0.75 if alpha is None else alpha) if strategy == "popularity" else 0.0
        kind = Weighted if power else Uniform
        self._proposal: Uniform = kind(self._counts.astype(np.float64) ** power)

    def draw(
        self, users: ArrayLike, ratio: int, *, rng: Generator, positives: ArrayLike | None = None
    ) -> ItemArray:
        """Return ``ratio`` negatives for every row, (n_rows, ratio) int32.

        Parameters
        ----------
        users : array of int, (n_rows,)
            The user of each row; users may repeat.
        positives : array of int, (n_rows,), optional
            The positive item of each row; strategy "in-batch" draws from them.
        """
        check_request(ratio, rng)
        rows = check_ids(users, self.n_users, "user").ravel()
        if self.strategy == "hard":
            return self._hardest(rows, ratio, rng)
        proposal = self._proposal
        if self.strategy == "in-batch":
            if positives is None:
                raise SamplingError('strategy "in-batch" draws from the batch: pass positives')
            proposal = InBatch(self._aligned(rows, positives), self.n_items, self.batch_size)
        return self._fill(rows, ratio, rng, proposal)

    def epoch(self, ratio: int, *, rng: Generator, shuffle: bool = True) -> LabeledPairs:
        """Return every positive of ``train`` with ``ratio`` fresh negatives each, in random order.

        Without ``shuffle``, the positives come first, in the order of ``train``, then their
        negatives, row by row.
        """
        check_request(ratio, rng)
        users, items = self.users, self.items
        if shuffle and self.strategy == "in-batch":  # which rows share a batch is part of the draw
            order = rng.permutation(len(users))
            users, items = users[order], items[order]
        every = np.append(items, self.draw(users, ratio, rng=rng, positives=items))
        n, size = len(users), len(every)
        order = np.arange(size, dtype=np.min_scalar_type(-size))
        if shuffle:
            rng.shuffle(order)  # as `permutation` does, in half the memory
        owner, item = np.empty((2, size), dtype=np.int32)
        for part in (slice(start, start + _CHUNK) for start in range(0, size, _CHUNK)):
            at = order[part]
            owner[part], item[part] = users[np.where(at < n, at, (at - n) // ratio)], every[at]
        return LabeledPairs(owner, item, (order < n).astype(np.float32))

    def in_batch(self, users: ArrayLike, items: ArrayLike) -> InBatchNegatives:
        """Return what an in-batch softmax needs: the mask of usable negatives and log Q.

        ``users`` and ``items`` are the positives of one batch, (batch,) each. Of the sampler's
        settings, only ``avoid`` matters.
        """
        rows = check_ids(users, self.n_users, "user").ravel()
        batch = self._aligned(rows, items)
        usable = batch != batch[:, None]
        if self.known is not None:
            usable &= ~self.known.has(rows[:, None], batch[None, :])
        share = np.maximum(self._counts[batch], 1) / len(self.items)
        return InBatchNegatives(batch, usable, np.log(share).astype(np.float32))

    def _aligned(self, users: ItemArray, items: ArrayLike) -> ItemArray:
        """Return the checked positive item of each row."""
        batch = check_ids(items, self.n_items, "item").ravel()
        if batch.shape != users.shape:
            raise SamplingError(f"{len(users)} users, {len(batch)} items; expected as many of each")
        return batch

    def _fill(self, users: ItemArray, ratio: int, rng: Generator, proposal: Uniform) -> ItemArray:
        """Draw, refuse known positives, draw again; the stubborn rest exactly."""
        out = np.empty((len(users), ratio), dtype=np.int32)
        step = max(1, _CHUNK // ratio)
        refused = [np.zeros(0, dtype=np.int64)]
        for start in range(0, len(users), step):
            here = users[start : start + step]
            items = proposal.draw(rng, np.arange(start, start + len(here)), ratio)
            if self.known is not None:
                refused.append(start * ratio + np.flatnonzero(self.known.has(here[:, None], items)))
            out[start : start + step] = items
        if self.known is None:
            return out
        bad, flat = np.concatenate(refused), out.reshape(-1)
        for _ in range(_ROUNDS):
            rows = bad // ratio
            flat[bad] = again = proposal.draw(rng, rows, 1)[:, 0]
            bad = bad[self.known.has(users[rows], again)]
            if not len(bad):
                return out
        exhausted = set()
        for place in bad:  # few, of users who have nearly every item: draw from what is left
            row = place // ratio
            user = int(users[row])
            weights = proposal.weights(row)
            n_drawable = np.count_nonzero(weights)
            weights[self.known.items_of(user)] = 0.0
            total = np.cumsum(weights)
            flat[place] = np.searchsorted(total, rng.random() * total[-1], side="right")
            if total[-1] == 0:
                exhausted.add(user)
        if exhausted:
            raise SamplingError(
                f"no negative exists for {_name(sorted(exhausted), self._names)}: every item "
                f'of the {n_drawable} is a known positive (avoid="{self.avoid}"); '
                "leave these users out of the request"
            )
        return out

    def _hardest(self, users: ItemArray, ratio: int, rng: Generator) -> ItemArray:
        """Keep the highest scored of `hard_draws` candidates, for every negative."""
        out = np.empty((len(users), ratio), dtype=np.int32)
        width = ratio * self.hard_draws
        step = max(1, 4 * _CHUNK // width)
        for start in range(0, len(users), step):
            here = users[start : start + step]
            drawn = self._fill(here, width, rng, self._proposal)
            scores = np.asarray(self.score(np.repeat(here, width), drawn.ravel()))
            if scores.size != drawn.size or not np.isfinite(scores).all():
                raise SamplingError(
                    f"score returned shape {scores.shape}; expected {drawn.size} finite numbers"
                )
            drawn, scores = (a.reshape(-1, self.hard_draws) for a in (drawn, scores))
            best = drawn[np.arange(len(drawn)), scores.argmax(axis=1)]
            out[start : start + step] = best.reshape(-1, ratio)
        return out


def false_negative_rate(train: PairSource, held_out: PairSource) -> float:
    """Return the chance that a uniform negative of a training row is held out for the row's user.

    The mean over training rows, from the two parts of a split and ``avoid="train"``.
    """
    rows, targets = as_pairs(train, "train"), as_pairs(held_out, "held_out")
    n_users, n_items = max(rows.n_users, targets.n_users), max(rows.n_items, targets.n_items)
    taken, wanted = (np.bincount(p.users, minlength=n_users) for p in (rows, targets))
    return float((wanted / np.maximum(n_items - taken, 1))[rows.users].mean())


def _name(users: list[int], source: Any) -> str:
    """Name the first five users in a message, with raw ids where the source knows them."""
    raw = getattr(source, "user_ids", None)
    names = [f"user {u}" + ("" if raw is None else f" (user_id {raw[u]})") for u in users[:5]]
    return ", ".join(names) + (f" and {len(users) - 5} more" if len(users) > 5 else "")


def check_request(ratio: int, rng: Any) -> None:
    """Refuse a ratio that is not a whole number from 1, and an rng that is no Generator."""
    if isinstance(ratio, bool) or not isinstance(ratio, (int, np.integer)) or ratio < 1:
        raise SamplingError(f"ratio is {ratio!r}; expected a whole number of negatives, 1 or more")
    if not isinstance(rng, Generator):
        raise SamplingError(f"rng is a {type(rng).__name__}; expected np.random.default_rng(seed)")


def _refuse(strategy: str, alpha: float | None, avoid: str, known: bool, score: bool) -> None:
    """Refuse settings that are out of range or contradict each other."""
    if strategy not in ("uniform", "popularity", "in-batch", "hard"):
        problem = f"strategy is {strategy!r}; expected uniform, popularity, in-batch or hard"
    elif alpha is not None and (strategy != "popularity" or not 0 <= alpha < np.inf):
        problem = f'alpha is {alpha}; expected 0 or more, for strategy "popularity"'
    elif avoid not in ("all", "train", "none"):
        problem = f"avoid is {avoid!r}; expected all, train or none"
    elif (avoid == "all") != known:
        problem = 'avoid="all" and known=data, the set before its split, belong together'
    elif strategy == "hard" and not score:
        problem = 'strategy "hard" needs score, a function of (users, items)'
    else:
        return
    raise SamplingError(problem)
