"""The training half of the ``knn`` image: sample, index, test."""

import time

import numpy as np

from local_sagemaker.algorithms.container import Container, log, run
from local_sagemaker.algorithms.hyperparameters import wrong_value
from local_sagemaker.algorithms.index import build
from local_sagemaker.algorithms.knn_model import KNNModel, prepared

_SEED = 0


def train(container: Container) -> None:
    settings = container.settings
    data, test = container.channels(csv=True)
    n = min(len(data), settings["sample_size"])
    kind, lists = settings["index_type"].removeprefix("faiss.").lower(), None
    if kind != "flat" and settings["faiss_index_ivf_nlists"] != "auto":
        lists = settings["faiss_index_ivf_nlists"]
    for name, value in ("k", settings["k"]), ("faiss_index_ivf_nlists", lists or 1):
        if value > n:
            expected = f"an integer from 1 to {n}, the number of records in the sample"
            raise wrong_value(name, value, expected)
    chosen = np.sort(np.random.default_rng(_SEED).choice(len(data), n, replace=False))
    began = time.perf_counter()
    vectors = prepared(data.features[chosen].toarray(), settings)
    codes = int(settings.get("faiss_index_pq_m", 1))
    index = build(vectors, kind, settings["index_metric"] == "L2", lists, codes)
    log(f"Index {settings['index_type']} over {n} vectors: {time.perf_counter() - began:.3f} s")
    model = KNNModel(index, data.labels[chosen], settings)
    if test is not None:
        predicted = model.predict(model.neighbors(test.features.toarray())[1])
        if settings["predictor_type"] == "classifier":
            container.log_test("accuracy", "score", float(np.mean(predicted == test.labels)))
        else:
            container.log_test("mse", "loss", float(np.mean((predicted - test.labels) ** 2)))
    model.save(container.model_dir)
    log("Saved the model as model_algo-1")


if __name__ == "__main__":
    run("knn", train)
