"""Answers to chapter 08: typical mistakes, right answers of other idioms, mutants that are right."""

READ = "outputs = [READERS[n](x) for n, x in given.items()]\n"

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "08.q4": [
        ('choice = "a"', "Which rating asks for these"),
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
    "08.6": [
        (
            f"{READ}h = layers.Dense(64, activation='relu')(layers.Concatenate()(outputs))\n"
            "return keras.Model(given, layers.Dense(32)(h))",
            "divide each by its length",
        ),
        (
            f"{READ}h = layers.Dense(64)(layers.Concatenate()(outputs))\n"
            "return keras.Model(given, layers.UnitNormalization()(layers.Dense(32)(h)))",
            "a ReLU follows the layer of 64",
        ),
        (
            f"{READ}h = layers.Dense(64, activation='relu')(layers.Concatenate()(outputs))\n"
            "v = layers.Dense(32, activation='relu')(h)\n"
            "return keras.Model(given, layers.UnitNormalization()(v))",
            "none the layer of 32",
        ),
        (
            f"{READ}h = layers.Dense(64, activation='relu')(layers.Add()(outputs))\n"
            "return keras.Model(given, layers.UnitNormalization()(layers.Dense(32)(h)))",
            "side by side, do not add",
        ),
        (
            "h = layers.Dense(64, activation='relu')(READERS['genres'](given['genres']))\n"
            "return keras.Model(given, layers.UnitNormalization()(layers.Dense(32)(h)))",
            "changes nothing in the vectors",
        ),
        (
            f"{READ}v = layers.Dense(32)(layers.Concatenate()(outputs))\n"
            "return keras.Model(given, layers.UnitNormalization()(v))",
            "of a layer of 64 and of one of 32",
        ),
        (
            f"{READ}h = layers.Dense(64, activation='relu')(layers.Concatenate()(outputs))\n"
            "return keras.Model(given, layers.UnitNormalization()(h))",
            "not (5, 32)",
        ),
        (
            f"{READ}h = layers.Dense(64, activation='relu')(layers.Concatenate()(outputs))\n"
            "return layers.UnitNormalization()(layers.Dense(32)(h))",
            "expected `keras.Model(given, vectors)`",
        ),
    ],
    "08.7": [
        (
            "return np.where(np.argsort(np.argsort(-cosines)) < neighbors, cosines, 0)",
            "films that may not vote still do",
        ),
        (
            "return np.where((np.argsort(np.argsort(-cosines)) < neighbors) & allowed, cosines, 0)",
            "took the place of one that may",
        ),
        ("return cosines * allowed", "only the `neighbors` largest"),
        (
            "rank = np.argsort(np.argsort(-np.where(allowed, cosines, 0), kind='stable'))\n"
            "return np.where((rank < neighbors) & allowed, cosines, 0)",
            "expected",
        ),
        (
            "rank = np.argsort(np.argsort(-np.where(allowed, cosines, -9)))\n"
            "return np.where(rank < neighbors, cosines, 0)",
            "expected [[0, 0, 0.7, 0.5], [-0.1, 0, 0, 0]]",
        ),
        (
            "rank = np.argsort(np.argsort(-np.where(allowed, cosines, -9), axis=0), axis=0)\n"
            "return np.where((rank < neighbors) & allowed, cosines, 0)",
            "along the row",
        ),
        (
            "rank = np.argsort(np.argsort(-np.where(allowed, cosines, -9)))\n"
            "return ((rank < neighbors) & allowed).astype(int)",
            "counts its cosine, not 1",
        ),
    ],
    "08.8": [
        ("return sums / counts.reshape(-1, 1)", "the tower could copy it"),
        ("return (sums - own) / counts.reshape(-1, 1)", "how many are left"),
        ("return np.subtract(sums, own)", "their mean is asked for"),
        ("return (sums - own) / (counts.reshape(-1, 1) - 1)", "has no other"),
        ("return sums / counts.reshape(-1, 1) - own", "before the division"),
        ("return (sums - own) / np.maximum(counts, 1).mean()", "gave"),
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
    "08.3": [
        "square_a = sum(x * x for x in a)\nsquare_b = sum(x * x for x in b)\n"
        "inner = sum(x * y for x, y in zip(a, b))\ngradient = []\nfor x, y in zip(a, b):\n"
        "    gradient.append((inner * x / square_a - y) / (square_a * square_b) ** 0.5)\nreturn gradient",
        "na, nb = np.linalg.norm(a), np.linalg.norm(b)\nreturn a * (a @ b) / (na**3 * nb) - b / (na * nb)",
        "u, v = a / np.linalg.norm(a), b / np.linalg.norm(b)\nreturn -(np.eye(len(a)) - np.outer(u, u)) @ v / np.linalg.norm(a)",
        "def loss(x):\n    return 1 - x @ b / (np.linalg.norm(x) * np.linalg.norm(b))\n\n"
        "h = 1e-5 * np.linalg.norm(a)\n"
        "return [(loss(a + h * e) - loss(a - h * e)) / (2 * h) for e in np.eye(len(a))]",
        "import pandas as pd\na, b = pd.Series(a), pd.Series(b)\nu, v = a / a.pow(2).sum() ** 0.5, b / b.pow(2).sum() ** 0.5\n"
        "return (u * u.dot(v) - v) / a.pow(2).sum() ** 0.5",
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
    "08.6": [
        "outputs = []\nfor name in given:\n    outputs.append(READERS[name](given[name]))\n"
        "x = layers.concatenate(outputs)\nx = layers.Dense(64)(x)\nx = layers.ReLU()(x)\n"
        "x = layers.Dense(32)(x)\nx = layers.UnitNormalization()(x)\n"
        "return keras.Model(inputs=given, outputs=x)",
        "top = keras.Sequential(\n    [layers.Dense(64, 'relu'), layers.Dense(32), layers.UnitNormalization()]\n)\n"
        "return keras.Model(given, top(layers.Concatenate()([READERS[n](x) for n, x in given.items()])))",
        f"{READ}x = layers.Dense(32)(layers.Dense(64, 'relu')(layers.Concatenate()(outputs)))\n"
        "return keras.Model(given, layers.Lambda(lambda v: keras.ops.normalize(v, axis=-1))(x))",
        "class Unit(layers.Layer):\n    def call(self, v):\n"
        "        return v / keras.ops.sqrt(keras.ops.sum(v * v, axis=1, keepdims=True))\n\n"
        "hidden, last = layers.Dense(64, activation=keras.ops.relu), layers.Dense(32)\n"
        f"{READ}return keras.Model(given, Unit()(last(hidden(layers.Concatenate(axis=1)(outputs)))))",
        "backwards = [READERS[n](given[n]) for n in sorted(given, reverse=True)]\n"
        "h = layers.Activation('relu')(layers.Dense(64)(keras.ops.concatenate(backwards, axis=1)))\n"
        "v = layers.Dense(32)(h)\nreturn keras.Model(given, layers.UnitNormalization(axis=1)(v))",
        "readers = [READERS[n](x) for n, x in given.items()]\n"
        "first = keras.Model(given, layers.Concatenate()(readers))\n\n"
        "class Tower(keras.Model):\n    def __init__(self):\n        super().__init__()\n"
        "        self.first, self.hidden = first, layers.Dense(64, activation='relu')\n"
        "        self.last, self.unit = layers.Dense(32), layers.UnitNormalization()\n\n"
        "    def call(self, parts, training=None):\n"
        "        return self.unit(self.last(self.hidden(self.first(parts, training=training))))\n\n"
        "tower = Tower()\ntower(given)\nreturn tower",
    ],
    "08.7": [
        "kept = []\nfor row, may in zip(cosines.tolist(), allowed.tolist()):\n"
        "    best = set(sorted((c for c, m in zip(row, may) if m), reverse=True)[:neighbors])\n"
        "    kept.append([c if m and c in best else 0.0 for c, m in zip(row, may)])\nreturn kept",
        "rank = np.argsort(np.argsort(-np.where(allowed, cosines, -np.inf), axis=1), axis=1)\n"
        "return np.where((rank < neighbors) & allowed, cosines, 0)",
        "import pandas as pd\nranked = pd.DataFrame(cosines).where(allowed).rank(axis=1, ascending=False)\n"
        "return pd.DataFrame(cosines).where(ranked <= neighbors, 0.0)",
        "ranked = np.where(allowed, np.float32(cosines), np.float32(-np.inf))\n"
        "top = np.argsort(-ranked, axis=1)[:, :neighbors]\nkept = np.zeros_like(ranked)\n"
        "np.put_along_axis(kept, top, np.take_along_axis(ranked, top, axis=1), axis=1)\n"
        "return np.where(allowed, kept, 0)",
        "kept = np.zeros(cosines.shape)\nfor i, row in enumerate(cosines):\n"
        "    may = np.flatnonzero(allowed[i])\n    best = may[np.argsort(row[may])[-neighbors:]]\n"
        "    kept[i, best] = row[best]\nreturn kept",
    ],
    "08.8": [
        "means = []\nfor total, count, row in zip(sums, counts, own):\n"
        "    means.append([(t - r) / (count - 1) if count > 1 else 0.0 for t, r in zip(total, row)])\n"
        "return means",
        "left = counts[:, None] - 1\nreturn np.where(left > 0, (sums - own) / np.where(left > 0, left, 1), 0)",
        "import pandas as pd\nothers = pd.DataFrame(sums - own).div(counts - 1, axis=0)\n"
        "return others.fillna(0.0)",
        "return np.nan_to_num(np.divide(np.float32(sums - own).T, np.maximum(counts - 1, 1)).T)",
        "left = (counts - 1.0)[:, None]\nmeans = np.zeros_like(sums)\n"
        "return np.divide(sums - own, left, out=means, where=left > 0)",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "08.1": {
        "return [marked[i:i + 3] for i in range(abs(len(marked) - 2))]": "a word has a letter: the number is positive",
    },
    "08.3": {
        "return (v @ u * u - v) / np.sqrt(a @ a)": "an inner product has no order",
    },
    "08.5": {
        "return np.mean(abs(np.log(np.exp(logits).sum(axis=1)) - np.diag(logits)))": "no row has a negative loss",
        "logits = logits - logits.max(axis=-1, keepdims=True)": "the last axis of a matrix is axis 1",
        "return np.mean(np.log(np.exp(logits).sum(axis=-1)) - np.diag(logits))": "the last axis of a matrix is axis 1",
    },
    "08.7": {
        "few = min(cosines.shape[1], neighbors)": "the smaller of two has no order",
        "few = min(neighbors, cosines.shape[-1])": "the last axis of a matrix is axis 1",
        "few = min(neighbors, allowed.shape[1])": "both have one shape",
        "least = np.partition(ranked, -few)[:, [-few]]": "the last axis is the default",
        "least = np.partition(ranked, -few, axis=-1)[:, [-few]]": "the last axis of a matrix is axis 1",
    },
    "08.8": {
        "others = np.maximum(1, counts - 1)": "the larger of two has no order",
        "others = np.maximum(abs(counts - 1), 1)": "a user took at least the pair's own film",
    },
}
