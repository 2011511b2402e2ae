"""Typical wrong answers of chapter 07, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "07.1": [
        ("return v[:n_users], v[n_users:]", "expected (2, 3)"),
        (
            "return np.hstack([v[:n_users], w1[:n_users, None]]), np.hstack([v[n_users:], w1[n_users:, None]])",
            "multiplies the weight",
        ),
        (
            "one = np.ones((len(v) - n_users, 1))\n"
            "return np.hstack([v[:n_users], w1[:n_users, None]]), np.hstack([v[n_users:], one])",
            "the *user's* weight",
        ),
        (
            "one = np.ones((len(v), 1))\nreturn np.hstack([v[:n_users], one[:n_users]]), np.hstack([v[n_users:], one[n_users:]])",
            "adds 1",
        ),
        (
            "one = np.ones((n_users, 1))\nreturn np.hstack([v[:n_users], one]), np.hstack([v, w1[:, None]])",
            "expected 2 and 3",
        ),
        (
            "one = np.ones((n_users, 1))\nn = len(v) - n_users\n"
            "return np.hstack([v[:n_users], one]), np.hstack([v[n_users:], w1[:n, None]])",
            "inner product 3.5",
        ),
    ],
    "07.q1": [('choice = "a"', "five stars"), ('choice = "c"', "longer history")],
    "07.2": [
        ("return np.asarray(labels).astype(int)", "which row is that"),
        ("return np.asarray(labels) - 1", "whole number"),
        ("return np.asarray(labels).astype(int) - 1", "outside of 1"),
        (
            "items = np.asarray(labels).astype(int) - 1\n"
            "if items.max() >= n_items:\n    raise ValueError('unknown label')\nreturn items",
            "label 0 belongs to none",
        ),
    ],
    "07.3": [
        ('return json.loads(line)["labels"]', "as they came"),
        ('return json.loads(line)["distances"][::-1]', "returned the distances"),
        ('return sorted(json.loads(line)["labels"], reverse=True)', "numbers say nothing"),
        ("return json.loads(line)", "as a list"),
    ],
    "07.q2": [('choice = "a"', "equally long"), ('choice = "b"', "nothing complains")],
    "07.4": [
        (
            "length = np.linalg.norm(items, axis=1, keepdims=True)\n"
            "return np.hstack([items, length.max() - length]), np.hstack([users, np.zeros((len(users), 1))])",
            "equally long",
        ),
        (
            "length = np.linalg.norm(items, axis=1, keepdims=True)\n"
            "column = np.sqrt(length.max() ** 2 - length**2)\n"
            "return np.hstack([items, column]), np.hstack([users, np.ones((len(users), 1))])",
            "users' new column",
        ),
        (
            "length = np.linalg.norm(items, axis=1, keepdims=True)\n"
            "return np.hstack([items / length, 0 * length]), np.hstack([users, np.zeros((len(users), 1))])",
            "scaling a vector",
        ),
        (
            "square = (items**2).sum(1, keepdims=True)\n"
            "return np.hstack([items, np.sqrt(1 - square)]), np.hstack([users, np.zeros((len(users), 1))])",
            "not finite",
        ),
        ("return items, users", "expected (3, 3)"),
    ],
    "07.5": [
        ("return np.hstack([x @ v, (x @ w1)[:, None]])", "the weights only"),
        (
            "s = x @ v\nreturn np.hstack([s, (x @ w1 + (s * s).sum(1) - (x * x) @ (v * v).sum(1))[:, None]])",
            "counts it twice",
        ),
        (
            "s = x @ v\nreturn np.hstack([s, (x @ w1 + (s * s).sum(1) / 2)[:, None]])",
            "no pair of features inside",
        ),
        (
            "s = x @ v\nalone = ((x > 0).sum(1) == 1)\nhalf = np.where(alone, 0, (s * s).sum(1) / 2)\n"
            "return np.hstack([s, (x @ w1 + half)[:, None]])",
            "with itself",
        ),
        (
            "s = (x > 0) @ v\npairs = ((s * s).sum(1) - (x > 0) @ (v * v).sum(1)) / 2\n"
            "return np.hstack([s, (x @ w1 + pairs)[:, None]])",
            "other than 1 multiply",
        ),
        ("return x @ v", "expected (4, 3)"),
    ],
    "07.6": [
        ("return found[:, :k]", "blocked[user, item]"),
        (
            "free = [np.setdiff1d(row, np.flatnonzero(b)) for row, b in zip(found, blocked)]\n"
            "return np.array([np.pad(r[:k], (0, k - len(r[:k])), constant_values=-1) for r in free])",
            "keep the order",
        ),
        (
            "cut = found[:, :k]\nreturn np.where(blocked[np.arange(len(cut))[:, None], cut], -1, cut)",
            "filter first",
        ),
        (
            "order = np.argsort(blocked[np.arange(len(found))[:, None], found], axis=1, kind='stable')\n"
            "return np.take_along_axis(found, order, 1)[:, :k]",
            "not with blocked items",
        ),
        (
            "rows = [[i for i in row if not b[i]][:k] for row, b in zip(found, blocked)]\n"
            "return np.array([row + [-1] * (k - len(row)) for row in rows])",
            "which is no item",
        ),
    ],
    "07.q3": [('choice = "a"', "knows nothing of the stock"), ('choice = "c"', "own luck")],
}
