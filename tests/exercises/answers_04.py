"""Typical wrong answers of chapter 04, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "04.1": [
        ("return rng.integers(0, n_items, n)", "no negative"),
        ("return np.setdiff1d(np.arange(n_items), taken)[:n]", "expected (4000,)"),
        (
            "return rng.choice(np.setdiff1d(np.arange(n_items - 1), taken), size=n)",
            "leave out an end",
        ),
        (
            "free = np.setdiff1d(np.arange(n_items), taken)\nreturn np.random.default_rng(0).choice(free, n)",
            "it is given",
        ),
        (
            "items = rng.integers(0, n_items, n)\n"
            "while np.isin(items, taken).any():\n    items[np.isin(items, taken)] += 1\n    items %= n_items\nreturn items",
            "equally often",
        ),
    ],
    "04.2": [
        ("return np.mean(counts) / n_items", "mean over *users*"),
        ("return (np.asarray(counts) ** 2).sum() / n_items", "expected number"),
        (
            "counts = np.asarray(counts)\nreturn 100 * (counts**2).sum() / n_items / counts.sum()",
            "percentage",
        ),
    ],
    "04.q1": [('choice = "a"', "uniform"), ('choice = "b"', "no seed")],
    "04.q2": [('choice = "a"', "only the test set"), ('choice = "c"', "as many steps")],
    "04.3": [
        ("return np.asarray(counts) ** alpha", "must sum to 1"),
        ("counts = np.asarray(counts)\nreturn counts / counts.sum()", "must be the power"),
        ("counts = np.asarray(counts)\nreturn (counts / counts.sum()) ** alpha", "power first"),
        (
            "w = np.asarray(counts, float) ** alpha\nw[np.asarray(counts) == 0] = 0\nreturn w / w.sum()",
            "without clicks",
        ),
    ],
    "04.4": [
        ("return rng.integers(0, taken.shape[1], (len(users), ratio))", "had taken"),
        (
            "users = np.repeat(users, ratio)\nitems = rng.integers(0, taken.shape[1], len(users))\n"
            "bad = taken[users, items]\nitems[bad] = rng.integers(0, taken.shape[1], bad.sum())\nreturn items.reshape(-1, ratio)",
            "second draw",
        ),
        (
            "users = np.repeat(users, ratio)\nitems = rng.integers(0, taken.shape[1], len(users))\n"
            "while taken[users, items].any():\n    bad = taken[users, items]\n    items[bad] = (items[bad] + 1) % taken.shape[1]\n"
            "return items.reshape(-1, ratio)",
            "not moved to a neighbor",
        ),
        (
            "users = np.repeat(users, ratio)\nreturn np.array([rng.choice(np.flatnonzero(~taken[u])) for u in users])",
            "expected (2000, 4)",
        ),
    ],
    "04.5": [
        ("return keep * p", "but the odds"),
        ("return p / (p + keep * (1 - p))", "wrong way"),
        ("return keep * p / (1 - p)", "those are the odds"),
    ],
    "04.6": [
        (
            "place = list(ranked).index(next(iter(held_out))) + 1\nreturn 1 / place",
            "reciprocal rank",
        ),
        (
            "hits = np.isin(ranked[:k], list(held_out))\nreturn (hits / np.log2(np.arange(1, len(hits) + 1) + 1e-9))[hits].sum()",
            "begin at 0",
        ),
        (
            "hits = np.isin(ranked[:k], list(held_out))\nreturn (hits / np.log2(np.arange(2, len(hits) + 2))).sum()",
            "divide by the best",
        ),
        (
            "d = 1 / np.log2(np.arange(2, k + 2))\nhits = np.isin(ranked[:k], list(held_out))\n"
            "return d[hits].sum() / d[: len(held_out)].sum() if len(held_out) == 1 else d[hits].sum() / d.sum()",
            "not `k`",
        ),
        (
            "d = 1 / np.log2(np.arange(2, 99))\nhits = np.isin(ranked[:k], list(held_out))\n"
            "return d[: len(hits)][hits].sum() / d[: len(held_out)].sum()",
            "all right",
        ),
    ],
    "04.7": [
        (
            "return (1 - (place - 1) / (n_items - 1)) ** n_candidates",
            "with* replacement",
        ),
        (
            "from scipy.stats import hypergeom\nreturn hypergeom.cdf(k, n_items - 1, place - 1, n_candidates)",
            "at most `k - 1`",
        ),
        (
            "from scipy.stats import hypergeom\nreturn hypergeom.cdf(k - 1, n_items, place - 1, n_candidates)",
            "not among the others",
        ),
        ("return float((place - 1) * n_candidates / (n_items - 1) < k)", "stand above place 3"),
    ],
    "04.q3": [('choice = "b"', "same model"), ('choice = "c"', "depends on the model")],
}
