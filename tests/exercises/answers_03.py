"""Typical wrong answers of chapter 03, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "03.1": [
        ("return np.maximum(rows @ weight + bias, 0)", "cuts after the product"),
        ("return rows @ weight + bias", "one straight map"),
        ("return np.maximum(rows, 0) @ weight", "lost the bias"),
        ("rows[rows < 0] = 0\nreturn rows @ weight + bias", "as they were"),
        ("return np.abs(rows) @ weight + bias", "not positive"),
    ],
    "03.2": [
        (
            'return (n_users + n_items) * k + {"none": 0, "user": 1, "both": 2, "shared": 1}[layers] * k * hidden',
            "forgets the layer's bias",
        ),
        (
            'return (n_users + n_items) * k + {"none": 0, "user": 1, "both": 2, "shared": 2}[layers] * (k + 1) * hidden',
            "used twice",
        ),
        (
            'return (n_users + n_items) * k + {"none": 0, "user": 1, "both": 2, "shared": 1}[layers] * k * (hidden + 1)',
            "each *output*",
        ),
        ("return n_users * k * n_items + (k + 1) * hidden", "30 rows of 3"),
    ],
    "03.q1": [('choice = "a"', "which it can draw"), ('choice = "c"', "slope zero")],
    "03.3": [
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.sum(singular[k:] ** 2))",
            "over the 16 cells",
        ),
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.sum(singular[:k] ** 2) / table.size)",
            "what they leave out",
        ),
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.sum(singular[k:]) / table.size)",
            "must square",
        ),
        (
            "singular = np.linalg.svd(table, compute_uv=False)\nreturn np.sqrt(np.sum(singular[k:] ** 2) / len(table))",
            "number of rows",
        ),
    ],
    "03.4": [
        ("return np.maximum(rows, 0) * slope", "0 or 1"),
        ("return np.maximum(slope, 0)", "sign of the *slope*"),
        ("return slope", "lets everything through"),
        ("return (rows > 0) * 1.0", "comes from above"),
    ],
    "03.q2": [('choice = "a"', "may not"), ('choice = "b"', "nothing of the scale")],
    "03.5": [
        ("return rows * (generator.random(rows.shape) >= p)", "scale up"),
        ("return rows * (generator.random(rows.shape) < p) / p", "share that is *lost*"),
        ("return rows * (generator.random(rows.shape[1]) >= p) / (1 - p)", "one mask for all rows"),
        ("return rows * (generator.random((len(rows), 1)) >= p) / (1 - p)", "drops whole rows"),
        ("return rows * (generator.random(rows.shape) >= p) * (1 - p)", "smaller"),
    ],
    "03.6": [
        ("return np.sum(a**2 * b**2) / (1 - p) ** 2", "second moment"),
        ("return (1 / (1 - p) - 1) * np.sum(a**2 * b**2)", "counts one mask"),
        ("return (1 / (1 - p) ** 2 - 1) * np.sum(a * b) ** 2", "squares the sum"),
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
    ],
    "03.q3": [('choice = "b"', "50 tries bring"), ('choice = "c"', "two *runs*")],
}
