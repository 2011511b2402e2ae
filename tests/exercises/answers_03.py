"""Answers to chapter 03: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "03.1": [
        ("return (rows @ weight + bias).clip(0)", "cuts after the product"),
        ("return np.dot(rows, weight) + bias", "one straight map"),
        ("return np.where(rows > 0, rows, 0) @ weight", "the bias is missing"),
        ("rows[rows < 0] = 0\nreturn rows @ weight + bias", "changed its argument `rows`"),
        ("return np.abs(rows) @ weight + bias", "not positive"),
        ("return weight.T @ np.maximum(rows, 0).T + bias[:, None]", "turned over"),
    ],
    "03.2": [
        (
            'return (n_users + n_items) * k + {"none": 0, "user": 1, "both": 2, "shared": 1}[layers] * k * hidden',
            "bias is missing",
        ),
        (
            'return (n_users + n_items) * k + {"none": 0, "user": 1, "both": 2, "shared": 2}[layers] * (k + 1) * hidden',
            "used twice",
        ),
        (
            'return (n_users + n_items) * k + {"none": 0, "user": 1, "both": 2, "shared": 1}[layers] * k * (hidden + 1)',
            "each *output*",
        ),
        ("return n_users * k * n_items + (k + 1) * hidden", "expected 90"),
        (
            'if layers == "none":\n    return (n_users + n_items) * k\nreturn (n_users + n_items + hidden) * k + hidden',
            "two layers",
        ),
    ],
    "03.q1": [('choice = "a"', "which it can draw"), ('choice = "c"', "slope zero")],
    "03.3": [
        (
            "return np.linalg.norm(np.linalg.svd(table, compute_uv=False)[k:])",
            "their *mean* is asked for",
        ),
        (
            "singular = np.linalg.svd(table)[1]\nreturn np.linalg.norm(singular[:k]) / table.size**0.5",
            "what they leave out",
        ),
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.sum(singular[k:]) / table.size)",
            "before adding them",
        ),
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.sum(singular[k:] ** 2) / len(table))",
            "not over its rows",
        ),
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.mean(singular[k:] ** 2))",
            "expected",
        ),
    ],
    "03.4": [
        ("return rows.clip(0) * slope", "0 or 1"),
        ("return slope.clip(0)", "sign of the *slope*"),
        ("return slope.copy()", "no slope passes"),
        ("return np.heaviside(rows, 0)", "comes from above"),
        ("slope[rows <= 0] = 0\nreturn slope", "changed its argument `slope`"),
        ("return np.where(rows > 0, slope, 0.01 * slope)", "expected"),
    ],
    "03.q2": [('choice = "a"', "may not"), ('choice = "b"', "nothing of the scale")],
    "03.5": [
        ("return rows * (generator.random(rows.shape) >= p)", "scale it up"),
        ("return rows * (generator.random(rows.shape) < p) / p", "share that is *lost*"),
        ("return rows * (generator.random(rows.shape[1]) >= p) / (1 - p)", "whole columns"),
        ("return rows * (generator.random((len(rows), 1)) >= p) / (1 - p)", "whole rows"),
        ("return rows * (generator.random(rows.shape) >= p) * (1 - p)", "must grow"),
        ("return rows * (generator.random(rows.shape) >= p) / p", "multiplies what it keeps by 4"),
        (
            "return rows * (np.random.default_rng(0).random(rows.shape) >= p) / (1 - p)",
            "the same mask twice",
        ),
        ("return rows * (np.random.random(rows.shape) >= p) / (1 - p)", "draws from elsewhere"),
        (
            "mask = np.ones(rows.size)\nmask[: round(p * rows.size)] = 0\n"
            "return rows * generator.permutation(mask).reshape(rows.shape) / (1 - p)",
            "a fixed number",
        ),
        (
            "rows *= generator.random(rows.shape) >= p\nreturn rows / (1 - p)",
            "changed its argument `rows`",
        ),
        (
            "if generator.random() < p:\n    return np.zeros(rows.shape)\nreturn rows / (1 - p)",
            "of the numbers to zero",
        ),
    ],
    "03.6": [
        ("return np.sum(a**2 * b**2) / (1 - p) ** 2", "second moment"),
        ("return p / (1 - p) * np.sum(a**2 * b**2)", "counts one mask"),
        ("return (1 / (1 - p) ** 2 - 1) * (a @ b) ** 2", "square each product"),
        ("return (1 / (1 - p) - 1) ** 2 * np.sum((a * b) ** 2)", "the product of their variances"),
        ("return (1 / (1 - p) ** 2 - 1) * (a @ a) * (b @ b)", "factor by factor"),
        ("return (1 / (1 - p) ** 2 - 1) * a**2 * b**2", "expected one number"),
    ],
    "03.7": [
        (
            "gap = np.asarray(first) - np.asarray(second)\nhalf = 1.96 * gap.std(ddof=1) / np.sqrt(len(gap))\n"
            "return gap.mean(), gap.mean() - half, gap.mean() + half",
            "Student's t",
        ),
        (
            "gap = np.asarray(first) - np.asarray(second)\n"
            "half = stats.t.ppf(0.975, len(gap) - 1) * gap.std() / np.sqrt(len(gap))\n"
            "return gap.mean(), gap.mean() - half, gap.mean() + half",
            "n - 1",
        ),
        (
            "gap = np.asarray(first) - np.asarray(second)\nhalf = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1)\n"
            "return gap.mean(), gap.mean() - half, gap.mean() + half",
            "root of n",
        ),
        (
            "first, second = np.asarray(first), np.asarray(second)\nmean = np.mean(first - second)\n"
            "half = stats.t.ppf(0.975, len(first) - 1) * np.sqrt((first.var(ddof=1) + second.var(ddof=1)) / len(first))\n"
            "return mean, mean - half, mean + half",
            "spread of the *differences*",
        ),
        (
            "gap = first - second\nreturn stats.t.interval(0.95, len(gap) - 1, gap.mean(), stats.sem(gap))",
            "expected 3 values: `mean`, `low`, `high`",
        ),
        (
            "gap = first - second\nlow, high = stats.t.interval(0.95, len(gap) - 1, gap.mean(), stats.sem(gap))\n"
            "return low, gap.mean(), high",
            "the mean comes first",
        ),
    ],
    "03.q3": [('choice = "b"', "50 tries bring"), ('choice = "c"', "two *runs*")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "03.1": [
        "found = []\nfor row in rows:\n    outputs = list(bias)\n    for h in range(len(outputs)):\n"
        "        for i in range(len(row)):\n            if row[i] > 0:\n"
        "                outputs[h] += float(row[i]) * float(weight[i][h])\n    found.append(outputs)\nreturn found",
        "return np.where(rows > 0, rows, 0).dot(weight) + bias",
        "positive = rows.copy()\npositive[positive < 0] = 0\nreturn np.einsum('nk,kh->nh', positive, weight) + bias",
        "import pandas as pd\nreturn pd.DataFrame(rows).clip(lower=0) @ weight + bias",
        "extended = np.column_stack([rows * (rows > 0), np.ones(len(rows))])\n"
        "return (extended @ np.vstack([weight, bias])).astype(np.float32)",
        "return ((np.abs(rows) + rows) / 2) @ weight + np.tile(bias, (len(rows), 1))",
    ],
    "03.2": [
        "total = 0\nfor n in (n_users, n_items):\n    for _ in range(n):\n        total += k\n"
        "layer = 0\nfor _ in range(hidden):\n    layer += k + 1\nif layers == 'both':\n    total += layer\n"
        "if layers != 'none':\n    total += layer\nreturn total",
        "one = (k + 1) * hidden\nmatch layers:\n    case 'none':\n        dense = 0\n    case 'user' | 'shared':\n"
        "        dense = one\n    case 'both':\n        dense = 2 * one\nreturn n_users * k + n_items * k + dense",
        "shapes = [(n_users, k), (n_items, k)]\n"
        "shapes += [(k, hidden), (hidden,)] * ['none', 'shared', 'both', 'user'].index(layers).__and__(3)\n"
        "if layers == 'user':\n    shapes = shapes[:2] + [(k, k), (k,)]\n"
        "return float(sum(np.prod(shape) for shape in shapes))",
        "times = 0 if layers == 'none' else 1 + (layers == 'both')\n"
        "return np.array([n_users * k, n_items * k, times * k * hidden, times * hidden]).sum()",
    ],
    "03.3": [
        "singular = list(np.linalg.svd(table)[1])\ntotal = 0\nfor place, value in enumerate(singular):\n"
        "    if place >= k:\n        total += value**2\nreturn (total / (len(table) * len(table[0]))) ** 0.5",
        "left, singular, right = np.linalg.svd(table, full_matrices=False)\n"
        "best = (left[:, :k] * singular[:k]) @ right[:k]\nreturn np.sqrt(np.mean((table - best) ** 2))",
        "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.linalg.norm(singular[k:]) / table.size**0.5",
        "squares = np.linalg.eigvalsh(table @ table.T)\n"
        "return np.sqrt(max(np.mean(table**2) - squares[::-1][:k].sum() / table.size, 0))",
        "from scipy.linalg import svdvals\nimport pandas as pd\nlost = pd.Series(svdvals(table)).iloc[k:]\n"
        "return np.float32((lost.pow(2).sum() / np.prod(table.shape)) ** 0.5)",
    ],
    "03.4": [
        "found = []\nfor row, above in zip(rows, slope):\n"
        "    found.append([s if r > 0 else 0 for r, s in zip(row, above)])\nreturn found",
        "return np.where(rows > 0, slope, 0)",
        "passed = slope.copy()\npassed[rows <= 0] = 0\nreturn passed",
        "import pandas as pd\nreturn pd.DataFrame(slope).mask(rows < 0, 0)",
        "return np.heaviside(rows, 0).astype(np.float32) * slope",
        "return np.multiply(slope, np.clip(np.sign(rows), 0, None))",
    ],
    "03.5": [
        "draws = generator.random(rows.shape).tolist()\nfound = []\nfor row, own in zip(rows.tolist(), draws):\n"
        "    found.append([x / (1 - p) if draw >= p else 0 for x, draw in zip(row, own)])\nreturn found",
        "return rows * generator.binomial(1, 1 - p, size=rows.shape) / (1 - p)",
        "return np.where(generator.uniform(size=rows.shape) < p, 0, rows / (1 - p))",
        "scaled = rows / (1 - p)\nscaled[generator.random(rows.shape) < p] = 0\nreturn scaled.astype(np.float32)",
        "factors = generator.choice([0, 1 / (1 - p)], size=rows.shape, p=[p, 1 - p])\nreturn np.multiply(rows, factors)",
        "import pandas as pd\nkeep = generator.random(rows.shape[::-1]).T < 1 - p\n"
        "return pd.DataFrame(rows).where(keep, 0).div(1 - p)",
    ],
    "03.6": [
        "total = 0\nfor x, y in zip(a, b):\n    total += (x * y) ** 2\nkeep = 1 - p\nreturn total / keep**2 - total",
        "return ((a * b) ** 2).sum() * ((1 - p) ** -2 - 1)",
        "return p * (2 - p) / (1 - p) ** 2 * np.dot(a**2, b**2)",
        "second_moment = (p * 0 + (1 - p) * (1 / (1 - p)) ** 2) ** 2\nreturn (second_moment - 1) * np.linalg.norm(a * b) ** 2",
        "import pandas as pd\nsquares = pd.Series(a).mul(b).pow(2)\nreturn np.float32(squares.div((1 - p) ** 2).sub(squares).sum())",
    ],
    "03.7": [
        "import math\ngaps = []\nfor one, other in zip(first, second):\n    gaps.append(one - other)\n"
        "n = len(gaps)\nmean = sum(gaps) / n\nspread = 0\nfor gap in gaps:\n    spread += (gap - mean) ** 2\n"
        "half = stats.t.ppf(0.975, n - 1) * math.sqrt(spread / (n - 1) / n)\nreturn [mean, mean - half, mean + half]",
        "low, high = stats.ttest_rel(first, second).confidence_interval(0.95)\n"
        "return (low + high) / 2, low, high",
        "gap = first - second\nmean = np.mean(gap)\n"
        "return (mean, *stats.t.interval(0.95, df=gap.size - 1, loc=mean, scale=stats.sem(gap)))",
        "import pandas as pd\ngap = pd.Series(first) - pd.Series(second)\nhalf = gap.sem() * stats.t(len(gap) - 1).ppf(0.975)\n"
        "return pd.Series([gap.mean(), gap.mean() - half, gap.mean() + half], index=['mean', 'low', 'high'])",
        "import statistics\ngap = [x - y for x, y in zip(first, second)]\nn = len(gap)\n"
        "half = -stats.t.ppf(0.025, n - 1) * statistics.stdev(gap) / n**0.5\n"
        "return np.mean(gap) + half * np.array([0, -1, 1])",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "03.1": {"return np.maximum(0, rows) @ weight + bias": "the larger of two, in either order"},
    "03.4": {
        "return slope * (rows >= 0)": "at 0 itself ReLU has no slope; no embedding is exactly 0"
    },
    "03.5": {
        "return rows * (generator.random(rows.shape) > p) / (1 - p)": "a draw is never exactly p",
        "return rows * (generator.random(rows.shape) >= p) / abs(1 - p)": "p is below 1",
    },
    "03.6": {
        "return abs(1 / (1 - p) ** 2 - 1) * np.sum(a ** 2 * b ** 2)": "1 / (1 - p)² is at least 1",
        "return (1 / (p - 1) ** 2 - 1) * np.sum(a ** 2 * b ** 2)": "a square has no sign",
        "return (1 / abs(1 - p) ** 2 - 1) * np.sum(a ** 2 * b ** 2)": "a square has no sign",
    },
    "03.7": {
        "half = stats.t.ppf(0.975, abs(len(gap) - 1)) * gap.std(ddof=1) / np.sqrt(len(gap))": "there are at least two seeds",
    },
}
