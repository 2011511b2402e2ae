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
# # 04 · Negative sampling and honest ranking metrics
#
# Most shops get clicks, not stars: they see what people took and never what people refused. This chapter makes the missing half of
# the data up in a way that can be defended, and then measures, just as carefully, whether the right items come out on top.
#
# | | |
# |---|---|
# | **You will be able to** | draw negatives and say what they collide with · undo what the ratio does to a probability · hold out the last items by a stated rule · compute HR, NDCG and MRR by hand · tell a sampled metric from a full one · compare two models with an interval |
# | **Prerequisites** | [02](02_matrix_factorization.ipynb); NumPy indexing, a little probability |
# | **Time** | 100 minutes to read and try, under a minute to run |
# | **Needs** | no network, no account, no GPU; MXNet and ML-100K are used where they can be had |
# | **Builds on** | AWS re:Invent session MAC306 (Dirac, 2016); AWS post on neural collaborative filtering (Li, 2020) |
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*

# %%
import sys
import time
from functools import cache

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import data, gates, ledger, metrics, plots, sampling
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import EASE, ItemKNN, Popularity
from helpers.models.implicit import LogisticMF
from helpers.models.mf import MatrixFactorization

plots.style()

# %% [markdown]
# ## Predict before you run
#
# For each of 671 people we hide the last film they rated and let models fill a top ten from the 9,000 films they have not seen.
# **A** is the same list for everyone: the most popular films. **B** is the factorization of chapter 02, which beat every baseline on
# ratings. Which list holds the hidden film more often, and by how much?

# %%
choices = ["A, more than twice as often", "A, a bit more often"]
choices += ["B, a bit more often", "B, more than twice as often"]
guess("04", "Which list holds the hidden film more often?", choices)

# %% [markdown]
# ## From stars to clicks
#
# *Implicit feedback* says that somebody took something, not how they liked it. Like the post, we make clicks from stars by throwing
# the stars away: a film somebody rated is a *positive*, even when they gave it half a star.

# %%
ratings = data.load()
clicks = ratings.frame[["user", "item"]]
disliked = (ratings.frame["rating"] <= 2).mean()
print(f"{len(clicks):,} positives, {disliked:.0%} of them films that got two stars or fewer")
print(f"{1 - ratings.density:.1%} of the matrix is left: not clicked, for whatever reason")

# %% [markdown]
# The talk of 2016 shows what goes wrong then, on two people and four rows. Every label is 1, and a model that fits them perfectly is
# quickly written: `return 1.0`. No loss can improve on it, and no one is helped. The cure is *negative sampling*: draw pairs that nobody
# clicked and label them 0. They are guesses. Leo may adore *Dora the Explorer* and never have met it.

# %%
toy = pd.DataFrame(
    {
        "user": ["Leo", "Leo", "Petra", "Petra"],
        "item": ["Xanadu", "Caddy Shack", "Dora the Explorer", "My Little Pony"],
        "label": 1,
    }
)


def return_one(user, item):
    return 1.0


def accuracy(table):
    return np.mean([return_one(row.user, row.item) == row.label for row in table.itertuples()])


pairs = toy[["user"]].drop_duplicates().merge(toy[["item"]], how="cross")
both = pairs.merge(toy, how="left").fillna(0)
print(f"accuracy of `return 1.0` on the four positives: {accuracy(toy):.0%}")
print(f"accuracy of `return 1.0` with their negatives:  {accuracy(both):.0%}")
both[both["label"] == 0]

# %% [markdown]
# **Exercise 04.1** (5 min). Write `draw_negatives(taken, n_items, n, rng)` for one user: `n` items, each drawn uniformly from the items
# `0 … n_items - 1` that are *not* in `taken`. The same item may come twice. `rng` is a NumPy `Generator`. Stuck? Run `q1.hint()` or
# `q1.solution()` in a cell of your own.


# %%
def draw_negatives(taken, n_items, n, rng):
    ### BEGIN SOLUTION 04.1
    free = np.setdiff1d(np.arange(n_items), taken)
    return rng.choice(free, size=n)
    ### END SOLUTION


# %%
q1 = exercise("04.1")
q1.check(draw_negatives)

# %%
draw_negatives = q1.use(draw_negatives)
taken = clicks.loc[clicks["user"] == 0, "item"].to_numpy()
drawn = draw_negatives(taken, ratings.n_items, 4, np.random.default_rng(0))
print("user 0 took, among others:", " · ".join(ratings.items["title"].iloc[taken[:3]]))
print("negatives for user 0:     ", " · ".join(ratings.items["title"].iloc[drawn]))

# %% [markdown]
# ## How often a draw collides
#
# Listing what is free, user by user, is slow. The usual way is to draw from *all* items and to draw again when a positive comes up:
# a *collision*. If user $u$ took $c_u$ of $N$ items, one draw for $u$ collides with chance $c_u / N$. Every positive asks for its own
# negatives, so user $u$ draws $c_u$ times.
#
# **Exercise 04.2** (5 min). Write `collision_odds(counts, n_items)`: the share of first draws that collide, over all positives of all
# users. `counts` holds $c_u$. Two users with 1 and 3 of 10 items: is it 20 %?


# %%
def collision_odds(counts, n_items):
    ### BEGIN SOLUTION 04.2
    return (counts * counts / n_items).sum() / counts.sum()
    ### END SOLUTION


# %%
q2 = exercise("04.2")
q2.check(collision_odds)

# %%
collision_odds = q2.use(collision_odds)
unchecked = sampling.NegativeSampler(ratings, avoid="none")  # nothing is refused
draws = unchecked.draw(unchecked.users, ratio=5, rng=np.random.default_rng(0))
positive = ratings.matrix().toarray() > 0
collided = positive[unchecked.users[:, None], draws].mean()
by_formula = collision_odds(ratings.user_counts(), ratings.n_items)
print(f"your formula {by_formula:.2%}, measured {collided:.2%}")
print(f"two users with 1 and 3 of 10 items: {collision_odds(np.array([1, 3]), 10):.0%}, not 20%")

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 04.q1
choice = "c"
### END SOLUTION
exercise("04.q1").ask(choice)

# %% [markdown]
# ## Hold out the last ones
#
# Ratings were judged on a random fifth. A list of suggestions is about what comes *next*, so we hide the latest. The post hides each
# user's last ten; the NCF paper and many others the last one. Both rest on timestamps, and people rate several films in one second:
# then the clock does not say which was last. Our rule is a seeded draw among equals, and the split's name says so.

# %%
last_ten = data.leave_last_out(ratings, k=10, ties="random", seed=0)
last_one = data.leave_one_out(ratings, ties="random", seed=0)
for split in (last_ten, last_one):
    print(str(split).replace(" (", "\n  ("))

# %% [markdown]
# ## Collide with what?
#
# A sampler refuses known positives. Known to whom? The post asks its *training* pairs only, so a held-out film can be labeled 0 for
# the very user it is hidden from: a *false negative*. That looks like a mistake. How often does it happen?

# %%
honest = sampling.NegativeSampler(last_ten.train, avoid="train")
items = honest.draw(honest.users, ratio=5, rng=np.random.default_rng(0))
hidden = last_ten.test.matrix().toarray() > 0
wrong = hidden[honest.users[:, None], items]
print(f"{wrong.sum():,} of {wrong.size:,} negatives are held-out positives: {wrong.mean():.2%}")
print(f"expected by formula: {sampling.false_negative_rate(last_ten.train, last_ten.test):.2%}")

# %% [markdown]
# One in eight hundred: a little label noise, and an honest one, since in a running shop nobody knows tomorrow's clicks. Now refuse
# *all* positives instead. Held-out films are then the only unclicked ones that never come up, however long we draw. Is that visible?
# The "model" below knows neither users nor films. It counts a user's negatives and puts first what never was one.


# %%
choices = ["for about 0.1 % of the users", "for about 1 %", "for about 6 %"]
guess("04.b", "If all positives are refused, how often is the hidden film in its top ten?", choices)


# %%
def never_negative(avoid, known=None):
    """Score every item by how rarely it was a negative of the user, in 20 epochs of ratio 5."""
    sampler = sampling.NegativeSampler(last_one.train, avoid=avoid, known=known)
    items = sampler.draw(sampler.users, ratio=20 * 5, rng=np.random.default_rng(0))
    cells = sampler.users[:, None] * ratings.n_items + items
    times = np.bincount(cells.ravel(), minlength=ratings.n_users * ratings.n_items)
    return -times.reshape(ratings.n_users, -1).astype(np.float32)


leaks = {
    "training positives": never_negative("train"),
    "all positives": never_negative("all", known=ratings),
}
for refused, scores in leaks.items():
    found = metrics.evaluate(scores, last_one.test, seen=last_one.train)["hit_rate"]
    print(f"refuse {refused}: the hidden film is in the top ten for {found.mean:.1%} of the users")
del leaks, scores  # two matrices of users × items
guess("04.b").meets(f"about {found.mean:.0%} of the users")

# %% [markdown]
# Nothing was learned, and yet six in a hundred hidden films surface: as many as with the real models further down. That is a *leak*:
# the test set shaped the training set. So the policy stands in a name:
#
# | `avoid=` | refuses | right for | what it leaks |
# |---|---|---|---|
# | `"none"` | nothing | in theory | nothing, but some labels contradict each other |
# | `"train"` | the user's training positives | training | nothing; a few false negatives |
# | `"all"` | held-out ones too | candidates of an evaluation | in training: which items are held out |

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 04.q2
choice = "b"
### END SOLUTION
exercise("04.q2").ask(choice)

# %% [markdown]
# ## Which items make good negatives?
#
# *Uniform* draws mostly hit films that hardly anyone knows, and "not an obscure film" is soon learned. *Popularity* draws item $i$ with
# $n_i$ clicks by
#
# $$q_i = n_i^{\alpha} \big/ \textstyle\sum_j n_j^{\alpha}$$
#
# so $\alpha = 0$ is uniform, $\alpha = 1$ follows the clicks, and word2vec's 0.75 lies between.
#
# **Exercise 04.3** (3 min). Write `popularity_probabilities(counts, alpha)`: all $q_i$ as an array that sums to 1.


# %%
def popularity_probabilities(counts, alpha):
    ### BEGIN SOLUTION 04.3
    weights = counts**alpha
    return weights / weights.sum()
    ### END SOLUTION


# %%
q3 = exercise("04.3")
q3.check(popularity_probabilities)

# %%
popularity_probabilities = q3.use(popularity_probabilities)
popularity = last_ten.train.item_counts()
by_clicks = np.argsort(-popularity, kind="stable")
before = np.cumsum(popularity[by_clicks]) - popularity[by_clicks]
group = np.minimum(before * 10 // popularity.sum(), 9)
group_sizes = np.bincount(group)


def negatives_by_group(alpha):
    return np.bincount(group, weights=popularity_probabilities(popularity, alpha)[by_clicks])


# %% [markdown]
# The films are sorted by clicks and cut into ten groups with a tenth of all clicks each: a few dozen hits on the left, thousands of
# rarities on the right. Where do the negatives come from?

# %%
choices = ["about 10 %", "about 30 %", "about 60 %"]
guess("04.c", "With α = 0, how many negatives come from the group on the right?", choices)


# %% tags=["fold"]
def draw_groups(alpha):
    share = negatives_by_group(alpha)
    fig, ax = plt.subplots()
    ax.bar(range(10), 100 * share, color=plots.PALETTE["blue"], label="negatives")
    ax.axhline(10, color=plots.PALETTE["grey"], linestyle="--", label="clicks")
    ax.set_xticks(range(10), [f"{n:,}" for n in group_sizes], rotation=45)
    ax.set(xlabel="items in the group, most popular first", ylabel="share (%)", ylim=(0, 85))
    rarest = f"the rarest {group_sizes[-1]:,} items give {share[-1]:.0%} of the negatives"
    ax.set_title(f"α = {alpha:g}: {rarest}")
    ax.legend(loc="upper left")
    return fig


def tell_groups(alpha):
    share = negatives_by_group(alpha)
    head = f"the {group_sizes[0]} most popular items give {share[0]:.1%} of the negatives"
    return f"With α = {alpha:g}, {head}, the {group_sizes[-1]:,} rarest {share[-1]:.1%}."


slider = widgets.FloatSlider(value=0.75, min=0, max=1.5, step=0.25, description="α")
explore(draw_groups, alt=tell_groups, alpha=slider)

# %%
guess("04.c").meets(f"{negatives_by_group(0)[-1]:.0%} of them")

# %% [markdown]
# With α = 0 most come from the right, with α = 1 all groups give the same, and with a larger α the left gives more.
#
# Two more sources, both common in deep models. *In-batch*: the other rows' positives serve as negatives, for free, since their
# vectors are in memory anyway. Popular films stand in many batches, so in-batch draws have $\alpha = 1$ built in, wanted or not
# (chapter 08 corrects for it). *Hard*: draw several, keep the one a model likes best.
#
# First, four rows of a batch: a 1 marks what may be a negative of the row's user. Then an epoch drawn in each of the four ways; EASE, a
# model we meet below, names the hard ones.

# %%
rows = last_ten.train.frame.sample(4, random_state=10)
batch = honest.in_batch(rows["user"].to_numpy(), rows["item"].to_numpy())
titles = [plots.short(t, 20) for t in ratings.items["title"].iloc[batch.items]]
pd.DataFrame(batch.usable.astype(int), index=[f"user {u}" for u in rows["user"]], columns=titles)

# %%
judge = EASE().fit(last_ten.train).scores(np.arange(ratings.n_users))
ways = {
    "uniform": {},
    "popularity, α = 0.75": {"strategy": "popularity"},
    "in-batch": {"strategy": "in-batch"},
    "hard, best of 8": {"strategy": "hard", "score": lambda users, items: judge[users, items]},
}
table = []
for name, settings in ways.items():
    sampler = sampling.NegativeSampler(last_ten.train, avoid="train", **settings)
    users, items, labels = sampler.epoch(ratio=5, rng=np.random.default_rng(0))
    users, items = users[labels == 0], items[labels == 0]
    head, false = np.isin(items, by_clicks[:100]).mean(), hidden[users, items].mean()
    table.append((name, f"{head:.1%}", f"{1e4 * false:.0f} of 10,000"))
pd.DataFrame(table, columns=["negatives", "from the 100 most popular", "held-out positives"])

# %% [markdown]
# The last column is the price. Whoever draws likelier films draws more films that the user is about to click, and a hard negative is
# four times as often false as a uniform one. Good models make this worse: what they put first is what comes next.
# Which items are good negatives depends on the data, so try several sources and judge the lists. Chapter 05 trains its factorization with $\alpha = 0.5$.
#
# ## A million draws
#
# The post's sampler is a loop: one `choice` at a time, and a set to ask. Here it is, beside the course's `NegativeSampler`, which
# draws all at once, asks one bit of a bitset a pair, and draws the few collisions again.


# %%
def loop_negatives(users, items, catalog, n_neg, rng):
    """Draw as the post does: pair by pair, negative by negative."""
    records, negatives = set(zip(users, items, strict=True)), []
    for user, _ in records:
        for _ in range(n_neg):
            item = rng.choice(catalog)
            while (user, item) in records:
                item = rng.choice(catalog)
            negatives.append((user, item))
    return negatives


# %% tags=["nbval-ignore-output"]
def pairs_per_second(draw, repeats=3):
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        n = draw()
        seconds.append(time.perf_counter() - started)
    return n / min(seconds)


few_users, few_items = honest.users[:1000].tolist(), honest.items[:1000].tolist()
catalog, rng = np.arange(ratings.n_items), np.random.default_rng(0)
slow = pairs_per_second(lambda: len(loop_negatives(few_users, few_items, catalog, 5, rng)))
fast = pairs_per_second(lambda: honest.draw(honest.users, ratio=5, rng=rng).size)
word = "more" if fast > 200 * slow else "less"
print(f"the vectorized sampler is {word} than 200 times as fast")

# %% [markdown]
# **Exercise 04.4** (12 min, *stretch*). Write that sampler: `draw_many(users, taken, ratio, rng)`. `users` has one entry a row, `taken`
# is a Boolean matrix (users × items), and the result has shape `(len(users), ratio)`, uniform over what the row's user has not taken. No
# loop over rows or draws; a `while` over *rounds* is fine. A user who took everything would keep it from ending; the course's sampler
# names that user instead, as the cell after shows.


# %%
def draw_many(users, taken, ratio, rng):
    ### BEGIN SOLUTION 04.4
    users = np.repeat(users, ratio)
    items = rng.integers(0, taken.shape[1], len(users))
    again = np.flatnonzero(taken[users, items])
    while len(again):
        items[again] = rng.integers(0, taken.shape[1], len(again))
        again = again[taken[users[again], items[again]]]
    return items.reshape(-1, ratio)
    ### END SOLUTION


# %%
q4 = exercise("04.4")
q4.check(draw_many)

# %%
draw_many = q4.use(draw_many)
mine = draw_many(honest.users, positive, 5, np.random.default_rng(0))
print(f"{mine.size:,} negatives of yours, {positive[honest.users[:, None], mine].sum()} collisions")
tiny = sampling.NegativeSampler(([0, 1, 1, 1], [0, 0, 1, 2]))  # user 1 took all three
try:
    tiny.draw([0, 1], ratio=2, rng=np.random.default_rng(0))
except sampling.SamplingError as error:
    print(str(error).replace("; ", ";\n"))

# %% [markdown]
# A framework wants batches, and fresh negatives every epoch. Both pipelines below are thin shells over the one sampler: a `tf.data`
# dataset for Keras, and the talk's `NegativeSamplingDataIter(sample_ratio=5)` for MXNet. Pass over them twice and the positives
# return with other negatives.

# %%
wanted = {"sample_ratio": 5, "batch_size": 4096, "seed": 0}
print("TensorFlow starts, which takes some seconds")
dataset = sampling.negative_sampling_dataset(last_one.train, **wanted)
firsts = []
for _ in range(2):  # two epochs
    (batch_users, batch_items), batch_labels = next(iter(dataset))
    firsts.append(batch_items.numpy())
print("users", batch_users.shape, "items", batch_items.shape, "labels", batch_labels.shape)
repeated = np.array_equal(firsts[0], firsts[1])
print(f"{len(dataset)} batches an epoch; the second epoch repeats the first: {repeated}")

# %% tags=["nbval-ignore-output"]
if gates.mxnet.ready("The MXNet iterator"):
    iterator = sampling.NegativeSamplingDataIter(last_one.train, **wanted)
    first = next(iterator)
    print("inputs", [d.name for d in iterator.provide_data], "labels", first.label[0].shape)
    same = np.array_equal(first.data[1].asnumpy(), firsts[0])
    print("same items as the first tf.data batch:", same)

# %% [markdown]
# ## What the ratio does to a probability
#
# With 5 negatives a positive, a sixth of all examples are positive, whatever the truth. To see what a model makes of this, we plant a
# world in which every chance is known: 300 quiet, 200 average and 100 busy users, five kinds of items, and a click with chance
# *activity × appeal*. The best any model can do for *a quiet user and an item of the third kind* is the share of positives among such
# examples. So no training is needed: counting gives what a perfectly fitted model would say.

# %%
activity = np.repeat([0.05, 0.15, 0.5], [300, 200, 100])  # (600 users,)
appeal = np.repeat([0.02, 0.05, 0.1, 0.2, 0.4], 100)  # (500 items,)
chance = np.outer(activity, appeal)
clicked = np.random.default_rng(1).random(chance.shape) < chance
world = sampling.NegativeSampler(np.nonzero(clicked), shape=clicked.shape)
print(
    f"{clicked.sum():,} clicks in {clicked.size:,} cells; "
    f"a click has chance {chance.mean():.2%} on average"
)


# %%
def count_groups(users, items, weights=None):
    """Add up pairs by activity and appeal, (3, 5)."""
    kind = np.repeat([0, 1, 2], [300, 200, 100])[users] * 5 + np.asarray(items) // 100
    return np.bincount(kind, weights=weights, minlength=15).reshape(3, 5)


truth = np.outer([0.05, 0.15, 0.5], [0.02, 0.05, 0.1, 0.2, 0.4])


@cache  # a slider that returns to a place need not draw again
def fitted_model(ratio):
    """Return the share of positives in each group of a sample with that ratio, (3, 5)."""
    sample = world.epoch(ratio, rng=np.random.default_rng(ratio))
    positives = count_groups(sample.users, sample.items, sample.labels)
    return positives / count_groups(sample.users, sample.items)


for ratio in (1, 5, 20):
    says = f"{fitted_model(ratio).mean():.1%} on average over the groups"
    print(f"ratio {ratio:2}: {says}; true {truth.mean():.1%}")

# %% [markdown]
# One world, three answers: the level depends on a number we chose. That number can be taken out again. If the sample holds all positives
# and each empty cell $s$ times on average, then it multiplied the odds $p/(1-p)$ by $1/s$:
#
# $$p' = \frac{s\,p}{s\,p + 1 - p}$$
#
# where $p$ is what the model says, $p'$ the corrected chance and $s$ the *keep rate*: negatives drawn over empty cells.
#
# **Exercise 04.5** (4 min). Write `undo_sampling(p, keep)`; both may be arrays.


# %%
def undo_sampling(p, keep):
    ### BEGIN SOLUTION 04.5
    odds = keep * p
    return odds / (odds + 1 - p)
    ### END SOLUTION


# %%
q5 = exercise("04.5")
q5.check(undo_sampling)

# %%
undo_sampling = q5.use(undo_sampling)
user_clicks = clicked.sum(axis=1)
kinds = np.repeat([0, 1, 2], [300, 200, 100])
clicks_of_kind = np.bincount(kinds, weights=user_clicks) / np.bincount(kinds)


def corrected(ratio, correction):
    says = fitted_model(ratio)
    if correction == "none":
        return says
    if correction == "one keep rate":
        return undo_sampling(says, ratio * clicked.sum() / (~clicked).sum())
    return undo_sampling(says, (ratio * clicks_of_kind / (500 - clicks_of_kind))[:, None])


# %% tags=["fold"]
def draw_calibration(ratio, correction):
    fig, ax = plt.subplots(figsize=(6.4, 4.2))
    line = {"color": plots.PALETTE["grey"], "linewidth": 1}
    ax.plot([0.0005, 1], [0.0005, 1], **line, label="says what is true")
    for row, (name, marker) in enumerate((("quiet", "o"), ("average", "s"), ("busy", "^"))):
        says = corrected(ratio, correction)[row]
        ax.plot(truth[row], says, marker, label=f"{name} users", markersize=8)
    ax.set(xscale="log", yscale="log", xlim=(0.0006, 0.5), ylim=(0.0006, 1.2))
    ax.set(xlabel="true chance of a click", ylabel="what the model says")
    worst = np.abs(np.log(corrected(ratio, correction) / truth)).max()
    ax.set_title(f"Ratio {ratio}, correction: {correction}. At worst {np.exp(worst):.1f} times off")
    ax.legend(loc="lower right", fontsize=10)
    return fig


def tell_calibration(ratio, correction):
    quiet, average, busy = np.exp(np.log(corrected(ratio, correction) / truth).mean(axis=1))
    return (
        f"With ratio {ratio} and correction '{correction}', the model says {quiet:.1f} times the "
        f"true chance for quiet users, {average:.1f} times for average, {busy:.1f} for busy ones."
    )


options = ["none", "one keep rate", "one a user"]
explore(
    draw_calibration,
    alt=tell_calibration,
    ratio=widgets.IntSlider(value=5, min=1, max=20, description="ratio"),
    correction=widgets.Dropdown(options=options, description="correction"),
)

# %% [markdown]
# Move the ratio: without a correction all dots slide with it. *One keep rate* brings the average back, yet the three kinds of users stay
# apart. Our sampler draws per *positive*, so a busy user gets more negatives, and all end with the same share of positives: the sample
# has forgotten who is busy. One keep rate *a user* brings that back.
#
# For one user, every correction keeps the *order* of items, so a top ten does not change. A threshold does: the post calls everything at
# or above 0.5 a like, and where 0.5 falls is set by the ratio.
#
# ## Hit rate and NDCG by hand
#
# One user, ten suggestions from best to worst, two held-out items, on places 3 and 7:
#
# | place | 1 | 2 | **3** | 4 | 5 | 6 | **7** | 8 | 9 | 10 |
# |---|---|---|---|---|---|---|---|---|---|---|
# | held out | | | ● | | | | ● | | | |
# | $1/\log_2(\text{place}+1)$ | 1 | .631 | **.5** | .431 | .387 | .356 | **.333** | .315 | .301 | .289 |
#
# *HR@10*, is any there: 1. *Precision@10*: 2/10. *Recall@10*: 2/2. *MRR*, one over the first place: 1/3. *NDCG@10* adds the discounts,
# .5 + .333, and divides by the best possible sum, 1 + .631 for places 1 and 2: **.511**.
#
# **Exercise 04.6** (8 min). Write `ndcg(ranked, held_out, k)` for one user: `ranked` lists items, best first; `held_out` the right ones. The
# best possible sum has no more terms than `k`, or than there are held-out items.
#
# For real users the list is the whole catalog without what the user has seen. Will your lists, one by one, agree with `metrics`, which
# finds the places of all held-out items of all users at once? The cell after the check compares, on the post's split.


# %%
def ndcg(ranked, held_out, k):
    ### BEGIN SOLUTION 04.6
    discount = 1 / np.log2(np.arange(2, k + 2))
    hits = np.isin(ranked[:k], list(held_out))
    return discount[hits].sum() / discount[: len(held_out)].sum()
    ### END SOLUTION


# %%
q6 = exercise("04.6")
q6.check(ndcg)

# %%
ndcg = q6.use(ndcg)
lists = metrics.top_k(judge, 10, seen=last_ten.train)
held_out = last_ten.test.frame.groupby("user")["item"].apply(set)
by_hand = [ndcg(ranked, held_out[user], 10) for user, ranked in enumerate(lists)]
names = ("hit_rate", "ndcg", "recall", "precision", "mrr")
five = metrics.evaluate(judge, last_ten.test, seen=last_ten.train, metrics=names)
print(f"yours agrees for every user: {np.allclose(by_hand, five['ndcg'].values, atol=1e-6)}")
print(*five.values(), sep="\n")

# %% [markdown]
# Five numbers for one list. In brackets: 95 % intervals by *bootstrap*, which draws 671 users with replacement a thousand times and sees
# how far the mean wanders. From here on we hide one film each. Then recall equals HR, precision is a tenth of it, and NDCG only adds how
# high the hit stands.
#
# ## Five models, one protocol
#
# *Popularity* suggests the same films to all. *Item-kNN* what is often taken together with what you took. *EASE* (Steck, 2019) solves for
# one matrix of item weights with a zero diagonal, in closed form. The fourth is chapter 02's factorization of *stars*. The fifth has
# factors, too, but learns clicks: positives, 5 uniform negatives each, fresh every epoch, cross-entropy.

# %% tags=["nbval-ignore-output"]
models = {
    "popularity": Popularity(),
    "item-kNN": ItemKNN(),
    "EASE": EASE(),
    "MF on ratings": MatrixFactorization(refit=False),
    "MF with negatives": LogisticMF(),
}
everyone = np.arange(ratings.n_users)
scores, results = {}, {}
for name, model in models.items():
    scores[name] = model.fit(last_one.train).scores(everyone)
    results[name] = metrics.evaluate(scores[name], last_one.test, seen=last_one.train)
    print(f"{name:18} {results[name]['hit_rate']}   {results[name]['ndcg']}")
hit_rates = {name: result["hit_rate"] for name, result in results.items()}
assert hit_rates["EASE"].mean > hit_rates["popularity"].mean > 2 * hit_rates["MF on ratings"].mean

# %% tags=["nbval-ignore-output", "fold"]
fig, ax = plt.subplots(figsize=(6.8, 3.2))
percent = {name: 100 * result.mean for name, result in hit_rates.items()}
for row, result in enumerate(hit_rates.values()):
    ends = 100 * result.interval.low, 100 * result.interval.high
    ax.plot(ends, [row, row], color=plots.PALETTE["sky"], linewidth=6)
    ax.plot(100 * result.mean, row, "o", color=plots.PALETTE["blue"], markersize=9)
ax.set_yticks(range(len(hit_rates)), hit_rates)
ax.invert_yaxis()
ax.set(xlabel="users whose hidden item is in the top ten (%)", xlim=(0, 10.5))
ax.set_title("One list for all beats the model of stars (bars: 95 % intervals)")
best = max(percent, key=percent.get)
popular, by_stars = percent["popularity"], percent["MF on ratings"]
words = (
    f"The popular list finds the hidden film of {popular:.1f} % of the users, the model of stars "
    f"that of {by_stars:.1f} %, and {best} most, that of {percent[best]:.1f} %."
)
show(fig, alt=words)

# %%
guess("04").meets("A, more than twice as often")

# %% [markdown]
# The factorization that wins on stars loses to a list that is the same for everyone, by a factor of three or more.
#
# The bars overlap, and yet some differences are real: the same users are easy for all models. So compare in *pairs*. The *paired
# bootstrap* resamples users, takes both models' hits for each, and asks for the interval of the difference. If it holds zero, the
# order is not established.

# %% tags=["nbval-ignore-output"]
for one, other in (
    ("popularity", "MF on ratings"),
    ("EASE", "popularity"),
    ("EASE", "item-kNN"),
    ("EASE", "MF with negatives"),
):
    gap = hit_rates[one].compare(hit_rates[other])
    verdict = "established" if gap.low > 0 else "not established"
    print(f"{one} - {other}: {gap}  {verdict}")
assert hit_rates["EASE"].compare(hit_rates["popularity"]).low > 0

# %% [markdown]
# ### Why the model of stars loses
#
# It was never asked. Its training set holds only films that people chose to watch, and its question was "how many stars, *if* you watch
# it?" For 9,000 films per person, most of them strange to that person, the answer is read off a few enthusiasts. Look at what it
# puts first.

# %% tags=["nbval-ignore-output"]
trained_on = last_one.train.item_counts()
tops = {name: metrics.top_k(matrix, 10, seen=last_one.train) for name, matrix in scores.items()}
rare = {name: (trained_on[top] <= 10).mean() for name, top in tops.items()}
shown = [metrics.coverage(top, ratings.n_items) for top in tops.values()]
summary = pd.DataFrame(
    {
        "median clicks of a suggestion": [np.median(trained_on[top]) for top in tops.values()],
        "with 10 clicks or fewer": [f"{share:.0%}" for share in rare.values()],
        "share of the catalog shown": [f"{share:.1%}" for share in shown],
    },
    index=list(tops),
)
assert rare["MF on ratings"] > 0.2 > 0.02 > rare["EASE"]
of_hidden = trained_on[last_one.test.frame["item"]]
few = (of_hidden <= 10).mean()
print(f"hidden films: median {np.median(of_hidden):.0f} clicks, {few:.0%} with 10 or fewer")
summary

# %% tags=["nbval-ignore-output"]
top = tops["MF on ratings"][0]
pd.DataFrame(
    {
        "suggested to user 0": ratings.items["title"].iloc[top].to_numpy(),
        "predicted stars": scores["MF on ratings"][0, top].round(2),
        "clicks in training": trained_on[top],
    }
)

# %% [markdown]
# A few enthusiasts each. These films may even be liked, if watched; but among 9,000 films hardly anyone will watch just these. (Hidden films are
# sometimes obscure, too, but one obscure film in thousands is not guessed from stars.) RMSE judges the few pairs that happened, a list
# chooses among all that did not, and *whether* somebody watches is what negatives teach.
#
# ### More negatives, and fresh ones?
#
# A smaller model, 16 factors and 6 epochs, with other ratios. *Once* keeps the negatives of the first epoch for all six. Batches grow with
# the ratio, so that every model takes the same number of steps; else a higher ratio would also be a longer training. Ten hidden films a
# user, so that the numbers shake less.

# %% tags=["nbval-ignore-output"]
runs = [(1, "once"), (1, "every epoch"), (5, "once"), (5, "every epoch"), (20, "every epoch")]
hits = {}
for ratio, drawn in runs:
    batch, fresh = 2048 * (1 + ratio), drawn != "once"
    model = LogisticMF(factors=16, epochs=6, ratio=ratio, batch_size=batch, resample=fresh)
    model.fit(last_ten.train)
    found = metrics.evaluate(model, last_ten.test, seen=last_ten.train)
    hits[ratio, drawn] = found["hit_rate"]
    line = f"ratio {ratio:2}, {drawn:11}: training loss {model.history[-1]:.3f}"
    print(line, found["hit_rate"], found["ndcg"], sep="  ")
print("fresh - once, ratio 1:", fresh_at_1 := hits[1, "every epoch"].compare(hits[1, "once"]))
print("fresh - once, ratio 5:", hits[5, "every epoch"].compare(hits[5, "once"]))
print("ratio 5 - ratio 1:    ", more := hits[5, "every epoch"].compare(hits[1, "every epoch"]))
print("ratio 20 - ratio 5:   ", hits[20, "every epoch"].compare(hits[5, "every epoch"]))
assert fresh_at_1.value > 0 and more.low > 0

# %% [markdown]
# With the same negatives all along, the model learns *them* by heart: a lower training loss, worse lists. Fresh draws cost next to nothing.
# Five negatives are better than one; beyond that, with as many steps, little is left, and 20 have 3.5 times the examples. Compare
# losses only within one ratio.
#
# ### The rule for ties
#
# Before you trust a gap of one point, change something that should not matter: how equal timestamps are broken. By item number, as a
# stable sort does without being asked, or by a seeded draw.

# %% tags=["nbval-ignore-output"]
hundred = data.load_or_none("100k")
ease_by_rule = {}
for source in [ratings] if hundred is None else [ratings, hundred]:
    rules = [data.leave_one_out(source, ties="item")]
    rules += [data.leave_one_out(source, ties="random", seed=seed) for seed in range(3)]
    found = [metrics.evaluate(EASE().fit(s.train), s.test, seen=s.train) for s in rules]
    hits = [result["hit_rate"].mean for result in found]
    ease_by_rule[source.name] = hits
    print(source.name, "-", rules[0].note)
    print(
        f"  EASE's HR@10 is {hits[0]:.3f} with ties by item, "
        f"{min(hits[1:]):.3f} to {max(hits[1:]):.3f} over three seeds"
    )

# %% [markdown]
# On latest-small the draw moves EASE by a point, as much as separates it from item-kNN: one split is one sample. On ML-100K, where it is at hand, nearly
# half of all users have several films in their last second, and the rule by item number costs EASE more than a third of its hits, since
# item numbers follow the catalog's history and no one's taste. A number without its tie rule cannot be repeated.
#
# ## Sampled candidates
#
# Ranking 9,000 films for everybody was once thought expensive, and the NCF paper set a habit: rank the hidden item among 100 random
# ones. Say it stands at place 400 of 9,000. Of 100 random others about $100 \cdot 399/8999 \approx 4.4$ stand above it: place 5, a hit.
# Nobody who shows ten films would have shown it.
#
# **Exercise 04.7** (10 min, *stretch*). How likely is that hit? Write `expected_hit(place, n_items, n_candidates, k)`: the chance that
# fewer than `k` of `n_candidates` others, drawn without replacement from the `n_items - 1` others, stand above the item.
# `scipy.stats.hypergeom` counts such draws.


# %%
def expected_hit(place, n_items, n_candidates, k):
    ### BEGIN SOLUTION 04.7
    from scipy.stats import hypergeom

    return hypergeom.cdf(k - 1, n_items - 1, place - 1, n_candidates)
    ### END SOLUTION


# %%
q7 = exercise("04.7")
q7.check(expected_hit)

# %%
expected_hit = q7.use(expected_hit)
for place in (10, 100, 400, 1000, 2000):
    odds = expected_hit(place, 9000, 100, 10)
    print(f"place {place:5,} of 9,000: in the top ten of 101 candidates with chance {odds:.2f}")

# %% [markdown]
# So HR@10 among 100 hardly asks about the top ten; it asks about the top thousand. No drawing is needed to see where that leads: from each
# user's full place we compute the *expected* sampled metric. EASE leads on the full catalog.

# %%
choices = ["EASE", "MF with negatives", "item-kNN", "popularity"]
guess("04.d", "Which of the four leads among 20 candidates?", choices)

# %% tags=["nbval-ignore-output"]
rivals = ("MF with negatives", "EASE", "item-kNN", "popularity")
seen = last_one.train
ranks = {name: metrics.rank_held_out(scores[name], last_one.test, seen=seen) for name in rivals}
sizes = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, "all"]
numbers = [*sizes[:-1], ratings.n_items]
size_names = [*(f"{m:,}" for m in sizes[:-1]), "all"]
curves = {
    name: np.array([metrics.expected_sampled(places, m).mean() for m in numbers])
    for name, places in ranks.items()
}

# %% [markdown]
# Move the number of candidates from 10 to all, and watch the order.


# %% tags=["nbval-ignore-output", "fold"]
def draw_sampled(candidates):
    at = sizes.index(candidates)
    order = sorted(rivals, key=lambda name: -curves[name][at])
    fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), width_ratios=(1, 1.3))
    for row, name in enumerate(order):
        color = f"C{rivals.index(name)}"
        left.barh(row, curves[name][at], color=color)
        left.text(curves[name][at], row, f" {curves[name][at]:.3f}", va="center", fontsize=10)
        right.plot(range(len(sizes)), curves[name] / curves["EASE"], color=color, label=name)
    left.set_yticks(range(len(order)), order)
    left.invert_yaxis()
    left.grid(False)
    left.set(xlim=(0, 1.3 * curves[order[0]][at]), xlabel="expected HR@10")
    right.axvline(at, color=plots.PALETTE["grey"], linestyle="--", linewidth=1)
    right.set_xticks(range(len(sizes)), size_names, rotation=45)
    right.set(xlabel="sampled candidates", ylabel="HR@10 relative to EASE", ylim=(0.25, 1.12))
    right.legend(fontsize=9, loc="lower left", frameon=True, framealpha=1, edgecolor="none")
    fig.suptitle(f"{size_names[at]} candidates: {order[0]} is ahead", x=0.02, ha="left")
    fig.subplots_adjust(left=0.19, right=0.99, bottom=0.22, top=0.88, wspace=0.25)
    return fig


def tell_sampled(candidates):
    at = sizes.index(candidates)
    order = sorted(rivals, key=lambda name: -curves[name][at])
    first, *others = [f"{name} ({curves[name][at]:.3f})" for name in order]
    who = f"{first} is ahead of {', '.join(others)}"
    return f"With {size_names[at]} candidates, {who} in expected HR@10."


options = list(zip(size_names, sizes, strict=True))
slider = widgets.SelectionSlider(options=options, value=100, description="candidates")
explore(draw_sampled, alt=tell_sampled, candidates=slider)

# %% tags=["nbval-ignore-output"]
flips = []
for m in (20, 100, 1000):
    sampled = {name: metrics.expected_sampled(ranks[name], m) for name in rivals}
    flips.append(metrics.paired_bootstrap(sampled["EASE"], sampled["MF with negatives"]))
    print(f"{m:5,} candidates, EASE - MF with negatives: {flips[-1]}")
assert flips[0].high < 0 < flips[2].low

# %%
guess("04.d").meets("MF with negatives")

# %% [markdown]
# Both ends are established: with 20 candidates the factorization is better, with 1,000 EASE is. Nothing is wrong with either number, but
# they answer different questions, and only the full catalog asks the one a shop has. With few candidates a model gains most by
# never being quite wrong; at the top of 9,000 it must be right.

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 04.q3
choice = "a"
### END SOLUTION
exercise("04.q3").ask(choice)

# %% [markdown]
# ## What the sources say
#
# **"If the predicted probability is equal or greater than 0.5, we say the model predicts the user will like the item"** (post of 2020).
# Its test set holds positives only. There, `return 1.0` is perfect again.
#
# **`drop('remove', 1)`** (same post, in its split). Pandas 2 wants the axis by name. The split also sorts by time and says nothing of
# equal times, so the file's order decides, which is the order of film numbers. And its negatives are drawn against the training pairs
# alone; we counted what that does, and it is the lesser evil.
#
# **Numbers that cannot be.** With one held-out item, NDCG@k cannot fall as k grows, nor exceed HR@k; an MRR cannot pass 1. Published
# notebooks show such numbers, an MRR of 1.05 among them. And one much-read repository gives five NDCG@10 for one model, .396, .369,
# .383, .201 and .401: five protocols, not stated beside the number.

# %%
likes = np.full(len(last_ten.test), return_one(None, None)) >= 0.5
flat = np.ones((ratings.n_users, ratings.n_items), dtype=np.float32)
found = metrics.evaluate(flat, last_one.test, seen=last_one.train)["hit_rate"]
print(f"`return 1.0` on {len(likes):,} held-out positives: {likes.mean():.0%} right")
print(f"`return 1.0` on the full catalog: HR@10 {found.mean:.4f}, equal scores in random order")
try:
    pd.DataFrame({"remove": [1.0]}).drop("remove", 1)
except TypeError as error:
    print("TypeError:", error)
measures = (metrics.ndcg, metrics.hit_rate, metrics.mrr)
for k in (1, 10, 100, ratings.n_items):
    means = [measure(ranks["EASE"], k).mean() for measure in measures]
    print(f"EASE, k = {k:5,}: NDCG {means[0]:.2f}, HR {means[1]:.2f}, MRR {means[2]:.2f}")

# %% [markdown]
# **`NegativeSamplingDataIter`** (2016 talk). The version MXNet published with its examples shuffles one column within the batch, and
# excludes only the row's own positive. So its negatives follow popularity, and the rest of what the user took is fair game: a 0
# that contradicts a 1. How often, depends on the order of the rows. In NumPy:

# %%
rng, size = np.random.default_rng(0), 256
n = len(honest.users)
for name, order in (("in random order", rng.permutation(n)), ("in the file's order", np.arange(n))):
    taken, from_head = [], []
    for start in range(0, n - size, size):
        rows, place = order[start : start + size], rng.permutation(size)
        place[place == np.arange(size)] -= 1  # a row that stayed takes its neighbor's item
        items = honest.items[rows][place]
        taken.append(positive[honest.users[rows], items].mean())
        from_head.append(np.isin(items, by_clicks[:100]).mean())
    print(f"rows {name}: {np.mean(taken):.0%} of the negatives are films the user took,")
    print(f"  and {np.mean(from_head):.0%} are from the 100 most popular")

# %% [markdown]
# ## Scoreboard
#
# One protocol for all: the last interaction held out by a seeded draw among ties, the full catalog without what the user has seen, 671
# users, intervals by bootstrap.

# %% tags=["nbval-ignore-output"]
protocol = ledger.Protocol(chapter="04", dataset=ratings.name, split=last_one.name)
for name, result in results.items():
    seed = 0 if name.startswith("MF") else None
    ledger.record_lists(protocol, result.values(), model=name, seed=seed)
ledger.scoreboard("04")

# %% [markdown]
# ## Recap
#
# In this chapter we
#
# - saw `return 1.0` win on positives, and drew negatives to make the labels mean something;
# - counted collisions, chose the policy by what it leaks, and replaced a loop by one vectorized sampler under `tf.data` and MXNet;
# - found that the ratio sets the level of every probability, and took it out again, user by user;
# - computed HR, NDCG, recall, precision and MRR by hand, and gave every mean its interval;
# - watched popularity beat a model of stars, and the order of real models turn with the number of sampled candidates.
#
# **Next:** [05 Neural collaborative filtering](05_neural_collaborative_filtering.ipynb), the post's own model, trained and served, and judged
# by this chapter's rules.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.
#
# **References.** S. Rendle et al., 2009: *BPR: Bayesian Personalized Ranking from Implicit Feedback*. UAI. · S. Ji et al., 2016:
# *BlackOut: Speeding up Recurrent Neural Network Language Models with Very Large Vocabularies*. ICLR. · T. Mikolov et al., 2013: *Distributed
# Representations of Words and Phrases and Their Compositionality*. NIPS. · X. He et al., 2017: *Neural Collaborative Filtering*. WWW. ·
# H. Steck, 2019: *Embarrassingly Shallow Autoencoders for Sparse Data*. WWW. · W. Krichene and S. Rendle, 2020: *On Sampled Metrics for Item
# Recommendation*. KDD. · G. King and L. Zeng, 2001: *Logistic Regression in Rare Events Data*. Political Analysis 9. · L. Dirac, 2016:
# *Using MXNet for Recommendation Modeling at Scale*, AWS re:Invent MAC306. · T. Li, 2020: post on a customized recommender with NCF and
# TensorFlow 2.0, AWS.

# %%
progress("04")
