"""What a k-NN job leaves, and what it answers: an index, the labels of its vectors, a vote."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from local_sagemaker.algorithms.index import import_faiss

_MEMBER = "model_algo-1"
_DAMAGED = (OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile)


class KNNModel:
    """An index of faiss over vectors and their labels, (n,) float32, that answers queries."""

    def __init__(self, index: Any, labels: np.ndarray, settings: Mapping[str, Any]) -> None:
        self._index, self._labels, self._settings = index, labels, dict(settings)
        self.feature_dim = int(self._settings["feature_dim"])

    def neighbors(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the distances, ascending whatever the metric, and labels of the k nearest."""
        vectors = prepared(queries, self._settings)
        vectors = np.pad(vectors, ((0, 0), (0, self._index.d - vectors.shape[1])))
        k = int(self._settings["k"])
        distances, found = self._index.search(vectors, k)
        short = np.flatnonzero(found[:, -1] < 0)  # the cells looked into hold fewer than k
        if len(short) and self._settings["index_type"] != "faiss.Flat":
            every = import_faiss().SearchParametersIVF(nprobe=self._index.nlist)
            distances[short], found[short] = self._index.search(vectors[short], k, params=every)
        if (found < 0).any() or not np.isfinite(distances).all():
            raise ValueError("the values are too large: a distance is no finite number")
        if self._settings["index_metric"] != "L2":  # the best comes last, as from the container
            distances, found = distances[:, ::-1], found[:, ::-1]
        return distances, self._labels[found]

    def predict(self, labels: np.ndarray) -> np.ndarray:
        """Return the mean of each row of labels, or the most frequent, the smallest of equals."""
        if self._settings["predictor_type"] == "regressor":
            return labels.mean(axis=1)
        rows = np.sort(labels, axis=1)
        place = np.arange(rows.shape[1])
        begins = np.where(np.diff(rows, axis=1, prepend=np.nan) != 0, place, 0)
        runs = place - np.maximum.accumulate(begins, axis=1)
        return np.take_along_axis(rows, runs.argmax(axis=1)[:, None], axis=1)[:, 0]

    def answers(self, queries: np.ndarray, verbose: bool) -> list[dict[str, Any]]:
        """Return a label per query; ``verbose`` adds the neighbors' labels and distances."""
        distances, labels = self.neighbors(queries)
        predicted = self.predict(labels).tolist()
        if not verbose:
            return [{"predicted_label": label} for label in predicted]
        return [
            {"labels": near, "distances": far, "predicted_label": label}
            for label, near, far in zip(predicted, labels.tolist(), distances.tolist(), strict=True)
        ]

    def save(self, folder: Path) -> None:
        """Write ``model_algo-1``; the inside of AWS' own is not documented, this one is an npz."""
        index, settings = import_faiss().serialize_index(self._index), json.dumps(self._settings)
        with (folder / _MEMBER).open("wb") as file:
            np.savez(file, index=index, labels=self._labels, settings=settings)

    @classmethod
    def load(cls, folder: Path) -> "KNNModel":
        """Read what `save` wrote; raise ``ValueError`` where the folder holds no such model."""
        try:
            with np.load(folder / _MEMBER) as found:
                index, labels, settings = found["index"], found["labels"], found["settings"]
        except _DAMAGED as wrong:
            raise ValueError(f"{_MEMBER}: not the model of a k-NN job: {wrong}") from None
        return cls(import_faiss().deserialize_index(index), labels, json.loads(str(settings)))


def prepared(vectors: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Return vectors, (n, feature_dim) float32, as they are indexed: for COSINE of length one."""
    if settings["index_metric"] == "COSINE":
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return np.ascontiguousarray(vectors, dtype=np.float32)
