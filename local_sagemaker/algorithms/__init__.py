"""SageMaker's built-in algorithms: ``python -m`` a module trains as the algorithm's container.

``COURSE_OPT_ML`` names the folder that stands for ``/opt/ml``. Where the caller is at fault (a
hyperparameter, the data), the program ends with exit code 2 and the reason in ``output/failure``.
For any other error it ends with code 1 and a traceback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from local_sagemaker.algorithms import hyperparameters

__all__ = ["BUILTIN", "Algorithm"]


@dataclass(frozen=True)
class Algorithm:
    """One built-in algorithm.

    Parameters
    ----------
    name : str
        As in the image's name.
    module : str
        What trains it, run as ``python -m module``.
    settings : callable
        Takes a job's hyperparameters, a mapping of str to str; returns all settings, typed, with
        defaults. Raises ``ValueError`` with name, value and range of a wrong one.
    metric_definitions : list of dict
        ``Name`` and ``Regex`` of the metrics in the log, as ``CreateTrainingJob`` takes them.
    """

    name: str
    module: str
    settings: Callable[[Mapping[str, str]], dict[str, Any]]
    metric_definitions: list[dict[str, str]]


def _metric(name: str, mark: str, epochs: bool = True) -> list[dict[str, str]]:
    number, shown = r"(-?[0-9.]+(?:e[-+]?\d+)?)", name.removesuffix(".000")
    of = {"train": r"epoch=\d+, train", "test": "test"}
    return [
        {
            "Name": f"{channel}:{shown}",
            "Regex": rf"#quality_metric: host=\S+, {of[channel]} {name} <{mark}>={number}",
        }
        for channel in (("train", "test") if epochs else ("test",))
    ]


_THROUGHPUT = r"#throughput_metric: host=\S+, train throughput=([0-9.]+) records/second"

BUILTIN: dict[str, Algorithm] = {
    "factorization-machines": Algorithm(
        "factorization-machines",
        "local_sagemaker.algorithms.fm_train",
        hyperparameters.fm_settings,
        [
            *_metric("rmse", "loss"),
            *_metric("binary_classification_accuracy", "score"),
            *_metric("binary_classification_cross_entropy", "loss"),
            *_metric("binary_f_1.000", "score"),
            {"Name": "train:throughput", "Regex": _THROUGHPUT},
        ],
    ),
    "knn": Algorithm(
        "knn",
        "local_sagemaker.algorithms.knn_train",
        hyperparameters.knn_settings,
        [*_metric("accuracy", "score", epochs=False), *_metric("mse", "loss", epochs=False)],
    ),
}
