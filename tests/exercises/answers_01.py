"""Typical wrong answers of chapter 01, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "01.q1": [
        ('choice = "a"', "not which cells are stored"),
        ('choice = "c"', "Nothing here writes NaN"),
    ],
    "01.q2": [('choice = "a"', "twice as many cells"), ('choice = "c"', "one direction only")],
    "01.1": [
        ("return np.bincount(users, minlength=n_users)", "how many ratings each user has"),
        ("return np.cumsum(np.bincount(users, minlength=n_users))", "starts at 0"),
        ("return np.concatenate([[0], np.cumsum(np.bincount(users))])", "must have 5 entries"),
        ("return np.unique(users, return_index=True)[1]", "one entry more"),
        (
            "starts = np.append(np.unique(users, return_index=True)[1], len(users))\nreturn starts",
            "must have 5 entries",
        ),
    ],
    "01.2": [
        ("return n_ratings * (value_bytes + 2 * index_bytes)", "size of triples"),
        ("return n_ratings * (value_bytes + index_bytes) + n_rows * pointer_bytes", "4 pointers"),
        ("return n_ratings * (value_bytes + index_bytes)", "not the row pointers"),
        ("return n_ratings * 5 + (n_rows + 1) * 4", "are all widths used"),
    ],
    "01.3": [
        ("return value_bytes / place_bytes", "and* for its place"),
        ("return place_bytes / (value_bytes + place_bytes)", "the larger one"),
        ("return 100 * value_bytes / (value_bytes + place_bytes)", "not a percentage"),
        ("return (value_bytes + place_bytes) / value_bytes", "other way round"),
    ],
    "01.4": [
        (
            "n = len(users)\nindices = np.stack([users, items], axis=1).ravel()\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "it has ones in columns [0, 2]",
        ),
        (
            "table = np.zeros((len(users), n_users + n_items))\ntable[np.arange(len(users)), users] = 1\n"
            "table[np.arange(len(users)), n_users + items] = 1\nreturn table",
            "must return a sparse matrix",
        ),
        (
            "n = len(users)\nindices = np.concatenate([users, n_users + items])\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "one 1 among the 3 columns",
        ),
        (
            "n = len(users)\nindices = np.stack([np.sort(users), n_users + items], axis=1).ravel()\n"
            "return sparse.csr_matrix((np.ones(2 * n), indices, np.arange(0, 2 * n + 1, 2)), (n, n_users + n_items))",
            "where is the 1 of each rating's user",
        ),
        ("return one_hot_loop(users, items, n_users, n_items)", "in format 'lil'"),
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
            "cut off its beginning",
        ),
        (
            "return np.array([list(e) + [-1] * (width - len(e)) for e in lists])",
            "ready for an empty list",
        ),
        (
            "table = np.full((len(lists), width), -1.0)\nfor row, e in zip(table, lists):\n"
            "    row[: len(e[:width])] = e[:width]\nreturn table",
            "must hold integers",
        ),
    ],
    "01.6": [
        ("c = np.asarray(popularity)\nreturn np.sum(c**2) / n_users**2", "with themselves"),
        ("return (np.sum(popularity) / n_users) ** 2 / len(popularity)", "drawn at random"),
        (
            "c = np.asarray(popularity)\nreturn np.sum(c * (c - 1)) / 2",
            "divide by the number of pairs",
        ),
    ],
    "01.q3": [('choice = "a"', "break_even(4, 4)"), ('choice = "b"', "even earlier")],
}
