"""SageMaker's built-in algorithms as local modules: ``python -m`` one trains as in its container.

``COURSE_OPT_ML`` names the folder that stands for ``/opt/ml``. A problem of the caller's (a hyperparameter,
the data) ends with exit code 2 and the text in ``output/failure``; anything else with code 1 and a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from local_sagemaker.algorithms import hyperparameters as hp

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
    hyperparameters : tuple of Hyperparameter
        What can be set.
    metric_definitions : list of dict
        ``Name`` and ``Regex`` of the metrics in the log, as ``CreateTrainingJob`` would have them.
    """

    name: str
    module: str
    hyperparameters: tuple[hp.Hyperparameter, ...]
    metric_definitions: list[dict[str, str]]

    def check(self, given: Mapping[str, str]) -> None:
        """Check the hyperparameters of a job.

        Parameters
        ----------
        given : mapping of str to str
            As in ``CreateTrainingJob``.

        Raises
        ------
        ValueError
            One is missing, unknown, of a wrong type or out of range: its name, value and range.
        """
        self.settings(given)

    def settings(self, given: Mapping[str, str]) -> dict[str, Any]:
        """Return all settings, typed, defaults filled in; raises as `check`."""
        found = hp.parse(self.hyperparameters, given)
        if self.name == "knn":
            hp.check_knn(found)
        else:
            hp.check_fm(found)
        return found


def _metric(name: str, mark: str, epochs: bool = True) -> list[dict[str, str]]:
    shown = name.removesuffix(".000")
    number = r"(-?[0-9.]+(?:e[-+]?\d+)?)"
    test = {
        "Name": f"test:{shown}",
        "Regex": rf"#quality_metric: host=\S+, test {name} <{mark}>={number}",
    }
    train = {
        "Name": f"train:{shown}",
        "Regex": rf"#quality_metric: host=\S+, epoch=\d+, train {name} <{mark}>={number}",
    }
    return [train, test] if epochs else [test]


_FM_METRICS = [
    *_metric("rmse", "loss"),
    *_metric("binary_classification_accuracy", "score"),
    *_metric("binary_classification_cross_entropy", "loss"),
    *_metric("binary_f_1.000", "score"),
    {
        "Name": "train:throughput",
        "Regex": r"#throughput_metric: host=\S+, train throughput=([0-9.]+) records/second",
    },
]
_KNN_METRICS = [*_metric("accuracy", "score", epochs=False), *_metric("mse", "loss", epochs=False)]

BUILTIN: dict[str, Algorithm] = {
    "factorization-machines": Algorithm(
        "factorization-machines", "local_sagemaker.algorithms.fm_train", hp.FM, _FM_METRICS
    ),
    "knn": Algorithm("knn", "local_sagemaker.algorithms.knn_train", hp.KNN, _KNN_METRICS),
}
