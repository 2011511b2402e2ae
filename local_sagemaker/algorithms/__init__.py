"""SageMaker's built-in algorithms: ``python -m`` a module trains as the algorithm's container."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from local_sagemaker.algorithms.hyperparameters import fm_settings, knn_settings


class Algorithm(NamedTuple):
    """One built-in algorithm."""

    name: str  # as in the image's name
    module: str  # what trains it, run as `python -m module`
    settings: Callable[[Mapping[str, str]], dict[str, Any]]  # of hyperparameters, or ValueError
    metric_definitions: list[dict[str, str]]  # as CreateTrainingJob takes them


_NUMBER = r"(-?[0-9.]+(?:e[-+]?\d+)?)"
_THROUGHPUT = r"#throughput_metric: host=\S+, train throughput=([0-9.]+) records/second"


def _metric(channel: str, name: str, mark: str) -> dict[str, str]:
    epoch = r"epoch=\d+, " if channel == "train" else ""
    regex = rf"#quality_metric: host=\S+, {epoch}{channel} {name} <{mark}>={_NUMBER}"
    return {"Name": f"{channel}:{name.removesuffix('.000')}", "Regex": regex}


_FM_METRICS = [
    _metric(channel, *metric)
    for metric in (
        ("rmse", "loss"),
        ("binary_classification_accuracy", "score"),
        ("binary_classification_cross_entropy", "loss"),
        ("binary_f_1.000", "score"),
    )
    for channel in ("train", "test")
] + [{"Name": "train:throughput", "Regex": _THROUGHPUT}]
_KNN_METRICS = [_metric("test", "accuracy", "score"), _metric("test", "mse", "loss")]

_FM, _ROOM = "factorization-machines", "local_sagemaker.algorithms"
BUILTIN = {
    _FM: Algorithm(_FM, f"{_ROOM}.fm_train", fm_settings, _FM_METRICS),
    "knn": Algorithm("knn", f"{_ROOM}.knn_train", knn_settings, _KNN_METRICS),
}
