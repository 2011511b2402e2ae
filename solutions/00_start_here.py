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
# # 00 · Start here
#
# Welcome. In eleven chapters you build the recommender of a shop, from ratings in a table to a model that serves, logs and is measured. This
# first one checks your machine, and lets you try how exercises, hints and the scoreboard work.
#
# **How to run it:**
#
# 1. **Shift+Enter** runs a cell and goes to the next. Cells run in order, from the top.
# 2. *Run → Run All Cells* runs all of them; then scroll back up, for it jumps to the end.
# 3. Buttons and sliders work once their cell has run.
# 4. After a restart of the kernel: *Run → Run All Above Selected Cell*.
#
# | Chapter | The question it answers | Comes after |
# |---|---|---|
# | 00 Start here | Is this machine ready, and what does the data look like? | |
# | [01 Sparsity](01_sparsity.ipynb) | How do you store a table that is 99.5 % empty? | 00 |
# | [02 Matrix factorization](02_matrix_factorization.ipynb) | How do you guess the empty cells? | 01 |
# | [03 Nonlinearity](03_nonlinearity.ipynb) | Does a neural network guess better? | 02 |
# | [04 Negative sampling](04_negative_sampling.ipynb) | What if nobody gives stars, and people only click? | 02 |
# | [05 Neural collaborative filtering](05_neural_collaborative_filtering.ipynb) | How is such a model trained and served on SageMaker? | 04 |
# | [06 Factorization machines](06_factorization_machines.ipynb) | How do context and side features get in? | 02 |
# | [07 Top-x with k-NN](07_top_x_with_knn.ipynb) | How do you find the best hundred of a million items? | 06 |
# | [08 Content towers](08_content_towers.ipynb) | What about items no one has rated? | 04 |
# | [09 User-level models](09_user_level_models.ipynb) | How do you score all items in one pass? | 04 |
# | [10 Deployment and logging](10_deployment_and_logging.ipynb) | How do you know it works, once it is out? | 04 |

# %% [markdown]
# ## In this chapter
#
# | | |
# |---|---|
# | **You will be able to** | tell whether this machine is ready · read the ratings table · answer, check and repair an exercise · place any model on the scoreboard · choose your path through the course |
# | **Prerequisites** | Python functions, a little NumPy and pandas |
# | **Time** | 30 minutes to read and try, a few seconds to run |
# | **Needs** | no network, no account, no GPU |
# | **Builds on** | MovieLens latest-small, 2016 edition (Harper and Konstan, 2015) |

# %%
import sys

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np

from helpers import data, gates, ledger, metrics, plots
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import GlobalMean

plots.style()

# %% [markdown]
# ## Predict before you run
#
# Take the ten people who rated the most films, and the ten films that were rated most often. That makes a table of 100 cells. And how
# full is the whole table, with everyone and everything in it? The course keeps your guesses, and quotes them where the answers appear.

# %%
guess("00", "How many of the 100 cells hold a rating?", ["about 30", "about 60", "about 90"])
guess("00.b", "How much of the whole table is filled?", ["about 50 %", "about 10 %", "about 2 %"])

# %% [markdown]
# ## Is this machine ready?
#
# The next cell asks what is here. Only the first four rows must say *ready*. A row that says *not here* costs you nothing: a chapter
# then runs the twin of that part, on TensorFlow, NumPy or the CPU, and tells you so in one sentence.

# %% tags=["nbval-ignore-output"]
gates.report()

# %% [markdown]
# If one of the first rows is not ready, leave the notebook and run `python -m helpers doctor` in a terminal, in the folder of the
# course: it names what is missing and what to do.

# %% [markdown]
# ## The data
#
# Real ratings, given between 1995 and 2016 on [MovieLens](https://movielens.org), a site where people get film suggestions in return
# for stars. The set lies inside the course, so nothing is downloaded, and its bytes are checked before they are used.

# %%
ratings = data.load()
print(f"{len(ratings):,} ratings by {ratings.n_users:,} users of {ratings.n_items:,} items")

# %% [markdown]
# One row is one *interaction*: who, what, how many stars, when. Users and items are numbered from zero without gaps; those indices
# are what models see. The raw ids of MovieLens stay in `ratings.user_ids` and `ratings.item_ids`. Ratings of your own come in through
# `data.read_ratings("my_ratings.csv")`; the README says what the file looks like.

# %%
ratings.frame.head(3)

# %%
ratings.items.head(3)

# %% [markdown]
# The course writes *item*, not *film*, in code: nothing here is about films, except the titles. Time is in seconds since 1970, as the
# site logged it. Here is when it all happened:

# %%
when = ratings.frame["timestamp"].astype("datetime64[s]")
print(f"first rating {when.min():%B %Y}, last rating {when.max():%B %Y}")

# %% [markdown]
# ## Ten users, ten items
#
# Now to the question from the top. We count how often each user and each item occurs, keep the ten largest of both, and look at the
# table between them. A white cell is a rating nobody gave.

# %%
top_users = np.argsort(-ratings.user_counts(), kind="stable")[:10]
top_items = np.argsort(-ratings.item_counts(), kind="stable")[:10]
corner = ratings.matrix()[top_users][:, top_items].toarray()

# %% tags=["fold"]
filled = int((corner > 0).sum())
fig, ax = plt.subplots(figsize=(6.4, 4.4))
picture = ax.imshow(np.where(corner > 0, corner, np.nan), cmap="viridis", vmin=0.5, vmax=5)
titles = [plots.short(title) for title in ratings.items["title"].iloc[top_items]]
ax.set_xticks(range(10), titles, rotation=40, ha="right")
ax.set_yticks(range(10), [f"user {u}" for u in top_users])
ax.set_title(f"{filled} of 100 cells are rated")
ax.grid(False)
fig.colorbar(picture, label="stars")
words = f"Ten busiest users, ten most rated items: {filled} of 100 cells hold a rating."
show(fig, alt=words)

# %%
guess("00").meets(f"{filled} of 100")

# %% [markdown]
# These users and items are the busiest there are. The next exercise asks how full the *whole* table is, and it is also the place to
# try out how exercises work.

# %% [markdown]
# ## How an exercise works
#
# A gap in a cell waits for you, marked `# YOUR CODE HERE`. The cell after it checks what you wrote and answers with one of four words:
#
# - **NOT ATTEMPTED**: nothing there yet;
# - **FAIL**: with what was expected of which name;
# - **EXCEPTION**: with the line of yours that raised it;
# - **PASS**: done, and remembered.
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
# Stuck, or curious? Run `q1.hint()` in a cell of your own, once or twice, and `q1.solution()` after that. Give a wrong answer on
# purpose, too: return `n_ratings` alone, run both cells, and read what it says.
#
# The next cell goes on with *your* function once it is right, and with ours until then. So every later cell runs, whatever you skip.

# %%
density = q1.use(density)
filled = density(len(ratings), ratings.n_users, ratings.n_items)
print(f"{filled:.2%} of the table is filled")
guess("00.b").meets(f"{filled:.1%}")

# %% [markdown]
# The full corner is the exception, and the empty table is the rule. All that follows in this course is about
# guessing the other cells, and about finding out honestly how well that went.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 00.q1
choice = "c"
### END SOLUTION
exercise("00.q1").ask(choice)

# %% [markdown]
# ## A few get most
#
# Items are not rated equally often. Sort them by how many ratings they got, and the curve falls off a cliff and then never ends. That
# is the *long tail*, and it will follow us through every chapter. How much do the most popular items get? The function below takes
# the answer from the counts.

# %%
counts = np.sort(ratings.item_counts())[::-1]
print("the five most rated items have", ", ".join(str(c) for c in counts[:5]), "ratings")
print(f"{(counts == 1).mean():.0%} of all items have exactly one")

# %% [markdown]
# **Exercise 00.2** (4 min). Write `head_share`: the share of all ratings that goes to the `top` most popular items. The counts come in
# any order.


# %%
def head_share(counts, top):
    ### BEGIN SOLUTION 00.2
    return np.sort(counts)[::-1][:top].sum() / np.sum(counts)
    ### END SOLUTION


# %%
q2 = exercise("00.2")
q2.check(head_share)

# %% [markdown]
# Many figures of the course can be moved. Drag the slider, or focus it and use the arrow keys: how many items does it take to
# collect half of all ratings? And does the picture look different at 1 % and at 10 %?

# %% tags=["fold"]
head_share = q2.use(head_share)


def draw(top):
    return plots.long_tail(counts, top=top, share=head_share(counts, top))


def words(top):
    share = head_share(counts, top)
    return f"The {top:,} most rated of {len(counts):,} items collect {share:.0%} of all ratings."


slider = widgets.IntSlider(value=100, min=50, max=3000, step=50, description="top items")
explore(draw, alt=words, top=slider)

# %% [markdown]
# Half of all ratings need about 600 of the 9,066 items. One percent of the items, 91 of them, get 16 % of the ratings, and ten percent
# get 60 %: whatever part you take, the head gets several times its share.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 00.q2
choice = "a"
### END SOLUTION
exercise("00.q2").ask(choice)

# %% [markdown]
# ## The first number on the scoreboard
#
# No model in this course is shown without the trivial one beside it. For ratings the trivial model answers the same number to every
# question: the mean of what it has seen. We hide a random fifth of the ratings, learn the mean from the others, and measure the
# error on the hidden fifth.
#
# The *root mean squared error* is the usual yardstick:
#
# $$\mathrm{RMSE} = \sqrt{\tfrac{1}{n}\sum_{j=1}^{n} (\hat r_j - r_j)^2}$$
#
# where $r_j$ is the $j$-th hidden rating, $\hat r_j$ the prediction for it and $n$ the number of hidden ratings.

# %%
split = data.random_split(ratings, test_share=0.2, seed=0)
hidden = split.test.frame
model = GlobalMean().fit(split.train)
predicted = model.predict(hidden["user"], hidden["item"])
print(f"always {predicted[0]:.2f} stars: RMSE {metrics.rmse(predicted, hidden['rating']):.3f}")

# %% [markdown]
# **Exercise 00.3** (3 min). Which single number, answered every time, has the smallest RMSE on a list of ratings? Write
# `best_constant`; it takes the ratings and returns that number. It is worth trying a few by hand: for the ratings 1, 1 and 4, compare
# answering 1 with answering 2.


# %%
def best_constant(stars):
    ### BEGIN SOLUTION 00.3
    return np.mean(stars)
    ### END SOLUTION


# %%
q3 = exercise("00.3")
q3.check(best_constant)

# %% [markdown]
# With the best constant, the RMSE *is* the standard deviation of the ratings: both are the root of the mean squared distance to the
# mean. A model that cannot beat the standard deviation has learned nothing. The next cell shows that they agree.

# %%
best_constant = q3.use(best_constant)
stars = hidden["rating"].to_numpy()
constant = np.full(len(stars), best_constant(stars))
print(f"RMSE of the best constant: {metrics.rmse(constant, stars):.4f}")
print(f"standard deviation:        {stars.std():.4f}")

# %% [markdown]
# **Exercise 00.4** (6 min, *stretch*). Not everyone means the same by three stars. Write `user_means`: for `n_users` users, the mean of
# each user's own ratings, in an array of length `n_users`. A user without a rating gets the mean of all ratings. No loop is needed:
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
seen = split.train.frame
means = user_means(seen["user"].to_numpy(), seen["rating"].to_numpy(), ratings.n_users)
predicted_by_user = means[hidden["user"].to_numpy()]
print(f"everyone their own mean: RMSE {metrics.rmse(predicted_by_user, stars):.3f}")

# %% [markdown]
# Both numbers go into the ledger, with everything a reader needs to repeat them: data set, split, seed. The scoreboard at the end of
# each chapter is made from it. A number without its protocol is refused.

# %%
protocol = ledger.Protocol(chapter="00", dataset=ratings.name, split=split.name)
for name, answers in (("global mean", predicted), ("user mean", predicted_by_user)):
    ledger.record(protocol, model=name, metric="RMSE", value=metrics.rmse(answers, stars))
ledger.scoreboard("00")

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 00.q3
choice = "b"
### END SOLUTION
exercise("00.q3").ask(choice)

# %% [markdown]
# ## Three ways through it
#
# - *Half a day*: 00, 01, 02, then 04. You know how recommenders guess, and how rankings are judged.
# - *One day*: the same, then 05 and 10. You have also trained, deployed, logged and measured one.
# - *On your own, one evening each*: all eleven in order. The stretch exercises are for the second reading.

# %% [markdown]
# ## What the sources say
#
# The course grows from two talks and three posts by AWS engineers, from 2016 to 2020. They are good, and a few of their numbers are
# wrong. Where that is so, the chapter shows it in a cell, under this heading. Here is the first: a talk of 2018 says that MovieLens 20M
# fills 0.05 % of its table. It gives the sizes, so you can check it with your own function.

# %%
full = density(20_000_263, 138_493, 27_278)
print(f"20,000,263 ratings in 138,493 x 27,278 cells: {full:.2%} full, {1 - full:.2%} empty")

# %% [markdown]
# Ten times more than the slide says: a slip of one decimal, and 99.47 % is still very empty.

# %% [markdown]
# ## Recap
#
# In this chapter we looked at real ratings, saw that a table of users and items is nearly empty and that a few items get most of what
# there is, and put two baselines on the scoreboard. You know how to check an answer, take a hint and go on without one.
#
# Next: [01 · Sparsity](01_sparsity.ipynb), on how to hold such a table in memory.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.
#
# **References.** F. Maxwell Harper and Joseph A. Konstan, 2015: *The MovieLens Datasets: History and Context*. ACM Transactions on
# Interactive Intelligent Systems 5, 4, 19:1–19:19. · AWS, 2018: training talk on recommender systems with MXNet and SageMaker.

# %% [markdown]
# Your progress so far, kept in a small file in your home folder and nowhere else (`COURSE_PROGRESS` names another file):

# %%
progress()
