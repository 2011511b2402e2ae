"""A peer ranks items: ``python peers_ranking.py FOLDER PEER SEED``, in the environment of the peers.

FOLDER holds ``rows.npz``: users and items of the training events, user by user and in order, and their numbers; and
``settings.json``, a list of settings to try. The scores of try n go to ``scores-n.npy`` beside them, (n_users,
n_items), and a line on standard output says the version, and the seconds of fitting: by wall clock and of CPU. A peer
that hands back lists scores what it lists by place, and the rest 0.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import sparse

_LISTED = 20


def _taken(rows) -> sparse.csr_matrix:
    ones = np.ones(len(rows["users"]), np.float32)
    return sparse.csr_matrix((ones, (rows["users"], rows["items"])), shape=tuple(rows["sizes"]))


def _products(model) -> np.ndarray:
    users, items = (np.asarray(table) for table in (model.user_factors, model.item_factors))
    return users @ items.T


def fit_als(rows, seed: int, settings: dict):
    """Implicit's ALS, on two threads as it likes."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**settings, random_state=seed)
    model.fit(_taken(rows), show_progress=False)
    return lambda: _products(model)


def fit_bpr(rows, seed: int, settings: dict):
    """Implicit's BPR."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(**settings, random_state=seed)
    model.fit(_taken(rows), show_progress=False)
    return lambda: _products(model)


def fit_item_item(rows, seed: int, settings: dict):
    """Implicit's nearest neighbors of items, by cosine, TF-IDF or BM25."""
    from implicit import nearest_neighbours as nn

    kinds = {
        "cosine": nn.CosineRecommender,
        "tfidf": nn.TFIDFRecommender,
        "bm25": nn.BM25Recommender,
    }
    model = kinds[settings["kind"]](K=settings["K"])
    model.fit(_taken(rows), show_progress=False)
    return lambda: (_taken(rows) @ model.similarity).toarray()


def fit_sasrec(rows, seed: int, settings: dict):
    """RecTools' SASRec; the place in the order stands for the time."""
    import pandas as pd
    import pytorch_lightning as lightning
    from rectools.dataset import Dataset
    from rectools.models import SASRecModel

    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(rows["users"])), unit="s")
    columns = {"user_id": rows["users"], "item_id": rows["items"], "weight": 1.0, "datetime": when}
    data = Dataset.construct(pd.DataFrame(columns))
    lightning.seed_everything(seed)
    model = SASRecModel(**settings, deterministic=True)
    model.fit(data)

    def scores() -> np.ndarray:
        users = np.unique(rows["users"])
        listed = model.recommend(users=users, dataset=data, k=_LISTED, filter_viewed=True)
        table = np.zeros(tuple(rows["sizes"]), np.float32)
        table[listed["user_id"], listed["item_id"]] = _LISTED + 1.0 - listed["rank"]
        return table

    return scores


PEERS: dict[str, tuple[str, str, Callable]] = {  # the package, what to import of it, how to fit
    "implicit, ALS": ("implicit", "implicit.cpu.als", fit_als),
    "implicit, BPR": ("implicit", "implicit.cpu.bpr", fit_bpr),
    "implicit, item-item": ("implicit", "implicit.nearest_neighbours", fit_item_item),
    "RecTools, SASRec": ("rectools", "rectools.models.nn.transformers.sasrec", fit_sasrec),
}


def main(folder: str, peer: str, seed: str) -> None:
    """Fit with each setting, save the scores, and print a line of JSON for each."""
    warnings.simplefilter("ignore")
    package, module, fit = PEERS[peer]
    with np.load(Path(folder, "rows.npz")) as file:
        rows = dict(file)
    importlib.import_module(module)
    for number, settings in enumerate(json.loads(Path(folder, "settings.json").read_text())):
        began, busy = time.perf_counter(), sum(os.times()[:4])
        scores = fit(rows, int(seed), settings)
        seconds = time.perf_counter() - began, sum(os.times()[:4]) - busy
        np.save(Path(folder, f"scores-{number}.npy"), scores().astype(np.float32))
        version = importlib.metadata.version(package)
        print(json.dumps({"number": number, "seconds": seconds, "version": version}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
