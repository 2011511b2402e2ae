"""Answers to chapter 04: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "04.1": [
        ("return rng.integers(0, n_items, n)", "no negative"),
        ("return np.setdiff1d(np.arange(n_items), taken)[:n]", "expected (4000,)"),
        (
            "return rng.choice(np.setdiff1d(np.arange(n_items - 1), taken), size=n)",
            "leave out an end",
        ),
        (
            "free = np.setdiff1d(np.arange(n_items), taken)\n"
            "return np.random.default_rng(0).choice(free, n)",
            "it is given",
        ),
        (
            "free = np.setdiff1d(np.arange(n_items), taken)\nreturn np.random.choice(free, n)",
            "from elsewhere",
        ),
        (
            "items = rng.integers(0, n_items, n)\nwhile np.isin(items, taken).any():\n"
            "    items[np.isin(items, taken)] += 1\n    items %= n_items\nreturn items",
            "not moved to a neighbor",
        ),
        (
            "items = rng.integers(0, n_items, n)\nagain = np.isin(items, taken)\n"
            "items[again] = rng.integers(0, n_items, again.sum())\nreturn items",
            "can collide, too",
        ),
        ("return [i for i in range(n_items) if i not in taken]", "expected (4000,)"),
        (
            "free = np.setdiff1d(np.arange(n_items), taken)\nreturn np.full(n, rng.choice(free))",
            "leave out an end",
        ),
    ],
    "04.2": [
        ("return sum(counts) / len(counts) / n_items", "mean over *users*"),
        ("return sum(c * c / n_items for c in counts)", "expected number"),
        ("return (counts * counts).sum() / counts.sum() / n_items * 100", "percentage"),
        ("return np.average(counts / n_items)", "mean over *users*"),
        ("p = counts / n_items\nreturn np.mean(p * counts)", "number of users"),
        ("return counts.max() / n_items", "expected 0.25"),
        (
            "c = counts.astype(np.int16)\nreturn (c * c / n_items).sum() / c.sum()",
            "collision_odds([2391, 20], 9066)",
        ),
    ],
    "04.q1": [('choice = "a"', "uniform"), ('choice = "b"', "no seed")],
    "04.q2": [('choice = "a"', "only the test set"), ('choice = "c"', "as many steps")],
    "04.4": [
        ("return rng.integers(0, taken.shape[1], (len(users), ratio))", "a taken item"),
        (
            "users = np.repeat(users, ratio)\nitems = rng.integers(0, taken.shape[1], len(users))\n"
            "bad = taken[users, items]\nitems[bad] = rng.integers(0, taken.shape[1], bad.sum())\n"
            "return items.reshape(-1, ratio)",
            "second draw",
        ),
        (
            "users = np.repeat(users, ratio)\nitems = rng.integers(0, taken.shape[1], len(users))\n"
            "while taken[users, items].any():\n    bad = taken[users, items]\n"
            "    items[bad] = (items[bad] + 1) % taken.shape[1]\nreturn items.reshape(-1, ratio)",
            "not moved to a neighbor",
        ),
        (
            "users = np.repeat(users, ratio)\n"
            "return np.array([rng.choice(np.flatnonzero(~taken[u])) for u in users])",
            "expected (2000, 4)",
        ),
        (
            "return np.array([rng.choice(np.flatnonzero(~taken[u]), ratio) for u in users])",
            "without a loop",
        ),
        (
            "items = rng.integers(0, taken.shape[1], len(users))\nwhile taken[users, items].any():\n"
            "    bad = taken[users, items]\n"
            "    items[bad] = rng.integers(0, taken.shape[1], bad.sum())\n"
            "return np.repeat(items[:, None], ratio, axis=1)",
            "draw each one anew",
        ),
        (
            "of = {u: rng.choice(np.flatnonzero(~taken[u]), ratio) for u in range(len(taken))}\n"
            "return np.array([of[u] for u in users])",
            "expected equal ones",
        ),
        (
            "users = np.repeat(users, ratio)\nitems = rng.integers(0, taken.shape[1], len(users))\n"
            "for n, u in enumerate(users):\n    while taken[u, items[n]]:\n"
            "        items[n] = rng.integers(0, taken.shape[1])\nreturn items.reshape(-1, ratio)",
            "without a loop",
        ),
        ("taken |= True\nreturn np.full((len(users), ratio), 6)", "changed its argument `taken`"),
        (
            "keys = rng.random((len(users), taken.shape[1])) + taken[users]\n"
            "return np.argsort(keys, axis=1)[:, :ratio]",
            "had taken",
        ),
        (
            "first = draw = np.empty((len(users), ratio), int)\n"
            "for n in range(ratio):\n"
            "    keys = rng.random((len(users), taken.shape[1])) + 2 * taken[users]\n"
            "    if n and (~taken).sum(axis=1).min() > 1:\n"
            "        keys[np.arange(len(users)), draw[:, n - 1]] = 2\n"
            "    draw[:, n] = keys.argmin(axis=1)\n"
            "return draw",
            "with replacement",
        ),
    ],
    "04.6": [
        (
            "hits = [i in held_out for i in ranked[:k]]\nreturn 1 / (hits.index(True) + 1) if any(hits) else 0",
            "reciprocal rank",
        ),
        (
            "total = 0\nfor j in range(k):\n    if ranked[j] in held_out:\n"
            "        total += 1 / np.log2(j + 1) if j else 1\n"
            "best = sum(1 / np.log2(j + 1) if j else 1 for j in range(min(k, len(held_out))))\n"
            "return total / best",
            "begin at 0",
        ),
        (
            "hits = np.isin(ranked[:k], list(held_out))\n"
            "return (hits / np.log2(np.arange(2, len(hits) + 2))).sum()",
            "divide by the best",
        ),
        (
            "d = 1 / np.log2(np.arange(2, k + 2))\nhits = np.isin(ranked[:k], list(held_out))\n"
            "return (hits * d).sum() / d.sum()",
            "no more terms than held-out",
        ),
        (
            "d = 1 / np.log2(np.arange(2, 99))\nhits = np.isin(ranked[:k], list(held_out))\n"
            "return d[: len(hits)][hits].sum() / d[: len(held_out)].sum()",
            "no more than `k`",
        ),
        (
            "gains = [float(i in held_out) for i in ranked[:k]]\n"
            "dcg = sum(g / np.log2(j + 2) for j, g in enumerate(gains))\n"
            "ideal = sum(g / np.log2(j + 2) for j, g in enumerate(sorted(gains, reverse=True)))\n"
            "return dcg / ideal if ideal else 0.0",
            "that the list has missed",
        ),
        (
            "from sklearn.metrics import ndcg_score\nhits = np.isin(ranked, list(held_out))[None]\n"
            "return ndcg_score(hits, -np.arange(len(ranked))[None], k=k)",
            "that the list has missed",
        ),
        ("return np.isin(ranked[:k], list(held_out)).mean()", "expected 0.5"),
    ],
    "04.7": [
        (
            "from math import comb\np = (place - 1) / (n_items - 1)\n"
            "return sum(comb(n_candidates, i) * p**i * (1 - p) ** (n_candidates - i) for i in range(k))",
            "with* replacement",
        ),
        (
            "from scipy.stats import hypergeom\n"
            "return hypergeom(n_items - 1, place - 1, n_candidates).cdf(k)",
            "at most `k - 1`",
        ),
        (
            "from scipy.stats import hypergeom\n"
            "return hypergeom.cdf(k - 1, n_items, place - 1, n_candidates)",
            "not among the others",
        ),
        ("return float((place - 1) * n_candidates / (n_items - 1) < k)", "a chance is asked"),
        (
            "from scipy.stats import hypergeom\n"
            "return hypergeom.sf(k - 1, n_items - 1, place - 1, n_candidates)",
            "a miss",
        ),
        (
            "from scipy.stats import hypergeom\n"
            "return hypergeom.cdf(k - 1, n_items - 1, place, n_candidates)",
            "how many stand above place 3",
        ),
    ],
    "04.8": [
        ("return (1 / (1 + np.exp(items @ user)) - labels) @ items / len(items)", "has a minus"),
        (
            "errors = 1 / (1 + np.exp(-items @ user)) - labels\n"
            "return user - np.mean(errors[:, None] * items, axis=0)",
            "after a step",
        ),
        ("return ((1 / (1 + np.exp(-items @ user))) - labels) @ items", "their mean"),
        (
            "gradient = np.zeros_like(user)\nfor q, y in zip(items, labels):\n"
            "    gradient += (y - 1 / (1 + np.exp(-q @ user))) * q\nreturn gradient / len(items)",
            "loss *rises*",
        ),
        ("return items.T @ (items @ user - labels) / len(items)", "where is the sigmoid"),
        (
            "p = 1 / (1 + np.exp(-items @ user))\n"
            "return items.T @ ((p - labels) * p * (1 - p)) / len(p)",
            "cancels",
        ),
        ("return (1 / (1 + np.exp(-items @ user)) - labels).mean()", "chain rule"),
        (
            "from scipy.special import expit\ne = expit(items @ user) - labels\n"
            "return e.reshape(-1, 1) * items",
            "what is their mean",
        ),
        (
            "from scipy.special import expit\n"
            "return np.mean((expit(items @ user) - labels)[:, None] * items)",
            "expected",
        ),
        (
            "p = 1 / (1 + np.exp(-items @ user))\nreturn p[labels == 0] @ items[labels == 0] / len(p)",
            "expected",
        ),
        (
            "p = 1 / (1 + np.exp(-items @ user))\n"
            "return -np.mean(labels * np.log(p) + (1 - labels) * np.log(1 - p))",
            "expected",
        ),
        ("p = 1 / (1 + np.exp(items @ user))\nreturn (p - labels) @ items / len(p)", "expected"),
    ],
    "04.9": [
        (
            "p = 1 / (1 + np.exp(-user @ (positive - negative)))\ng = rate * p * (1 - p)\n"
            "return user + g * (positive - negative), positive + g * user, negative - g * user",
            "cancels",
        ),
        (
            "p = 1 / (1 + np.exp(-user @ (positive - negative)))\ng = rate * (p - 1)\n"
            "return user + g * (positive - negative), positive + g * user, negative - g * user",
            "that climbs",
        ),
        (
            "p = 1 / (1 + np.exp(-user @ (positive - negative)))\ng = rate * p\n"
            "return user + g * (positive - negative), positive + g * user, negative - g * user",
            "order is wrong",
        ),
        (
            "g = rate / (1 + np.exp(user @ positive - user @ negative))\n"
            "new = user + g * (positive - negative)\n"
            "return new, positive + g * new, negative - g * new",
            "*old* vector",
        ),
        (
            "g = rate / (1 + np.exp(user @ positive - user @ negative))\n"
            "return user + g * (positive - negative), positive + g * user, negative + g * user",
            "other way",
        ),
        (
            "g = rate / (1 + np.exp(user @ positive - user @ negative))\n"
            "return user + g * (positive - negative), positive + g * user, negative",
            "the negative moves, too",
        ),
        (
            "g = rate / (1 + np.exp(user @ positive - user @ negative))\n"
            "return user + g * (positive - negative), positive, negative",
            "items move, too",
        ),
        (
            "g = 1 / (1 + np.exp(user @ (positive - negative)))\n"
            "return user + g * (positive - negative), positive + g * user, negative - g * user",
            "where is the `rate`",
        ),
        (
            "i = 1 / (1 + np.exp(-user @ positive)) - 1\nj = 1 / (1 + np.exp(-user @ negative))\n"
            "return (user - rate * (i * positive + j * negative), positive - rate * i * user,"
            " negative - rate * j * user)",
            "two labels",
        ),
        ("return user, positive, negative", "as value 1 of 3"),
        (
            "g = rate / (1 + np.exp(user @ (positive - negative)))\n"
            "user += g * (positive - negative)\nreturn user, positive, negative",
            "changed its argument `user`",
        ),
        ("return user + rate * (positive - negative)", "expected 3 values"),
    ],
    "04.10": [
        ("odds = ratio * clicks / empty * p\nreturn odds / (1 + odds)", "positives to negatives"),
        ("return p * empty / (ratio * clicks)", "but the odds"),
        ("return p * (ratio * clicks / empty)", "but the odds"),
        ("return ratio * clicks / empty * (p / (1 - p))", "those are the odds"),
        (
            "odds = p / (1 - p) / (ratio * clicks / empty)\nreturn odds / (1 + odds)",
            "wrong way",
        ),
        ("odds = p / (1 - p) / ratio\nreturn odds / (1 + odds)", "negatives per click"),
        ("odds = p / (1 - p) * clicks / empty\nreturn odds / (1 + odds)", "draws `ratio`"),
        (
            "odds = p / (1 - p) * ratio * clicks / (empty + clicks)\nreturn odds / (1 + odds)",
            "empty cells only",
        ),
        ("odds = p / (1 - p) * ratio / empty\nreturn odds / (1 + odds)", "in all"),
        ("return clicks / (clicks + empty) + 0 * p", "expected"),
        ("o = ratio * clicks / empty * p / (1 - p)\nreturn o / (1 - o)", "expected"),
    ],
    "04.q3": [('choice = "b"', "same model"), ('choice = "c"', "depends on the model")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "04.1": [
        "free = [i for i in range(n_items) if i not in list(taken)]\ndrawn = []\n"
        "for _ in range(n):\n    drawn.append(free[rng.integers(len(free))])\nreturn drawn",
        "is_free = np.ones(n_items, dtype=bool)\nis_free[taken] = False\n"
        "free = np.flatnonzero(is_free)\nreturn free[rng.integers(0, len(free), size=n)]",
        "return rng.choice(sorted(set(range(n_items)) - set(taken)), n, replace=True).astype('float32')",
        "import pandas as pd\nfree = pd.RangeIndex(n_items).difference(taken)\n"
        "return pd.Series(rng.choice(a=free, size=(n,)))",
        "return rng.choice(np.delete(np.arange(n_items), taken), n)",
    ],
    "04.2": [
        "hits = draws = 0\nfor c in counts:\n    hits += c * (c / n_items)\n    draws += c\n"
        "return hits / draws",
        "return np.average(counts / n_items, weights=counts)",
        "return np.sum(counts**2) / np.sum(counts) / n_items",
        "import pandas as pd\nc = pd.Series(counts).astype('float32')\n"
        "return (c * c).sum() / (n_items * c.sum())",
        "return [counts @ counts / (n_items * counts.sum())]",
    ],
    "04.4": [
        "left = {}\nfor u in range(len(taken)):\n"
        "    left[u] = np.flatnonzero(~taken[u])\nfound = np.zeros((len(users), ratio))\n"
        "for u in left:\n    mine = users == u\n"
        "    found[mine] = rng.choice(left[u], (mine.sum(), ratio))\nreturn found.tolist()",
        "free = np.argsort(taken, axis=1, kind='stable')\nn_free = (~taken).sum(axis=1)\n"
        "place = (rng.random((len(users), ratio)) * n_free[users][:, None]).astype(int)\n"
        "return free[users[:, None], place]",
        "items = rng.integers(taken.shape[1], size=(len(users), ratio))\nwhile True:\n"
        "    bad = taken[users[:, None], items]\n    if not bad.any():\n        return items\n"
        "    items[bad] = rng.integers(taken.shape[1], size=bad.sum())",
        "out = np.full((len(users), ratio), -1)\nwhile (out < 0).any():\n"
        "    new = rng.integers(0, taken.shape[1], out.shape)\n"
        "    ok = (out < 0) & ~taken[np.asarray(users)[:, None], new]\n    out[ok] = new[ok]\n"
        "return out.astype(np.float32)",
        "import pandas as pd\nu = np.repeat(users, ratio)\n"
        "chance = (~taken / (~taken).sum(axis=1, keepdims=True)).cumsum(axis=1)\n"
        "x = rng.random(len(u)) * chance[u, -1]\n"
        "return pd.DataFrame((chance[u] <= x[:, None]).sum(axis=1).reshape(-1, ratio))",
    ],
    "04.6": [
        "import math\ntotal = best = 0.0\nfor j in range(k):\n    if ranked[j] in held_out:\n"
        "        total += 1 / math.log2(j + 2)\nfor j in range(min(k, len(held_out))):\n"
        "    best += 1 / math.log2(j + 2)\nreturn total / best",
        "d = 1 / np.log2(2 + np.arange(k))\nhits = np.array([i in held_out for i in ranked[:k]])\n"
        "return hits @ d / np.sort(d)[::-1][: len(held_out)].sum()",
        "import pandas as pd\nlist_ = pd.Series(ranked).head(k)\n"
        "gain = (list_.isin(held_out) / np.log2(list_.index + 2)).sum()\n"
        "return gain / np.sum(1 / np.log2(np.arange(min(k, len(held_out))) + 2))",
        "place = np.flatnonzero(np.isin(ranked, list(held_out))) + 1\nplace = place[place <= k]\n"
        "ideal = np.arange(1, min(k, len(held_out)) + 1)\n"
        "return np.float32((1 / np.log2(place + 1)).sum() / (1 / np.log2(ideal + 1)).sum())",
        "from sklearn.metrics import dcg_score\n"
        "hits = np.isin(ranked[:k], list(held_out)).astype(float)\n"
        "ideal = np.zeros(k)\nideal[: len(held_out)] = 1\nlog = np.log2(np.arange(2, k + 2))\n"
        "return [(hits / log).sum() / (ideal / log).sum()]",
    ],
    "04.7": [
        "from math import comb\nothers, above, ways = n_items - 1, place - 1, 0\n"
        "for i in range(k):\n    ways += comb(above, i) * comb(others - above, n_candidates - i)\n"
        "return ways / comb(others, n_candidates)",
        "from scipy import stats\nlaw = stats.hypergeom(M=n_items - 1, n=place - 1, N=n_candidates)\n"
        "return law.cdf(k - 1)",
        "from scipy.stats import hypergeom\n"
        "return 1 - hypergeom.sf(k - 1, n_items - 1, n_candidates, place - 1)",
        "from scipy.stats import hypergeom\n"
        "return hypergeom.pmf(np.arange(k), n_items - 1, place - 1, n_candidates).sum()",
        "chance = np.zeros(k + 1)\nchance[0] = 1  # of so many above so far, k is a miss\n"
        "left, others = place - 1, n_items - 1\nabove = np.arange(k + 1)\n"
        "for n in range(n_candidates):\n"
        "    up = chance * np.clip((left - above) / (others - n), 0, 1)\n"
        "    up[k] = 0\n    chance = chance - up\n    chance[1:] += up[:-1]\n"
        "return chance[:k].sum()",
    ],
    "04.8": [
        "import math\nfound = [0.0] * len(user)\nfor q, y in zip(items, labels):\n"
        "    s = sum(a * b for a, b in zip(user, q))\n    error = 1 / (1 + math.exp(-s)) - y\n"
        "    for k in range(len(user)):\n        found[k] += error * q[k] / len(items)\n"
        "return found",
        "from scipy.special import expit\nreturn items.T @ (expit(items @ user) - labels) / len(items)",
        "s = items @ user\np = np.exp(s) / (1 + np.exp(s))\n"
        "return np.mean((p - labels).reshape(-1, 1) * items, axis=0)",
        "signs = 2 * labels - 1\nwrong = 1 / (1 + np.exp(signs * (items @ user)))\n"
        "return np.einsum('n,nk->k', -signs * wrong, items) / len(signs)",
        "def loss(u):\n    s = items @ u\n"
        "    return np.mean(np.logaddexp(0, s) - labels * s)\n"
        "step = 1e-5 * np.eye(len(user))\n"
        "return [(loss(user + h) - loss(user - h)) / 2e-5 for h in step]",
        "import pandas as pd\np = 1 / (1 + np.exp(-pd.DataFrame(items) @ user))\n"
        "return pd.DataFrame(items).mul(p - labels, axis=0).mean().astype('float32')",
    ],
    "04.9": [
        "import math\nd = 0.0\nfor k in range(len(user)):\n"
        "    d += user[k] * (positive[k] - negative[k])\ng = 1 / (1 + math.exp(-d)) - 1\n"
        "u, i, j = [], [], []\nfor k in range(len(user)):\n"
        "    u.append(user[k] - rate * g * (positive[k] - negative[k]))\n"
        "    i.append(positive[k] - rate * g * user[k])\n"
        "    j.append(negative[k] + rate * g * user[k])\nreturn u, i, j",
        "from scipy.special import expit\ng = expit(user @ negative - user @ positive)\n"
        "return [user + rate * g * (positive - negative), positive + rate * g * user,"
        " negative - rate * g * user]",
        "p = 1 / (1 + np.exp(-user @ (positive - negative)))\nerror = p - 1\n"
        "gradients = np.array([positive - negative, user, -user]) * error\n"
        "return np.array([user, positive, negative]) - rate * gradients",
        "d = user @ positive - user @ negative\nlift = rate * (1 - 1 / (1 + np.exp(-d)))\n"
        "old = user.copy()\nuser = user + lift * (positive - negative)\n"
        "return user.astype(np.float32), positive + lift * old, negative - lift * old",
        "import pandas as pd\nt = pd.DataFrame({'i': positive, 'j': negative}).T @ user\n"
        "g = rate / (1 + np.exp(t['i'] - t['j']))\n"
        "return pd.Series(user + g * (positive - negative)), positive + g * user, negative - g * user",
    ],
    "04.10": [
        "keep = ratio * clicks / empty\nreturn keep * p / (keep * p + 1 - p)",
        "drawn = ratio * clicks\nodds = p / (1 - p)  # positives to negatives, in the sample\n"
        "return 1 / (1 + empty / drawn / odds)",
        "from scipy.special import expit, logit\n"
        "return expit(logit(p) + np.log(ratio * clicks / empty))",
        "p, clicks, empty = np.broadcast_arrays(p, clicks, empty)\nfound = []\n"
        "for one, c, e in zip(p.ravel(), clicks.ravel(), empty.ravel()):\n"
        "    good, bad = one, (1 - one) * e / (ratio * c)\n    found.append(good / (good + bad))\n"
        "return np.reshape(found, p.shape).tolist()",
        "p = np.asarray(p, dtype=np.float32)\nbad = (1 - p) * (empty / (ratio * clicks))\n"
        "return p / (p + bad)",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "04.4": {
        "items = rng.integers(0, taken.shape[-1], len(users))": "of two axes, the last is axis 1",
        "items[again] = rng.integers(0, taken.shape[-1], len(again))": "the same",
        "return items.reshape(-2, ratio)": "NumPy takes any negative length as the one to find",
    },
    "04.6": {
        "discount = 2 / np.log2(np.arange(2, k + 2))": "a common factor cancels in the quotient",
        "discount = -1 / np.log2(np.arange(2, k + 2))": "so does a common sign",
    },
    "04.7": {
        "return hypergeom.cdf(abs(k - 1), n_items - 1, place - 1, n_candidates)": "k is at least 1",
        "return hypergeom.cdf(k - 1, abs(n_items - 1), place - 1, n_candidates)": "there is an item",
        "return hypergeom.cdf(k - 1, n_items - 1, abs(place - 1), n_candidates)": "places begin at 1",
    },
    "04.8": {
        "return (chances - labels) @ items / len(items)": "there is a label for each item",
    },
    "04.9": {
        "push = rate / (1 + np.exp((positive - negative) @ user))": "an inner product commutes",
    },
    "04.10": {"odds = keep * p / abs(1 - p)": "a chance is below 1"},
}
