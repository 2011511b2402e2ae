"""Other libraries predict ratings; see `peers_fit`. Predictions are not clipped to the scale."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from scipy import sparse

_BURN_IN = 10


def _one_chain(rows, blocks: bool, rank: int, draws: int, seed: int) -> np.ndarray:
    """One chain of myFM; with relation blocks as in its example, from training pairs only."""
    import myfm

    users, items = (int(size) for size in rows["sizes"])
    seen = sparse.csr_matrix((np.ones(len(rows["train"])), rows["train"].T), shape=(users, items))
    made = []
    for ones in (seen, seen.T.tocsr()):
        scale = sparse.diags(1 / np.sqrt(np.maximum(np.diff(ones.indptr), 1)))
        alone = sparse.identity(ones.shape[0], format="csr")
        made.append(sparse.hstack([alone, scale @ ones], format="csr") if blocks else alone)
    groups = [users, items, items, users] if blocks else [users, items]

    def of(pairs):
        return [myfm.RelationBlock(pairs[:, place], made[place]) for place in (0, 1)]

    model = myfm.MyFMRegressor(rank, random_seed=seed)
    settings = {"n_iter": draws, "n_kept_samples": draws - _BURN_IN, "group_shapes": groups}
    model.fit(None, rows["stars"], X_rel=of(rows["train"]), **settings)
    return model.predict(None, of(rows["test"]))


def fit_myfm(blocks: bool, rows, seed: int, *, factors: int, samples: int, chains: int):
    """Some chains, averaged as ours are, in processes side by side."""
    one = partial(_one_chain, rows, blocks, factors, samples)
    if chains == 1:
        found = one(seed)
    else:
        with ProcessPoolExecutor(os.cpu_count()) as pool:
            seeds = range(100 * seed, 100 * seed + chains)
            found = np.mean(list(pool.map(one, seeds)), axis=0)
    return lambda: found


def _surprise_rows(rows):
    import pandas as pd
    from surprise import Dataset, Reader

    stars, (users, items) = rows["stars"], rows["train"].T
    frame = pd.DataFrame({"user": users, "item": items, "stars": stars})
    reader = Reader(rating_scale=(stars.min(), stars.max()))
    return Dataset.load_from_df(frame, reader).build_full_trainset()


def _asked(model, rows):
    return lambda: np.array(
        [model.predict(*pair, clip=False).est for pair in rows["test"].tolist()]
    )


def fit_surprise_svd(rows, seed: int, *, factors: int, epochs: int, rate: float, decay: float):
    """Factors and biases by stochastic gradient descent."""
    from surprise import SVD

    settings = {"n_factors": factors, "n_epochs": epochs, "lr_all": rate, "reg_all": decay}
    return _asked(SVD(**settings, random_state=seed).fit(_surprise_rows(rows)), rows)


def fit_surprise_neighbors(rows, seed: int, *, k: int, shrinkage: int):
    """Nearest neighbors on top of two biases, of users or of items: whichever are fewer."""
    from surprise import KNNBaseline

    users, items = rows["sizes"]
    options = {
        "name": "pearson_baseline",
        "shrinkage": shrinkage,
        "user_based": bool(users < items),
    }
    model = KNNBaseline(k=k, sim_options=options, verbose=False)
    return _asked(model.fit(_surprise_rows(rows)), rows)


def fit_cornac(rows, seed: int, *, factors: int, epochs: int, rate: float, decay: float):
    """MF: factors and biases by stochastic gradient descent, compiled."""
    import cornac

    triples = zip(*rows["train"].T.tolist(), rows["stars"].tolist(), strict=True)
    data = cornac.data.Dataset.from_uir(list(triples), seed=seed)
    settings = {"k": factors, "max_iter": epochs, "learning_rate": rate, "lambda_reg": decay}
    model = cornac.models.MF(**settings, seed=seed).fit(data)
    users, items = data.uid_map, data.iid_map  # pairs it has not seen get an index it has not

    def rate_pair(user, item):
        pair = users.get(user, len(users)), items.get(item, len(items))
        return model.rate(*pair, clipping=False)

    return lambda: np.array([rate_pair(*pair) for pair in rows["test"].tolist()])


def fit_lenskit(rows, seed: int, *, factors: int, epochs: int, decay: float):
    """BiasedMF: two biases, then alternating least squares on the rest."""
    from lenskit.als import BiasedMFScorer
    from lenskit.training import TrainingOptions

    model = BiasedMFScorer(embedding_size=factors, epochs=epochs, regularization=decay)
    model.train(lenskit_rows(rows), TrainingOptions(rng=seed))
    users, items = rows["test"].T
    bias = model.bias

    def predict() -> np.ndarray:
        p, q = np.asarray(model.user_embeddings)[users], np.asarray(model.item_embeddings)[items]
        biases = bias.global_bias + bias.user_biases[users] + bias.item_biases[items]
        return biases + (p * q).sum(axis=1)

    return predict


def lenskit_rows(rows):
    """Return a data set of LensKit whose numbers are ours."""
    import pandas as pd
    from lenskit.data import from_interactions_df

    users, items = rows["train"].T
    frame = pd.DataFrame({"user_id": users, "item_id": items, "rating": rows["stars"]})
    everyone = [np.arange(size) for size in rows["sizes"]]
    return from_interactions_df(frame, users=everyone[0], items=everyone[1])


def fit_xlearn(rows, seed: int, *, factors: int, epochs: int, rate: float, decay: float):
    """A factorization machine by AdaGrad, through files, as it wants them."""
    folder, sizes = Path(rows["folder"]), rows["sizes"]
    stars = rows["stars"], np.zeros(len(rows["test"]))
    for name, part, y in zip(("train", "test"), (rows["train"], rows["test"]), stars, strict=True):
        lines = (f"{r:g} {u}:1 {i + sizes[0]}:1\n" for r, (u, i) in zip(y, part, strict=True))
        Path(folder, f"{name}.txt").write_text("".join(lines))
    settings = {"task": "reg", "k": factors, "epoch": epochs, "lr": rate, "lambda": decay}
    code = (
        "import sys, xlearn\nmodel = xlearn.create_fm()\nmodel.setTrain('train.txt')\n"
        "model.disableEarlyStop()\nmodel.setQuiet()\n"
        f"model.fit({settings!r}, 'model')\nmodel.setTest('test.txt')\nmodel.predict('model', 'out.txt')\n"
    )
    environment = {"USER": "learner", "LOGNAME": "learner", **os.environ}  # it aborts without
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return lambda: np.loadtxt(folder / "out.txt")


FITS = {
    "Surprise, SVD": (
        "scikit-surprise",
        partial(importlib.import_module, "surprise"),
        fit_surprise_svd,
    ),
    "Surprise, neighbors": (
        "scikit-surprise",
        partial(importlib.import_module, "surprise"),
        fit_surprise_neighbors,
    ),
    "cornac, MF": ("cornac", partial(importlib.import_module, "cornac"), fit_cornac),
    "LensKit, BiasedMF": ("lenskit", partial(importlib.import_module, "lenskit.als"), fit_lenskit),
    "xlearn, FM": ("xlearn", partial(importlib.import_module, "xlearn"), fit_xlearn),
    "myFM": ("myfm", partial(importlib.import_module, "myfm"), partial(fit_myfm, False)),
    "myFM, blocks of SVD++ flipped": (
        "myfm",
        partial(importlib.import_module, "myfm"),
        partial(fit_myfm, True),
    ),
}
