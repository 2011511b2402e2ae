"""Answers to chapter 09: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "09.q1": [('choice = "a"', "one row per user"), ('choice = "b"', "no step of training")],
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
    "09.q2": [('choice = "a"', "Embedding does not"), ('choice = "c"', "mask_zero")],
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
    "09.7": [
        (
            "real = (padded >= 0).sum(axis=1)[:, None]\n"
            "h = np.tanh(weights['hidden_bias'] + masked_sum(weights['item_in'], padded) / np.sqrt(real))\n"
            "return h @ weights['item_out'].T + weights['item_bias']",
            "let |H| be at least 1",
        ),
        (
            "h = np.tanh(weights['hidden_bias'] + masked_sum(weights['item_in'], padded) / padded.shape[1] ** 0.5)\n"
            "return h @ weights['item_out'].T + weights['item_bias']",
            "padding is no item",
        ),
        (
            "real = np.maximum(1, np.count_nonzero(padded + 1, axis=1))[:, None]\n"
            "h = np.tanh(weights['hidden_bias'] + masked_sum(weights['item_in'], padded) / real)\n"
            "return h @ weights['item_out'].T + weights['item_bias']",
            "the square root of |H|, not by",
        ),
        (
            "real = np.maximum(1, (padded != -1).sum(axis=1))[:, None]\n"
            "h = np.tanh(masked_sum(weights['item_in'], padded) / np.sqrt(real))\n"
            "return h @ weights['item_out'].T + weights['item_bias']",
            "bias of the hidden layer",
        ),
        (
            "real = np.maximum(1, (padded != -1).sum(axis=1))[:, None]\n"
            "h = np.tanh((masked_sum(weights['item_in'], padded) + weights['hidden_bias']) / np.sqrt(real))\n"
            "return h @ weights['item_out'].T + weights['item_bias']",
            "gave",
        ),
        (
            "real = np.maximum(1, (padded != -1).sum(axis=1))[:, None]\n"
            "return (masked_sum(weights['item_in'], padded) / np.sqrt(real) + weights['hidden_bias']) @ weights['item_out'].T + weights['item_bias']",
            "hyperbolic tangent",
        ),
        (
            "real = np.maximum(1, (padded != -1).sum(axis=1))[:, None]\n"
            "h = np.tanh(masked_sum(weights['item_in'], padded) / np.sqrt(real) + weights['hidden_bias'])\n"
            "return weights['item_out'] @ h.T + weights['item_bias'][:, None]",
            "`.T`",
        ),
    ],
    "09.8": [
        (
            "p = log_softmax(scores, axis=1)\n"
            "return -np.mean([p[u, i] for u, row in enumerate(targets) for i in row])",
            "took the last item",
        ),
        (
            "p = log_softmax(scores, axis=1)\nuser = np.arange(len(p))[:, None]\n"
            "return -(p[user, targets] * (targets >= 0)).mean()",
            "mean over all places",
        ),
        (
            "p = log_softmax(scores, axis=1)\n"
            "return -np.mean([p[u, i] for u, row in enumerate(targets) for i in row if i >= 0])",
            "not nan",
        ),
        (
            "p = log_softmax(scores, axis=1)\nuser = np.arange(len(p))[:, None]\n"
            "return -(p[user, targets] * (targets >= 0)).sum(axis=1).mean()",
            "mean over users",
        ),
        (
            "p = log_softmax(scores, axis=1)\nuser = np.arange(len(p))[:, None]\nreal = targets >= 0\n"
            "each = (p[user, targets] * real).sum(axis=1) / np.maximum(real.sum(axis=1), 1)\nreturn -each.mean()",
            "averages each user first",
        ),
        (
            "p = log_softmax(scores, axis=1)\nuser = np.arange(len(p))[:, None]\n"
            "return -p[user, np.maximum(targets, 0)].sum() / max(1, (targets >= 0).sum())",
            "item 0 became a target",
        ),
        (
            "p = log_softmax(scores)\nuser = np.arange(len(p))[:, None]\nreal = targets >= 0\n"
            "return -(p[user, targets] * real).sum() / max(1, real.sum())",
            "gave",
        ),
        (
            "p = np.log(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))\n"
            "user = np.arange(len(p))[:, None]\nreal = targets >= 0\n"
            "return -(p[user, targets] * real).sum() / max(1, real.sum())",
            "gave nan",
        ),
    ],
    "09.9": [
        (
            "return [(history[a], history[b], decay ** (b - a)) for a in range(len(history))"
            " for b in range(a + 1, min(len(history), a + window + 1))]",
            "have the weight 1",
        ),
        (
            "return [(history[a], history[b], decay ** (b - a - 1)) for a in range(len(history))"
            " for b in range(a + 1, min(len(history), a + window))]",
            "exactly `window` steps apart",
        ),
        (
            "return [(i, j, 1) for i, j in zip(history, history[1:])]",
            "neighbors only",
        ),
        (
            "return [(history[b], history[a], decay ** (b - a - 1)) for a in range(len(history))"
            " for b in range(a + 1, min(len(history), a + window + 1))]",
            "counts backwards",
        ),
        (
            "return [(history[a], history[b], decay ** (b - a - 1)) for a in range(len(history))"
            " for b in range(a + 1, len(history))]",
            "all pairs",
        ),
        (
            "seen = {}\nfor a in range(len(history)):\n    for b in range(a + 1, min(len(history), a + window + 1)):\n"
            "        seen[history[a], history[b]] = decay ** (b - a - 1)\nreturn seen",
            "gave",
        ),
        ("return list(zip(history, history[1:]))", "expected rows of three"),
        (
            "return [(history[a], history[b], 1.0) for a in range(len(history))"
            " for b in range(a + 1, min(len(history), a + window + 1))]",
            "where is `decay`",
        ),
    ],
    "09.10": [
        (
            "half = (high - low) / 2\nmiddle = (high + low) / 2\n"
            "return people * (half / (margin - middle)) ** 2 if middle < margin else np.inf",
            "below 0 must fit",
        ),
        (
            "half = (high - low) / 2\nmiddle = abs(high + low) / 2\n"
            "return people * half / (margin - middle) if middle < margin else np.inf",
            "*square*",
        ),
        ("return people * ((high - low) / 2 / margin) ** 2", "gave"),
        (
            "half = (high - low) / 2\nreturn people * (half / margin) ** 2 if abs(high + low) / 2 < margin else np.inf",
            "middle is not 0",
        ),
        (
            "half = (high - low) / 2\nreturn people * (half / (margin - abs(high + low) / 2)) ** 2",
            "no number of people is enough",
        ),
        (
            "width = high - low\nmiddle = abs(high + low) / 2\n"
            "return people * (width / (margin - middle)) ** 2 if middle < margin else np.inf",
            "*half* the width",
        ),
    ],
    "09.11": [
        (
            "return np.log(np.exp(taken_scores).sum() + (np.exp(drawn_scores) / drawn_chances).mean())",
            "counts all draws",
        ),
        (
            "return np.log((np.exp(drawn_scores) / (n_drawn * drawn_chances)).sum())",
            "taken items are missing",
        ),
        (
            "return logsumexp(np.r_[taken_scores, drawn_scores])",
            "counts each draw once",
        ),
        (
            "return logsumexp(np.r_[taken_scores, drawn_scores + np.log(drawn_chances * n_drawn)])",
            "count *less*",
        ),
        (
            "return logsumexp(np.r_[taken_scores, drawn_scores - np.log(drawn_chances)])",
            "with more draws",
        ),
        (
            "return np.log(np.exp(taken_scores).sum() + (np.exp(drawn_scores) / (n_drawn * drawn_chances)).sum())",
            "`logsumexp` subtracts",
        ),
        (
            "return logsumexp(np.r_[taken_scores, drawn_scores] - np.log(n_drawn * np.r_[np.ones(len(taken_scores)), drawn_chances]))",
            "gave",
        ),
    ],
    "09.q3": [('choice = "b"', "hardly ever drawn"), ('choice = "c"', "a bias does not")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
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
    "09.7": [
        "scores = []\nfor row in padded:\n    items = [i for i in row if i >= 0]\n    hidden = []\n"
        "    for d, bias in enumerate(weights['hidden_bias']):\n"
        "        total = sum(float(weights['item_in'][i][d]) for i in items)\n"
        "        hidden.append(np.tanh(bias + total / max(1, len(items)) ** 0.5))\n"
        "    scores.append(weights['item_out'] @ np.array(hidden) + weights['item_bias'])\nreturn scores",
        "E, b, W, c = (weights[n] for n in ('item_in', 'hidden_bias', 'item_out', 'item_bias'))\n"
        "size = np.count_nonzero(padded != -1, axis=1).clip(min=1)\n"
        "h = np.tanh(b + masked_sum(E, padded) * size[:, None] ** -0.5)\nreturn np.einsum('uk,ik->ui', h, W) + c",
        "counts = np.zeros((len(padded), len(weights['item_in'])), np.float32)\nuser, place = np.nonzero(padded >= 0)\n"
        "np.add.at(counts, (user, padded[user, place]), 1)\nsize = counts.sum(axis=1, keepdims=True)\nsize[size == 0] = 1\n"
        "h = np.tanh(counts @ weights['item_in'] / np.sqrt(size) + weights['hidden_bias'])\n"
        "return h @ weights['item_out'].T + weights['item_bias']",
        "import pandas as pd\nsize = pd.DataFrame(padded).ge(0).sum(axis=1).replace(0, 1)\n"
        "total = pd.DataFrame(masked_sum(weights['item_in'], padded)).div(np.sqrt(size), axis=0)\n"
        "h = np.tanh(total.add(weights['hidden_bias'], axis=1))\n"
        "return h.to_numpy() @ np.transpose(weights['item_out']) + weights['item_bias']",
        "out = []\nfor row in padded:\n    kept = row[row > -1]\n    size = len(kept) if len(kept) else 1\n"
        "    h = np.tanh(weights['item_in'][kept].sum(axis=0) / np.sqrt(size) + weights['hidden_bias'])\n"
        "    out.append(h @ weights['item_out'].T + weights['item_bias'])\nreturn np.array(out, np.float32)",
    ],
    "09.8": [
        "import math\ntotal, n = 0.0, 0\nfor row, items in zip(scores, targets):\n    top = max(row)\n"
        "    log_sum = top + math.log(sum(math.exp(s - top) for s in row))\n    for i in items:\n"
        "        if i >= 0:\n            total += log_sum - row[i]\n            n += 1\nreturn total / n if n else 0.0",
        "user, place = np.nonzero(targets >= 0)\nif not len(user):\n    return 0\n"
        "return -log_softmax(scores, axis=1)[user, targets[user, place]].mean()",
        "logs = log_softmax(scores, axis=1)\npadded = np.hstack([logs, np.zeros((len(logs), 1))])\n"
        "return -np.take_along_axis(padded, targets, axis=1).sum() / max((targets != -1).sum(), 1)",
        "import pandas as pd\nlong = pd.DataFrame(targets).melt(ignore_index=False).query('value >= 0')\n"
        "losses = -log_softmax(scores, axis=1)[long.index, long['value']]\nreturn losses.mean() if len(long) else 0",
        "logs = log_softmax(np.float32(scores), axis=1)\ncounts = np.zeros(logs.shape, np.float32)\n"
        "for user, items in enumerate(targets):\n    for item in items[items >= 0]:\n        counts[user, item] += 1\n"
        "return -(counts * logs).sum() / np.maximum(counts.sum(), 1)",
    ],
    "09.9": [
        "rows = []\nfor a in range(len(history)):\n    for b in range(a + 1, len(history)):\n"
        "        if b - a <= window:\n            rows.append([history[a], history[b], decay ** (b - a - 1)])\nreturn rows",
        "from collections import Counter\nfound = Counter()\nfor b, later in enumerate(history):\n"
        "    for back in range(1, min(window, b) + 1):\n        found[history[b - back], later] += decay ** (back - 1)\nreturn found",
        "h = np.asarray(history, dtype=int)\na, b = np.triu_indices(len(h), 1)\nnear = b - a <= window\na, b = a[near], b[near]\n"
        "return np.column_stack([h[a], h[b], decay ** (b - a - 1.0)])",
        "import pandas as pd\nh = pd.Series(history, dtype=float)\n"
        "parts = [pd.DataFrame({'earlier': h.shift(d), 'later': h, 'weight': float(decay) ** (d - 1)}).dropna()\n"
        "         for d in range(1, window + 1)]\nreturn pd.concat(parts)",
        "from collections import deque\nrecent, rows = deque(maxlen=window), []\nfor later in history:\n"
        "    rows += [(earlier, later, np.float32(decay) ** back) for back, earlier in enumerate(recent)]\n"
        "    recent.appendleft(later)\nreturn rows",
    ],
    "09.10": [
        "for end in (low, high):\n    pass\nmiddle = low + (high - low) / 2\nroom = min(margin - middle, middle + margin)\n"
        "if room <= 0:\n    return float('inf')\nhalf = high - middle\nreturn people * half * half / room / room",
        "middle, half = np.mean([low, high]), np.ptp([low, high]) / 2\nroom = margin - np.abs(middle)\n"
        "return np.where(room > 0, people * np.square(half / room), np.inf)",
        "import math\nmiddle = (low + high) / 2\nif not -margin < middle < margin:\n    return math.inf\n"
        "spread = (high - low) / 2 * math.sqrt(people)\nreturn (spread / (margin - abs(middle))) ** 2",
        "lo, hi, m = np.float32(low), np.float32(high), np.float32(margin)\nroom = m - abs(lo + hi) / 2\n"
        "return people * ((hi - lo) / (2 * room)) ** 2 if room > 0 else np.inf",
    ],
    "09.11": [
        "import math\nterms = list(taken_scores)\nfor score, chance in zip(drawn_scores, drawn_chances):\n"
        "    terms.append(score - math.log(n_drawn * chance))\ntop = max(terms)\n"
        "return top + math.log(sum(math.exp(t - top) for t in terms))",
        "return logsumexp(np.r_[taken_scores, drawn_scores - np.log(n_drawn * np.asarray(drawn_chances))])",
        "parts = np.append(taken_scores, drawn_scores - np.log(drawn_chances) - np.log(n_drawn))\n"
        "return np.logaddexp.reduce(parts)",
        "import pandas as pd\nc = pd.concat([pd.Series(taken_scores, dtype=float),"
        " pd.Series(drawn_scores, dtype=float) - np.log(n_drawn * drawn_chances)])\n"
        "return c.max() + np.log(np.exp(c - c.max()).sum())",
        "all_scores = np.concatenate([taken_scores, drawn_scores]).astype(np.float32)\ntop = all_scores.max()\n"
        "weight = np.concatenate([np.ones(len(taken_scores)), 1 / np.multiply(drawn_chances, n_drawn)])\n"
        "return top + np.log(weight @ np.exp(all_scores - top))",
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
    "09.7": {
        "length = np.maximum(1, (padded >= 0).sum(axis=1, keepdims=True))": "a maximum has no order",
        "length = np.maximum((padded >= 0).sum(axis=-1, keepdims=True), 1)": "the last axis of a matrix is axis 1",
    },
    "09.8": {
        "logs = np.take_along_axis(log_softmax(scores, axis=1), targets, axis=1)": "what stands for padding is multiplied by 0",
        "logs = np.take_along_axis(log_softmax(scores, axis=1), np.where(real, targets, 1), axis=1)": "what stands for padding is multiplied by 0",
        "logs = np.take_along_axis(log_softmax(scores, axis=1), np.where(real, targets, -1), axis=1)": "what stands for padding is multiplied by 0",
        "logs = np.take_along_axis(log_softmax(scores, axis=1), np.where(real, targets, 0), axis=-1)": "the last axis of a matrix is axis 1",
        "logs = np.take_along_axis(log_softmax(scores, axis=-1), np.where(real, targets, 0), axis=1)": "the last axis of a matrix is axis 1",
        "return -(logs * real).sum() / max(real.sum(), 1)": "a maximum has no order",
    },
    "09.9": {
        "return [(history[a], history[b], decay ** abs(b - a - 1)) for a, b in pairs]": "b is above a",
        "return [(history[a], history[b], decay ** (abs(b - a) - 1)) for a, b in pairs]": "b is above a",
    },
    "09.10": {
        "half, middle = ((low - high) / 2, abs(low + high) / 2)": "half the width enters as a square",
        "half, middle = (abs(high - low) / 2, abs(low + high) / 2)": "high is not below low",
        "half, middle = ((high - low) / -2, abs(low + high) / 2)": "half the width enters as a square",
    },
}
