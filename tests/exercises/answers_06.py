"""Typical wrong answers of chapter 06, each with a part of the message meant for it."""

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
        ("return w0 + np.sum(w)", "multiply w by x"),
        (
            "score = w0 + w @ x\nfor j in range(len(x)):\n    for l in range(j + 1, len(x)):\n"
            "        score = score + V[j] * V[l] * x[j] * x[l]\nreturn score",
            "over the factors",
        ),
    ],
    "06.2": [
        ("return w0 + X @ w + ((X @ V) ** 2 - X**2 @ V**2).sum(axis=1)", "twice"),
        ("return w0 + X @ w + ((X @ V) ** 2).sum(axis=1) / 2", "with itself"),
        (
            "return w0 + X @ w + ((X @ V).sum(axis=1) ** 2 - (X**2 @ V**2).sum(axis=1)) / 2",
            "first, then add up",
        ),
        ("return w0 + X @ w + ((X @ V) ** 2 - X @ V**2).sum(axis=1) / 2", "x is squared, too"),
        ("return ((X @ V) ** 2 - X**2 @ V**2).sum(axis=1) / 2", "not the constant"),
        (
            "G = np.triu(V @ V.T, 1)\nreturn w0 + X @ w + ((X @ G) * X).sum(axis=1)",
            "every pair",
        ),
    ],
    "06.q1": [('choice = "a"', "one of them is 0"), ('choice = "c"', "one user in it")],
    "06.3": [
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
            "multiple of four",
        ),
    ],
    "06.q2": [('choice = "a"', "does not get shorter"), ('choice = "b"', "the other 191")],
    "06.4": [
        ("return error * x[:, None] * (x @ V)", "with itself"),
        ("return x[:, None] * (x @ V) - x[:, None] ** 2 * V", "forgets the error"),
        ("return error * ((x @ V) - V)", "must not move"),
        ("on = x[:, None] != 0\nreturn error * on * ((x @ V) - x[:, None] * V)", "Where does each"),
    ],
    "06.5": [
        (
            'return json.dumps({"instances": [{"data": {"features": {\n'
            '    "keys": np.flatnonzero(r == r.max()).tolist(), "shape": [rows.shape[1]],\n'
            '    "values": [1] * int((r == r.max()).sum())}}} for r in rows.toarray()]})',
            "only the largest",
        ),
        (
            'return json.dumps({"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [rows.shape[1]],\n'
            '    "values": [1] * r.nnz}}} for r in rows]})',
            "sends ones",
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
            "nests it differently",
        ),
        (
            'return json.dumps({"instances": [{"data": {"features": {"keys": r.indices.tolist(), "shape": [rows.shape[1]],\n'
            '    "values": list(r.data)}}} for r in rows]})',
            "Python's numbers",
        ),
    ],
    "06.6": [
        (
            "precision = alpha * (h @ h)\nreturn alpha * (h @ rest) / precision, 1 / precision",
            "data alone",
        ),
        (
            "h, rest = np.asarray(h), np.asarray(rest)\nprecision = decay + alpha * (h @ h)\n"
            "return (decay * mu + alpha * (h @ rest)) / precision, precision",
            "its inverse",
        ),
        (
            "h, rest = np.asarray(h), np.asarray(rest)\nprecision = decay + alpha * (h @ h)\n"
            "return alpha * (h @ rest) / precision, 1 / precision",
            "towards `mu`",
        ),
        (
            "h, rest = np.asarray(h), np.asarray(rest)\nprecision = decay + h @ h\n"
            "return (decay * mu + h @ rest) / precision, 1 / precision",
            "the precision is 5 + 4",
        ),
    ],
    "06.q3": [
        ('choice = "a"', "every film of this user alike"),
        ('choice = "c"', "the same number"),
    ],
}
