"""Answers to chapter 09: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "09.1": [
        ("return user_vectors @ item_vectors.T", "rows of all users"),
        ("return item_vectors @ user_vectors[users].T", "items × users"),
        (
            "rows = np.isin(np.arange(len(user_vectors)), users)\nreturn user_vectors[rows] @ item_vectors.T",
            "gave",
        ),
        (
            "return np.abs(user_vectors[users][:, None] - item_vectors[None]).sum(axis=2)",
            "product of the two",
        ),
        ("return [user_vectors[u] @ item_vectors.T for u in users]", "but loops"),
        (
            "return np.array([[user_vectors[u] @ row for row in item_vectors] for u in users])",
            "but loops",
        ),
    ],
    "09.q1": [('choice = "a"', "one row a user"), ('choice = "b"', "no step of training")],
    "09.2": [
        (
            "n = len(history) - k\nif n <= 0:\n    return (history + [-1] * width)[:max(width, 0)], None\nreturn (history[max(0, n - width):n] + [-1] * width)[:width], history[n:]",
            "None as targets",
        ),
        ("h = list(history)\nreturn (h[k:] + [-1] * width)[:width], h[:k]", "first as targets"),
        (
            "h = list(history)\nx = h[:-k]\nreturn [-1] * (width - len(x)) + x, h[-k:]",
            "gave [-1, -1, 4, 0, 7]",
        ),
        ("h = list(history)\nreturn h[:-k], h[-k:]", "must be `width` long"),
        ("h = list(history)\nreturn (h + [-1] * width)[:width], h[-k:]", "told the answer"),
        (
            "h = list(history)\nx = h[:-k]\nreturn (x + [0] * width)[-width:], h[-k:]",
            "expected [4, 0, 7, -1, -1]",
        ),
        (
            "x = list(history[:-k] if len(history) > k else history)[:width]\n"
            "return x + [-1] * (width - len(x)), history[-k:] if len(history) > k else []",
            "earliest",
        ),
        (
            "h = list(history)\nx = h[:-k][-width:]\nreturn x + [-1] * (width - len(x)), h[-k:]",
            "stays whole",
        ),
        (
            "if len(history) <= k:\n    return history + [-1] * (width - len(history)), []\n"
            "x = history[:-k][-width:]\nreturn x + [-1] * (width - len(x)), history[-k:]",
            "longer than `width`",
        ),
        (
            "x = history[:-k][-width:]\nreturn history[-k:], x + [-1] * (width - len(x))",
            "in the other order",
        ),
    ],
    "09.q2": [('choice = "a"', "not this one"), ('choice = "c"', "mask_zero")],
    "09.3": [
        ("return np.take(table, padded, axis=0, mode='wrap').sum(axis=1)", "last row was added"),
        ("return np.take(table, padded, axis=0, mode='clip').sum(axis=1)", "row 0 was added"),
        (
            "real = padded >= 0\nrows = table[padded] * real[:, :, None]\n"
            "return rows.sum(axis=1) / np.maximum(real.sum(axis=1), 1)[:, None]",
            "do not average",
        ),
        (
            "return np.array([sum(table[i] for i in set(row) if i >= 0) + 0 * table[0] for row in padded])",
            "counts twice",
        ),
        (
            "table[-1] = 0\nreturn table[padded].sum(axis=1)",
            "changed its argument `table`",
        ),
        ("return np.array([table[row[row > 0]].sum(axis=0) for row in padded])", "like any other"),
    ],
    "09.4": [
        (
            "z = scores - scores.max(axis=1, keepdims=True)\np = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\nreturn -(taken * np.log(p)).sum(axis=1).mean()",
            "without computing the share",
        ),
        (
            "z = scores - scores.max(axis=1, keepdims=True)\np = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)\nreturn -np.log(np.where(taken == 1, p, 1)).sum(axis=1).mean()",
            "without computing the share",
        ),
        (
            "z = scores - scores.max()\nlog_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))\nreturn -(taken * log_p).sum(axis=1).mean()",
            "*each row*",
        ),
        (
            "from scipy.special import log_softmax\nreturn (taken * log_softmax(scores, axis=1)).sum(axis=1).mean()",
            "minus the logarithm",
        ),
        (
            "from scipy.special import log_softmax\nreturn -(taken * log_softmax(scores, axis=1)).mean()",
            "mean over items",
        ),
        (
            "p = 1 / (1 + np.exp(-scores))\n"
            "return -(taken * np.log(p) + (1 - taken) * np.log(1 - p)).sum(axis=1).mean()",
            "binary",
        ),
        (
            "from scipy.special import log_softmax\nreturn -np.sum(taken * log_softmax(scores, axis=1))",
            "mean over users",
        ),
        (
            "p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)\n"
            "return -(taken * np.log(p)).sum(axis=1).mean()",
            "subtract the largest",
        ),
        (
            "from scipy.special import softmax\n"
            "return -(taken * np.log(softmax(scores, axis=1))).sum(axis=1).mean()",
            "without computing the share",
        ),
        (
            "from scipy.special import softmax\n"
            "return -(taken * np.log(softmax(scores, axis=1) + 1e-9)).sum(axis=1).mean()",
            "too small for a float",
        ),
        (
            "from scipy.special import log_softmax\nreturn -(taken * log_softmax(scores)).sum(axis=1).mean()",
            "gave",
        ),
    ],
    "09.5": [
        (
            "m = abs(drawn_scores).max()\nreturn m + np.log((np.exp(drawn_scores - m) / drawn_chances).mean())",
            "[-1000, -1001]",
        ),
        (
            "s, at = np.unique(drawn_scores, return_index=True)\nm = s.max()\nreturn m + np.log((np.exp(s - m) / drawn_chances[at]).mean())",
            "[1, 1, 2]",
        ),
        (
            "return max(drawn_scores) if max(drawn_scores) > 700 else np.log((np.exp(drawn_scores) / drawn_chances).mean())",
            "gave 1000, expected 1000.3",
        ),
        ("return np.log(np.sum(np.exp(drawn_scores)))", "leaves the chances out"),
        ("return np.log(np.sum(np.exp(drawn_scores - np.log(drawn_chances))))", "over the draws"),
        ("return np.log(np.mean(np.exp(drawn_scores + np.log(drawn_chances))))", "count *less*"),
        ("return np.average(np.exp(drawn_scores) / drawn_chances)", "take its logarithm"),
        ("return np.log((np.exp(drawn_scores) / drawn_chances).mean())", "subtract the largest"),
        (
            "c = drawn_scores - np.log(drawn_chances)\nreturn c.max() + np.log(np.exp(c - c.max()).sum())",
            "expected 3.135",
        ),
        (
            "c = drawn_scores - np.log(len(drawn_scores) * drawn_chances)\n"
            "return np.log(np.exp(c - c.max()).sum())",
            "expected 3.135",
        ),
    ],
    "09.q3": [('choice = "b"', "hardly ever drawn"), ('choice = "c"', "a bias does not")],
    "09.6": [
        (
            "return np.sum(0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance))",
            "one number for all",
        ),
        ("return (np.exp(log_variance) + mean * mean - log_variance - 1).sum(1)", "factor ½"),
        (
            "return 0.5 * (log_variance + mean**2 - 1 - np.log(log_variance)).sum(axis=1)",
            "not the variance",
        ),
        (
            "return 0.5 * (np.exp(log_variance) ** 2 + mean**2 - 1 - log_variance).sum(axis=1)",
            "gave [6.778]",
        ),
        (
            "return np.mean(np.exp(log_variance) + mean**2 - 1 - log_variance, axis=1) / 2",
            "not averaged",
        ),
        ("return (np.exp(log_variance) + mean**2 - 1 - log_variance).sum(0) / 2", "each user"),
    ],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only,
#: but for `score_all`, which must not loop
IDIOMS: dict[str, list[str]] = {
    "09.1": [
        "return user_vectors[users] @ item_vectors.T",
        "return (user_vectors @ item_vectors.T)[users]",
        "return np.einsum('uk,ik->ui', user_vectors[users], item_vectors)",
        "import pandas as pd\nreturn pd.DataFrame(user_vectors).iloc[users] @ pd.DataFrame(item_vectors).T",
        "return np.inner(np.take(user_vectors, users, axis=0), item_vectors).astype(np.float32)",
        "rows = np.eye(len(user_vectors))[users]\nreturn np.linalg.multi_dot([rows, user_vectors, item_vectors.T])",
    ],
    "09.2": [
        "inputs, targets = [], []\nfor place, item in enumerate(history):\n"
        "    if len(history) > k and place >= len(history) - k:\n        targets.append(item)\n"
        "    else:\n        inputs.append(item)\nwhile len(inputs) > width:\n    inputs.pop(0)\n"
        "while len(inputs) < width:\n    inputs.append(-1)\nreturn inputs, targets",
        "from collections import deque\nat = len(history) - k if len(history) > k else len(history)\n"
        "kept = deque(history[:at], maxlen=width)\nkept.extend([-1] * (width - len(kept)))\n"
        "return kept if False else list(kept), tuple(history[at:])",
        "history = np.asarray(history)\nif len(history) > k:\n    early, late = np.split(history, [-k])\n"
        "else:\n    early, late = history, history[:0]\nearly = early[-width:]\n"
        "return np.pad(early, (0, width - len(early)), constant_values=-1), late",
        "import pandas as pd\nrows = pd.Series(history)\nlate = rows.tail(k) if len(rows) > k else rows.head(0)\n"
        "early = rows.drop(late.index).tail(width).reset_index(drop=True)\n"
        "return early.reindex(range(width), fill_value=-1), late",
        "inputs = np.full(width, -1.0)\nkept = (history[:-k] if len(history) > k else history)[-width:]\n"
        "inputs[: len(kept)] = kept\nreturn [inputs, history[len(history) - k :] if len(history) > k else []]",
    ],
    "09.3": [
        "sums = []\nfor row in padded:\n    total = [0.0] * len(table[0])\n    for item in row:\n"
        "        if item >= 0:\n            total = [a + b for a, b in zip(total, table[item])]\n"
        "    sums.append(total)\nreturn sums",
        "return np.array([table[row[row >= 0]].sum(axis=0) for row in padded])",
        "sums = []\nfor row in padded:\n    total = np.zeros(table.shape[1])\n    for item in row:\n"
        "        if item == -1:\n            break\n        total += table[item]\n    sums.append(total)\nreturn sums",
        "return np.vstack([table, np.zeros(table.shape[1])])[padded].sum(axis=1).astype(np.float32)",
        "counts = np.zeros((len(padded), len(table)))\nuser, place = np.nonzero(padded >= 0)\n"
        "np.add.at(counts, (user, padded[user, place]), 1)\nreturn counts @ table",
        "import pandas as pd\nlong = pd.DataFrame(padded).melt(ignore_index=False).query('value >= 0')\n"
        "rows = pd.DataFrame(table[long['value']], index=long.index)\n"
        "return rows.groupby(level=0).sum().reindex(range(len(padded)), fill_value=0.0)",
        "return np.einsum('uld,ul->ud', table[padded], padded >= 0)",
    ],
    "09.4": [
        "import math\ntotal = 0.0\nfor row, took in zip(scores, taken):\n    top = max(row)\n"
        "    log_sum = top + math.log(sum(math.exp(s - top) for s in row))\n"
        "    for score, one in zip(row, took):\n        if one:\n            total += log_sum - score\n"
        "return total / len(scores)",
        "from scipy.special import logsumexp\n"
        "return (taken * (logsumexp(scores, axis=1, keepdims=True) - scores)).sum() / len(scores)",
        "from scipy.special import log_softmax\nreturn -log_softmax(scores, axis=1)[taken == 1].sum() / len(taken)",
        "import pandas as pd\nz = pd.DataFrame(scores)\nz = z.sub(z.max(axis=1), axis=0)\n"
        "shares = z.sub(np.log(np.exp(z).sum(axis=1)), axis=0)\nreturn -(shares * taken).sum(axis=1).mean()",
        "z = np.float32(scores)\nz = z - np.max(z, axis=1)[:, None]\n"
        "log_share = z - np.log(np.sum(np.exp(z), axis=1))[:, None]\n"
        "return np.mean(-np.einsum('ui,ui->u', taken, log_share))",
        "return np.average(taken.sum(1) * np.logaddexp.reduce(scores, axis=1) - (taken * scores).sum(1))",
    ],
    "09.5": [
        "import math\ncorrected = []\nfor score, chance in zip(drawn_scores, drawn_chances):\n"
        "    corrected.append(score - math.log(chance))\ntop, total = max(corrected), 0.0\n"
        "for c in corrected:\n    total += math.exp(c - top)\nreturn top + math.log(total / len(corrected))",
        "from scipy.special import logsumexp\n"
        "return logsumexp(drawn_scores, b=1 / (len(drawn_scores) * drawn_chances))",
        "return np.logaddexp.reduce(drawn_scores - np.log(drawn_chances)) - np.log(len(drawn_scores))",
        "top = drawn_scores.max()\nreturn top + np.log(np.mean(np.exp(drawn_scores - top) / drawn_chances))",
        "import pandas as pd\nc = pd.Series(drawn_scores, dtype='float32') - np.log(drawn_chances)\n"
        "return c.max() + np.log(np.exp(c - c.max()).mean())",
    ],
    "09.6": [
        "import math\nfound = []\nfor means, logs in zip(mean, log_variance):\n    total = 0.0\n"
        "    for m, log in zip(means, logs):\n        total += math.exp(log) + m * m - 1 - log\n"
        "    found.append(total / 2)\nreturn found",
        "return (np.expm1(log_variance) + np.square(mean) - log_variance).sum(axis=1) / 2",
        "import pandas as pd\nm, v = pd.DataFrame(mean), pd.DataFrame(log_variance)\n"
        "return (np.exp(v) + m.pow(2) - 1 - v).sum(axis=1).mul(0.5)",
        "mean, log_variance = np.float32(mean), np.float32(log_variance)\n"
        "return np.einsum('ud->u', np.exp(log_variance) + mean**2 - 1 - log_variance) / 2",
        "variance = np.exp(log_variance)\n"
        "return [0.5 * sum(v + m**2 - 1 - np.log(v)) for v, m in zip(variance, mean)]",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "09.2": {
        "at = abs(len(history) - k) if len(history) > k else len(history)": "positive where it is taken",
        "kept = list(history[max(at - width, 0):at])": "a maximum has no order",
        "return (kept + [-1] * abs(width - len(kept)), history[at:])": "never more than `width` are kept",
    },
    "09.3": {
        "rows = table[padded]": "what stands for padding is multiplied by 0",
        "rows = table[np.where(real, padded, 1)]": "what stands for padding is multiplied by 0",
        "rows = table[np.where(real, padded, -1)]": "what stands for padding is multiplied by 0",
    },
    "09.4": {
        "shifted = scores - scores.max(axis=-1, keepdims=True)": "the last axis of a matrix is axis 1",
        "log_share = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))": "the last axis of a matrix is axis 1",
        "return -(taken * log_share).sum(axis=-1).mean()": "the last axis of a matrix is axis 1",
    },
    "09.5": {
        "corrected = drawn_scores - np.log(len(drawn_chances) * drawn_chances)": "one chance for each score",
    },
    "09.6": {
        "return 0.5 * abs(np.exp(log_variance) + mean ** 2 - 1 - log_variance).sum(axis=1)": "no coordinate is below 0: e^x >= 1 + x",
        "return 0.5 * (np.exp(log_variance) + mean ** 2 - 1 - log_variance).sum(axis=-1)": "the last axis of a matrix is axis 1",
    },
}
