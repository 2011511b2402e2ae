"""Answers to chapter 03: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
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
    "03.q1": [('choice = "a"', "the network can give it"), ('choice = "c"', "flat line")],
    "03.3": [
        (
            "return np.linalg.norm(np.linalg.svd(table, compute_uv=False)[k:])",
            "their *mean* is asked for",
        ),
        (
            "singular = np.linalg.svd(table)[1]\nreturn np.linalg.norm(singular[:k]) / table.size**0.5",
            "comes from the others",
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
        ("return rows.clip(0) * gradient", "0 or 1"),
        ("return gradient.clip(0)", "sign of the *gradient*"),
        ("return gradient * rows", "0 or 1"),
        ("return gradient * np.sign(rows)", "is flat"),
        ("return gradient.copy()", "no gradient passes"),
        ("return np.heaviside(rows, 0)", "gradient that arrives"),
        ("gradient[rows <= 0] = 0\nreturn gradient", "changed its argument `gradient`"),
        ("return np.where(rows > 0, gradient, 0.01 * gradient)", "expected"),
    ],
    "03.q2": [('choice = "a"', "Can a sum"), ('choice = "b"', "does not know the scale")],
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
        ("return np.sum(a**2 * b**2) / (1 - p) ** 2", "the mean of z²"),
        ("return p / (1 - p) * np.sum(a**2 * b**2)", "counts one mask"),
        ("return (1 / (1 - p) ** 2 - 1) * (a @ b) ** 2", "square each product"),
        (
            "return (1 / (1 - p) - 1) ** 2 * np.sum((a * b) ** 2)",
            "not the product of the variances",
        ),
        ("return (1 / (1 - p) ** 2 - 1) * (a @ a) * (b @ b)", "factor by factor"),
        ("return (1 / (1 - p) ** 2 - 1) * a**2 * b**2", "expected one number"),
    ],
    "03.8": [
        ("return P @ W @ c, Q @ V @ d", "bias of the *other* side"),
        ("return Q @ V @ c, P @ W @ d", "in the other order"),
        ("return (P @ W + c) @ d, (Q @ V + d) @ c", "leave it out of both"),
        (
            "every = (P @ W + c) @ (Q @ V + d).T\nreturn every.mean(axis=1), every.mean(axis=0)",
            "expected",
        ),
        ("return P @ W @ d, (Q @ V + d) @ c", "depends on no item"),
        ("return P @ W, Q @ V", "these are vectors"),
        ("return np.sum(P @ W, axis=1), np.sum(Q @ V, axis=1)", "no term of the product"),
        (
            "mean_user, mean_item = (P @ W).mean(axis=0), (Q @ V).mean(axis=0)\n"
            "return (P @ W) @ mean_item, (Q @ V) @ mean_user",
            "belongs to neither",
        ),
        ("return P @ W @ d", "expected (2,)"),
    ],
    "03.9": [
        (
            "rng = np.random.default_rng(0)\n"
            "return rng.choice(errors, (50_000, tries)).min(axis=1).mean()",
            "expected",
        ),
        ("return min(errors)", "often misses it"),
        ("return sum(errors) / len(errors)", "the mean of a single try"),
        (
            "missed = np.linspace(1, 0, len(errors) + 1) ** tries\nreturn errors @ -np.diff(missed)",
            "sort them first",
        ),
        (
            "missed = np.linspace(1, 0, len(errors) + 1) ** tries\n"
            "return sorted(errors, reverse=True) @ -np.diff(missed)",
            "largest error",
        ),
        ("return np.sort(errors)[:tries].mean()", "drawn by chance"),
        (
            "from itertools import combinations\nt = min(tries, len(errors))\n"
            "return np.mean([min(few) for few in combinations(errors, t)])",
            "without replacement",
        ),
        ("return np.quantile(errors, 1 / (tries + 1))", "a quantile is near"),
        (
            "rng = np.random.default_rng(0)\n"
            "return rng.choice(errors, size=(1000, tries)).min(axis=1).mean()",
            "expected",
        ),
    ],
    "03.q3": [('choice = "b"', "50 tries gain"), ('choice = "c"', "two *runs*")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
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
        "found = []\nfor row, above in zip(rows, gradient):\n"
        "    found.append([s if r > 0 else 0 for r, s in zip(row, above)])\nreturn found",
        "return np.where(rows > 0, gradient, 0)",
        "passed = gradient.copy()\npassed[rows <= 0] = 0\nreturn passed",
        "import pandas as pd\nreturn pd.DataFrame(gradient).mask(rows < 0, 0)",
        "return np.heaviside(rows, 0).astype(np.float32) * gradient",
        "return np.multiply(gradient, np.clip(np.sign(rows), 0, None))",
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
    "03.8": [
        "def term(rows, weight, other):\n    found = []\n    for row in rows:\n        total = 0\n"
        "        for f in range(len(row)):\n            for h in range(len(other)):\n"
        "                total += float(row[f]) * float(weight[f][h]) * float(other[h])\n"
        "        found.append(total)\n    return found\nreturn term(P, W, d), term(Q, V, c)",
        "return P @ (W @ d), Q @ (V @ c)",
        "return np.einsum('uk,kh,h->u', P, W, d), np.einsum('ik,kh,h->i', Q, V, c)",
        "return (P @ W + c) @ d - c @ d, (Q @ V + d) @ c - c @ d",
        "def score(P, Q):\n    return (P @ W + c) @ (Q @ V + d).T\n"
        "no_user, no_item = np.zeros_like(P[:1]), np.zeros_like(Q[:1])\nlevel = score(no_user, no_item)[0, 0]\n"
        "return score(P, no_item)[:, 0] - level, score(no_user, Q)[0] - level",
        "import pandas as pd\nof_user = (pd.DataFrame(P @ W) * d).sum(axis=1)\n"
        "return [of_user, (pd.DataFrame(Q @ V) * c).sum(axis=1)]",
        "of_user = np.maximum(P, 0).astype(np.float32) @ W @ d\nreturn np.array(of_user), np.dot(np.dot(Q, V), c)",
    ],
    "03.9": [
        "ordered = sorted(errors)\nn = len(ordered)\ntotal = 0\nfor i in range(n):\n"
        "    chance = ((n - i) / n) ** tries - ((n - i - 1) / n) ** tries\n"
        "    total += ordered[i] * chance\nreturn total",
        "missed = np.linspace(1, 0, len(errors) + 1) ** tries\nreturn np.sort(errors) @ -np.diff(missed)",
        "ordered = np.sort(errors)\nn = len(ordered)\nfirst = ordered[0]\n"
        "for i in range(1, n):\n    first += (ordered[i] - ordered[i - 1]) * ((n - i) / n) ** tries\nreturn first",
        "values, counts = np.unique(errors, return_counts=True)\n"
        "above = np.append(1, 1 - counts.cumsum() / counts.sum()).clip(0) ** tries\n"
        "return float((values * (above[:-1] - above[1:])).sum())",
        "import pandas as pd\nranked = pd.Series(errors).sort_values(ignore_index=True)\n"
        "left = 1 - ranked.index.to_numpy() / len(ranked)\n"
        "return np.float64((ranked * (left**tries - (left - 1 / len(ranked)).clip(0) ** tries)).sum())",
        "best = {0: 1.0}\nordered = sorted(errors)\nn = len(ordered)\nchances = [1 / n] * n\n"
        "for _ in range(tries - 1):\n    above = [sum(chances[i + 1 :]) for i in range(n)]\n"
        "    chances = [(chances[i] * (n - i) + above[i]) / n for i in range(n)]\n"
        "return sum(x * p for x, p in zip(ordered, chances))",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "03.4": {
        "return gradient * (rows >= 0)": "at 0 itself ReLU has no derivative; no embedding is exactly 0"
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
    "03.9": {
        "missed = abs(1 - np.arange(len(ordered) + 1) / len(ordered)) ** tries": "a share is at least 0",
        "return np.sum(ordered * abs(missed[:-1] - missed[1:]))": "missing more is less likely",
    },
}
