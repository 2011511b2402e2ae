"""A peer predicts ratings: ``python peers_rating.py FOLDER PEER SEED``, in the environment of the peers.

FOLDER holds ``rows.npz``: training pairs and their stars, test pairs, numbers of users and items. The predictions go
to ``predicted.npy`` beside it. A line on standard output says the version, and the seconds of fitting and predicting:
by wall clock and of CPU, with those of its processes.
Settings of the two that need some were chosen on a tenth of the training rows of ML-100K.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse

_TUNED = {"factors": 200, "epochs": 60, "rate": 0.01, "decay": 0.1}
_BURN_IN = 10


def predict_myfm(rows, seed: int, *, rank: int, draws: int, flipped: bool) -> np.ndarray:
    """One chain; with relation blocks as in its example, from training pairs only."""
    import myfm

    users, items = rows["sizes"]
    seen = sparse.csr_matrix((np.ones(len(rows["train"])), rows["train"].T), shape=(users, items))
    made = []
    for ones in (seen, seen.T.tocsr()):
        scale = sparse.diags(1 / np.sqrt(np.maximum(np.diff(ones.indptr), 1)))
        alone = sparse.identity(ones.shape[0], format="csr")
        made.append(sparse.hstack([alone, scale @ ones], format="csr") if flipped else alone)
    groups = [users, items, items, users] if flipped else [users, items]

    def blocks(pairs):
        return [myfm.RelationBlock(pairs[:, place], made[place]) for place in (0, 1)]

    model = myfm.MyFMRegressor(rank, random_seed=seed)
    settings = {"n_iter": draws, "n_kept_samples": draws - _BURN_IN, "group_shapes": groups}
    model.fit(None, rows["stars"], X_rel=blocks(rows["train"]), **settings)
    return model.predict(None, blocks(rows["test"]))


def predict_myfm_chains(rows, seed: int) -> np.ndarray:
    """Four short chains of it, averaged as ours are, in processes side by side."""
    one = partial(predict_myfm, rank=10, draws=75, flipped=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return np.mean(list(pool.map(one, [rows] * 4, range(100 * seed, 100 * seed + 4))), axis=0)


def predict_surprise(rows, seed: int) -> np.ndarray:
    """SVD: factors and biases by stochastic gradient descent."""
    import pandas as pd
    from surprise import SVD, Dataset, Reader

    stars, (users, items) = rows["stars"], rows["train"].T
    frame = pd.DataFrame({"user": users, "item": items, "stars": stars})
    reader = Reader(rating_scale=(stars.min(), stars.max()))
    model = SVD(
        n_factors=_TUNED["factors"],
        n_epochs=_TUNED["epochs"],
        lr_all=_TUNED["rate"],
        reg_all=_TUNED["decay"],
        random_state=seed,
    )
    model.fit(Dataset.load_from_df(frame, reader).build_full_trainset())
    return np.array([model.predict(*pair, clip=False).est for pair in rows["test"].tolist()])


def predict_cornac(rows, seed: int) -> np.ndarray:
    """MF: the same model, compiled."""
    import cornac

    triples = zip(*rows["train"].T.tolist(), rows["stars"].tolist(), strict=True)
    data = cornac.data.Dataset.from_uir(list(triples), seed=seed)
    model = cornac.models.MF(
        k=_TUNED["factors"],
        max_iter=_TUNED["epochs"],
        learning_rate=_TUNED["rate"],
        lambda_reg=_TUNED["decay"],
        seed=seed,
    ).fit(data)
    users, items = data.uid_map, data.iid_map  # pairs it has not seen get an index it has not

    def rate(user, item):
        pair = users.get(user, len(users)), items.get(item, len(items))
        return model.rate(*pair, clipping=False)

    return np.array([rate(*pair) for pair in rows["test"].tolist()])


PEERS: dict[str, tuple[str, Callable]] = {
    "myFM, rank 8, 200 draws": (
        "myfm",
        partial(predict_myfm, rank=8, draws=200, flipped=False),
    ),
    "myFM, SVD++ flipped, rank 10, 300 draws": (
        "myfm",
        partial(predict_myfm, rank=10, draws=300, flipped=True),
    ),
    "myFM, SVD++ flipped, rank 10, 4 × 75 draws": ("myfm", predict_myfm_chains),
    "Surprise, SVD, tuned": ("scikit-surprise", predict_surprise),
    "cornac, MF, tuned": ("cornac", predict_cornac),
}


def main(folder: str, peer: str, seed: str) -> None:
    """Predict, save, and print a line of JSON."""
    package, predict = PEERS[peer]
    with np.load(Path(folder, "rows.npz")) as file:
        rows = dict(file)
    __import__({"scikit-surprise": "surprise"}.get(package, package))
    began, busy = time.perf_counter(), sum(os.times()[:4])
    predicted = predict(rows, int(seed))
    seconds = time.perf_counter() - began, sum(os.times()[:4]) - busy
    np.save(Path(folder, "predicted.npy"), predicted)
    print(json.dumps({"seconds": seconds, "version": importlib.metadata.version(package)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
