# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 07 · Top-x with k-NN
#
# A model scores one pair at a time, and a shop wants a list: the best ten of a million items, for everybody, tonight. This chapter turns
# a factorization machine into vectors, lets a nearest-neighbor search find the best of them, and asks what the list is worth.
#
# | | |
# |---|---|
# | **You will be able to** | fold a factorization machine into one inner product · run SageMaker's k-NN as a batch job · read its answer the right way round · choose an index by recall and cost · filter, store and serve the lists |
# | **Prerequisites** | [06](06_factorization_machines.ipynb); ranking metrics from [04](04_negative_sampling.ipynb) |
# | **Time** | 90 minutes to read and try, under a minute to run |
# | **Needs** | no network, no account, no GPU; MXNet is used where it is installed |
# | **Builds on** | AWS post on factorization machines and top x recommendations (Karnin and Thamman, 2019) |
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*

# %%
import json
import sqlite3
import sys
import tempfile
import textwrap
from pathlib import Path

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import cloud, data, gates, ledger, metrics, plots, sampling
from helpers.cloud import exchange
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore
from helpers.knn import VectorIndex, cheapest, recall_at_k, trade_off, vectors_like
from helpers.metrics import contradictions
from helpers.models import content
from helpers.models.baselines import Popularity
from helpers.models.fm import TUNED_HYPERPARAMETERS, rating_rows, side_by_side
from local_sagemaker.formats import artifact

plots.style()
scratch = tempfile.TemporaryDirectory()  # gone when the notebook ends

# %% [markdown]
# ## Predict before you run
#
# The post asks a k-NN service for the 100 films nearest to user 1 and prints them with their *distances*: film 509 is first, with 1.87,
# and film 483 is last, with 4.07. Which film would you put at the top of the page? And is film 509 the film with number 509?

# %%
guess("07", "Which film belongs at the top?", ["film 509, with 1.87", "film 483, with 4.07"])
choices = ["yes", "no", "only if the film numbers have no gaps"]
guess("07.b", "Is film 509 of the list the film with number 509?", choices)

# %% [markdown]
# ## Score all pairs, then don't
#
# With one feature for the user and one for the item, the factorization machine of chapter 06 predicts
#
# $$\hat y(u, i) = w_0 + w_u + w_i + \langle v_u, v_i \rangle$$
#
# where $w_0$ is a constant, $w_u$ and $w_i$ are the weights of user $u$ and item $i$, and $v_u$, $v_i$ their factors. Two users and three
# films, two factors each, fit on a napkin:

# %%
w0, w1 = 3.5, np.array([0.5, -1.0, 0.2, 0.1, -0.3])  # two users, then three films
v = np.array([[1.0, 0.0], [0.2, 1.0], [0.5, -0.5], [-0.4, 0.8], [0.6, 0.6]])
stars = w0 + w1[:2, None] + w1[2:] + v[:2] @ v[2:].T
pd.DataFrame(stars, index=["Ana", "Ben"], columns=["film 0", "film 1", "film 2"]).round(2)

# %% [markdown]
# Ana gives everything a star and a half more than Ben: $w_0 + w_u$ is the same in all cells of a row. It moves a row up and down and
# never changes its order. What is left, $w_i + \langle v_u, v_i \rangle$, is *one* inner product of longer vectors,
#
# $$a_u = [v_u, 1] \qquad a_i = [v_i, w_i] \qquad \langle a_u, a_i \rangle = \langle v_u, v_i \rangle + w_i$$
#
# and finding the largest inner product is a search that machines are good at.
#
# **Exercise 07.1** (6 min). Write `fold(v, w1, n_users)`: the matrices of all $a_u$, `(n_users, k + 1)`, and of all $a_i$,
# `(n_items, k + 1)`. The first `n_users` rows of `v` and of `w1` belong to users. Stuck? Run `q1.hint()` or `q1.solution()` in a cell of your own.


# %%
def fold(v, w1, n_users):
    ### BEGIN SOLUTION 07.1
    ones = np.ones((n_users, 1), dtype=v.dtype)
    return np.hstack([v[:n_users], ones]), np.hstack([v[n_users:], w1[n_users:, None]])
    ### END SOLUTION


# %%
q1 = exercise("07.1")
q1.check(fold)

# %%
fold = q1.use(fold)
a_users, a_items = fold(v, w1, 2)
for name, own, folded in zip(("Ana", "Ben"), stars, a_users @ a_items.T, strict=True):
    by_stars = f"{own.round(2)}: {np.argsort(-own)}"
    print(f"{name} by stars {by_stars}, by inner product {folded.round(2)}: {np.argsort(-folded)}")

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 07.q1
choice = "b"
### END SOLUTION
exercise("07.q1").ask(choice)

# %% [markdown]
# ## The model of chapter 06
#
# From here on everything is real: ratings, a training job, its artifact. `cloud.connect()` starts the SageMaker of this machine, or finds
# the one that the lab runs. The split is chapter 06's, a random fifth held out, so that its model can serve here, too.

# %%
aws = cloud.connect()
place = aws.folder("course-07")  # in the bucket
on_aws = cloud.estimate("ml.c5.xlarge", hours=0.1, count=3)
on_aws += cloud.estimate("ml.m5.large", hours=0.2)
print("What follows, on AWS:", on_aws)
sagemaker, folder = aws.client("sagemaker"), Path(scratch.name)
ratings = data.load()
split = data.random_split(ratings, 0.2, seed=0)
n_users, n_items = ratings.n_users, ratings.n_items
print(split)

# %% [markdown]
# The settings are those that chapter 06 arrived at. Where the lab's server runs, that chapter has left a job behind, and any completed
# job will do that had *these* settings and *these* bytes: it ends in the same model, while a name proves nothing. Where there is none,
# the chapter trains its own, in a few seconds.

# %%
from sagemaker.core import image_uris
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig


def run_job(algorithm, name, settings, uri):
    """Train a built-in algorithm on one channel; return where its artifact lies."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve(algorithm, aws.region),
        role=aws.role,
        sagemaker_session=aws.session,
        base_job_name=aws.name(f"course-07-{name}"),
        compute=Compute(instance_type="ml.c5.xlarge", instance_count=1),
        hyperparameters=settings,
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/{place}/out"),
    )
    source = uri.rpartition("/")[0] + "/"  # a job reads every key that begins so
    kind = "application/x-recordio-protobuf"
    channel = InputData(channel_name="train", data_source=source, content_type=kind)
    trainer.train([channel], logs=False)
    return trainer._latest_training_job.model_artifacts.s3_model_artifacts


# %%
rows, given = rating_rows(split.train)  # a one for the user, a one for the film
order = np.random.default_rng(0).permutation(len(given))  # the container takes rows as they come
key = f"{place}/ratings/data.pbr"
uri, fingerprint = exchange.upload_matrix(aws, key, rows[order], given[order])
settings = dict(feature_dim=rows.shape[1], predictor_type="regressor", **TUNED_HYPERPARAMETERS)
print(f"{rows.shape[0]:,} rows of {rows.shape[1]:,} features are in S3, for a job to learn from")
fm_uri = exchange.finished_job(aws, settings, fingerprint)
fm_uri = fm_uri or run_job("factorization-machines", "fm", settings, uri)

# %% [markdown]
# ## Unpack the artifact
#
# A job's model is a file in S3, `model.tar.gz`. Inside lies `model_algo-1`, inside that MXNet's parameters and graph. The post
# downloads it and loads it into an MXNet `Module`; the end of this chapter does the same, where MXNet is installed. The format is
# simple enough to be read without: `local_sagemaker.formats.artifact` does it in NumPy.

# %%
fm = artifact.read_model(exchange.download(aws, fm_uri, folder / "model.tar.gz"))
sizes = f"v {fm.v.shape}, w1 {fm.w1.shape}, w0 one number"
print(f"{sizes}: {n_users} users first, then {n_items:,} films")

# %% [markdown]
# ## The same order, for every user
#
# Is the list of inner products really the model's own list? For two films it is algebra. In a computer there are *ties*: numbers that
# differ in theory and agree in the last digit kept, or the other way round. So we count contradictions: films for which some other film
# stands clearly above by one score and clearly below by the other. "Clearly" is more than $10^{-9}$ stars. The model's own score is
# written out in full, as its container computes it.


# %%
def own_scores(user, w0, w1, v):
    """The whole equation for one user and all items, as a difference of squares."""
    total = v[user] + v[n_users:]  # Σ v_j x_j of each pair
    squares = np.einsum("nk,nk->n", v, v)
    pairs = (np.einsum("nk,nk->n", total, total) - squares[user] - squares[n_users:]) / 2
    return w0 + w1[user] + w1[n_users:] + pairs


a_users, a_items = fold(fm.v, fm.w1, n_users)
exact_fm = fm.w0, fm.w1.astype(np.float64), fm.v.astype(np.float64)
inner = a_users.astype(np.float64) @ a_items.T.astype(np.float64)
against = np.array([contradictions(own_scores(u, *exact_fm), inner[u]) for u in range(n_users)])
print(f"users whose two lists contradict each other: {(against > 0).sum()} of {n_users}")

# %% [markdown]
# Not one contradiction, for anybody. From now on the model is two matrices. To let the model score all pairs, six million records would
# have to be written, uploaded and read; now it is 671 users, and the films once.
#
# ## A k-NN job
#
# SageMaker's `knn` stores vectors and finds the nearest. Like the post, we give it the items' vectors, number them from 1, choose
# `INNER_PRODUCT`, keep all of them (`sample_size`) and ask for 100 neighbors. It calls itself a *classifier*, and would let the
# neighbors vote on a label. The vote is of no use here, the neighbors are. "Training" puts the vectors into an index and saves it.
#
# Then a *batch transform* starts a machine, sends it every record of a file, stores the answers, and goes away again. It needs a model,
# which is a name for "this image with that artifact". The `with` deletes that whatever happens.

# %%
labels = np.arange(1, n_items + 1)  # as in the post
items_uri, _ = exchange.upload_matrix(aws, f"{place}/items/data.pbr", a_items, labels)
knn_settings = dict(feature_dim=a_items.shape[1], k=100, sample_size=n_items)
knn_settings |= dict(predictor_type="classifier", index_metric="INNER_PRODUCT")
knn_uri = run_job("knn", "knn", knn_settings, items_uri)

# %%
from sagemaker.core.transformer import Transformer


def transform(name, model_uri, users_uri):
    """Ask a k-NN model for the neighbors of every user; return the lines of the answer."""
    output = f"{place}/answers/{name}"
    with cloud.cleanup(aws, prefix=name):
        container = {"Image": image_uris.retrieve("knn", aws.region), "ModelDataUrl": model_uri}
        made_of = dict(PrimaryContainer=container, ExecutionRoleArn=aws.role)
        sagemaker.create_model(ModelName=name, **made_of)
        batch = Transformer(
            model_name=name,
            instance_count=1,
            instance_type="ml.m5.large",
            accept="application/jsonlines; verbose=true",
            assemble_with="Line",
            base_transform_job_name=aws.name("course-07"),
            output_path=f"s3://{aws.bucket}/{output}",
            sagemaker_session=aws.session,
        )
        kind = "application/x-recordio-protobuf"
        batch.transform(users_uri, content_type=kind, split_type="RecordIO", logs=False)
    lines_uri = f"s3://{aws.bucket}/{output}/data.pbr.out"
    answer = exchange.download(aws, lines_uri, folder / "answer.jsonl")
    return answer.read_text().splitlines()


# %%
users_uri, _ = exchange.upload_matrix(aws, f"{place}/users/data.pbr", a_users)
lines = transform(aws.name("course-07-knn-lists"), knn_uri, users_uri)
first = json.loads(lines[0])
fields, neighbors = ", ".join(sorted(first)), len(first["labels"])
print(f"{len(lines)} lines, one a user; in each: {fields}; {neighbors} neighbors")

# %% [markdown]
# Lines come in the order of the records: the first belongs to user 0, whose `user_id` is 1. That is all a line says of its owner.
# A published notebook prints the line of user 201 under the heading "user 900", and no check could notice.
#
# ## Two slips, and how to read a line
#
# **Labels.** The rows were numbered from 1. In the post that makes label 509 film 509, since ML-100K's film numbers have no gaps; ours have.
# The same notebook keeps titles in an array that begins at 0 and looks up `titles[label]`: every film stands under its neighbor's name.
#
# **Exercise 07.2** (4 min). Write `items_of(labels, n_items)`: the zero-based indices of such labels (JSON gives floats, in lists), as
# whole numbers, in the shape given. A label that belongs to no item must raise a `ValueError`: in NumPy, index -1 is a film, too.


# %%
def items_of(labels, n_items):
    ### BEGIN SOLUTION 07.2
    items = np.asarray(labels).astype(np.int64) - 1
    if items.size and (items.min() < 0 or items.max() >= n_items):
        raise ValueError(f"expected labels from 1 to {n_items}")
    return items
    ### END SOLUTION


# %%
q2 = exercise("07.2")
q2.check(items_of)

# %%
items_of = q2.use(items_of)
film = ratings.item_ids[items_of([509], n_items)[0]]
guess("07.b").meets(f"so only where film numbers have no gaps: here label 509 is film {film}")

# %% [markdown]
# **Direction.** The container sorts by what it calls a distance, upwards, whatever the metric. With `INNER_PRODUCT` that number is a
# score, and more is better. The cell after the exercise comes back to your first guess.
#
# **Exercise 07.3** (4 min). Write `best_first(line)`: the labels of one line of JSON, the best first.


# %%
def best_first(line):
    ### BEGIN SOLUTION 07.3
    return json.loads(line)["labels"][::-1]
    ### END SOLUTION


# %%
q3 = exercise("07.3")
q3.check(best_first)

# %%
best_first = q3.use(best_first)
neighbors = [items_of(best_first(line), n_items) for line in lines]
top, places = np.array(neighbors), -np.arange(100.0)  # (n_users, 100), best first
exact = metrics.top_k(inner, 100)
worst, limit = (np.take_along_axis(inner, some, 1).min(axis=1) for some in (top, exact))
right = (worst > limit - 1e-5).sum()
in_order = sum(contradictions(places, inner[u, top[u]], 1e-5) == 0 for u in range(n_users))
print(f"users who get their best 100: {right} of {n_users}, best first: {in_order} (ties aside)")
guess("07").meets("film 483: the numbers are inner products, and the largest is the best")

# %% tags=["nbval-ignore-output"]
titles = ratings.items["title"].to_numpy()
print(f"Recommended movie IDs for user #1:\n{ratings.item_ids[top[0, :12]].tolist()} …")
for name, items in (("by index", top[0, :3]), ("titles[label]", top[0, :3] + 1)):
    print(f"{name + ':':14}", " · ".join(plots.short(title) for title in titles[items]))
readings = {"the best ten": top[:, :10], "the first ten as they came": top[:, :-11:-1]}
readings["titles[label]"] = (top[:, :10] + 1) % n_items
at_random = np.random.default_rng(0).integers(0, n_items, (n_users, 10))
readings["ten films at random"] = at_random
level = fm.w0 + fm.w1[:n_users, None]  # what the inner products leave out
means = {}
for name, items in readings.items():
    means[name] = (level + np.take_along_axis(inner, items, 1)).mean()
assert means["the best ten"] > means["the first ten as they came"] + 0.1
assert means["the first ten as they came"] > means["titles[label]"] + 0.1
pd.Series(means, name="predicted stars, mean over users").round(2).to_frame()

# %% [markdown]
# In the order they came, the first ten are the worst of a hundred good films: 4.23 stars, not 4.55. Nobody would notice. Read with
# `titles[label]`, the list is hardly better than a random one, and on a screen just as plausible. Neither slip is found by looking.
# Both are found by one test: a user whose best item you know.
#
# ## The metric matters
#
# `index_metric` has a default, L2, the distance of two points. What happens when you forget to set it? Decide before the next cell
# tells.

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 07.q2
choice = "c"
### END SOLUTION
exercise("07.q2").ask(choice)

# %% tags=["nbval-ignore-output"]
forgotten = VectorIndex(a_items, metric="l2").search(a_users, 10).items
overlap, length = recall_at_k(forgotten, exact[:, :10]), np.linalg.norm(a_items, axis=1)
print(f"of the ten films by inner product, {overlap:.0%} are among the ten nearest by L2")
there, here = np.median(length[exact[:, :10]]), np.median(length[forgotten])
print(f"median length of a vector: {there:.2f} there, {here:.2f} here")
assert overlap < 0.5

# %% [markdown]
# Nothing broke, and the lists are others. Yet some indexes know nothing but L2. SageMaker's `faiss.IVFPQ` is one, and graphs work much
# better with it. There is a way: since
# $\lVert a_u - a_i \rVert^2 = \lVert a_u \rVert^2 - 2 \langle a_u, a_i \rangle + \lVert a_i \rVert^2$,
# the two orders agree as soon as all items are *equally long*. One more column can make them so, without a change to any
# inner product.
#
# **Exercise 07.4** (8 min). Write `lengthen(items, users)`: both matrices with one more column behind the others, so that all items are
# equally long and no inner product changes.


# %%
def lengthen(items, users):
    ### BEGIN SOLUTION 07.4
    squares = (items**2).sum(axis=1)
    missing = np.sqrt(squares.max() - squares)
    return np.hstack([items, missing[:, None]]), np.hstack([users, np.zeros((len(users), 1))])
    ### END SOLUTION


# %%
q4 = exercise("07.4")
q4.check(lengthen)

# %%
lengthen = q4.use(lengthen)
longer_items, longer_users = lengthen(a_items.astype(np.float64), a_users.astype(np.float64))
again = VectorIndex(longer_items, metric="l2").search(longer_users, 10).items
agree = sum(contradictions(-np.arange(10), inner[u, again[u]], 1e-5) == 0 for u in range(n_users))
words = "the ten nearest by L2 come in the order of the inner product"
print(f"{words} for {agree} of {n_users} users")

# %% [markdown]
# ## What is the list worth?
#
# The search is exact, so the lists are as good as the model. How good is that? The held-out fifth knows: does one of the ten films on
# the page turn up among the user's held-out ratings? (Whole catalog, seen removed, k = 10; some 30 held-out films a user on average,
# so these numbers are far above chapter 05's, which hides one.) Popularity is the baseline, as always. Chapter 04 makes us suspicious of a model
# that has learned from stars. So we train a second one on a second question: *taken or not*, with three sampled negatives for each
# rating; its rates and its four epochs did best on a tenth of the training rows. It is the same job with `binary_classifier`, and the same
# `fold`, for a sigmoid keeps every order.

# %%
taken = sampling.NegativeSampler(split.train, avoid="train").epoch(3, rng=np.random.default_rng(0))
pairs = side_by_side((taken.users, n_users), (taken.items, n_items))
print(f"a job learns from {len(taken.items):,} pairs, {np.mean(taken.labels):.0%} of them taken")
c_settings = dict(feature_dim=pairs.shape[1], num_factors=16, predictor_type="binary_classifier")
c_settings |= dict(epochs=4, mini_batch_size=8192, linear_lr=0.02, linear_wd=1e-5)
c_settings |= dict(factors_lr=0.02, factors_wd=1e-5, factors_init_sigma=0.05)
uri, _ = exchange.upload_matrix(aws, f"{place}/clicks/data.pbr", pairs, taken.labels)
clicks_uri = run_job("factorization-machines", "clicks", c_settings, uri)
clicks = artifact.read_model(exchange.download(aws, clicks_uri, folder / "clicks.tar.gz"))
c_users, c_items = fold(clicks.v, clicks.w1, n_users)
models = {"popularity": Popularity().fit(split.train).scores(np.arange(n_users))}
models |= {"FM on stars": inner, "FM on clicks": c_users @ c_items.T}

# %% tags=["nbval-ignore-output"]
results = {}
for name, scores in models.items():
    results[name] = metrics.evaluate(scores, split.test, seen=split.train)
ndcg = {name: found["ndcg"] for name, found in results.items()}
gaps = {name: found.compare(ndcg["popularity"]) for name, found in ndcg.items()}
assert gaps["FM on stars"].high < 0 < gaps["FM on clicks"].low
table = {}
for name, found in results.items():
    table[name] = [*(measured.interval for measured in found.values()), gaps[name]]
pd.DataFrame(table, ["HR@10", "NDCG@10", "NDCG above popularity"]).T

# %% [markdown]
# The list of the model of stars loses to ten films that are the same for everyone but for what each has seen, by far. Neither search
# nor fold is at fault: the model was asked how many stars a film gets *if it is watched*, and few people come upon its favorites. The
# second model answers the shop's question, with the same container, the same fold, the same search (one seed is
# shown; two others stand above popularity as clearly). It goes on the page.
#
# ## Side features
#
# Ages, genres, keywords: with more features, $x$ has a user's part and an item's part, and each part is a sum. Let
# $s_u = \sum_{j \in u} x_j v_j$ and $s_i = \sum_{j \in i} x_j v_j$. Pairs of one feature here and one there add up to
# $\langle s_u, s_i \rangle$. Pairs *within* the user are the same for all items and drop out. Pairs within the item do not: they belong into the last number of $a_i$.
#
# **Exercise 07.5** (12 min, *stretch*). Write `item_vectors(x, v, w1)` for a matrix `x` of items by features: all $a_i$,
# `(n_items, k + 1)`, in $O(kn)$ as in chapter 06.


# %%
def item_vectors(x, v, w1):
    ### BEGIN SOLUTION 07.5
    s = x @ v
    within = ((s**2).sum(axis=1) - x**2 @ (v**2).sum(axis=1)) / 2
    return np.hstack([s, (x @ w1 + within)[:, None]])
    ### END SOLUTION


# %%
q5 = exercise("07.5")
q5.check(item_vectors)

# %%
item_vectors = q5.use(item_vectors)
names, genres = content.genre_names(ratings.items), content.genre_rows(ratings.items).toarray()
rng, n = np.random.default_rng(0), len(names) + 3  # three features of users, then the genres
factors, weights = rng.normal(size=(n, 8)), rng.normal(size=n)
described = np.pad(genres, ((0, 0), (3, 0)))
person = np.pad([1.0, 0.35, 1.0], (0, len(names)))  # a member, aged 35, on a phone
x = person + described
whole = x @ weights + (((x @ factors) ** 2).sum(axis=1) - x**2 @ (factors**2).sum(axis=1)) / 2
short = np.append(person @ factors, 1) @ item_vectors(described, factors, weights).T
against = contradictions(whole, short)
found = f"{against} contradictions in {n_items:,} films"
print(f"{len(names)} genres, weights drawn at random: {found}")

# %% [markdown]
# The identity holds for any weights, learned or not. A film that nobody has rated gets a vector, too, from its genres; chapter 08
# lives on that.
#
# ## Search without comparing everything
#
# *Flat* compares a user with every item. Two ideas avoid that. **IVF** sorts the items into cells around centroids and looks into the
# `nprobe` nearest cells; **IVFPQ** also keeps, instead of each vector, a few bytes of code. **HNSW**, which SageMaker's k-NN algorithm
# does not offer, walks a graph from neighbor to neighbor and keeps the `efSearch` best seen. All may miss some: *recall* is the share
# of the true ten that they find.
#
# Fifteen thousand vectors are enough to see it, if they are the right ones: we draw them with the mean and the covariance of the fitted
# item vectors, and for comparison as white noise, every direction as important as any other. Seconds differ from machine to machine, so
# we also count what share of the vectors a query is compared with.


# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(0)
fitted = vectors_like(a_items, 15_000, rng)
queries = a_users[rng.choice(n_users, 200, replace=False)]
noise, noisy = (rng.normal(size=matrix.shape).astype(np.float32) for matrix in (fitted, queries))
views = {
    "fitted, inner product": (fitted, queries, False),
    "fitted, one more column": (fitted, queries, True),
    "white noise, one more column": (noise, noisy, True),
}
measured, shares = {}, {}
for view, (vectors, asked, longer) in views.items():
    measured[view] = trade_off(vectors, asked, as_distance=longer)
    shares[view] = cheapest(measured[view], 0.9)["compared"]
    print(f"{view}: {len(measured[view])} ways to search {len(vectors):,} vectors measured")
table = pd.DataFrame(shares).T.reindex(columns=["Flat", "IVFFlat", "IVFPQ", "HNSW"])
table.map("{:.1%}".format).replace("nan%", "cannot").rename_axis("compared, to find 90 %")

# %% [markdown]
# Move the line, the share of the true neighbors that is wanted. Then change the vectors: which index suffers most?


# %% tags=["nbval-ignore-output", "fold"]
def found_by(view, wanted):
    first = cheapest(measured[view], wanted)["compared"].drop("Flat")
    never = [name for name in ("IVFFlat", "IVFPQ", "HNSW") if name not in first.index]
    shares = [f"{name} compares {share:.1%}" for name, share in first.items()]
    return ", ".join(shares + [f"{name} cannot" for name in never])


def tell_indexes(view, wanted, cost):
    return f"To find {wanted:.0%} of the true ten ({view}), {found_by(view, wanted)}."


def draw_indexes(view, wanted, cost):
    fig, ax = plt.subplots(figsize=(7, 4))
    looks = (("black", "-", "s"), ("blue", "-", "o"), ("orange", "--", "^"), ("green", ":", "D"))
    curves = measured[view].groupby("index", sort=False)
    for (color, dash, mark), (name, curve) in zip(looks, curves, strict=True):
        look = dict(linestyle=dash, marker=mark, markersize=4, color=plots.PALETTE[color])
        ax.plot(curve[cost], curve["recall"], label=name, **look)
    rings = cheapest(measured[view], wanted)
    ring = dict(markersize=12, fillstyle="none", label="cheapest that reaches the line")
    ax.plot(rings[cost], rings["recall"], "ok", **ring)
    ax.axhline(wanted, color=plots.PALETTE["grey"], linestyle="--", linewidth=1)
    ax.set(xscale="log", ylim=(0, 1.05), ylabel="recall@10")
    ax.set_xlabel("milliseconds a query, on this machine")
    if cost == "compared":
        ax.set_xlabel("share of the vectors compared")
        ax.xaxis.set_major_formatter("{x:.0%}")
    ax.set_title(f"{view}\nto find {wanted:.0%}, {found_by(view, wanted)}", fontsize=10)
    ax.legend(loc="lower right")
    return fig


explore(
    draw_indexes,
    alt=tell_indexes,
    view=widgets.ToggleButtons(
        options=list(measured),
        value="fitted, one more column",
        description="vectors",
        style={"button_width": "auto"},  # as wide as its words
    ),
    wanted=widgets.FloatSlider(value=0.9, min=0.3, max=0.99, step=0.03, readout_format=".0%"),
    cost=widgets.ToggleButtons(options=["compared", "ms"]),
)

# %% [markdown]
# With the plain inner product the graph gets stuck: long vectors are near everything, and what
# lies behind them is hardly reached. One column mends that, and spares the cells most of their work. White noise has no cells to speak
# of and is the worst case of every index: a benchmark on random vectors says little about yours. IVFPQ keeps a vector in 12 bytes
# instead of 136, and such codes are too coarse for the last places; it is made for catalogs that do not fit into memory, with a second,
# exact look at what it finds.
#
# Then choose `ms`, which is not the same: codes and graphs cost more a vector than a plain pass over memory. At this size a full scan is
# fast enough. The course's benchmark asks the same of a million vectors (`python -m helpers bench`), where an index earns its keep: there,
# with one more column, IVFFlat found 96 % of the best hundred and answered 80 to 90 times as many queries a second as Flat.
#
# ## Filters
#
# A page must not show what the user has seen, nor what is out of stock. *After* the search, items are crossed out of the list that came
# back; *before* it, they are no candidates. After is simple, and lists run dry.
#
# **Exercise 07.6** (10 min, *stretch*). Write `first_allowed(found, blocked, k)`. `found` is `(n_users, m)`, the items of a search,
# best first, with -1 at the end of a row where it found fewer; `blocked` is `(n_users, n_items)`, true where a pair is forbidden. Return
# `(n_users, k)`: each user's first `k` allowed items in their order, filled up with -1.


# %%
def first_allowed(found, blocked, k):
    ### BEGIN SOLUTION 07.6
    fine = (found >= 0) & ~blocked[np.arange(len(found))[:, None], found]
    order = np.argsort(~fine, axis=1, kind="stable")[:, :k]
    kept = np.where(np.take_along_axis(fine, order, 1), np.take_along_axis(found, order, 1), -1)
    return np.pad(kept, ((0, 0), (0, k - kept.shape[1])), constant_values=-1)
    ### END SOLUTION


# %%
q6 = exercise("07.6")
q6.check(first_allowed)

# %%
first_allowed = q6.use(first_allowed)
index, popular = VectorIndex(c_items), np.argsort(-models["popularity"][0], kind="stable")
seen = split.train.matrix()  # for a filter before the search
blocked, hundred = seen.toarray() > 0, index.search(c_users, 100).items  # for one after it

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 07.q3
choice = "b"
### END SOLUTION
exercise("07.q3").ask(choice)

# %% tags=["nbval-ignore-output"]
short_of_ten, chance = {}, np.random.default_rng(0).permutation(n_items)
for share in (0, 0.05, 0.2, 0.9):
    for reason, order in (("sold out at random", chance), ("the popular first", popular)):
        in_stock = ~np.isin(np.arange(n_items), order[: int(share * n_items)])
        after = first_allowed(hundred, blocked | ~in_stock, 10)
        before = index.search(c_users, 10, seen=seen, allowed=in_stock).items
        for when, found in (("filter after", after), ("filter before", before)):
            few = (found < 0).any(axis=1).mean()
            short_of_ten[f"{share:.0%}", f"{reason}, {when}"] = f"{few:.0%}"
pd.Series(short_of_ten).unstack(sort=False).rename_axis("out of stock")

# %% [markdown]
# The table counts users with fewer than ten films in the end. Gaps at random do little harm until most of the stock is gone. But what
# sells out first is what stands on every list, and then a hundred are not enough. Filtered before the search, lists are full as long as
# the catalog is. So what is known at night, the films seen, is filtered before; what changes by the hour, the stock, after, from a list
# with reserve.
#
# ## Into the shop
#
# The batch ends in a table, with raw ids, since nobody outside of this notebook knows our indices. User 0 is nobody: the popular films, for
# visitors without a history. One transaction replaces the old lists by the new, and no reader ever sees half of each.

# %%
lists = index.search(c_users, 50, seen=seen).items
who = np.repeat(np.append(ratings.user_ids, 0), 50)
rank = np.tile(np.arange(1, 51), n_users + 1)
which = ratings.item_ids[np.vstack([lists, popular[:50]])].ravel()
stock = (np.random.default_rng(1).random(n_items) < 0.8).tolist()
films = zip(ratings.item_ids.tolist(), ratings.items["title"], stock, strict=True)
shop = folder / "shop.db"
with sqlite3.connect(shop) as night:
    columns = "item_id INTEGER PRIMARY KEY, title TEXT, in_stock INTEGER"
    night.execute(f"CREATE TABLE IF NOT EXISTS film ({columns})")
    columns = "user_id INTEGER, place INTEGER, item_id INTEGER REFERENCES film"
    columns += ", PRIMARY KEY (user_id, place)"
    night.execute(f"CREATE TABLE IF NOT EXISTS suggestion ({columns}) WITHOUT ROWID")
    night.executemany("INSERT OR REPLACE INTO film VALUES (?, ?, ?)", films)
    night.execute("DELETE FROM suggestion")  # from here to the end of the block all or nothing
    suggested = np.stack([who, rank, which], axis=1).tolist()
    night.executemany("INSERT INTO suggestion VALUES (?, ?, ?)", suggested)
night.close()
print(f"{len(which):,} rows for {n_users} users and for nobody")

# %% [markdown]
# The web page asks for one user, with today's stock; who has no rows gets nobody's. The e-mail program reads everybody at once, and only the
# first three films that can be delivered.

# %% tags=["nbval-ignore-output"]
page = """
    SELECT title FROM suggestion JOIN film USING (item_id)
    WHERE in_stock AND user_id = (
        SELECT coalesce(max(user_id), 0) FROM suggestion WHERE user_id = :user)
    ORDER BY place LIMIT 5"""
mail = """
    SELECT user_id, title FROM (
        SELECT user_id, title, row_number() OVER (PARTITION BY user_id ORDER BY place) AS n
        FROM suggestion JOIN film USING (item_id) WHERE in_stock AND user_id > 0)
    WHERE n <= 3 ORDER BY user_id, n"""
reader = sqlite3.connect(f"{shop.as_uri()}?mode=ro", uri=True)
for visitor in (1, 99999):
    shown = [title for (title,) in reader.execute(page, {"user": visitor})]
    print(f"user {visitor}:", *shown, sep="\n    ")
letters = pd.read_sql(mail, reader).groupby("user_id")["title"].agg(" · ".join)
reader.close()
assert len(letters) == n_users
letters.head(3).to_frame("letter")

# %% [markdown]
# ## What goes wrong
#
# More neighbors than items, and a user the model has never met:

# %% tags=["nbval-ignore-output"]
if aws.local:  # AWS would start a machine, and send its bill, only to fail
    try:
        run_job("knn", "too-many", knn_settings | {"k": n_items + 1}, items_uri)
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).partition('Reason: ')[2]}"
        print(textwrap.fill(reason, 100))
weights = (items[:, -1] for items in (a_items, c_items))  # w_i alone
same = [np.isin(np.argsort(-w)[:10], popular[:10]).sum() for w in weights]
print(f"a stranger's ten films by stars: {same[0]} of the ten most popular; by clicks: {same[1]}")
cloud.leftovers(aws, prefix="course-07")

# %% [markdown]
# ## What the sources say
#
# **The order of the list** (post of 2019). "Movie distances for user #1" rise from 1.8703 to 4.0698, and nothing says which end is
# good. They are inner products: film 483, printed last, is user 1's best, and film 509 the last of the hundred. A dashboard that shows
# the first twenty shows the wrong ones.
#
# **One key for two files** (same post). Items and users are written to S3 under the same `train_key`. The users replace the items; the
# job had read them by then, but run it again and it indexes users.
#
# **"Use a different `index_type` for a faster answer"** (same post). SageMaker's guide allows `faiss.IVFPQ` with L2 only, so with
# `INNER_PRODUCT` one approximate index is left, IVFFlat. Or a column more.
#
# **Its numbers end with the list.** No hit rate, no baseline. We measured what a model of stars is worth as a list: less than popularity.
#
# **Reading it today.** The post is written for Python 2 and the first SageMaker SDK: `get_image_uri` is `image_uris.retrieve` now,
# `estimator.Estimator(…).fit` a `ModelTrainer(…).train`, and `create_model` has not changed. Its way to the weights still works where
# there is MXNet: `v`, `w1_weight` and `w0_weight` of a `Module`, equal to what NumPy read.

# %%
import tarfile
import zipfile

if gates.mxnet.ready("The post's way, an MXNet Module,"):
    mx = gates.import_mxnet()
    with tarfile.open(folder / "model.tar.gz") as archive:
        zipfile.ZipFile(archive.extractfile("model_algo-1")).extractall(folder)
    (folder / "symbol.json").rename(folder / "model-symbol.json")
    (folder / "params").rename(folder / "model-0000.params")
    module = mx.mod.Module.load(str(folder / "model"), 0, False, label_names=["out_label"])
    arrays = {name: array.asnumpy() for name, array in module._arg_params.items()}
    assert np.array_equal(arrays["v"], fm.v) and np.array_equal(arrays["w1_weight"].ravel(), fm.w1)
    assert arrays["w0_weight"].item() == fm.w0
    print("v, w1 and w0 equal what NumPy read: True")

# %% [markdown]
# ## Scoreboard

# %% tags=["nbval-ignore-output"]
protocol = ledger.Protocol(chapter="07", dataset=ratings.name, split=split.name)
for name, found in results.items():
    ledger.record_lists(protocol, found.values(), model=name, seed=0 if "FM" in name else None)
ledger.scoreboard("07")

# %% [markdown]
# ## Recap
#
# In this chapter we
#
# - folded a factorization machine into two matrices, and showed that their inner product orders every user's list as the model does;
# - ran a k-NN job and a batch transform, and read its lines with the right label, in the right direction;
# - made L2 find inner products with one more column, and saw why an index must be judged on fitted vectors;
# - found that a model of stars makes poor lists, and that the same job makes good ones when it is asked what people take;
# - filtered before and after, and put the lists where a page and an e-mail read them.
#
# **Next:** [08 Content features](08_content_towers.ipynb), for the items that nobody has met yet.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.
#
# **References.** Z. Karnin and R. Thamman, 2019: *Extending Amazon SageMaker factorization machines algorithm to predict top x
# recommendations*, AWS Machine Learning Blog. · S. Rendle, 2010: *Factorization Machines*. ICDM. · Y. Bachrach et al., 2014: *Speeding
# Up the Xbox Recommender System Using a Euclidean Transformation for Inner-Product Spaces*. RecSys. · H. Jégou, M. Douze, C. Schmid,
# 2011: *Product Quantization for Nearest Neighbor Search*. TPAMI 33. · Y. Malkov and D. Yashunin, 2020: *Efficient and Robust
# Approximate Nearest Neighbor Search Using Hierarchical Navigable Small World Graphs*. TPAMI 42. · J. Johnson, M. Douze, H. Jégou,
# 2021: *Billion-Scale Similarity Search with GPUs*. IEEE Transactions on Big Data 7.

# %%
progress("07")
