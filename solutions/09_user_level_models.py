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
# # 09 · User-level models
#
# Models so far answer for one user and one item. A shop asks another question: of all items, which should this user see next? The
# networks of this chapter read a whole history and score all items in one pass. Then we ask whether the order of a history counts.

# %% [markdown]
# | | |
# |---|---|
# | **You will be able to** | replace a loop over pairs by one pass · write a network that reads a history · mask the padding of histories and of targets · count what comes after what · say what an interval establishes |
# | **Prerequisites** | [01](01_sparsity.ipynb), [04](04_negative_sampling.ipynb) |
# | **Time** | 50 minutes for the core, 95 for all; 50 seconds to run |
# | **Needs** | no network, no account, no GPU; MXNet and ML-100K if installed |
# | **Builds on** | AWS re:Invent session MAC306, its part on user-level models (Dirac, 2016) |
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*

# %%
import sys
import time
from functools import partial

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import sparse
from scipy.sparse.linalg import svds
from scipy.special import expit, log_softmax, logsumexp  # expit is the sigmoid

from helpers import data, gates, ledger, metrics, plots
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import EASE, ImplicitALS, Popularity
from helpers.models.order import DecayedEASE, Transitions, decayed
from helpers.models.training import freed_afterwards
from helpers.models.userlevel import UserLevel, event_sequences, multi_hot, pad_histories

plots.style()

# %% [markdown] tags=["core"]
# ## Predict before you run
#
# A loop asks a model for one score at a time: 671 users, 9,066 films, six million calls. One pass computes all of them at once.
#
# Somebody signs up today and names three films. A shop would like to rank for this new user without training. It has popularity, a
# factorization and EASE (chapter 04).

# %%
one_pass = "How many times faster than the loop is a single pass for everybody?"
guess("09", one_pass, ["about 5", "about 50", "about 500"])
new_user = "Which of the three can make a list of their own for a new user?"
guess("09.b", new_user, ["none of them", "EASE", "EASE and the factorization", "all three"])

# %% [markdown] tags=["core"]
# ## From a loop to one product
#
# The talk's `movies_for_user` calls `predictScore(u, m)` for every film. Ours is a dot product, as in chapter 02. A truncated singular
# value decomposition (SVD) makes the vectors. One product of matrices computes the same scores, for all users at once.
#
# We hide the last ten events of each user; events of equal time are in random order.

# %%
ratings = data.load()
split = data.leave_last_out(ratings, k=10, ties="random", seed=0)
sequences = event_sequences(split.train)  # one array per user, earliest first
left, size, right = svds(split.train.matrix(), k=64, v0=np.ones(ratings.n_users))
user_vectors, item_vectors = (left * size).astype(np.float32), right.T.astype(np.float32)


def predict_score(user, item):
    return float(user_vectors[user] @ item_vectors[item])


def items_for_user(user, n=10):
    scores = {}
    for item in range(ratings.n_items):
        scores[item] = predict_score(user, item)
    return sorted(scores, key=scores.get, reverse=True)[:n]


best = items_for_user(3)
everything = user_vectors @ item_vectors.T  # the same scores for all users, (n_users, n_items)
print(str(split).replace(" (", "\n("))
print("user 3:", " · ".join(plots.short(t) for t in ratings.items["title"].iloc[best[:3]]))
print(f"{len(everything)} users × {everything.shape[1]:,} items: {everything.nbytes / 1e6:.0f} MB")
print("same ten as the loop for user 3:", set(metrics.top_k(everything[[3]])[0]) == set(best))
del everything

# %% [markdown] tags=["core"]
# ## A user is what they took
#
# The product needs one *vector per user*, made in training. The talk's next step drops it.
#
# Let $H$ be the set of items that a user took, and $|H|$ its size. The tables $E$ and $W$ have one row per item: $E$ for reading
# histories, $W$ for scoring.
#
# $$h = \tanh\Big(b + \frac{1}{\sqrt{|H|}} \sum_{i \in H} E_i\Big), \qquad s = W h + c$$
#
# $h$ is the hidden layer, with the bias $b$. $c$ holds one bias per item, and $s$ the scores of **all** items. This is a *multi-label*
# network: it has many outputs, and several may be right at once. YouTube's network for candidates began the same way, with a mean over
# what was watched (Covington et al., 2016).

# %%
rng, shape = np.random.default_rng(0), (2, ratings.n_items, 64)
E, W = rng.normal(0, 0.3 / np.sqrt(64), shape).astype(np.float32)
shares = (split.train.item_counts() + 0.5) / ratings.n_users
b, c = np.zeros(64, np.float32), np.log(shares).astype(np.float32)  # at first: popularity
weights = dict(item_in=E, hidden_bias=b, item_out=W, item_bias=c)
print(" · ".join(f"{name} {table.shape}" for name, table in weights.items()))

# %% [markdown] tags=["core"]
# ## The mask that must follow
#
# The talk stores histories as lists of item indices. Shorter lists are padded at the end with −1, as in chapter 01.
#
# We know that −1 means "nothing here". A lookup takes it for an index. Three items with the rows 1, 2 and 3 show what each framework
# reads for −1, and for an index that is too large.

# %% tags=["fold"]
print("The frameworks load, which takes some seconds.", flush=True)
import tensorflow as tf

keras = gates.import_keras()  # without its wrappers for scikit-learn: 60 MB less
ops, tiny = keras.ops, np.array([[1.0], [2.0], [3.0]], dtype=np.float32)
layer = keras.layers.Embedding(3, 1, weights=tiny)
lookups = {"NumPy": lambda i: tiny[i], "tf.gather": lambda i: tf.gather(tiny, i)}
lookups["Keras Embedding"] = layer
if gates.mxnet.ready("MXNet's lookup"):
    mx = gates.import_mxnet()
    of_mxnet = {"weight": mx.nd.array(tiny), "input_dim": 3, "output_dim": 1}
    lookups["MXNet Embedding"] = lambda i: mx.nd.Embedding(mx.nd.array(i), **of_mxnet).asnumpy()


def row_read(lookup, index):
    try:
        with tf.device("CPU:0"):  # on a GPU TensorFlow raises no error
            return f"row {int(np.asarray(lookup(np.array([index]))).ravel()[0])} of 3"
    except (IndexError, tf.errors.InvalidArgumentError):
        return "an error"


rows_read = {name: [row_read(f, -1), row_read(f, 3)] for name, f in lookups.items()}
pd.DataFrame(rows_read, index=["index −1", "index 3"])

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 09.q2
choice = "b"
### END SOLUTION
exercise("09.q2").ask(choice)

# %% [markdown]
# Only TensorFlow's own lookup refuses −1, and only on a CPU. On a GPU it returns zeros, as its documentation says. In the three others,
# nothing crashes. Every padded user has just been given a film, once per padded place.
#
# **Exercise 09.3** (6 min). Write `masked_sum(table, padded)`. For each row of `padded` (users × length) it adds up the rows of `table`
# (items × width) that are named there. Padding adds nothing, and a row of only −1 gives zeros. Do not change `table` or `padded`.
# Stuck? Run `q3.hint()` or `q3.solution()` in a cell of your own.
#
# The cell after the check writes the sum in another way, as a product with a sparse matrix of ones: *sparse in*.


# %%
def masked_sum(table, padded):
    ### BEGIN SOLUTION 09.3
    real = padded >= 0
    rows = table[np.where(real, padded, 0)]
    return (rows * real[:, :, None]).sum(axis=1)
    ### END SOLUTION


# %%
q3 = exercise("09.3")
q3.check(masked_sum)

# %%
masked_sum = q3.use(masked_sum)
padded = pad_histories(sequences[:100], width=300)  # the latest 300 events, then -1
product = multi_hot(padded, ratings.n_items) @ E
print("equal to the sparse product:", np.allclose(masked_sum(E, padded), product, atol=1e-4))
wrong = np.linalg.norm(E[padded].sum(axis=1) - product, axis=1) > np.linalg.norm(product, axis=1)
print(f"without the mask, the error is longer than the sum itself for {wrong.mean():.0%} of users")

# %% [markdown] tags=["core"]
# ## The whole network
#
# Now write the network itself, for padded lists. Look again at its two formulas, and at the names in `weights`.
#
# **Exercise 09.7** (8 min). Write `forward(weights, padded)` with your `masked_sum`: the scores of all items for each row of `padded`,
# shape (users, items). The row `[5, 9, -1]` has $|H| = 2$. Without any history, the sum is zero and the scores are still finite.
#
# The cell after the check answers the first question of the beginning. It times the loop for five users, and everything else for all. (The
# loop also sorts; the others only score.)


# %%
def forward(weights, padded):
    ### BEGIN SOLUTION 09.7
    length = np.maximum((padded >= 0).sum(axis=1, keepdims=True), 1)
    total = masked_sum(weights["item_in"], padded) / np.sqrt(length) + weights["hidden_bias"]
    return np.tanh(total) @ weights["item_out"].T + weights["item_bias"]
    ### END SOLUTION


# %%
q7 = exercise("09.7")
q7.check(forward)

# %% tags=["nbval-ignore-output", "timing"]
forward = q7.use(forward)
taken = multi_hot(pad_histories(sequences), ratings.n_items)  # sparse rows of ones
blocks = np.array_split(pad_histories(sequences), 13)[:3]  # as wide as the longest history


def ms_per_user(work, n_users):
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds) / n_users


loop = ms_per_user(lambda: [items_for_user(user) for user in range(5)], 5)
print(f"loop over pairs        {loop:8.3f} ms per user")
factors = []
for name, work, n_users in (
    ("matrix product", lambda: user_vectors @ item_vectors.T, len(taken.indptr) - 1),
    ("network, sparse rows", lambda: np.tanh(taken @ E) @ W.T, len(taken.indptr) - 1),
    ("network, padded lists", lambda: [forward(weights, x) for x in blocks], sum(map(len, blocks))),
):
    each = ms_per_user(work, n_users)
    factors.append(loop / each)
    print(f"{name:22} {each:8.3f} ms per user: {loop / each:,.0f} times as fast")
assert min(factors[:2]) > 50
guess("09").meets(f"about {factors[0]:,.0f} for the product, {factors[1]:,.0f} for the network")

# %% [markdown]
# With sparse rows, the network costs little more than the product: both spend most of their time on the 9,066 outputs. The padded lists are
# as wide as the longest history, and most of their places are padding. That costs time. A width of 300 would be much faster, and forgets
# what was earlier.

# %% [markdown] tags=["core"]
# ## Sparse out: a mask in the loss
#
# For training, the talk cuts each history in two: *inputs*, the earlier events, and what to *predict*, the last few. On its slide the
# line *Predict* is padded with −1, too: `1882, 2808, 24, 160, 1831, 2668,-1,-1,-1,-1`. So the loss needs a mask as well.
#
# We take the *softmax loss*. It treats a target $i$ as one draw from all items:
#
# $$\text{loss}_i = -\log \frac{e^{s_i}}{\sum_j e^{s_j}}$$
#
# Scores log 1, log 2 and log 5 stand for chances of 1/8, 2/8 and 5/8. The target 2 costs $-\log 5/8 = .47$.

# %% [markdown]
# **Exercise 09.8** (8 min). Write `padded_loss(scores, targets)`: the mean loss of all **real** targets in a batch. `scores` has shape
# (users, items), and `targets` (users, k) holds item indices and −1. A batch without any real target gives 0.
#
# SciPy's `log_softmax(scores, axis=1)` returns the logarithms of the chances, without overflow.


# %%
def padded_loss(scores, targets):
    ### BEGIN SOLUTION 09.8
    real = targets >= 0
    logs = np.take_along_axis(log_softmax(scores, axis=1), np.where(real, targets, 0), axis=1)
    return -(logs * real).sum() / max(1, real.sum())
    ### END SOLUTION


# %%
q8 = exercise("09.8")
q8.check(padded_loss)

# %% [markdown]
# ## Cut histories, and a forgotten mask · optional
#
# What does a forgotten mask do to a training? First we need the data: many histories, each cut in two.
#
# **Exercise 09.2** (6 min). Write `cut(history, k, width)` for one list of item indices, earliest first. It returns two lists or arrays:
#
# - *inputs*, of length `width`: the **latest** of the events before the last `k`, in order, padded at the end with −1;
# - *targets*: the last `k` events.
#
# A history of `k` events or fewer is all input, and its targets are empty.


# %%
def cut(history, k, width):
    ### BEGIN SOLUTION 09.2
    at = len(history) - k if len(history) > k else len(history)
    kept = list(history[max(0, at - width) : at])
    return kept + [-1] * (width - len(kept)), history[at:]
    ### END SOLUTION


# %%
q2 = exercise("09.2")
q2.check(cut)

# %%
cut = q2.use(cut)


def examples(per_user, k, width):
    """Cut every history at random places: padded inputs and padded targets."""
    rng, inputs, targets = np.random.default_rng(0), [], []
    for history in sequences:
        for end in rng.integers(1, len(history) + 1, per_user):
            early, late = cut(history[:end].tolist(), k, width)
            inputs.append(early)
            targets.append([*late, *[-1] * (k - len(late))])
    return np.array(inputs, np.int32), np.array(targets, np.int32)


inputs, targets = examples(per_user=3, k=10, width=100)
print(f"{len(inputs):,} examples, {(inputs < 0).mean():.0%} of the inputs are padding,", end=" ")
print(f"{(targets < 0).mean():.0%} of the targets")

# %% [markdown]
# Now the network in Keras, ready to be trained. Compare it with yours, line by line. You can change it: another activation, another
# divisor, one more layer. `keras_loss` has the mask of your loss, and a way to forget it.


# %%
class UserLevelNet(keras.Model):
    def __init__(self, start):
        super().__init__()
        self.tables = {n: self.add_weight(shape=w.shape, name=n) for n, w in start.items()}
        self.built = True
        self.set_weights(list(start.values()))

    def call(self, padded):
        known = ops.cast(padded >= 0, "float32")  # (B, length)
        rows = ops.take(self.tables["item_in"], ops.maximum(padded, 0), axis=0)
        n_known = ops.maximum(ops.sum(known, axis=1, keepdims=True), 1.0)
        total = ops.einsum("blk,bl->bk", rows, known) / ops.sqrt(n_known)
        hidden = ops.tanh(total + self.tables["hidden_bias"])
        return ops.matmul(hidden, ops.transpose(self.tables["item_out"])) + self.tables["item_bias"]


def keras_loss(targets, scores, masked=True):
    targets = ops.cast(targets, "int32")
    counted = ops.cast(targets >= 0, "float32") if masked else 1.0
    logs = ops.log_softmax(scores)
    logs = ops.take_along_axis(logs, ops.maximum(targets, 0) if masked else targets, axis=1)
    return -ops.sum(logs * counted, axis=1)


padded_loss = q8.use(padded_loss)
by_hand = forward(weights, inputs[:64])
same = np.allclose(UserLevelNet(weights)(inputs[:64]), by_hand, atol=1e-3)
print("Keras equals your network:", same)
of_64 = keras_loss(targets[:64], by_hand)
mean = ops.sum(of_64) / (targets[:64] >= 0).sum()
print("and your loss:", np.allclose(mean, padded_loss(by_hand, targets[:64]), atol=1e-3))

# %% tags=["nbval-ignore-output"]
latest = pad_histories(sequences, width=100)
last_film = ratings.n_items - 1
for name, loss in {"masked": keras_loss, "forgotten": lambda t, s: keras_loss(t, s, False)}.items():
    keras.utils.set_random_seed(0)
    with freed_afterwards():
        net = UserLevelNet(weights)
        net.compile(keras.optimizers.Adam(0.005), loss, jit_compile=False)
        net.fit(inputs, targets, batch_size=64, epochs=3, verbose=0)
        by_net = net(latest).numpy()
        del net
    result = metrics.evaluate(by_net, split.test, seen=split.train)
    everywhere = (metrics.top_k(by_net, seen=split.train) == last_film).any(axis=1).mean()
    title = plots.short(ratings.items["title"].iloc[last_film])
    print(f"mask {name}: {result['ndcg']}, {title} in {everywhere:.0%} of the lists")
del by_net

# %% [markdown]
# Without the mask, −1 makes the last film of the catalog a target of everybody with a short history. Here it enters more than a third of
# the lists, and the NDCG is lower by almost a fifth. Nothing crashed.

# %% [markdown] tags=["core"]
# ## Five models, one protocol
#
# Popularity, EASE, and the course's version of this network, `UserLevel`, with three losses. It hides half of each history at random and
# asks for all of it.
#
# - *Multi-label cross-entropy* asks of every item: taken or not?
# - The *softmax loss* (listwise) is yours: every taken item is a draw from all.
# - The *pairwise loss* wants a taken item above one that was not taken, as BPR does in chapter 04.
#
# Ten films per user are hidden. We measure hit rate (HR@10) and normalized discounted cumulative gain (NDCG@10) over the full catalog
# without what was seen. A search on training rows chose the settings, with equally many tries per loss. Two trainings were then
# shortened; on those rows it made no established difference.


# %%
def judge(model, part=split):
    """HR@10 and NDCG@10 over the full catalog, without what was seen."""
    with freed_afterwards():  # gives memory back
        return metrics.evaluate(model, part.test, seen=part.train, block=256)


multi_label = partial(UserLevel, "multi-label", epochs=12, learning_rate=0.008)
softmax_net = partial(UserLevel, "softmax", epochs=10)
pairwise = partial(UserLevel, "pairwise", epochs=20, learning_rate=0.01)
makers = {"net, multi-label": multi_label, "net, softmax": softmax_net, "net, pairwise": pairwise}

# %% tags=["nbval-ignore-output"]
results, nets = {}, {}  # (model, seed) -> its metrics; the networks of seed 0
for name, model in {"popularity": Popularity(), "EASE": EASE(regularization=800)}.items():
    results[name, None] = judge(model.fit(split.train))
    print(f"{name:17} {results[name, None]['hit_rate']}  {results[name, None]['ndcg']}")
ease = results["EASE", None]["ndcg"].values
del model  # 50 MB
for name, make in makers.items():
    fitted = [make(seed=seed).fit(split.train) for seed in range(3)]
    results |= {(name, seed): judge(net) for seed, net in enumerate(fitted)}
    nets[name] = fitted[0]
    each = [results[name, seed]["ndcg"].values for seed in range(3)]
    print(f"{name:17} NDCG@10 of seeds 0, 1, 2:", *(f"{values.mean():.4f}" for values in each))
    gap = metrics.paired_bootstrap(np.mean(each, axis=0), ease)
    print(f"   mean of the seeds minus EASE: {gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]")
    assert name != "net, multi-label" or gap.high >= 0
del fitted

# %% [markdown]
# With multi-label cross-entropy, the network is not established to be better or worse than EASE: the interval holds zero. That is not
# *equal*: the interval allows a loss of a twelfth of EASE's value, or a gain of a twentieth.
#
# The three losses come in the same order in every seed. The pairwise loss is established to be below EASE: it meets one film that was not taken
# for each film that was. Chapter 10 asks again which loss to take.

# %% [markdown] tags=["core"]
# ## Order counts
#
# To this network a history is a *set*: it does not know which film came last. The same is true of EASE and of factorizations such as
# iALS (implicit alternating least squares). Is anything lost? To see it, we hide only the last film of each user.
#
# The simplest model of order only counts. One user took A, B, C, in this order. B came one step after A, C one step after B, and C two steps
# after A. A pair $d$ steps apart counts $\text{decay}^{\,d-1}$. With decay .8:
#
# | earlier → later | A → B | B → C | A → C |
# |---|---|---|---|
# | steps | 1 | 1 | 2 |
# | weight | 1 | 1 | .8 |

# %% [markdown]
# **Exercise 09.9** (8 min). Write `transitions(history, window, decay)` for one history, earliest first. It returns a list of rows
# `(earlier, later, weight)`: one for each pair of events at most `window` steps apart. The rows may come in any order. The same pair may
# have several rows.


# %%
def transitions(history, window, decay):
    ### BEGIN SOLUTION 09.9
    pairs = [(a, a + d) for d in range(1, window + 1) for a in range(len(history) - d)]
    return [(history[a], history[b], decay ** (b - a - 1)) for a, b in pairs]
    ### END SOLUTION


# %%
q9 = exercise("09.9")
q9.check(transitions)

# %% [markdown]
# The counts of all users make a matrix $C$: how often item $j$ came soon after item $i$. Most pairs are rare. So we *smooth*: the
# popularity $n_j$, a share of all events, weighs as much as 50 observations. The chance of item $j$ after item $i$ is
#
# $$p(j \mid i) = \frac{C_{ij} + 50\, n_j}{\sum_k C_{ik} + 50}$$
#
# The score of a whole history is a weighted mean of these chances over its last ten items. Each step back weighs .8 as much: the history
# is *decayed*.

# %%
transitions = q9.use(transitions)
last_one = data.leave_one_out(ratings, ties="random", seed=0)
histories = event_sequences(last_one.train)
rows = [transitions(history.tolist(), 10, 0.8) for history in histories]
rows = np.concatenate(rows, dtype=np.float32).T  # earlier, later, weight
counts = sparse.csr_matrix((rows[2], rows[:2].astype(int)), (ratings.n_items, ratings.n_items))
popular = last_one.train.item_counts() / len(last_one.train)


def shuffled(train, seed):
    order = np.random.default_rng(seed).permutation(len(train))
    return train.replace(train.frame.assign(timestamp=order))


def next_scores(counts, history, smoothing=50, decay=0.8, last=10):
    recent = history[::-1][:last]  # the latest first
    after = counts[recent].toarray()  # (10, n_items)
    chances = (after + smoothing * popular) / (after.sum(axis=1, keepdims=True) + smoothing)
    weight = decay ** np.arange(len(recent))
    return (weight @ chances / weight.sum()).astype(np.float32)


del rows
by_order = np.array([next_scores(counts, history) for history in histories])
course = Transitions().fit(last_one.train).scores(np.arange(100))
print("equal to the course's Transitions:", np.allclose(by_order[:100], course, atol=1e-6))


# %% tags=["nbval-ignore-output"]
models = {"popularity": Popularity, "net, multi-label": multi_label, "iALS": ImplicitALS}
models |= {"EASE": EASE, "EASE, decayed": partial(DecayedEASE, regularization=200)}  # as EASE's
single = {name: judge(make().fit(last_one.train), last_one) for name, make in models.items()}
single["transitions"] = judge(by_order, last_one)
control = Transitions().fit(shuffled(last_one.train, seed=0))
single["transitions, shuffled"] = judge(control, last_one)
ndcg = {name: result["ndcg"] for name, result in single.items()}
for name, result in single.items():
    print(f"{name:22} {result['hit_rate']}  {result['ndcg']}")
print("\nNDCG@10, differences:")
for one in ("transitions", "EASE, decayed", "net, multi-label", "transitions, shuffled"):
    to_ease, to_ials = (ndcg[one].compare(ndcg[other]) for other in ("EASE", "iALS"))
    print(f"{one} - EASE: {to_ease}, - iALS: {to_ials}")
print("transitions - EASE, decayed:", ndcg["transitions"].compare(ndcg["EASE, decayed"]))
del control, by_order
title = "Counting what came next is ahead of EASE and iALS"
words = "; ".join(f"{name} {result.mean:.3f}" for name, result in ndcg.items())
show(plots.intervals(ndcg, title=title), alt=f"NDCG@10 on the full catalog: {words}.")
assert ndcg["transitions"].compare(ndcg["iALS"]).low > 0
assert ndcg["transitions, shuffled"].compare(ndcg["iALS"]).low <= 0
assert ndcg["net, multi-label"].compare(ndcg["EASE"]).high >= 0

# %% [markdown]
# Counting what is near in time is ahead of iALS and of EASE: both intervals are above zero. The last row is a control, with the events of
# each training history shuffled. It falls below iALS. (It also reads ten random films instead of the last ten.)
#
# What is it that counts? `EASE, decayed` is the same EASE, asked with histories whose older films weigh less. It is halfway between EASE and
# the transitions. Neither half is established alone, only the whole is.
#
# A caution: most ratings of this data come within a minute of the one before. People rated films as the pages of MovieLens showed them, not as
# they watched them. Part of this order is the order of those pages.

# %% [markdown] tags=["core"]
# ## A new user
#
# Now the second question of the beginning. Popularity has one list for all. A factorization has no row for a new user, but an SVD can
# *fold in*: history times item vectors gives a user vector. EASE and our networks need only the history.
#
# We train the network without every tenth user. Then we give it their histories for the first time.

# %%
new = np.arange(0, ratings.n_users, 10)
known = split.train.replace(split.train.frame[~split.train.frame["user"].isin(new)])
test_new = split.test.replace(split.test.frame[split.test.frame["user"].isin(new)])
known_rows = taken[np.setdiff1d(np.arange(ratings.n_users), new)].astype(float)
taste = svds(known_rows, k=16, v0=np.ones(known_rows.shape[0]))[2]  # (16, n_items)


def for_new(rows):
    """NDCG@10 of the new users, from scores of their own."""
    table = np.zeros((ratings.n_users, ratings.n_items), np.float32)
    table[new] = rows
    return metrics.evaluate(table, test_new, seen=split.train)["ndcg"]


folded = for_new((taken[new] @ taste.T) @ taste)
by_ease = for_new(EASE(regularization=800).fit(known).score_histories(taken[new]))

# %% tags=["nbval-ignore-output"]
never_met = multi_label(seed=0).fit(known)
served = {
    "network, never met": for_new(never_met.score_histories(taken[new])),
    "network, trained on them": for_new(nets["net, multi-label"].scores(new)),
    "SVD, folded in": folded,
    "EASE": by_ease,
    "popularity": for_new(Popularity().fit(known).scores(new)),
}
for name, result in served.items():
    gap = served["network, never met"].compare(result)
    interval = f"{gap.value:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]"
    print(f"{name:24} {result}, never met minus it {interval}")
assert served["network, never met"].compare(served["popularity"]).value > 0.01
try:
    never_met.score_histories([[5, 9066], [7, -1]])
except IndexError as error:
    print("IndexError:", error)
guess("09.b").meets("EASE, and the factorization by folding in; popularity has one list for all")

# %% [markdown]
# The network that never met these 68 users is far above popularity. Between it and the network trained on them, no difference is
# *established*. That is not *equal*: the interval allows that it is worse by a sixth. Nor is it established to be better than folding in.

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 09.q1
choice = "c"
### END SOLUTION
exercise("09.q1").ask(choice)

# %% [markdown]
# ### Films one by one · optional
#
# Some of the new users arrive, and the network sees their films one at a time, in the order of rating. No step of training lies between
# one list and the next. With 0 films everyone gets the same list, close to popularity. How many films does it take to change it?

# %% tags=["nbval-ignore-output", "fold"]
future = {user: rows["item"].to_numpy() for user, rows in split.test.frame.groupby("user")}
arriving = {f"user {u}": u for u in new if 20 <= len(sequences[u]) <= 45}


def arrival(person, films):
    """The ten best for a new user's first films, and which of them come up later."""
    user = arriving[person]
    shown = sequences[user][:films]
    score = never_met.score_histories(pad_histories([shown]))[0]
    score[shown] = -np.inf
    top = np.argsort(-score)[:10]
    later = np.concatenate([sequences[user][films:], future[user]])
    return shown, top, expit(score[top]), np.isin(top, later)


def draw_arrival(person, films):
    shown, top, likely, later = arrival(person, films)
    fig, ax = plt.subplots(figsize=(7.4, 3.4))
    colors = np.where(later, plots.PALETTE["blue"], plots.PALETTE["grey"])
    ax.barh(range(10), 100 * likely, color=colors)
    ax.set_yticks(range(10), [plots.short(t, 34) for t in ratings.items["title"].iloc[top]])
    ax.invert_yaxis()
    for row in np.flatnonzero(later):
        ax.text(100 * likely[row], row, " rated later", va="center")
    ax.set(xlabel="chance (%), as the network says", xlim=(0, max(20, 130 * likely[0])))
    last = f", the last {plots.short(ratings.items['title'].iloc[shown[-1]], 30)}" if films else ""
    ax.set_title(f"{films} films seen{last}\nrated later: {later.sum()} of these ten", x=-0.55)
    fig.tight_layout()
    return fig


def tell_arrival(person, films):
    _, top, _, later = arrival(person, films)
    are = "is" if later.sum() == 1 else "are"
    hits = f"{later.sum()} of ten suggestions {are}"
    first = ratings.items["title"].iloc[top[0]]
    return f"After {films} films of {person}, {hits} rated later; the first is {first}."


explore(
    draw_arrival,
    alt=tell_arrival,
    person=widgets.Dropdown(options=list(arriving)[:6], description="new user"),
    films=widgets.IntSlider(value=5, min=0, max=20, description="films seen"),
)

# %% [markdown]
# ### Stretch: how many people would it take? · optional
#
# "Not told apart" is not "equal". Who wants to say *equal* chooses a margin first: a difference too small to matter. The two models are
# equal for this purpose when the **whole** interval lies between −margin and +margin.
#
# An interval gets narrower with more people: its width is proportional to $1/\sqrt{\text{people}}$. Say its middle stays where it is.
#
# **Exercise 09.10** (8 min, *stretch*). Write `people_needed(low, high, people, margin)`: how many people it takes until the interval,
# now `[low, high]` with `people` people, just fits between −margin and +margin. No need to round. Where no number is enough, return
# `np.inf`. The answer may also be fewer people than now.


# %%
def people_needed(low, high, people, margin):
    ### BEGIN SOLUTION 09.10
    half, middle = (high - low) / 2, abs(low + high) / 2
    room = margin - middle
    return people * (half / room) ** 2 if room > 0 else np.inf
    ### END SOLUTION


# %%
q10 = exercise("09.10")
q10.check(people_needed)

# %%
people_needed = q10.use(people_needed)
gap = folded.compare(by_ease)  # two close rows of the table above
for share in (0.25, 0.1, 0.01):
    needed = np.round(people_needed(gap.low, gap.high, len(new), share * by_ease.mean), -1)
    print(f"to show that EASE and folding in differ by less than {share:.0%}: {needed:,.0f} people")

# %% [markdown]
# The 68 people are enough to exclude a difference of a quarter. To exclude a tenth takes about three hundred. And a difference below a
# hundredth can never be shown if the middle of the interval stays where it is: the middle alone is more than that.

# %% [markdown]
# ## More about order · optional
#
# One draw of equal times is one draw. We repeat with three seeds. Each draws the split and the order of equal times in the histories.
# ML-100K follows where it is installed. Then: what does a timestamp of MovieLens record?


# %% tags=["nbval-ignore-output"]
def tied(source):
    """Share of the users whose two latest events have the same time."""
    last_two = source.frame.sort_values(["user", "timestamp"]).groupby("user").tail(2)
    return (last_two.groupby("user")["timestamp"].nunique() == 1).mean()


hundred = data.load_or_none("100k")
for source in [ratings] if hundred is None else [ratings, hundred]:
    print(f"{source.name}: the two latest times are equal for {tied(source):.0%} of the users")
    for seed in range(3):
        part = data.leave_one_out(source, ties="random", seed=seed)
        by_counts = judge(Transitions(seed=seed).fit(part.train), part)["ndcg"]
        no_order = judge(Transitions(seed=seed).fit(shuffled(part.train, seed)), part)["ndcg"]
        ials = judge(ImplicitALS().fit(part.train), part)["ndcg"]
        gap = by_counts.compare(ials)
        print(f"   seed {seed}: {by_counts.mean:.3f}, shuffled {no_order.mean:.3f},", end=" ")
        print(f"iALS {ials.mean:.3f}; transitions - iALS {gap}")
        assert gap.low > 0 and no_order.compare(ials).low <= 0

# %%
events = ratings.frame.sort_values(["user", "timestamp"], kind="stable")
pause = events.groupby("user")["timestamp"].diff().dropna()
for seconds in (60, 3600):
    share = (pause < seconds).mean()
    print(f"{share:.0%} of the ratings came less than {seconds:,} seconds after the one before")

# %% [markdown]
# The gain over iALS is established in every draw. So is the fall when the order is shuffled.
#
# And the clock? Five of six ratings came within a minute of the one before. A timestamp of MovieLens records when somebody
# clicked a rating on a page, and pages have an order of their own. In your data, ask what the time of an event records.

# %% [markdown]
# ### A ridge on decayed histories · optional
#
# A regression can do what the counts do. It also notices when several earlier items say the same. Let row $t$ of $X$ be the decayed
# history before event $t$, and row $t$ of $Y$ the event itself, as one 1. The *ridge* map $M$ minimizes
# $\lVert Y - XM \rVert^2 + \lambda \lVert M \rVert^2$, and has a closed form:
#
# $$M = (X^\top X + \lambda I)^{-1} X^\top Y$$
#
# You know $X^\top Y$ already: it is your matrix of counts. To save memory, $X$ keeps the items with at least 20 events.

# %% tags=["nbval-ignore-output"]
kept = np.flatnonzero(last_one.train.item_counts() >= 20)
before = [history[max(0, t - 10) : t] for history in histories for t in range(len(history))]
gram = 300 * np.eye(len(kept), dtype=np.float32)  # λ = 300
for start in range(0, len(before), 300):  # in parts, for the memory's sake
    X = decayed(before[start : start + 300], ratings.n_items)[:, kept].tocoo()
    here, place = np.unique(X.col, return_inverse=True)
    X = sparse.csr_matrix((X.data, (X.row, place)), (300, len(here)))
    gram[np.ix_(here, here)] += (X.T @ X).toarray()
rows = decayed(histories, ratings.n_items)[:, kept].toarray()
scores = np.linalg.solve(gram, rows.T).T @ counts[kept]  # rows @ M, without M
del before, gram, X
single["next-item ridge"] = judge(scores, last_one)
both_ways = counts + counts.T  # forgets which of two items came first
scores = np.array([next_scores(both_ways, history) for history in histories])
single["counts both ways"] = judge(scores, last_one)
for name in ("next-item ridge", "counts both ways"):
    print(f"{name:16} {single[name]['hit_rate']}  {single[name]['ndcg']}")
    gaps = [single[name]["ndcg"].compare(ndcg[other]) for other in ("transitions", "EASE")]
    print("   minus transitions: {}, minus EASE: {}".format(*gaps))
del scores, both_ways

# %% [markdown]
# The ridge is established to be better than EASE. A difference to the transitions is not established.
#
# The second line is a surprise. Its counts forget which of two films came first, and no loss is established. So it may not be the
# *direction* that matters. It may be which films are close in time, and which came last. That fits the pages of MovieLens.

# %% [markdown]
# ### Stretch: a network that reads the order · optional
#
# A *gated recurrent unit* (GRU) reads a history item by item. It keeps a state, and learns what to keep and what to replace. GRU4Rec
# (Hidasi et al., 2016) brought it to recommendations.
#
# Your `cut` with `k=1` makes the examples: a history, and the film that came next. We add 1 to the items, so that padding becomes 0.
# `mask_zero=True` tells the layers after the embedding to skip it. To save time, the net reads and ranks only the items with at least
# ten events.

# %%
kept = np.flatnonzero(last_one.train.item_counts() >= 10)
number = np.full(ratings.n_items + 1, -1)  # its last place is what -1, padding, reads
number[kept] = np.arange(len(kept))  # from 0, for the items with ten events or more
rng, pairs = np.random.default_rng(0), []
for history in histories:
    for end in rng.integers(2, len(history) + 1, 20):
        early, late = cut(history[max(0, end - 11) : end].tolist(), 1, 10)
        pairs.append([*early, late[0]])
pairs = number[np.array(pairs)]
pairs = pairs[pairs[:, -1] >= 0]
pairs = pairs[: len(pairs) // 128 * 128]  # whole batches: another size is compiled anew
print(f"{len(pairs):,} examples: ten films at most, and the next one")

# %% tags=["nbval-ignore-output"]
keras.utils.set_random_seed(0)
by_share = keras.initializers.Constant(np.log(popular[kept]))
with freed_afterwards():
    gru = keras.Sequential([keras.Input((10,))])
    gru.add(keras.layers.Embedding(len(kept) + 1, 64, mask_zero=True))
    gru.add(keras.layers.SpatialDropout1D(0.2))
    gru.add(keras.layers.GRU(64, unroll=True))
    gru.add(keras.layers.Dense(len(kept), bias_initializer=by_share))
    by_item = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    gru.compile(keras.optimizers.Adam(0.005), by_item, jit_compile=False)
    gru.fit(pairs[:, :-1] + 1, pairs[:, -1], batch_size=128, epochs=4, verbose=0)
    of_kept = gru(number[pad_histories(histories, 10)] + 1).numpy()
    del gru
of_gru = np.full((ratings.n_users, ratings.n_items), -99, np.float32)
of_gru[:, kept] = of_kept
single["GRU"] = judge(of_gru, last_one)
print(f"GRU: {single['GRU']['hit_rate']}  {single['GRU']['ndcg']}")
for name in ("popularity", "EASE", "transitions"):
    print(f"   minus {name}:", single["GRU"]["ndcg"].compare(ndcg[name]))
del of_gru

# %% [markdown]
# This GRU, trained once, is far below the transitions. A difference to EASE or to popularity is not established. It has 310,000 numbers
# to learn, from twelve thousand examples.
#
# Networks that read the order need more data. On ML-1M, with a million ratings, the tutorials of RecTools print NDCG@10 .178 for the
# transformer SASRec, and .038 for a matrix factorization.

# %% [markdown]
# ## Three losses, three pulls · optional
#
# Three losses say how far the scores are from what was taken:
#
# - *Multi-label cross-entropy* asks of every item: taken or not?
# - The *softmax loss* (listwise) shares one unit of chance among all items. Each taken item is a draw from it.
# - The *pairwise loss* wants a taken item above one that was not taken, as BPR does in chapter 04.
#
# A loss teaches through its gradient. We call minus the gradient of a score its *pull*. Six films, two of them taken, have the scores that an
# untrained network might give. How hard does each loss pull each score up or down? For *pairwise*, each taken film meets each of
# the four others, and we show the average.

# %%
s, y = np.array([[2.0, -1.0, 2.5, 0.5, -1.0, -3.0]]), np.array([[1, 1, 0, 0, 0, 0]])
push = expit(-(s[0, :2, None] - s[0, None, 2:])) / 4  # (2, 4): of each pair
pulls = {
    "multi-label": (y - expit(s))[0],
    "softmax": (y - 2 * np.exp(s) / np.exp(s).sum())[0],
    "pairwise": np.concatenate([push.sum(axis=1), -push.sum(axis=0)]),
}
both = np.array([[0, 1]])  # your loss is a mean over two targets, and twice that is their sum
step = 0.01 * np.eye(6)
pull = [2 * (padded_loss(s - e, both) - padded_loss(s + e, both)) / 0.02 for e in step]
print("equal to the pull of your loss:", np.allclose(pull, pulls["softmax"], atol=1e-3))

# %% tags=["fold"]
sums = {name: round(pull.sum(), 1) + 0.0 for name, pull in pulls.items()}
fig, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for ax, (name, pull) in zip(axes, pulls.items(), strict=True):
    ax.bar(range(6), pull, color=[plots.PALETTE["blue"]] * 2 + [plots.PALETTE["orange"]] * 4)
    ax.axhline(0, color=plots.PALETTE["grey"], linewidth=1)
    ax.set_xticks(range(6), [f"{v:g}" for v in s[0]])
    ax.set(title=f"{name}, sum {sums[name]}", xlabel="score (the first two: taken)")
axes[0].set_ylabel("pull on the score")
fig.suptitle("Only differences of scores count for softmax and pairwise", x=0.02, ha="left")
fig.tight_layout()
words = (
    f"Pulls sum to {sums['multi-label']} for multi-label and {sums['softmax']} for the two others; "
    "all three press hardest on the film at 2.5, which was not taken."
)
show(fig, alt=words)

# %% [markdown]
# All three pull up the lower taken film (score −1). *Multi-label* handles every film alone: it hardly moves the taken film at 2, whose
# score is nearly right. The pulls of *softmax* and *pairwise* sum to zero: only differences count, and what one film wins the others
# lose. All three press hardest on the film at 2.5.

# %% [markdown]
# ## When the catalog is large · optional
#
# A million items would mean a million outputs for every user of every batch. A *sampled softmax* sums the taken items exactly and
# estimates the rest from a sample of the catalog.
#
# We draw $S$ items with replacement. Item $j$ has the chance $q_j$ in each draw, and popular items have larger ones. Say $S = 100$. A
# popular item with $q_j = .02$ is expected twice, but it is one item: each time it counts ½. A rare one with $q_j = .001$ is expected .1 times.

# %% [markdown]
# **Exercise 09.11** (8 min, *stretch*). Write `log_sum(taken_scores, drawn_scores, drawn_chances, n_drawn)`: the logarithm of an estimate
# of $\sum_j e^{s_j}$ over all items, for one user.
#
# `taken_scores` holds the scores of the items that the user took. They count exactly. Then `n_drawn` items were drawn. Those among them
# that the user took were left out. The scores and the chances $q_j$ of the others are `drawn_scores` and `drawn_chances`.
#
# SciPy's `logsumexp(a, b=weights)` is $\log \sum_n b_n e^{a_n}$, without overflow.


# %%
def log_sum(taken_scores, drawn_scores, drawn_chances, n_drawn):
    ### BEGIN SOLUTION 09.11
    counted = np.concatenate([np.ones(len(taken_scores)), 1 / (n_drawn * drawn_chances)])
    return logsumexp(np.concatenate([taken_scores, drawn_scores]), b=counted)
    ### END SOLUTION


# %%
q11 = exercise("09.11")
q11.check(log_sum)

# %% [markdown]
# Is the estimate right on average, and how far off is one draw? We draw 200 samples of each size, for random scores that rise with
# popularity, and nothing taken. A value of 1 is the true sum.

# %%
log_sum = q11.use(log_sum)
item_counts = split.train.item_counts() + 0.5
chance = item_counts / item_counts.sum()
score = np.random.default_rng(0).normal(0, 1, ratings.n_items) + 0.5 * np.log(item_counts)
truth, rng = logsumexp(score), np.random.default_rng(1)
for n_drawn in (50, 500, 2_000):
    draws = rng.choice(ratings.n_items, (200, n_drawn), p=chance)
    estimates = np.exp([log_sum([], score[d], chance[d], n_drawn) - truth for d in draws])
    without = np.exp(score[draws]).mean(axis=1) * ratings.n_items / np.exp(truth)
    with_it = f"{estimates.mean():.2f} on average, spread {estimates.std():.2f}"
    print(f"{n_drawn:5,} drawn: {with_it}; uncorrected {without.mean():.1f}, {without.std():.2f}")

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 09.q3
choice = "a"
### END SOLUTION
exercise("09.q3").ask(choice)

# %% [markdown]
# More draws make the noise smaller. They do not remove the error of the uncorrected sum.
#
# The same holds in training. Without the correction, the loss sees popular items nearly everywhere and presses them down. We train twice
# with 500 drawn items per batch, a twentieth of the catalog.


# %% tags=["nbval-ignore-output"]
def tell_lists(name, net):
    """Print a model's NDCG, and how often the median suggestion was clicked."""
    top = metrics.top_k(net.scores(np.arange(ratings.n_users)), seen=split.train)
    median = np.median(split.train.item_counts()[top])
    print(f"{name:25} {results[name, 0]['ndcg']}, median clicks of a suggestion {median:.0f}")


tell_lists("net, softmax", nets["net, softmax"])
for name, corrected in (("net, sampled", True), ("net, sampled, uncorrected", False)):
    net = UserLevel("sampled", epochs=10, correct=corrected).fit(split.train)
    results[name, 0] = judge(net)
    tell_lists(name, net)
whole, sampled, uncorrected = (
    results[name, 0]["ndcg"]
    for name in ("net, softmax", "net, sampled", "net, sampled, uncorrected")
)
print("corrected - uncorrected:", gained := sampled.compare(uncorrected))
print("full sum - sampled:     ", whole.compare(sampled))
assert gained.low > 0

# %% [markdown]
# With the correction, 500 draws come close to the full sum: no difference is established. Without it, the lists turn to rarer films, and
# they are worse. All this rests on one training of each. TensorFlow's `sampled_softmax_loss` corrects by itself, if it is told the true
# chances of the draws. The sample pays when the output layer no longer fits into memory.

# %% [markdown]
# ## A hidden layer that is uncertain · optional
#
# *Mult-VAE* (Liang et al., 2018) is a variational autoencoder: its hidden layer is a distribution. The network gives a mean $\mu$ and a
# log variance $\ell$ for each coordinate, and scores a draw from it. It pays for the distance to the standard normal distribution, the
# *divergence* (Kullback–Leibler), summed over the coordinates $d$:
#
# $$\tfrac12 \sum_d \big(e^{\ell_d} + \mu_d^2 - 1 - \ell_d\big)$$
#
# A weight in front of it grows from 0 to .1 during training. How certain is the network after 3, 30 and 300 films?

# %% tags=["nbval-ignore-output"]
from helpers.models.userlevel import MultVAE

vae = MultVAE().fit(split.train)
results["Mult-VAE", 0] = judge(vae)
print(results["Mult-VAE", 0]["ndcg"])
print("minus the net with the same loss:", results["Mult-VAE", 0]["ndcg"].compare(whole))
busy = [history for history in sequences if len(history) >= 300]
for n_films in (3, 30, 300):
    rows = multi_hot(pad_histories([history[:n_films] for history in busy]), ratings.n_items)
    total = rows @ vae.weights["item_in"] / np.sqrt(n_films)
    hidden = np.tanh(total + vae.weights["hidden_bias"])
    variance = np.exp(hidden @ vae.weights["to_log_variance"])
    print(f"first {n_films:3} films of {len(busy)} busy users: mean variance {variance.mean():.2f}")
assert results["Mult-VAE", 0]["ndcg"].compare(results["popularity", None]["ndcg"]).low > 0

# %% [markdown]
# The more films it has seen, the smaller the variance: the divergence keeps a user with three films from being pinned down like one
# with three hundred. The lists are far above popularity. A difference to the network with the same loss is not established.

# %% [markdown]
# ## The same network in MXNet · optional
#
# As in the chapters before, there is a symbol and a Gluon block. Both call `scores_of`: `F` is the package of symbols, or the package of
# arrays. MXNet's Embedding reads row 0 for −1, and the mask takes it out again.


# %%
def scores_of(F, padded, item_in, hidden_bias, item_out, item_bias, shape):
    n_items, width = shape
    known = padded >= 0  # (B, length) of ones and zeros
    rows = F.Embedding(F.relu(padded), item_in, input_dim=n_items, output_dim=width)
    summed = F.sum(F.broadcast_mul(rows, F.expand_dims(known, axis=2)), axis=1)
    length = F.maximum(F.sum(known, axis=1, keepdims=True), 1.0)
    bias = F.reshape(hidden_bias, shape=(1, width))
    hidden = F.tanh(F.broadcast_add(F.broadcast_div(summed, F.sqrt(length)), bias))
    return F.FullyConnected(hidden, item_out, item_bias, num_hidden=n_items)


if gates.mxnet.ready("The network in MXNet"):
    few = padded[:10]
    arrays = {"padded": mx.nd.array(few), **{n: mx.nd.array(w) for n, w in weights.items()}}
    symbols = {table: mx.sym.Variable(table) for table in arrays}
    symbol = scores_of(mx.sym, **symbols, shape=weights["item_in"].shape)
    by_symbol = symbol.bind(mx.cpu(), arrays).forward()[0].asnumpy()

    class Block(mx.gluon.HybridBlock):
        def __init__(self, start):
            super().__init__()
            for table, value in start.items():
                init = mx.init.Constant(mx.nd.array(value))
                setattr(self, table, self.params.get(table, shape=value.shape, init=init))

        def hybrid_forward(self, F, padded, **tables):
            return scores_of(F, padded, **tables, shape=weights["item_in"].shape)

    block = Block(weights)
    block.initialize()
    by_block = block(arrays["padded"]).asnumpy()
    for kind, by_mxnet in {"symbol": by_symbol, "Gluon block": by_block}.items():
        equal = np.allclose(by_mxnet, forward(weights, few), atol=1e-3)
        print(f"MXNet {kind} equals NumPy: {equal}")
    del arrays, by_symbol, by_block, block

# %% [markdown]
# ## What the sources say · optional
#
# **`top_movies = sorted(scores.items()...)`, `return top_moves`** (talk of 2016). As printed, the loop also fills `score` and reads
# `scores`. Python would tell you. The dots may hold the key to sort by.
#
# The next slide closes the bracket before the dots: `sorted(scores.items())...`. This sorts pairs by their *first* part, the number of the
# film: one list for everyone.

# %% [markdown]
# **"Simpler if fixed width. Pad to end with “-1”"** (same talk). It is simpler to store, and the slide ends there. The mask makes it right,
# for inputs and for targets: three of four lookups misread the padding without a word, and so does a loss. The width has a price as well.

# %%
scores = dict(enumerate(user_vectors[3] @ item_vectors.T))
print("sorted(scores.items()):", [item for item, _ in sorted(scores.items())[:5]])
print("sorted by score:", sorted(scores, key=scores.get, reverse=True)[:5])
all_lists = pad_histories(sequences)
print(f"padded lists: {(all_lists == -1).mean():.0%} padding, {all_lists.nbytes / 1e6:.1f} MB")
print(f"sparse rows: {(taken.indices.nbytes + taken.indptr.nbytes) / 1e6:.1f} MB of indices")

# %% [markdown]
# ## References · optional
#
# S. Rendle et al., 2009: *BPR: Bayesian Personalized Ranking from Implicit Feedback*. UAI. · L. Dirac, 2016: *Using MXNet for
# Recommendation Modeling at Scale*, AWS re:Invent MAC306. · P. Covington et al., 2016: *Deep Neural Networks for YouTube
# Recommendations*. RecSys. · B. Hidasi et al., 2016: *Session-based Recommendations with Recurrent Neural Networks*. ICLR. · D. Liang et
# al., 2018: *Variational Autoencoders for Collaborative Filtering*. WWW. · H. Steck, 2019: *Embarrassingly Shallow Autoencoders for
# Sparse Data*. WWW.

# %% [markdown] tags=["core"]
# ## Recap and scoreboard
#
# In this chapter we
#
# - turned six million calls into one product, and user vectors into histories;
# - padded histories and targets with −1, and masked both: in the network and in the loss;
# - wrote the network, and compared its losses with EASE over three seeds;
# - counted what comes after what, was ahead of EASE and iALS, and lost that when the order was shuffled;
# - served new users without training.
#
# **Next:** [10 Deployment and logging](10_deployment_and_logging.ipynb), where the lists meet people, and what people do comes back as data.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.

# %% tags=["nbval-ignore-output"]
singles = {(name, None if name in ("EASE", "popularity") else 0): m for name, m in single.items()}
for part, by_model in ((split, results), (last_one, singles)):
    protocol = ledger.Protocol(chapter="09", dataset=ratings.name, split=part.name)
    for (name, seed), by_metric in by_model.items():
        ledger.record_lists(protocol, by_metric.values(), model=name, seed=seed)
ledger.scoreboard("09")

# %%
progress("09")
