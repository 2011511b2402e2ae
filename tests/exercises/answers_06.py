"""Answers to chapter 06: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "06.1": [
        (
            "score = w0 + w @ x\nfor j in range(len(x)):\n    for l in range(len(x)):\n        if j != l:\n"
            "            score += V[j] @ V[l] * x[j] * x[l]\nreturn score",
            "both orders",
        ),
        (
            "score = w0 + w @ x\nfor j in range(len(x)):\n    for l in range(j, len(x)):\n"
            "        score += V[j] @ V[l] * x[j] * x[l]\nreturn score",
            "with itself",
        ),
        (
            "score = w0 + w @ x\nfor j in range(len(x)):\n    for l in range(j + 1, len(x)):\n        score += V[j] @ V[l]\nreturn score",
            "x_j · x_l times",
        ),
        (
            "score = w @ x\nfor j in range(len(x)):\n    for l in range(j + 1, len(x)):\n"
            "        score += V[j] @ V[l] * x[j] * x[l]\nreturn score",
            "leaves w0 out",
        ),
        ("return w0 + np.sum(w)", "gave 10.5, expected -0.5"),
        (
            "score = w0 + w @ x\nfor j in range(len(x)):\n    for l in range(j + 1, len(x)):\n"
            "        score = score + V[j] * V[l] * x[j] * x[l]\nreturn score",
            "an array of shape (2,), expected one number",
        ),
    ],
    "06.2": [
        (
            "def one(x):\n    n = range(len(x))\n"
            "    return sum(V[j] @ V[o] * x[j] * x[o] for j in n for o in n if j < o)\n"
            "return np.array([w0 + w @ x + one(x) for x in X])",
            "go through all pairs",
        ),
        (
            "from itertools import combinations\nout = []\nfor x in X:\n    on = np.flatnonzero(x)\n"
            "    pairs = sum(V[j] @ V[o] * x[j] * x[o] for j, o in combinations(on, 2))\n"
            "    out.append(w0 + w @ x + pairs)\nreturn out",
            "go through all pairs",
        ),
        ("return w0 + X @ w + ((X @ V) ** 2 - X**2 @ V**2).sum(axis=1)", "pair twice"),
        ("return w0 + X @ w + ((X @ V) ** 2).sum(axis=1) / 2", "with itself"),
        (
            "return w0 + X @ w + ((X @ V).sum(axis=1) ** 2 - (X**2 @ V**2).sum(axis=1)) / 2",
            "first, then add up",
        ),
        ("return w0 + X @ w + ((X @ V) ** 2 - X @ V**2).sum(axis=1) / 2", "square x, too"),
        (
            "return ((X @ V) ** 2 - X**2 @ V**2).sum(axis=1) / 2",
            "where are the constant and the weights",
        ),
        (
            "G = np.triu(V @ V.T, 1)\nreturn w0 + X @ w + ((X @ G) * X).sum(axis=1)",
            "go through all pairs",
        ),
    ],
    "06.q1": [('choice = "a"', "one of them is 0"), ('choice = "c"', "1 for two users")],
    "06.3": [
        (
            'import struct\nbody = payload.rstrip(b"\\0")\nreturn struct.pack("<II", 0xCED7230A, len(payload)) + body + b"\\0" * (-len(body) % 4)',
            "gave",
        ),
        (
            'return b"\\x0a\\x23\\xd7\\xce" + bytes([len(payload) % 256, 0, 0, 0]) + payload + b"\\0" * (-len(payload) % 4)',
            "of a payload of 510 bytes",
        ),
        (
            'import struct\nreturn struct.pack("<IHxx", 0xCED7230A, len(payload) % 65536) + payload + bytes(-len(payload) % 4)',
            "of a payload of 70,000 bytes",
        ),
        ("return payload.hex()", "returned a str, expected bytes"),
        (
            'import struct\nreturn struct.pack("<II", 0xCED7230A, len(payload)) + payload + bytes(len(payload) % 4)',
            "how many are missing",
        ),
        (
            'import struct\nreturn struct.pack(">II", 0xCED7230A, len(payload)) + payload + b"\\0" * (-len(payload) % 4)',
            "little-endian",
        ),
        (
            'import struct\nreturn struct.pack("<II", 0xCED7230A, len(payload)) + payload + b"\\0" * (4 - len(payload) % 4)',
            "needs no padding",
        ),
        (
            'import struct\npayload += b"\\0" * (-len(payload) % 4)\nreturn struct.pack("<II", 0xCED7230A, len(payload)) + payload',
            "not the padding",
        ),
        (
            'import struct\nreturn struct.pack("<II", 0xCED7230A, len(payload)) + payload',
            "padded with zeros",
        ),
    ],
    "06.q2": [('choice = "a"', "stay the same"), ('choice = "b"', "the other 191")],
    "06.4": [
        ("return error * ((np.outer(x, x) - np.diag(x**2)) @ V)", "go through all pairs"),
        (
            "n, out = range(len(x)), np.zeros(V.shape)\nfor j in n:\n    for o in n:\n"
            "        if j != o:\n            out[j] += error * x[j] * x[o] * V[o]\nreturn out",
            "go through all pairs",
        ),
        (
            "def score(V):\n    return ((x @ V) ** 2 - x**2 @ V**2).sum() / 2\nout = np.zeros(V.shape)\n"
            "for place in np.ndindex(*V.shape):\n    step = np.zeros(V.shape)\n    step[place] = 1e-5\n"
            "    out[place] = error * (score(V + step) - score(V - step)) / 2e-5\nreturn out",
            "go through all pairs",
        ),
        ("s = x @ V\nreturn -error * (np.outer(x, s) - (x**2)[:, None] * V)", "minus the gradient"),
        ("s = x @ V\nreturn 2 * error * (np.outer(x, s) - (x**2)[:, None] * V)", "*half*"),
        ("return error * x[:, None] * (x @ V)", "with itself"),
        ("return x[:, None] * (x @ V) - x[:, None] ** 2 * V", "where is the error"),
        ("return error * ((x @ V) - V)", "0 in this row has the gradient 0"),
        (
            "on = x[:, None] != 0\nreturn error * on * ((x @ V) - x[:, None] * V)",
            "It counts as often",
        ),
    ],
    "06.5": [
        (
            'return json.dumps({"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [rows.shape[1]], "values": r.data.tolist()}}} for r in rows if r.nnz]})',
            "has [{",
        ),
        (
            'return json.dumps({"instances": [{"data": {"features": {\n'
            '    "keys": np.flatnonzero(r == r.max()).tolist(), "shape": [rows.shape[1]],\n'
            '    "values": [1] * int((r == r.max()).sum())}}} for r in rows.toarray()]})',
            "places of the largest value",
        ),
        (
            'return json.dumps({"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [rows.shape[1]],\n'
            '    "values": [1] * r.nnz}}} for r in rows]})',
            "need not be 1",
        ),
        (
            'return json.dumps({"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [r.nnz],\n'
            '    "values": r.data.tolist()}}} for r in rows]})',
            "number of columns",
        ),
        (
            'return {"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [rows.shape[1]],\n'
            '    "values": r.data.tolist()}}} for r in rows]}',
            "expected text",
        ),
        (
            'return json.dumps({"instances": [{"features": r.data.tolist()} for r in rows]})',
            "at ['instances'][0], expected {'data'",
        ),
        (
            'return json.dumps({"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [rows.shape[1]],\n'
            '    "values": list(r.data)}}} for r in rows]})',
            "Python's numbers",
        ),
    ],
    "06.8": [
        (
            "p = lam + alpha * np.sum(h**2)\nnew = (lam * mu + alpha * np.sum(h * error)) / p + z * p**-0.5\n"
            "return new, error + weight * h - new * h",
            "what do the other weights",
        ),
        (
            "p = lam + alpha * np.sum(h**2)\nnew = (lam * mu + alpha * np.sum(h * error)) / p + z * p**-0.5\n"
            "return new, error",
            "leave over more than that",
        ),
        (
            "r = error - weight * h\np = lam + alpha * h.dot(h)\n"
            "new = (lam * mu + alpha * h.dot(r)) / p + z / np.sqrt(p)\nreturn new, r - new * h",
            "errors grow by",
        ),
        (
            "r = error + weight * h\np = lam + alpha * h.dot(h)\n"
            "new = (lam * mu + alpha * h.dot(r)) / p + z / np.sqrt(p)\nreturn new, error - new * h",
            "still have the old weight",
        ),
        (
            "r = error + weight * h\np = lam + alpha * h.dot(h)\n"
            "new = (lam * mu + alpha * h.dot(r)) / p + z / np.sqrt(p)\nreturn new, error",
            "change with the weight",
        ),
        (
            "r = error + weight * h\nv = 1 / (lam + alpha * h.dot(h))\n"
            "new = v * (lam * mu + alpha * h.dot(r)) + z * v\nreturn new, r - new * h",
            "its root",
        ),
        (
            "r = error + weight * h\nv = 1 / (lam + alpha * h.dot(h))\n"
            "new = v * (lam * mu + alpha * h.dot(r))\nreturn new, r - new * h",
            "where is `z`",
        ),
        (
            "r = error + weight * h\np = lam + alpha * h.dot(h)\n"
            "new = (lam * mu + alpha * h.dot(r)) / p + z / np.sqrt(p)\nreturn r - new * h, new",
            "the new weight first",
        ),
    ],
    "06.7": [
        (
            "rests = np.bincount(row_of, weights=rest, minlength=len(block))\n"
            "return block.T @ rests, (block**2).sum(axis=0)",
            "once for each of its ratings",
        ),
        (
            "rests = np.array([rest[row_of == r].sum() for r in range(len(block))])\n"
            "counts = np.array([(row_of == r).sum() for r in range(len(block))])\n"
            "return rests @ block, counts @ block",
            "h is squared",
        ),
        (
            "counts = np.bincount(row_of, minlength=len(block))\n"
            "return counts @ block, counts @ block**2",
            "where does `rest` go",
        ),
        (
            "h = block[row_of]\nreturn h.T @ rest, (h**2).sum(axis=0)",
            "for each row of the block first",
        ),
        (
            "sums, squares = np.zeros(block.shape[1]), np.zeros(block.shape[1])\n"
            "for r, e in zip(row_of, rest):\n    sums += block[r] * e\n    squares += block[r] ** 2\n"
            "return sums, squares",
            "for each row of the block first",
        ),
        (
            "rests, counts = np.zeros(len(block)), np.zeros(len(block))\nfor r, e in zip(row_of, rest):\n"
            "    rests[r] += e\n    counts[r] += 1\n"
            "return (block**2).T @ counts, block.T @ rests",
            "in the other order",
        ),
    ],
    "06.q3": [
        ('choice = "a"', "every film of this user alike"),
        ('choice = "c"', "the same number"),
    ],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "06.1": [
        "n, score = len(x), w0\nfor j in range(n):\n    score += w[j] * x[j]\n"
        "for j in range(n):\n    for o in range(j):\n        for f in range(len(V[0])):\n"
        "            score += V[j][f] * V[o][f] * x[j] * x[o]\nreturn score",
        "from itertools import combinations\n"
        "pairs = combinations(range(len(x)), 2)\n"
        "return w0 + np.dot(w, x) + sum(np.dot(V[a], V[b]) * x[a] * x[b] for a, b in pairs)",
        "every = (V @ V.T) * np.outer(x, x)\nreturn w0 + w @ x + np.triu(every, k=1).sum()",
        "import pandas as pd\nterms = pd.DataFrame(V).mul(x, axis=0)\n"
        "pairs = (terms.sum() ** 2 - (terms**2).sum()).sum() / 2\n"
        "return np.float32(w0 + pd.Series(w).dot(x) + pairs)",
        "on = np.flatnonzero(x)\nscore = np.array([w0 + (w * x).sum()])\nfor n, a in enumerate(on):\n"
        "    for b in on[n + 1 :]:\n        score += x[a] * x[b] * V[a].dot(V[b])\nreturn score",
    ],
    "06.2": [
        "scores = []\nfor x in X:\n    score = w0\n    for j in range(len(x)):\n"
        "        score += w[j] * x[j]\n    for f in range(len(V[0])):\n        total = squares = 0\n"
        "        for j in range(len(x)):\n            total += V[j][f] * x[j]\n"
        "            squares += (V[j][f] * x[j]) ** 2\n        score += (total * total - squares) / 2\n"
        "    scores.append(score)\nreturn scores",
        "total, squares = X.dot(V), np.square(X).dot(np.square(V))\n"
        "return w0 + X.dot(w) + 0.5 * np.sum(np.square(total) - squares, axis=1)",
        "terms = X[:, :, None] * V\n"
        "pairs = (terms.sum(axis=1) ** 2 - (terms**2).sum(axis=1)).sum(axis=-1) / 2\n"
        "return (w0 + X @ w + pairs).astype(np.float32)",
        "import pandas as pd\nx, v = pd.DataFrame(X), pd.DataFrame(V)\n"
        "return ((x @ v) ** 2 - x**2 @ v**2).sum(axis=1) / 2 + x @ w + w0",
        "s = np.einsum('rn,nk->rk', X, V)\nlengths = (V * V).sum(axis=1)\n"
        "return w0 + X @ w + (np.einsum('rk,rk->r', s, s) - X**2 @ lengths) / 2",
    ],
    "06.3": [
        "out = []\nfor number in (0xCED7230A, len(payload)):\n    for _ in range(4):\n"
        "        out.append(number % 256)\n        number //= 256\nfor byte in payload:\n"
        "    out.append(byte)\nwhile len(out) % 4:\n    out.append(0)\nreturn bytes(out)",
        "head = (0xCED7230A).to_bytes(4, 'little') + len(payload).to_bytes(4, 'little')\n"
        "return head + payload.ljust((len(payload) + 3) // 4 * 4, b'\\0')",
        "out = bytearray(np.array([0xCED7230A, len(payload)], dtype='<u4').tobytes())\n"
        "out += payload\nout += bytes(-len(out) % 4)\nreturn out",
        "import struct\nn = len(payload)\npad = (4 - n % 4) % 4\n"
        "return struct.pack(f'<II{n}s{pad}x', 0xCED7230A, n, payload)",
        "import io, struct\nfile = io.BytesIO()\nfile.write(bytes.fromhex('0a23d7ce'))\n"
        "file.write(struct.pack('<i', len(payload)))\nfile.write(payload)\n"
        "while file.tell() % 4:\n    file.write(b'\\x00')\nreturn file.getvalue()",
    ],
    "06.4": [
        "n, k = len(V), len(V[0])\nsums = [0.0] * k\nfor j in range(n):\n    for f in range(k):\n"
        "        sums[f] += V[j][f] * x[j]\nslopes = []\nfor j in range(n):\n    row = []\n"
        "    for f in range(k):\n        row.append(error * x[j] * (sums[f] - V[j][f] * x[j]))\n"
        "    slopes.append(row)\nreturn slopes",
        "terms = x[:, None] * V\nreturn error * x[:, None] * (terms.sum(axis=0) - terms)",
        "x = x.reshape(-1, 1)\nreturn (error * (x * (x * V).sum(0) - x**2 * V)).astype(np.float32)",
        "import pandas as pd\nterms = pd.DataFrame(V).mul(x, axis=0)\n"
        "return (terms.sum() - terms).mul(error * x, axis=0)",
        "slopes = np.zeros(V.shape)\non = np.flatnonzero(x)\ntotal = x[on] @ V[on]\n"
        "slopes[on] = error * x[on, None] * (total - x[on, None] * V[on])\nreturn slopes",
        "return error * np.einsum('j,jf->jf', x, V.T @ x - np.einsum('j,jf->jf', x, V))",
    ],
    "06.5": [
        "instances = []\nfor row in rows.toarray().tolist():\n    keys, values = [], []\n"
        "    for place, value in enumerate(row):\n        if value != 0:\n"
        "            keys.append(place)\n            values.append(value)\n"
        "    features = {'values': values, 'keys': keys, 'shape': [len(row)]}\n"
        "    instances.append({'data': {'features': features}})\n"
        "return json.dumps({'instances': instances})",
        "def features(n):\n    of = slice(rows.indptr[n], rows.indptr[n + 1])\n"
        "    return dict(keys=rows.indices[of].tolist(), shape=[rows.shape[1]], values=rows.data[of].tolist())\n"
        "every = [dict(data=dict(features=features(n))) for n in range(rows.shape[0])]\n"
        "return json.dumps(dict(instances=every), indent=2)",
        "out = []\nfor n in range(rows.shape[0]):\n    row = rows.getrow(n).tocoo()\n"
        "    out.append({'data': {'features': {'keys': [int(k) for k in row.col], 'shape': list(row.shape[1:]),\n"
        "                                      'values': [float(v) for v in row.data]}}})\n"
        "return json.dumps({'instances': out}).encode()",
        "import pandas as pd\ntable = pd.DataFrame(rows.toarray())\n"
        "of = [row[row != 0] for _, row in table.iterrows()]\n"
        "return json.dumps({'instances': [{'data': {'features': {'keys': list(row.index), 'shape': [table.shape[1]],\n"
        "    'values': row.astype(float).tolist()}}} for row in of]})",
        "parts = [{'keys': r.indices, 'shape': rows.shape[1:], 'values': r.data} for r in rows]\n"
        "body = {'instances': [{'data': {'features': part}} for part in parts]}\n"
        "return json.dumps(body, default=lambda numbers: numbers.tolist())",
    ],
    "06.8": [
        "n, squares, products = len(h), 0.0, 0.0\nrest = [error[k] + weight * h[k] for k in range(n)]\n"
        "for k in range(n):\n    squares += h[k] * h[k]\n    products += h[k] * rest[k]\n"
        "p = lam + alpha * squares\nnew = (lam * mu + alpha * products) / p + z / p**0.5\n"
        "return [new, [rest[k] - new * h[k] for k in range(n)]]",
        "variance = 1 / (lam + alpha * np.sum(h**2))\n"
        "new = variance * (lam * mu + alpha * np.sum(h * (error + weight * h))) + z * np.sqrt(variance)\n"
        "return new, error - (new - weight) * h",
        "import pandas as pd\nf = pd.DataFrame({'h': h, 'e': error}, dtype=float)\n"
        "p = lam + alpha * f.h.pow(2).sum()\n"
        "move = (lam * (mu - weight) + alpha * f.h.mul(f.e).sum()) / p + z * p**-0.5\n"
        "return np.array([weight + move]), f.e - f.h * move",
        "precision, mean = lam, mu  # one rating after the other\nrest = error + h * weight\n"
        "for slope, r in zip(h, rest):\n    new = precision + alpha * slope**2\n"
        "    mean = (precision * mean + alpha * slope * r) / new\n    precision = new\n"
        "draw = np.float32(mean + z / np.sqrt(precision))\nreturn draw, (rest - draw * h).astype(np.float32)",
    ],
    "06.7": [
        "rows, features = len(block), len(block[0])\nrests, counts = [0.0] * rows, [0] * rows\n"
        "for n in range(len(row_of)):\n    rests[row_of[n]] += rest[n]\n    counts[row_of[n]] += 1\n"
        "sums, squares = [0.0] * features, [0.0] * features\nfor r in range(rows):\n"
        "    for j in range(features):\n        sums[j] += block[r][j] * rests[r]\n"
        "        squares[j] += block[r][j] ** 2 * counts[r]\nreturn sums, squares",
        "rests, counts = np.zeros(len(block)), np.zeros(len(block))\nnp.add.at(rests, row_of, rest)\n"
        "np.add.at(counts, row_of, 1)\nreturn rests @ block, counts @ block**2",
        "import pandas as pd\ngroup = pd.Series(rest).groupby(row_of)\n"
        "rows = range(len(block))\nr = group.sum().reindex(rows, fill_value=0).to_numpy()\n"
        "c = group.size().reindex(rows, fill_value=0).to_numpy()\n"
        "return [block.T @ r, (block * block).T @ c]",
        "from scipy import sparse\nn = len(rest)\n"
        "picks = sparse.csr_matrix((np.ones(n), (row_of, np.arange(n))), shape=(len(block), n))\n"
        "counts = np.asarray(picks.sum(axis=1)).ravel()\n"
        "return np.dot(picks @ rest, block), np.einsum('uf,uf,u->f', block, block, counts)",
        "h, c = [rest[row_of == u].sum() for u in range(len(block))], np.bincount(row_of, minlength=len(block))\n"
        "return (np.array(h)[:, None] * block).sum(axis=0), (c[:, None] * block**2).sum(axis=0)",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "06.1": {
        "for j in range(len(x) - 1):": "the last feature has none after it",
        "score = w0 + x @ w": "the product of two vectors is the same both ways",
        "score += V[other] @ V[j] * x[j] * x[other]": "the same",
        "for j in range(len(w)):": "there is a weight for each feature",
        "for other in range(j + 1, len(w)):": "the same",
        "for j in range(len(V)):": "there is a vector for each feature",
        "for other in range(j + 1, len(V)):": "the same",
    },
    "06.2": {
        "pairs = ((X @ V) ** 2 - X ** 2 @ V ** 2).sum(axis=-1) / 2": "of two axes, the last is axis 1",
    },
    "06.5": {
        "features = {'keys': row.indices.tolist(), 'shape': [rows.shape[-1]], 'values': row.data.tolist()}": "of two axes, the last is axis 1",
    },
    "06.8": {
        "new = (lam * mu + alpha * (rest @ h)) / precision + z / np.sqrt(precision)": "the product of two vectors is the same both ways",
    },
}
