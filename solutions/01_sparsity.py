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
# # 01 · Sparsity
#
# A recommender's data is a table in which nearly every cell is empty. This chapter shows how to store such a table, how to read it fast,
# and how empty cells mislead a model.
#
# *Run a cell with Shift+Enter. After a restart: Run → Run All Above Selected Cell. Buttons and sliders work once their cell has run.*

# %% [markdown]
# | | |
# |---|---|
# | **You will be able to** | count the bytes of a sparse table before you build it · say when a dense one is smaller · read and write the CSR format by hand · build one-hot features without a loop · predict how many items two users share |
# | **Prerequisites** | [00 Start here](00_start_here.ipynb); NumPy indexing |
# | **Time** | 25 minutes for the core, 70 for all; 5 seconds to run |
# | **Needs** | no network, no account, no GPU |
# | **Builds on** | *Using MXNet for Recommendation Modeling at Scale* (Leo Dirac, AWS re:Invent 2016) · AWS training talk on recommender systems (2018) |

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

# %% [markdown] tags=["core"]
# ## Predict before you run
#
# In the data of this course, a user has rated 149 of 9,066 items on average. Draw two users at random. How many items have been rated by
# both? Near the end of the chapter we count it for all pairs of users.

# %%
many = ["about 2", "about 14", "about 50"]
guess("01", "How many items have been rated by both users, on average over all pairs?", many)

# %% [markdown] tags=["core"]
# ## From a function to a table
#
# The talk of 2016 starts with the whole task as one function, `predictRating(user, movie)`, and asks what to write into it. Its answer:
# the function is *learned* from the ratings that are known.
#
# Give each user a row and each item a column, and the known ratings form the *user–item matrix*. Here is one with three users, four items
# and five ratings.

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
# The data is the five triples (user, item, stars). An empty cell means *unknown*, not zero stars.
#
# Libraries do not know that. For scipy, a cell that is not stored is a zero, and `tiny.mean()` counts seven such zeros.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 01.q1
choice = "b"
### END SOLUTION
exercise("01.q1").ask(choice)

# %% [markdown] tags=["core"]
# ## How empty is a real table?
#
# The *density* $d$ is the share of cells that are filled: $d = n / (n_u\,n_i)$, with $n$ ratings, $n_u$ users and $n_i$ items. Here are
# four public data sets. This course uses the first, the 2018 talk the second, and both talks speak of the third.

# %%
ratings = data.load()
user = ratings.frame["user"].to_numpy()
item = ratings.frame["item"].to_numpy()
activity, popularity = ratings.user_counts(), ratings.item_counts()

sizes = {
    "MovieLens latest-small": (ratings.n_users, ratings.n_items, len(ratings)),
    "MovieLens 100K": (943, 1_682, 100_000),
    "MovieLens 20M": (138_493, 27_278, 20_000_263),
    "Netflix Prize": (480_189, 17_770, 100_480_507),
}
table = pd.DataFrame(sizes, index=["users", "items", "ratings"]).T
table["ratings per user"] = table["ratings"] / table["users"]
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
# The last two columns belong together: $d = a / n_i$, where $a = n / n_u$ is the number of ratings per user.
#
# The largest of these catalogs has sixteen times as many items as the smallest. The ratings per user differ by a factor of two only. They
# do not grow in proportion to the catalog, so the larger catalogs have the emptier tables.

# %% [markdown] tags=["core"]
# ## A picture of it
#
# We cut our table into 40 × 120 blocks. The color of a block is the share of its cells that are filled, and an empty block is white. In
# the upper picture, users and items are in the order of their ids. In the lower one, the most active users are on top and the most popular
# items on the left.


# %% tags=["fold"]
def place(counts):
    """Position of each user or item when the largest count comes first."""
    return np.argsort(np.argsort(-counts, kind="stable"))


def filled(rows, columns):
    """Share of filled cells in each of 40 × 120 blocks; NaN where a block is empty."""
    span = [(0, ratings.n_users), (0, ratings.n_items)]
    count, r, c = np.histogram2d(rows, columns, bins=(40, 120), range=span)
    return np.where(count > 0, count / np.outer(np.diff(r), np.diff(c)), np.nan)


by_activity, by_popularity = place(activity)[user], place(popularity)[item]
active, popular = by_activity / ratings.n_users, by_popularity / ratings.n_items
corner = ((active < 0.1) & (popular < 0.1)).mean()
far = ((active >= 0.5) & (popular >= 0.5)).sum() / (ratings.n_users * ratings.n_items / 4)
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
    "The most active tenth of the users and the most popular tenth of the items share 1% of the "
    f"cells, which hold {corner:.0%} of the ratings."
)
show(fig, alt=words)
print(f"less active half of the users, less popular half of the items: {far:.2%} filled")

# %% [markdown]
# Sorting changes the view, not the data. The density of 1.64 % is an average that hides two regions: one well filled, one almost empty.
#
# The less active half of the users and the less popular half of the items share a quarter of the cells. One in 5,000 of these is filled.

# %% [markdown] tags=["core"]
# ## Long tail and cold start
#
# What is in the almost empty region? It has items that few people have rated, the *long tail*, and users with few ratings.
#
# A user or item without any rating is *cold*: its row or column is empty. A model that sees only this table knows nothing about it.

# %%
print(f"items with one rating: {(popularity == 1).sum():,} of {ratings.n_items:,}")
print(f"items with under five: {(popularity < 5).sum():,}")
print(f"least active user:     {activity.min()} ratings")

split = data.random_split(ratings, seed=0)
known = split.train.item_counts()
cold = (known[split.test.frame["item"]] == 0).mean()
print(f"hide a fifth of the ratings: {(known == 0).sum()} items have none left")
print(f"hidden ratings of such items: {cold:.1%}")

# %% [markdown]
# Two warnings. MovieLens left out everybody with fewer than 20 ratings, so this data has no cold users. A shop has them.
#
# And a random split makes cold items: 645 of them have all their ratings in the hidden fifth. Chapter 08 describes cold items by their
# content.

# %% [markdown] tags=["core"]
# ## Where do the bytes go?
#
# Both talks compare two ways to store MovieLens 20M. A rating takes one byte, because it has only ten different values.
#
# - *Dense*: one byte for every cell, filled or not.
# - *Triples*: for each rating its user, its item and its byte. User and item are 32-bit integers.

# %%
n_users, n_items, n_ratings = sizes["MovieLens 20M"]
dense = n_users * n_items * 1
triples = n_ratings * (1 + 4 + 4)
print(f"dense   {dense / 1e6:6,.0f} MB")
print(f"triples {triples / 1e6:6,.0f} MB, {dense / triples:.0f} times smaller")

# %% [markdown]
# Triples can be made smaller. In triples sorted by user, the user column repeats itself: 0, 0, 1, 2, 2. It is enough to know where each
# user's ratings *start*: at 0, at 2, at 3.
#
# This is **CSR**, compressed sparse row. It has three arrays:

# %%
print("data   ", tiny.data)
print("indices", tiny.indices, "  the item of each rating")
print("indptr ", tiny.indptr, "    where each user starts, and the end")

# %% [markdown]
# Row $u$ is the slice `indptr[u]:indptr[u + 1]` of both other arrays. For Caro, user 2, that is `3:5`: item 0 with 4 stars, item 3 with 2
# stars. Nothing is searched. A user without ratings has an empty slice.
#
# **Exercise 01.1** (6 min). Write `row_starts`. It takes the sorted user column and the number of users, and returns `indptr`, which has
# one entry more than there are users. Some users may have no rating. `np.bincount` and `np.cumsum` make a loop unnecessary.


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
# **Exercise 01.2** (4 min). How large is a table in CSR? Write `csr_bytes`, which adds up the bytes of the three arrays. How many entries
# does each of them have? All widths are in bytes: 4 stands for 32 bits.


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
# CSR takes 101 MB where triples take 180 MB. The pointers cost little, since 144 ratings share one.
#
# A 16-bit integer can number 65,536 items, and there are 27,278. With 16-bit column indices CSR needs a third of what triples need. (scipy
# itself stores indices as 32- or 64-bit integers only.)

# %% [markdown]
# ## When does dense win? · optional
#
# A sparse format also stores *where* each rating is; a dense one also stores the empty cells. So from some density on, the dense table is
# smaller. Let a value take `value_bytes`, and its place in the sparse format `place_bytes`.
#
# **Exercise 01.3** (5 min). Write `break_even`: the density at which both need the same memory, as a share between 0 and 1. Leave the
# row pointers out.


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
# At 0.53 %, every sparse format is far smaller than the dense table. Compare the columns: the more bytes a value takes, the smaller the
# share of the indices, and the higher the density up to which sparse is smaller.
#
# Move the sliders below. The dashed line is your density. A dot marks where a sparse format meets the dense table. Look at the far left,
# too: there the pointers of CSR cost more than the ratings, and triples are smaller.


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


def draw_storage(percent, index_bytes, value_bytes):
    now = storage(percent, index_bytes, value_bytes)
    grid = np.logspace(-3, 2, 60)
    sizes = pd.DataFrame([storage(p, index_bytes, value_bytes) for p in grid]) / 1e6
    curves = {f"{name}: {size(now[name])}": (grid, sizes[name]) for name in sizes}
    axes = {"xscale": "log", "yscale": "log", "xlabel": "% of the cells filled", "ylabel": "MB"}
    title = f"{percent:.3g}% full: {min(now, key=now.get)} is smallest"
    fig = plots.lines(curves, title=title, **axes)
    ax, top = fig.axes[0], now["dense"] / 1e6
    places = (index_bytes + max(index_bytes, 4), "right", 1.6), (index_bytes, "left", 0.35)
    for place_bytes, side, shift in places:
        cross = 100 * break_even(value_bytes, place_bytes)
        ax.plot(cross, top, "o", color=plots.PALETTE["black"])
        ax.text(cross, top * shift, f" {cross:.0f}% ", ha=side)
    ax.axvline(percent, color=plots.PALETTE["grey"], linestyle="--")
    ax.get_legend().set_title("at the dashed line")
    return fig


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
# ## Measured, not only computed · optional
#
# Does scipy agree with the formulas? We store our table in five formats and add up the `nbytes` of the arrays. Besides CSR there are
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
# CSR takes exactly what the formula says. LIL seems to need almost nothing, but that is wrong. Its two arrays hold *pointers* to lists,
# and `nbytes` does not count the lists. `tracemalloc` counts every allocation.
#
# The next cell measures memory with `tracemalloc`. It also measures how long it takes to build each format, and to read forty rows or
# forty columns.


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
used, rows, columns = (measured[k] for k in ("memory, MB", "40 rows, ms", "40 columns, ms"))
assert used["LIL"] > 5 * used["CSR"]
assert rows["CSR"] < columns["CSR"] and columns["CSC"] < rows["CSC"]
pd.DataFrame(measured).round(2).fillna("")

# %% [markdown]
# The times are those of one machine, so look at the orders of magnitude. LIL takes almost nine times the memory of CSR. CSR reads rows
# faster than columns, CSC columns faster than rows. The dense table is the fastest to read, if it fits into memory.
#
# COO looks at all 100,004 ratings to find one row, and is still no slower than CSR here. The reason is that scipy makes and checks a new
# matrix for each row it reads. The last line avoids that: it slices the arrays of CSR, in less than a hundredth of the time.

# %% [markdown]
# ## One-hot rows · optional
#
# Chapter 06 needs one row for each *rating*. It has a 1 in the column of its user, a 1 in the column of its item, and 0 everywhere else.
# This is called *one-hot*. The columns of the items come after those of the users. So our five ratings by three users of four items give a
# 5 × 7 table.
#
# The 2018 talk fills a `lil_matrix` cell by cell, like this:


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
# LIL is the right format for that loop, because CSR would move its arrays at every write. The loop is what takes the time.
#
# **Exercise 01.4** (10 min, *stretch*). Write `one_hot`: it returns the same table as a CSR matrix, without a loop and without a dense
# table on the way. Every row has two ones, so you can write down `data`, `indices` and `indptr`. Hand them to
# `sparse.csr_matrix((data, indices, indptr), shape=…)`.


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
# The table is the same. The cell says how many times faster `one_hot` is: hundreds of times or more, if it writes the three arrays down
# directly. Keep the pattern: collect *arrays* of places and values, then build the matrix once.

# %% [markdown]
# ## Fixed width, padded with −1 · optional
#
# A network takes a batch of users as a rectangle: one list of items for each user, all of the same length. The 2016 talk stores the lists
# that way. It fills short lists at the end with −1, which is no item's index.
#
# **Exercise 01.5** (6 min). Write `pad`: from a list of lists to an integer array with `width` columns. Fill short lists with −1 at the
# end. Cut long lists at the end.


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
# One user with 2,391 ratings makes every list 2,391 long.
#
# The last lines show a trap. In Python, −1 is a valid index and means *the last*. A lookup with a padded list raises no error: it returns
# the last item. So whoever pads must also mask.

# %% [markdown]
# A smaller width cuts the long lists. So there are two kinds of waste: cells that hold padding, and ratings that are cut off. Is there a
# width at which both are small? Move the slider.


# %%
def waste(width):
    """Share of cells that are padding, share of ratings that are cut off."""
    kept = np.minimum(activity, width).sum()
    return 1 - kept / (len(activity) * width), 1 - kept / activity.sum()


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


def width_words(width):
    padding, lost = waste(width)
    kept = f"{padding:.0%} of the cells are padding and {lost:.0%} of the ratings are cut off"
    return f"With lists of {width:,} items, {kept}."


explore(draw_width, alt=width_words, width=widgets.IntSlider(value=520, min=10, max=2400, step=10))

# %%
best = min(range(10, 2400, 10), key=lambda width: max(waste(width)))
padding, lost = waste(best)
print(f"the best compromise is width {best}: {padding:.0%} padding, {lost:.0%} of the ratings lost")
for how, length in {"as they come": activity, "sorted by length": np.sort(activity)}.items():
    batches = np.split(length, range(32, len(length), 32))
    cells = sum(len(batch) * batch.max() for batch in batches)
    print(f"batches of 32, {how:16}: {1 - activity.sum() / cells:.0%} padding")

# %% [markdown]
# No width keeps both small, because a few users have very many ratings. At 150, both are 44 %.
#
# Two things help. Store the lists *ragged*, each with its own length, as CSR does, and pad each batch only to its own longest list. And put
# users with lists of similar length into the same batch: the padding falls from 84 % to 34 %, and nothing is cut off.

# %% [markdown] tags=["core"]
# ## What two users share
#
# Now back to your guess. Some methods compare users by the items that both have rated. Suppose user $u$ has rated $a_u$ of the $n_i$
# items, chosen *at random*. Then each of the $a_v$ items of user $v$ is among them with probability $a_u / n_i$. So we expect
#
# $$\mathrm{E}[\text{shared}] = \frac{a_u\, a_v}{n_i}$$
#
# One matrix product gives the true numbers. Let $B$ have a 1 wherever there is a rating: $(BB^\top)_{uv}$ counts the items that $u$ and
# $v$ share.


# %%
def shared(matrix):
    """Number of items in common, for each pair of different users."""
    ones = (matrix > 0).astype(np.int32)
    pairs = np.triu_indices(matrix.shape[0], k=1)
    return (ones @ ones.T).toarray()[pairs]


real = shared(csr)
a = activity.mean()
print(f"formula {a * a / ratings.n_items:.2f}, measured {real.mean():.2f}")
guess("01").meets(f"{real.mean():.1f}")

# %% [markdown]
# Users share many more items than the formula says. Is the formula wrong, or the assumption behind it? We build a world in which the
# assumption holds: every user keeps the number of ratings, but draws the items at random.

# %%
rng = np.random.default_rng(0)
drawn = [rng.choice(ratings.n_items, size=n, replace=False) for n in activity]
places = np.repeat(np.arange(ratings.n_users), activity), np.concatenate(drawn)
random_world = sparse.csr_matrix((np.ones(len(places[0])), places), shape=csr.shape)
chance = shared(random_world)
print(f"shared in the random world: {chance.mean():.2f}")
print(f"real pairs: median {np.median(real):.0f}, fewer than five {(real < 5).mean():.0%}")
print(f"standard error of a correlation over six points: {1 / np.sqrt(6 - 1):.2f}")

# %% tags=["fold"]
fig, ax = plt.subplots()
bins = np.arange(-0.5, 41)
for values, label in ((chance, "items drawn at random"), (real, "real users")):
    percent = np.full(len(values), 100 / len(values))
    ax.hist(np.minimum(values, 40), bins, weights=percent, alpha=0.7, label=label)
ax.set(xlabel="items that two users share (40 and more in the last bar)", ylabel="% of pairs")
ax.set_title(f"Real users share more, but half of the pairs at most {np.median(real):.0f}")
ax.legend()
words = (
    f"At random {(chance == 0).mean():.0%} of the pairs of users share no item, in reality "
    f"{(real == 0).mean():.0%}; half of the real pairs share {np.median(real):.0f} items or fewer."
)
show(fig, alt=words)

# %% [markdown]
# In the random world the formula is right. So its assumption is wrong for real users: many of them choose the same popular items.
#
# The mean of 13.9 looks better than it is. Half of all pairs share six items or fewer, and a correlation over six points has a standard
# error near 0.45. For such pairs a comparison says little. Chapter 02 describes each user by a few numbers instead, which can always be
# compared.

# %% [markdown]
# ### Stretch: shared items from popularity alone · optional
#
# The mean can be counted without a matrix. An item rated by $c$ users is shared by $c(c-1)/2$ pairs of users. Add that up over all items.
#
# **Exercise 01.6** (8 min, *stretch*). Write `mean_shared`: from the popularity of each item and the number of users, the mean number of
# items that two different users share.


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
print(f"equally popular items in which users would share as much: {a * a / exact:,.0f}")
print(f"items in this catalog: {ratings.n_items:,}")

# %% [markdown]
# Users share as much as they would in a catalog of 1,599 equally popular items. The popular items have the same effect as a catalog that is
# almost six times smaller.

# %%
choice = ...  # "a", "b" or "c"; or use the buttons
### BEGIN SOLUTION 01.q3
choice = "c"
### END SOLUTION
exercise("01.q3").ask(choice)

# %% [markdown] tags=["core"]
# ## What the empty cells do to a model
#
# In chapter 00, the constant answers with the mean of all ratings. The next idea is the mean of each *item*: its own ratings should say
# more about it than those of all items.
#
# We compare the two on five random splits, by the root mean squared error (RMSE). Items with few and with many training ratings are
# measured separately.


# %%
def global_mean(train):
    """The mean of all ratings, for every item; shape (n_items,)."""
    return np.full(train.n_items, train.frame["rating"].mean())


def item_means(train):
    """The mean rating of each item, shape (n_items,); the mean of all where there is none."""
    count = train.item_counts()
    total = np.bincount(train.frame["item"], weights=train.frame["rating"], minlength=len(count))
    return np.where(count > 0, total / np.maximum(count, 1), global_mean(train))


# %%
splits = [data.random_split(ratings, seed=seed) for seed in range(5)]
support = {0: "0", 1: "1", 2: "2–4", 5: "5–9", 10: "10–19", 20: "20–49", 50: "50+"}


def by_support(fit):
    """RMSE by how many training ratings an item has, shape (7,); the mean of five splits."""
    rows = []
    for split in splits:
        test, guesses = split.test.frame, fit(split.train)
        group = np.digitize(split.train.item_counts()[test["item"]], list(support))
        error = (guesses[test["item"]] - test["rating"]) ** 2
        rows.append(np.sqrt(error.groupby(group).mean()))
    return np.mean(rows, axis=0)


curves = pd.DataFrame({f.__name__: by_support(f) for f in (global_mean, item_means)})
curves.index = pd.Index(support.values(), name="training ratings")
curves.round(3)

# %% [markdown]
# For an item with *one* training rating, its own mean has an RMSE of 1.352. The mean of all ratings has 1.162. So one rating is worse than
# none. With two to four ratings the two are about equal. From five on, the item's own mean is better.

# %% [markdown]
# ### Why one rating is not enough · optional
#
# Let $\sigma^2$ be the variance of the ratings *within* an item. A hidden rating scatters around the item's true mean by $\sigma^2$. The
# mean of $m$ ratings scatters around the same true mean by $\sigma^2/m$. The two are independent, so the squared error of the item's mean
# is the sum: $\sigma^2(1 + 1/m)$.
#
# Let $\tau^2$ be the variance *between* the true means of items. The constant misses the true mean by $\tau^2$ on average, so its
# squared error is $\sigma^2 + \tau^2$. The item's mean is better once $m > \sigma^2/\tau^2$.


# %%
def noise_ratio(train):
    """Variance within an item over variance between items: ratings before a mean is trusted."""
    stars, of_item = train.frame["rating"].to_numpy(dtype=float), train.frame["item"]
    within = ((stars - item_means(train)[of_item]) ** 2).sum() / (len(stars) - of_item.nunique())
    return within / (stars.var() - within)


print(f"the item's own mean is better from {noise_ratio(splits[0].train):.1f} ratings on")

# %% [markdown]
# About four. We can also use both means. Give the item's mean the weight $w$ and the mean of all the weight $1-w$. The error above
# $\sigma^2$ is then $w^2\sigma^2/m + (1-w)^2\tau^2$. It is smallest at $w = m/(m + \sigma^2/\tau^2)$.
#
# So we pull an item's mean toward the mean of all. It is as if the item had `strength` $= \sigma^2/\tau^2$ extra ratings, each equal to
# the mean of all.


# %%
def pulled_means(train):
    """The item means, each pulled toward the mean of all: the less, the more ratings it has."""
    count, strength = train.item_counts(), noise_ratio(train)
    return (count * item_means(train) + strength * global_mean(train)) / (count + strength)


curves["pulled_means"] = by_support(pulled_means)
strength = noise_ratio(splits[0].train)
weights = [f"{m / (m + strength):.2f} with {m}" for m in (1, 4, 40)]
print("weight of the item's own ratings:", ", ".join(weights))
curves.round(3)

# %% tags=["fold"]
labels = {"global_mean": "global mean", "item_means": "item mean", "pulled_means": "pulled mean"}
named = {labels[name]: (list(curves.index), curves[name]) for name in curves}
axes = {"xlabel": "training ratings of the item", "ylabel": "RMSE, stars"}
one = curves.loc["1"]
words = (
    f"With one training rating, the item's mean has an RMSE of {one.iloc[1]:.2f}, the global mean "
    f"{one.iloc[0]:.2f} and the pulled mean {one.iloc[2]:.2f}; "
    f"from fifty on, both item means have {curves.iloc[-1, 1]:.2f}."
)
title = "The pulled mean helps most where ratings are few"
show(plots.lines(named, title=title, **axes), alt=words)

# %% [markdown]
# Efron and Morris (1977) tell the story of this method. It returns in chapter 02: for the biases, and as *weight decay*.
#
# Does it help overall? We compare the three on the five splits, and put the first split on the scoreboard.

# %%
models = {"global mean": global_mean, "item mean": item_means, "item mean, pulled": pulled_means}
errors = pd.DataFrame(index=range(5), columns=list(models), dtype=float)
for seed, split in enumerate(splits):
    test = split.test.frame
    for name, fit in models.items():
        errors.loc[seed, name] = metrics.rmse(fit(split.train)[test["item"]], test["rating"])
protocol = ledger.Protocol(chapter="01", dataset=ratings.name, split=splits[0].name)
for name in models:
    ledger.record(protocol, model=name, metric="RMSE", value=errors.loc[0, name])
better = (errors.diff(axis=1).iloc[:, 1:] < 0).all(axis=None)
print("each better than the one before, in every split:", better)
print(errors.agg(["mean", "min", "max"]).round(3).to_string())
ledger.scoreboard("01")

# %% [markdown]
# It helps in each of the five splits: the item means beat the constant, and the pulled means beat both.

# %% [markdown]
# ## What the sources say · optional
#
# - *The 2018 talk says that MovieLens 20M has data in 0.05 % of its cells.* It is 0.53 %: the share 0.0053 lost a factor of ten on its way
#   to a percentage. The 2016 talk has it right: "99.5% of ratings are unknown".
# - *Both talks say that sparse is 20 times smaller, 180 MB against 3.7 GB.* That is true for triples and one-byte ratings. The factor
#   depends on the format and on the width of a value, as the next cell shows.
# - *The 2018 talk makes its one-hot columns from raw ids, minus one.* On MovieLens 100K this works, because its ids have no gaps. On our
#   data the same line makes a much wider table.

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

# %% [markdown] tags=["core"]
# ## Recap
#
# In this chapter we stored the known ratings as triples and as CSR, and read a user's row as one slice. Both are far smaller than the
# dense table. Half of the pairs of users share six items or fewer. And one rating of an item is a worse guess than the mean of all.
#
# Next: [02 · Matrix factorization](02_matrix_factorization.ipynb), which guesses the empty cells.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends, so take your notebooks along with *File → Download*.

# %% [markdown]
# **References.** Leo Dirac, 2016: *Using MXNet for Recommendation Modeling at Scale*, AWS re:Invent MAC306. · AWS, 2018: training talk
# on recommender systems with MXNet and SageMaker. · F. Maxwell Harper and Joseph A. Konstan, 2015: *The MovieLens Datasets: History and
# Context*, ACM TiiS 5, 4. · James Bennett and Stan Lanning, 2007: *The Netflix Prize*, KDD Cup and Workshop. · Bradley Efron and Carl
# Morris, 1977: *Stein's Paradox in Statistics*, Scientific American 236, 5.

# %%
progress("01")
