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
# # 01 · Sparsity
#
# A recommender's data is a table with nearly every cell empty. This chapter is about holding such a table in memory, reading it fast,
# and not being fooled by its holes.
#
# | | |
# |---|---|
# | **You will be able to** | count the bytes of a sparse table before you build it · say when a dense one is smaller · read and write the CSR format by hand · build one-hot features without a loop · predict how much two users have in common |
# | **Prerequisites** | [00 Start here](00_start_here.ipynb); NumPy indexing |
# | **Time** | 60 minutes to read and try, about 10 seconds to run |
# | **Needs** | no network, no account, no GPU |
# | **Builds on** | *Using MXNet for Recommendation Modeling at Scale* (Leo Dirac, AWS re:Invent 2016) · AWS training talk on recommender systems (2018) |
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*

# %%
import sys

sys.path.insert(0, "..")  # the course's helpers live one folder up

import time
import tracemalloc

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from scipy import sparse

from helpers import data, ledger, metrics, plots
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show

plots.style()

# %% [markdown]
# ## Predict before you run
#
# In the data of this course, a user has rated 149 of 9,066 items on average. Draw two users at random, and count the items that both
# of them have rated. Near the end of the chapter we do that for all pairs.

# %%
many = ["about 2", "about 14", "about 50"]
guess("01", "How many items have two users both rated, on average over all pairs?", many)

# %% [markdown]
# ## From a function to a table
#
# The talk of 2016 starts with the whole task as one function, `predict_rating(user, item)`, and asks what to write into it. Nobody
# writes it by hand: its body is *learned* from the values that are known. Laid out with a row for each user and a column for each
# item, they are the *user–item matrix*. Here is one with three users, four items and five ratings.

# %%
users = np.array([0, 0, 1, 2, 2])
items = np.array([0, 2, 1, 0, 3])
stars = np.array([5, 1, 4, 4, 2], dtype=np.float32)
tiny = sparse.csr_matrix((stars, (users, items)), shape=(3, 4))

names = {
    "index": ["Ana", "Ben", "Caro"],
    "columns": ["The Karate Kid", "Alphaville", "Larva", "Duel in the Sun"],
}
print(f"mean of the five ratings {tiny.data.mean():.2f}, but tiny.mean() is {tiny.mean():.2f}")
pd.DataFrame(tiny.toarray().astype(int), **names).replace(0, "")

# %% [markdown]
# The five triples (user, item, stars) *are* the data. The other seven cells hold no opinion: an empty cell means *unknown*, not zero
# stars. Libraries do not know that. To scipy, what is not stored is a zero, and its mean counts seven of them.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 01.q1
choice = "b"
### END SOLUTION
exercise("01.q1").ask(choice)

# %% [markdown]
# ## How empty is a real table?
#
# The *density* is the share of cells that are filled: $d = n / (n_u\,n_i)$, with $n$ ratings, $n_u$ users and $n_i$ items. We put four
# public data sets side by side; ours is the first, the two talks' are the second and the third.

# %%
ratings = data.load()
sizes = {
    "MovieLens latest-small": (ratings.n_users, ratings.n_items, len(ratings)),
    "MovieLens 100K": (943, 1_682, 100_000),
    "MovieLens 20M": (138_493, 27_278, 20_000_263),
    "Netflix Prize": (480_189, 17_770, 100_480_507),
}
table = pd.DataFrame(sizes, index=["users", "items", "ratings"]).T
table["ratings a user"] = table["ratings"] / table["users"]
table["% full"] = 100 * table["ratings"] / (table["users"] * table["items"])
whole, two_digits = "{:,.0f}".format, "{:.2f}".format
print(table.to_string(formatters=[whole] * 4 + [two_digits], justify="right"))

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 01.q2
choice = "b"
### END SOLUTION
exercise("01.q2").ask(choice)

# %% [markdown]
# MovieLens 20M has 3.8 billion cells and 0.53 % of them are filled. The last two columns hang together: $d = a / n_i$, where
# $a = n / n_u$ is how many items a user has rated. People do not rate more because a shop sells more, so the longer the catalog, the
# emptier the table.
#
# ## A picture of it
#
# We cut our table into 40 × 120 blocks and color each by the share of its cells that are filled, once with users and items in the
# order of their ids, once with the busiest users on top and the most popular items on the left.

# %%
user = ratings.frame["user"].to_numpy()
item = ratings.frame["item"].to_numpy()
activity, popularity = ratings.user_counts(), ratings.item_counts()


def place(counts):
    """Position of each user or item when the largest count comes first."""
    return np.argsort(np.argsort(-counts, kind="stable"))


def filled(rows, columns):
    """Share of filled cells in each of 40 × 120 blocks; NaN where a block is empty."""
    span = [(0, ratings.n_users), (0, ratings.n_items)]
    count, r, c = np.histogram2d(rows, columns, bins=(40, 120), range=span)
    return np.where(count > 0, count / np.outer(np.diff(r), np.diff(c)), np.nan)


# %%
by_activity, by_popularity = place(activity)[user], place(popularity)[item]
corner = ((by_activity < ratings.n_users / 10) & (by_popularity < ratings.n_items / 10)).mean()

# %% tags=["fold"]
title = f"Sorted: 1% of the cells, top left, hold {corner:.0%} of the ratings"
panels = {"In the order of ids": (user, item), title: (by_activity, by_popularity)}
look = {"norm": LogNorm(0.05, 100), "cmap": "viridis", "aspect": "auto"}
fig, axes = plt.subplots(2, 1, figsize=(7, 5.4), layout="constrained")
for ax, (title, cells) in zip(axes, panels.items(), strict=True):
    extent = (0, ratings.n_items, ratings.n_users, 0)
    picture = ax.imshow(100 * filled(*cells), extent=extent, **look)
    ax.set(title=title, xlabel="item", ylabel="user")
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.grid(False)
fig.colorbar(picture, ax=axes, label="% of a block filled", format="%g")
words = (
    "The busiest tenth of the users and the most rated tenth of the items share 1% of the cells, "
    f"which hold {corner:.0%} of the ratings; far from that corner most blocks are empty."
)
show(fig, alt=words)

# %% [markdown]
# Sorting changes nothing but the view. A tenth of the users and a tenth of the items meet in the top left corner, and the far side is
# nearly white. A density of 1.6 % is an average over two different worlds: a corner that is well filled, and a plain with next to
# nothing.
#
# ## The plain: long tail and cold start
#
# What stands on the plain? Items few people rated, the *long tail*, and users who rated little. An item or a user without any rating
# is *cold*: its column or row is empty, and nothing that looks only at this table can say anything about it.

# %%
print(f"items with one rating: {(popularity == 1).sum():,} of {ratings.n_items:,}")
print(f"items with under five: {(popularity < 5).sum():,}")
print(f"least active user:     {activity.min()} ratings")

split = data.random_split(ratings, seed=0)
seen = split.train.item_counts()[split.test.frame["item"]]
print(f"hidden ratings of items without one in train: {(seen == 0).mean():.1%}")

# %% [markdown]
# Two cautions. Nobody here has fewer than 20 ratings because MovieLens left those people out: a real shop has mostly such users. And
# hiding a random fifth of the ratings leaves hundreds of items without any. Chapter 08 gives them a content-based start.
#
# ## Where do the bytes go?
#
# Both talks compare two ways to store MovieLens 20M, with one byte for a rating (there are only ten different ones). *Dense*: every
# cell, filled or not. *Triples*: for each rating its user, its item, both as 32-bit integers, and its byte.

# %%
n_users, n_items, n_ratings = sizes["MovieLens 20M"]
dense = n_users * n_items * 1
triples = n_ratings * (1 + 4 + 4)
print(f"dense   {dense / 1e6:6,.0f} MB")
print(f"triples {triples / 1e6:6,.0f} MB, {dense / triples:.0f} times smaller")

# %% [markdown]
# Triples can still shrink. Sorted by user, the user column says the same number again and again: 0, 0, 1, 2, 2. It is enough to know
# where each user's part *starts*: at 0, at 2, at 3. This is **CSR**, compressed sparse row, with three arrays:

# %%
print("data   ", tiny.data)
print("indices", tiny.indices, "  the item of each rating")
print("indptr ", tiny.indptr, "    where each user starts, and the end")

# %% [markdown]
# Row $u$ is the slice `indptr[u]:indptr[u + 1]`. For Caro, user 2, that is `3:5`: item 0 with 4 stars, item 3 with 2 stars. No search,
# no comparison: two numbers are read, and the ratings of a user lie side by side. A user without ratings has an empty slice.
#
# **Exercise 01.1** (6 min). Write `row_starts`: from the sorted user column and the number of users to `indptr`, which has one entry
# more than there are users. Some users may not occur at all. `np.bincount` and `np.cumsum` save the loop. Stuck? Run `q1.hint()` or
# `q1.solution()` in a cell of your own.


# %%
def row_starts(users, n_users):
    ### BEGIN SOLUTION 01.1
    counts = np.bincount(users, minlength=n_users)
    return np.concatenate([[0], np.cumsum(counts)])
    ### END SOLUTION


# %%
q1 = exercise("01.1")
q1.check(row_starts)

# %%
row_starts = q1.use(row_starts)
csr = ratings.matrix()
starts = row_starts(user, ratings.n_users)
print("same as scipy's:", np.array_equal(starts, csr.indptr))
print("the first five items of user 2:", item[starts[2] : starts[3]][:5])

# %% [markdown]
# **Exercise 01.2** (4 min). Write `csr_bytes`. Each rating needs its value and its column index; each row needs a pointer, and there is
# one pointer more at the end. Widths are in bytes: 4 for 32 bits.


# %%
def csr_bytes(n_ratings, n_rows, value_bytes=1, index_bytes=4, pointer_bytes=4):
    ### BEGIN SOLUTION 01.2
    return n_ratings * (value_bytes + index_bytes) + (n_rows + 1) * pointer_bytes
    ### END SOLUTION


# %%
q2 = exercise("01.2")
q2.check(csr_bytes)

# %%
csr_bytes = q2.use(csr_bytes)
print(f"CSR, 32-bit columns: {csr_bytes(n_ratings, n_users) / 1e6:5.1f} MB")
print(f"CSR, 16-bit columns: {csr_bytes(n_ratings, n_users, index_bytes=2) / 1e6:5.1f} MB")
print(f"the pointers alone:  {csr_bytes(0, n_users) / 1e6:5.1f} MB")

# %% [markdown]
# CSR nearly halves the 180 MB: 144 ratings share one pointer. And 27,278 items fit into 16 bits, which reach to 65,535, so a third of
# the triples' size is possible. (scipy itself stores indices as 32- or 64-bit integers only.)
#
# ## When does dense win?
#
# A sparse format pays for the *place* of each rating, a dense one for the cells without any. As a table fills up, the dense one wins at
# some density. Suppose each stored rating takes `value_bytes` for itself and `place_bytes` for where it stands.
#
# **Exercise 01.3** (5 min). Write `break_even`: the density at which both need the same memory, as a share between 0 and 1. Leave the
# row pointers out. The number of cells cancels.


# %%
def break_even(value_bytes, place_bytes):
    ### BEGIN SOLUTION 01.3
    return value_bytes / (value_bytes + place_bytes)
    ### END SOLUTION


# %%
q3 = exercise("01.3")
q3.check(break_even)

# %%
break_even = q3.use(break_even)
formats = {"triples, 32 bit": 8, "CSR, 32 bit": 4, "CSR, 16 bit": 2}
values = {"1-byte code": 1, "float32": 4, "float64": 8}
shares = {name: [f"{break_even(v, p):.0%}" for p in formats.values()] for name, v in values.items()}
pd.DataFrame(shares, index=list(formats))

# %% [markdown]
# At 0.53 % every sparse format wins by far. But compare the columns: the more bytes a value takes, the less its address matters, and
# the longer sparse formats stay ahead.
#
# Move the sliders. The dashed line is your density, the dots mark where triples and CSR meet the dense table. Look also at the far
# left: where rows are nearly empty, CSR's pointers cost more than the ratings do, and triples win.


# %% tags=["fold"]
def storage(percent, index_bytes, value_bytes):
    """Bytes of a 138,493 × 27,278 table in three formats; 16 bits cannot number its users."""
    n = int(n_users * n_items * percent / 100)
    triple_bytes = value_bytes + index_bytes + max(index_bytes, 4)
    return {
        "dense": n_users * n_items * value_bytes,
        "triples": n * triple_bytes,
        "CSR": csr_bytes(n, n_users, value_bytes, index_bytes, pointer_bytes=8),
    }


def size(n_bytes):
    return f"{n_bytes / 1e9:.3g} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.3g} MB"


# %% tags=["fold"]
def draw_storage(percent, index_bytes, value_bytes):
    now = storage(percent, index_bytes, value_bytes)
    grid = np.logspace(-3, 2, 60)
    lines = pd.DataFrame([storage(p, index_bytes, value_bytes) for p in grid], index=grid)
    fig, ax = plt.subplots(figsize=(7, 4))
    for name in lines:
        ax.loglog(lines.index, lines[name] / 1e6, label=f"{name}: {size(now[name])}")
    places = (index_bytes + max(index_bytes, 4), "right", 1.6), (index_bytes, "left", 0.35)
    for place_bytes, side, shift in places:
        cross = 100 * break_even(value_bytes, place_bytes)
        ax.plot(cross, now["dense"] / 1e6, "o", color=plots.PALETTE["black"])
        ax.text(cross, now["dense"] / 1e6 * shift, f" {cross:.0f}% ", ha=side)
    ax.axvline(percent, color=plots.PALETTE["grey"], linestyle="--")
    ax.set(xlabel="% of the cells filled", ylabel="MB")
    ax.set_title(f"{percent:.3g}% full: {min(now, key=now.get)} is smallest")
    frame = {"frameon": True, "framealpha": 1, "edgecolor": "none"}
    ax.legend(title="at the dashed line", loc="lower right", **frame)
    return fig


# %% tags=["fold"]
def storage_words(percent, index_bytes, value_bytes):
    now = storage(percent, index_bytes, value_bytes)
    cross = break_even(value_bytes, index_bytes)
    dense, triples, csr_size = (size(n_bytes) for n_bytes in now.values())
    return (
        f"At {percent:.3g}% full, the table takes {dense} dense, {triples} as triples and "
        f"{csr_size} as CSR; dense is smaller than CSR above {cross:.0%}."
    )


bits = [("16 bit", 2), ("32 bit", 4), ("64 bit", 8)]
widths = [("8 bit", 1), *bits]
full = {"value": 0.53, "min": -3, "max": 2, "step": 0.05, "readout_format": ".3g"}
explore(
    draw_storage,
    alt=storage_words,
    percent=widgets.FloatLogSlider(description="% full", **full),
    index_bytes=widgets.SelectionSlider(options=bits, value=4, description="index"),
    value_bytes=widgets.SelectionSlider(options=widths, value=1, description="value"),
)

# %% [markdown]
# ## Measured, not only computed
#
# Does scipy agree with the formulas? We build our table in five formats and ask the arrays for their `nbytes`. Besides CSR there are
# **COO** (the triples), **CSC** (CSR by column) and **LIL** (two Python lists for each row).

# %%
stars = ratings.frame["rating"].to_numpy()
coo = sparse.coo_matrix((stars, (user, item)), shape=csr.shape)
forms = {"COO": coo, "CSR": coo.tocsr(), "CSC": coo.tocsc(), "LIL": coo.tolil()}
forms["dense"] = coo.toarray()


def array_bytes(matrix):
    """Bytes in the arrays of a table: `nbytes`, added up."""
    if isinstance(matrix, np.ndarray):
        return matrix.nbytes
    parts = ("data", "indices", "indptr", "row", "col", "rows")
    return sum(getattr(matrix, part).nbytes for part in parts if hasattr(matrix, part))


for name, form in forms.items():
    print(f"{name:5} {array_bytes(form):12,} bytes")
print(f"formula for CSR {csr_bytes(len(ratings), ratings.n_users, value_bytes=4):,}")

# %% [markdown]
# CSR is what the formula says, to the byte. LIL looks like a miracle, and is a trap: its two arrays hold *pointers to lists*, eight
# bytes each, and `nbytes` does not follow pointers. `tracemalloc` counts every allocation instead.
#
# We also want to *build* a table fast and to *read* one user or one item.


# %% tags=["fold"]
def megabytes(job):
    """What is still allocated after a job has made its result."""
    tracemalloc.start()
    kept = job()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return used / 1e6 if kept is not None else 0.0


def milliseconds(job, repeat=3):
    """Wall-clock time of the fastest of a few runs."""
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        job()
        taken.append(time.perf_counter() - start)
    return 1000 * min(taken)


# %%
def read(form, axis, places=range(0, 600, 15)):
    """Read forty rows (axis 0) or columns (axis 1), one at a time."""
    if sparse.issparse(form) and form.format == "coo":  # has no index: compare with every rating
        index = form.row if axis == 0 else form.col
        return [form.data[index == k] for k in places]
    return [form[k] if axis == 0 else form[:, k] for k in places]


def slices(form, places=range(0, 600, 15)):
    """The same forty rows of a CSR matrix, straight from its arrays."""
    return [form.data[form.indptr[k] : form.indptr[k + 1]] for k in places]


# %% tags=["nbval-ignore-output", "timing"]
build = {
    "COO": lambda: sparse.coo_matrix((stars, (user, item)), shape=csr.shape, copy=True),
    "CSR": coo.tocsr,
    "CSC": coo.tocsc,
    "LIL": coo.tolil,
    "dense": coo.toarray,
}
measured = {
    "memory, MB": {name: megabytes(job) for name, job in build.items()},
    "build, ms": {name: milliseconds(job) for name, job in build.items()},
    "40 rows, ms": {name: milliseconds(lambda f=f: read(f, 0)) for name, f in forms.items()},
    "40 columns, ms": {name: milliseconds(lambda f=f: read(f, 1)) for name, f in forms.items()},
}
measured["40 rows, ms"]["CSR, sliced"] = milliseconds(lambda: slices(csr))
total = sum(row.sum() for row in slices(csr))
for form in forms.values():  # whatever the format, the same numbers come out
    assert np.isclose(sum(row.sum() for row in read(form, 0)), total)
used = measured["memory, MB"]
assert used["LIL"] > used["CSR"] > array_bytes(forms["LIL"]) / 1e6
pd.DataFrame(measured).round(2).fillna("")

# %% [markdown]
# The numbers are those of one machine; look at the orders of magnitude. LIL really takes several times as much as CSR. Dense reads
# fastest, if it fits. CSR is made for rows, CSC for columns, and each is slow at the other's trade.
#
# Much of scipy's row read is bookkeeping, since it returns a new matrix with all its checks. When you only need the numbers, slice the
# arrays yourself, as in the last line of the table.

# %% [markdown]
# ## One-hot rows
#
# A factorization machine (chapter 06) wants a row for each *rating*, with a 1 in the column of its user and a 1 in the column of its
# item, counted after the users. The 2018 talk fills a `lil_matrix` cell by cell, like this; our five ratings by three users of four
# items give 5 × 7:


# %%
def one_hot_loop(users, items, n_users, n_items):
    """The way of the talk: one cell at a time."""
    rows = sparse.lil_matrix((len(users), n_users + n_items), dtype=np.float32)
    for line, (u, i) in enumerate(zip(users, items, strict=True)):
        rows[line, u] = 1
        rows[line, n_users + i] = 1
    return rows


print(one_hot_loop(users, items, 3, 4).toarray().astype(int))

# %% [markdown]
# LIL is the right format for that loop, since CSR would shift its arrays at every write. The loop is the problem: each assignment
# passes through Python's checks and an insertion into two lists.
#
# **Exercise 01.4** (10 min, *stretch*). Write `one_hot`, which returns the same table as a CSR matrix, without a loop and without a
# dense table on the way. Everything about it is known in advance: two ones a row, so you can write down `data`, `indices` and `indptr`
# and hand them to `sparse.csr_matrix((data, indices, indptr), shape=…)`.


# %%
def one_hot(users, items, n_users, n_items):
    ### BEGIN SOLUTION 01.4
    n = len(users)
    indices = np.stack([users, n_users + np.asarray(items)], axis=1).ravel()
    indptr = np.arange(0, 2 * n + 1, 2)
    data = np.ones(2 * n, dtype=np.float32)
    return sparse.csr_matrix((data, indices, indptr), shape=(n, n_users + n_items))
    ### END SOLUTION


# %%
q4 = exercise("01.4")
q4.check(one_hot)

# %%
one_hot = q4.use(one_hot)
features = one_hot(user, item, ratings.n_users, ratings.n_items)
rows, columns = features.shape
dense_gb, csr_mb = rows * columns * 4 / 1e9, array_bytes(features) / 1e6
print(f"{rows:,} x {columns:,}: dense {dense_gb:.1f} GB, CSR {csr_mb:.1f} MB")

# %% tags=["nbval-ignore-output", "timing"]
some = (user[:10_000], item[:10_000], ratings.n_users, ratings.n_items)
loop_ms = milliseconds(lambda: one_hot_loop(*some), repeat=1)
csr_ms = milliseconds(lambda: one_hot(*some))
times = loop_ms / csr_ms
print(f"10,000 ratings: loop {loop_ms:.0f} ms, CSR {csr_ms:.2f} ms, {times:,.0f} times faster")
assert (one_hot_loop(*some) != one_hot(*some)).nnz == 0

# %% [markdown]
# The same table, in a thousandth of the time or less. Keep the pattern: collect *arrays* of places and values, then build the matrix
# once.
#
# ## Fixed width, padded with −1
#
# Networks like rectangles: a batch of users, each with a list of items, all lists of one length. The 2016 talk stores exactly that and
# pads short lists at the end with −1, which no item has as its index.
#
# **Exercise 01.5** (6 min). Write `pad`: from a list of lists to an integer array with `width` columns. Short lists are filled with −1
# at the end, long ones lose their end.


# %%
def pad(lists, width):
    ### BEGIN SOLUTION 01.5
    table = np.full((len(lists), width), -1)
    for row, entries in zip(table, lists, strict=True):
        kept = entries[:width]
        row[: len(kept)] = kept
    return table
    ### END SOLUTION


# %%
q5 = exercise("01.5")
q5.check(pad)

# %%
pad = q5.use(pad)
ragged = [row.tolist() for row in np.split(csr.indices, csr.indptr[1:-1])]  # a list for each user
padded = pad(ragged, activity.max()).astype(np.int32)
megabytes_used, empty = padded.nbytes / 1e6, (padded == -1).mean()
print(f"padded to {padded.shape[1]:,}: {megabytes_used:.1f} MB, of which {empty:.0%} is padding")
print(f"ragged: {(csr.indices.nbytes + csr.indptr.nbytes) / 1e6:.1f} MB: CSR without its values")

titles = np.array(names["columns"])
ana = pad([[0, 2]], 4)[0]
print(f"\nAna's list: {ana}")
print(f"its titles: {titles[ana].tolist()}")
print(f"masked:     {titles[ana[ana >= 0]].tolist()}")

# %% [markdown]
# One user with 2,391 ratings makes everyone's list 2,391 long. And a trap, in the last lines: in Python −1 is a valid index and means
# *the last*. A lookup with a padded list raises no error, it hands out the last item. Whoever pads must also mask.
#
# A smaller width cuts the long lists. So there are two kinds of waste: cells that hold padding, and ratings that are thrown away.


# %%
def waste(width):
    """Share of cells that are padding, share of ratings that are cut off."""
    kept = np.minimum(activity, width).sum()
    return 1 - kept / (len(activity) * width), 1 - kept / activity.sum()


# %% [markdown]
# The slider trades one for the other. Try to find a width at which both are small.


# %% tags=["fold"]
def draw_width(width):
    length = np.sort(activity)[::-1]
    rank, kept = np.arange(len(length)), np.minimum(length, width)
    padding, lost = waste(width)
    fig, ax = plt.subplots(figsize=(7, 3.8))
    parts = {
        "kept": (0, kept, "blue", 1),
        "cut off": (kept, length, "red", 1),
        "padding": (kept, width, "yellow", 0.6),
    }
    for name, (low, high, color, alpha) in parts.items():
        look = {"color": plots.PALETTE[color], "alpha": alpha, "step": "mid", "lw": 0}
        ax.fill_between(rank, low, high, label=name, **look)
    ax.set_ylim(0, max(length.max(), width))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.set(xlabel="users, most active first", ylabel="length of the user's list")
    ax.set_title(f"Width {width:,}: {padding:.0%} padding, {lost:.0%} of ratings lost")
    ax.legend(loc="upper right", frameon=True, edgecolor="none")
    return fig


# %% tags=["fold"]
def width_words(width):
    padding, lost = waste(width)
    kept = f"{padding:.0%} of the cells are padding and {lost:.0%} of the ratings are cut off"
    return f"With lists of {width:,} items, {kept}."


explore(draw_width, alt=width_words, width=widgets.IntSlider(value=520, min=10, max=2400, step=10))

# %% [markdown]
# There is no such width: activity has a long tail too. Two ways out. Store ragged, as CSR does, and pad only the batch you are about to
# use. And put users of similar length into one batch, so that each batch is padded to its own longest list:

# %%
for how, length in {"as they come": activity, "sorted by length": np.sort(activity)}.items():
    batches = np.split(length, range(32, len(length), 32))
    cells = sum(len(batch) * batch.max() for batch in batches)
    print(f"batches of 32, {how:16}: {1 - activity.sum() / cells:.0%} padding")

# %% [markdown]
# ## What two users share
#
# Now for your guess. Methods that compare users need items that both have rated. With user $u$ having rated $a_u$ of $n_i$ items *at
# random*, each of the $a_v$ items of user $v$ is among them with probability $a_u / n_i$, so we expect
#
# $$\mathrm{E}[\text{shared}] = \frac{a_u\, a_v}{n_i}$$
#
# The real number needs one matrix product: with $B$ the table of ones where there is a rating, $(BB^\top)_{uv}$ counts what $u$ and $v$
# share.


# %%
def shared(matrix):
    """Number of items in common, for each pair of different users."""
    ones = (matrix > 0).astype(np.int32)
    pairs = np.triu_indices(matrix.shape[0], k=1)
    return (ones @ ones.T).toarray()[pairs]


real = shared(csr)
a = activity.mean()
print(f"formula {a * a / ratings.n_items:.1f}, measured {real.mean():.1f}")
guess("01").meets(f"{real.mean():.1f}")

# %% [markdown]
# Many more than the formula says. Is the formula wrong, or the assumption behind it? We build a world in which it holds: every user
# keeps the number of ratings, but draws the items at random.

# %%
rng = np.random.default_rng(0)
drawn = [rng.choice(ratings.n_items, size=n, replace=False) for n in activity]
places = np.repeat(np.arange(ratings.n_users), activity), np.concatenate(drawn)
random_world = sparse.csr_matrix((np.ones(len(places[0])), places), shape=csr.shape)
chance = shared(random_world)
print(f"shared in the random world: {chance.mean():.1f}")

# %% tags=["fold"]
fig, ax = plt.subplots()
bins = np.arange(-0.5, 41)
for values, label in ((chance, "items drawn at random"), (real, "as it is")):
    percent = np.full(len(values), 100 / len(values))
    ax.hist(np.minimum(values, 40), bins, weights=percent, alpha=0.7, label=label)
ax.set(xlabel="items that two users share (40 and more in the last bar)", ylabel="% of pairs")
ax.set_title("Popularity makes users overlap, unevenly")
ax.legend()
words = (
    f"At random {(chance == 0).mean():.0%} of the pairs of users share no item, in reality "
    f"{(real == 0).mean():.0%}; half of the real pairs share {np.median(real):.0f} items or fewer, "
    f"and one pair shares {real.max()}."
)
show(fig, alt=words)

# %% [markdown]
# So the assumption is at fault: people meet at the popular items. There is an exact way to count that. An item rated by $c$ users is
# shared by $c(c-1)/2$ pairs of them; add up over items, divide by the number of pairs.
#
# **Exercise 01.6** (8 min, *stretch*). Write `mean_shared`: from the popularity of each item and the number of users, the mean number of
# items that two different users share. No matrix is needed.


# %%
def mean_shared(popularity, n_users):
    ### BEGIN SOLUTION 01.6
    c = np.asarray(popularity, dtype=float)
    return np.sum(c * (c - 1)) / (n_users * (n_users - 1))
    ### END SOLUTION


# %%
q6 = exercise("01.6")
q6.check(mean_shared)

# %%
mean_shared = q6.use(mean_shared)
exact = mean_shared(popularity, ratings.n_users)
print(f"from the popularity alone {exact:.2f}, measured {real.mean():.2f}")
print(f"as if the catalog had {a * a / exact:,.0f} equally popular items, not {ratings.n_items:,}")
print(f"median {np.median(real):.0f}; pairs that share fewer than five: {(real < 5).mean():.0%}")

# %% [markdown]
# The mean flatters. Half of all pairs share six items or fewer, and a correlation over six points has a standard error near 0.45. This
# is where methods that compare users directly run dry, and why the next chapter describes each user by a few numbers that *can* be
# compared.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 01.q3
choice = "c"
### END SOLUTION
exercise("01.q3").ask(choice)

# %% [markdown]
# ## What the holes do to a model
#
# The best constant has an RMSE equal to the standard deviation (chapter 00). The next idea is the mean of each *item*: surely a film's
# own ratings say more than those of all films? The function can also pull an item's mean toward the mean of all, as if it had
# `strength` more ratings there.


# %%
def item_means(train, strength=0.0):
    """Mean rating of each item, shape (n_items,); the mean of all where nothing is known."""
    seen, count = train.frame, train.item_counts() + strength
    overall = seen["rating"].to_numpy(dtype=float).mean()
    total = np.bincount(seen["item"], weights=seen["rating"], minlength=train.n_items)
    pulled = (total + strength * overall) / np.maximum(count, 1e-9)
    return np.where(count > 0, pulled, overall)


def by_support(predict, edges=(0, 1, 2, 5, 10, 20, 50, 10_000)):
    """RMSE of hidden ratings by how many ratings their item has in train, for five splits."""
    rows = []
    for seed in range(5):
        split = data.random_split(ratings, seed=seed)
        test, means = split.test.frame, predict(split.train)
        support = np.digitize(split.train.item_counts()[test["item"]], edges) - 1
        error = (means[test["item"]] - test["rating"]) ** 2
        rows.append(np.sqrt(error.groupby(support).mean()))
    return pd.concat(rows, axis=1)


# %%
def global_mean(train):
    return item_means(train, strength=1e9)  # pulled all the way


support = ["0", "1", "2–4", "5–9", "10–19", "20–49", "50+"]
curves = pd.DataFrame({"global mean": by_support(global_mean).mean(axis=1)})
curves["item mean"] = by_support(item_means).mean(axis=1)
curves.index = pd.Index(support, name="ratings in train")
curves.round(3)

# %% [markdown]
# For an item with *one* known rating, its mean is worse than no information at all. A mean of $m$ ratings carries noise: its squared
# error is about $\sigma^2(1 + 1/m)$, with $\sigma^2$ the variance *within* an item. The constant's is $\sigma^2 + \tau^2$, with $\tau^2$
# the variance *between* items. So the item mean wins once $m > \sigma^2/\tau^2$. (The constant does worse on rare items too: their ratings
# vary more.)


# %%
def noise_ratio(train):
    """Variance within an item over variance between items: ratings before a mean is trusted."""
    stars, of_item = train.frame["rating"].to_numpy(dtype=float), train.frame["item"]
    within = ((stars - item_means(train)[of_item]) ** 2).sum() / (len(stars) - of_item.nunique())
    return within / (stars.var() - within)


needed = noise_ratio(split.train)
print(f"ratings needed before an item's own mean is the better guess: {needed:.1f}")

# %% [markdown]
# About four. The same ratio is also the right `strength` of the pull: with one rating an item then moves a fifth of the way from the
# mean of all to its own, with forty nearly the whole way.


# %%
def pulled_means(train):
    return item_means(train, strength=noise_ratio(train))


curves["item mean, pulled"] = by_support(pulled_means).mean(axis=1).to_numpy()

# %% tags=["fold"]
fig, ax = plt.subplots()
for name, marker in zip(curves, "os^", strict=True):
    ax.plot(support, curves[name], marker=marker, label=name)
ax.set(xlabel="ratings the item has in train", ylabel="RMSE, stars")
ax.set_title("With one rating, an item's mean is worse than none")
ax.legend()
one = curves.loc["1"]
words = (
    f"With one rating in train, the item's mean has an RMSE of {one.iloc[1]:.2f}, the global mean "
    f"{one.iloc[0]:.2f} and the pulled mean {one.iloc[2]:.2f}; "
    f"from fifty ratings on both item means agree at {curves.iloc[-1, 1]:.2f}."
)
show(fig, alt=words)

# %% [markdown]
# Pulling many noisy means toward their common mean is an old discovery (Efron and Morris, 1977), and returns in chapter 02 as
# *regularization*. Does it help overall? We compare the three on five random splits, and put the first split on the scoreboard.

# %%
models = {"global mean": global_mean, "item mean": item_means, "item mean, pulled": pulled_means}
errors = pd.DataFrame(index=range(5), columns=list(models), dtype=float)
for seed in errors.index:
    split = data.random_split(ratings, seed=seed)
    test = split.test.frame
    for name, fit in models.items():
        errors.loc[seed, name] = metrics.rmse(fit(split.train)[test["item"]], test["rating"])
protocol = ledger.Protocol(chapter="01", dataset=ratings.name, split="random 80/20, seed 0")
for name in models:
    ledger.record(protocol, model=name, metric="RMSE", value=errors.loc[0, name])
better = (errors.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)
print("each better than the one before, in every split:", better)
print(errors.agg(["mean", "min", "max"]).round(3).to_string())
ledger.scoreboard("01")

# %% [markdown]
# It does: in each of the five splits the item means beat the constant, and the pulled means beat both.
#
# ## What the sources say
#
# *The 2018 talk says MovieLens 20M is 0.05 % full.* It is 0.53 %: the share 0.0053 lost a factor of ten on its way to a percentage.
# The 2016 talk has it right: "99.5% of ratings are unknown".
#
# *Both talks say sparse is 20 times smaller, 180 MB against 3.7 GB.* That is so for triples and one-byte ratings. The factor depends on
# the format as much as on the density: the next cell has the same table in CSR, and with the four-byte floats that most libraries use.
#
# *The 2018 talk makes its one-hot columns from raw ids, minus one.* On MovieLens 100K ids have no gaps, so it works. On our data the
# same line asks for a table much wider than it has users and items.

# %%
for value_bytes in (1, 4):
    full = n_users * n_items * value_bytes
    forms_ml20m = {
        "triples": n_ratings * (value_bytes + 8),
        "CSR, 32 bit": csr_bytes(n_ratings, n_users, value_bytes),
        "CSR, 16 bit": csr_bytes(n_ratings, n_users, value_bytes, index_bytes=2),
    }
    print(
        f"{value_bytes}-byte ratings: dense {size(full)};",
        ", ".join(f"{k} 1/{full / v:.0f}" for k, v in forms_ml20m.items()),
    )

wide = ratings.user_ids.max() + ratings.item_ids.max()
print(f"columns from raw ids {wide:,}, from contiguous ones {ratings.n_users + ratings.n_items:,}")

# %% [markdown]
# ## Recap
#
# In this chapter we wrote the known ratings as a table, stored it in a small part of the obvious memory, and read a user's row as one
# slice. We saw where dense wins, why loops over cells are slow, and what padding wastes. And the holes bite: most pairs of users
# share little, and an item with one rating should not be believed.
#
# Next: [02 · Matrix factorization](02_matrix_factorization.ipynb), which guesses the empty cells.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.
#
# **References.** Leo Dirac, 2016: *Using MXNet for Recommendation Modeling at Scale*, AWS re:Invent MAC306. · AWS, 2018: training talk
# on recommender systems with MXNet and SageMaker. · F. Maxwell Harper and Joseph A. Konstan, 2015: *The MovieLens Datasets: History and
# Context*, ACM TiiS 5, 4. · James Bennett and Stan Lanning, 2007: *The Netflix Prize*, KDD Cup and Workshop. · Bradley Efron and Carl
# Morris, 1977: *Stein's Paradox in Statistics*, Scientific American 236, 5.

# %%
progress("01")
