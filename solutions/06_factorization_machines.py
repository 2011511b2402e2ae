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
# # 06 · Factorization machines on SageMaker
#
# Matrix factorization knows who and what, and nothing else. A factorization machine takes a row of any features, and SageMaker trains
# one for whoever brings the rows. This chapter takes the model apart, sends it to a training job, and asks what the job returned.
#
# | | |
# |---|---|
# | **You will be able to** | score a row by pairs and by an identity, and prove them equal · frame bytes as RecordIO · run, watch, deploy and ask a SageMaker job · say which settings made it weak · tell seconds that train from seconds that are billed · say what workers out of step cost |
# | **Prerequisites** | [02](02_matrix_factorization.ipynb), [01](01_sparsity.ipynb) for one-hot rows |
# | **Time** | 90 minutes to read and try, under a minute to run |
# | **Needs** | no network, no account, no GPU; MXNet and ML-100K are used where they can be had |
# | **Builds on** | AWS training talk on recommender systems (2018); AWS post on factorization machines and k-NN (Karnin and Thamman, 2019) |

# %% [markdown]
# ## Predict before you run
#
# The 2018 talk trains SageMaker's factorization machine on ML-100K: 64 factors for every user and film, 50 epochs. Its log ends with
# `#test_score (algo-1) : 1.00061402047`, the test RMSE in stars. Saying the mean every time is wrong by about 1.15. Where do two *bias
# terms* stand, as in chapter 02: above 1.0006 or below? And 217 seconds were billed: is that a cent, a dime or a dollar?

# %%
import io
import json
import re
import sys

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import sparse

from helpers import cloud, data, gates, ledger, plots
from helpers.exercises import exercise, progress
from helpers.interactive import explore, show
from helpers.metrics import rmse
from helpers.models.baselines import BiasModel, GlobalMean

plots.style()

# %%
ratings = data.load()
split = data.random_split(ratings, test_share=0.2, seed=0)
print(split)


def columns(rows):
    """Return users, items and stars as three arrays of one length."""
    return rows.frame["user"].to_numpy(), rows.frame["item"].to_numpy(), rows.frame["rating"].to_numpy()


users, items, stars = columns(split.test)
baselines = {"global mean": GlobalMean(), "user + item bias": BiasModel()}
board = {name: rmse(model.fit(split.train).predict(users, items), stars) for name, model in baselines.items()}
print(" · ".join(f"{name} {value:.3f}" for name, value in board.items()))

# %% [markdown]
# ## One equation for any row
#
# A row $x$ holds $n$ numbers: ones for who and what, and whatever else is known. Every feature $j$ gets a weight $w_j$ and a short vector
# $v_j$ of $k$ factors, and every *pair* of features an effect, the inner product of their vectors:
#
# $$\hat y(x) = w_0 + \sum_{j=1}^{n} w_j x_j + \sum_{j=1}^{n} \sum_{l=j+1}^{n} (v_j \cdot v_l)\, x_j x_l$$
#
# A number of its own for each pair could only be learned from rows that have both. Vectors are learned from all rows that have either.
#
# **Exercise 06.1** (6 min). Write `fm_naive(x, w0, w, V)` as the formula says, pair by pair. `x` and `w` are (n,), `V` is (n, k).
# Stuck? Run `q1.hint()` or `q1.solution()` in a cell of your own.


# %%
def fm_naive(x, w0, w, V):
    ### BEGIN SOLUTION 06.1
    score = w0 + w @ x
    for j in range(len(x)):
        for other in range(j + 1, len(x)):
            score += V[j] @ V[other] * x[j] * x[other]
    return score
    ### END SOLUTION


q1 = exercise("06.1")
q1.check(fm_naive)

# %% [markdown]
# ## The identity
#
# Take *all* ordered pairs, each feature with itself included. Every real pair is in there twice, and the diagonal once. So
#
# $$\sum_{j<l} (v_j \cdot v_l)\, x_j x_l = \tfrac12 \Big[ \sum_{j,l} (v_j \cdot v_l)\, x_j x_l - \sum_j (v_j \cdot v_j)\, x_j^2 \Big]$$
#
# and a sum over $j$ *and* $l$ of products is a product of sums, factor by factor:
#
# $$\sum_{j,l} v_{jf} x_j\, v_{lf} x_l = \Big( \sum_j v_{jf} x_j \Big)^2$$
#
# No pair is left. **Exercise 06.2** (8 min). Write `fm_fast(X, w0, w, V)`: the scores of all rows of the array `X`, (rows, n), by
# the identity. The check compares it with the double loop; that is the proof, row by row, that you did not lose a pair.


# %%
def fm_fast(X, w0, w, V):
    ### BEGIN SOLUTION 06.2
    pairs = ((X @ V) ** 2 - X**2 @ V**2).sum(axis=1) / 2
    return w0 + X @ w + pairs
    ### END SOLUTION


q2 = exercise("06.2")
q2.check(fm_fast)

# %%
fm_naive, fm_fast = q1.use(fm_naive), q2.use(fm_fast)
x, V = np.array([1.0, 2.0, 3.0]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
products = (V @ V.T) * np.outer(x, x)  # (3, 3): every ordered pair
print(f"all ordered pairs {products.sum():g}, of which the diagonal {np.trace(products):g}")
print(f"halved difference {(products.sum() - np.trace(products)) / 2:g}, by pairs {fm_naive(x, 0.0, 0 * x, V):g}")
print(f"sums by factor    {x @ V}, squared and added up {((x @ V) ** 2).sum():g}")

# %% [markdown]
# Counted in multiplications, the double loop takes $\tfrac12 n(n-1)(k+2)$ or so, the identity about $3nk$; and a zero in $x$ adds nothing
# to either sum, so it is $k$ times the *ones* of the row that count. Our rows will have 9,737 columns and two ones.

# %%
widths, k = np.logspace(0.5, 7, 60), 64
costs = {"pair by pair": widths * (widths - 1) / 2 * (k + 2), "by the identity": 3 * widths * k}
fig, ax = plt.subplots(figsize=(6.4, 3.4))
for name, cost in costs.items():
    ax.loglog(widths, cost, label=name)
ax.axhline(3 * 2 * k, color=plots.PALETTE["green"], linestyle=":", label="identity, two ones a row")
ax.axvline(ratings.n_users + ratings.n_items, color=plots.PALETTE["grey"], linewidth=1)
ax.set(xlabel="features n (the line: ours)", ylabel="multiplications a row, k = 64")
ax.set_title("Pairs grow with n², the identity with what is not zero")
ax.legend(fontsize=9)
show(
    fig,
    alt=f"Multiplications a row on logarithmic scales, k = 64. At our {ratings.n_users + ratings.n_items:,} features: pair by pair "
    f"{9737 * 9736 / 2 * 66:.1e}, by the identity {3 * 9737 * 64:.1e}, by the identity with two ones {3 * 2 * 64}.",
)

# %% [markdown]
# ## Who and what: an old acquaintance
#
# The smallest useful row has a 1 in the column of its user and a 1 in that of its item, counted after the users (chapter 01). What does
# the equation say then? To see it, put the tables of a matrix factorization, random here, on top of each other and call them `V` and `w`.


# %%
def one_hot(users, items, like=ratings):
    """Return (rows, users + items) CSR with two ones a row, as in chapter 01."""
    keys = np.stack([users, like.n_users + items], axis=1).ravel()
    shape = (len(users), like.n_users + like.n_items)
    return sparse.csr_matrix((np.ones(len(keys), np.float32), keys, np.arange(0, len(keys) + 1, 2)), shape=shape)


from helpers.models.mf_arithmetic import forward

chance, n_features = np.random.default_rng(0), ratings.n_users + ratings.n_items
V, w = chance.normal(0, 0.3, (n_features, 8)), chance.normal(0, 0.3, n_features)
tables = {"user_factors": V[: ratings.n_users], "item_factors": V[ratings.n_users :]}
tables |= {"user_bias": w[: ratings.n_users], "item_bias": w[ratings.n_users :]}
of_mf = forward(tables, users[:500], items[:500], mean=3.5)
of_fm = fm_fast(one_hot(users[:500], items[:500]).toarray(), 3.5, w, V)
print("largest difference below 0.00001:", bool(np.abs(of_mf - of_fm).max() < 1e-5))

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 06.q1
choice = "b"
### END SOLUTION
exercise("06.q1").ask(choice)

# %% [markdown]
# ## RecordIO: a row as bytes
#
# SageMaker's built-in algorithms read *RecordIO-protobuf*. A file is a row of records, and a record is a head, a payload, and padding:
#
# | bytes | what |
# |---|---|
# | 4 | the magic number `0xCED7230A`, so that a reader notices where it has lost its way |
# | 4 | length of the payload, without padding |
# | length | the payload: values, keys, width and label, packed by Google's protocol buffers |
# | 0 to 3 | zeros, up to a multiple of four |
#
# Both numbers are *little-endian*: the lowest byte comes first.
#
# **Exercise 06.3** (6 min). Write `frame(payload)`: the whole record, as `bytes`. `struct.pack` turns numbers into bytes.


# %%
def frame(payload):
    ### BEGIN SOLUTION 06.3
    import struct

    return struct.pack("<II", 0xCED7230A, len(payload)) + payload + b"\0" * (-len(payload) % 4)
    ### END SOLUTION


q3 = exercise("06.3")
q3.check(frame)

# %%
frame = q3.use(frame)
from helpers.cloud import recordio

buffer = io.BytesIO()
recordio.write_spmatrix_to_sparse_tensor(buffer, one_hot(users[:1], items[:1]), stars[:1])
record = buffer.getvalue()
payload = record[8 : 8 + int.from_bytes(record[4:8], "little")]
print(f"user {users[0]}, item {items[0]}, {stars[0]:g} stars: {len(record)} bytes, of which payload {len(payload)}")
for start in range(0, len(record), 16):
    print(f"{start:3}  {record[start : start + 16].hex(' ')}")
print("your frame around the payload gives the same bytes:", frame(payload) == record)

# %% [markdown]
# `00 00 80 3f` is 1.0 as a 32-bit float, twice; after it come the keys 0x… as *varints*, seven bits a byte. The SDK's version 2 had a writer for
# this; version 3 raises `NotImplementedError`, so the course brings its own, byte for byte the same. Now all rows, and back.


# %%
def as_recordio(rows, labels):
    buffer = io.BytesIO()
    recordio.write_spmatrix_to_sparse_tensor(buffer, rows, labels)
    return buffer.getvalue()


parts = {"train": split.train, "test": split.test}
rows = {name: one_hot(*columns(part)[:2]) for name, part in parts.items()}
files = {name: as_recordio(rows[name], columns(part)[2]) for name, part in parts.items()}
back = recordio.read_records(files["train"])
same = (back.features != rows["train"]).nnz == 0 and np.array_equal(back.labels, columns(split.train)[2])
dense = rows["train"].shape[0] * rows["train"].shape[1] * 4
print(f"{len(back):,} records read back, equal: {same}")
print(f"{len(files['train']) / 1e6:.1f} MB as RecordIO, {dense / 1e6:,.0f} MB as a dense array")

# %% [markdown]
# ## What can be set
#
# | hyperparameter | default | what it does |
# |---|---|---|
# | `feature_dim` | required | columns of a row |
# | `num_factors` | required | $k$; AWS suggests 64 |
# | `predictor_type` | required | `regressor`: squared error; `binary_classifier`: cross-entropy |
# | `epochs` | 1 | passes over the rows |
# | `mini_batch_size` | 1000 | rows a step |
# | `bias_lr`, `linear_lr`, `factors_lr` | 0.1, 0.001, 0.0001 | step sizes of $w_0$, $w$, $V$ |
# | `bias_wd`, `linear_wd`, `factors_wd` | 0.01, 0.001, 0.00001 | pulls towards zero |
# | `…_init_method`, `…_init_sigma` | normal; 0.01, 0.01, 0.001 | first weights; also `uniform` with `…_init_scale`, `constant` with `…_init_value` |
# | `clip_gradient`, `eps`, `rescale_grad` | not set | bounds of the optimizer |
#
# The talk sets four of them: 64 factors, batches of 1000, 50 epochs, a regressor. Keep an eye on the third line from the end of the
# rates: a factor moves a thousand times less per step than the constant.

# %% [markdown]
# ## The job
#
# You bring rows in S3, the image of the algorithm, hyperparameters and a kind of machine. SageMaker starts the machine, runs the
# container, writes its log to CloudWatch and its model to S3, and stops the clock. Here `cloud.connect()` puts a SageMaker on your own
# machine behind the real SDK (version 3); with `COURSE_CLOUD=aws` the same cells run on AWS, and cost what the last line says.

# %%
from sagemaker.core import image_uris
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig

aws = cloud.connect()
RECORDS = "application/x-recordio-protobuf"
channels = []
for name, content in files.items():
    aws.client("s3").put_object(Bucket=aws.bucket, Key=f"course-06/{name}.protobuf", Body=content)
    uri = f"s3://{aws.bucket}/course-06/{name}.protobuf"
    channels.append(InputData(channel_name=name, data_source=uri, content_type=RECORDS))
print("image:", image_uris.retrieve("factorization-machines", aws.region).split("/")[-1])
print("two jobs of four minutes:", cloud.estimate("ml.c5.xlarge", hours=8 / 60))


# %%
def start_job(channels, instances=1, **settings):
    """Start a training job and return its name; the job goes on by itself."""
    trainer = ModelTrainer(
        training_image=image_uris.retrieve("factorization-machines", aws.region),
        role=aws.role,
        sagemaker_session=aws.session,
        base_job_name="course-06",
        compute=Compute(instance_type="ml.c5.xlarge", instance_count=instances),
        hyperparameters={"feature_dim": n_features, "predictor_type": "regressor", **settings},
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/course-06/output"),
    )
    trainer.train(input_data_config=channels, wait=False, logs=False)
    return trainer._latest_training_job.training_job_name


# %% [markdown]
# A job talks in lines. Two kinds matter to us, and a *regular expression* picks them out:
#
# ```
# #quality_metric: host=algo-1, epoch=12, train rmse <loss>=0.9131…
# #test_score (algo-1) : ('rmse', 0.8912…)
# ```
#
# The figure below is redrawn while the job runs, from whatever it has said so far.


# %%
def curve_of(log):
    found = (re.search(r"epoch=\d+, train rmse <loss>=(\S+)", line) for line in log)
    return [float(match[1]) for match in found if match]


def test_score_of(log):
    found = (re.search(r"#test_score \(algo-1\) : \('rmse', (\S+)\)", line) for line in log)
    return next((float(match[1]) for match in found if match), None)


def draw_log(log):
    curve, score = curve_of(log), test_score_of(log)
    fig, ax = plt.subplots(figsize=(6.4, 3))
    ax.plot(range(1, len(curve) + 1), curve, label="job, training rows")
    if score is not None:
        ax.plot([len(curve)], [score], "o", color=plots.PALETTE["orange"], label="job, test rows")
    ax.axhline(board["user + item bias"], color=plots.PALETTE["grey"], linewidth=1, label="biases, test rows")
    ax.set(xlabel="epoch", ylabel="RMSE (stars)", xlim=(0, 51), ylim=(0.6, 1.3))
    ax.set_title("training runs" if score is None else f"after {len(curve)} epochs: test RMSE {score:.3f}")
    ax.legend(fontsize=9)
    return fig


def tell_log(log):
    curve, score = curve_of(log), test_score_of(log)
    if score is None:
        return f"{len(curve)} epochs so far."
    return f"Training RMSE falls from {curve[0]:.2f} to {curve[-1]:.2f} in {len(curve)} epochs; test RMSE {score:.2f}."


# %% tags=["nbval-ignore-output"]
from helpers.cloud.watching import watch

talks_settings = {"num_factors": 64, "mini_batch_size": 1000, "epochs": 50}
job = start_job(channels, **talks_settings)
log = watch(aws, job, draw_log, tell_log)
board["SageMaker, the talk's settings"] = test_score_of(log)
