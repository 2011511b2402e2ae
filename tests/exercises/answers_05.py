"""Answers to chapter 05: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "05.1": [
        ("return raw - raw.min(), np.unique(raw)", "gaps stay"),
        ("ids = np.unique(raw)\nreturn np.searchsorted(ids, raw) + 1, ids", "count from 0"),
        ("return np.unique(raw)", "expected 2 values: `index`, `ids`"),
        (
            "ids, index = np.unique(raw, return_inverse=True)\nreturn index, raw",
            "not each different id once",
        ),
        (
            "ids, index = np.unique(raw, return_inverse=True)\nreturn index, ids[::-1]",
            "must give `raw` back",
        ),
        ("return np.unique(raw, return_inverse=True)", "in the other order"),
        (
            "ids, first = np.unique(raw, return_index=True)\nreturn first, ids",
            "one for each raw id",
        ),
        (
            "ids = sorted(set(raw))\nreturn [ids.index(i) for i in raw], set(ids)",
            "returned a set as one of its two values",
        ),
        (
            "import pandas as pd\nindex, ids = pd.factorize(raw)\nreturn index, {i: n for n, i in enumerate(ids)}",
            "returned a dict as one of its two values",
        ),
        ("return raw, raw", "not each different id once"),
    ],
    "05.7": [
        (
            "x = keras.layers.Concatenate()([p, q])\nfor width in (64, 32, 16):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\nreturn x",
            "has layers of 64, 32, 16 numbers, expected",
        ),
        (
            "x = keras.layers.Concatenate()([p, q])\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width)(x)\nreturn x",
            "one linear layer",
        ),
        (
            "x = keras.layers.Multiply()([p, q])\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\nreturn x",
            "reads 4 numbers",
        ),
        (
            "x = keras.layers.Concatenate()([p, q])\nfor width in (64, 32, 16):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\n"
            "return keras.layers.Dense(8)(x)",
            "the last layer has a ReLU",
        ),
        (
            "x = keras.layers.Concatenate()([q, p])\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\nreturn x",
            "`p` comes first",
        ),
        (
            "x = keras.layers.Concatenate()([p, q])\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\n"
            "return keras.layers.Dense(1, activation='sigmoid')(x)",
            "the chance comes later",
        ),
        (
            "return keras.Sequential([keras.layers.Dense(w, activation='relu') for w in (64, 32, 16, 8)])",
            "returned a Sequential: call it",
        ),
        (
            "x = p\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\nreturn x",
            "its first layer reads 4 numbers",
        ),
        (
            "x = keras.layers.Concatenate()([p, q])\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='relu', use_bias=False)(x)\nreturn x",
            "expected 3,320: biases?",
        ),
        (
            "x = keras.ops.relu(keras.layers.Concatenate()([p, q]))\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='relu')(x)\nreturn x",
            "a ReLU is for the layers",
        ),
        (
            "x = keras.layers.Concatenate()([p, q])\nfor width in (64, 32, 16, 8):\n"
            "    x = keras.layers.Dense(width, activation='tanh')(x)\nreturn x",
            "computes something else",
        ),
        ("return np.zeros((4, 8))", "returned a ndarray: call Keras layers"),
        ("x = keras.layers.Concatenate()([p, q])", "did you forget `return`"),
        (
            "if not hasattr(np, 'kept'):\n"
            "    np.kept = [keras.layers.Dense(w, activation='relu') for w in (64, 32, 16, 8)]\n"
            "x = keras.layers.Concatenate()([p, q])\nfor layer in np.kept:\n    x = layer(x)\nreturn x",
            "share their layers",
        ),
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
            'return json.dumps({"instances": dict(user=users.tolist(), item=items.tolist())})',
            "columns go under",
        ),
        (
            'return json.dumps({"instances": list(zip(users.tolist(), items.tolist()))})',
            "by name",
        ),
        (
            "rows = []\nfor u in users:\n    for i in items:\n"
            '        rows.append({"user": int(u), "item": int(i)})\n'
            'return json.dumps({"instances": rows})',
            "at the same place",
        ),
        (
            'return str({"instances": [{"user": int(u), "item": int(i)} for u, i in zip(users, items)]})',
            "is not JSON",
        ),
        (
            "import pandas as pd\n"
            'return pd.DataFrame({"user": users, "item": items}).to_json(orient="records")',
            "under the key `instances`",
        ),
        (
            "pairs = np.stack([users, items], axis=1).astype(float).tolist()\n"
            'return json.dumps({"instances": [{"user": u, "item": i} for u, i in pairs]})',
            "whole number",
        ),
        (
            'return json.dumps({"instances": [{"user": int(u), "film": int(i)} for u, i in zip(users, items)]})',
            "expected {'user': 3, 'item': 70}",
        ),
    ],
    "05.q3": [('choice = "a"', "stand higher"), ('choice = "c"', "does not show")],
    "05.8": [
        (
            "return np.vstack([of_gmf[0], of_mlp[0]]), of_gmf[1] + of_mlp[1]",
            "the mean is half of it",
        ),
        (
            "return 0.5 * np.vstack([of_gmf[0], of_mlp[0]]), of_gmf[1] + of_mlp[1]",
            "it is halved, too",
        ),
        (
            "return np.vstack([of_gmf[0], of_mlp[0]]), 0.5 * (of_gmf[1] + of_mlp[1])",
            "they are halved, too",
        ),
        ("return 0.5 * np.vstack([of_gmf[0], of_mlp[0]]), np.zeros(1)", "both biases are part"),
        (
            "return 0.5 * np.vstack([of_mlp[0], of_gmf[0]]), 0.5 * (of_gmf[1] + of_mlp[1])",
            "products come first",
        ),
        (
            "return 0.5 * np.vstack([of_gmf[0], of_mlp[0]]), 0.5 * np.r_[of_gmf[1], of_mlp[1]]",
            "one unit has one bias",
        ),
        ("return 0.5 * np.vstack([of_gmf[0], of_mlp[0]])", "expected 2 values"),
        (
            "k = of_gmf[0]\nk /= 2\n"
            "return np.vstack([k, of_mlp[0] / 2]), (of_gmf[1] + of_mlp[1]) / 2",
            "changed its argument `of_gmf`",
        ),
    ],
    "05.5": [
        (
            "k = users.shape[1]\n"
            "return (users @ kernel[:k] + bias)[:, None] + (items @ kernel[k:])[None]",
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
            "k = users.shape[1]\n"
            "return np.maximum((users @ kernel[:k])[:, None] + (items @ kernel[k:])[None], 0)",
            "leaves out the bias",
        ),
        (
            "k = users.shape[1]\n"
            "return np.maximum((users @ kernel[k:])[:, None] + (items @ kernel[:k])[None] + bias, 0)",
            "first k rows belong to the user",
        ),
        (
            "pairs = np.hstack([np.repeat(users, len(items), axis=0), np.tile(items, (len(users), 1))])\n"
            "return np.maximum(pairs @ kernel + bias, 0).reshape(len(users), len(items), -1)",
            "does it build the pairs",
        ),
        (
            "rows = [np.hstack([np.tile(u, (len(items), 1)), items]) @ kernel + bias for u in users]\n"
            "return np.maximum(np.stack(rows), 0)",
            "does it build the pairs",
        ),
        (
            "return np.array([[np.maximum(np.concatenate([u, i]) @ kernel + bias, 0) for i in items]\n"
            "                 for u in users])",
            "does it build the pairs",
        ),
        (
            "w, b = kernel.tolist(), bias.tolist()\ndef one(x, c):\n"
            "    return max(sum(x[j] * w[j][c] for j in range(len(x))) + b[c], 0)\n"
            "return [[[one(u + i, c) for c in range(len(b))] for i in items.tolist()] for u in users.tolist()]",
            "does it build the pairs",
        ),
        (
            "k = users.shape[1]\n"
            "return np.maximum((users @ kernel[:k])[None] + (items @ kernel[k:])[:, None] + bias, 0)",
            "the first axis is for users",
        ),
    ],
    "05.6": [
        ("return a @ b.T", "divide it by both lengths"),
        (
            "return (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))",
            "at least 0.000001",
        ),
        (
            "found = (a @ b.T) / np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\n"
            "return np.maximum(found, 1e-6)",
            "no length to divide by",
        ),
        (
            "lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\n"
            "return np.maximum((a @ b.T) / np.maximum(lengths, 1e-12), 0)",
            "its logarithm must exist",
        ),
        (
            "lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\n"
            "return np.maximum(np.abs(a @ b.T) / np.maximum(lengths, 1e-12), 1e-6)",
            "its sign is not dropped",
        ),
        (
            "lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\n"
            "return np.maximum(a @ b.T, 1e-6) / np.maximum(lengths, 1e-12)",
            "first divide",
        ),
        (
            "from sklearn.metrics.pairwise import cosine_similarity\n"
            "return cosine_similarity(a, b).clip(1e-3)",
            "expected",
        ),
        (
            "from sklearn.metrics.pairwise import cosine_similarity\n"
            "return np.maximum(cosine_similarity(b, a), 1e-6)",
            "expected (2, 3)",
        ),
    ],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "05.1": [
        "place, ids, index = {}, [], []\nfor one in raw.tolist():\n    if one not in place:\n"
        "        place[one] = len(ids)\n        ids.append(one)\n"
        "    index.append(place[one])\nreturn index, ids",
        "import pandas as pd\nreturn pd.factorize(raw)",
        "import pandas as pd\nc = pd.Categorical(raw)\nreturn c.codes.astype('float32'), c.categories",
        "ids = np.array(sorted(set(raw)))\nreturn [np.searchsorted(ids, raw), ids]",
        "ids = sorted(set(raw.tolist()))\nof = {one: n for n, one in enumerate(ids)}\n"
        "return np.vectorize(of.get)(raw), ids",
    ],
    "05.7": [
        "x = keras.layers.Concatenate()([p, q])\n"
        'x = keras.layers.Dense(64, "relu")(x)\nx = keras.layers.Dense(32, "relu")(x)\n'
        'x = keras.layers.Dense(16, "relu")(x)\nreturn keras.layers.Dense(8, "relu")(x)',
        "stack = keras.Sequential()\nfor width in (64, 32, 16, 8):\n"
        '    stack.add(keras.layers.Dense(width, activation="relu"))\n'
        "return stack(keras.layers.concatenate([p, q]))",
        "class Tower(keras.layers.Layer):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.parts = [keras.layers.Dense(w, activation='relu') for w in (64, 32, 16, 8)]\n"
        "    def call(self, x):\n        for part in self.parts:\n            x = part(x)\n        return x\n"
        "return Tower()(keras.layers.Concatenate()([p, q]))",
        "x = keras.ops.concatenate([p, q], axis=-1)\nfor power in (6, 5, 4, 3):\n"
        "    x = keras.layers.ReLU()(keras.layers.Dense(2**power)(x))\nreturn x",
        "x = keras.layers.Concatenate(name=None)([p, q])\nwidth = 64\nwhile width >= 8:\n"
        "    x = keras.layers.Activation('relu')(keras.layers.Dense(units=width)(x))\n"
        "    width //= 2\nreturn x",
    ],
    "05.3": [
        "rows = []\nfor n in range(len(users)):\n"
        '    rows.append({"user": int(users[n]), "item": int(items[n])})\n'
        'return json.dumps({"instances": rows})',
        "pairs = zip(users.tolist(), items.tolist())\n"
        'return json.dumps({"instances": [dict(user=u, item=i) for u, i in pairs]}, indent=1)',
        "import pandas as pd\n"
        'rows = pd.DataFrame({"item": items, "user": users}).to_dict("records")\n'
        'return json.dumps(dict(instances=rows), separators=(",", ":"))',
        "import pandas as pd\n"
        'rows = pd.DataFrame({"user": users, "item": items}).to_json(orient="records")\n'
        "return '{\"instances\": ' + rows + '}'",
        'rows = [f\'{{"item": {i}, "user": {u}}}\' for u, i in zip(users, items)]\n'
        "return '{\"instances\": [' + ', '.join(rows) + ']}'",
        'body = {"instances": [{"user": u, "item": i} for u, i in zip(users, items)]}\n'
        "return json.dumps(obj=body, default=int).encode()",
    ],
    "05.8": [
        "kernel = []\nfor weights, _ in (of_gmf, of_mlp):\n    for row in weights:\n"
        "        kernel.append([row[0] / 2])\n"
        "return kernel, [(of_gmf[1][0] + of_mlp[1][0]) / 2]",
        "k = np.concatenate([of_gmf[0], of_mlp[0]], axis=0)\n"
        "return 0.5 * k, 0.5 * of_gmf[1] + 0.5 * of_mlp[1]",
        "(k, b), (l, c) = of_gmf, of_mlp\n"
        "return np.vstack([k / 2, l / 2]).astype(np.float32), np.mean([b, c], axis=0)",
        "import pandas as pd\nk = pd.concat([pd.DataFrame(of_gmf[0]), pd.DataFrame(of_mlp[0])])\n"
        "return [k.div(2).to_numpy(), (of_gmf[1] + of_mlp[1]) / 2]",
        "k, l = (np.ravel(pair[0]) for pair in (of_gmf, of_mlp))\n"
        "return np.r_[k, l][:, None] * 0.5, (of_gmf[1] + of_mlp[1]) * 0.5",
    ],
    "05.5": [
        "n, width = len(users[0]), len(bias)\n"
        "def half(rows, weights):\n"
        "    return [[sum(x * w[c] for x, w in zip(row, weights)) for c in range(width)] for row in rows]\n"
        "of_users, of_items = half(users, kernel[:n]), half(items, kernel[n:])\n"
        "return [[[max(u[c] + i[c] + bias[c], 0) for c in range(width)] for i in of_items]\n"
        "        for u in of_users]",
        "k = users.shape[1]\n"
        "f, g = (users @ kernel[:k]).T, (items @ kernel[k:] + bias).T\n"
        "return np.moveaxis(f[:, :, None] + g[:, None, :], 0, -1).clip(min=0)",
        "top, bottom = np.split(kernel, 2)\n"
        "x = np.expand_dims(users.dot(top), 1) + np.expand_dims(items.dot(bottom), 0) + bias\n"
        "return np.where(x > 0, x, 0).astype(np.float32)",
        "k = len(kernel) // 2\nf = np.einsum('uk,kw->uw', users, kernel[:k])\n"
        "g = np.einsum('ik,kw->iw', items, kernel[k:])\n"
        "return np.stack([np.maximum(row + g + bias, 0) for row in f])",
        "k = items.shape[-1]\nf, g = users @ kernel[:k], items @ kernel[-k:] + bias\n"
        "x = np.repeat(f[:, None], len(g), axis=1) + np.tile(g, (len(f), 1, 1))\nx[x < 0] = 0\nreturn x",
    ],
    "05.6": [
        "found = []\nfor u in a:\n    row = []\n    for i in b:\n"
        "        product = sum(x * y for x, y in zip(u, i))\n"
        "        lengths = sum(x * x for x in u) ** 0.5 * sum(y * y for y in i) ** 0.5\n"
        "        row.append(max(product / lengths, 1e-6) if lengths > 0 else 1e-6)\n"
        "    found.append(row)\nreturn found",
        "from sklearn.metrics.pairwise import cosine_similarity\n"
        "return cosine_similarity(a, b).clip(1e-6)",
        "def unit(x):\n    n = np.sqrt((x**2).sum(axis=1, keepdims=True))\n"
        "    return np.divide(x, n, out=np.zeros_like(x, dtype=float), where=n > 0)\n"
        "return np.maximum(1e-6, unit(a) @ unit(b).T)",
        "with np.errstate(invalid='ignore'):\n"
        "    c = np.einsum('uk,ik->ui', a, b) / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)\n"
        "return np.fmax(c, 1e-6).astype(np.float32)",
        "import pandas as pd\na, b = pd.DataFrame(a), pd.DataFrame(b)\n"
        "a = a.div(np.sqrt((a**2).sum(axis=1)), axis=0)\nb = b.div(np.sqrt((b**2).sum(axis=1)), axis=0)\n"
        "return (a @ b.T).fillna(0).clip(lower=1e-6)",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "05.3": {
        "pairs = zip(users, items)": "there are as many users as items",
        "pairs = zip(users, items, strict=False)": "the same",
    },
    "05.5": {
        "return np.maximum(0, of_users[:, None, :] + of_items[None, :, :])": "max(a, b) = max(b, a)",
        "k = users.shape[-1]": "of two axes, the last is axis 1",
        "k = items.shape[1]": "vectors of users and of items are equally long",
    },
    "05.6": {
        "return np.maximum(1e-06, a @ b.T / np.maximum(lengths, 1e-12))": "max(a, b) = max(b, a)",
        "return np.maximum(a @ b.T / np.maximum(1e-12, lengths), 1e-06)": "the same",
        "lengths = np.outer(np.linalg.norm(a, axis=-1), np.linalg.norm(b, axis=1))": "of two axes, the last is axis 1",
        "lengths = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=-1))": "the same",
    },
}
