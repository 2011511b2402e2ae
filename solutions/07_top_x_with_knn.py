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
# | **Time** | 80 minutes to read and try, under a minute to run |
# | **Needs** | no network, no account, no GPU; MXNet is used where it is installed |
# | **Builds on** | AWS post on factorization machines and top x recommendations (Karnin and Thamman, 2019) |

# %% [markdown]
# ## Predict before you run
#
# The post asks a k-NN service for the 100 films nearest to user 1 and prints them, film 509 first, film 483 last, with their *distances*:
# 1.87 for the first, rising to 4.07 for the last. Which film would you put at the top of the page? And is film 509 the film with
# number 509? Write both answers down.

# %%
import io
import json
import sqlite3
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import sparse

from helpers import cloud, data, gates, ledger, metrics, plots
from helpers.cloud import artifact, recordio
from helpers.exercises import exercise, progress
from helpers.interactive import explore
from helpers.models.baselines import Popularity
from helpers.models.mf_implicit import LogisticMF

plots.style()

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
w0, w1 = 3.5, np.array([0.5, -1.0, 0.2, 0.1, -0.3])  # the first two features are users, the other three films
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
# **Exercise 07.1** (6 min). Write `fold(v, w1, n_users)`: the matrices of all $a_u$, `(n_users, k + 1)`, and of all $a_i$, `(n_items, k + 1)`.
# The first `n_users` rows of `v` and of `w1` belong to users. Stuck? Run `q1.hint()` or `q1.solution()` in a cell of your own.


# %%
def fold(v, w1, n_users):
    ### BEGIN SOLUTION 07.1
    ones = np.ones((n_users, 1), dtype=v.dtype)
    users = np.hstack([v[:n_users], ones])
    items = np.hstack([v[n_users:], w1[n_users:, None]])
    return users, items
    ### END SOLUTION


q1 = exercise("07.1")
q1.check(fold)

# %%
fold = q1.use(fold)
a_users, a_items = fold(v, w1, 2)
for name, own, folded in zip(("Ana", "Ben"), stars, a_users @ a_items.T, strict=True):
    print(
        f"{name}: stars {own.round(2)}, inner products {folded.round(2)}, order {np.argsort(-own)} = {np.argsort(-folded)}"
    )

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
s3, sagemaker = aws.client("s3"), aws.client("sagemaker")
ratings = data.load()
split = data.random_split(ratings, 0.2, seed=0)
print(split)

# %%
n_users, n_items = ratings.n_users, ratings.n_items
train = split.train.frame
keys = np.stack([train["user"], n_users + train["item"]], axis=1)  # two features of each row are 1
rows = np.arange(0, keys.size + 1, 2)
X = sparse.csr_matrix((np.ones(keys.size, np.float32), keys.ravel(), rows), (len(train), n_users + n_items))


def upload(name, matrix, labels=None):
    """Put a matrix into S3 as RecordIO-protobuf; return its address and its fingerprint."""
    body = io.BytesIO()
    kind = "spmatrix_to_sparse" if sparse.issparse(matrix) else "numpy_to_dense"
    getattr(recordio, f"write_{kind}_tensor")(body, matrix, labels)
    stored = s3.put_object(Bucket=aws.bucket, Key=f"course-07/{name}/data.pbr", Body=body.getvalue())
    return f"s3://{aws.bucket}/course-07/{name}/data.pbr", stored["ETag"]


ratings_uri, fingerprint = upload("ratings", X, train["rating"].to_numpy())
print(f"{X.shape[0]:,} rows, {X.shape[1]:,} features, {X.nnz // X.shape[0]} of them set in each row")

# %% [markdown]
# Where the lab's server runs, chapter 06 has left a job behind. Any job will do that had *these* settings and *these* bytes, since the same job
# on the same data ends in the same model; a name proves nothing. Where there is none, the chapter trains one, in a few seconds.

# %%
settings = dict(
    feature_dim=X.shape[1],
    num_factors=64,
    predictor_type="regressor",
    epochs=15,
    mini_batch_size=256,
    linear_lr=0.002,
    factors_lr=0.002,
    linear_wd=0.00012,
    factors_wd=0.00012,
    factors_init_sigma=0.02,
)


def finished_job(settings, fingerprint):
    """The artifact of a completed job with these hyperparameters on these bytes, or None."""
    wanted = {name: str(value) for name, value in settings.items()}
    found = sagemaker.list_training_jobs(StatusEquals="Completed")["TrainingJobSummaries"]
    for job in (sagemaker.describe_training_job(TrainingJobName=j["TrainingJobName"]) for j in found):
        uri = job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        objects = s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])
        if job["HyperParameters"] == wanted and [o["ETag"] for o in objects] == [fingerprint]:
            return job["ModelArtifacts"]["S3ModelArtifacts"]
    return None


# %%
from sagemaker.core import image_uris
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig


def run_job(algorithm, settings, uri, name):
    """Train a built-in algorithm on one channel; return where its artifact lies."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve(algorithm, aws.region),
        role=aws.role,
        sagemaker_session=aws.session,
        base_job_name=name,
        compute=Compute(instance_type="ml.c5.xlarge", instance_count=1),
        hyperparameters=settings,
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/course-07/out"),
    )
    trainer.train([InputData(channel_name="train", data_source=uri, content_type="application/x-recordio-protobuf")], logs=False)
    return trainer._latest_training_job.model_artifacts.s3_model_artifacts


fm_uri = finished_job(settings, fingerprint) or run_job("factorization-machines", settings, ratings_uri, "course-07-fm")

# %% [markdown]
# ## Unpack the artifact
#
# A job's model is a file in S3, `model.tar.gz`. Inside lies `model_algo-1`, inside that MXNet's parameters and graph. The post downloads it and
# loads it into an MXNet `Module`, which is done below where MXNet is installed. The format is simple enough to be read without:
# `helpers.cloud.artifact` does it in NumPy.

# %%
folder = Path(tempfile.mkdtemp())


def download(uri, name):
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3.download_file(bucket, key, str(folder / name))
    return folder / name


fm = artifact.read_model(download(fm_uri, "model.tar.gz"))
print(f"v {fm.v.shape}, w1 {fm.w1.shape}, w0 one number: {n_users} users first, then {n_items:,} films")

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

# %% [markdown]
# ## The same order, for every user
#
# Is the list of inner products really the model's own list? For two films it is algebra. In a computer there are *ties*: numbers that
# differ in theory and agree in the last digit kept, or the other way round. So we count contradictions: films for which some other film stands clearly
# above by one score and clearly below by the other. "Clearly" is more than $10^{-9}$ stars. The model's own score is written out in
# full, as its container computes it.


# %%
def own_scores(user, fm):
    """The whole equation for one user and all items, sums over squares included."""
    w0, w1, v = fm.w0, fm.w1.astype(np.float64), fm.v.astype(np.float64)
    total = v[user] + v[n_users:]  # Σ v_j x_j of each pair
    pairs = ((total**2).sum(axis=1) - (v[user] ** 2).sum() - (v[n_users:] ** 2).sum(axis=1)) / 2
    return w0 + w1[user] + w1[n_users:] + pairs


def contradictions(one, other, atol=1e-9):
    """How many items stand below some item by `other`, and above it by `one`."""
    order = np.argsort(-other, kind="stable")
    a, b = one[order], other[order]
    lowest = np.minimum.accumulate(a)
    ahead = np.searchsorted(-b, -b - atol)  # so many are clearly ahead by `other`
    return int(((ahead > 0) & (a > lowest[ahead - 1] + atol)).sum())


# %%
a_users, a_items = fold(fm.v, fm.w1, n_users)
inner = a_users.astype(np.float64) @ a_items.T.astype(np.float64)
against = np.array([contradictions(own_scores(u, fm), inner[u]) for u in range(n_users)])
shuffled = np.random.default_rng(0).permutation(n_items)
print(f"users whose two lists contradict each other: {(against > 0).sum()} of {n_users}")
print(f"the same count for a shuffled list: {contradictions(own_scores(0, fm), inner[0, shuffled]):,} of {n_items:,} films")

# %% [markdown]
# Not one contradiction, for anybody. From now on the model is two matrices. What that saves is not arithmetic alone. To let the model
# itself score every pair, every pair has to be written down, uploaded and read:

# %%
one_row = io.BytesIO()
recordio.write_spmatrix_to_sparse_tensor(one_row, X[:1])
print(f"all pairs: {n_users * n_items:,} records, {n_users * n_items * len(one_row.getvalue()) / 1e6:,.0f} MB")
print(f"all users: {n_users:,} records, {a_users.nbytes / 1e6:.1f} MB, and the {a_items.nbytes / 1e6:.1f} MB of item vectors once")

# %% [markdown]
# ## A k-NN job
#
# SageMaker's `knn` stores vectors and finds the nearest ones. Like the post, we give it the items' vectors, number them from 1, choose
# `INNER_PRODUCT`, keep all of them (`sample_size`) and ask for 100 neighbors. It calls itself a *classifier*, and would let the neighbors vote
# on a label; the vote is of no use here, the neighbors are.

# %%
labels = np.arange(1, n_items + 1, dtype=np.float32)  # as in the post
knn_settings = dict(
    feature_dim=a_items.shape[1],
    k=100,
    sample_size=n_items,
    index_metric="INNER_PRODUCT",
    predictor_type="classifier",
)
items_uri, _ = upload("items", a_items.astype(np.float32), labels)
knn_uri = run_job("knn", knn_settings, items_uri, "course-07-knn")

# %% [markdown]
# Training here means: put the vectors into an index and save it. For the answers, a *batch transform* starts a machine, sends it every line of a file,
# stores what comes back, and goes away again. It needs a model, a name for "this image with that artifact". The `with` deletes the model
# whatever happens.

# %%
from sagemaker.core.transformer import Transformer


def transform(model_uri, users_uri, name):
    """Ask a k-NN model for the neighbors of every user; return the lines of the answer."""
    with cloud.cleanup(aws, prefix=name):
        container = {"Image": image_uris.retrieve("knn", aws.region), "ModelDataUrl": model_uri}
        sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=aws.role)
        batch = Transformer(
            model_name=name,
            instance_count=1,
            instance_type="ml.m5.large",
            accept="application/jsonlines; verbose=true",
            output_path=f"s3://{aws.bucket}/course-07/{name}",
            sagemaker_session=aws.session,
        )
        batch.transform(users_uri, content_type="application/x-recordio-protobuf", logs=False)
    answer = s3.get_object(Bucket=aws.bucket, Key=f"course-07/{name}/data.pbr.out")["Body"].read()
    return answer.decode().splitlines()


users_uri, _ = upload("users", a_users.astype(np.float32))
lines = transform(knn_uri, users_uri, "course-07-knn-lists")
first = json.loads(lines[0])
print(f"{len(lines)} lines, one a user; in each: {', '.join(first)} with {len(first['labels'])} neighbors")

# %% [markdown]
# Lines come in the order of the records: the first belongs to user 0, whose `user_id` is 1. That is all a line says of its owner.
# A published notebook prints the line of user 201 under the heading "user 900", and no check could notice.
#
# ## Two slips, and how to read a line
#
# **Labels.** The rows were numbered from 1. Titles stand in an array that begins at 0. The same notebook looks up `titles[label]`, so
# that every film is shown under its neighbor's name.
#
# **Exercise 07.2** (4 min). Write `items_of(labels, n_items)`: the zero-based indices of such labels, whole numbers, in the shape given. A
# label that belongs to no item must raise a `ValueError`: in NumPy, index -1 is a film, too.


# %%
def items_of(labels, n_items):
    ### BEGIN SOLUTION 07.2
    items = np.asarray(labels).astype(np.int64) - 1
    if items.size and (items.min() < 0 or items.max() >= n_items):
        raise ValueError(f"labels {items.min() + 1} to {items.max() + 1}: expected 1 to {n_items}")
    return items
    ### END SOLUTION


q2 = exercise("07.2")
q2.check(items_of)

# %% [markdown]
# **Direction.** The container sorts by what it calls a distance, upwards, whatever the metric. With `INNER_PRODUCT` that number is a score, and more
# is better. Look at your answer to the first question once more.
#
# **Exercise 07.3** (4 min). Write `best_first(line)`: the labels of one line of JSON, the best first.


# %%
def best_first(line):
    ### BEGIN SOLUTION 07.3
    return json.loads(line)["labels"][::-1]
    ### END SOLUTION


q3 = exercise("07.3")
q3.check(best_first)

# %%
items_of, best_first = q2.use(items_of), q3.use(best_first)
top = np.array([items_of(best_first(line), n_items) for line in lines])  # (n_users, 100), best first
exact = np.argsort(-inner, axis=1, kind="stable")[:, :100]
same = sum(set(a) == set(b) for a, b in zip(top, exact, strict=True))
in_order = sum(contradictions(-np.arange(100.0), inner[u, top[u]], 1e-5) == 0 for u in range(n_users))
print(f"the 100 best films by the service and by the equation: the same for {same} of {n_users} users")
print(f"best first, up to ties in the last digit: {in_order} of {n_users}")

# %% tags=["nbval-ignore-output"]
print("Recommended movie IDs for user #1:", ratings.item_ids[top[0, :12]].tolist(), "…")
titles = ratings.items["title"].to_numpy()
predicted = fm.w0 + fm.w1[0] + inner[0]
slips = {
    "the best ten": top[0, :10],
    "the first ten as they came": top[0, ::-1][:10],
    "with titles[label]": top[0, :10] + 1,
}
pd.DataFrame({name: [plots.short(titles[i], 34) for i in some] for name, some in slips.items()})

# %%
shown = {name: [stars for u in range(n_users) for stars in inner[u, some]] for name, some in {}.items()}
best, listed = (np.take_along_axis(inner, t, 1).mean() for t in (top[:, :10], top[:, -10:]))
next_door = np.take_along_axis(inner, (top[:, :10] + 1) % n_items, 1).mean()
assert best > listed > inner.mean() and best > next_door

# %% [markdown]
# (to be written: reading of the slips)

# %% [markdown]
# ## The metric matters
#
# (L2 cell)

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 07.q2
choice = "c"
### END SOLUTION
exercise("07.q2").ask(choice)
