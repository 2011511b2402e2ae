"""Answers to chapter 08: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "08.q1": [
        ('choice = "a"', "somebody would have to write it"),
        ('choice = "c"', "Numbers are names"),
    ],
    "08.1": [
        ("return [word[i : i + 3] for i in range(len(word) - 2)]", "so that its ends count"),
        (
            'marked = "#" + word.lower() + "#"\nreturn [marked[i : i + 3] for i in range(len(marked))]',
            "three characters",
        ),
        (
            'marked = "#" + word.lower() + "#"\nreturn [marked[i : i + 3] for i, _ in enumerate(marked[3:])]',
            "last one missing",
        ),
        (
            'marked = "#" + word + "#"\nreturn [a + b + c for a, b, c in zip(marked, marked[1:], marked[2:])]',
            "capitals",
        ),
        (
            'marked = "#" + word.lower() + "#"\nreturn sorted({marked[i : i + 3] for i in range(len(marked) - 2)})',
            "has 'at#' at [1], expected 'cat'",
        ),
        (
            'marked = "#" + word.lower() + "#"\nreturn {marked[i : i + 3] for i in range(len(marked) - 2)}',
            "returned a set, expected a list",
        ),
        (
            'marked = "#" + word.lower() + "#"\nreturn " ".join(marked[i : i + 3] for i in range(len(marked) - 2))',
            "returned a str",
        ),
    ],
    "08.2": [
        ("return np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)", "must be small"),
        ("return 1 - (a * b).sum()", "divide that by both lengths"),
        ("return 1 - a @ b / (np.sum(a**2) * np.sum(b**2))", "squares of the lengths"),
        ("return 1 - a @ b / np.linalg.norm(a) * np.linalg.norm(b)", "into brackets"),
        (
            "return 1 - np.abs(a @ b / np.linalg.norm(a) / np.linalg.norm(b))",
            "opposite directions",
        ),
        ("return np.linalg.norm(a / np.linalg.norm(a) - b / np.linalg.norm(b))", "expected 0.04"),
    ],
    "08.q2": [('choice = "a"', "minimum look like"), ('choice = "b"', "share their weights")],
    "08.3": [
        ("return -b / (np.linalg.norm(a) * np.linalg.norm(b))", "moves as well"),
        (
            "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn (u @ v) * u - v",
            "once more",
        ),
        (
            "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn (v - (u @ v) * u) / np.linalg.norm(a)",
            "downhill",
        ),
        ("return a / np.linalg.norm(a) - b / np.linalg.norm(b)", "right angle"),
        (
            "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn ((u @ v) * u - v) / np.linalg.norm(b)",
            "gave",
        ),
    ],
    "08.4": [
        ("return sum(candidates @ film for film in taken)", "with the *mean*"),
        ("return np.max(candidates @ taken.T, axis=1)", "best match only"),
        ("return np.asarray(candidates) @ np.asarray(taken).T", "one number for each candidate"),
        (
            "from scipy.spatial.distance import cdist\nreturn (1 - cdist(candidates, taken, 'cosine')).mean(axis=1)",
            "0 / 0",
        ),
        ("return np.median(candidates @ taken.T, axis=1)", "gave"),
        (
            "mean = taken.mean(axis=0)\nreturn candidates @ (mean / np.linalg.norm(mean))",
            "cosine with the mean row",
        ),
        (
            "cosines = candidates @ taken.T\n"
            "return cosines.sum(axis=1) / np.maximum(1, (cosines > 0).sum(axis=1))",
            "expected [0.8536, 0.3536, 0.25, 0]",
        ),
    ],
    "08.5": [
        (
            "from scipy.special import log_softmax\nreturn -np.diag(log_softmax(scores, axis=1)).mean()",
            "where does it use `log_q`",
        ),
        (
            "from scipy.special import log_softmax\nreturn -np.diag(log_softmax(scores + log_q, axis=1)).mean()",
            "*adds* log Q",
        ),
        (
            "z = np.exp(scores - log_q)\nreturn -np.mean(np.log(np.diag(z) / z.sum(axis=1)))",
            "overflow",
        ),
        (
            "from scipy.special import log_softmax\nreturn np.diag(log_softmax(scores - log_q, axis=1)).mean()",
            "*minus* the log",
        ),
        (
            "from scipy.special import softmax\nreturn -np.log(np.diag(softmax(scores - log_q, axis=1))).mean()",
            "before the softmax",
        ),
        (
            "from scipy.special import softmax\n"
            "return -np.log(np.diag(softmax(scores - log_q, axis=1)) + 1e-9).mean()",
            "expected 1000",
        ),
        (
            "from scipy.special import log_softmax\n"
            "return -np.diag(log_softmax(scores - log_q[:, None], axis=1)).mean()",
            "gave",
        ),
        (
            "z = scores - log_q\nz -= np.max(z)\n"
            "return np.mean(np.log(np.exp(z).sum(axis=1)) - np.diag(z))",
            "*each row*",
        ),
    ],
    "08.q3": [('choice = "b"', "knows the year"), ('choice = "c"', "belong to the user")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "08.1": [
        'found, before = [], ["#"]\nfor letter in [*word.lower(), "#"]:\n    before.append(letter)\n'
        '    if len(before) >= 3:\n        found.append("".join(before[-3:]))\nreturn found',
        'marked = "#" + word.lower() + "#"\n'
        'return list(map("".join, zip(marked, marked[1:], marked[2:])))',
        'import re\nreturn re.findall("(?=(...))", f"#{word.casefold()}#")',
        'import pandas as pd\nmarked = "#{}#".format(word.lower())\n'
        "return pd.Series([marked[i : i + 3] for i in range(len(word))])",
        "letters = np.array(list(f'#{word.lower()}#'))\n"
        "return np.array([''.join(three) for three in np.lib.stride_tricks.sliding_window_view(letters, 3)])",
    ],
    "08.2": [
        "inner = square_a = square_b = 0.0\nfor x, y in zip(a, b):\n    inner += x * y\n"
        "    square_a += x * x\n    square_b += y * y\nreturn 1 - inner / (square_a * square_b) ** 0.5",
        "return 1 - np.dot(a / np.linalg.norm(a), b / np.linalg.norm(b))",
        "from scipy.spatial.distance import cosine\nreturn cosine(a, b)",
        "gap = a / np.linalg.norm(a) - b / np.linalg.norm(b)\nreturn [gap @ gap / 2]",
        "a, b = np.float32(a), np.float32(b)\nreturn 1 - np.vdot(a, b) / np.hypot.reduce(a) / np.hypot.reduce(b)",
    ],
    "08.3": [
        "square_a = sum(x * x for x in a)\nsquare_b = sum(x * x for x in b)\n"
        "inner = sum(x * y for x, y in zip(a, b))\nslope = []\nfor x, y in zip(a, b):\n"
        "    slope.append((inner * x / square_a - y) / (square_a * square_b) ** 0.5)\nreturn slope",
        "na, nb = np.linalg.norm(a), np.linalg.norm(b)\nreturn a * (a @ b) / (na**3 * nb) - b / (na * nb)",
        "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn -(np.eye(len(a)) - np.outer(u, u)) @ v / np.linalg.norm(a)",
        "def loss(x):\n    return 1 - x @ b / (np.linalg.norm(x) * np.linalg.norm(b))\n\n"
        "h = 1e-5 * np.linalg.norm(a)\n"
        "return [(loss(a + h * e) - loss(a - h * e)) / (2 * h) for e in np.eye(len(a))]",
        "import pandas as pd\na, b = pd.Series(a), pd.Series(b)\nu, v = a / a.pow(2).sum() ** 0.5, b / b.pow(2).sum() ** 0.5\n"
        "return (u * u.dot(v) - v) / a.pow(2).sum() ** 0.5",
    ],
    "08.4": [
        "means = []\nfor row in candidates:\n    total = 0.0\n    for film in taken:\n"
        "        total += sum(x * y for x, y in zip(row, film))\n    means.append(total / len(taken))\nreturn means",
        "return (candidates @ taken.T).mean(axis=1)",
        "return np.einsum('cg,tg->c', candidates, taken) / len(taken)",
        "import pandas as pd\nreturn pd.DataFrame(candidates) @ pd.DataFrame(taken).mean()",
        "return np.average(np.inner(np.float32(candidates), np.float32(taken)), axis=1)",
        "from sklearn.metrics.pairwise import cosine_similarity\nreturn cosine_similarity(candidates, taken).mean(axis=1)",
    ],
    "08.5": [
        "import math\ntotal = 0.0\nfor r, row in enumerate(scores):\n"
        "    logits = [s - q for s, q in zip(row, log_q)]\n    top = max(logits)\n"
        "    total += top + math.log(sum(math.exp(x - top) for x in logits)) - logits[r]\n"
        "return total / len(scores)",
        "from scipy.special import logsumexp\nz = scores - log_q\nreturn (logsumexp(z, axis=1) - np.diag(z)).mean()",
        "from scipy.special import log_softmax\nreturn -np.trace(log_softmax(scores - log_q[None], axis=1)) / len(log_q)",
        "z = scores - log_q\nreturn np.mean(np.logaddexp.reduce(z, axis=1) - z[np.arange(len(z)), np.arange(len(z))])",
        "import pandas as pd\nz = pd.DataFrame(scores) - log_q\nz = z.sub(z.max(axis=1), axis=0)\n"
        "return (np.log(np.exp(z).sum(axis=1)) - np.diag(z)).mean()",
        "z = np.float32(scores - log_q)\nz -= z.max(axis=1, keepdims=True)\n"
        "return np.mean(np.log(np.exp(z).sum(axis=1)) - z.diagonal())",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "08.1": {
        "return [marked[i:i + 3] for i in range(abs(len(marked) - 2))]": "a word has a letter: the number is positive",
    },
    "08.2": {
        "return abs(1 - a @ b / (np.sqrt(a @ a) * np.sqrt(b @ b)))": "the loss is never negative",
        "return 1 - b @ a / (np.sqrt(a @ a) * np.sqrt(b @ b))": "an inner product has no order",
    },
    "08.3": {
        "return (v @ u * u - v) / np.sqrt(a @ a)": "an inner product has no order",
    },
    "08.5": {
        "return np.mean(abs(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)))": "no row has a negative loss",
        "logits = logits - logits.max(axis=-1, keepdims=True)": "the last axis of a matrix is axis 1",
        "return np.mean(np.log(np.exp(logits).sum(axis=-1)) - np.diag(logits))": "the last axis of a matrix is axis 1",
    },
}
