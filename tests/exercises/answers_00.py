"""Answers to chapter 00: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "00.1": [
        ("return n_ratings", "that is the number of ratings"),
        ("cells = n_users + n_items\nreturn n_ratings / cells", "more than 7 cells"),
        ("return round(n_ratings / n_users / n_items * 100, 9)", "not a percentage"),
        ("density = n_ratings / n_users / n_items", "did you forget `return`"),
        ("empty = n_users * n_items - n_ratings\nreturn empty / n_users / n_items", "*empty*"),
    ],
    "00.q1": [
        ('choice = "a"', "random corner"),
        ('choice = "b"', "white cells"),
        ('choice = "7"', "not one of"),
    ],
    "00.2": [
        ("return np.asarray(counts)[:top].sum() / np.sum(counts)", "in any order"),
        ("return sum(sorted(counts)[:top]) / sum(counts)", "smallest counts"),
        ("return sum(sorted(counts, reverse=True)[:top])", "not their number"),
        ("return 100 * np.sort(counts)[-top:].sum() / counts.sum()", "between 0 and 1"),
        ("return top / counts.size", "share of the *items*"),
        ("counts.sort()\nreturn sum(counts[-top:]) / sum(counts)", "changed its argument `counts`"),
    ],
    "00.q2": [('choice = "b"', "not seen"), ('choice = "c"', "nearly nothing")],
    "00.3": [
        ("return sorted(stars)[len(stars) // 2]", "expected 2"),
        ("return np.percentile(stars, 50)", "the median"),
        ("return (min(stars) + max(stars)) / 2", "the middle of the range"),
        ("return round(sum(stars) / len(stars))", "need not be a rating"),
        ("return 3.0", "expected 2"),
    ],
    "00.4": [
        (
            "import pandas as pd\nreturn pd.Series(stars).groupby(users).mean().to_numpy()",
            "one entry for each",
        ),
        (
            "count = np.bincount(users, minlength=n_users)\n"
            "return np.bincount(users, stars, n_users) / np.maximum(count, 1)",
            "not 0",
        ),
        ("return np.bincount(users, weights=stars, minlength=n_users)", "those are sums"),
        (
            "count = np.bincount(users, minlength=n_users)\n"
            "return np.bincount(users, weights=stars, minlength=n_users) / count",
            "0 / 0",
        ),
    ],
    "00.q3": [('choice = "a"', "0.7 stars"), ('choice = "c"', "says nothing")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "00.1": [
        "filled = 0\nfor _ in range(n_users):\n    filled += n_items\nreturn n_ratings / filled",
        "return n_ratings / n_users / n_items",
        "return np.float32(n_ratings) / (n_users * n_items)",
        "return np.divide(n_ratings, np.prod([n_users, n_items]))",
    ],
    "00.2": [
        "best = sorted(list(counts), reverse=True)\ntotal = 0\nfor i in range(top):\n"
        "    total += best[i]\nreturn total / sum(counts)",
        "return -np.partition(-counts, top - 1)[:top].sum() / counts.sum()",
        "import pandas as pd\nreturn pd.Series(counts).nlargest(top).sum() / counts.sum()",
        "import heapq\nreturn sum(heapq.nlargest(top, counts.tolist())) / counts.sum()",
        "return [np.sort(counts)[-top:].sum() / counts.sum()]",
    ],
    "00.3": [
        "total = 0\nfor star in stars:\n    total += star\nreturn total / len(stars)",
        "return stars.mean()",
        "import statistics\nreturn statistics.fmean(stars)",
        "import pandas as pd\nreturn pd.Series(stars, dtype='float32').mean()",
        "return np.polyfit(np.arange(len(stars)), stars, 0)",
    ],
    "00.4": [
        "sums, counts = [0.0] * n_users, [0] * n_users\n"
        "for user, star in zip(users, stars):\n    sums[user] += star\n    counts[user] += 1\n"
        "everyone = sum(sums) / sum(counts)\n"
        "return [s / n if n else everyone for s, n in zip(sums, counts)]",
        "import pandas as pd\nmeans = pd.Series(stars).groupby(users).mean()\n"
        "return means.reindex(range(n_users), fill_value=stars.mean())",
        "table = users == np.arange(n_users)[:, None]\ntable[~table.any(axis=1)] = True\n"
        "return (table @ stars / table.sum(axis=1)).astype(np.float32)",
        "import pandas as pd\nframe = pd.DataFrame({'user': users, 'stars': stars})\n"
        "means = frame.groupby('user')[['stars']].mean().stars.to_dict()\n"
        "return np.array([means.get(u, np.average(stars)) for u in range(n_users)])",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "00.4": {
        "return np.where(count > 0, total / np.maximum(1, count), np.mean(stars))": "a maximum has no order",
        "return np.where(count > 0, total / count, np.mean(stars))": "0 / 0 is replaced, after a warning",
        "return np.where(count > 0, total / np.maximum(count, 0), np.mean(stars))": "the same: a count is never below 0",
        "return np.where(count > 0, total / np.maximum(count, -1), np.mean(stars))": "the same: a count is never below 0",
    },
}
