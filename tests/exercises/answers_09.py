"""Typical wrong answers of chapter 09, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "09.1": [
        ("return user_vectors @ item_vectors.T", "all three"),
        ("return item_vectors @ user_vectors[users].T", "items × users"),
        ("return user_vectors[np.sort(users)] @ item_vectors.T", "another order"),
        (
            "return np.abs(user_vectors[users][:, None] - item_vectors[None]).sum(axis=2)",
            "a product of the two",
        ),
    ],
    "09.q1": [('choice = "a"', "one row a user"), ('choice = "b"', "no step of training")],
    "09.2": [
        ("h = list(history)\nreturn (h[k:] + [-1] * width)[:width], h[:k]", "first two as targets"),
        (
            "h = list(history)\nx = h[:-k]\nreturn [-1] * (width - len(x)) + x, h[-k:]",
            "at the start",
        ),
        ("h = list(history)\nreturn h[:-k], h[-k:]", "expected `width`"),
        ("h = list(history)\nreturn (h + [-1] * width)[:width], h[-k:]", "told the answer"),
        (
            "h = list(history)\nx = h[:-k]\nreturn x + [0] * (width - len(x)), h[-k:]",
            "index of an item",
        ),
        (
            "h = list(history)\nx = h[:-k][:width]\nreturn x + [-1] * (width - len(x)), h[-k:]",
            "earliest",
        ),
        (
            "h = list(history)\nx = h[:-k][-width:]\nreturn x + [-1] * (width - len(x)), h[-k:]",
            "stays whole",
        ),
    ],
    "09.q2": [('choice = "a"', "not this one"), ('choice = "c"', "mask_zero")],
    "09.3": [
        ("return table[padded].sum(axis=1)", "last row"),
        ("return table[np.maximum(padded, 0)].sum(axis=1)", "row 0 once more"),
        (
            "real = padded >= 0\nrows = table[padded] * real[:, :, None]\n"
            "return rows.sum(axis=1) / np.maximum(real.sum(axis=1), 1)[:, None]",
            "not average",
        ),
        (
            "return np.array([table[np.unique(row[row >= 0])].sum(axis=0) for row in padded])",
            "twice",
        ),
        ("table[-1] = 0\nreturn table[padded].sum(axis=1)", "as they were"),
        (
            "real = padded > 0\nreturn (table[padded] * real[:, :, None]).sum(axis=1)",
            "the list 0, 2, −1 gives (5, 50)",
        ),
    ],
    "09.4": [
        (
            "p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)\n"
            "return (taken * np.log(p)).sum(axis=1).mean()",
            "negative",
        ),
        (
            "p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)\nreturn -(taken * np.log(p)).mean()",
            "mean over items",
        ),
        (
            "p = 1 / (1 + np.exp(-scores))\n"
            "return -(taken * np.log(p) + (1 - taken) * np.log(1 - p)).sum(axis=1).mean()",
            "binary",
        ),
        (
            "p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)\nreturn -(taken * np.log(p)).sum()",
            "mean over users",
        ),
        (
            "p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)\n"
            "return -(taken * np.log(p)).sum(axis=1).mean()",
            "largest score first",
        ),
    ],
    "09.5": [
        ("return np.log(np.exp(drawn_scores).sum())", "left the chances out"),
        ("return np.log((np.exp(drawn_scores) / drawn_chances).sum())", "mean over the draws"),
        ("return np.log((np.exp(drawn_scores) * drawn_chances).mean())", "count *less*"),
        ("return (np.exp(drawn_scores) / drawn_chances).mean()", "take its logarithm"),
        ("return np.log((np.exp(drawn_scores) / drawn_chances).mean())", "before `np.exp`"),
    ],
    "09.q3": [('choice = "b"', "hardly ever drawn"), ('choice = "c"', "a bias does not")],
    "09.6": [
        ("return 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum()", "one number"),
        ("return (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(axis=1)", "factor ½"),
        (
            "return 0.5 * (log_variance + mean**2 - 1 - np.log(log_variance + 1)).sum(axis=1)",
            "standard normal",
        ),
        (
            "return 0.5 * (np.exp(log_variance) ** 2 + mean**2 - 1 - log_variance).sum(axis=1)",
            "variance of 4",
        ),
    ],
}
