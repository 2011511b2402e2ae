"""Answers to chapter 01: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "01.q1": [
        ('choice = "a"', "not which cells are stored"),
        ('choice = "c"', "Nothing here writes NaN"),
    ],
    "01.q2": [('choice = "a"', "twice as many cells"), ('choice = "c"', "one direction only")],
    "01.1": [
        ("return np.array([(users == u).sum() for u in range(n_users)])", "where each one starts"),
        ("return np.bincount(users, minlength=n_users).cumsum()", "starts at 0"),
        ("return np.concatenate([[0], np.cumsum(np.bincount(users))])", "rated nothing"),
        ("return np.unique(users, return_index=True)[1]", "those without ratings, and the end"),
        (
            "return [*np.unique(users, return_index=True)[1], len(users)]",
            "a user without ratings has an entry",
        ),
        ("return np.searchsorted(users, np.arange(n_users))", "where the last row ends"),
        (
            "starts, u = [0] * (n_users + 1), 0\nfor place, user in enumerate(users):\n"
            "    if user != u:\n        u = user\n        starts[u] = place\n"
            "starts[-1] = len(users)\nreturn starts",
            "gave [0, 0, 1, 0, 3], expected [0, 1, 1, 3, 3]",
        ),
    ],
    "01.2": [
        ("return n_ratings * (value_bytes + index_bytes * 2)", "size of triples"),
        ("return n_ratings * (value_bytes + index_bytes) + n_rows * pointer_bytes", "4 pointers"),
        ("return n_ratings * value_bytes + n_ratings * index_bytes", "row pointers are missing"),
        ("return value_bytes * n_ratings + pointer_bytes * (1 + n_rows)", "column indices are"),
        ("return n_ratings * (pointer_bytes + index_bytes + value_bytes)", "and one more; not per"),
        ("return n_ratings * 5 + (n_rows + 1) * 4", "all three widths"),
        (
            "return (n_ratings + n_ratings) * index_bytes + (n_rows + 1) * pointer_bytes",
            "expected 41",
        ),
        (
            "return n_ratings * (value_bytes + index_bytes) + (n_rows + 1) * index_bytes",
            "not the bytes of a column index",
        ),
    ],
    "01.3": [
        ("return value_bytes / place_bytes", "and* for its place"),
        ("return 1 - value_bytes / (value_bytes + place_bytes)", "the two differ"),
        ("share = value_bytes / (value_bytes + place_bytes)\nreturn 100 * share", "percentage"),
        ("return 1 + place_bytes / value_bytes", "other way round"),
        ("return f'{value_bytes / (value_bytes + place_bytes):.0%}'", "expected one number"),
    ],
    "01.4": [
        (
            "n = len(users)\nindices = np.stack([users, items], axis=1).ravel()\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "after those of the users",
        ),
        (
            "table = np.zeros((len(users), n_users + n_items))\ntable[np.arange(len(users)), users] = 1\n"
            "table[np.arange(len(users)), n_users + items] = 1\nreturn table",
            "expected a sparse CSR matrix",
        ),
        (
            "table = np.zeros((len(users), n_users + n_items))\ntable[np.arange(len(users)), users] = 1\n"
            "table[np.arange(len(users)), n_users + items] = 1\nreturn sparse.csr_matrix(table)",
            "grows with the number of columns",
        ),
        (
            "n = len(users)\nindices = np.concatenate([users, n_users + items])\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "side by side",
        ),
        (
            "n = len(users)\nindices = np.stack([np.sort(users), n_users + items], axis=1).ravel()\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "in their order",
        ),
        (
            "n = len(users)\nindices = np.stack([users, n_users + items], axis=1).ravel()\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)))",
            "the width is guessed",
        ),
        ("return one_hot_loop(users, items, n_users, n_items)", "in format 'lil'"),
        ("return one_hot_loop(users, items, n_users, n_items).tocsr()", "without a loop"),
        (
            "indices = [c for u, i in zip(users, items) for c in (u, n_users + i)]\nn = len(users)\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, range(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "without a loop",
        ),
    ],
    "01.5": [
        (
            "return np.array([list(entries[:width]) + [0] * (width - len(entries)) for entries in lists])",
            "no item has",
        ),
        (
            "return np.array([[-1] * (width - len(e)) + list(e[:width]) for e in lists])",
            "not in front",
        ),
        (
            "return np.array([list(e[-width:]) + [-1] * (width - len(e)) for e in lists])",
            "not its beginning",
        ),
        (
            "from itertools import zip_longest\n"
            "return np.array(list(zip_longest(*lists, fillvalue=-1))).T[:, :width]",
            "also where all lists are shorter",
        ),
        (
            "import pandas as pd\nreturn pd.DataFrame(lists).fillna(-1).astype(int).iloc[:, :width]",
            "also where all lists are shorter",
        ),
        (
            "table = np.full((len(lists), width), -1.0)\nfor row, e in zip(table, lists):\n"
            "    row[: len(e[:width])] = e[:width]\nreturn table",
            "indices: integers",
        ),
        (
            "for entries in lists:\n    entries.extend([-1] * width)\n"
            "return np.array([entries[:width] for entries in lists])",
            "changed its argument `lists`",
        ),
    ],
    "01.6": [
        ("c = np.asarray(popularity)\nreturn np.sum(c**2) / n_users**2", "with themselves"),
        ("return (np.sum(popularity) / n_users) ** 2 / len(popularity)", "drawn at random"),
        (
            "c = np.asarray(popularity)\nreturn np.sum(c * (c - 1)) / 2",
            "divide by the number of pairs",
        ),
        ("return sum(c * (c - 1) / 2 for c in popularity) / n_users", "not over users"),
        (
            "c = popularity.astype(np.int32)\n"
            "return np.sum(c * (c - 1), dtype=np.int32) / (n_users * (n_users - 1))",
            "mean_shared([67310, 341], 138493)",
        ),
        ("return sum(c * (c - 1) / 2 for c in popularity) / (n_users * (n_users - 1))", "the half"),
    ],
    "01.q3": [('choice = "a"', "break_even(4, 4)"), ('choice = "b"', "even earlier")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "01.1": [
        "starts = [0] * (n_users + 1)\nfor user in users:\n    starts[user + 1] += 1\n"
        "for user in range(n_users):\n    starts[user + 1] += starts[user]\nreturn starts",
        "starts = np.zeros(n_users + 1)\nstarts[1:] = np.bincount(users, minlength=n_users).cumsum()\n"
        "return starts",
        "return np.searchsorted(users, np.arange(n_users + 1))",
        "import pandas as pd\ncounts = pd.Series(users).value_counts().reindex(range(n_users), fill_value=0)\n"
        "return pd.concat([pd.Series([0]), counts.cumsum()])",
        "return np.array([(users < u).sum() for u in range(n_users + 1)])",
        "n = len(users)\nreturn sparse.csr_matrix((np.ones(n), (users, np.arange(n))), (n_users, n)).indptr",
    ],
    "01.2": [
        "total = pointer_bytes\nfor _ in range(n_rows):\n    total += pointer_bytes\n"
        "return total + value_bytes * n_ratings + index_bytes * n_ratings",
        "return (value_bytes + index_bytes) * n_ratings + pointer_bytes * (1 + n_rows)",
        "return np.dot([n_ratings, n_ratings, n_rows + 1], [value_bytes, index_bytes, pointer_bytes])",
        "lengths = {value_bytes: 0, index_bytes: 0, pointer_bytes: 0}\n"
        "for width, length in ((value_bytes, n_ratings), (index_bytes, n_ratings), (pointer_bytes, n_rows + 1)):\n"
        "    lengths[width] += length\nreturn float(sum(w * n for w, n in lengths.items()))",
    ],
    "01.3": [
        "cells = value_bytes + place_bytes\nratings = 0\nwhile ratings * cells < cells * value_bytes:\n"
        "    ratings += 1\nreturn ratings / cells",
        "return 1 / (1 + place_bytes / value_bytes)",
        "return np.float32(value_bytes) / np.float32(place_bytes + value_bytes)",
        "from fractions import Fraction\nreturn Fraction(value_bytes, value_bytes + place_bytes)",
        "return np.linalg.solve([[value_bytes + place_bytes]], [value_bytes])",
    ],
    "01.4": [
        "import itertools\nn = len(users)\n"
        "indices = list(itertools.chain.from_iterable(zip(users.tolist(), (n_users + items).tolist())))\n"
        "return sparse.csr_matrix(([1] * (2 * n), indices, list(range(0, 2 * n + 1, 2))), shape=(n, n_users + n_items))",
        "n = len(users)\nrows, columns = np.tile(np.arange(n), 2), np.concatenate([users, items + n_users])\n"
        "return sparse.coo_matrix((np.ones(2 * n), (rows, columns)), shape=(n, n_users + n_items)).tocsr()",
        "of_users, of_items = sparse.identity(n_users, format='csr'), sparse.identity(n_items, format='csr')\n"
        "return sparse.hstack([of_users[users], of_items[items]], format='csr')",
        "from sklearn.preprocessing import OneHotEncoder\nimport pandas as pd\n"
        "encoder = OneHotEncoder(categories=[range(n_users), range(n_items)], dtype=np.float32)\n"
        "return encoder.fit_transform(pd.DataFrame({'user': users, 'item': items}).to_numpy())",
        "n = len(users)\nindices = np.empty(2 * n, dtype=int)\nindices[::2] = users\nindices[1::2] = n_users + items\n"
        "return sparse.csr_array((np.ones(2 * n, bool), indices, 2 * np.arange(n + 1)), shape=(n, n_users + n_items))",
    ],
    "01.5": [
        "table = []\nfor entries in lists:\n    row = []\n    for place in range(width):\n"
        "        if place < len(entries):\n            row.append(entries[place])\n        else:\n"
        "            row.append(-1)\n    table.append(row)\nreturn table",
        "return np.array([(entries + [-1] * width)[:width] for entries in lists])",
        "import pandas as pd\n"
        "return pd.DataFrame(lists).reindex(columns=range(width)).fillna(-1).astype(int)",
        "from itertools import zip_longest\nfilled = zip_longest(*lists, [0] * width, fillvalue=-1)\n"
        "return np.array(list(filled)).T[:-1, :width]",
        "return np.stack([np.pad(e[:width], (0, max(0, width - len(e))), constant_values=-1) for e in lists])",
        "lengths = np.array([len(e) for e in lists])\nlongest = max(width, lengths.max())\n"
        "table = -np.ones((len(lists), longest), dtype=np.int32)\n"
        "table[np.arange(longest) < lengths[:, None]] = np.concatenate(lists)\nreturn table[:, :width]",
    ],
    "01.6": [
        "shared = 0\nfor count in popularity:\n    shared += count * (count - 1) / 2\npairs = 0\n"
        "for first in range(n_users):\n    pairs += first\nreturn shared / pairs",
        "import math\nreturn sum(math.comb(int(c), 2) for c in popularity) / math.comb(n_users, 2)",
        "from scipy.special import comb\nreturn comb(popularity, 2).sum() / comb(n_users, 2)",
        "import pandas as pd\nc = pd.Series(popularity, dtype='float32')\n"
        "return c.mul(c - 1).sum() / (n_users * n_users - n_users)",
        "return (popularity @ popularity - popularity.sum()) / n_users / (n_users - 1)",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "01.4": {
        "data = np.ones(2 * n)": "the check and `use` make four-byte numbers of it",
        "n = len(items)": "one item for each user",
        "indptr = np.arange(0, 2 * n + 2, 2)": "2n is the last even number below both ends",
        "indices = np.stack([n_users + np.asarray(items), users], axis=1).ravel()": "a row may store its two ones in either order",
        "indices = np.stack([users, n_users + np.asarray(items)], axis=-1).ravel()": "the stacked table has two axes",
    },
    "01.5": {
        "for row, entries in zip(table, lists):": "both are equally long",
        "for row, entries in zip(table, lists, strict=False):": "both are equally long",
    },
    "01.6": {
        "c = np.asarray(popularity)": "counts are whole numbers anyway",
        "return np.sum(c * abs(c - 1)) / (n_users * (n_users - 1))": "c - 1 is below zero only where c is 0",
        "return np.sum(c * (c - 1)) / (n_users * abs(n_users - 1))": "a pair needs two users",
    },
}
