"""Typical wrong answers of chapter 05, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "05.1": [
        ("return raw - raw.min(), np.unique(raw)", "gaps stay"),
        ("ids = np.unique(raw)\nreturn np.searchsorted(ids, raw) + 1, ids", "count from 0"),
        ("return np.unique(raw)", "expected two things"),
        (
            "ids, index = np.unique(raw, return_inverse=True)\nreturn index, raw",
            "each different id once",
        ),
        (
            "ids, index = np.unique(raw, return_inverse=True)\nreturn index, ids[::-1]",
            "must give `raw` back",
        ),
    ],
    "05.2": [
        ("return (p * q) @ h + c", "their sigmoid"),
        ("return 1 / (1 + np.exp(-((p * q).sum(axis=1) + c)))", "weight of its own"),
        ("return 1 / (1 + np.exp(-((p * q) @ h)))", "where does c come in"),
        ("return 1 / (1 + np.exp(-(p @ q.T + c)))", "expected (2,)"),
    ],
    "05.q1": [('choice = "a"', "one sign for all"), ('choice = "c"', "below one half")],
    "05.q2": [('choice = "a"', "average nothing"), ('choice = "c"', "holds all of it")],
    "05.3": [
        (
            'return {"instances": [{"user": int(u), "item": int(i)} for u, i in zip(users, items)]}',
            "expected text",
        ),
        (
            'return json.dumps({"instances": [{"user": u, "item": i} for u, i in zip(users, items)]})',
            "Python's numbers",
        ),
        (
            'return json.dumps({"instances": {"user": users.tolist(), "item": items.tolist()}})',
            "columns go under",
        ),
        (
            'return json.dumps({"instances": [[int(u), int(i)] for u, i in zip(users, items)]})',
            "by name",
        ),
        (
            'return json.dumps({"instances": [{"user": int(u), "item": int(i)} for u in users for i in items]})',
            "at the same place",
        ),
    ],
    "05.q3": [('choice = "a"', "stand higher"), ('choice = "c"', "does not show")],
    "05.4": [
        ("return kernel", "adds its bias"),
        ("return np.maximum(kernel + bias, 0)", "before it"),
        ("return kernel.T + bias[:, None]", "expected (3, 2)"),
        ("return kernel * bias", "row 1 of"),
    ],
    "05.5": [
        (
            "k = users.shape[1]\nreturn (users @ kernel[:k] + bias)[:, None] + (items @ kernel[k:])[None]",
            "ends in a ReLU",
        ),
        (
            "k = users.shape[1]\n"
            "return np.maximum((users @ kernel[:k] + bias)[:, None] + (items @ kernel[k:] + bias)[None], 0)",
            "twice",
        ),
        (
            "k = users.shape[1]\nf, g = users @ kernel[:k] + bias, items @ kernel[k:]\n"
            "return np.maximum(f, 0)[:, None] + np.maximum(g, 0)[None]",
            "to each half",
        ),
        (
            "k = users.shape[1]\nreturn np.maximum((users @ kernel[:k])[:, None] + (items @ kernel[k:])[None], 0)",
            "leaves out the bias",
        ),
        (
            "k = users.shape[1]\n"
            "return np.maximum((users @ kernel[k:])[:, None] + (items @ kernel[:k])[None] + bias, 0)",
            "swaps",
        ),
        (
            "pairs = np.hstack([np.repeat(users, len(items), axis=0), np.tile(items, (len(users), 1))])\n"
            "return np.maximum(pairs @ kernel + bias, 0).reshape(len(users), len(items), -1)",
            "builds the pairs",
        ),
    ],
    "05.6": [
        ("return a @ b.T", "not their product"),
        (
            "return (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))",
            "at least 0.000001",
        ),
        (
            "with np.errstate(all='ignore'):\n"
            "    found = (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\n"
            "return np.maximum(found, 1e-6)",
            "not nan",
        ),
        (
            "lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\n"
            "return np.maximum((a @ b.T) / np.maximum(lengths, 1e-12), 0)",
            "has a 0 in it",
        ),
    ],
}
