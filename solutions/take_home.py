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
# # Take it home: your own ratings
#
# You have ratings, purchases or plays of your own. Which recommender should you build? This notebook reads your file, describes it, and
# compares six models by the rules of chapter 04. It ends with a verdict in plain words, and with lists that you can use.

# %% [markdown]
# | | |
# |---|---|
# | **You will be able to** | read your own file · see what its shape allows · compare six models fairly · hand the lists on |
# | **Prerequisites** | [04](04_negative_sampling.ipynb) for splits and metrics; [09](09_user_level_models.ipynb) for transitions |
# | **Time** | 15 minutes for all; 60 seconds to run with 100,000 ratings |
# | **Needs** | no network, no account, no GPU |
#
# *Run it once as it is: it takes the course's ratings. Then name your file below, and choose Run → Restart Kernel and Run All Cells.*

# %%
import sqlite3
import sys
from pathlib import Path

sys.path.insert(0, "..")  # the course's helpers live one folder up

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import data, metrics, plots
from helpers.interactive import show
from helpers.models.baselines import EASE, ImplicitALS, ItemKNN, Popularity
from helpers.models.implicit import LogisticMF
from helpers.models.order import Transitions

plots.style()

# %% [markdown] tags=["core"]
# ## Your file
#
# A CSV needs a line that names its columns: `user_id`, `item_id`, `rating` and, better, `timestamp`. Names such as `userId`, `ISBN`, `stars`
# or `date` are understood, as are semicolons, decimal commas, a byte order mark and ids that are words. Write dates as 2020-01-31 or as
# seconds since 1970. What cannot be read is refused with its line.

# %% [markdown]
# Purchases have no stars? Add a column `rating` that is 1 in every row. The same user and item twice? Of ratings, `keep_latest = True` keeps
# the latest. Of purchases keep the first, before you come here: this notebook recommends what is new to a user, never what to buy again.

# %%
my_file = None  # the path of your CSV, such as "my_ratings.csv"; None takes the course's ratings
my_items = None  # perhaps a CSV with item_id and title
keep_latest = False
most = 1_000_000  # ratings; of more, whole users are drawn, since six models train on two splits

if my_file:
    ratings = data.read_ratings(my_file, my_items, rating_range=None, keep_latest=keep_latest)
    assert ratings.frame["rating"].min() < 1e8, "The ratings look like times: name the columns."
else:
    ratings = data.load()
if len(ratings) > most:
    order = np.random.default_rng(0).permutation(ratings.n_users)
    last = np.searchsorted(np.cumsum(ratings.user_counts()[order]), most)
    rows = np.isin(ratings.frame["user"], order[: last + 1])
    kept = ratings.frame[rows]
    names = {"user_id": ratings.user_ids[kept["user"]], "item_id": ratings.item_ids[kept["item"]]}
    kept, whole = kept.assign(**names), ratings
    ratings = data.Interactions.from_frame(kept, whole.items, whole.name, rating_range=None)
    print(f"{last + 1:,} users are drawn, with all of their {len(ratings):,} ratings.")
    print("Only they are tested and get lists.")
print(ratings)

# %% [markdown] tags=["core"]
# ## What the data allows
#
# Three numbers decide what can be learned: how full the table is, how much goes to few items, and whether there are times.

# %%
per_user, per_item = ratings.user_counts(), np.sort(ratings.item_counts())[::-1]
per_user, per_item = per_user[per_user > 0], per_item[per_item > 0]
seconds = ratings.frame["timestamp"]
has_times = seconds.nunique() > 1
top = max(1, len(per_item) // 100)
first, last = (pd.Timestamp(moment, unit="s").date() for moment in (seconds.min(), seconds.max()))
tied = ratings.frame.duplicated(["user", "timestamp"], keep=False).mean()
report = {
    "ratings, users, items": f"{len(ratings):,}, {len(per_user):,}, {len(per_item):,}",
    "cells that are filled": f"{100 * len(ratings) / len(per_user) / len(per_item):.2g} %",
    "ratings of the median user": f"{np.median(per_user):.0f}",
    "users with fewer than 5": f"{(per_user < 5).mean():.1%}",
    "items with one rating": f"{(per_item == 1).mean():.1%}",
    f"share of the {top:,} most rated items": f"{per_item[:top].sum() / len(ratings):.1%}",
    "from, to": f"{first}, {last}" if has_times else "no times",
    "ratings in one second with another of the same user": f"{tied:.1%}" if has_times else "–",
}
pd.Series(report, name="").to_frame()

# %% tags=["fold"]
share = per_item[:top].sum() / len(ratings)
words = f"The most rated {top:,} of {len(per_item):,} items collect {share:.0%} of the ratings."
show(plots.long_tail(per_item, top=top, share=share), alt=words)

# %% tags=["fold"]
if has_times:
    months = pd.to_datetime(seconds, unit="s").dt.to_period("M").value_counts().sort_index()
    fig, ax = plt.subplots(figsize=(6.4, 2.4))
    ax.bar(months.index.to_timestamp(), months, width=25)
    busiest = f"{months.idxmax()} has the most, {months.max():,}"
    ax.set(title=f"{len(months)} months with ratings: {busiest}", ylabel="ratings per month")
    show(fig, alt=f"Ratings came in {len(months)} months; {busiest}.")
else:
    print("There are no times. Both tests are drawn at random: neither can show what comes next.")

# %% [markdown]
# Many ratings in one second? They are a basket, an imported file, or dates without hours. Their order is drawn at random, and leave one out
# hides one item of a basket but shows the rest: trust the test by time. Few months? Then season and novelty are in your numbers.

# %% [markdown] tags=["core"]
# ## Two ways to test
#
# *By time* asks what a shop asks: after this moment, what do people take? *Leave one out* hides each user's latest item, so everybody counts
# once. But it trains on what others did later, and asks for the very next item only. Do not compare numbers of the two.
#
# A list ranks all items that the user does not have in train. Users with nothing in train are left aside. The verdict is not about them: give
# new users the popularity list.


# %%
def tried(rule, **settings):
    """Return a split and the test rows of the users in train, or say why there is none."""
    try:
        split = rule(ratings, **settings)
    except data.DataError as reason:
        print(reason)
        return {}
    trained = split.train.user_counts() > 0
    rows = split.test.frame[trained[split.test.frame["user"]]]
    print(str(split).replace(" (", "\n  ("))
    return {split.name: (split, split.test.replace(rows))} if len(rows) else {}


# %%
if has_times:
    splits = tried(data.time_split)
else:
    splits = tried(data.random_split)
splits |= tried(data.leave_one_out)
assert splits, "No user of this file has two ratings, so nothing can be held out."

# %% [markdown] tags=["core"]
# ## Six models
#
# They are in order, from the simplest to the most demanding. Any row counts as *taken*, whatever its rating. Every model is here with the
# course's settings; tune the one that you choose.

# %%
models = {
    "popularity": lambda: Popularity(),
    "item-kNN": lambda: ItemKNN(),
    "transitions": lambda: Transitions(),
    "iALS": lambda: ImplicitALS(),
    "EASE": lambda: EASE(),
    "MF with negatives": lambda: LogisticMF(),
}
largest = 10_000  # EASE keeps tables of items × items, or items × users where those are fewer
if (cells := ratings.n_items * min(ratings.n_users, ratings.n_items)) > largest**2:
    print(f"EASE is left out: each of its tables would take {4 * cells / 1e9:.1f} GB.")
    del models["EASE"]
if (ratings.user_counts() == ratings.n_items).any():
    print("MF with negatives is left out: somebody has taken every item, so no negative is left.")
    del models["MF with negatives"]
elif ratings.n_users * ratings.n_items > 16e9:
    print("MF with negatives is left out: a bit for every user and item would take over 2 GB.")
    del models["MF with negatives"]
if not has_times:
    print("Transitions are left out: without times nothing comes after anything.")
    del models["transitions"]

# %% [markdown]
# At most 3,000 users are asked, drawn once for all models. Their intervals say how much this matters.

# %%
left = ratings.n_items - ratings.user_counts()  # items that each user has not taken, (n_users,)
k = min(10, int(np.median(left)))
assert k > 0, "Most users have taken every item: nothing is left to recommend."
if (left < k).any():
    short = f"{(left < k).sum():,} users"
    print(f"Fewer than {k} items are left for {short}, who are not asked and get no lists.")
block = max(1, min(1000, 20_000_000 // ratings.n_items))  # users whose scores are there at once


def compared(split, test):
    """Return the metrics and the lists of every model, for the same users."""
    users = np.unique(test.frame["user"])
    users = users[left[users] >= k]
    users = np.random.default_rng(0).permutation(users)[:3000]
    test = test.replace(test.frame[test.frame["user"].isin(users)])
    results, lists = {}, {}
    for name, make in models.items():
        model = make().fit(split.train)
        results[name] = metrics.evaluate(model, test, seen=split.train, k=k, block=block)
        lists[name] = best_of(model, np.sort(users), split.train)
    return results, lists


def best_of(model, users, seen):
    """Return the k best items of some users, (len(users), k), a block at a time."""
    taken, lists = seen.matrix(), []
    for some in np.split(users, range(block, len(users), block)):
        cells = taken[some].tocoo()
        lists.append(metrics.top_k(model.scores(some), k, seen=(cells.row, cells.col)))
    return np.concatenate(lists)


found = {name: compared(*both) for name, both in splits.items()}

# %% tags=["nbval-ignore-output", "fold"]
for split, (results, _) in found.items():
    ndcg = {name: result["ndcg"] for name, result in results.items()}
    leader = max(ndcg, key=lambda name: ndcg[name].mean)
    title = f"{split.split(',')[0]}: {leader} has the highest mean (95 % intervals)"
    alt = " · ".join(f"{name} {result.mean:.3f}" for name, result in ndcg.items())
    show(plots.intervals(ndcg, title=title), alt=f"NDCG@{k}, {split}: {alt}.")

# %% tags=["nbval-ignore-output"]
rows = [
    {
        "split": split.split(",")[0],
        "model": name,
        f"HR@{k}": result["hit_rate"].interval,
        f"NDCG@{k}": result["ndcg"].interval,
        "catalog shown": f"{metrics.coverage(lists[name], ratings.n_items):.1%}",
    }
    for split, (results, lists) in found.items()
    for name, result in results.items()
]
pd.DataFrame(rows).set_index("split")

# %% [markdown]
# The last column is *coverage*: the share of the catalog that is in the list of somebody who was asked. More users show more, so compare it
# within one test. Of two models that hit equally often, a shop with a long tail wants the one that shows more.

# %% [markdown] tags=["core"]
# ## The verdict
#
# The best mean may be luck. So we compare each model with the leader *in pairs*, user by user, with intervals wide enough for all comparisons
# at once (Bonferroni). We take the **simplest** one that cannot be told from it. The test by time is closer to what a shop does. So it
# decides, unless it has fewer than 200 users.
#
# "Cannot be told" is not "equal": few users tell little. And intervals know the chance of users only. Another seed, another cut and tuned
# settings move the numbers, too.


# %% tags=["nbval-ignore-output"]
def verdict(results):
    """Return the simplest model that is as good as the leader, and the sentences that say so."""
    ndcg = {name: result["ndcg"] for name, result in results.items()}
    leader = max(ndcg, key=lambda name: ndcg[name].mean)
    gaps = {name: ndcg[leader].compare(result) for name, result in ndcg.items() if name != leader}
    asked = len(ndcg[leader].users)
    drawn = np.random.default_rng(0).integers(0, asked, (2000, asked))
    lead = {name: ndcg[leader].values - ndcg[name].values for name in gaps}
    low = {name: np.quantile(lead[name][drawn].mean(axis=1), 0.025 / len(gaps)) for name in gaps}
    equal = [name for name in ndcg if name == leader or low[name] <= 0]
    said = [f"{asked:,} users were asked. {leader} has the highest mean: {ndcg[leader]}."]
    if len(equal) > 1:
        others = ", ".join(name for name in equal if name != leader)
        said.append(f"These users cannot tell it from: {others}.")
    if leader == "popularity":
        said.append("No personal model has a higher mean: begin with one list for everyone.")
    elif "popularity" in equal:
        said.append(f"Its lead over one list for everyone may be luck: {gaps['popularity']}.")
    else:
        said.append(f"It is ahead of popularity by {gaps['popularity']}.")
    if asked < 200:
        said.append("That is few users: a tie here says little about the models.")
    return equal[0], said


chosen, asked = {}, {}
for split, (results, _) in found.items():
    chosen[split], said = verdict(results)
    asked[split] = len(results["popularity"]["ndcg"].users)
    print(f"{split.split(',')[0]}:", *said, f"Simplest of these: {chosen[split]}.", sep="\n  ")
enough = [split for split in asked if asked[split] >= 200]
decides = enough[0] if enough else max(asked, key=asked.get)
name = chosen[decides]
print(f"{decides.split(',')[0].capitalize()} decides: begin with {name}.")
for split, (results, _) in found.items():
    order = sorted(results, key=lambda model: -results[model]["ndcg"].mean)
    if split != decides and chosen[split] != name:
        place = f"number {order.index(name) + 1} of {len(order)}"
        print(f"The tests disagree: {split.split(',')[0]}, {name} is {place}.")
if not enough:
    print("No test has 200 users: take this as a guess.")

# %% [markdown]
# Before you believe it: is the test like the place where the lists will be shown? Were the people in your file shown only what an older
# system chose? The file cannot say. Then popularity looks better than it is; [chapter 10](10_deployment_and_logging.ipynb) says how to log what a correction needs.

# %% [markdown] tags=["core"]
# ## The lists, to hand on
#
# The chosen model is fitted on all ratings above, and each of their users gets the best items that they have not taken. The lists are written twice: as CSV for
# a spreadsheet, and as SQLite for a program.

# %% tags=["nbval-ignore-output"]
folder = Path("my_lists")
folder.mkdir(exist_ok=True)
users = np.flatnonzero((ratings.user_counts() > 0) & (left >= k))
lists = best_of(models[name]().fit(ratings), users, ratings)
table = pd.DataFrame(
    {
        "user_id": np.repeat(ratings.user_ids[users], k),
        "place": np.tile(np.arange(1, k + 1), len(users)),
        "item_id": ratings.item_ids[lists.ravel()],
        "title": ratings.items["title"].to_numpy()[lists.ravel()],
    }
)
table.to_csv(folder / "lists.csv", index=False, encoding="utf-8-sig")
with sqlite3.connect(folder / "lists.sqlite") as database:
    table.to_sql("lists", database, if_exists="replace", index=False)
    database.execute("CREATE INDEX by_user ON lists (user_id)")
database.close()
print(f"{len(users):,} lists of {k} by {name} are in {folder}: lists.csv and lists.sqlite")
table.head(k)

# %%
first = "(SELECT MIN(user_id) FROM lists)"
query = f"SELECT place, title FROM lists WHERE user_id = {first} ORDER BY place LIMIT 3"
database = sqlite3.connect(folder / "lists.sqlite")
rows = database.execute(query).fetchall()
database.close()
print(f"SQLite gives the first user's {len(rows)} best, at the places {[row[0] for row in rows]}")

# %% [markdown] tags=["core"]
# ## Recap
#
# In this notebook we
#
# - read a file of our own, and saw what its sparsity, tail and times allow;
# - compared six models on two splits, for the same users, with intervals;
# - took the simplest model that cannot be told from the best;
# - wrote its lists where a spreadsheet and a program find them.
#
# **Next:** change one thing at a time. [Chapter 02](02_matrix_factorization.ipynb) shows how to tune, [chapter 07](07_top_x_with_knn.ipynb) how
# to serve lists quickly, [chapter 10](10_deployment_and_logging.ipynb) how to log what people do with them.
