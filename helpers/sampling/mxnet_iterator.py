"""The talk's ``NegativeSamplingDataIter``: an MXNet data iterator over the sampler."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from helpers.sampling.checks import SamplingError
from helpers.sampling.epochs import EpochSource

_FLOAT32_EXACT = 1 << 24  # ids from here on are not all float32 numbers


def NegativeSamplingDataIter(
    train_data: Any,
    sample_ratio: int = 5,
    batch_size: int = 256,
    *,
    seed: int = 0,
    resample: bool = True,
    shuffle: bool = True,
    data_names: tuple[str, str] = ("user", "item"),
    label_name: str = "score",
    dtype: str = "float32",
    **options: Any,
) -> Any:
    """Return an MXNet ``DataIter`` that adds sampled negatives to positives.

    Named as a class because it is used as one: it makes a subclass of
    ``mx.io.DataIter`` when it is first called, so that importing this room does
    not import MXNet. Every ``reset()`` begins an epoch with fresh negatives;
    ``Module.fit`` calls it after each epoch.

    Parameters
    ----------
    train_data : Interactions, (users, items), NegativeSampler or mx.io.DataIter
        The positives. An iterator, as in the talk, is read once to its end: its
        two data arrays are found by `data_names`, else taken in order, users
        first; its labels are not used.
    sample_ratio : int
        Negatives a positive.
    batch_size : int
        Examples a batch. A short last batch is filled from the epoch's
        beginning, and ``batch.pad`` says how many were.
    seed, resample, shuffle, **options
        As in `helpers.sampling.epochs.EpochSource`; `options` are those of
        `NegativeSampler`: strategy, alpha, avoid, known, n_users, n_items, ...
    data_names : (str, str)
        Names of the user and the item input.
    label_name : str
        Name of the label.
    dtype : str
        Of the ids; MXNet's own iterators use float32.

    Returns
    -------
    mx.io.DataIter

    References
    ----------
    Dirac 2016, "Using MXNet for recommendation modeling at scale" (AWS re:Invent MAC306).
    """
    source = EpochSource(
        _positives(train_data, data_names),
        sample_ratio,
        batch_size,
        seed,
        resample,
        shuffle,
        **options,
    )
    if dtype == "float32" and max(source.sampler.n_users, source.sampler.n_items) > _FLOAT32_EXACT:
        raise SamplingError(
            f"ids from {_FLOAT32_EXACT} on are not exact in float32; pass dtype='int32'"
        )
    return _iterator_class()(source, data_names, label_name, dtype)


def _mxnet() -> Any:
    """Import MXNet with the fix that it needs on today's NumPy."""
    from helpers.gates import import_mxnet

    return import_mxnet()


def _positives(train_data: Any, data_names: tuple[str, str]) -> Any:
    """Read the pairs out of an MXNet iterator; return anything else as it is."""
    if not (hasattr(train_data, "provide_data") and hasattr(train_data, "reset")):
        return train_data
    names = [d.name for d in train_data.provide_data]
    if len(names) != 2:
        raise SamplingError(f"train_data provides {names}; expected two arrays, users and items")
    order = [names.index(name) for name in data_names] if set(names) == set(data_names) else [0, 1]
    train_data.reset()
    columns: list[list[np.ndarray]] = [[], []]
    for batch in train_data:
        for column, array in zip(columns, [batch.data[i] for i in order], strict=True):
            values = array.asnumpy().ravel()
            column.append(values[: len(values) - (batch.pad or 0)])
    train_data.reset()
    if not columns[0]:
        raise SamplingError("train_data holds no positives; expected at least one batch")
    users, items = (np.concatenate(column) for column in columns)
    if not (users == users.astype(np.int32)).all() or not (items == items.astype(np.int32)).all():
        raise SamplingError(
            "train_data provides ids that are not whole numbers; expected user and item indices"
        )
    return users.astype(np.int32), items.astype(np.int32)


@lru_cache(maxsize=1)
def _iterator_class() -> Any:
    """Make the subclass of ``mx.io.DataIter``, once."""
    mx: Any = _mxnet()
    base: Any = mx.io.DataIter

    class NegativeSamplingIterator(base):
        """Batches of users, items and labels; fresh negatives after every reset."""

        def __init__(
            self, source: EpochSource, data_names: tuple[str, str], label_name: str, dtype: str
        ) -> None:
            super().__init__(source.batch_size)
            self.source = source
            shape, describe = (source.batch_size,), mx.io.DataDesc
            self.provide_data = [describe(name, shape, np.dtype(dtype)) for name in data_names]
            self.provide_label = [describe(label_name, shape, np.dtype(np.float32))]
            self.epoch, self.cursor = 0, 0
            self.examples: Any = None

        def reset(self) -> None:
            """Begin the next epoch."""
            self.epoch, self.cursor, self.examples = self.epoch + 1, 0, None

        def next(self) -> Any:
            """Return the next batch."""
            if self.examples is None:
                self.examples = self.source.draw(self.epoch)
            total = len(self.examples.labels)
            if self.cursor >= total:
                raise StopIteration
            rows = np.arange(self.cursor, self.cursor + self.batch_size)
            self.cursor += self.batch_size
            pad = max(0, self.cursor - total)
            users, items, labels = (column.take(rows, mode="wrap") for column in self.examples)
            kinds = [desc.dtype for desc in self.provide_data]
            return mx.io.DataBatch(
                data=[mx.nd.array(c, dtype=k) for c, k in zip((users, items), kinds, strict=True)],
                label=[mx.nd.array(labels)],
                pad=pad,
                provide_data=self.provide_data,
                provide_label=self.provide_label,
            )

    return NegativeSamplingIterator
