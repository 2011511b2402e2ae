"""The training half of the ``knn`` image: sample, reduce, index."""

from __future__ import annotations

import time

import numpy as np

from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.algorithms.container import Container, CustomerError, run
from local_sagemaker.algorithms.index import VectorIndex
from local_sagemaker.algorithms.knn_model import KNNModel, prepared

_SEED = 0


def train(container: Container) -> None:
    """Build the index, test where there is a test channel, write the model.

    Parameters
    ----------
    container : Container
        Of the job.

    Raises
    ------
    CustomerError
        The data does not fit, or there is less of it than ``k``.
    ValueError
        A hyperparameter is not allowed.
    """
    settings = BUILTIN["knn"].settings(container.hyperparameters)
    if len(container.hosts) > 1:
        raise CustomerError(
            f"instance_count {len(container.hosts)}: this machine trains knn on one instance"
        )
    width = settings["feature_dim"]
    records = container.channel("train", width, csv=True)
    if records is None:
        raise CustomerError("Missing required channel: 'train'")
    if records.labels is None:
        raise CustomerError("channel 'train': the records have no labels")
    n = min(len(records), settings["sample_size"])
    if settings["k"] > n:
        raise CustomerError(
            f"The value '{settings['k']}' is not valid for the 'k' hyperparameter, which expects an integer "
            "from 1 "
            f"to {n}, the number of records in the sample"
        )
    chosen = np.sort(np.random.default_rng(_SEED).choice(len(records), n, replace=False))
    began = time.perf_counter()
    vectors = prepared(records.features[chosen].toarray(), settings)
    kind = settings["index_type"].removeprefix("faiss.").lower()
    lists = settings["faiss_index_ivf_nlists"]
    if lists != "auto" and kind != "flat" and lists > n:
        raise CustomerError(
            f"The value '{lists}' is not valid for the 'faiss_index_ivf_nlists' hyperparameter, which "
            "expects an "
            f"integer from 1 to {n}, the number of records in the sample"
        )
    index = VectorIndex(
        vectors,
        kind,
        "l2" if settings["index_metric"] == "L2" else "inner_product",
        cells=None if lists == "auto" else lists,
        codes=int(settings.get("faiss_index_pq_m", 1)),
    )
    if kind != "flat":
        settings["_probes"] = index.faiss.nprobe = (
            index.probes
        )  # AWS does not say how many cells it looks into
    seconds = time.perf_counter() - began
    shape = f"{index.size} vectors of {index.faiss.d}, {settings['index_metric']}"
    container.log(f"Index {settings['index_type']} over {shape}, built in {seconds:.3f} s")
    model = KNNModel(index.faiss, records.labels[chosen], settings)
    test = container.channel("test", width, csv=True)
    if test is not None and test.labels is not None:
        _, labels = model.neighbors(test.features.toarray())
        predicted = model.predict(labels)
        if settings["predictor_type"] == "classifier":
            name, mark, value = "accuracy", "score", float(np.mean(predicted == test.labels))
        else:
            name, mark, value = "mse", "loss", float(np.mean((predicted - test.labels) ** 2))
        container.log(f"#test_score ({container.host}) : ('{name}', {value!r})")
        container.log(f"#quality_metric: host={container.host}, test {name} <{mark}>={value:.10g}")
    model.save(container.model_dir)
    container.log("Saved the model as model_algo-1")


if __name__ == "__main__":
    run(train)
