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
# # 02 · Matrix factorization
#
# Almost every cell of the user–item matrix is empty. This chapter predicts what is missing. Every user and every item gets a short list
# of numbers; a prediction is the inner product of two lists.
#
# | | |
# |---|---|
# | **You will be able to** | derive a training step · explain an embedding · train in NumPy, Keras, MXNet · prevent overfitting · feed a device |
# | **Prerequisites** | [01](01_sparsity.ipynb); derivatives; NumPy |
# | **Time** | 50 minutes for the core, 90 for all; 45 seconds to run |
# | **Needs** | nothing more; optional: MXNet, ML-100K, GPU |
# | **Builds on** | AWS re:Invent session MAC306 (2016); AWS recommender talk (2018) |
#
# *Shift+Enter runs a cell. Buttons and sliders work after that.*

# %%
import sys
import time
from functools import cache

sys.path.insert(0, "..")  # the course's helpers are one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np

from helpers import data, gates, ledger, metrics, plots
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import BiasModel, GlobalMean
from helpers.models.mf import MatrixFactorization, TalkModel

plots.style()
ratings = data.load()
split = data.random_split(ratings, test_share=0.2, seed=0)
print(split)


def columns(rows):
    """Return users, items and stars as three arrays of one length."""
    users, items, stars = (rows.frame[name].to_numpy() for name in ("user", "item", "rating"))
    return users, items, stars.astype(float)


train_users, train_items, train_stars = columns(split.train)
test_users, test_items, test_stars = columns(split.test)

# %% [markdown] tags=["core"]
# ## Predict before you run
#
# Three models predict ratings that they have not seen. Order them by their error.
#
# - **A** predicts the same number for every pair: the mean.
# - **B** adds one number for each user and each film, 9,737 in all.
# - **C**, trained as in the talk of 2018, has 64 numbers for each, 623,168 in all.

# %%
orders = ["C, B, A", "B, C, A", "B, A, C", "A, B, C"]
guess("02", "Which order do the models come in, from the smallest error to the largest?", orders)

# %% [markdown] tags=["core"]
# ## The baselines to beat
#
# A random fifth of the ratings is the test set. We report the *root mean squared error* (RMSE), in stars. Model A predicts the training
# mean; on its own training rows, its RMSE is the standard deviation.
#
# **Exercise 02.1** (3 min). Write `rmse(predicted, actual)` for two arrays of stars. For help, run `q1.hint()` or `q1.solution()` in a
# new cell.


# %%
def rmse(predicted, actual):
    ### BEGIN SOLUTION 02.1
    return float(np.sqrt(np.mean((predicted - actual) ** 2)))
    ### END SOLUTION


# %%
q1 = exercise("02.1")
q1.check(rmse)

# %%
rmse = q1.use(rmse)
constant = GlobalMean().fit(split.train)
on_train = rmse(constant.predict(train_users, train_items), train_stars)
on_test = rmse(constant.predict(test_users, test_items), test_stars)
deviation = np.std(train_stars, dtype=float)
print(f"standard deviation {deviation:.3f}, train {on_train:.3f}, test {on_test:.3f} stars")

# %% [markdown]
# Model B knows that some users are generous and some films are good:
#
# $$\hat r_{ui} = \mu + b_u + b_i$$
#
# Here $\hat r_{ui}$ is the predicted rating of user $u$ for item $i$. The mean of the training ratings is $\mu$; $b_u$ is the *bias* of
# the user and $b_i$ the bias of the item, all in stars. With a mean of 3.5, a strict user (−0.5) and a film that people like (+0.7), the
# prediction is 3.7. `BiasModel` pulls biases toward zero: three ratings of five stars do not prove that a film deserves five.

# %%
biases = BiasModel().fit(split.train)
rmse_of_biases = rmse(biases.predict(test_users, test_items), test_stars)
print(f"user + item bias: {rmse_of_biases:.3f} stars on the test set")
protocol = ledger.Protocol(chapter="02", dataset=ratings.name, split=split.name)
for name, value in (("global mean", on_test), ("user + item bias", rmse_of_biases)):
    ledger.record(protocol, model=name, metric="RMSE", value=value)

# %% [markdown] tags=["core"]
# ## A rating as a product
#
# Biases know nothing about taste: model B ranks all films alike for every user. Taste needs numbers that belong to a user *and* meet
# numbers of an item. Give each user $u$ a row $p_u$ of $k$ numbers, and each item $i$ a row $q_i$. Predict their inner product:
#
# $$\hat r_{ui} = p_u \cdot q_i = \sum_{f=1}^{k} p_{uf}\, q_{if}$$
#
# The numbers are called *factors*. Factor $f$ could mean "likes jokes" for a user and "has jokes" for an item. Nobody decides that;
# training finds the factors. With the rows in two tables $P$ and $Q$, all predictions together are $P Q^\top$.

# %% [markdown] tags=["core"]
# ### Embedding: a row lookup that is a product
#
# Frameworks call such a table an *embedding*. Looking up rows equals a product with a *one-hot* matrix. It has one row per lookup:
# zeros, and a 1 in the column of the index.
#
# **Exercise 02.3** (5 min). Write `lookup_by_product(table, indices)`. Return the one-hot matrix (indices × rows of the
# table) and its product with the table.


# %%
def lookup_by_product(table, indices):
    ### BEGIN SOLUTION 02.3
    one_hot = np.eye(len(table))[indices]
    return one_hot, one_hot @ table
    ### END SOLUTION


# %%
q3 = exercise("02.3")
q3.check(lookup_by_product)

# %%
lookup_by_product = q3.use(lookup_by_product)
has = np.array([[2.0, 0.0], [0.0, 2.0], [1.0, 1.0]])  # (3 films, k = 2): jokes, explosions
picked, product = lookup_by_product(has, np.array([2, 0]))
print(picked, product, f"same as has[[2, 0]]: {np.array_equal(product, has[[2, 0]])}", sep="\n\n")
numbers = (ratings.n_users + ratings.n_items) * 64
print(f"with k = 64: {numbers:,} numbers to learn from {len(split.train):,} ratings")

# %% [markdown]
# The results are equal, the costs are not. For one film the product reads 9,066 × 64 numbers, the lookup 64. The product still helps
# to understand training: its transpose, `one_hot.T @ errors`, adds each error to the row it came from.
#
# The last line is a warning. There are almost eight unknown numbers per known rating.

# %% [markdown] tags=["core"]
# ## Gradient descent by hand
#
# We start with three users, three films and $k = 1$. The table below was made as a product, so the two hidden cells have a right
# answer. All six factors start at 1, so every prediction starts at 1.

# %%
true_users, true_films = np.array([[2.0], [1.0], [1.5]]), np.array([[2.0], [1.0], [2.4]])
table = true_users @ true_films.T
hidden = np.zeros((3, 3), bool)
hidden[0, 2] = hidden[1, 1] = True
seen = [(u, i, table[u, i]) for u, i in np.argwhere(~hidden)]
print(np.where(hidden, np.nan, table))

# %% [markdown]
# The first rating is 4 and its prediction is 1. The error $e = \hat r - r$ is −3. The loss is half the squared error, $\tfrac12 e^2$.
# Its *gradient* has one derivative per number:
#
# $$\frac{\partial}{\partial p_u}\,\tfrac12 e^2 = e\, q_i \qquad \frac{\partial}{\partial q_i}\,\tfrac12 e^2 = e\, p_u$$
#
# Both are −3 · 1 here. A step goes *against* the gradient. With a learning rate of 0.1 both numbers become 1.3, and the prediction
# 1.69.
#
# **Exercise 02.5** (8 min). Write `pair_gradient(p, q, rating)`. Return both gradients, for rows of any length.


# %%
def pair_gradient(p, q, rating):
    ### BEGIN SOLUTION 02.5
    error = p @ q - rating
    return error * q, error * p
    ### END SOLUTION


# %%
q5 = exercise("02.5")
q5.check(pair_gradient)

# %% [markdown]
# Take a rating, move its two rows, take the next rating: this is *stochastic gradient descent* (SGD). One pass over all ratings is an
# *epoch*.
#
# **Exercise 02.6** (5 min). Write `sgd_step`. Return the two new rows after one step. Both gradients belong to the same point, so
# compute both before a row moves.


# %%
pair_gradient = q5.use(pair_gradient)


def sgd_step(p, q, rating, learning_rate):
    ### BEGIN SOLUTION 02.6
    of_user, of_item = pair_gradient(p, q, rating)
    return p - learning_rate * of_user, q - learning_rate * of_item
    ### END SOLUTION


# %%
q6 = exercise("02.6")
q6.check(sgd_step)

# %%
sgd_step = q6.use(sgd_step)
first = sgd_step(np.ones(1), np.ones(1), rating=4.0, learning_rate=0.1)
print("after one step:", *first, "prediction:", np.round(first[0] @ first[1], 2))

hand_users, hand_films, snapshots = np.ones((3, 1)), np.ones((3, 1)), {}
for epoch in range(1, 41):
    for u, i, stars in seen:
        rows = hand_users[u], hand_films[i]
        hand_users[u], hand_films[i] = sgd_step(*rows, stars, learning_rate=0.1)
    snapshots[epoch] = hand_users @ hand_films.T
print(snapshots[40].round(2))

# %% tags=["fold"]
stages = {"what was seen": np.where(hidden, np.nan, table)}
stages |= {f"after {e} epoch{'s'[: e - 1]}": snapshots[e] for e in (1, 40)}
title = "Forty passes over seven ratings recover the two hidden ones, 4.8 and 1.0"
words = "After forty epochs the products equal the seven ratings; the hidden cells hold "
words += f"{snapshots[40][0, 2]:.1f} and {snapshots[40][1, 1]:.1f}."
show(plots.tables(stages, title, top=5), alt=words)

# %%
choice = ...  # "a", "b", "c", "d", or use the buttons
### BEGIN SOLUTION 02.q1
choice = "b"
### END SOLUTION
exercise("02.q1").ask(choice)

# %% [markdown] tags=["core"]
# ## Mini-batches in NumPy
#
# One Python step per rating is slow, so a step takes a *mini-batch* of ratings. It looks up all their rows, computes all errors, and
# adds each error's gradient to the rows it came from.
#
# There is a trap. A popular film occurs several times in a batch, and its row needs the *sum* of its gradients. But
# `gradient[items] += values` keeps only the last value of a repeated row. `np.add.at(gradient, items, values)` adds them all.
#
# **Exercise 02.9** (10 min). Write `batch_gradient`. Return the gradients of the *mean* of $\tfrac12 e^2$ over the batch. Real tables have
# 9,066 rows: build nothing larger than the tables or the batch.


# %%
def batch_gradient(P, Q, users, items, stars):
    """Return two tables: a row that is not in the batch has a gradient of zero."""
    ### BEGIN SOLUTION 02.9
    error = (np.sum(P[users] * Q[items], axis=1) - stars) / len(stars)
    gradient_P, gradient_Q = np.zeros_like(P), np.zeros_like(Q)
    np.add.at(gradient_P, users, error[:, None] * Q[items])
    np.add.at(gradient_Q, items, error[:, None] * P[users])
    return gradient_P, gradient_Q
    ### END SOLUTION


# %%
q9 = exercise("02.9")
q9.check(batch_gradient)

# %% [markdown] tags=["core"]
# ## Train it: NumPy, then Keras
#
# You now train the talks' network: two tables of 64 factors. All frameworks get the same start, order and settings, so their errors must
# agree. The *optimizer*, the rule that makes steps from gradients, is SGD with *momentum*: a move is 0.9 of the last move, minus the rate
# times the gradient.
#
# **Change a number in the first line and watch the RMSE.** *Run → Run Selected Cell and All Below* repeats all the trainings.

# %%
RATE, SIZE, EPOCHS, CENTER = 2.0, 2_000, 5, 0.23  # 64 · 0.23² = 3.4 stars: near the mean


def first_rows(k=64, center=CENTER):
    """Return the tables that every training starts from."""
    rng = np.random.default_rng(1)
    shapes = (ratings.n_users, k), (ratings.n_items, k)
    return [rng.normal(center, 0.05, shape).astype("float32") for shape in shapes]


def train(name, run_epoch, predict):
    """Print the test RMSE after each epoch; record and return the last one."""
    rng, n = np.random.default_rng(0), len(train_stars)
    if EPOCHS < 1 or not 1 <= SIZE <= n:
        raise ValueError(f"set EPOCHS to 1 or more, and SIZE to 1 … {n:,}, the training ratings")
    for _ in range(EPOCHS):
        order = rng.permutation(n)[: n // SIZE * SIZE]
        with np.errstate(over="ignore", invalid="ignore"):
            run_epoch([column[order] for column in (train_users, train_items, train_stars)])
            error = rmse(predict(test_users, test_items), test_stars)
        print(f"{error:.3f}", end=" ", flush=True)
    print(f"stars: {name} (two biases {rmse_of_biases:.3f}, mean {on_test:.3f})")
    if not np.isfinite(error):
        print("It diverged: the rate is too large, so the steps overshoot.")
        return error
    label = f"{name}, {EPOCHS} epochs"
    ledger.record(protocol, model=label, metric="RMSE", value=error, seed=0)
    return error


# %%
batch_gradient = q9.use(batch_gradient)


def slices(rows, size):
    """Cut users, items and stars into batches."""
    for begin in range(0, len(rows[0]), size):
        yield [column[begin : begin + size] for column in rows]


def numpy_net(rate=RATE, momentum=0.9):
    P, Q = first_rows()
    moves = [np.zeros(P.shape), np.zeros(Q.shape)]

    def run_epoch(rows):
        for batch in slices(rows, SIZE):
            gradients = batch_gradient(P, Q, *batch)
            for table, move, gradient in zip((P, Q), moves, gradients, strict=True):
                move[:] = momentum * move - rate * gradient
                table += move

    return run_epoch, lambda users, items: np.sum(P[users] * Q[items], axis=1)


errors = {"NumPy": train("product only, NumPy", *numpy_net())}

# %% [markdown]
# Keras has the layers `Embedding` for the lookup and `Dot` for the inner product. It finds the gradient itself. Its mean squared
# error has no ½, so half the rate gives the same step.
#
# We train this network as in NumPy, then from factors around 0 as in the talk, then from there with a mean and biases like model B.

# %%
import keras


def keras_net(k=64, biases=False):
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    of_user = keras.layers.Embedding(ratings.n_users, k, name="user_factors")(user)
    of_item = keras.layers.Embedding(ratings.n_items, k, name="item_factors")(item)
    score = keras.layers.Dot(axes=1)([of_user, of_item])
    if biases:
        user_bias = keras.layers.Embedding(ratings.n_users, 1, "zeros")(user)
        item_bias = keras.layers.Embedding(ratings.n_items, 1, "zeros")(item)
        score = score + user_bias + item_bias + float(train_stars.mean())
    return keras.Model([user, item], score)


# %% tags=["nbval-ignore-output"]
def keras_trainer(biases=False, center=CENTER, rate=RATE, momentum=0.9):
    network = keras_net(biases=biases)
    P, Q = first_rows(center=center)
    network.get_layer("user_factors").set_weights([P])
    network.get_layer("item_factors").set_weights([Q])
    network.compile(keras.optimizers.SGD(rate / 2, momentum), loss="mse")

    def run_epoch(rows, size=SIZE):
        network.fit(rows[:2], rows[2], batch_size=size, shuffle=False, verbose=0)

    def predict(users, items):
        return network.predict([users, items], batch_size=5_000, verbose=0)[:, 0]

    return run_epoch, predict


errors["Keras"] = train("product only, Keras", *keras_trainer())
errors["from 0"] = train("product only from 0, Keras", *keras_trainer(center=0.0))
errors["biases"] = train("with biases from 0, Keras", *keras_trainer(biases=True, center=0.0))
assert not abs(errors["Keras"] - errors["NumPy"]) > 0.002

# %% [markdown]
# ### The talks' network in MXNet · optional
#
# Both talks used MXNet, a framework that was retired in 2023. (An unofficial fork still publishes fixes.) Its *symbolic* style first
# describes the computation as a graph: the talk's `plain_net(64)`. `LinearRegressionOutput` is the squared loss.
#
# A `Module` then binds the graph to arrays of one batch size. `forward_backward` computes the gradients, and `update` takes the step.


# %%
def plain_net(k):
    embedding = mx.symbol.Embedding
    user, item, score = (mx.symbol.Variable(name) for name in ("user", "item", "score"))
    of_user = embedding(user, input_dim=ratings.n_users, output_dim=k, name="user_factors")
    of_item = embedding(item, input_dim=ratings.n_items, output_dim=k, name="item_factors")
    product = mx.symbol.Flatten(mx.symbol.sum(of_user * of_item, axis=1))
    return mx.symbol.LinearRegressionOutput(product, label=score, name="loss")


if gates.mxnet.ready("The talks' network"):
    mx = gates.import_mxnet()
    words = (
        "User and item each look up a row of 64 numbers; the product of the rows is summed, and "
        "LinearRegressionOutput compares the sum with the score."
    )
    show(plots.network(plain_net(64).tojson()), alt=words)


# %%
def symbolic_net(rate=RATE, momentum=0.9):
    module = mx.mod.Module(plain_net(64), ["user", "item"], ["score"])
    module.bind([("user", (SIZE,)), ("item", (SIZE,))], [("score", (SIZE, 1))])
    names = "user_factors_weight", "item_factors_weight"
    module.init_params(arg_params=dict(zip(names, map(mx.nd.array, first_rows()), strict=True)))
    settings = {"learning_rate": rate, "momentum": momentum}
    module.init_optimizer(optimizer="sgd", optimizer_params=settings)

    def run_epoch(rows):
        for users, items, stars in slices(rows, SIZE):
            inputs = [mx.nd.array(users), mx.nd.array(items)]
            module.forward_backward(mx.io.DataBatch(inputs, [mx.nd.array(stars[:, None])]))
            module.update()

    def predict(users, items):
        P, Q = (module.get_params()[0][name].asnumpy() for name in names)
        return np.sum(P[users] * Q[items], axis=1)

    return run_epoch, predict


# %% [markdown]
# ### The same in Gluon · optional
#
# The demo of 2018 used MXNet's *Gluon* style. The forward pass is ordinary Python; `hybridize` compiles it into a graph. `L2Loss` is
# half the squared error.
#
# The talk's block has *dropout* on both embeddings: training sets a random share of the factors to zero. Its notebook passes
# `dropout_p=0.`, so nothing is dropped. Try `gluon_net(dropout=0.2)`.

# %%
if gates.mxnet:

    class MFBlock(mx.gluon.HybridBlock):
        """Two embeddings, dropout on both, and the inner product of their rows."""

        def __init__(self, n_users, n_items, k, dropout):
            super().__init__()
            self.user_factors = mx.gluon.nn.Embedding(n_users, k)
            self.item_factors = mx.gluon.nn.Embedding(n_items, k)
            self.dropout = mx.gluon.nn.Dropout(dropout)

        def hybrid_forward(self, F, users, items):
            of_user = self.dropout(self.user_factors(users))
            of_item = self.dropout(self.item_factors(items))
            return F.sum(of_user * of_item, axis=1)


# %%
def gluon_net(loader=slices, dropout=0.0, rate=RATE, momentum=0.9):
    block = MFBlock(ratings.n_users, ratings.n_items, 64, dropout)
    block.initialize()
    for layer, table in zip((block.user_factors, block.item_factors), first_rows(), strict=True):
        layer.weight.set_data(mx.nd.array(table))
    block.hybridize()
    settings = {"learning_rate": rate, "momentum": momentum}
    trainer = mx.gluon.Trainer(block.collect_params(), "sgd", settings)
    half_square = mx.gluon.loss.L2Loss()

    def run_epoch(rows, size=SIZE):
        for users, items, stars in loader([mx.nd.array(column) for column in rows], size):
            with mx.autograd.record():
                loss = half_square(block(users, items), stars)
            loss.backward()  # autograd recorded what to differentiate
            trainer.step(len(stars))
        mx.nd.waitall()

    return run_epoch, lambda users, items: block(*map(mx.nd.array, (users, items))).asnumpy()


# %% [markdown]
# ### One function in every framework · optional
#
# We train both, and compare all programs before and after a single step. Equal predictions before the step mean the same forward pass.
# Equal predictions after it mean the same gradient.

# %% tags=["nbval-ignore-output"]
builders = {"NumPy": numpy_net, "Keras": keras_trainer}
if gates.mxnet:
    builders |= {"MXNet symbolic": symbolic_net, "MXNet Gluon": gluon_net}
found = {}
for name, build in builders.items():
    if name not in errors:
        errors[name] = train(f"product only, {name}", *build())
        assert not abs(errors[name] - errors["NumPy"]) > 0.002
    run_epoch, predict = build()
    before = predict(test_users, test_items)
    run_epoch([column[:SIZE] for column in (train_users, train_items, train_stars)])
    found[name] = np.array([before, predict(test_users, test_items)])
    apart = np.abs(found[name] - found["NumPy"]).max(axis=1)
    print(f"{name:15} equal to 1e-4 before: {apart[0] < 1e-4}, after one step: {apart[1] < 1e-4}")
    assert apart.max() < 1e-4 * max(1, RATE)

# %% [markdown]
# ## Feeding the beast · optional
#
# A slide of the 2016 talk says "GPUs: Feeding the beast", of a device with 4.3 trillion operations per second. A device computes only
# as fast as data reaches it. That depends on the *batch size*, and on the *loader*, the code that makes the batches.
#
# We measure the ratings per second of training. The talk of 2018 read its data row by row in a `DataLoader`; `slices` cuts arrays. Keras
# gets arrays, or a `tf.data` pipeline. Within a framework only the loader differs.

# %%
import tensorflow as tf


def one_by_one(rows, size):
    """Yield batches of single rows put together, as in the talk of 2018."""

    class RowByRow(mx.gluon.data.Dataset):
        def __getitem__(self, index):
            return tuple(column[index] for column in rows)

        def __len__(self):
            return len(rows[0])

    for batch in mx.gluon.data.DataLoader(RowByRow(), batch_size=size):
        yield [column.reshape((-1,)) for column in batch]


def keras_on_tf_data():
    network = keras_net()
    network.compile(keras.optimizers.SGD(RATE / 2, 0.9), loss="mse")

    def run_epoch(rows, size):
        whole = tf.data.Dataset.from_tensor_slices((tuple(rows[:2]), rows[2]))
        network.fit(whole.batch(size).prefetch(tf.data.AUTOTUNE), shuffle=False, verbose=0)

    return run_epoch


# %%
def measure(name, run_epoch, sizes=(50, 500, 5_000, 65_536), most=40_000):
    """Print and return the ratings per second of a second pass; the first one compiles."""
    found = []
    for size in sizes:
        n = size * max(1, min(80, most // size))
        rows = [column[:n] for column in (train_users, train_items, train_stars)]
        run_epoch(rows, size)
        begin = time.perf_counter()
        run_epoch(rows, size)
        seconds = time.perf_counter() - begin
        found.append(n / seconds)
        step = f"{1000 * seconds * size / n:7.1f} ms a step"
        print(f"{name:20} batches of {size:6,}: {n / seconds:9,.0f} ratings/s, {step}")
    return sizes, found


# %% tags=["nbval-ignore-output", "timing"]
speeds = {}  # loader -> batch sizes, and ratings per second of each
if gates.mxnet:
    name, network = "Gluon, row by row", gluon_net(one_by_one)[0]
    speeds[name] = measure(name, network, (50, 500, 5_000), most=1_000)
    speeds["Gluon, slices"] = measure("Gluon, slices", gluon_net()[0])
with tf.device("/CPU:0"):
    speeds["Keras, arrays"] = measure("Keras, arrays", keras_trainer()[0])
    speeds["Keras, tf.data"] = measure("Keras, tf.data", keras_on_tf_data())
if gates.gpu.ready("The GPU's speed"):
    place = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"  # a test run has no GPU
    with tf.device(f"/{place}:0"):
        name = f"Keras, on the {place}"
        speeds[name] = measure(name, keras_trainer()[0])

# %% tags=["fold", "nbval-ignore-output", "timing"]
fit = speeds["Keras, arrays"][1]
title = f"Keras trains {fit[2] / fit[0]:.0f} times as fast in batches of 5,000 as of 50"
axes = {"xlabel": "ratings per batch (log scale)", "ylabel": "ratings per second (log scale)"}
words = f"From batches of 50 to 5,000, Keras on arrays goes from {fit[0]:,.0f} to {fit[2]:,.0f} "
words += f"ratings per second; the fastest is {max(speeds, key=lambda x: max(speeds[x][1]))}."
show(plots.lines(speeds, title=title, xscale="log", yscale="log", **axes), alt=words)

# %% [markdown]
# Where a loader cuts batches, a step of 500 ratings takes less than ten times a step of 50. Part of a step is a fixed cost: Python runs,
# operations start, and momentum moves *all* 623,168 numbers. A large batch shares it.
#
# Row by row, Python touches every rating. This loader is always the slowest, and a faster device would not help.

# %% [markdown]
# **When does a GPU pay?** A step on a GPU has a fixed cost, too: the CPU starts every operation and copies the batch. Small batches starve
# any device. A GPU pays when a step holds much arithmetic: wide layers, images, text. To predict a rating, our network does only 64
# multiplications.
#
# Larger batches also mean fewer steps per epoch. So compare the time until a given RMSE is reached, not only ratings per second.

# %% [markdown] tags=["core"]
# ## The model that wins
#
# From a start around 0, the product spends its epochs on finding 3.5 stars. Biases cure that, and so does a start near the mean. But no
# network above beats model B. The winner has biases *and* weight decay (Koren, Bell and Volinsky, 2009):
#
# $$\hat r_{ui} = \mu + b_u + b_i + p_u \cdot q_i$$
#
# Training minimizes the mean over a batch of
#
# $$\tfrac12 e^2 + \tfrac{\lambda}{2}\left(|p_u|^2 + |q_i|^2\right), \qquad e = \hat r_{ui} - r_{ui}$$
#
# Here $\lambda$ is the strength of *weight decay*: it pulls factors toward zero, so only what many ratings ask for grows large. The
# gradient of a rating is $e$ for each bias, $e\,q_i + \lambda p_u$ for the user's row, and $e\,p_u + \lambda q_i$ for the item's.

# %% [markdown]
# **Adam** (Kingma and Ba, 2015) is the optimizer. Momentum averages recent gradients; Adam also averages their squares, for each number
# on its own. Its step is the rate times the average gradient, divided by the root of the average square. So rows with small gradients
# move about as far as others.
#
# **Early stopping** sets a tenth of the training rows aside, the *validation set*. When `patience` epochs in a row bring no lower
# validation error, training stops. With `refit=True` it starts again on *all* training rows, and ends after the best number of epochs.

# %% tags=["nbval-ignore-output"]
talk = TalkModel(epochs=25)  # product only: SGD, rate 0.02, momentum 0.9, batches of 50
loose = MatrixFactorization(regularization=0.0, epochs=10, patience=10)
biased = MatrixFactorization()  # 32 factors, λ = 0.13, Adam, patience 2, refit
panels = {"the talk: product only": talk, "with mean and biases": loose}
panels["and with weight decay"] = biased
labels = "talk's MF, 25 epochs", "biased MF, no decay", "biased MF"
for label, model in zip(labels, panels.values(), strict=True):
    model.fit(split.train, watch={"test": split.test})
    predicted = model.predict(test_users, test_items)
    for metric, measured in (("RMSE", rmse), ("MAE", metrics.mae)):  # mean absolute error
        value = measured(predicted, test_stars)
        ledger.record(protocol, model=label, metric=metric, value=value, seed=0)
    print(f"{label:20} test RMSE {rmse(predicted, test_stars):.3f}")
after_ten = talk.history["test"][9]
ledger.record(protocol, model="talk's MF, 10 epochs", metric="RMSE", value=after_ten, seed=0)
print(f"after ten epochs, where the talk stops, its model is at {after_ten:.3f}")

# %% tags=["fold", "nbval-ignore-output"]
curves = {title: model.history for title, model in panels.items()}
tests = [model.history["test"] for model in panels.values()]
words = (
    f"The product alone is at a test RMSE of {after_ten:.2f} after ten epochs; "
    f"with mean and biases it falls to {tests[1].min():.2f} and climbs to {tests[1].iloc[-1]:.2f}; "
    f"with weight decay it stays at {tests[2].iloc[-1]:.2f}, below biases alone."
)
show(plots.loss_curves(curves, level=rmse_of_biases, level_name="biases alone, test"), alt=words)
by_error = {"A": on_test, "B": rmse_of_biases, "C": after_ten}
guess("02").meets(", ".join(sorted(by_error, key=by_error.get)))

# %% [markdown]
# Read the panels from left to right.
#
# - The talk's model starts near 0 stars. After ten epochs, where the talk stops, it is still worse than the constant. More time is not
#   the cure: after 25 epochs the curve is nearly flat at 1.14.
# - With mean and biases the start is good. Without decay, the factors then learn the training rows by heart: the training error falls,
#   the test error rises. This is *overfitting*.
# - With decay, the test error goes below that of two biases, and stays there.
#
# The second and third panel show the training on nine tenths of the rows. The refit uses all rows, so its printed RMSE is lower.

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 02.q2
choice = "c"
### END SOLUTION
exercise("02.q2").ask(choice)

# %% [markdown] tags=["core"]
# ## Is the difference real?
#
# On each of three random splits, both models learn from the same rows and predict the same others. The *gain* is the RMSE of the
# biases minus that of biased factorization.
#
# The brackets hold a 95 % interval by *bootstrap*: draw the test users again and again, with replacement, and compute each gain. An
# interval without zero establishes a gain.


# %% tags=["nbval-ignore-output"]
def compare(rows):
    """Print the gain on three splits, with intervals over users; record split 0."""
    gains = []
    for seed in (0, 1, 2):
        part = data.random_split(rows, test_share=0.2, seed=seed)
        users, items, stars = columns(part.test)
        models = BiasModel().fit(part.train), MatrixFactorization(seed=seed).fit(part.train)
        both = [model.predict(users, items) for model in models]
        gains.append(metrics.rmse_gap(*both, stars, users))
        of_biases, of_factors = (rmse(predicted, stars) for predicted in both)
        print(f"split {seed}: biases {of_biases:.3f}, biased MF {of_factors:.3f}, gain {gains[-1]}")
        if seed == 0:
            where = ledger.Protocol(chapter="02", dataset=rows.name, split=part.name)
            ledger.record(where, model="user + item bias", metric="RMSE", value=of_biases)
            ledger.record(where, model="biased MF", metric="RMSE", value=of_factors, seed=0)
    return gains


gains = compare(ratings)
assert min(gain.low for gain in gains) > 0 and max(gain.value for gain in gains) < 0.02

# %% [markdown]
# ### On the talk's own data · optional
#
# The gain is about a hundredth of a star: small, and established on every split, because no interval holds zero.
#
# ML-100K has more ratings per film, and there we measured a gain of 0.027 to 0.028. It may not be redistributed, so this cell runs where
# it can be loaded. The README of Surprise (Hug, 2020) reports 0.944 for biases and 0.934 for its SVD, as means over five folds.

# %% tags=["nbval-ignore-output"]
hundred = data.load_or_none("100k")
if hundred is not None:
    gains = compare(hundred)
    assert min(gain.low for gain in gains) > 0.01

# %% [markdown]
# ### What decay does: a slider · optional
#
# We train on a planted world: 60 users, 80 items, two true factors, and noise of half a star. No model can get below the noise, 0.5.

# %%
chance = np.random.default_rng(7)
planted_P, planted_Q = chance.normal(0, 1, (60, 2)), chance.normal(0, 1, (80, 2))
cells = chance.permutation(60 * 80)[:1500]
world_users, world_items = np.divmod(cells, 80)
world_stars = np.sum(planted_P[world_users] * planted_Q[world_items], axis=1)
world_stars += chance.normal(0, 0.5, 1500)


@cache  # a slider that returns to a place need not train again
def train_world(learning_rate, factors, decay, epochs=60):
    """Return the RMSE on training and test ratings after each epoch; shorter if it diverges."""
    rng, curve = np.random.default_rng(0), []
    P, Q = rng.normal(0, 0.3, (60, factors)), rng.normal(0, 0.3, (80, factors))
    while len(curve) < epochs and (not curve or curve[-1][0] < 100):
        for rows in rng.permutation(1000).reshape(20, 50):
            batch = world_users[rows], world_items[rows], world_stars[rows]
            gradients = batch_gradient(P, Q, *batch)
            P -= learning_rate * (gradients[0] + decay * P)
            Q -= learning_rate * (gradients[1] + decay * Q)
        error = np.sum(P[world_users] * Q[world_items], axis=1) - world_stars
        curve.append([np.sqrt(np.mean(part**2)) for part in (error[:1000], error[1000:])])
    return np.array(curve)


# %% [markdown]
# Find a rate that *diverges*: its steps are so large that they overshoot. Then give eight factors some decay. Which setting comes
# closest to 0.5?

# %% tags=["fold"]
def draw_training(learning_rate, factors, decay):
    with np.errstate(all="ignore"):
        curve = train_world(learning_rate, factors, decay)
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    epochs = range(1, len(curve) + 1)
    ax.plot(epochs, curve[:, 0], label="training ratings")
    ax.plot(epochs, curve[:, 1], "--", label="test ratings")
    ax.axhline(0.5, color=plots.PALETTE["grey"], linewidth=1, label="noise, the best possible")
    ax.set(xlabel="epoch", ylabel="RMSE", xlim=(0, 61), ylim=(0, 1.8))
    ax.set_title(f"test RMSE: best {curve[:, 1].min():.2f}, last {curve[-1, 1]:.2f}")
    if len(curve) < 60:
        ax.set_title(f"diverged in epoch {len(curve)}: the steps are too large")
    ax.legend(loc="upper right", ncols=3, fontsize=9)
    return fig


def tell_training(learning_rate, factors, decay):
    train, test = train_world(learning_rate, factors, decay).T
    setting = f"With rate {learning_rate}, {factors} factors and decay {decay}"
    if len(test) < 60:
        return f"{setting}, training diverged in epoch {len(test)}: the steps are too large."
    return (
        f"{setting}, the training error ends at {train[-1]:.2f}; the test error is lowest "
        f"with {test.min():.2f} in epoch {test.argmin() + 1}, and ends at {test[-1]:.2f}."
    )


explore(
    draw_training,
    alt=tell_training,
    learning_rate=widgets.SelectionSlider(options=[0.1, 0.3, 1, 3, 10], value=3),
    factors=widgets.SelectionSlider(options=[1, 2, 4, 8, 16, 32], value=8),
    decay=widgets.SelectionSlider(options=[0, 0.0003, 0.001, 0.003, 0.01], value=0),
)

# %% [markdown]
# - Two factors come closest, as many as the world has. At rate 3 and decay 0.0003 they end at a test RMSE of 0.59.
# - Eight factors without decay end at 1.09, with a decay of 0.003 at 0.74. A decay of 0.01 is too much.
# - At rate 10, 32 factors without decay diverge.
#
# The rates look large because a batch averages 50 ratings. About one of them is by any given user.

# %% [markdown]
# ### Stretch: write early stopping yourself · optional
#
# **Exercise 02.7** (10 min, *stretch*). Training ends as soon as `patience` epochs in a row have brought no new lowest validation
# error. The weights of the best epoch *until then* are kept. Write `best_epoch(errors, patience)`. It gets a list of validation errors
# and returns the epoch that is kept, counted from 1.


# %%
def best_epoch(errors, patience):
    ### BEGIN SOLUTION 02.7
    best = 0
    for epoch in range(1, len(errors)):
        if errors[epoch] < errors[best]:
            best = epoch
        elif epoch - best >= patience:
            break
    return best + 1
    ### END SOLUTION


# %%
q7 = exercise("02.7")
q7.check(best_epoch)

# %%
best_epoch = q7.use(best_epoch)
for model in (loose, biased):
    same = best_epoch(list(model.history["validation"]), patience=2) == model.best_epoch
    print(f"decay {model.regularization:g}: your rule and the model keep the same epoch: {same}")

# %% [markdown]
# ## Exploring the embedding · optional
#
# Each film now has 32 factors. The talk of 2016 showed two youth films of the eighties, *The Karate Kid* and *Ferris Bueller's Day
# Off*. Their distance was 0.138; that of *My Little Pony* was 1.572. We compare two vectors by their *cosine*: the inner product
# divided by both lengths. It is 1 for the same direction and 0 for no relation.
#
# **Exercise 02.8** (10 min, *stretch*). Write `nearest(item, vectors, n)`. Return the `n` other items with the largest cosine, best
# first.


# %%
def nearest(item, vectors, n):
    ### BEGIN SOLUTION 02.8
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[item])
    cosine = vectors @ vectors[item] / lengths
    order = np.argsort(-cosine, kind="stable")
    return order[order != item][:n]
    ### END SOLUTION


# %%
q8 = exercise("02.8")
q8.check(nearest)

# %% tags=["nbval-ignore-output"]
nearest = q8.use(nearest)
often = split.train.item_counts()
known = np.flatnonzero(often >= 20)  # films with at least 20 training ratings
names, years = (ratings.items[name].to_numpy()[known] for name in ("title", "year"))
vectors = biased.weights["item_factors"][known]
unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
karate = int(np.flatnonzero((names == "Karate Kid, The") & (years == 1984))[0])
print("nearest to The Karate Kid:", " · ".join(names[nearest(karate, vectors, 4)]))
for title in ("Karate Kid, Part II, The", "Ferris Bueller's Day Off", "Space Jam"):
    other = int(np.flatnonzero(names == title)[0])
    distance, cosine = np.linalg.norm(vectors[karate] - vectors[other]), unit[karate] @ unit[other]
    print(f"{title:25} distance {distance:.2f}, cosine {cosine:+.2f}")
counts = often[nearest(known[karate], biased.weights["item_factors"], 10)]
few_ratings = np.sum(counts < 5)
print(f"among all films, {few_ratings} of its ten nearest have fewer than five training ratings")

# %% [markdown]
# *Space Jam* stands in for *My Little Pony*, which nobody here has rated. From stars alone the model has found that the sequel belongs
# to the film. It has not found that *Ferris Bueller* does: by distance it is nearer than *Space Jam*, by cosine it is not.
#
# The last line is why we keep to films with 20 ratings. Among all films, the list fills with films that hardly anyone has seen.

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 02.q3
choice = "b"
### END SOLUTION
exercise("02.q3").ask(choice)

# %% [markdown]
# ### Biases, and the ends of the scale · optional
#
# An item bias says how a film is rated apart from taste. If it is low, users dislike the film even if their factors match it. The cell
# lists both ends.
#
# A prediction may lie outside the scale of 0.5 to 5 stars. Limiting it hardly helps: that happens once in a thousand.

# %% tags=["nbval-ignore-output"]
by_bias = names[np.argsort(biased.weights["item_bias"][known])]
print("lowest bias:", " · ".join(by_bias[:3]), "\nhighest bias:", " · ".join(by_bias[:-4:-1]))
predicted = biased.predict(test_users, test_items)
outside = np.mean((predicted < 0.5) | (predicted > 5))
limited = rmse(np.clip(predicted, 0.5, 5), test_stars)
print(f"{outside:.1%} outside: RMSE {rmse(predicted, test_stars):.4f}, limited {limited:.4f}")

# %% [markdown]
# ### A map of taste · optional
#
# Two of the 32 directions fit on paper. We take those along which the vectors of well-known films differ most, the *principal
# components*. The caption says how much of the variance the map keeps. The rest is hidden, so two films close on the map may be far
# apart.

# %%
choices = ["old or new", "funny or serious", "blockbuster or cult film"]
guess("02.b", "What sets well-known films apart most, in the stars that people give?", choices)

# %% tags=["fold", "nbval-ignore-output"]
loved = np.argsort(-often[known], kind="stable")[:110]  # the best known first
centered = vectors[loved] - vectors[loved].mean(axis=0)
_, strength, axes_of_taste = np.linalg.svd(centered, full_matrices=False)
places = centered @ axes_of_taste[:2].T
kept = (strength[:2] ** 2).sum() / (strength**2).sum()
# a component has no sign of its own: Titanic lies left, Star Wars above A Clockwork Orange
wanted = ["Taxi Driver", "Titanic", "Star Wars: Episode IV - A New Hope", "Clockwork Orange, A"]
right, left, up, down = (int(np.flatnonzero(names[loved] == title)[0]) for title in wanted)
places *= np.sign([places[right, 0] - places[left, 0], places[up, 1] - places[down, 1]])
assert places[left, 0] < -0.3 and places[right, 0] > 0.3
title = "Blockbusters of the nineties on the left, cult films on the right"
words = (
    "From left to right the films go from Titanic to Taxi Driver and A Clockwork Orange, and "
    f"fantasy lies at the top; the two directions keep {kept:.0%} of the variance."
)
show(plots.labeled_map(places, names[loved], title=title), alt=words)
guess("02.b").meets("blockbuster or cult film: Titanic lies far left, Taxi Driver far right")

# %% [markdown]
# Nobody told the model about budgets, critics or genres. Still, the blockbusters of the nineties gather on the left, *Taxi Driver* and
# *A Clockwork Orange* on the right. Upwards the films turn to fantasy and adventure. The three *Lord of the Rings* films are neighbors:
# people rate them alike.

# %% [markdown]
# ### A search box · optional
#
# Type a part of a title: *alien*, *potter*, *toy story*, *godfather*. The cell looks up the best-known film that matches, and lists its
# eight nearest films with their cosines.


# %% tags=["fold", "nbval-ignore-output"]
def look_up(search):
    """Return the best-known match, its eight nearest and their cosines; None without a match."""
    matches = [j for j, title in enumerate(names) if search.strip().lower() in title.lower()]
    if not search.strip() or not matches:
        return None
    item = max(matches, key=lambda j: often[known][j])
    near = nearest(item, vectors, 8)
    return item, near, unit[near] @ unit[item]


def draw_search(search):
    found = look_up(search)
    fig, ax = plt.subplots(figsize=(6.4, 3.2))
    if found is None:
        ax.text(0.5, 0.5, f"no title with 20 ratings contains “{search}”", ha="center", va="center")
        ax.set_axis_off()
        return fig
    item, near, cosine = found
    ax.barh(range(8), cosine, color=plots.PALETTE["blue"])
    ax.set_yticks(range(8), [plots.short(names[j], 40) for j in near])
    ax.set(xlim=(0, 1), xlabel="cosine", title=f"nearest to {plots.short(names[item], 40)}")
    ax.invert_yaxis()
    return fig


def tell_search(search):
    found = look_up(search)
    if found is None:
        return f"No title with 20 ratings contains {search!r}."
    near = ", ".join(plots.short(names[j]) for j in found[1][:4])
    return f"Nearest to {names[found[0]]} are {near}."


box = widgets.Text(value="star wars", placeholder="part of a title")
explore(draw_search, alt=tell_search, live=True, search=box)

# %% [markdown]
# ## What the sources say · optional
#
# **"RMSE ON TRAINING and TEST: 0.8108, 0.7518"** (2018 talk, last epoch). A test error below the training error is a warning. The
# talk's notebook prints the test error first, so the labels are swapped.
#
# The numbers are not RMSE either. MXNet 1.1's metric loops over `zip(labels, preds)` and expects lists of arrays. The talk passed
# arrays, so it took the root of each single rating's squared error, and $\sqrt{e^2} = |e|$. The result is a mean *absolute* error
# (MAE). We repeat the training and compute both.

# %% tags=["nbval-ignore-output"]
if hundred is not None:
    u1 = data.predefined_u1(hundred)
    print(f"ML-100K, {u1.name}: ten epochs of {len(u1.train):,} ratings")
    repeat = TalkModel().fit(u1.train)
    for name, rows, printed in (("train", u1.train, 0.7518), ("test", u1.test, 0.8108)):
        users, items, stars = columns(rows)
        predicted = repeat.predict(users, items)
        absolute, root = metrics.mae(predicted, stars), rmse(predicted, stars)
        print(f"{name:5} the talk printed {printed:.3f}: MAE {absolute:.3f}, RMSE {root:.3f}")
        assert abs(absolute - printed) < 0.01 < abs(root - printed)
    where = ledger.Protocol(chapter="02", dataset="100k", split=u1.name, seed=0)
    ledger.record(where, model="talk's MF, 10 epochs", metric="RMSE", value=root)
    ledger.record(where, model="talk's MF, 10 epochs", metric="MAE", value=absolute)

# %% [markdown]
# **"RMSE 0.4899"** (MXNet's last published matrix factorization notebook). It averages `L2Loss`, which is half the *squared* error. Its
# "linear" model also sends the embeddings through a ReLU, which sets negative numbers to zero. Then no product can be negative: the
# model cannot say that a user dislikes what an item has.
#
# **"D = 0.138"** (2016 talk). The slide prints ten numbers of each vector. These alone are 0.187 apart, so 0.138 is not a Euclidean
# distance. Their cosine distance is almost zero, but the numbers left out could differ more. A *squared* distance fits vectors of about
# forty such numbers. The talk does not say which it is.

# %%
print(f"half a mean square of 0.4899 is an RMSE of {np.sqrt(2 * 0.4899):.3f}")
wanting, having = np.array([1.0, -1.0]), np.array([-1.0, 1.0])
rectified = np.maximum(wanting, 0) @ np.maximum(having, 0)
print("inner product", wanting @ having, "after ReLU", rectified)

# %%
karate_kid = np.array([-3.168, -0.136, 3.770, 4.767, 3.558, -4.168, 0.464, 2.034, 3.411, 0.866])
ferris = np.array([-3.101, -0.057, 3.800, 4.862, 3.632, -4.157, 0.549, 2.064, 3.428, 0.884])
cosine = karate_kid @ ferris / np.linalg.norm(karate_kid) / np.linalg.norm(ferris)
squares = np.sum((karate_kid - ferris) ** 2)
print(f"ten numbers: Euclidean {np.sqrt(squares):.3f}, cosine distance {1 - cosine:.4f}")
print(f"squared distance {squares:.4f}; {0.138 / squares * 10:.0f} such numbers give 0.138")

# %% [markdown]
# **"Matrix factorization is ideal for small catalogs. As the catalogs get larger, memory becomes a challenge."** (2018 talk).
# Factorization never stores the full table. Its memory is $k$ · (users + items): it grows with the sum, not with the product. MovieLens
# 20M, the talk's example, needs 42 MB, and three times as much while Adam trains. A hundred million users are a challenge.

# %%
for users, items in ((138_493, 27_278), (100_000_000, 10_000_000)):
    full, factors = users * items, 64 * (users + items)
    print(f"{users:,} users × {items:,} items:", end=" ")
    print(f"table of bytes {full / 1e9:,.1f} GB, 64 factors of 4 bytes {4 * factors / 1e9:.3f} GB")

# %% [markdown]
# ## Scoreboard · optional
#
# All models on one split learned from the same training rows. "Product only" are the networks trained in view. For "biased MF" and "no
# decay", early stopping chose the number of epochs, and the refit used all training rows.

# %% tags=["nbval-ignore-output"]
ledger.scoreboard("02")

# %% [markdown] tags=["core"]
# ## Recap
#
# In this chapter we
#
# - beat a constant with two biases before we factorized anything;
# - saw that an embedding is a row lookup, and the lookup a product with one-hot rows;
# - took SGD from seven ratings on paper to mini-batches, in NumPy, Keras and MXNet;
# - found that 64 factors alone lose to two biases, from any start we tried;
# - found that biases, decay and early stopping together win on every split, by a hundredth of a star.
#
# **Next:** [03 Nonlinearity](03_nonlinearity.ipynb): the talk's second step is a hidden layer. Does it help?
#
# Then choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder, save your notebooks with *File → Download*.

# %% [markdown]
# ### References · optional
#
# - Y. Koren, R. Bell and C. Volinsky, 2009: *Matrix Factorization Techniques for Recommender Systems*. Computer 42, 8.
# - D. P. Kingma and J. Ba, 2015: *Adam: A Method for Stochastic Optimization*. ICLR.
# - N. Hug, 2020: *Surprise: A Python library for recommender systems*. JOSS 5, 52.
# - L. Dirac, 2016: *Using MXNet for Recommendation Modeling at Scale*, AWS re:Invent MAC306.
# - AWS, 2018: training talk on recommender systems with MXNet and SageMaker.

# %%
progress("02")
