"""Answers to chapter 07: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "07.1": [
        ("return v[:n_users], v[n_users:]", "one more column"),
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
            "users' rows as well",
        ),
        (
            "one = np.ones((n_users, 1))\nweights = np.resize(w1, len(v) - n_users)\n"
            "return np.hstack([v[:n_users], one]), np.hstack([v[n_users:], weights[:, None]])",
            "as value 2 of 2 gave",
        ),
        (
            "one = np.ones((n_users, 1))\n"
            "return np.hstack([v[n_users:], w1[n_users:, None]]), np.hstack([v[:n_users], one])",
            "in the other order",
        ),
        ("return np.hstack([v, w1[:, None]])", "expected 2 values"),
    ],
    "07.q1": [('choice = "a"', "Which terms are not"), ('choice = "c"', "longer history")],
    "07.2": [
        (
            "i = np.asarray(labels).astype(np.int8) - 1\nif (i < 0).any() or (i >= n_items).any():\n    raise ValueError\nreturn i",
            "70000",
        ),
        (
            "i = np.asarray(labels).astype(int) - 1\nif i.sum() < 0 or i.max() >= n_items:\n    raise ValueError\nreturn i",
            "expected a `ValueError`",
        ),
        (
            "i = np.asarray(labels).astype(int) - 1\nif i.min() < 0 or i.max() >= n_items:\n    return ValueError('label')\nreturn i",
            "`raise` it",
        ),
        ("return [int(label) for label in labels]", "which row is that"),
        (
            "items = np.asarray(labels) - 1\n"
            "if items.min() < 0 or items.max() >= n_items:\n    raise ValueError\nreturn items",
            "returned floats",
        ),
        ("return np.asarray(labels).astype(int) - 1", "expected a `ValueError`"),
        (
            "items = np.asarray(labels).astype(int) - 1\n"
            "if items.max() >= n_items:\n    raise ValueError('unknown label')\nreturn items",
            "`items_of([3, 0], 4)` gave [2, -1]",
        ),
        (
            "items = np.asarray(labels).astype(int) - 1\n"
            "if items.min() < 0 or items.max() > n_items:\n    raise ValueError('unknown')\nreturn items",
            "`items_of([5, 2], 4)` gave [4, 1]",
        ),
        (
            "items = np.asarray(labels).astype(int) - 1\n"
            "assert items.min() >= 0 and items.max() < n_items\nreturn items",
            "raised AssertionError",
        ),
        ("return [int(label) - 1 for label in np.ravel(labels)]", "keeps its shape"),
    ],
    "07.7": [
        ("return np.array_equal(items, np.argsort(-scores)[: len(items)])", "compare scores, not"),
        (
            "if items.min() < 0 or (np.diff(items) == 0).any():\n    return False\n"
            "best = np.sort(scores)[::-1][: len(items)]\n"
            "return bool(abs(scores[items] - best).max() <= tolerance)",
            "item 0 is there twice",
        ),
        (
            "if items.min() < 0 or len(set(items.tolist())) < len(items):\n    return False\n"
            "best = np.sort(scores)[::-1][: len(items)]\n"
            "return bool(abs(scores[items] - best).mean() <= tolerance)",
            "twice the `tolerance`",
        ),
        (
            "best = set(np.argsort(-scores)[: len(items)].tolist())\nreturn set(items.tolist()) == best",
            "the order counts",
        ),
        ("return bool((np.diff(scores[items]) <= tolerance).all())", "compare with *all* scores"),
        (
            "best = np.sort(scores)[::-1][: len(items)]\n"
            "return bool((abs(scores[items] - best) <= tolerance).all())",
            "there twice",
        ),
        (
            "if len(set(items.tolist())) < len(items):\n    return False\n"
            "best = np.sort(scores)[::-1][: len(items)]\n"
            "return bool((abs(scores[items] - best) <= tolerance).all())",
            "-1 is no item",
        ),
        (
            "if -1 in items or len(set(items.tolist())) < len(items):\n    return False\n"
            "best = np.sort(scores)[::-1][: len(items)]\n"
            "return bool((abs(scores[items] - best) <= tolerance).all())",
            "-2 is no item",
        ),
        (
            "if min(items) < 0 or len(set(items.tolist())) < len(items):\n    return False\n"
            "return np.array_equal(scores[items], np.sort(scores)[::-1][: len(items)])",
            "less than `tolerance`",
        ),
        (
            "best = np.sort(scores)[: len(items)]\n"
            "return bool((abs(scores[items] - best) <= tolerance).all())",
            "these are the two largest",
        ),
        (
            "return scores[items] >= np.sort(scores)[-len(items)] - tolerance",
            "expected True or False",
        ),
        ("return bool(scores[items[0]] >= scores.max() - tolerance)", "better than item 1"),
        ("print(items)", "returned None"),
    ],
    "07.q2": [('choice = "a"', "equally long"), ('choice = "b"', "nothing complains")],
    "07.4": [
        (
            "length = np.linalg.norm(items, axis=1, keepdims=True)\n"
            "return np.hstack([items, length.max() - length]), np.hstack([users, np.zeros((len(users), 1))])",
            "of the lengths",
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
        (
            "square = (items**2).sum(1, keepdims=True)\n"
            "return np.hstack([items, square.max() - square]), np.hstack([users, np.zeros((len(users), 1))])",
            "of the lengths",
        ),
        ("return items, users", "expected (3, 3)"),
    ],
    "07.5": [
        ("return np.column_stack([x @ v, x @ w1])", "the weights only"),
        (
            "s = x @ v\nreturn np.hstack([s, (x @ w1 + (s * s).sum(1) - (x * x) @ (v * v).sum(1))[:, None]])",
            "not twice",
        ),
        ("s = x @ v\nreturn np.column_stack([s, x @ w1 + (s**2).sum(axis=1) / 2])", "with itself"),
        (
            "s = (x != 0) @ v\npairs = ((s * s).sum(1) - (x != 0) @ (v * v).sum(1)) / 2\n"
            "return np.hstack([s, ((x != 0) @ w1 + pairs)[:, None]])",
            "other than 1 multiply",
        ),
        ("return np.einsum('ij,jf->if', x, v)", "one more column"),
        (
            "rows = []\nfor row in x:\n    last = row @ w1\n    for j in range(len(row)):\n"
            "        for m in range(j):\n            last += row[j] * row[m] * (v[j] @ v[m])\n"
            "    rows.append([*(row @ v), last])\nreturn rows",
            "sixteen times",
        ),
        (
            "inner = v @ v.T\nboth = np.einsum('ij,im,jm->i', x, x, inner - np.diag(np.diag(inner)))\n"
            "return np.column_stack([x @ v, x @ w1 + both / 2])",
            "sixteen times",
        ),
    ],
    "07.6": [
        ("return [row[:k] for row in found.tolist()]", "blocked[user, item]"),
        (
            "free = [np.setdiff1d(row, np.append(np.flatnonzero(b), -1)) for row, b in zip(found, blocked)]\n"
            "return np.array([np.pad(r[:k], (0, k - len(r[:k])), constant_values=-1) for r in free])",
            "best first",
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
            "fine = (found >= 0) & ~blocked[np.arange(len(found))[:, None], found]\n"
            "order = np.argsort(~fine, axis=1)\nfound = np.pad(np.where(np.take_along_axis(fine, order, 1), "
            "np.take_along_axis(found, order, 1), -1), ((0, 0), (0, k)), constant_values=-1)\n"
            "return found[:, :k]",
            "gave",
        ),
        (
            "return [[i for i in row if i >= 0 and not b[i]][:k] for row, b in zip(found, blocked)]",
            "expected an array",
        ),
    ],
    "07.q3": [('choice = "a"', "knows nothing of the stock"), ('choice = "c"', "varies from user")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "07.1": [
        "users = [[*row, 1] for row in v[:n_users]]\nitems = []\n"
        "for row, weight in zip(v[n_users:], w1[n_users:]):\n    items.append([*row, weight])\n"
        "return users, items",
        "return np.column_stack([v[:n_users], np.ones(n_users)]), np.column_stack([v, w1])[n_users:]",
        "import pandas as pd\nusers, items = pd.DataFrame(v[:n_users]), pd.DataFrame(v[n_users:])\n"
        "return users.assign(last=1.0), items.assign(last=w1[n_users:])",
        "both = np.concatenate([v, w1.reshape(-1, 1)], axis=1)\nboth[:n_users, -1] = 1\n"
        "return np.split(both.astype(np.float32), [n_users])",
        "both = np.c_[v, w1]\nboth[:n_users, -1:] = 1\nreturn [both[:n_users], both[n_users:]]",
    ],
    "07.2": [
        "items = []\nfor label in labels:\n    if isinstance(label, list):\n"
        "        items.append(items_of(label, n_items))\n    elif 1 <= label <= n_items:\n"
        "        items.append(int(label) - 1)\n    else:\n        raise ValueError(label)\nreturn items",
        "items = np.array(labels, dtype=int) - 1\n"
        "if ((items < 0) | (items >= n_items)).any():\n    raise ValueError('no such label')\nreturn items",
        "labels = np.array(labels)\nif not np.isin(labels, np.arange(1, n_items + 1)).all():\n"
        "    raise ValueError(labels)\nreturn (labels - 1).astype(np.int32)",
        "known = {label: label - 1 for label in range(1, n_items + 1)}\nlabels = np.array(labels)\n"
        "try:\n    return np.array([known[x] for x in labels.ravel()]).reshape(labels.shape)\n"
        "except KeyError as error:\n    raise ValueError(f'no item has the label {error}') from None",
    ],
    "07.7": [
        "items, best = [int(i) for i in items], sorted(scores, reverse=True)\n"
        "for place, item in enumerate(items):\n"
        "    if item < 0 or item in items[:place] or abs(scores[item] - best[place]) > tolerance:\n"
        "        return False\nreturn True",
        "left = np.array(scores, dtype=float)\nfor item in items:\n"
        "    if item < 0 or not left[item] >= left.max() - tolerance:\n        return False\n"
        "    left[item] = -np.inf\nreturn True",
        "import pandas as pd\nitems, best = pd.Series(items), pd.Series(scores).nlargest(len(items))\n"
        "fine = np.isclose(scores[items], best, rtol=0, atol=tolerance)\n"
        "return items.is_unique and items.ge(0).all() and fine.all()",
        "if (items < 0).any() or np.unique(items).size < items.size:\n    return 0\n"
        "mine, rest = scores[items], np.delete(scores, items)\n"
        "falls = (np.diff(mine) <= tolerance).all()\n"
        "return int(falls and (rest.size == 0 or rest.max() <= mine.min() + tolerance))",
        "best = np.partition(scores, len(scores) - len(items))[-len(items):]\n"
        "whole = len(set(items)) == len(items) and min(items) >= 0\n"
        "return np.array([whole and np.allclose(scores[items], np.sort(best)[::-1], 0, tolerance)])",
    ],
    "07.4": [
        "squares = [sum(float(x) ** 2 for x in row) for row in items]\n"
        "longer = [[*row, (max(squares) - s) ** 0.5] for row, s in zip(items, squares)]\n"
        "return longer, [[*row, 0.0] for row in users]",
        "square = np.einsum('ij,ij->i', items, items)\n"
        "return np.c_[items, np.sqrt(square.max() - square)], np.pad(users, ((0, 0), (0, 1)))",
        "length = np.linalg.norm(items, axis=1)\nmissing = np.sqrt((length.max() + length) * (length.max() - length))\n"
        "return np.column_stack([items, missing]), np.column_stack([users, 0 * users[:, 0]])",
        "import pandas as pd\nitems, users = pd.DataFrame(items), pd.DataFrame(users)\n"
        "square = items.pow(2).sum(axis=1)\n"
        "return items.assign(last=(square.max() - square) ** 0.5), users.assign(last=0.0)",
        "square = (items**2).sum(1, keepdims=True)\nbound = 1 + square.max()\n"
        "return np.hstack([items, -np.sqrt(bound - square)]), np.hstack([users, 0 * users[:, :1]])",
    ],
    "07.5": [
        "rows = []\nfor row in x:\n    s, last = [0.0] * v.shape[1], 0.0\n"
        "    for value, factors, weight in zip(row, v, w1):\n        last += value * weight\n"
        "        for f, factor in enumerate(factors):\n            last += s[f] * value * factor\n"
        "            s[f] += value * factor\n    rows.append([*s, last])\nreturn rows",
        "s, norms = x @ v, np.einsum('jf,jf->j', v, v)\n"
        "return np.c_[s, x @ w1 + 0.5 * (np.square(s).sum(1) - np.square(x) @ norms)]",
        "s = x.dot(v)\nlast = x.dot(w1) + 0.5 * (s**2 - (x**2).dot(v**2)).sum(axis=1)\n"
        "return np.concatenate([s, last[:, None]], axis=1)",
        "import pandas as pd\ns = pd.DataFrame(x @ v)\npairs = (s.pow(2) - (x**2) @ (v**2)).sum(axis=1) / 2\n"
        "return s.assign(last=x @ w1 + pairs)",
        "s, last = np.zeros((len(x), v.shape[1])), x @ w1\nfor j in range(len(v)):\n"
        "    add = x[:, j, None] * v[j]\n    last, s = last + (s * add).sum(axis=1), s + add\n"
        "return np.hstack([s, last[:, None]])",
    ],
    "07.6": [
        "rows = []\nfor row, no in zip(found, blocked):\n    kept = []\n    for item in row:\n"
        "        if item >= 0 and not no[item] and len(kept) < k:\n            kept.append(item)\n"
        "    rows.append(kept + [-1] * (k - len(kept)))\nreturn rows",
        "rows = [[i for i in row if not b[i]][:k] for row, b in zip(found, blocked)]\n"
        "return np.array([row + [-1] * (k - len(row)) for row in rows])",
        "result = np.full((len(found), k), -1)\nfor user, row in enumerate(found):\n"
        "    row = row[row >= 0]\n    row = row[~blocked[user, row]][:k]\n    result[user, : len(row)] = row\n"
        "return result",
        "fine = (found >= 0) & ~np.take_along_axis(blocked, found, axis=1)\nplace = fine.cumsum(axis=1) - 1\n"
        "result = np.full((len(found), max(k, found.shape[1])), -1)\n"
        "result[np.nonzero(fine)[0], place[fine]] = found[fine]\nreturn result[:, :k].astype(float)",
        "import pandas as pd\nrows = []\nfor user, row in pd.DataFrame(found).iterrows():\n"
        "    row = row[(row >= 0) & ~blocked[user, row]].head(k).reset_index(drop=True)\n"
        "    rows.append(row.reindex(range(k), fill_value=-1))\nreturn pd.DataFrame(rows)",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "07.1": {
        "ones = np.ones((n_users, 1))": "ones of another precision",
        "ones = np.ones((n_users, 1), dtype=w1.dtype)": "ones of another precision",
    },
    "07.2": {
        "if items.min() < 0 or items.max() >= n_items:": "the notebook has no list without labels",
        "raise ValueError(f'expected labels from 1 to{n_items}')": "the words of an error are free",
        "raise ValueError(f'expected labels from 1 to {labels}')": "the words of an error are free",
    },
    "07.7": {
        "return bool(whole and np.abs(scores[items] - best).max() < tolerance)": "no two scores differ by just that",
        "whole = items.min() >= 0 and len(set(items)) == len(items)": "NumPy's numbers are hashed by value",
        "return bool(whole and np.abs(best - scores[items]).max() <= tolerance)": "the sign goes",
        "return bool(whole and np.abs(abs(scores[items] - best)).max() <= tolerance)": "abs twice is abs",
    },
    "07.4": {
        "missing = np.sqrt(abs(squares.max() - squares))": "no square is above the largest",
        "squares = (items ** 2).sum(axis=-1)": "the last axis of a matrix is axis 1",
    },
    "07.5": {
        "within = ((s ** 2).sum(axis=-1) - x ** 2 @ (v ** 2).sum(axis=1)) / 2": "the last axis of a matrix is axis 1",
        "within = ((s ** 2).sum(axis=1) - x ** 2 @ (v ** 2).sum(axis=-1)) / 2": "the last axis of a matrix is axis 1",
    },
    "07.6": {
        "fine = ~blocked[np.arange(len(found))[:, None], found]": "-1 stands last: allowed or not, it stays -1",
        "fine = (found >= -1) & ~blocked[np.arange(len(found))[:, None], found]": "-1 stands last: allowed or not, it stays -1",
        "fine = (k >= 0) & ~blocked[np.arange(len(found))[:, None], found]": "-1 stands last: allowed or not, it stays -1",
        "fine = (found >= 0) & ~blocked[np.arange(len(blocked))[:, None], found]": "both have one row per user",
        "order = np.argsort(~fine, kind='stable')[:, :k]": "the last axis is the default",
        "order = np.argsort(~fine, axis=-1, kind='stable')[:, :k]": "the last axis of a matrix is axis 1",
        "order = np.argsort(~fine, axis=1, kind='stabl')[:, :k]": "NumPy reads the first letter of the kind",
        "kept = np.where(np.take_along_axis(fine, order, -1), np.take_along_axis(found, order, 1), -1)": "the last axis of a matrix is axis 1",
        "kept = np.where(np.take_along_axis(fine, order, 1), np.take_along_axis(found, order, -1), -1)": "the last axis of a matrix is axis 1",
        "return np.pad(kept, ((0, 0), (0, abs(k - kept.shape[1]))), constant_values=-1)": "never more than k columns are kept",
        "return np.pad(kept, ((0, 0), (0, k - kept.shape[-1])), constant_values=-1)": "the last axis of a matrix is axis 1",
    },
}
