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
# # 00 · Start here
#
# Welcome. In eleven chapters you build the recommender of a shop. You start with ratings in a table, and end with a model that serves
# users, logs what it does and is measured. This first chapter checks your machine. It also shows how exercises, hints and the scoreboard
# work.
#
# **How to run it:**
#
# 1. **Shift+Enter** runs a cell and goes to the next. Cells run in order, from the top.
# 2. *Run → Run All Cells* runs all of them, and leaves you at the end: scroll back up.
# 3. Buttons and sliders work once their cell has run.
# 4. After a restart of the kernel: *Run → Run All Above Selected Cell*.

# %% [markdown]
# The chapters build on each other. The first five are about data and models:
#
# | Chapter | The question it answers | After |
# |---|---|---|
# | 00 Start here | Is this machine ready, and what does the data look like? | |
# | [01 Sparsity](01_sparsity.ipynb) | How do you store a table that is 99.5 % empty? | 00 |
# | [02 Matrix factorization](02_matrix_factorization.ipynb) | How do you guess the empty cells? | 01 |
# | [03 Nonlinearity](03_nonlinearity.ipynb) | Does a neural network guess better? | 02 |
# | [04 Negative sampling](04_negative_sampling.ipynb) | What if nobody gives stars, and people only click? | 02 |

# %% [markdown]
# The other six bring models into a service:
#
# | Chapter | The question it answers | After |
# |---|---|---|
# | [05 Neural collaborative filtering](05_neural_collaborative_filtering.ipynb) | How is such a model trained and served on SageMaker? | 04 |
# | [06 Factorization machines](06_factorization_machines.ipynb) | How do context and side features get in? | 02 |
# | [07 Top-x with k-NN](07_top_x_with_knn.ipynb) | How do you find the best hundred of a million items? | 06 |
# | [08 Content towers](08_content_towers.ipynb) | What about items no one has rated? | 04 |
# | [09 User-level models](09_user_level_models.ipynb) | How do you score all items in one pass? | 04 |
# | [10 Deployment and logging](10_deployment_and_logging.ipynb) | How do you know it works, once it is out? | 04 |

# %% [markdown] tags=["core"]
# ## Three ways through it
#
# A heading that ends with *· optional* starts a part you may leave out. The other parts are the *core*.
#
# - *Half a day*: the core of 00, 01, 02 and 04, in 3 hours and 15 minutes. You know how recommenders guess, and how rankings are judged.
# - *One day*: the core of the same four, then of 05 and 10. You have also trained, deployed, logged and measured a recommender.
# - *On your own, one evening per chapter*: all eleven in order, with the optional parts. Keep the stretch exercises for a second reading.

# %% [markdown] tags=["core"]
# ## In this chapter
#
# | | |
# |---|---|
# | **You will be able to** | tell whether this machine is ready · read the ratings table · answer, check and repair an exercise · place any model on the scoreboard · choose your way through the course |
# | **Prerequisites** | Python functions, a little NumPy and pandas |
# | **Time** | 25 minutes for the core, 35 for all; 5 seconds to run |
# | **Needs** | no network, no account, no GPU |
# | **Builds on** | MovieLens latest-small, 2016 edition (Harper and Konstan, 2015) |

# %%
import sys

sys.path.insert(0, "..")  # the course's helpers live one folder up

from importlib import metadata
from platform import python_version

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import data, gates, ledger, metrics, plots
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import GlobalMean

plots.style()

# %% [markdown] tags=["core"]
# ## Predict before you run
#
# Take the ten users who rated the most films, and the ten films that were rated most often. That makes a table of 100 cells. How many
# of them hold a rating? And how full is the table of *all* users and films?
#
# The course keeps your guesses and repeats them beside the answers. If this page already shows results, choose *Edit → Clear Outputs of
# All Cells* first. That works in every chapter.

# %%
guess("00", "How many of the 100 cells hold a rating?", ["about 30", "about 60", "about 90"])
guess("00.b", "How much of the whole table is filled?", ["about 50 %", "about 10 %", "about 2 %"])

# %% [markdown] tags=["core"]
# ## Is this machine ready?
#
# The next cell looks at this machine. Only the first four rows must say *ready*.
#
# Rows marked *not here* are optional. Where a chapter would use a GPU, MXNet or AWS, it runs an equivalent cell on this machine and says
# so.
#
# If one of the first four rows is not ready, leave the notebook. Open a terminal in the folder of the course and run
# `python -m helpers doctor`. It names what is missing and what to do.

# %% tags=["nbval-ignore-output"]
gates.report()

# %% [markdown]
# ### Versions · optional
#
# When you ask somebody for help with an error, send these versions along. A dash means that the package is not installed.

# %% tags=["nbval-ignore-output"]
found = {d.name.lower().replace("_", "-"): d.version for d in metadata.distributions()}
found["tensorflow"] = found.get("tensorflow", found.get("tensorflow-cpu"))
names = ["numpy", "pandas", "scipy", "tensorflow", "keras", "mxnet", "sagemaker", "jupyterlab"]
versions = {"python": python_version(), **{name: found.get(name) or "–" for name in names}}
pd.DataFrame(versions, index=["version"])

# %% [markdown] tags=["core"]
# ## The data
#
# The ratings are real. They were given between 1995 and 2016 on [MovieLens](https://movielens.org), a site where people rate films and
# get suggestions. The data is part of the course, so nothing is downloaded. Its bytes are checked before they are used.

# %%
ratings = data.load()
when = ratings.frame["timestamp"].astype("datetime64[s]")
print(f"{len(ratings):,} ratings by {ratings.n_users:,} users of {ratings.n_items:,} items")
print(f"first rating {when.min():%B %Y}, last rating {when.max():%B %Y}")

# %% [markdown]
# One row is one *interaction*: which user, which *item* (here a film), how many stars, and when, in seconds since 1970. Users and items are
# numbered from zero without gaps.
#
# `data.read_ratings("my_ratings.csv")` loads ratings of your own. The README says what the file looks like.

# %%
ratings.frame.head(3).join(ratings.items["title"], on="item")

# %% [markdown] tags=["core"]
# ## Ten users, ten items
#
# Back to the first question. We count how often each user and each item occurs, take the ten largest of both, and look at the table
# between them. A white cell means that this user has not rated this item.

# %%
top_users = np.argsort(-ratings.user_counts(), kind="stable")[:10]
top_items = np.argsort(-ratings.item_counts(), kind="stable")[:10]
corner = ratings.matrix()[top_users][:, top_items].toarray()

rated_by_all = (ratings.matrix()[top_users] > 0).sum(axis=0) == 10
print(f"items that all ten users have rated: {rated_by_all.sum()}")

# %% tags=["fold"]
filled = int((corner > 0).sum())
fig, ax = plt.subplots(figsize=(6.4, 4.4))
picture = ax.imshow(np.where(corner > 0, corner, np.nan), cmap="viridis", vmin=0.5, vmax=5)
titles = [plots.short(title) for title in ratings.items["title"].iloc[top_items]]
ax.set_xticks(range(10), titles, rotation=40, ha="right")
ax.set_yticks(range(10), [f"user {u}" for u in top_users])
ax.set_title(f"Ten busiest users, ten most rated items:\n{filled} of 100 cells hold a rating")
ax.grid(False)
fig.colorbar(picture, label="stars")
words = f"Ten busiest users, ten most rated items: {filled} of 100 cells hold a rating."
show(fig, alt=words)
guess("00").meets(f"{filled} of 100")

# %% [markdown]
# This is not the fullest table of ten by ten. There are 32 items that all ten users have rated, and any ten of those would leave no white
# cell. We took the ten items with the most ratings instead.
#
# Is the whole table as full? The first exercise finds out. It also shows how exercises work.

# %% [markdown] tags=["core"]
# ## How an exercise works
#
# A cell with the line `# YOUR CODE HERE` waits for your answer. The cell after it checks what you wrote and says one of four things:
#
# - **NOT ATTEMPTED**: there is no answer yet;
# - **FAIL**: which name returned something else than expected;
# - **EXCEPTION**: which line of yours raised an error;
# - **PASS**: your answer is right, and the course remembers it.
#
# **Exercise 00.1** (2 min). Write `density`: the share of filled cells in a table of `n_users` × `n_items` that holds `n_ratings`
# ratings.


# %%
def density(n_ratings, n_users, n_items):
    ### BEGIN SOLUTION 00.1
    return n_ratings / (n_users * n_items)
    ### END SOLUTION


# %%
q1 = exercise("00.1")
q1.check(density)

# %% [markdown]
# If you are stuck, run `q1.hint()` in a new cell, up to twice. `q1.solution()` shows the answer.
#
# Try a wrong answer, too: return `n_ratings` alone, run both cells, and read what the check says.
#
# The next cell goes on with *your* function once it is right, and with the course's until then. So you may skip any exercise.

# %%
density = q1.use(density)
share = density(len(ratings), ratings.n_users, ratings.n_items)
print(f"{share:.2%} of the table is filled")
guess("00.b").meets(f"{share:.1%}")

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 00.q1
choice = "c"
### END SOLUTION
exercise("00.q1").ask(choice)

# %% [markdown] tags=["core"]
# ## A few get most
#
# Most cells are empty, and the filled ones are not spread evenly: some items are rated much more often than others. How large a share of
# all ratings do the most popular items get?
#
# **Exercise 00.2** (4 min). Write `head_share`: the share of all ratings that goes to the `top` most popular items. `counts` holds the
# number of ratings of each item, in any order.


# %%
def head_share(counts, top):
    ### BEGIN SOLUTION 00.2
    return np.sort(counts)[::-1][:top].sum() / np.sum(counts)
    ### END SOLUTION


# %%
q2 = exercise("00.2")
q2.check(head_share)

# %% [markdown]
# Below, the items are sorted by their number of ratings. The curve falls steeply at first and then stays low for thousands of items: the
# *long tail*.
#
# Drag the slider, or click on it and use the arrow keys. How many items does it take to collect half of all ratings?

# %% tags=["fold"]
head_share = q2.use(head_share)
counts = np.sort(ratings.item_counts())[::-1]


def draw(top):
    return plots.long_tail(counts, top=top, share=head_share(counts, top))


def words(top):
    share = head_share(counts, top)
    return f"The {top:,} most rated of {len(counts):,} items collect {share:.0%} of all ratings."


slider = widgets.IntSlider(value=100, min=50, max=3000, step=50, description="top items")
explore(draw, alt=words, top=slider)

# %%
print("the five most rated items have", ", ".join(str(c) for c in counts[:5]), "ratings")
print(f"{(counts == 1).mean():.0%} of all items have exactly one")
for top in (91, 608, 907):
    share = head_share(counts, top)
    print(f"{top} items, {top / len(counts):.1%} of all, get {share:.0%} of the ratings")

# %% [markdown]
# It takes 608 of the 9,066 items to collect half of the ratings. One percent of the items gets 16 % of the ratings, and ten percent get
# 60 %. The most popular items are called the *head*, and their share of the ratings is much larger than their share of the items.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 00.q2
choice = "a"
### END SOLUTION
exercise("00.q2").ask(choice)

# %% [markdown] tags=["core"]
# ## The first number on the scoreboard
#
# No model in this course is shown without a trivial one beside it. For ratings, the trivial model gives the same answer to every
# question: the mean of the ratings it has seen. We hide a random fifth of the ratings, the *test set*. The mean comes from the other
# four fifths, the *training set*.
#
# The usual error is the *root mean squared error* (RMSE):
#
# $$\mathrm{RMSE} = \sqrt{\tfrac{1}{n}\sum_{j=1}^{n} (\hat r_j - r_j)^2}$$
#
# Here $r_j$ is the $j$-th hidden rating, $\hat r_j$ is the prediction for it, and $n$ is the number of hidden ratings.

# %%
split = data.random_split(ratings, test_share=0.2, seed=0)
hidden = split.test.frame
model = GlobalMean().fit(split.train)
predicted = model.predict(hidden["user"], hidden["item"])
print(f"always {predicted[0]:.2f} stars: RMSE {metrics.rmse(predicted, hidden['rating']):.4f}")

# %% [markdown]
# **Exercise 00.3** (3 min). Which single number, given as the answer every time, has the smallest RMSE on a list of ratings? Write
# `best_constant`: it takes the ratings and returns that number. Try a few numbers by hand first. For the ratings 1, 1 and 4, compare the
# answers 1 and 2.


# %%
def best_constant(stars):
    ### BEGIN SOLUTION 00.3
    return np.mean(stars)
    ### END SOLUTION


# %%
q3 = exercise("00.3")
q3.check(best_constant)

# %%
best_constant = q3.use(best_constant)
stars = hidden["rating"].to_numpy()
constant = np.full(len(stars), best_constant(stars))
print(f"RMSE of the best constant: {metrics.rmse(constant, stars):.4f}")
print(f"standard deviation:        {stars.std():.4f}")

# %% [markdown]
# The RMSE of the best constant *is* the standard deviation of the ratings. Both are the root of the mean squared distance to the mean.
# A model that does not get below it is no better than a constant.
#
# This cell took its constant from the hidden ratings themselves. No model may do that. The mean of the training ratings, above, is a fair
# answer, and it is worse only in the fourth decimal.

# %% [markdown]
# We write the fair number into the *ledger*, with its protocol: the data set, the split and its seed. So every reader can repeat it.
# Without a data set or a split, the ledger raises an error. The *scoreboard* of a chapter shows what its ledger holds.

# %%
protocol = ledger.Protocol(chapter="00", dataset=ratings.name, split=split.name)
error = metrics.rmse(predicted, stars)
ledger.record(protocol, model="global mean", metric="RMSE", value=error)
ledger.scoreboard("00")

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 00.q3
choice = "b"
### END SOLUTION
exercise("00.q3").ask(choice)

# %% [markdown]
# ### Stretch: a mean for each user · optional
#
# **Exercise 00.4** (6 min, *stretch*). Three stars do not mean the same to everybody. Write `user_means`: for `n_users` users, the mean
# of each user's own ratings, in an array of length `n_users`. A user without ratings gets the mean of all ratings. You need no loop:
# `np.bincount` can count and add up.


# %%
def user_means(users, stars, n_users):
    ### BEGIN SOLUTION 00.4
    count = np.bincount(users, minlength=n_users)
    total = np.bincount(users, weights=stars, minlength=n_users)
    return np.where(count > 0, total / np.maximum(count, 1), np.mean(stars))
    ### END SOLUTION


# %%
q4 = exercise("00.4")
q4.check(user_means)

# %%
user_means = q4.use(user_means)
errors = []
for seed in range(3):
    split = data.random_split(ratings, test_share=0.2, seed=seed)
    seen, hidden = split.train.frame, split.test.frame
    constant = np.full(len(hidden), seen["rating"].mean())
    means = user_means(seen["user"].to_numpy(), seen["rating"].to_numpy(), ratings.n_users)
    errors.append(metrics.rmse(means[hidden["user"]], hidden["rating"]))
    of_constant = metrics.rmse(constant, hidden["rating"])
    print(f"split {seed}: global mean {of_constant:.3f}, user mean {errors[-1]:.3f}")
ledger.record(protocol, model="user mean", metric="RMSE", value=errors[0])
ledger.scoreboard("00")

# %% [markdown]
# The user's own mean is the better guess, by about a tenth of a star in all three splits. The scoreboard holds the first split.

# %% [markdown]
# ## What the sources say · optional
#
# The course grows from two talks and three posts by AWS engineers, from 2016 to 2020. They are good, and a few of their numbers are
# wrong. Where that is so, a chapter shows it in a cell, under this heading.
#
# Here is the first case. A talk of 2018 says that the data set MovieLens 20M fills 0.05 % of its table. It gives the sizes, so your own
# function can check it.

# %%
full = density(20_000_263, 138_493, 27_278)
print(f"20,000,263 ratings in 138,493 x 27,278 cells: {full:.2%} full, {1 - full:.2%} empty")

# %% [markdown]
# That is ten times more than the slide says. The decimal point slipped by one place. The table is still 99.47 % empty.

# %% [markdown] tags=["core"]
# ## Recap
#
# In this chapter we looked at real ratings. The table of users and items is nearly empty, and a few items get most of the ratings. We
# put the first baseline on the scoreboard. You know how to check an answer, take a hint and go on without an answer.
#
# Next: [01 · Sparsity](01_sparsity.ipynb), on how to hold such a table in memory.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends, so take your notebooks along with *File → Download*.

# %% [markdown]
# **References.** F. Maxwell Harper and Joseph A. Konstan, 2015: *The MovieLens Datasets: History and Context*. ACM Transactions on
# Interactive Intelligent Systems 5, 4, 19:1–19:19. · AWS, 2018: training talk on recommender systems with MXNet and SageMaker.
#
# The last cell shows your progress. It is kept in a small file in your home folder and nowhere else. The environment variable
# `COURSE_PROGRESS` can name another file.

# %%
progress()
