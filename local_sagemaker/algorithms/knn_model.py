"""What a k-NN job leaves, and what it answers: an index, the labels of its vectors, a vote."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from local_sagemaker.algorithms.index import import_faiss
from local_sagemaker.algorithms.reduction import Reduction

_MEMBER = "model_algo-1"


class KNNModel:
    """Labeled vectors that answer queries.

    Parameters
    ----------
    index : faiss.Index
        Over the (reduced, for COSINE normalized) vectors.
    labels : numpy.ndarray
        (n,), float32.
    settings : mapping of str to object
        Hyperparameters with their defaults.
    """

    def __init__(self, index: Any, labels: np.ndarray, settings: Mapping[str, Any]) -> None:
        self._index, self._labels, self.settings = index, labels, dict(settings)

    @property
    def feature_dim(self) -> int:
        """Numbers a query has."""
        return int(self.settings["feature_dim"])

    def neighbors(self, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the k nearest, in ascending distance whatever the metric, as the container answers.

        With INNER_PRODUCT and COSINE the best therefore stands last.

        Parameters
        ----------
        queries : numpy.ndarray
            (m, feature_dim).

        Returns
        -------
        tuple of numpy.ndarray
            Distances and labels, (m, k), float32.
        """
        vectors = prepared(queries, self.settings)
        vectors = np.ascontiguousarray(
            np.pad(vectors, ((0, 0), (0, self._index.d - vectors.shape[1])))
        )
        distances, found = self._index.search(vectors, int(self.settings["k"]))
        if self.settings["index_metric"] != "L2":
            distances, found = distances[:, ::-1], found[:, ::-1]
        labels = np.where(found >= 0, self._labels[found], np.nan).astype(np.float32)
        return np.where(found >= 0, distances, np.nan), labels

    def predict(self, labels: np.ndarray) -> np.ndarray:
        """Let neighbors vote, or take their mean.

        Parameters
        ----------
        labels : numpy.ndarray
            (m, k); NaN where an approximate index found fewer.

        Returns
        -------
        numpy.ndarray
            (m,): the most frequent label, the smallest among equals; for a regressor the mean.
        """
        if self.settings["predictor_type"] == "regressor":
            return np.nanmean(labels, axis=1)
        rows = np.sort(labels, axis=1)  # NaN last
        new = np.ones(rows.shape, dtype=bool)
        new[:, 1:] = rows[:, 1:] != rows[:, :-1]
        place = np.arange(rows.shape[1])
        runs = place - np.maximum.accumulate(np.where(new, place, 0), axis=1)
        runs[np.isnan(rows)] = -1
        return np.take_along_axis(rows, runs.argmax(axis=1)[:, None], axis=1)[:, 0]

    def answers(self, queries: np.ndarray, verbose: bool) -> list[dict[str, Any]]:
        """Answer as the container does: a label each, with ``verbose`` also labels and distances."""
        distances, labels = self.neighbors(queries)
        predicted = self.predict(labels).tolist()
        if not verbose:
            return [{"predicted_label": label} for label in predicted]
        rows = []
        for label, near, far in zip(predicted, labels, distances, strict=True):
            have = ~np.isnan(near)
            rows.append(
                {
                    "labels": near[have].tolist(),
                    "distances": far[have].tolist(),
                    "predicted_label": label,
                }
            )
        return rows

    def save(self, folder: Path) -> Path:
        """Write ``model_algo-1``; the inside of AWS' own is not documented, this one is a zip."""
        faiss = import_faiss()

        labels = io.BytesIO()
        np.save(labels, self._labels)
        path = folder / _MEMBER
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("index.faiss", faiss.serialize_index(self._index).tobytes())
            archive.writestr("labels.npy", labels.getvalue())
            archive.writestr("meta.json", json.dumps({"training_parameters": self.settings}))
        return path

    @classmethod
    def load(cls, folder: Path) -> KNNModel:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            The folder holds no such model.
        """
        faiss = import_faiss()

        path = Path(folder) / _MEMBER
        if not zipfile.is_zipfile(path):
            raise ValueError(f"{path.name}: not the model of a k-NN job")
        with zipfile.ZipFile(path) as archive:
            missing = {"index.faiss", "labels.npy", "meta.json"} - set(archive.namelist())
            if missing:
                raise ValueError(
                    f"{path.name}: lacks {', '.join(sorted(missing))}: not the model of a k-NN job"
                )
            index = faiss.deserialize_index(
                np.frombuffer(archive.read("index.faiss"), dtype=np.uint8)
            )
            labels = np.load(io.BytesIO(archive.read("labels.npy")), allow_pickle=False)
            settings = json.loads(archive.read("meta.json"))["training_parameters"]
        if "_probes" in settings:
            index.nprobe = settings["_probes"]
        return cls(index, labels, settings)


def prepared(vectors: np.ndarray, settings: Mapping[str, Any]) -> np.ndarray:
    """Reduce and normalize vectors as the hyperparameters say.

    Parameters
    ----------
    vectors : numpy.ndarray
        (n, feature_dim), float32.
    settings : mapping of str to object
        Hyperparameters.

    Returns
    -------
    numpy.ndarray
        (n, dimensions of the index before padding), float32.
    """
    if "dimension_reduction_type" in settings:
        target = int(settings["dimension_reduction_target"])
        kind = settings["dimension_reduction_type"]
        vectors = Reduction(kind, vectors.shape[1], target).apply(vectors)
    if settings["index_metric"] == "COSINE":
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return np.ascontiguousarray(vectors, dtype=np.float32)
