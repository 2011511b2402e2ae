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
# # 03 · Nonlinearity
#
# A talk from 2018 puts a hidden layer between the embeddings and the inner product, and reports a smaller error. This chapter trains the
# talk's networks, finds out when such a layer helps, and explains the talk's improvement.
#
# | | |
# |---|---|
# | **You will be able to** | train one- and two-sided networks in three frameworks · prove where an inner product fails · say what ReLU and dropout do · compare models fairly |
# | **Prerequisites** | [02](02_matrix_factorization.ipynb); matrix products |
# | **Time** | 30 minutes for the core, 85 for all; 45 seconds to run |
# | **Needs** | no network, account or GPU; optional: MXNet, ML-100K |
# | **Builds on** | AWS talk (2018); Rendle et al. (2020) |

# %%
import functools
import sys

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D
from scipy import stats

from helpers import data, gates, ledger, metrics, plots
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import BiasModel
from helpers.models.mf import forward
from helpers.models.nonlinear import FeatureTowers, NonlinearFactorization
from helpers.planted import taste_world

plots.style()

ratings = data.load()
split = data.random_split(ratings, test_share=0.2, seed=0)
train_users, train_items, train_stars = (
    split.train.frame[name].to_numpy() for name in ("user", "item", "rating")
)
users, items, stars = (split.test.frame[name].to_numpy() for name in ("user", "item", "rating"))


def test_rmse(model):
    """Return the RMSE of a fitted model on the test ratings, in stars."""
    return metrics.rmse(model.predict(users, items), stars)


# %% [markdown] tags=["core"]
# ## Predict before you run
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*
#
# Users and items have vectors, as in chapter 02, but both now pass through a hidden layer before the inner product. How much lower is the
# root mean squared error (RMSE)? Each question compares models that got the same effort.


# %%
sizes = ["0.2 stars", "0.05 stars", "0.01 stars", "nothing"]
guess("03", "How much does the layer take off the error, where both models have bias terms?", sizes)
guess("03.b", "And where neither has bias terms?", sizes)

# %% [markdown] tags=["core"]
# ## One hidden layer
#
# The talk's layer takes an embedding row $p$. It replaces negative numbers by zero, multiplies, and adds:
#
# $$f(p) = \max(p, 0)\, W + c$$
#
# Here $\max(\cdot, 0)$ acts on each of the $k$ numbers; it is called ReLU. The weights $W$ have the shape $(k, h)$, the bias $c$ has the
# length $h$. We call $f$ a *tower*.
#
# By hand: ReLU turns $p = (2, -3)$ into $(2, 0)$. Let $W$ have the rows $(1, 0.5)$ and $(-1, 2)$, and let $c = (0, 1)$. The output is
# $(2, 1) + (0, 1) = (2, 2)$. An item $q = (1, 1)$ then gets $2 + 2 = 4$ stars, and without the tower $2 - 3 = -1$. The $-3$ has left no
# trace.


# %%
def hidden_layer(rows, weight, bias):
    """Return rows, (n, k), after ReLU and a layer: (n, h)."""
    return np.maximum(rows, 0) @ weight + bias


p, q = np.array([[2.0, -3.0]]), np.array([1.0, 1.0])
moved = hidden_layer(p, np.array([[1.0, 0.5], [-1.0, 2.0]]), np.array([0.0, 1.0]))
print(f"without the layer {(p @ q)[0]:.0f} stars, with it {(moved @ q)[0]:.0f}")

# %% [markdown] tags=["core"]
# ## One side, both sides, shared or separate
#
# The talk's slides have a layer on the user's side, then a layer on each side: *separate* layers. Its demo sends users and items through one
# *shared* layer.
#
# **Exercise 03.2** (5 min). Write `count_parameters`: how many numbers such a network learns, without bias terms for users and items.
# `layers` is `"none"`, `"user"`, `"both"` or `"shared"`. A layer leads from `k` numbers to `hidden`. Stuck? Run `q2.hint()` or
# `q2.solution()` in a cell of your own.


# %%
def count_parameters(n_users, n_items, k, hidden, layers):
    ### BEGIN SOLUTION 03.2
    dense = {"none": 0, "user": 1, "both": 2, "shared": 1}[layers]
    return (n_users + n_items) * k + dense * (k * hidden + hidden)
    ### END SOLUTION


# %%
q2 = exercise("03.2")
q2.check(count_parameters)

# %%
count_parameters = q2.use(count_parameters)
plain = count_parameters(ratings.n_users, ratings.n_items, k=64, hidden=64, layers="none")
for layers in ("none", "user", "both", "shared"):
    total = count_parameters(ratings.n_users, ratings.n_items, k=64, hidden=64, layers=layers)
    print(f"{layers:7} {total:,} numbers, {total / plain - 1:.1%} more than without a layer")

# %% [markdown] tags=["core"]
# ## The talk's networks, trained
#
# A hidden layer adds only about one percent of numbers.
#
# We train the networks in three frameworks, first in Keras. All get the same rows in the same order, Adam (chapter 02) and five epochs. Like
# the talk's, they have no bias terms. Change one, and see its error move. If the error is not finite, lower the learning rate.


# %%
def batches(epochs, size=2000, seed=0):
    """Yield users, items and stars of the training rows, in a new order in each epoch."""
    if epochs < 1 or not 1 <= size <= len(train_stars):
        raise ValueError(f"{epochs=}, {size=}: take 1 or more, and no batch above the data")
    generator = np.random.default_rng(seed)
    for _ in range(epochs):
        order = generator.permutation(len(train_stars))
        for start in range(0, len(order) - size + 1, size):
            rows = order[start : start + size]
            yield train_users[rows], train_items[rows], train_stars[rows]


EPOCHS, RATE = 5, 0.01
constant = metrics.rmse(np.full(len(stars), train_stars.mean()), stars)
baseline = test_rmse(BiasModel().fit(split.train))
print(f"a constant {constant:.3f}, user + item bias {baseline:.3f}")

# %%
print("importing Keras takes a few seconds")
import keras

normal = functools.partial(keras.initializers.RandomNormal, stddev=0.1)


def keras_net(user_tower, item_tower, k=64):
    """Return two embeddings, a tower for each, and the inner product."""
    user, item = (keras.Input((), dtype="int32", name=name) for name in ("user", "item"))
    users_table = keras.layers.Embedding(ratings.n_users, k, normal(seed=0), name="user_factors")
    items_table = keras.layers.Embedding(ratings.n_items, k, normal(seed=1), name="item_factors")
    vectors = [user_tower(users_table(user)), item_tower(items_table(item))]
    return keras.Model([user, item], keras.layers.Dot(axes=1)(vectors))


def slide_tower(seed, relu=True, use_bias=True):
    """Return a tower as on the slides: ReLU, then a layer."""
    dense = keras.layers.Dense(64, use_bias=use_bias, kernel_initializer=normal(seed=seed))
    return keras.Sequential([keras.layers.ReLU(), dense] if relu else [dense])


# %%
def train_keras(network):
    """Train a Keras network; return its RMSE on the test ratings."""
    network.compile(keras.optimizers.Adam(float(RATE)), "mse", steps_per_execution=20)
    user, item, score = (np.concatenate(part) for part in zip(*batches(EPOCHS), strict=True))
    network.fit([user, item], score, batch_size=2000, shuffle=False, verbose=0)
    return metrics.rmse(keras.ops.convert_to_numpy(network([users, items]))[:, 0], stars)


# %% tags=["nbval-ignore-output"]
reached, unchanged = {}, keras.layers.Identity()
towers = {"user": (slide_tower(2), unchanged), "both": (slide_tower(2), slide_tower(3))}
for layers, pair in towers.items():
    reached["Keras", layers] = value = train_keras(keras_net(*pair))
    print(f"Keras, layers: {layers:6} RMSE {value:.3f}")

# %% [markdown]
# The layer on the user's side is worse than a constant. Layers on both sides are much better. But two bias terms are still better, with
# 9,738 numbers instead of 631,488. (MXNet and Gluon say the same below.)
#
# So why do two layers help so much? And do they still help a model that has bias terms?

# %% [markdown]
# ### In MXNet, symbolic · optional
#
# The function has the name it has on the talk's slides. One slide has the layer on the user's side, a second one on both sides; here
# `both` decides. With a layer on one side only, its output must be as long as the other side's embedding.


# %%
def get_one_layer_mlp(hidden, k, both=True):
    embedding = mx.symbol.Embedding
    user, item, score = (mx.symbol.Variable(name) for name in ("user", "item", "score"))
    of_user = embedding(user, input_dim=ratings.n_users, output_dim=k, name="user_factors")
    of_user = mx.symbol.Activation(of_user, act_type="relu")
    of_user = mx.symbol.FullyConnected(of_user, num_hidden=hidden, name="user_dense")
    of_item = embedding(item, input_dim=ratings.n_items, output_dim=k, name="item_factors")
    if both:
        of_item = mx.symbol.Activation(of_item, act_type="relu")
        of_item = mx.symbol.FullyConnected(of_item, num_hidden=hidden, name="item_dense")
    product = mx.symbol.Flatten(mx.symbol.sum(of_user * of_item, axis=1))
    return mx.symbol.LinearRegressionOutput(product, label=score, name="loss")


# %%
def train_symbolic(network, size=2000):
    """Train a symbolic network; return its RMSE on the test ratings."""
    mx.random.seed(0)
    module = mx.mod.Module(network, data_names=("user", "item"), label_names=("score",))
    module.bind([("user", (size,)), ("item", (size,))], [("score", (size, 1))])
    module.init_params(mx.init.Normal(0.1))
    module.init_optimizer(optimizer="adam", optimizer_params={"learning_rate": RATE})
    for batch in batches(EPOCHS, size):
        user, item, score = map(mx.nd.array, batch)
        module.forward_backward(mx.io.DataBatch([user, item], [score.reshape((size, 1))]))
        module.update()
    predicted = []
    for start in range(0, len(stars), size):
        pair = [mx.nd.array(column[start : start + size]) for column in (users, items)]
        module.forward(mx.io.DataBatch(pair), is_train=False)
        predicted.append(module.get_outputs()[0].asnumpy()[:, 0])
    return metrics.rmse(np.concatenate(predicted), stars)


# %% tags=["nbval-ignore-output"]
if gates.mxnet.ready("The talk's symbolic network"):
    mx = gates.import_mxnet()
    for layers, both in (("user", False), ("both", True)):
        reached["MXNet symbolic", layers] = value = train_symbolic(get_one_layer_mlp(64, 64, both))
        print(f"MXNet symbolic, layers: {layers:6} RMSE {value:.3f}")

# %% [markdown]
# ### In Gluon · optional
#
# In Gluon, a network is two embeddings and two towers. The slides' tower is ReLU, then the layer. The demo's tower is the layer, then
# ReLU, and it is one tower for both sides. As in the talk, the class has a share of dropout (below) of 0.5, but the network is made with 0.

# %%
if gates.mxnet:
    nn = mx.gluon.nn

    class MFBlock(mx.gluon.HybridBlock):
        """Two embeddings, a tower for each, dropout, and the inner product."""

        def __init__(self, user_tower, item_tower, k=64, dropout_p=0.5):
            super().__init__()
            self.user_factors = nn.Embedding(ratings.n_users, k)
            self.item_factors = nn.Embedding(ratings.n_items, k)
            self.user_tower, self.item_tower = user_tower, item_tower
            self.dropout = nn.Dropout(dropout_p)

        def hybrid_forward(self, F, users, items):
            a = self.user_tower(self.user_factors(users))
            b = self.item_tower(self.item_factors(items))
            return F.sum(self.dropout(a) * self.dropout(b), axis=1)


# %%
def gluon_tower(*layers):
    """Return layers one after the other; without any, a tower that changes nothing."""
    tower = nn.HybridSequential()
    tower.add(*layers)
    return tower


def gluon_net(layers, dropout_p=0.0):
    """Return the talk's block: "none", "user", "both" as on the slides, "shared" as in the demo."""
    slide = [gluon_tower(nn.Activation("relu"), nn.Dense(64, in_units=64)) for _ in range(2)]
    demo = gluon_tower(nn.Dense(64, activation="relu", in_units=64))
    none = gluon_tower()
    towers = {"none": [none, none], "user": [slide[0], none], "both": slide, "shared": [demo, demo]}
    return MFBlock(*towers[layers], dropout_p=dropout_p)


# %%
def train_gluon(block):
    """Train a Gluon block; return its RMSE on the test ratings."""
    mx.random.seed(0)
    block.initialize(mx.init.Normal(0.1), force_reinit=True)
    block.hybridize()
    trainer = mx.gluon.Trainer(block.collect_params(), "adam", {"learning_rate": RATE})
    half_square = mx.gluon.loss.L2Loss()
    for batch in batches(EPOCHS):
        user, item, score = map(mx.nd.array, batch)
        with mx.autograd.record():
            loss = half_square(block(user, item), score)
        loss.backward()
        trainer.step(len(score))
    return metrics.rmse(block(mx.nd.array(users), mx.nd.array(items)).asnumpy(), stars)


# %% tags=["nbval-ignore-output"]
if gates.mxnet.ready("The talk's Gluon block"):
    for layers in ("none", "user", "both", "shared"):
        reached["Gluon", layers] = value = train_gluon(gluon_net(layers))
        print(f"Gluon, layers: {layers:6} RMSE {value:.3f}")

# %% [markdown]
# ### The same function five times · optional
#
# Below we train with `NonlinearFactorization`, the course's network in NumPy, because it is fastest. Is it the same function? We train it
# for an epoch and copy its weights into the other networks. Then we compare eight predictions.

# %% tags=["fold"]
settings = {"factors": 64, "layers": "both", "order": "relu-dense", "biases": False}
model = NonlinearFactorization(**settings, epochs=1, validation_share=0).fit(split.train)
few, weights = (users[:8], items[:8]), model.weights
sides = []
for side, rows in zip(("user", "item"), few, strict=True):
    layer = weights[f"{side}_dense"], weights[f"{side}_dense_bias"]
    sides.append(hidden_layer(weights[f"{side}_factors"][rows], *layer))
found = {"the formula": np.sum(sides[0] * sides[1], axis=1), "NumPy": model.predict(*few)}

if gates.mxnet:
    bound = get_one_layer_mlp(64, 64).simple_bind(
        mx.cpu(), user=(8,), item=(8,), score=(8, 1), grad_req="null"
    )
    block = gluon_net("both")
    block.initialize()
    for name, array in weights.items():
        # MXNet stores a layer's weights as (outputs, inputs)
        value = mx.nd.array(array.T if name.endswith("dense") else array)
        bound.arg_dict[name if name.endswith("bias") else f"{name}_weight"][:] = value
        side = name.split("_")[0]
        is_table = name.endswith("factors")
        owner = getattr(block, name) if is_table else getattr(block, f"{side}_tower")[1]
        (owner.bias if name.endswith("bias") else owner.weight).set_data(value)
    eight = [mx.nd.array(column) for column in few]
    found["MXNet symbolic"] = bound.forward(user=eight[0], item=eight[1])[0].asnumpy()[:, 0]
    found["Gluon"] = block(*eight).asnumpy()

pair = slide_tower(0), slide_tower(0)
network = keras_net(*pair)
for side, its_tower in zip(("user", "item"), pair, strict=True):
    network.get_layer(f"{side}_factors").set_weights([weights[f"{side}_factors"]])
    its_tower.set_weights([weights[f"{side}_dense"], weights[f"{side}_dense_bias"]])
found["Keras"] = network.predict_on_batch(list(few))[:, 0]
for name in list(found)[1:]:
    apart = np.abs(found[name] - found["the formula"]).max()
    print(f"{name:15} equal to the formula within 1e-5: {apart < 1e-5}")

# %% [markdown] tags=["core"]
# ## A world the inner product cannot hold
#
# Think of one axis of taste, from quiet films at −1 to loud ones at 1. A user has a place $x$ on it, an item a place $y$. People like
# what is near them:
#
# $$r(x, y) = 1 + 4\, e^{-(x - y)^2 / 2w^2}$$
#
# The *width* $w$ says how far taste reaches. The places are given, so a model can answer for a new user.


# %%
world = taste_world(n_users=60, n_items=60, width=0.4, noise=0.25, seed=0)
axis = np.linspace(-1, 1, 101)  # new users and new items, all along the axis
truth = world.stars(axis, axis)
places = [-0.8, -0.4, 0, 0.4, 0.8]
for place in (-0.8, 0.0, 0.8):
    print(f"user at {place:+.1f}:", " ".join(f"{s:.1f}" for s in world.stars(place, places)[0]))

# %% [markdown]
# The inner product gets $(1, x)$ for a user and $(1, y)$ for an item. With any linear map of each, a score is
#
# $$s(x, y) = a + b x + c y + d x y$$
#
# **Proof that it fails.** For a fixed user, $s$ is a straight line in $y$, which is largest at an end of the axis. But the user in the
# middle likes the middle best. A layer on the user's side does not change this proof.
#
# Least squares finds the best four numbers. Beside it we train `FeatureTowers`: the talk's network, with the places as features.


# %%
def terms(x, y):
    """Return 1, x, y and xy for every user and item, (users * items, 4)."""
    return np.kron(np.stack([np.ones_like(x), x], axis=1), np.stack([np.ones_like(y), y], axis=1))


def best_product(world):
    """Return the surface of the best a + bx + cy + dxy on the axis, (101, 101)."""
    inputs = terms(world.user_taste, world.item_place)
    numbers, *_ = np.linalg.lstsq(inputs, world.ratings.ravel(), rcond=None)
    return (terms(axis, axis) @ numbers).reshape(101, 101)


# %% tags=["nbval-ignore-output"]
surfaces = {"the truth": truth, "inner product": best_product(world)}
for layers, name in (("user", "layer on user's side"), ("both", "layer on both sides")):
    model = FeatureTowers(units=32, layers=layers)
    model.fit(world.user_taste, world.item_place, world.ratings)
    surfaces[name] = model.predict(axis, axis)
off = {name: metrics.rmse(surface.ravel(), truth.ravel()) for name, surface in surfaces.items()}
off["a constant"] = float(truth.std())
for name, value in list(off.items())[1:]:
    print(f"{name:20} RMSE to the truth {value:.2f}")
assert abs(off["inner product"] - 1.01) < 0.01
assert off["layer on user's side"] > 0.85 > 0.3 > off["layer on both sides"]

# %% tags=["fold"]
fig, axes = plt.subplots(1, 4, figsize=(10.4, 3.1), sharey=True, layout="constrained")
span = {"extent": (-1, 1, -1, 1), "origin": "lower", "cmap": "viridis", "vmin": 0, "vmax": 5}
for ax, (name, surface) in zip(axes, surfaces.items(), strict=True):
    picture = ax.imshow(surface, **span)
    ax.set_title(f"{name}\n" if surface is truth else f"{name}\nRMSE {off[name]:.2f}")
    ax.set(xlabel="place of the item, y", xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ax.grid(False)
axes[0].set_ylabel("place of the user, x")
fig.colorbar(picture, ax=axes, label="stars")
words = "The truth is a diagonal band, and only the network with a layer on both sides finds it."
show(fig, alt=words)

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 03.q1
choice = "b"
### END SOLUTION
exercise("03.q1").ask(choice)

# %% [markdown]
# ### Move the width of taste · optional
#
# Move the number of units in front of the ReLU, and the width of taste. Each step trains the network again from the same seed. Where
# does the inner product (dotted) do nearly as well as the network? How many units does a narrow taste need?


# %% tags=["fold", "nbval-ignore-output"]
@functools.cache  # the picture and its words ask for the same fit
def fit_world(units, width):
    here = taste_world(width=width, noise=0.25, seed=0)
    model = FeatureTowers(units=units).fit(here.user_taste, here.item_place, here.ratings)
    return here.stars(axis, axis), model.predict(axis, axis), best_product(here)


def draw_lines(ax, true, fitted, flat):
    """Draw the stars of three users along the axis of items."""
    shown = []
    for row, color in ((10, "blue"), (50, "orange"), (90, "green")):
        look = {"color": plots.PALETTE[color]}
        ax.plot(axis, true[row], alpha=0.35, linewidth=6, **look)
        ax.plot(axis, flat[row], ":", **look)
        shown += ax.plot(axis, fitted[row], label=f"user at {axis[row]:+.1f}", **look)
    kinds = {"truth": {"lw": 6, "alpha": 0.35}, "network": {}, "product": {"ls": ":"}}
    for name, look in kinds.items():
        shown.append(Line2D([], [], color=plots.PALETTE["grey"], label=name, **look))
    ax.legend(handles=shown, ncols=2, fontsize=9, loc="upper center")


def draw_world(units, width):
    true, fitted, flat = fit_world(units, width)
    fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), layout="constrained")
    draw_lines(left, true, fitted, flat)
    left.set(xlabel="place of the item, y", ylabel="stars", ylim=(-0.5, 8))
    left.set_title("Three users: the product stays straight")
    picture = right.imshow(fitted, **span)
    right.set(xlabel="place of the item, y", ylabel="place of the user, x")
    right.set_title(f"The network, RMSE {metrics.rmse(fitted.ravel(), true.ravel()):.2f}")
    right.grid(False)
    fig.colorbar(picture, ax=right, label="stars")
    return fig


def tell_world(units, width):
    true, *both = (surface.ravel() for surface in fit_world(units, width))
    network, product = (metrics.rmse(surface, true) for surface in both)
    return (
        f"With {units} units and a taste {width} wide, the network is {network:.1f} stars from the "
        f"truth, the inner product {product:.1f} (RMSE)."
    )


widths = [0.2, 0.3, 0.4, 0.6, 1.0, 2.0]
explore(
    draw_world,
    alt=tell_world,
    units=widgets.SelectionSlider(options=[1, 2, 4, 8, 16, 32], value=16, description="units"),
    width=widgets.SelectionSlider(options=widths, value=0.4, description="width of taste"),
)

# %% [markdown]
# The inner product does nearly as well only where taste is wide. At width 2 its RMSE is 0.2, and the network's is less than 0.1. A
# narrow taste needs more units: four at width 1, about sixteen at width 0.4. At width 0.2 even 32 units leave an RMSE of 0.4.

# %% [markdown]
# ## With free embeddings the layer adds nothing · optional
#
# Factorization learns its own features, $k$ per user and item. The table of its predictions has rank $k$ at most, and a larger $k$ holds
# more. For such embeddings a hidden layer adds no new predictions:
#
# > Whatever vector of $h$ numbers comes out of a tower, a plain embedding of $h$ numbers can hold it.
#
# We push the embeddings of a trained network through their towers, and use the results as embeddings of plain factorization.


# %%
short = {"epochs": 2, "batch_size": 2000, "validation_share": 0}
network = NonlinearFactorization(factors=4, hidden=8, **short).fit(split.train)
twin = {name: network.weights[name] for name in ("user_bias", "item_bias")}
twin["user_factors"], twin["item_factors"] = network.vectors()  # (671, 8) and (9066, 8)
apart = np.abs(forward(twin, users, items, network.mean) - network.predict(users, items)).max()
print(f"largest difference on {len(users):,} test ratings below 1e-5 stars: {apart < 1e-5}")

# %% [markdown]
# So a hidden layer only changes how the vectors are *found*, and limits which can be found. On the slides, everything after the ReLU is
# linear, so the rank is $k + 1$ at most.
#
# An inner product fails on given features, or with a fixed $k$. It does not fail with embeddings that may be as long as needed.

# %% [markdown]
# ### Stretch: the smallest possible error · optional
#
# How many numbers does an inner product need for the taste world? The best table of rank $k$ keeps the $k$ largest singular values (Eckart
# and Young, 1936).
#
# **Exercise 03.3** (8 min, *stretch*). Write `floor(table, k)`: the smallest RMSE over all cells that *any* table of rank `k` can have
# to this one.


# %%
def floor(table, k):
    ### BEGIN SOLUTION 03.3
    singular = np.linalg.svd(table, compute_uv=False)
    return np.sqrt(np.sum(singular[k:] ** 2) / table.size)
    ### END SOLUTION


# %%
q3 = exercise("03.3")
q3.check(floor)

# %% tags=["fold"]
floor = q3.use(floor)
numbers = np.arange(1, 17)
floors = {w: [floor(taste_world(width=w).ratings, k) for k in numbers] for w in (1.0, 0.4, 0.2)}
fig, ax = plt.subplots()
for (w, values), mark in zip(floors.items(), "o^s", strict=True):
    ax.plot(numbers, values, marker=mark, markersize=5, label=f"width {w}")
ax.set(xlabel="numbers in each embedding, k", ylabel="smallest possible RMSE (stars)")
ax.set_xticks(numbers[::3])
ax.set_title("The narrower the taste, the more numbers an inner product needs")
ax.legend()
enough = {w: numbers[np.array(values) < 0.05][0] for w, values in floors.items()}
words = (
    "The smallest possible RMSE falls below 0.05 stars at "
    + ", ".join(f"k = {k} for width {w}" for w, k in enough.items())
    + "."
)
show(fig, alt=words)

# %% [markdown]
# ## What ReLU does to an embedding · optional
#
# On the slides the ReLU follows directly after the embedding. Forward, it replaces negative numbers by zero. Backward, the gradient must
# pass through it.
#
# **Exercise 03.4** (4 min). Write `relu_gradient(rows, gradient)`. `rows` went into the ReLU, `gradient` is the loss's gradient for what
# came *out*. Return the gradient for the rows.


# %%
def relu_gradient(rows, gradient):
    ### BEGIN SOLUTION 03.4
    return gradient * (rows > 0)
    ### END SOLUTION


# %%
q4 = exercise("03.4")
q4.check(relu_gradient)

# %%
relu_gradient = q4.use(relu_gradient)
slide = functools.partial(
    NonlinearFactorization, factors=8, order="relu-dense", init_scale=0.1, epochs=5,
    batch_size=2000, validation_share=0,
)  # fmt: skip
model = slide(regularization=0)
before = model.first_weights(split.train)["user_factors"]
after = model.fit(split.train).weights["user_factors"]
stuck = relu_gradient(before, np.ones_like(before)) == 0
print(f"{stuck.mean():.0%} of the users' numbers have no gradient at the start")
same = np.mean(after[stuck] == before[stuck])
print(f"of these, {same:.0%} are the same to the last bit after training")

died = ~stuck & (after <= 0)
fig, ax = plt.subplots(figsize=(6.0, 4.2))
parts = {"never moved": (stuck, "grey"), "alive": (~stuck & ~died, "blue")}
parts["died on the way"] = died, "red"
for name, (part, color) in parts.items():
    look = {"color": plots.PALETTE[color], "label": f"{name}: {part.mean():.0%}"}
    ax.scatter(before[part], after[part], s=6, **look)
ax.set(xlabel="first value", ylabel="value after five epochs")
ax.set_title("ReLU on an embedding freezes half of it, and more dies")
ax.legend(markerscale=3, loc="upper left")
assert 0.2 < died.mean() < 0.4
words = (
    "All of the users' numbers that began below zero stayed where they were, and many that began "
    "above zero ended below it."
)
show(fig, alt=words)

# %% [markdown]
# An embedding starts at random around zero, so half of it has no gradient. It is lost before the first rating, and more is lost on the way.
# Such a number is called *dead*.
#
# Can weight decay wake dead numbers? It has a gradient of its own, which pulls every number towards zero. Do some of the numbers that began
# below zero end above it?


# %%
woken = {}
for optimizer, rate in (("adam", 0.01), ("sgd", 0.1)):
    for decay in (0, 0.01, 0.1):
        model = slide(optimizer=optimizer, learning_rate=rate, regularization=decay)
        last = model.fit(split.train).weights["user_factors"]
        woken[optimizer, decay] = np.mean(last[stuck] > 0)
        some = woken[optimizer, decay] > 0
        print(f"{optimizer:4} decay {decay:4}: some end above zero: {some}")
assert woken["adam", 0] == 0 and all(woken["sgd", decay] == 0 for decay in (0, 0.01, 0.1))
assert 0.2 < woken["adam", 0.01] < woken["adam", 0.1] < 0.4

# %% [markdown]
# Without decay nothing wakes up: there is no gradient, so there is no step. With decay it depends on the optimizer. With Adam, a quarter to
# a third of them end above zero. Adam scales a step by the gradient's recent size, so it steps past zero. With SGD none does: it shrinks a
# number in proportion.

# %% [markdown]
# ### After a ReLU no cosine is negative · optional
#
# In the demo the ReLU comes *last*. So no number of the vectors that meet is negative, and no cosine of a user and an item is. Their inner
# product can only add to a rating. A low rating can then only come from a bias term or from factors that are zero.


# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 03.q2
choice = "c"
### END SOLUTION
exercise("03.q2").ask(choice)

# %% [markdown]
# ## Dropout · optional
#
# The talk's block has `Dropout` on both sides (Srivastava et al., 2014). In training it sets each number to zero with probability $p$, and
# divides the others by $1 - p$, so that the mean stays as it was. When the model predicts, it does nothing.
#
# **Exercise 03.5** (5 min). Write `dropout(rows, p, generator)` as it works in training.


# %%
def dropout(rows, p, generator):
    ### BEGIN SOLUTION 03.5
    return rows * (generator.random(rows.shape) >= p) / (1 - p)
    ### END SOLUTION


# %%
q5 = exercise("03.5")
q5.check(dropout)

# %% [markdown]
# ### Stretch: dropout is a penalty · optional
#
# With a mask on each side, the prediction is right on average but scatters, and scatter costs squared error. How much?
#
# Take $a = 2$ and $b = 1.5$: the prediction is 3. Dropout multiplies it by $z = z_1 z_2$, one mask per side. With $p = \tfrac12$ each mask
# is 0 or 2, so $z$ is 4 in one case of four.
#
# - The mean of $z$ is $\tfrac14 \cdot 4 = 1$.
# - The mean of $z^2$ is $\tfrac14 \cdot 16 = 4$.
# - The variance of $z$ is $4 - 1^2 = 3$.
#
# So the expected squared error grows by $3^2 \cdot 3 = 27$. We call the variance of $z$ the factor $\lambda(p)$: $\lambda(\tfrac12) = 3$.


# %% [markdown]
# For longer vectors the masks of different factors are independent, so their variances add up:
#
# $$\mathbb{E}\,(\tilde a \cdot \tilde b - r)^2 = (a \cdot b - r)^2 + \lambda(p) \sum_f a_f^2\, b_f^2$$
#
# Here $\mathbb{E}$ is the mean over all masks, $\tilde a$ and $\tilde b$ are the masked vectors, and $r$ is the rating. So dropout resembles
# weight decay: it punishes factors that are large on *both* sides. A fair comparison also offers it to the linear model; ours does.
#
# **Exercise 03.6** (10 min, *stretch*). Find $\lambda(p)$ for any $p$. Then write `dropout_penalty(a, b, p)`: the last term, for one
# pair of vectors.


# %%
def dropout_penalty(a, b, p):
    ### BEGIN SOLUTION 03.6
    return (1 / (1 - p) ** 2 - 1) * np.sum(a**2 * b**2)
    ### END SOLUTION


# %%
q6 = exercise("03.6")
q6.check(dropout_penalty)

# %%
dropout, dropout_penalty = q5.use(dropout), q6.use(dropout_penalty)
a, b, chance = np.array([1.0, -0.5, 2.0]), np.array([0.5, 1.0, 1.0]), np.random.default_rng(0)
many = [np.tile(row, (500_000, 1)) for row in (a, b)]
scattered = np.sum(dropout(many[0], 0.3, chance) * dropout(many[1], 0.3, chance), axis=1)
measured = np.mean((scattered - 4) ** 2) - (a @ b - 4) ** 2
print(f"500,000 masks add {measured:.1f}, the formula says {dropout_penalty(a, b, 0.3):.1f}")

# %% [markdown] tags=["core"]
# ## What the layer repairs
#
# Without bias terms, two layers lower the error a lot. What happens with them? We compare in NumPy, with 8 factors and weight decay, over
# three seeds. A tenth of the training rows decides after which epoch to stop. Then each model trains again, on all training rows.

# %% tags=["nbval-ignore-output"]
quick = {"factors": 8, "batch_size": 2000, "learning_rate": 0.01, "init_scale": 0.1}
quick |= {"epochs": 12, "order": "relu-dense"}
grid, models = {}, {}
for biases in (False, True):
    for layers in ("none", "both"):
        found = grid[layers, biases] = np.zeros(3)
        for seed in range(3):
            model = NonlinearFactorization(layers=layers, biases=biases, seed=seed, **quick)
            models[layers, biases] = model.fit(split.train)
            found[seed] = test_rmse(model)
        print(f"layers: {layers:5} biases: {biases!s:6} RMSE", *found.round(3))

gains = {biases: grid["none", biases] - grid["both", biases] for biases in (False, True)}
assert gains[False].min() > 0.15 and gains[True].max() < 0
guess("03.b").meets(f"{gains[False].mean():.1f} stars")

# %% [markdown]
# Without bias terms, two layers are worth more than a fifth of a star. With bias terms, they gain nothing: all three errors are a little
# higher.
#
# Where does the gain come from? We split the test ratings by how many training ratings the item has. `mean` is the mean
# prediction.

# %% tags=["nbval-ignore-output"]
known = np.bincount(train_items, minlength=ratings.n_items)[items]
groups = {"0 to 2": known < 3, "3 to 9": (known >= 3) & (known < 10), "10 or more": known >= 10}
for group, rows in groups.items():
    print(f"items with {group:10} training ratings, {rows.mean():.0%} of the test ratings:")
    for layers in ("none", "both"):
        predicted = models[layers, False].predict(users[rows], items[rows])
        error = metrics.rmse(predicted, stars[rows])
        print(f"    layers: {layers:5} RMSE {error:.2f}, mean {predicted.mean():.1f} stars")

# %% [markdown]
# The gain comes from items with few ratings. Their vectors have hardly moved from the start, so their inner products are small. With
# layers, such an item gets a normal level. How? Let $p$ and $q$ be the embeddings after the ReLU. The user's layer has $W$ and $c$, the
# item's has $V$ and $d$. Then a score is
#
# $$(pW + c) \cdot (qV + d)$$
#
# This product has four terms. One is a level for all. Two are bias terms: one depends on the user only, one on the item only.
#
# **Exercise 03.8** (6 min). Write `hidden_biases(P, Q, W, c, V, d)`: return these two terms, one number per user and one per item. `P` and
# `Q` hold the embeddings of all users and items after the ReLU.


# %%
def hidden_biases(P, Q, W, c, V, d):
    ### BEGIN SOLUTION 03.8
    return P @ W @ d, Q @ V @ c
    ### END SOLUTION


# %%
q8 = exercise("03.8")
q8.check(hidden_biases)

# %%
hidden_biases = q8.use(hidden_biases)
weights, two = models["both", False].weights, BiasModel().fit(split.train)
P, Q = (np.maximum(weights[f"{side}_factors"], 0) for side in ("user", "item"))
layers = [weights[f"{side}_dense{part}"] for side in ("user", "item") for part in ("", "_bias")]
of_user, of_item = hidden_biases(P, Q, *layers)
for name, ours, theirs in (("user", of_user, two.user_bias), ("item", of_item, two.item_bias)):
    alike = np.corrcoef(ours, theirs)[0, 1]
    print(f"{name} terms and {name} biases: correlation above 0.75: {alike > 0.75}")

# %% [markdown]
# So the network has rebuilt, roughly, the bias terms that the talk's linear model lacks. The talk calls its step "adding non-linearity". Does it
# need the nonlinearity at all? We take the ReLU out of the Keras network, and then the layers' bias instead.

# %% tags=["nbval-ignore-output"]
parts = {"ReLU and bias": {}, "bias only": {"relu": False}, "ReLU only": {"use_bias": False}}
taken = {"ReLU and bias": reached["Keras", "both"]}
for name, part in parts.items():
    if name not in taken:
        taken[name] = train_keras(keras_net(slide_tower(2, **part), slide_tower(3, **part)))
    print(f"layers on both sides with {name:13} RMSE {taken[name]:.3f}")
if (EPOCHS, RATE) == (5, 0.01):  # the sentences below are about these
    assert taken["ReLU and bias"] < taken["bias only"] < taken["ReLU only"] < 1.05
    assert taken["bias only"] - taken["ReLU and bias"] < 0.05

# %% [markdown]
# Without the ReLU the network is linear, and the error rises only a little. Without the bias it rises more.
#
# Plain factorization has neither, and its error was above 1.1. So the bias alone, in a linear network, brings most of the improvement.

# %% [markdown] tags=["core"]
# ## Tuned with the same effort
#
# For each of four models, 32 settings were drawn from the same ranges: factors, learning rate, decays, first weights and dropout. Models
# with a layer also drew its width, two more decays and the place of the ReLU. A tenth of the training rows chose the winner and its
# epochs. `python -m helpers bench nonlinear` repeats this.
#
# It is the same effort, not the same care. A layer has up to four more settings for the same 32 tries. And each try had one seed, so the search
# did not see the noise of the seeds.
#
# Now each winner trains on all training rows with five seeds. A seed decides the first weights, the order of the rows and the dropout.


# %% tags=["fold"]
tuned = {
    "no layer": {
        "layers": "none", "epochs": 11, "factors": 16, "learning_rate": 0.0086,
        "regularization": 0.16, "bias_regularization": 0.019, "init_scale": 0.05, "dropout": 0.1,
    },
    "user's side": {
        "layers": "user", "epochs": 16, "factors": 4, "learning_rate": 0.0042,
        "regularization": 0.017, "bias_regularization": 0.021, "init_scale": 0.05,
        "order": "relu-dense", "dense_regularization": 4.4e-4, "output_regularization": 0.083,
    },
    "both sides": {
        "layers": "both", "epochs": 5, "factors": 16, "learning_rate": 0.022,
        "regularization": 0.0048, "bias_regularization": 0.05, "init_scale": 0.2, "dropout": 0.1,
        "order": "relu-dense", "hidden": 16, "dense_regularization": 3.8e-6,
        "output_regularization": 0.075,
    },
    "shared": {
        "layers": "shared", "epochs": 11, "factors": 4, "learning_rate": 0.0047,
        "regularization": 0.18, "bias_regularization": 0.015, "init_scale": 0.02,
        "order": "relu-dense", "hidden": 4, "dense_regularization": 1.3e-6,
        "output_regularization": 0.078,
    },
}  # fmt: skip

# %% [markdown]
# How sure are the differences? Runs with the same seed are no pairs. A model with more weights draws more numbers first, and then its rows
# come in another order. So two models have two independent samples of five runs. Their interval is Welch's (1947): where it does not
# contain zero, the seeds alone do not explain the difference.


# %%
def some_seeds(settings, train, number=5):
    """Return fitted models that differ in nothing but their seed."""
    settings = {**settings, "batch_size": 2000, "validation_share": 0}
    return [NonlinearFactorization(seed=seed, **settings).fit(train) for seed in range(number)]


# %% tags=["nbval-ignore-output"]
print(f"{'user + item bias':16} {baseline:.4f}")
runs, scores = {}, {}
for name, settings in tuned.items():
    runs[name] = some_seeds(settings, split.train)
    values = scores[name] = np.array([test_rmse(model) for model in runs[name]])
    print(f"{name:16} {values.mean():.4f}, from {values.min():.4f} to {values.max():.4f}")
    test = stats.ttest_ind(values, scores["no layer"], equal_var=False)
    gap, (low, high) = values.mean() - scores["no layer"].mean(), test.confidence_interval(0.95)
    if name != "no layer":
        print(f"{'':16} minus no layer {gap:+.4f}, 95 % interval [{low:+.4f}, {high:+.4f}]")
    assert 0 <= gap < 0.02

# %% tags=["fold"]
fig, ax = plt.subplots(figsize=(6.4, 3.2))
for row, values in enumerate(scores.values()):
    ax.plot(values, np.full(5, row), "o", markersize=7, alpha=0.7)
ax.axvline(baseline, color=plots.PALETTE["grey"], linestyle="--", label="user + item bias")
ax.set_yticks(range(4), list(scores))
ax.set(xlabel="test RMSE (stars), one dot per seed", ylim=(3.6, -0.6))
ax.set_title("Tuned with the same effort, the model without a layer is best")
ax.xaxis.set_major_locator(plt.MaxNLocator(6))
ax.legend(loc="upper right")
words = "Every seed of the model without a layer has a lower test RMSE than the two bias terms."
show(fig, alt=words)
guess("03").meets("nothing: tuned with the same effort, each layer costs something")

# %% [markdown]
# ### Stretch: how much of a search is luck? · optional
#
# The winner of a search was also lucky: more tries find a lower error, whatever the model. So a search is best shown as a curve, the best
# error to expect from 1, 2, 3, … tries (Dodge et al., 2019).
#
# Take two settings with the errors 0.90 and 0.92. Two tries give four equally likely pairs, and three of them contain 0.90. The best is
# $\tfrac34 \cdot 0.90 + \tfrac14 \cdot 0.92 = 0.905$ on average.
#
# **Exercise 03.9** (10 min, *stretch*). Write `expected_best(errors, tries)`: the mean of the smallest error, when `tries` settings are
# drawn from `errors` and each draw can hit any of them. Compute it exactly, without drawing: below there are 32 errors.


# %%
def expected_best(errors, tries):
    ### BEGIN SOLUTION 03.9
    ordered = np.sort(errors)
    missed = (1 - np.arange(len(ordered) + 1) / len(ordered)) ** tries
    return np.sum(ordered * (missed[:-1] - missed[1:]))
    ### END SOLUTION


# %%
q9 = exercise("03.9")
q9.check(expected_best)

# %% tags=["fold"]
searched = {  # RMSE on a tenth of the training rows, in ten-thousandths of a star, sorted
    "no layer": "8725 8726 8734 8756 8762 8765 8779 8781 8786 8799 8806 8816 8840 8855 8861 "
    "8862 8873 8888 8899 8911 8913 8938 8939 8951 8952 8958 8974 8996 9035 9038 9067 9100",
    "user's side": "8763 8764 8768 8768 8774 8776 8778 8780 8780 8784 8788 8789 8789 8796 8803 "
    "8807 8808 8808 8812 8812 8815 8816 8829 8835 8851 8854 8856 8862 8876 8892 8942 8977",
    "both sides": "8784 8792 8801 8806 8810 8812 8812 8816 8819 8821 8825 8825 8828 8833 8835 "
    "8837 8839 8841 8842 8843 8843 8848 8848 8851 8856 8860 8867 8870 8871 8874 8966 8979",
    "shared": "8810 8820 8821 8822 8824 8826 8827 8830 8831 8831 8836 8842 8850 8851 8851 "
    "8854 8860 8861 8869 8878 8884 8886 8887 8895 8898 8902 8903 8933 8946 8956 9038 9059",
}

expected_best = q9.use(expected_best)
tries, curves = np.arange(1, 33), {}
for name, text in searched.items():
    errors = np.array(text.split(), float) / 10_000
    curves[name] = tries, [expected_best(errors, t) for t in tries]
fig = plots.lines(
    curves, xlabel="tries", ylabel="best error to expect (stars)",
    title="From four tries on, the model without a layer is ahead",
)  # fmt: skip
words = "the user's side has the lowest error to expect, then the model without a layer."
show(fig, alt=f"For up to three tries, {words}")

# %% [markdown]
# ### Other users, other data · optional
#
# The seeds are one source of chance. The users in the test set are another, and the *bootstrap* measures it. It draws as many users as
# there are, with replacement, and takes the mean difference of two models. It does so a thousand times. The middle 95 % of these means is
# the interval.
#
# For each user, the first cell takes the mean squared error with a layer minus that without one. The second cell trains the same winners
# on ML-100K, random 80/20, with two seeds each and without a new search.


# %% tags=["nbval-ignore-output"]
def error_by_user(five):
    """Return each test user's mean squared error, averaged over models."""
    squared = np.mean([(model.predict(users, items) - stars) ** 2 for model in five], axis=0)
    count = np.bincount(users, minlength=ratings.n_users)
    return (np.bincount(users, squared, ratings.n_users) / np.maximum(count, 1))[count > 0]


without = error_by_user(runs["no layer"])
for name in ("user's side", "both sides", "shared"):
    gap = metrics.paired_bootstrap(error_by_user(runs[name]), without)
    print(f"{name:12} minus no layer, squared error per user: {gap}")

# %% tags=["nbval-ignore-output"]
hundred = data.load_or_none("100k")
if hundred is not None:
    other = data.random_split(hundred, test_share=0.2, seed=0)
    columns = [other.test.frame[name].to_numpy() for name in ("user", "item", "rating")]
    level = metrics.rmse(BiasModel().fit(other.train).predict(*columns[:2]), columns[2])
    print(f"{'user + item bias':16} {level:.4f}")
    for name, settings in tuned.items():
        found = [
            metrics.rmse(model.predict(*columns[:2]), columns[2])
            for model in some_seeds(settings, other.train, 2)
        ]
        print(f"{name:16} {np.mean(found):.4f}, from {min(found):.4f} to {max(found):.4f}")
        assert 0.914 < np.mean(found) < 0.936

# %% [markdown] tags=["core"]
# ## Does it help?
#
# Not for a model with bias terms, and not on these ratings. Layers on both sides and the shared layer are no better than two bias terms
# (0.885 and 0.892 against 0.884). With the same settings on ML-100K, the model without a layer has 0.918, the three others more than 0.926.
#
# For ranking, He et al. (2017) reported that a learned network beats the inner product. Rendle et al. (2020) tuned the inner product and
# found the opposite. Layers pay where they have something to work on: features, text, images, new users (chapter 08).


# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 03.q3
choice = "a"
### END SOLUTION
exercise("03.q3").ask(choice)

# %% [markdown]
# ## What the sources say · optional
#
# **"RMSE ON TRAINING and TEST: 0.637, 0.7498"** (2018 talk, the network's last epoch). These are mean *absolute* errors, as in chapter 02.
#
# We train its network on its data and split. To save time, we take batches of 250 instead of 50, and five times the talk's learning rate.
# We compare with what the talk printed after its fifth epoch.


# %% tags=["nbval-ignore-output"]
if hundred is not None:
    u1 = data.predefined_u1(hundred)
    print(f"ML-100K, {u1.name}: five epochs of {len(u1.train):,} ratings")
    repeat = NonlinearFactorization(
        factors=64, layers="shared", biases=False, optimizer="sgd", learning_rate=0.1,
        batch_size=250, regularization=0, init="xavier", init_scale=2.24, epochs=5,
        validation_share=0,
    ).fit(u1.train)  # fmt: skip
    for name, rows, printed in (("train", u1.train, 0.7407), ("test", u1.test, 0.7754)):
        columns = [rows.frame[column].to_numpy() for column in ("user", "item", "rating")]
        predicted = repeat.predict(*columns[:2])
        absolute, root = metrics.mae(predicted, columns[2]), metrics.rmse(predicted, columns[2])
        ours = f"mean absolute error {absolute:.3f} · RMSE {root:.3f}"
        print(f"{name:5} after five epochs: the talk printed {printed:.3f} · {ours}")
        assert abs(absolute - printed) < 0.02 < 0.15 < abs(root - printed)

# %% [markdown]
# With the talk's ten epochs and batches of 50, the mean absolute errors are 0.637 and 0.741. The RMSE are 0.814 and 0.949 (`python -m helpers
# bench nonlinear`).
#
# **`dropout_p`** (2018 talk). The class has the default 0.5, but the network is made with `dropout_p=0.`. So no printed number has
# dropout in it.
#
# **One name, two models** (2018 talk). The slides put the ReLU on the embedding, with a layer per side. The demo shares one layer and puts
# the ReLU behind it. The talk calls both "adding non-linearity".
#
# **"Nonlinearity helps"** (*Dive into Deep Learning*, on its NeuMF). The book trains no matrix factorization by the same protocol, so the
# sentence has no support. Rendle et al. (2020) did, and the inner product won.

# %% [markdown] tags=["core"]
# ## Scoreboard

# %% tags=["nbval-ignore-output"]
protocol = ledger.Protocol(chapter="03", dataset=ratings.name, split=split.name)
ledger.record(protocol, model="user + item bias", metric="RMSE", value=baseline)
ledger.record(protocol, model="a constant", metric="RMSE", value=constant)
for name, values in scores.items():
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    details = {"value": values.mean(), "low": low, "high": high}
    ledger.record(protocol, model=f"biased MF, {name}, 5 seeds", metric="RMSE", **details)
for (layers, biases), values in grid.items():
    model = f"{'biases' if biases else 'no biases'}, layers: {layers}"
    for seed, value in enumerate(values):
        ledger.record(protocol, model=model, metric="RMSE", value=value, seed=seed)
for (framework, layers), value in reached.items():
    model = f"talk's net in {framework}, layers: {layers}"
    ledger.record(protocol, model=model, metric="RMSE", value=value, seed=0)
ledger.scoreboard("03")

# %% [markdown] tags=["core"]
# ## Recap
#
# In this chapter we
#
# - trained the talk's networks in three frameworks, and counted that a layer adds about one percent of numbers;
# - proved where an inner product of given features fails, and saw a layer on both sides succeed;
# - saw that with free embeddings a layer adds no new predictions, and that ReLU on an embedding freezes half of it;
# - found that the layer repairs what bias terms repair, and that with them no layer is needed here.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is deleted when
# the session ends: save your notebooks with *File → Download*.
#
# **Next:** [04 Negative sampling](04_negative_sampling.ipynb): most users give no stars, they only click.

# %% [markdown]
# ### References · optional
#
# **References.** C. Eckart and G. Young, 1936: *The approximation of one matrix by another of lower rank*. Psychometrika 1. · B. L. Welch,
# 1947: *The generalization of "Student's" problem when several different population variances are involved*. Biometrika 34. · N.
# Srivastava et al., 2014: *Dropout*. JMLR 15. · X. He et al., 2017: *Neural Collaborative Filtering*. WWW. · J. Dodge et al., 2019: *Show
# Your Work*. EMNLP. · S. Rendle, W. Krichene, L. Zhang and J. Anderson, 2020: *Neural Collaborative Filtering vs. Matrix Factorization
# Revisited*. RecSys. · A. Zhang, Z. Lipton, M. Li and A. Smola: *Dive into Deep Learning*. · AWS, 2018: training talk on recommender
# systems with MXNet and SageMaker.

# %%
progress("03")
