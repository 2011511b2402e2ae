"""Other libraries order items; see `peers_fit`. One that hands back lists scores what it lists by place, the rest 0."""

from __future__ import annotations

import importlib
import os
from functools import partial

import numpy as np
from peers_rating import lenskit_rows
from scipy import sparse

_LISTED = 20


def _taken(rows) -> sparse.csr_matrix:
    ones = np.ones(len(rows["train"]), np.float32)
    return sparse.csr_matrix((ones, tuple(rows["train"].T)), shape=tuple(rows["sizes"]))


def _products(model):
    users, items = (np.asarray(table) for table in (model.user_factors, model.item_factors))
    return lambda: users @ items.T


def fit_als(rows, seed: int, **settings):
    """Implicit's ALS, on as many threads as it likes."""
    from implicit.cpu.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(**settings, random_state=seed)
    model.fit(_taken(rows), show_progress=False)
    return _products(model)


def fit_bpr(rows, seed: int, **settings):
    """Implicit's BPR."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(**settings, random_state=seed)
    model.fit(_taken(rows), show_progress=False)
    return _products(model)


def fit_item_item(rows, seed: int, *, kind: str, K: int):
    """Implicit's nearest neighbors of items, by cosine, TF-IDF or BM25."""
    from implicit import nearest_neighbours as nn

    kinds = {
        "cosine": nn.CosineRecommender,
        "tfidf": nn.TFIDFRecommender,
        "bm25": nn.BM25Recommender,
    }
    model = kinds[kind](K=K)
    model.fit(_taken(rows), show_progress=False)
    return lambda: (_taken(rows) @ model.similarity).toarray()


def fit_faiss(rows, seed: int, *, neighbors: int):
    """Exact search for the items of the largest cosine; their cosines are added up, as in our own."""
    import faiss

    columns = np.ascontiguousarray(_taken(rows).T.toarray(), np.float32)
    faiss.normalize_L2(columns)
    index = faiss.IndexFlatIP(columns.shape[1])
    index.add(columns)
    cosines, found = index.search(columns, neighbors + 1)
    places = np.repeat(np.arange(len(columns)), found.shape[1])
    own = found.ravel() == places
    cosines = np.where(own | (found.ravel() < 0), 0, cosines.ravel())
    parts = cosines, (np.maximum(found.ravel(), 0), places)
    similar = sparse.csr_matrix(parts, shape=(len(columns),) * 2)
    return lambda: (_taken(rows) @ similar).toarray()


def fit_cornac_bpr(
    rows, seed: int, *, k: int, max_iter: int, learning_rate: float, lambda_reg: float
):
    """Cornac's BPR, with item biases."""
    import cornac

    triples = [(user, item, 1.0) for user, item in rows["train"].tolist()]
    data = cornac.data.Dataset.from_uir(triples, seed=seed)
    settings = {"k": k, "max_iter": max_iter, "learning_rate": learning_rate}
    model = cornac.models.BPR(
        **settings, lambda_reg=lambda_reg, seed=seed, num_threads=os.cpu_count()
    ).fit(data)

    def scores() -> np.ndarray:
        table = np.full(tuple(rows["sizes"]), -np.inf, np.float32)
        known = np.array(list(data.uid_map)), np.array(list(data.iid_map))  # in its own order
        table[np.ix_(*known)] = model.u_factors @ model.i_factors.T + model.i_biases
        return np.where(np.isfinite(table), table, np.float32(table[np.isfinite(table)].min() - 1))

    return scores


def fit_lightfm(
    rows, seed: int, *, loss: str, no_components: int, learning_rate: float, epochs: int
):
    """LightFM with its ranking losses."""
    from lightfm import LightFM

    settings = {"no_components": no_components, "learning_rate": learning_rate}
    model = LightFM(**settings, loss=loss, random_state=seed)
    model.fit(_taken(rows).tocoo(), epochs=epochs, num_threads=os.cpu_count())
    ratings = model.item_embeddings, model.item_biases
    return lambda: model.user_embeddings @ ratings[0].T + ratings[1]


def fit_implicit_mf(
    rows, seed: int, *, embedding_size: int, epochs: int, weight: float, decay: float
):
    """LensKit's alternating least squares on clicks."""
    from lenskit.als import ImplicitMFScorer
    from lenskit.training import TrainingOptions

    settings = {"embedding_size": embedding_size, "epochs": epochs, "weight": weight}
    model = ImplicitMFScorer(**settings, regularization=decay)
    model.train(lenskit_rows(rows), TrainingOptions(rng=seed))
    users, items = (np.asarray(table) for table in (model.user_embeddings, model.item_embeddings))
    return lambda: users @ items.T


def _rectools_rows(rows):
    import pandas as pd
    from rectools.dataset import Dataset

    users, items = rows["train"].T
    when = pd.Timestamp("2020-01-01") + pd.to_timedelta(np.arange(len(users)), unit="s")
    columns = {"user_id": users, "item_id": items, "weight": 1.0, "datetime": when}
    return Dataset.construct(pd.DataFrame(columns))


def _listed(model, data, rows):
    def scores() -> np.ndarray:
        users = np.unique(rows["train"][:, 0])
        listed = model.recommend(users=users, dataset=data, k=_LISTED, filter_viewed=True)
        table = np.zeros(tuple(rows["sizes"]), np.float32)
        table[listed["user_id"], listed["item_id"]] = _LISTED + 1.0 - listed["rank"]
        return table

    return scores


def fit_sasrec(rows, seed: int, **settings):
    """RecTools' SASRec; the place in the order stands for the time."""
    import pytorch_lightning as lightning
    from rectools.models import SASRecModel

    data = _rectools_rows(rows)
    lightning.seed_everything(seed)
    model = SASRecModel(**settings, deterministic=True)
    model.fit(data)
    return _listed(model, data, rows)


def fit_rectools_ease(rows, seed: int, *, regularization: float):
    """RecTools' EASE."""
    from rectools.models import EASEModel

    data, model = _rectools_rows(rows), EASEModel(regularization=regularization)
    model.fit(data)
    return _listed(model, data, rows)


_SASREC = "rectools.models.nn.transformers.sasrec"
_NEIGHBORS = "implicit.nearest_neighbours"
FITS = {
    "implicit, ALS": ("implicit", partial(importlib.import_module, "implicit.cpu.als"), fit_als),
    "implicit, BPR": ("implicit", partial(importlib.import_module, "implicit.cpu.bpr"), fit_bpr),
    "implicit, item-item": (
        "implicit",
        partial(importlib.import_module, _NEIGHBORS),
        fit_item_item,
    ),
    "faiss, item-item": ("faiss-cpu", partial(importlib.import_module, "faiss"), fit_faiss),
    "cornac, BPR": ("cornac", partial(importlib.import_module, "cornac"), fit_cornac_bpr),
    "LightFM": ("lightfm-next", partial(importlib.import_module, "lightfm"), fit_lightfm),
    "LensKit, ImplicitMF": (
        "lenskit",
        partial(importlib.import_module, "lenskit.als"),
        fit_implicit_mf,
    ),
    "RecTools, EASE": (
        "rectools",
        partial(importlib.import_module, "rectools.models"),
        fit_rectools_ease,
    ),
    "RecTools, SASRec": ("rectools", partial(importlib.import_module, _SASREC), fit_sasrec),
}
