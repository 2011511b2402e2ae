"""Answers to chapter 02: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "02.1": [
        ("return abs(predicted - actual).mean()", "mean absolute error"),
        ("error = predicted - actual\nreturn error @ error / len(error)", "the root is missing"),
        ("return sum((predicted - actual) ** 2) ** 0.5", "root of the sum"),
        ("return (predicted - actual).mean()", "must not cancel"),
        ("return (predicted - actual).std()", "leaves out the mean error"),
        ("return sum((predicted - actual) ** 2) ** 0.5 / len(actual)", "divide before the root"),
        ("return round(np.sqrt(np.mean((predicted - actual) ** 2)), 2)", "expected"),
        ("predicted -= actual\nreturn np.sqrt(np.mean(predicted**2))", "changed its argument"),
    ],
    "02.3": [
        ("one_hot = np.eye(len(table))[indices]\nreturn one_hot @ table", "expected 2 values"),
        (
            "one_hot = np.zeros((len(indices), len(table)))\nfor row, i in enumerate(indices):\n"
            "    one_hot[row, i - 1] = 1\nreturn one_hot, one_hot @ table",
            "wrong column",
        ),
        (
            "one_hot = np.eye(len(table))[indices]\nreturn one_hot, one_hot @ (2 * table)",
            "as value 2 of 2",
        ),
        ("one_hot = np.eye(len(table))[indices]\nreturn one_hot @ table, one_hot", "other order"),
        (
            "one_hot = np.eye(len(table))[:, indices]\nreturn one_hot, one_hot.T @ table",
            "turned over",
        ),
        (
            "import pandas as pd\none_hot = pd.get_dummies(indices).to_numpy()\n"
            "return one_hot, table[indices]",
            "returned the shape (3, 2), expected (3, 4)",
        ),
    ],
    "02.5": [
        ("error = rating - np.dot(p, q)\nreturn error * q, error * p", "opposite one"),
        ("error = (p * q).sum() - rating\nreturn error * p, error * q", "other way round"),
        ("error = p @ q - rating\nreturn 2 * error * q, 2 * error * p", "twice too large"),
        ("error = np.sign(p @ q - rating)\nreturn error * q, error * p", "not only its sign"),
        ("error = p @ q - rating\nreturn error * q, abs(error) * p", "as value 2 of 2"),
        ("error = p @ q - rating\nreturn error * q, error**2 * p", "as value 2 of 2"),
        ("error = p @ q - rating\nreturn error * q, np.sign(error) * p", "as value 2 of 2"),
        ("return (p @ q - rating) * q", "expected 2 values"),
    ],
    "02.6": [
        (
            "p = p - learning_rate * pair_gradient(p, q, rating)[0]\n"
            "q = q - learning_rate * pair_gradient(p, q, rating)[1]\nreturn p, q",
            "moved already",
        ),
        (
            "of_user, of_item = pair_gradient(p, q, rating)\n"
            "return p + learning_rate * of_user, q + learning_rate * of_item",
            "moves away",
        ),
        (
            "of_user, of_item = pair_gradient(p, q, rating)\nreturn p - of_user, q - of_item",
            "learning rate is missing",
        ),
        (
            "of_user, of_item = pair_gradient(p, q, rating)\n"
            "p -= learning_rate * of_user\nq -= learning_rate * of_item\nreturn p, q",
            "changed its argument `p`",
        ),
        (
            "error = p @ q - rating\nreturn learning_rate * error * q, learning_rate * error * p",
            "return the new rows",
        ),
        (
            "error = p @ q - rating\n"
            "return p - learning_rate * error * p, q - learning_rate * error * q",
            "first gradient belongs to p",
        ),
    ],
    "02.7": [
        ("return errors.index(min(errors)) + 1", "looks past the stop"),
        (
            "lowest, kept, bad = 1.0, 0, 0\nfor epoch, error in enumerate(errors):\n    if error < lowest:\n"
            "        lowest, kept, bad = error, epoch, 0\n    else:\n        bad += 1\n"
            "        if bad == patience:\n            break\nreturn kept + 1",
            "gave 1, expected 2",
        ),
        ("return errors.index(min(errors))", "counted from 1"),
        (
            "for epoch in range(1, len(errors)):\n    if errors[epoch] > errors[epoch - 1]:\n"
            "        return epoch\nreturn len(errors)",
            "gave 2, expected 4",
        ),
        (
            "best = 0\nfor epoch in range(1, len(errors)):\n    if errors[epoch] < errors[best]:\n"
            "        best = epoch\n    elif epoch - best >= patience:\n        return epoch + 1\n"
            "return len(errors)",
            "training ends there",
        ),
        (
            "best, wait = 0, 0\nfor epoch, error in enumerate(errors):\n    if error < errors[best]:\n"
            "        best = epoch\n    elif epoch:\n        wait += 1\n"
            "    if wait == patience:\n        break\nreturn best + 1",
            "*in a row*",
        ),
        (
            "best, wait = 0, 0\nfor epoch in range(1, len(errors)):\n"
            "    wait = wait + 1 if errors[epoch] > errors[epoch - 1] else 0\n"
            "    if errors[epoch] < errors[best]:\n        best = epoch\n"
            "    if wait == patience:\n        break\nreturn best + 1",
            "`best_epoch([0.9, 0.95, 0.94, 0.93, 0.5], 2)` gave 5, expected 1",
        ),
        (
            "best, wait = 0, 0\nfor epoch in range(1, len(errors)):\n    wait += 1\n"
            "    if errors[epoch] <= errors[best]:\n        best, wait = epoch, 0\n"
            "    if wait >= patience:\n        break\nreturn best + 1",
            "no new lowest",
        ),
    ],
    "02.8": [
        (
            "unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]\ncosine = unit @ unit[item]\n"
            "cosine[item] = -1\nreturn np.argsort(-cosine)[:n]",
            "gave [4, 0, 2, 1], expected [4, 0, 2, 3]",
        ),
        (
            "distance = np.linalg.norm(vectors - vectors[item], axis=1)\n"
            "order = np.argsort(distance)\nreturn order[order != item][:n]",
            "that is the distance",
        ),
        (
            "unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]\n"
            "return np.argsort(-unit @ unit[item])[:n]",
            "the item itself",
        ),
        (
            "unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]\n"
            "return np.argsort(unit @ unit[item])[::-1][1 : n + 1]",
            "expected",
        ),
        (
            "cosine = vectors @ vectors[item] / np.linalg.norm(vectors, axis=1)\n"
            "order = np.argsort(cosine)\nreturn order[order != item][:n]",
            "point the other way",
        ),
        (
            "score = vectors @ vectors[item]\nscore[item] = -np.inf\nreturn np.argsort(-score)[:n]",
            "prefers long vectors",
        ),
        (
            "unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]\n"
            "cosine = np.delete(unit @ unit[item], item)\nreturn np.argsort(-cosine)[:n]",
            "one too small",
        ),
        (
            "vectors /= np.linalg.norm(vectors, axis=1)[:, None]\n"
            "order = np.argsort(-vectors @ vectors[item])\nreturn order[order != item][:n]",
            "changed its argument `vectors`",
        ),
    ],
    "02.9": [
        (
            "error = ((P[users] * Q[items]).sum(axis=1) - stars) / len(stars)\n"
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "of_P[users] += error[:, None] * Q[items]\nof_Q[items] += error[:, None] * P[users]\n"
            "return of_P, of_Q",
            "occurs twice keeps only its last error",
        ),
        (
            "error = ((P[users] * Q[items]).sum(axis=1) - stars) / len(stars)\n"
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "np.add.at(of_P, users, error[:, None] * Q[items])\n"
            "of_Q[items] += error[:, None] * P[users]\nreturn of_P, of_Q",
            "an item that occurs twice",
        ),
        (
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "for u, i, star in zip(users, items, stars):\n"
            "    of_user, of_item = pair_gradient(P[u], Q[i], star)\n"
            "    of_P[u] += of_user\n    of_Q[i] += of_item\nreturn of_P, of_Q",
            "gradient of the sum",
        ),
        (
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "for u, i, star in zip(users, items, stars):\n"
            "    error = P[u] @ Q[i] - star\n    of_P[u] += 2 * error * Q[i] / len(stars)\n"
            "    of_Q[i] += 2 * error * P[u] / len(stars)\nreturn of_P, of_Q",
            "twice too large",
        ),
        (
            "error = (stars - (P[users] * Q[items]).sum(axis=1)) / len(stars)\n"
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "np.add.at(of_P, users, error[:, None] * Q[items])\n"
            "np.add.at(of_Q, items, error[:, None] * P[users])\nreturn of_P, of_Q",
            "prediction minus rating",
        ),
        (
            "error = ((P[users] * Q[items]).sum(axis=1) - stars) / len(stars)\n"
            "return error[:, None] * Q[items], error[:, None] * P[users]",
            "returned the shape",
        ),
        (
            "error = ((P[users] * Q[items]).sum(axis=1) - stars) / len(stars)\n"
            "np.add.at(P, users, error[:, None] * Q[items])\n"
            "np.add.at(Q, items, error[:, None] * P[users])\nreturn P, Q",
            "changed its argument `P`",
        ),
        (
            "error = ((P[users] * Q[items]).sum(axis=1) - stars)[:, None] / len(stars)\n"
            "return np.eye(len(P))[users].T @ (error * Q[items]), "
            "np.eye(len(Q))[items].T @ (error * P[users])",
            "too large for 9,066 films",
        ),
        (
            "error = (np.diag(P[users] @ Q[items].T) - stars) / len(stars)\n"
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "np.add.at(of_P, users, error[:, None] * Q[items])\n"
            "np.add.at(of_Q, items, error[:, None] * P[users])\nreturn of_P, of_Q",
            "batch by the batch is too large",
        ),
        (
            "error = ((P[users] * Q[items]).sum(axis=1) - stars) / len(stars)\n"
            "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
            "np.add.at(of_P, users, error * Q[items])\n"
            "np.add.at(of_Q, items, error * P[users])\nreturn of_P, of_Q",
            "multiplies columns by errors",
        ),
    ],
    "02.q1": [
        ("choice = 'a'", "for the others it is zero"),
        ("choice = 'c'", "both have a gradient"),
        ("choice = 'd'", "each row holds one"),
    ],
    "02.q2": [("choice = 'a'", "by heart"), ("choice = 'b'", "the test set has chosen")],
    "02.q3": [("choice = 'a'", "the model cannot know it"), ("choice = 'c'", "bring no new ones")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only
IDIOMS: dict[str, list[str]] = {
    "02.1": [
        "total = 0\nfor guess, star in zip(predicted, actual):\n    total += (guess - star) ** 2\n"
        "return (total / len(actual)) ** 0.5",
        "return ((predicted - actual) ** 2).mean() ** 0.5",
        "import math\nreturn math.dist(predicted, actual) / math.sqrt(len(predicted))",
        "import pandas as pd\nreturn np.sqrt((pd.Series(predicted) - actual).pow(2).mean())",
        "from sklearn.metrics import mean_squared_error\n"
        "return np.sqrt(mean_squared_error(y_true=actual, y_pred=predicted)).astype(np.float32)",
        "error = predicted - actual\nreturn np.hypot(error.std(), error.mean())",
    ],
    "02.3": [
        "one_hot, product = [], []\nfor i in indices:\n"
        "    one_hot.append([1 if row == i else 0 for row in range(len(table))])\n"
        "    product.append([sum(h * row[c] for h, row in zip(one_hot[-1], table)) for c in range(len(table[0]))])\n"
        "return one_hot, product",
        "one_hot = np.zeros((len(indices), len(table)))\n"
        "one_hot[np.arange(len(indices)), indices] = 1\nreturn one_hot, one_hot.dot(table)",
        "one_hot = indices[:, None] == np.arange(table.shape[0])\n"
        "return [one_hot.astype(np.float32), np.einsum('ir,rk->ik', one_hot.astype(int), table)]",
        "from scipy import sparse\nn = len(indices)\n"
        "one_hot = sparse.csr_matrix((np.ones(n), (np.arange(n), indices)), shape=(n, len(table)))\n"
        "return one_hot, one_hot @ table",
        "import pandas as pd\none_hot = pd.get_dummies(pd.Categorical(indices, range(len(table))), dtype=int)\n"
        "return one_hot, np.matmul(one_hot, table)",
    ],
    "02.5": [
        "error = -rating\nfor f in range(len(p)):\n    error += p[f] * q[f]\n"
        "return [error * x for x in q], [error * x for x in p]",
        "return np.array([q, p]) * (p @ q - rating)",
        "def loss(p, q):\n    return (p @ q - rating) ** 2 / 2\n\nstep = 1e-5 * np.eye(len(p))\n"
        "of_user = [(loss(p + d, q) - loss(p - d, q)) / 2e-5 for d in step]\n"
        "return of_user, [(loss(p, q + d) - loss(p, q - d)) / 2e-5 for d in step]",
        "error = np.float32(np.dot(p, q) - rating)\nreturn np.multiply(error, q), np.multiply(error, p)",
        "predicted = sum(p * q)\nof_user = q * (predicted - rating)\nof_item = p * (predicted - rating)\n"
        "return of_user, of_item",
        "import pandas as pd\nerror = pd.Series(p).dot(pd.Series(q)) - rating\n"
        "return pd.Series(q).mul(error), pd.Series(p).mul(error)",
    ],
    "02.6": [
        "error = sum(a * b for a, b in zip(p, q)) - rating\nnew_p, new_q = [], []\n"
        "for a, b in zip(p, q):\n    new_p.append(a - learning_rate * error * b)\n"
        "    new_q.append(b - learning_rate * error * a)\nreturn new_p, new_q",
        "return tuple(np.array([p, q]) - learning_rate * np.array(pair_gradient(p, q, rating)))",
        "moves = pair_gradient(p=p, q=q, rating=rating)\n"
        "return [row - learning_rate * move for row, move in zip((p, q), moves)]",
        "of_user, of_item = pair_gradient(p, q, rating)\np, q = p.copy(), q.copy()\n"
        "p -= learning_rate * of_user\nq -= learning_rate * of_item\nreturn p, q",
        "move = learning_rate * (rating - p @ q)\nreturn p + move * q, q + move * p",
    ],
    "02.7": [
        "best, wait = 0, 0\nfor epoch in range(1, len(errors)):\n    if errors[epoch] < errors[best]:\n"
        "        best, wait = epoch, 0\n    else:\n        wait += 1\n"
        "        if wait == patience:\n            return best + 1\nreturn best + 1",
        "lowest, kept, bad = float('inf'), 0, 0\nfor epoch, error in enumerate(errors, start=1):\n"
        "    if error < lowest:\n        lowest, kept, bad = error, epoch, 0\n    else:\n        bad += 1\n"
        "    if bad >= patience:\n        break\nreturn np.int64(kept)",
        "lowest = np.minimum.accumulate(errors)\nnew = np.append(True, lowest[1:] < lowest[:-1])\n"
        "places = np.append(np.flatnonzero(new), len(errors) + patience)\n"
        "return places[np.argmax(np.diff(places) > patience)] + 1",
        "import pandas as pd\nerrors = pd.Series(errors)\nbefore = errors.cummin().shift(fill_value=np.inf)\n"
        "bad = (errors >= before).rolling(patience).sum() == patience\n"
        "end = bad.idxmax() if bad.any() else len(errors) - 1\nreturn errors[: end + 1].idxmin() + 1",
        "def kept(best, rest):\n    near = [i for i in range(best + 1, min(best + patience, len(errors) - 1) + 1) if errors[i] < errors[best]]\n"
        "    return kept(near[0], rest) if near else best + 1\nreturn kept(0, errors)",
    ],
    "02.8": [
        "import math\nown, found = vectors[item], []\nfor other, row in enumerate(vectors):\n"
        "    product = sum(float(a) * float(b) for a, b in zip(row, own))\n"
        "    length = math.sqrt(sum(float(a) ** 2 for a in row))\n"
        "    if other != item:\n        found.append((product / length, other))\n"
        "found.sort(reverse=True)\nreturn [other for _, other in found[:n]]",
        "unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)\ncosine = unit @ unit[item]\n"
        "cosine[item] = -2\nreturn np.argsort(cosine)[::-1][:n]",
        "from sklearn.metrics.pairwise import cosine_similarity\n"
        "cosine = cosine_similarity(vectors[[item]], vectors)[0]\n"
        "return [i for i in sorted(range(len(vectors)), key=lambda i: -cosine[i]) if i != item][:n]",
        "import pandas as pd\nlengths = np.linalg.norm(vectors, axis=1)\n"
        "cosine = pd.Series(vectors.dot(vectors[item]) / lengths / lengths[item]).drop(item)\n"
        "return cosine.nlargest(n).index",
        "from scipy.spatial.distance import cdist\nothers = np.delete(np.arange(len(vectors)), item)\n"
        "far = cdist(vectors[[item]], vectors[others], 'cosine')[0]\nreturn others[far.argsort()[:n]]",
        "unit = vectors.astype(float)\nunit /= np.sqrt((unit**2).sum(axis=1))[:, np.newaxis]\n"
        "cosine = np.einsum('ij,j->i', unit, unit[item])\ncosine[item] = -np.inf\n"
        "best = np.argpartition(-cosine, n - 1)[:n]\nreturn best[np.argsort(-cosine[best])].astype(float)",
    ],
    "02.9": [
        "of_P, of_Q, n = 0 * P, 0 * Q, len(stars)\nfor j in range(n):\n    u, i = users[j], items[j]\n"
        "    error = sum(P[u] * Q[i]) - stars[j]\n    of_P[u] += error * Q[i] / n\n"
        "    of_Q[i] += error * P[u] / n\nreturn of_P, of_Q",
        "of_P, of_Q = np.zeros(P.shape), np.zeros(Q.shape)\n"
        "for u, i, star in zip(users, items, stars):\n"
        "    of_user, of_item = pair_gradient(P[u], Q[i], star)\n"
        "    of_P[u] += of_user\n    of_Q[i] += of_item\n"
        "return of_P / len(stars), of_Q / len(stars)",
        "error = np.einsum('nk,nk->n', P[users], Q[items]) - stars\nof_P, of_Q = 0 * P, 0 * Q\n"
        "for u in set(users):\n    own = users == u\n    of_P[u] = error[own] @ Q[items[own]]\n"
        "for i in set(items):\n    own = items == i\n    of_Q[i] = error[own] @ P[users[own]]\n"
        "return [of_P / len(stars), of_Q / len(stars)]",
        "from scipy import sparse\nerror = (P[users] * Q[items]).sum(axis=1) - stars\n"
        "errors = sparse.coo_matrix((error / error.size, (users, items)), (len(P), len(Q))).tocsr()\n"
        "return errors @ Q, errors.T @ P",
        "import pandas as pd\nerror = (P[users] * Q[items]).sum(1) - stars\n"
        "def added(rows, values, n):\n"
        "    return pd.DataFrame(values).groupby(rows).sum().reindex(range(n), fill_value=0.0)\n"
        "share = (error / len(error))[:, None]\n"
        "return added(users, share * Q[items], len(P)), added(items, share * P[users], len(Q))",
        "error = ((P[users] * Q[items]).sum(axis=1) - stars) / stars.shape[0]\n"
        "of_P = [np.bincount(users, error * column, len(P)) for column in Q[items].T]\n"
        "of_Q = [np.bincount(items, error * column, len(Q)) for column in P[users].T]\n"
        "return np.array(of_P).T, np.array(of_Q).T",
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "02.1": {
        "return float(np.sqrt(np.mean((actual - predicted) ** 2)))": "a square has no sign",
        "return float(np.sqrt(np.mean(abs(predicted - actual) ** 2)))": "a square has no sign",
    },
    "02.5": {"error = q @ p - rating": "the inner product is symmetric"},
    "02.7": {
        "for epoch in range(0, len(errors)):": "the first error is not below itself, and 0 < patience",
        "elif abs(epoch - best) >= patience:": "the best epoch is never ahead",
    },
    "02.8": {
        "order = np.argsort(-cosine)": "no two cosines are equal",
        "order = np.argsort(-cosine, kind='stabl')": "NumPy reads the first letter",
        "lengths = np.linalg.norm(vectors, axis=1)": "the item's own length is the same for all",
        "lengths = np.linalg.norm(vectors, axis=1) / np.linalg.norm(vectors[item])": "the item's own length is the same for all",
        "lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vectors[n])": "a length that is the same for all",
        "lengths = np.linalg.norm(vectors, axis=-1) * np.linalg.norm(vectors[item])": "a matrix has two axes",
    },
    "02.9": {
        "error = (np.sum(P[users] * Q[items], axis=1) - stars) / len(users)": "a batch has as many users as stars",
        "error = (np.sum(P[users] * Q[items], axis=1) - stars) / len(items)": "a batch has as many items as stars",
        "error = (np.sum(P[users] * Q[items], axis=-1) - stars) / len(stars)": "a matrix has two axes",
    },
}
