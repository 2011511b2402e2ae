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

# %% [markdown] tags=["core"]
# # 05 · Neural collaborative filtering
#
# A network may combine the vectors of a user and an item in any way, not only by a product. In this chapter you build the network of an
# AWS post, train it as a SageMaker job, and serve it. Then we ask whether its lists are better than those of simpler models.

# %% [markdown]
# | | |
# |---|---|
# | **You will be able to** | turn raw ids into indices · build GMF, MLP and NeuMF in Keras · train and deploy a script with SageMaker's SDK V3 · read a dense layer as an embedding · judge a network by its lists |
# | **Prerequisites** | [02](02_matrix_factorization.ipynb), [04](04_negative_sampling.ipynb) |
# | **Time** | 40 minutes for the core, 90 for all; 70 seconds to run |
# | **Needs** | no network, no account, no GPU; ML-100K if installed |
# | **Builds on** | AWS post on neural collaborative filtering (Li, 2020), also in Chinese; He et al., 2017 |
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*

# %%
import inspect
import io
import json
import sys
import tarfile
import tempfile
import time
from pathlib import Path

sys.path.insert(0, "..")  # the course's helpers live one folder up
sys.path.append("../chapters/ncf_job")  # the program that trains the networks

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from scipy.special import expit  # the sigmoid

from helpers import cloud, data, gates, ledger, metrics, plots, sampling
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import EASE, ImplicitALS, Popularity
from helpers.models.implicit import LogisticMF

plots.style()

# %% [markdown] tags=["core"]
# ## Predict before you run
#
# We hide the last film of each of 671 users. Three models suggest ten of 9,000 films. **A** is NeuMF: four tables of vectors, a product
# and a network of four layers. It says how likely a click is: a *chance* from 0 to 1. **B** is the factorization of chapter 04: one product. **C** is EASE, which has a closed form.
#
# The third question is about ids. The raw ids of films have gaps, and go up to 163,949. A published sample turns them into one-hot
# vectors that are as long as there are *different* ids.

# %%
choices = ["A, the network", "B, the product", "C, EASE"]
guess("05", "Which of the three has the best lists?", choices)
choices = ["about 25 %", "about 50 %", "about 75 %", "about 95 %"]
guess("05.b", "For what share of the hidden films is the network's chance 0.5 or more?", choices)
choices = ["none", "about 1 %", "about 15 %", "about 60 %"]
guess("05.c", "What share of the clicks is spoiled by the raw ids?", choices)

# %% [markdown] tags=["core"]
# ## Clicks, split as in the paper
#
# The post takes every rating as a click, sorts by time, and hides the last ten of each user. The paper behind it hides the last one (He
# et al., 2017). So do we: the hit rate among ten suggestions (HR@10) and the normalized discounted cumulative gain (NDCG@10) are then
# easy to read. Ties are drawn by seed.

# %%
ratings = data.load()
split = data.leave_one_out(ratings, ties="random", seed=0)
print(str(split).replace(" (", "\n  ("))

# %% [markdown] tags=["core"]
# ### Ids first
#
# The network looks vectors up by number. So users must be 0 … 670, and items 0 … 9,065. `tf.one_hot` raises no error for an index beyond
# its depth: it returns zeros. How many clicks does that spoil?

# %%
raw_items = ratings.item_ids[ratings.frame["item"]]
depth = len(np.unique(raw_items))
zero_rows = raw_items >= depth  # tf.one_hot gives a row of zeros for an index beyond its depth
print(f"{depth:,} different films, the largest id is {raw_items.max():,}")
print(f"{zero_rows.mean():.1%} of the clicks become rows of zeros")
guess("05.c").meets(f"{zero_rows.mean():.0%}")

# %% [markdown]
# **Exercise 05.1** (6 min). Write `contiguous(raw)`. It returns `index` and `ids`: `ids` holds each different raw id once, and
# `ids[index]` gives `raw` back. Ids may be numbers or words. Stuck? Run `q1.hint()` or `q1.solution()` in a cell of your own.


# %%
def contiguous(raw):
    ### BEGIN SOLUTION 05.1
    return np.unique(raw, return_inverse=True)[::-1]
    ### END SOLUTION


# %%
q1 = exercise("05.1")
q1.check(contiguous)

# %%
contiguous = q1.use(contiguous)
index, ids = contiguous(raw_items)
print(f"indices 0 to {index.max():,}; clicks that become rows of zeros: {(index >= depth).sum()}")
print("the way back agrees for every click:", np.array_equal(np.asarray(ids)[index], raw_items))

# %% [markdown] tags=["core"]
# ## Three networks by hand
#
# *GMF*, generalized matrix factorization, multiplies the vectors of user and item, $p_u$ and $q_i$, coordinate by coordinate:
#
# $$\hat y = \sigma\big(h^\top (p_u \odot q_i) + c\big)$$
#
# Here $\odot$ is the product by coordinate, $h$ has one weight per coordinate, $c$ is a constant, and $\sigma$ the sigmoid. With $h = (1,
# \dots, 1)$ this is a factorization as in chapter 04.
#
# *MLP*, a multi-layer perceptron, passes two other vectors, side by side, through layers $\mathrm{ReLU}(Wx + b)$. No product is built
# in: the layers must learn what goes with what. *NeuMF*, neural matrix factorization, computes both, and weighs them in its last layer.

# %%
p, q = np.array([[1.0, -2.0]]), np.array([[0.5, 1.0]])  # user and item, GMF's vectors
u, v = np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])  # user and item, MLP's vectors
weights = np.array([[1.0, -1.0], [0, 0], [0, 0], [0.5, 1.0]])  # (4, 2): a hidden layer
hidden = np.maximum(np.hstack([u, v]) @ weights, 0)
print("GMF's products: ", p * q, "-> chance", expit((p * q).sum(axis=1)).round(3))
print("MLP's hidden layer:", hidden, "-> NeuMF joins:", np.hstack([p * q, hidden]))

# %% [markdown] tags=["core"]
# ## The program of the job
#
# In *script mode* SageMaker runs your program in a *container*: a closed box with its own Python and TensorFlow, made from an *image*. It
# passes hyperparameters as arguments, and puts each *channel* of data into a folder. Afterwards it packs what the program left in the
# model folder.
#
# The post's program is `ncf.py`, and so is [ours](../chapters/ncf_job/ncf.py): it reads, trains and saves. The networks are in a second
# file, `network.py`. You build them yourself below, and your network then takes the job's weights.

# %% [markdown]
# ### The loop, and what differs from the post · optional
#
# The program draws fresh negatives for every epoch. A step is the one of chapter 04, with the gradients left to TensorFlow:
#
# ```python
# with tf.GradientTape() as tape:
#     chance = model({"user": users, "item": items}, training=True)[:, 0]
#     loss = cross_entropy(labels, chance) + tf.add_n(model.losses)
# gradients = tape.gradient(loss / workers, model.trainable_variables)
# optimizer.apply(gradients, model.trainable_variables)
# ```

# %% [markdown]
# | | the post | this chapter |
# |---|---|---|
# | input | one-hot rows | indices |
# | after the look-up | ReLU | nothing |
# | negatives | drawn once, all films alike | fresh in every epoch, by clicks to the power $\alpha = 0.5$ |
# | factors, regularization | 32, dropout | 16, L2 |
# | epochs, batch | 3, 256 | 8, 4,096 |
#
# So we judge NeuMF, not the post's run of it.

# %% [markdown] tags=["core"]
# ## Upload
#
# `cloud.connect()` starts a SageMaker on this machine. With `COURSE_CLOUD=aws` the same cells run on AWS.
#
# As in the post, the files `train.npy` and `test.npy` go to the *default bucket*, whose name holds region and account. The post's folder
# there is `data`. Ours is `course-05/data/`: a bucket is shared, and a job reads every key that begins with the address it is given.

# %%
aws = cloud.connect()
place = aws.folder("course-05")  # on AWS with your user name: others may use this bucket, too
for name, part in (("train", split.train), ("test", split.test)):
    table = part.frame[["user", "item"]].assign(label=1).to_numpy(dtype=np.int32)
    file = io.BytesIO()
    np.save(file, table)
    key = f"{place}/data/{name}.npy"
    aws.client("s3").put_object(Bucket=aws.bucket, Key=key, Body=file.getvalue())
    print(f"{key}: {table.shape[0]:,} rows of user, item, label")
usual = f"sagemaker-{aws.region}-{aws.account}"
print("the bucket is sagemaker-{region}-{account}:", usual == aws.bucket)
jobs, server = cloud.estimate("ml.c5.2xlarge", 0.2), cloud.estimate("ml.c5.xlarge", 0.2)
print("What follows, on AWS:", jobs + server)

# %% [markdown] tags=["core"]
# ## Train
#
# A `ModelTrainer` names the image, the program, the machine and the hyperparameters. `train` names the data, and waits. What the program
# prints comes back through the job's log. What it saves becomes `model.tar.gz` in the bucket: a folder `1`, which TensorFlow Serving reads,
# and `ncf.npz`, the weights alone, for us.
#
# `aws.role` is the *role* whose rights the job has. AWS writes it as an ARN, the full name of a thing in an account.

# %% tags=["nbval-ignore-output"]
from sagemaker.core import image_uris
from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig, SourceCode
from sagemaker.train import ModelTrainer

program = Path("../chapters/ncf_job")
settings = {"epochs": 8, "batch_size": 4096, "learning_rate": 0.01}
settings |= {"negatives": 5, "alpha": 0.5}  # the rest is for the sampler
sizes = {"n_user": ratings.n_users, "n_item": ratings.n_items, "factors": 16, "decay": 0.02}
image = {"framework": "tensorflow", "region": aws.region, "version": "2.19"}
image["instance_type"] = "ml.c5.2xlarge"


def train_job(workers, **changed):
    trainer = ModelTrainer(
        training_image=image_uris.retrieve(**image, py_version="py312", image_scope="training"),
        source_code=SourceCode(source_dir=str(program), entry_script="ncf.py"),
        compute=Compute(instance_type="ml.c5.2xlarge", instance_count=workers),
        hyperparameters={**sizes, **settings, **changed},
        environment={"MALLOC_ARENA_MAX": "1"},  # less memory per process
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/{place}/models"),
        base_job_name=aws.name("course-05"),
        input_s3_key_prefix=place,
        role=aws.role,
        sagemaker_session=aws.session,
    )
    source = f"s3://{aws.bucket}/{place}/data/"
    trainer.train(input_data_config=[InputData(channel_name="training", data_source=source)])
    print(trainer._latest_training_job.training_job_status)
    return trainer._latest_training_job


def unpacked(job):
    """Fetch what a job left in the bucket, unpack it, and return the folder."""
    bucket, key = job.model_artifacts.s3_model_artifacts.removeprefix("s3://").split("/", 1)
    packed, folder = aws.client("s3").get_object(Bucket=bucket, Key=key), tempfile.mkdtemp()
    with tarfile.open(fileobj=io.BytesIO(packed["Body"].read())) as archive:
        archive.extractall(folder, filter="data")
    return Path(folder)


print("The job starts; TensorFlow takes some seconds before its first line.", flush=True)
job = train_job(workers=1)

# %% [markdown]
# ### Two workers, one model · optional
#
# With `instance_count=2` two containers start, on this machine two processes. Both draw the same examples, and each takes half of them.
# Before every step they add up their gradients, an *all-reduce*: so both hold the same weights.
#
# TensorFlow's `tf.distribute.MultiWorkerMirroredStrategy` does the same with a server in every worker. We train one epoch.

# %% tags=["nbval-ignore-output"]
print("Two workers start, which takes some seconds.", flush=True)
joint = train_job(workers=2, epochs=1, negatives=1)
print("two workers, one model:", ", ".join(sorted(path.name for path in unpacked(joint).iterdir())))

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 05.q2
choice = "b"
### END SOLUTION
exercise("05.q2").ask(choice)

# %% [markdown]
# ### The posts' calls today · optional
#
# The posts were written for versions 1 and 2 of the SDK. Version 3 names things anew:
#
# | the posts (V1, V2) | today (V3) |
# |---|---|
# | `sagemaker.Session()`, `get_execution_role()` | `sagemaker.core.helper.session_helper`; here `aws.session`, `aws.role` |
# | `TensorFlow(entry_point="ncf.py", …)` | `ModelTrainer(source_code=SourceCode(…), …)` |
# | `train_instance_type=`, `train_instance_count=` | `compute=Compute(instance_type=, instance_count=)` |
# | `distributions={"parameter_server": …}` | gone; the script joins its workers itself |
# | `estimator.fit(uri)` | `trainer.train(input_data_config=[InputData(…)])` |
# | `estimator.deploy(…)` | `ModelBuilder(…)`, `.build()`, `.deploy()` |
# | `endpoint_type="tensorflow-serving"` | the image of the model says it |
# | `predictor.predict(values)` | `endpoint.invoke(body=json.dumps(values), …)` |
# | `predictor.delete_endpoint()` | `endpoint.delete()` |

# %% [markdown] tags=["core"]
# ## Deploy and ask
#
# TensorFlow Serving takes a JSON object with a list of `instances`. Each instance names all inputs of the model. The answer has a list of
# `predictions`. As in the post, we ask in batches of 100: about the hidden film of each user, and about five films never taken.
#
# `cleanup` deletes the endpoint when its block ends, also after an error. On AWS, an endpoint costs money until then.
#
# **Exercise 05.3** (6 min). Write `request(users, items)`: the text of such a body for pairs of indices. The inputs are called `user` and
# `item`. NumPy's numbers are not JSON's.


# %%
def request(users, items):
    ### BEGIN SOLUTION 05.3
    pairs = zip(users, items, strict=True)
    return json.dumps({"instances": [{"user": int(u), "item": int(i)} for u, i in pairs]})
    ### END SOLUTION


# %%
q3 = exercise("05.3")
q3.check(request)

# %%
from sagemaker.serve import ModelBuilder

request = q3.use(request)
held_users, held_items = (split.test.frame[c].to_numpy() for c in ("user", "item"))
n_held = len(held_users)
others = sampling.NegativeSampler(split.train, avoid="all", known=ratings)
rng = np.random.default_rng(0)
ask_users = np.concatenate([held_users, np.repeat(held_users, 5)])
ask_items = np.concatenate([held_items, others.draw(held_users, ratio=5, rng=rng).ravel()])

print("The endpoint starts, which takes some seconds.", flush=True)
with cloud.cleanup(aws, prefix="course-05"):
    builder = ModelBuilder(
        image_uri=image_uris.retrieve(**image, image_scope="inference"),
        s3_model_data_url=job.model_artifacts.s3_model_artifacts,
        instance_type="ml.c5.xlarge",
        role_arn=aws.role,
        sagemaker_session=aws.session,
    )
    builder.build(model_name=aws.name("course-05-neumf"))
    endpoint = builder.deploy(endpoint_name=aws.name("course-05-neumf"), initial_instance_count=1)
    answers = []
    for start in range(0, len(ask_users), 100):
        body = request(ask_users[start : start + 100], ask_items[start : start + 100])
        answer = endpoint.invoke(
            body=body, content_type="application/json", accept="application/json"
        )
        answers += json.loads(answer.body.read())["predictions"]
chances = np.ravel(answers)
in_range = ((chances >= 0) & (chances <= 1)).all()
print(f"{len(chances):,} chances, all between 0 and 1: {in_range}")

# %% [markdown]
# The post stops here: with a chance of 0.5 or more, it says that the user will like the film. Its table holds users, films and decisions.
# The way back from our indices gives it MovieLens' own ids.

# %% tags=["nbval-ignore-output"]
liked = (chances >= 0.5).astype(int)
titles = ratings.items["title"].to_numpy()[ask_items]
columns = {"userId": ratings.user_ids[ask_users], "movieId": ratings.item_ids[ask_items]}
decisions = pd.DataFrame({**columns, "title": titles, "prediction": liked})
on_clicks = liked[:n_held].mean()
print(f"{on_clicks:.0%} of the hidden films are called a like")
display(guess("05.b").meets(f"{on_clicks:.0%}"))
decisions.head(6)

# %% [markdown]
# ## What the threshold says · optional
#
# The network calls only some of the hidden films a like. Is it bad? Five of six training examples are negatives, so its average chance is
# about one in six. How high a chance is depends on the number of negatives (chapter 04), not on how good the model is.
#
# The post's test set holds clicks only. There, accuracy is the share of chances at or above the threshold. The next cells compute it with
# and without five other films per click.


# %%
def shares(threshold, test):
    """Accuracy, precision and recall at a threshold; the first rows are the clicks."""
    likes = chances[: n_held if test == "clicks only" else None] >= threshold
    truth = np.arange(len(likes)) < n_held
    right = (likes & truth).sum()
    return {
        "accuracy": np.mean(likes == truth),
        "precision": right / max(1, likes.sum()),
        "recall": right / truth.sum(),
    }


print(f"clicks only, threshold 0: accuracy {shares(0.0, 'clicks only')['accuracy']:.0%}")
refused = shares(1.01, "with five others each")["accuracy"]
print(f"no to everything, five others each: accuracy {refused:.0%}")

# %% [markdown]
# Move the threshold, and change the test set. Which accuracies can you reach without looking at a film?


# %% tags=["fold"]
def draw_threshold(threshold, test):
    values = shares(threshold, test)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), width_ratios=(1.6, 1))
    look = {"bins": np.linspace(0, 1, 41), "alpha": 0.7}
    if test != "clicks only":
        left.hist(chances[n_held:], color=plots.PALETTE["orange"], label="others", **look)
    left.hist(chances[:n_held], color=plots.PALETTE["blue"], label="held-out clicks", **look)
    left.axvline(threshold, color=plots.PALETTE["black"], linestyle="--")
    left.set(xlabel="chance the network gives", ylabel="pairs", yscale="log", ylim=(0.8, 3000))
    left.legend(fontsize=9)
    bars = right.barh(list(values), [100 * v for v in values.values()], color=plots.PALETTE["sky"])
    right.bar_label(bars, [f"{value:.0%}" for value in values.values()], padding=3)
    right.invert_yaxis()
    right.grid(False)
    right.set(xlabel="%", xlim=(0, 120), xticks=range(0, 101, 25))
    title = f"{test}, like at {threshold:.2f}: accuracy {values['accuracy']:.0%}"
    fig.suptitle(title, x=0.02, ha="left")
    fig.tight_layout()
    return fig


def tell_threshold(threshold, test):
    values = shares(threshold, test)
    return (
        f"If a like starts at {threshold:.2f} ({test}), accuracy is {values['accuracy']:.0%}, "
        f"precision {values['precision']:.0%} and recall {values['recall']:.0%}."
    )


explore(
    draw_threshold,
    alt=tell_threshold,
    threshold=widgets.FloatSlider(value=0, min=0, max=1, step=0.05),
    test=widgets.Dropdown(options=["clicks only", "with five others each"], description="test set"),
)

# %% [markdown]
# On clicks only, "like" to everything is always right. With five others each, "no" to everything is right five times in six.
#
# Neither number says what a user sees: ten films out of nine thousand. For these only the *order* matters, over the full catalog.

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 05.q3
choice = "b"
### END SOLUTION
exercise("05.q3").ask(choice)

# %% [markdown] tags=["core"]
# ## Build them in Keras
#
# Now look inside. We fetch the weights, list what is left on SageMaker, and disconnect: from here on nothing needs it. Objects in S3
# stay until somebody deletes them, and cost cents a month.

# %%
weights_file = unpacked(job) / "ncf.npz"
left = cloud.leftovers(aws, prefix="course-05")
cloud.disconnect()
print("Keras loads, which takes some seconds.", flush=True)
keras = gates.import_keras()
import ncf  # the job's program
import tensorflow as tf

left[["what", "name"]]

# %% [markdown]
# Here are GMF and the look-ups that all three networks share. An `Embedding` is a table of vectors: give it an index, and it returns a
# row. `decay` is a penalty on the squares of the vectors that an example reads. Change what you like: what you train here is what stands
# in these cells.


# %%
def two_inputs():
    return {side: keras.Input((), dtype="int32", name=side) for side in ("user", "item")}


def vectors(inputs, n_users, n_items, k, branch, decay):
    """Look up the vectors of one branch: (batch, k) for the users, and for the items."""
    found = []
    for side, rows in (("user", n_users), ("item", n_items)):
        start = keras.initializers.RandomNormal(stddev=0.01)
        pull = keras.regularizers.L2(decay / 2)
        name = f"{side}_{branch}"
        table = keras.layers.Embedding(rows, k, start, activity_regularizer=pull, name=name)
        found.append(table(inputs[side]))
    return found


def gmf(n_users, n_items, k, decay=0.0):
    inputs = two_inputs()
    product = keras.layers.Multiply()(vectors(inputs, n_users, n_items, k, "gmf", decay))
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(product)
    return keras.Model(inputs, chance, name="gmf")


# %% [markdown]
# **Exercise 05.7** (10 min). Write `tower(p, q)`, the layers of MLP. They lay the two vectors side by side, `p` first. Then come four
# dense layers with ReLU, 64, 32, 16 and 8 wide. Return the output of the last one, (batch, 8). MLP and NeuMF both call `tower`, and each
# needs layers of its own.
#
# Count first: how many weights and biases does that make for two vectors of 16 numbers? The next cells print it.


# %%
def tower(p, q):
    ### BEGIN SOLUTION 05.7
    x = keras.layers.Concatenate()([p, q])
    for width in (64, 32, 16, 8):
        x = keras.layers.Dense(width, activation="relu")(x)
    return x
    ### END SOLUTION


# %%
q7 = exercise("05.7")
q7.check(tower)

# %%
tower = q7.use(tower)


def mlp(n_users, n_items, k, decay=0.0):
    inputs = two_inputs()
    end = tower(*vectors(inputs, n_users, n_items, k, "mlp", decay))
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(end)
    return keras.Model(inputs, chance, name="mlp")


def neumf(n_users, n_items, k, decay=0.0):
    inputs = two_inputs()
    product = keras.layers.Multiply()(vectors(inputs, n_users, n_items, k, "gmf", decay))
    end = tower(*vectors(inputs, n_users, n_items, k, "mlp", decay))
    both = keras.layers.Concatenate()([product, end])
    chance = keras.layers.Dense(1, activation="sigmoid", name="chance")(both)
    return keras.Model(inputs, chance, name="neumf")


shape = ratings.n_users, ratings.n_items
k = sizes["factors"]
in_tables, in_all = 2 * sum(shape) * k, neumf(*shape, k).count_params()
print(f"the tower: {mlp(*shape, k).count_params() - in_tables // 2 - 9:,} numbers")
print(f"NeuMF: {in_all:,} numbers, {in_tables / in_all:.1%} of them in the four tables")

# %% tags=["nbval-ignore-output"]
keras.utils.clear_session()  # names of layers start anew
network = neumf(*shape, k)
alt = "In NeuMF, a product of two vectors and a tower on two others meet before the last layer."
show(plots.layers(network), alt=alt)
pd.DataFrame(
    [
        (layer.name, type(layer).__name__, layer.output.shape[1:], layer.count_params())
        for layer in network.layers
    ],
    columns=["layer", "kind", "output per example", "weights and biases"],
)

# %% [markdown]
# A box shows the shape of a layer's weights, or of its output where it has none. Where Graphviz is installed, Keras draws its own picture:
#
# ```python
# keras.utils.plot_model(network, show_shapes=True, show_layer_activations=True)
# ```
#
# The "deep" part is small: almost all numbers are in the tables. Is this the job's network? Give it the job's weights, and ask it what we
# asked the endpoint.

# %%
with np.load(weights_file) as values:
    for weight in network.weights:
        weight.assign(values[ncf.key_of(weight)])
pairs = {"user": ask_users.astype(np.int32), "item": ask_items.astype(np.int32)}
agree = np.allclose(np.asarray(network(pairs))[:, 0], chances, atol=1e-5)
theirs = (program / "network.py").read_text(encoding="utf-8")
cells = [inspect.getsource(part).strip() for part in (two_inputs, vectors, gmf, mlp, neumf)]
print("your network and the endpoint give the same chances:", agree)
print("these cells are those of the job's `network.py`:", all(cell in theirs for cell in cells))

# %% [markdown]
# ## A dense layer on one-hot input is an embedding · optional
#
# The post has no `Embedding`. It turns user 3 into 671 numbers with a single 1, and multiplies them by a matrix: `Dense(32,
# activation="relu")`. A one-hot vector times a matrix is one row of the matrix. The layer adds its bias to every row, and ends in a ReLU.
#
# So an embedding whose table is `kernel + bias`, with a ReLU behind it, must compute the same. We give the bias something to say, and
# compare.

# %%
dense = keras.layers.Dense(32, activation="relu")
users = ask_users[:500].astype(np.int32)
one_hot = keras.ops.one_hot(users, shape[0])  # (500, 671)
dense(one_hot)  # the first call makes the weights
kernel = dense.get_weights()[0]
bias = np.random.default_rng(0).normal(0, 0.05, 32)
dense.set_weights([kernel, bias])
embedding = keras.layers.Embedding(shape[0], 32)
embedding.build()
embedding.set_weights([kernel + bias])
difference = np.abs(dense(one_hot) - keras.ops.relu(embedding(users))).max()
print("largest difference:", "below 0.00001" if difference < 1e-5 else f"{difference:.5f}")

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 05.q1
choice = "b"
### END SOLUTION
exercise("05.q1").ask(choice)

# %% [markdown]
# The function is the same. What does the detour cost? The post makes all one-hot rows of an epoch before it trains.

# %%
choices = ["about 50 MB", "about 1 GB", "about 20 GB"]
guess("05.d", "Indices for an epoch take 5 MB. How much do the one-hot rows take?", choices)

# %%
n_rows, width = len(split.train) * (1 + 5), sum(shape)
memory = {"one-hot": n_rows * width * 4, "indices": n_rows * 2 * 4}  # four bytes per number
print(f"inputs of an epoch: one-hot rows of {width:,} numbers, {memory['one-hot'] / 1e9:.0f} GB")
print(f"                    two indices, {memory['indices'] / 1e6:.1f} MB")
guess("05.d").meets(f"{memory['one-hot'] / 1e9:.0f} GB")

# %% [markdown]
# For the time, one layer looks up 2,048 items both ways, and computes the gradient. The one-hot rows are made beforehand.


# %%
def milliseconds(layer, inputs):
    """Return the shortest of five times of a look-up with its gradient."""

    @tf.function
    def run(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs))
        return [tf.convert_to_tensor(g) for g in tape.gradient(loss, layer.trainable_weights)]

    times = [time.perf_counter()]
    for _ in range(6):  # the first run makes the graph
        run(inputs)
        times.append(time.perf_counter())
    return 1000 * np.diff(times)[1:].min()


# %% tags=["nbval-ignore-output", "timing"]
items = tf.constant(ask_items[:2048], dtype=tf.int32)
wide = milliseconds(keras.layers.Dense(32), keras.ops.one_hot(items, shape[1]))
narrow = milliseconds(keras.layers.Embedding(shape[1], 32), items)
print(f"one-hot {wide:.1f} ms, look-up {narrow:.1f} ms: {wide / narrow:.0f} times as long")
assert wide > narrow

# %% [markdown]
# A whole network has more than look-ups, so it gains less. The benchmark `ncf` measures that: it trains the post's network both ways on
# ML-100K, from the same first weights and on the same examples.

# %% [markdown] tags=["core"]
# ## Judged by its lists
#
# The protocol is chapter 04's: the full catalog without what the user has seen, equal scores in random order, 95 % intervals by bootstrap
# over 671 users. NeuMF is the network that we deployed.
#
# GMF and MLP, its two halves, train here, alone, by the same program on the same clicks. The rivals:
#
# - *MF with negatives* and *EASE*, from chapter 04;
# - *iALS*, implicit alternating least squares (Hu et al., 2008): a factorization of *all* cells of the click matrix, where a click weighs
#   more than an empty cell. It solves for all users, then for all items, in turn.

# %%
clicks = [split.train.frame[column].to_numpy(np.int32) for column in ("user", "item")]
results = {}


def all_scores(network):
    """Ask a network about every pair, user by user: (n_users, n_items)."""
    every = tf.range(shape[1])
    ask = tf.function(lambda user: network({"user": tf.fill((shape[1],), user), "item": every}))
    return np.stack([ask(tf.constant(user))[:, 0] for user in range(shape[0])])


def judge(name, model):
    """Rank the full catalog for everybody; keep the result and print it."""
    results[name] = metrics.evaluate(model, split.test, seen=split.train)
    print(f"{name:18} {results[name]['hit_rate']}   {results[name]['ndcg']}", flush=True)


# %% tags=["nbval-ignore-output"]
judge("popularity", Popularity().fit(split.train))
judge("NeuMF, deployed", all_scores(network))
print("GMF and MLP train now: the longest wait of the chapter.", flush=True)
alone = {}
for name, build, chosen in (("GMF", gmf, {"epochs": 20}), ("MLP", mlp, {"alpha": 0.0})):
    keras.utils.set_random_seed(0)
    alone[name] = build(*shape, 16, decay=0.02)
    ncf.train(alone[name], *clicks, shape, **{**settings, **chosen})
    judge(name, all_scores(alone[name]))
product = LogisticMF(regularization=0.03, strategy="popularity", alpha=0.75)
judge("MF with negatives", product.fit(split.train))
judge("iALS", ImplicitALS(factors=64).fit(split.train))
judge("EASE", EASE().fit(split.train))
ndcg = {name: result["ndcg"] for name, result in results.items()}
assert ndcg["EASE"].mean > ndcg["popularity"].mean
best = max(ndcg, key=lambda name: ndcg[name].mean)
title = f"{best} has the highest mean (bars: 95 % intervals)"
words = f"{best} has the highest NDCG@10, {ndcg[best].mean:.3f}, the deployed network "
words += f"{ndcg['NeuMF, deployed'].mean:.3f}, popularity {ndcg['popularity'].mean:.3f}."
show(plots.intervals(ndcg, title=title), alt=words)
guess("05").meets(f"{best}, by less than 671 users can settle")

# %% tags=["nbval-ignore-output"]
for one, other in (
    ("NeuMF, deployed", "popularity"),
    ("NeuMF, deployed", "GMF"),
    ("NeuMF, deployed", "MF with negatives"),
    ("NeuMF, deployed", "EASE"),
    ("MF with negatives", "EASE"),
    ("MF with negatives", "iALS"),
):
    gap = ndcg[one].compare(ndcg[other])
    verdict = "established" if gap.low > 0 or gap.high < 0 else "not established"
    print(f"{one} - {other}: {gap}  {verdict}")
few = split.train.item_counts() <= 3
print(f"films with three clicks or fewer: {few.mean():.0%} of the catalog,", end=" ")
print(f"{few[held_items].mean():.0%} of the hidden films")

# %% [markdown]
# EASE has the highest mean, but its lead over NeuMF may be due to which users we happen to have. NeuMF, GMF and the plain product cannot be told apart
# either. The intervals draw other users, not other trainings. So the benchmark `ncf` trains with three seeds:
#
# | NDCG@10 | GMF | MLP | NeuMF | MF with negatives | EASE |
# |---|---|---|---|---|---|
# | mean of three seeds | .032 | .029 | .030 | .036 | .039 |
#
# NeuMF beats popularity by .010 [.001, .021]. MF is ahead of NeuMF by .005 [−.003, .014], which is not established.

# %% [markdown]
# ### Why, and what others found · optional
#
# Rendle and others (2020) went further. On their data a tuned product was clearly *better* than a perceptron, which can imitate a product
# but must learn it from examples.
#
# We have not shown why EASE leads. One guess is that factorizations have too few clicks per film. It does not explain all: half the
# catalog has three clicks or fewer, but only one in seven of the hidden films.

# %% [markdown]
# ### How the settings were chosen · optional
#
# The measure was NDCG@10 on five other hidden films per user. Networks and MF had the same choices: $\alpha$ = 0, 0.5 or 0.75. On these
# films, 0.5 instead of 0 raised GMF from .052 to .055 (seed 0), and NeuMF from .047 to .053. MLP got worse.
#
# | | numbers per user | chosen |
# |---|---|---|
# | GMF | 16 | $\alpha$ = 0.5, 20 epochs |
# | MLP | 16 | $\alpha$ = 0, 8 epochs |
# | NeuMF | 2 × 16 | $\alpha$ = 0.5, 8 epochs |
# | MF with negatives | 32 | $\alpha$ = 0.75, regularization 0.03 |
# | iALS | 64 | 64 factors |
# | EASE | – | regularization 200 |

# %% [markdown]
# ### Start from GMF and MLP · optional
#
# The paper trains GMF and MLP first, and starts NeuMF from both: tables, tower, and the last layer. NeuMF's last layer reads GMF's
# products first, then the tower's end.
#
# **Exercise 05.8** (8 min). Write `joined(of_gmf, of_mlp)`. Each is a trained last layer, a pair of kernel (width, 1) and bias (1,).
# Return kernel and bias of NeuMF's last layer, such that its log odds, the number before the sigmoid, are the *mean* of the two networks'
# log odds for every pair.


# %%
def joined(of_gmf, of_mlp):
    ### BEGIN SOLUTION 05.8
    (kernel, bias), (second, shift) = of_gmf, of_mlp
    return np.concatenate([kernel, second]) / 2, (bias + shift) / 2
    ### END SOLUTION


# %%
q8 = exercise("05.8")
q8.check(joined)

# %% tags=["nbval-ignore-output"]
joined = q8.use(joined)
inputs, ends_of = two_inputs(), [net.get_layer("chance") for net in alone.values()]
branches = [
    keras.Model(net.input, end.input) for net, end in zip(alone.values(), ends_of, strict=True)
]
both = keras.layers.Concatenate()([branch(inputs) for branch in branches])
last = keras.layers.Dense(1, activation="sigmoid")
started = keras.Model(inputs, last(both))  # the layers of both networks, and a new last one
last.set_weights(list(joined(*(end.get_weights() for end in ends_of))))
judge("GMF + MLP, joined", all_scores(started))
ncf.train(started, *clicks, shape, **{**settings, "learning_rate": 0.002, "epochs": 4})
judge("NeuMF, pre-trained", all_scores(started))
for other in ("GMF + MLP, joined", "NeuMF, deployed", "EASE"):
    gap = results["NeuMF, pre-trained"]["ndcg"].compare(results[other]["ndcg"])
    print(f"NeuMF, pre-trained - {other}: {gap}")

# %% [markdown]
# Joining costs no training. Over three seeds its NDCG@10 is .033, and NeuMF's .030: a gain of .003 [−.005, .009], not established. Four
# epochs more change next to nothing: .000 [−.006, .005]. In the paper, pre-training raised HR@10 from .701 to .726 (ML-1M, 32 factors).
# There, a film competed with 99 sampled candidates only.

# %% [markdown]
# ### The same on ML-100K · optional
#
# ML-100K has fewer films, with more clicks each. Where it is installed, the simple models run here.

# %% tags=["nbval-ignore-output"]
hundred = data.load_or_none("100k")
if hundred is None:
    print("ML-100K is not installed: this comparison is skipped.")
else:
    larger = data.leave_one_out(hundred, ties="random", seed=0)
    on_hundred = {}
    for name, model in (
        ("popularity", Popularity()),
        ("MF with negatives", LogisticMF(regularization=0.01)),  # chosen on its own training part
        ("iALS", ImplicitALS(factors=64)),
        ("EASE", EASE()),
    ):
        model.fit(larger.train)
        on_hundred[name] = metrics.evaluate(model, larger.test, seen=larger.train)
        result = on_hundred[name]
        print(f"ML-100K, {name:18} {result['hit_rate']}   {result['ndcg']}", flush=True)
    gap = on_hundred["MF with negatives"]["ndcg"].compare(on_hundred["EASE"]["ndcg"])
    print("MF with negatives - EASE:", gap)

# %% [markdown]
# On ML-100K the factorizations catch up with EASE: the order of models is a fact about the data, too.

# %% [markdown]
# ### Stretch: what serving costs · optional
#
# A product of vectors ranks a catalog by one matrix product. A perceptron needs a pass for each pair: six million here. One shortcut is
# left. Before its ReLU, the first layer is *linear* in the two vectors. So its user part and its item part can be computed once each,
# and added.
#
# **Exercise 05.5** (12 min, *stretch*). Write `first_layer(users, items, kernel, bias)`: the output of the first hidden layer for *every*
# pair, (n_users, n_items, width). `users` is (n_users, k), `items` (n_items, k). `kernel` is (2k, width), the user's k rows first. Build no
# pairs before the sum.


# %%
def first_layer(users, items, kernel, bias):
    ### BEGIN SOLUTION 05.5
    k = users.shape[1]
    of_users, of_items = users @ kernel[:k] + bias, items @ kernel[k:]
    return np.maximum(of_users[:, None, :] + of_items[None, :, :], 0)
    ### END SOLUTION


# %%
q5 = exercise("05.5")
q5.check(first_layer)

# %%
first_layer = q5.use(first_layer)
users, items = (network.get_layer(f"{side}_mlp").get_weights()[0] for side in ("user", "item"))
k = users.shape[1]
of_layer = ((2 * k, 64), (64,))
kernel, bias = (next(w for w in network.get_weights() if w.shape == s) for s in of_layer)
every = first_layer(users[:8], items, kernel, bias)
alone_7 = np.maximum(np.concatenate([users[7], items[1000]]) @ kernel + bias, 0)
agree = np.allclose(every[7, 1000], alone_7, atol=1e-5)
print(f"{every.shape[0] * every.shape[1]:,} pairs at once; user 7 and item 1,000 agree: {agree}")
n_pairs, above = shape[0] * shape[1], 64 * 32 + 32 * 16 + 16 * 8
print(f"multiplications of that layer for all pairs: {n_pairs * 2 * k * 64 / 1e9:.0f} billion")
print(f"the same by halves: {sum(shape) * k * 64 / 1e6:.0f} million")
print(f"the three layers above, for all pairs: {n_pairs * above / 1e9:.0f} billion")
del every

# %% [markdown]
# So the shortcut saves less than half: what comes after the ReLU must still be done for each pair. That is why shops give a perceptron a
# few hundred candidates, found by a product.

# %% [markdown]
# ### Large batches on a GPU · optional
#
# A step has a fixed cost, and a GPU computes many examples in the time of a few. So batches grow. But a larger batch means fewer steps,
# and at the same learning rate the network learns less.
#
# Where there is a GPU, this cell trains NeuMF three times by Keras' `fit`, on one draw of negatives.

# %% tags=["nbval-ignore-output", "timing"]
if gates.gpu.ready("A large batch"):
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    trainings = [(4096, 0.01), (65_536, 0.01), (65_536, 0.05)] if on_gpu else [(256, 0.01)]
    some = slice(None if on_gpu else 500)  # a test run has no GPU
    taken = np.zeros(shape, dtype=bool)
    taken[tuple(clicks)] = True
    *pairs, labels = ncf.draw_epoch(*clicks, taken, 5, 0.5, np.random.default_rng(0))
    for batch_size, rate in trainings:
        keras.utils.set_random_seed(0)
        with gates.strategy().scope():  # all GPUs share each batch
            large = neumf(*shape, 16, decay=0.02)
            large.compile(keras.optimizers.Adam(rate), "binary_crossentropy")
        begin = time.perf_counter()
        rows = {"user": pairs[0][some], "item": pairs[1][some]}
        large.fit(rows, labels[some], batch_size, epochs=8 if on_gpu else 1, verbose=0)
        seconds = time.perf_counter() - begin
        hits = metrics.evaluate(all_scores(large), split.test, seen=split.train)["hit_rate"]
        print(f"batches of {batch_size:,}, rate {rate}: {seconds:.1f} s, {hits}", flush=True)

# %% [markdown]
# ## Extension: deep matrix factorization · optional
#
# The post ends with a pointer to Xue and others (2017). There a user has no vector of their own: the input is the user's whole *row* of
# the matrix of stars, and an item's is its *column*. Each goes through a tower of ReLU layers. The prediction is the cosine of the two
# ends, at least a millionth:
#
# $$\hat y_{ui} = \max\Big(10^{-6}, \frac{a_u^\top b_i}{\lVert a_u \rVert \, \lVert b_i \rVert}\Big)$$
#
# where $a_u$ and $b_i$ are the ends. The label is the share of the highest star, and 0 for a negative.

# %% [markdown]
# **Exercise 05.6** (8 min, *stretch*). Write `cosines(a, b)`: all $\hat y$, (n_users, n_items), for `a` (n_users, k) and `b` (n_items,
# k). An end may be all zeros: its predictions are a millionth.


# %%
def cosines(a, b):
    ### BEGIN SOLUTION 05.6
    lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    return np.maximum((a @ b.T) / np.maximum(lengths, 1e-12), 1e-6)
    ### END SOLUTION


# %%
q6 = exercise("05.6")
q6.check(cosines)

# %% [markdown]
# The towers are plain TensorFlow: the input is sparse, and every step computes the ends of all users and items.

# %%
from helpers.models.training import adam_step

stars = split.train.matrix() / 5
rng, towers, filled = np.random.default_rng(0), {}, {}
for side, matrix in (("user", stars.tocoo()), ("item", stars.T.tocoo())):
    kernels = [(matrix.shape[1], 64), (64, 32)]
    first = [rng.normal(0, np.sqrt(2 / sum(s)), s).astype(np.float32) for s in kernels]
    towers[side] = [tf.Variable(values) for values in first]
    places = np.stack([matrix.row, matrix.col], axis=1).astype(np.int64)
    cells = tf.SparseTensor(places, matrix.data.astype(np.float32), matrix.shape)
    filled[side] = tf.sparse.reorder(cells)


def ends(side):
    """Pass the rows of one side through its tower, (n, 32)."""
    x = tf.nn.relu(tf.sparse.sparse_dense_matmul(filled[side], towers[side][0]))
    return tf.nn.relu(x @ towers[side][1])


def loss(users, items, labels):
    p, q = (tf.math.l2_normalize(ends(side), axis=1) for side in ("user", "item"))
    cosine = tf.reduce_sum(tf.gather(p, users) * tf.gather(q, items), axis=1)
    chance = tf.clip_by_value(cosine, 1e-6, 1 - 1e-6)
    entropy = labels * tf.math.log(chance) + (1 - labels) * tf.math.log(1 - chance)
    return -tf.reduce_mean(entropy), 0.0


# %% tags=["nbval-ignore-output"]
print("Deep MF trains for five epochs, which takes some seconds.", flush=True)
step = adam_step(loss, towers["user"] + towers["item"])
sampler = sampling.NegativeSampler(split.train)
for epoch in range(5):
    users, items, labels = sampler.epoch(5, rng=rng, shuffle=False)
    positives = labels == 1
    labels[positives] = np.asarray(stars[users[positives], items[positives]]).ravel()
    for batch in np.array_split(rng.permutation(len(labels)), 10):
        rate = np.float32(0.01 * (1 - 0.9 * epoch / 4))
        step(rate, users[batch], items[batch], labels[batch])
of_users, of_items = (ends(side).numpy() for side in ("user", "item"))
p, q = (tf.math.l2_normalize(one, axis=1).numpy() for one in (of_users, of_items))
judge("deep MF", p @ q.T)
mine = q6.use(cosines)(of_users[:50], of_items)
assert np.allclose(mine, np.maximum(p[:50] @ q.T, 1e-6), atol=1e-4)
print("deep MF - popularity:", results["deep MF"]["ndcg"].compare(results["popularity"]["ndcg"]))

# %% [markdown]
# No user has a row in a table, so a new user has an input after the first click. For the users we test, all known, it is no better than
# popularity. Chapter 09 takes the idea on, with better results.

# %% [markdown]
# ## What the sources say · optional
#
# **Tests on clicks alone** (post of 2020). With its threshold, "like everything" is perfect: the slider gets there at 0. What the post's
# table shows is how high the chances are, and `n_neg=5` decided that.
#
# **Negatives against training pairs** (same). `negative_sampling` knows the training clicks only, so it can draw a hidden film as a
# negative. Chapter 04 counted one in eight hundred, and called that the honest choice. But the post draws pair by pair in Python, and
# once for all epochs.
#
# **`drop('remove', 1)`** (same) fails on pandas 2, which wants `columns="remove"`.
#
# **Raw ids in `tf.one_hot`** (a published sample): no error but zeros, as counted above.

# %% [markdown]
# **"Embedding layers"** (same) that are `Dense` with ReLU: the same function as a table, at the cost measured above. But the ReLU leaves no
# negative coordinate. So one coordinate can no longer draw one user to a film and put another off.
#
# **"64-dimensional … performed the best"** (same): the paper ranked against 99 sampled candidates, which chapter 04 saw reorder models.
# d2l.ai (Zhang et al.), too, credits nonlinearity without a tuned MF beside it.

# %% [markdown]
# ## References · optional
#
# X. He et al., 2017: *Neural Collaborative Filtering*. WWW. · S. Rendle, W. Krichene, L. Zhang and J. Anderson, 2020: *Neural Collaborative
# Filtering vs. Matrix Factorization Revisited*. RecSys. · H.-J. Xue et al., 2017: *Deep Matrix Factorization Models for Recommender
# Systems*. IJCAI. · H. Steck, 2019: *Embarrassingly Shallow Autoencoders for Sparse Data*. WWW. · Y. Hu, Y. Koren and C. Volinsky, 2008:
# *Collaborative Filtering for Implicit Feedback Datasets*. ICDM. · T. Li, 2020: post on a customized recommender with NCF and TensorFlow
# 2.0, AWS (and its Chinese version). · A. Zhang et al.: *Dive into Deep Learning*, chapter on recommender systems.

# %% [markdown] tags=["core"]
# ## Recap and scoreboard
#
# In this chapter we
#
# - gave raw ids an index before any network saw them;
# - trained NeuMF as a job, served it, and asked it in batches;
# - built GMF, MLP and NeuMF in Keras, and put the job's weights into our own network;
# - ranked the full catalog, where no gain of a network over a tuned product could be shown.
#
# **Next:** [06 Factorization machines on SageMaker](06_factorization_machines.ipynb), where the product comes back, with features.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.

# %% tags=["nbval-ignore-output"]
protocol = ledger.Protocol(chapter="05", dataset=ratings.name, split=split.name)
for name, result in results.items():
    seed = None if name in ("popularity", "EASE") else 0
    ledger.record_lists(protocol, result.values(), model=name, seed=seed)
ledger.scoreboard("05")

# %%
progress("05")
