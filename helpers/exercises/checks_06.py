"""Checks of chapter 06: scores by pairs and by the identity, a record, gradients, a Gibbs step."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from .cases import Case, cases, normals
from .checking import NotYet, expect
from .converters import array, json_of, number, pair
from .cost import grows, memory, multiplications, steps
from .grading import Exercise, Quiz
from .registry import register

Rng = np.random.Generator


def record(value: Any, name: str) -> bytes:
    """Return bytes."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise NotYet(f"`{name}` returned a {type(value).__name__}, expected bytes.")
    return bytes(value)


def some_rows(rng: Rng) -> tuple[Any, ...]:
    """Return rows as CSR with values of any kind."""
    shape = rng.integers(1, 6, 2)
    table = (rng.random(shape) < 0.4) * rng.normal(size=shape).round(2)
    table[range(shape[0]), rng.integers(0, shape[1], shape[0])] = 1.5  # no row is empty
    return (sparse.csr_matrix(table.astype(np.float32)),)


def whole_keys(answer: Any) -> None:
    """Raise `NotYet` where keys are sent as 0.0."""
    keys = json_of(answer)(ROWS[:1])["instances"][0]["data"]["features"]["keys"]
    expect(all(type(key) is int for key in keys), f"the keys {keys} are columns: whole numbers.")


X, W, ZERO = np.array([1.0, 2.0, 3.0]), np.array([1.0, 10.0, -1.0]), np.zeros(3)
V = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
ROWS = sparse.csr_matrix(np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0.5, 0.25]], dtype=np.float32))
LOOPS = "n, pairs = len(x), [(j, i) for j in range(len(x)) for i in range(len(x))]\n"
PAIR = "V[j] @ V[i] * x[j] * x[i]"
TERMS = "a, b = X @ V, X**2 @ V**2\ny = w0 + X @ w\n"
PACK = "import struct\nn, magic = len(payload), 0xCED7230A\npad = b'\\0' * (-n % 4)\n"
SUMS = "s = x[:, None] * (x @ V)\nown = x[:, None] ** 2 * V\n"
TEXT = (
    "def text(keys, shape, values):\n"
    "    of = [dict(keys=keys(r), shape=shape(r), values=values(r)) for r in rows]\n"
    "    return json.dumps({'instances': [{'data': {'features': f}} for f in of]})\n"
    "keys, shape = lambda r: r.indices.tolist(), lambda r: [r.shape[1]]\n"
    "values = lambda r: r.data.tolist()\n"
)
COSTS = (memory, multiplications, steps)
SLOW = (
    "ten times as many features cost far more than ten times as much: does it go through all pairs?"
)
ROWS_SUMS = (
    "r, c = np.bincount(row_of, rest, len(block)), np.bincount(row_of, minlength=len(block))\n"
)
REPEATED = "that is slow: it goes through all ratings for each feature. Sum `rest` for each row of the block first."
DRAW = (
    "r = error + weight * h\np, m = lam + alpha * (h @ h), lam * mu + alpha * (h @ r)\n"
    "new = m / p + z / np.sqrt(p)\n"
)


def block_rows(rng: Rng) -> tuple[Any, ...]:
    """Return a block, the row of each of some ratings, and what is left of them."""
    rows, n = int(rng.integers(1, 6)), int(rng.integers(0, 9))
    block = rng.normal(size=(rows, int(rng.integers(1, 5))))
    return block, rng.integers(0, rows, n), rng.normal(size=n)


def many_ratings(features: int) -> tuple[Any, ...]:
    """Return 4,000 ratings of four rows with so many features."""
    rng = np.random.default_rng(features)
    return rng.normal(size=(4, features)), rng.integers(0, 4, 4000), rng.normal(size=4000)


def few_products(answer: Any) -> None:
    """Raise `NotYet` where each feature goes through all ratings: that takes 200,000 products."""
    expect(multiplications(answer, *many_ratings(50)) < 50_000, REPEATED)


def weight_first(value: Any, name: str) -> float:
    """Return the new weight of a step."""
    expect(np.size(value) == 1, f"`{name}` returns the new weight first, then the new errors.")
    return number(value, name)


def wide(n: int, rows: int = 0) -> tuple[Any, ...]:
    """Return the arguments of `fm_fast` with n features; without rows, of `factor_gradient`."""
    rng = np.random.default_rng(n)
    x, w, V = rng.normal(size=(rows or 1, n)), rng.normal(size=n), rng.normal(size=(n, 2))
    return (x, 0.5, w, V) if rows else (x[0], 0.5, V)


register(
    Exercise(
        "06.1",
        "fm_naive",
        number,
        cases=cases((np.array([1.0, 0.0, 2.0]), 0.5, W, 0 * V), (X, 0.0, ZERO, V)),
        inputs=normals("n", "", "n", "nk"),
        mistakes={
            f"{LOOPS}return w0 + w @ x + sum({PAIR} for j, i in pairs if j != i)": "each pair counts once, not in both orders.",
            f"{LOOPS}return w0 + w @ x + sum({PAIR} for j, i in pairs if j <= i)": "a feature makes no pair with itself.",
            f"{LOOPS}return w0 + w @ x + sum(V[j] @ V[i] for j, i in pairs if j < i)": "each pair counts x_j · x_l times.",
            f"{LOOPS}return w @ x + sum({PAIR} for j, i in pairs if j < i)": "that leaves w0 out.",
            f"{LOOPS}return w0 + sum(w) + sum({PAIR} for j, i in pairs if j < i)": "each weight counts as often as its feature says: multiply w by x.",
            f"{LOOPS}return w0 + sum({PAIR} for j, i in pairs if j < i)": "that leaves the weights w out.",
            "return w0 + w @ x": "that leaves the pairs out.",
        }.items(),
        hints=[
            "Two loops: j over all features, l over those after j, `range(j + 1, len(x))`.",
            "Begin with `w0 + w @ x`, and add `V[j] @ V[l] * x[j] * x[l]` for each pair.",
        ],
        minutes=6,
    ),
    Exercise(
        "06.2",
        "fm_fast",
        array,
        cases=cases((np.array([X, [1.0, 0.0, 0.0]]), 0.0, ZERO, V), (X[None], 0.5, W, V)),
        inputs=normals("rn", "", "n", "nk"),
        mistakes={
            f"{TERMS}return y + (a**2 - b).sum(axis=1)": "the sum holds every pair twice: halve it.",
            f"{TERMS}return y + (a**2).sum(axis=1) / 2": "take off the pairs of a feature with itself.",
            f"{TERMS}return y + (a.sum(axis=1) ** 2 - b.sum(axis=1)) / 2": "square the sum of each factor first, then add up over the factors.",
            f"{TERMS}return y + (a**2 - X @ V**2).sum(axis=1) / 2": "in the sum that you take off, square x, too.",
            f"{TERMS}return y - w0 - X @ w + (a**2 - b).sum(axis=1) / 2": "the pairs are right, but where are the constant and the weights?",
            f"{TERMS}return y - w0 + (a**2 - b).sum(axis=1) / 2": "that leaves w0 out.",
        }.items(),
        checks=[grows(cost, 25, wide(16, 2), wide(160, 2), SLOW) for cost in COSTS],
        hints=[
            "`X @ V` holds the sums over j for each row and factor, `X**2 @ V**2` the sums of squares.",
            "Square the first, take off the second, add up over the factors (axis 1) and halve. Then add `w0 + X @ w`.",
        ],
        minutes=8,
    ),
    Quiz(
        "06.q1",
        "Rows have a 1 for the user, a 1 for the item and nothing else. Which pairs of vectors does a prediction multiply?",
        "b",
        {
            "All pairs of features, 47 million.": "The formula has every pair, but what is x_j · x_l where one of them is 0?",
            "One: the user's with the item's.": "So this machine is chapter 02's factorization with biases. With more ones in a row it can do more.",
            "The user's with every other user's, so that it finds similar users.": "A row has one user. Does any row have a 1 for two users?",
        },
    ),
    Exercise(
        "06.3",
        "frame",
        record,
        cases=[
            *cases((b"abcde",), (b"abcd",), (b"",), (b"abcdefgh",), (b"a\0\0\0\0",)),
            Case((bytes(range(255)) * 2,), where="of a payload of 510 bytes"),
            Case((b"ab" * 35_000,), where="of a payload of 70,000 bytes"),
        ],
        inputs=lambda rng: (rng.bytes(int(rng.integers(0, 600))),),
        mistakes={
            f"{PACK}return struct.pack('>II', magic, n) + payload + pad": "little-endian puts the lowest byte first, here 0a.",
            f"{PACK}return struct.pack('<II', magic, n) + payload": "the record is padded with zeros to a multiple of four.",
            f"{PACK}return struct.pack('<II', magic, n) + payload + b'\\0' * (4 - n % 4)": "a length that is a multiple of four needs no padding.",
            f"{PACK}return struct.pack('<II', magic, n) + payload + b'\\0' * (n % 4)": "that is how many bytes are too many, not how many are missing to a multiple of four.",
            f"{PACK}return struct.pack('<II', magic, n + len(pad)) + payload + pad": "the length counts the payload, not the padding.",
            f"{PACK}return struct.pack('<II', magic, n + 8) + payload + pad": "the length counts the payload, not the head.",
            f"{PACK}return struct.pack('<II', magic, n) + pad + payload": "the padding comes after the payload.",
        }.items(),
        hints=[
            "`struct.pack('<II', a, b)` writes two unsigned 32-bit numbers, little-endian.",
            "`-len(payload) % 4` zeros, `b'\\0'`, are missing to a multiple of four. They follow the payload.",
        ],
        minutes=6,
    ),
    Quiz(
        "06.q2",
        "217 seconds were billed, 26 of them training. You set `instance_count=2`, and training really takes half as long. The bill?",
        "c",
        {
            "Half of it.": "Each of the two machines is billed. And which seconds stay the same?",
            "The same: half the time, twice the machines.": "That would be right if all 217 seconds were training. What are the other 191?",
            "Almost twice as much.": "2 · (191 + 13) = 408 machine seconds. More machines pay off only where training takes most of the time.",
        },
    ),
    Exercise(
        "06.4",
        "factor_gradient",
        array,
        cases=cases(
            (np.array([1.0, 1.0, 0.0]), 3.0, np.array([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]])),
            (np.array([1.0, 0.5, 0.0, 2.0]), -2.0, np.array([[1.0], [2.0], [7.0], [3.0]])),
        ),
        inputs=normals("n", "", "nk", least=2),
        mistakes={
            f"{SUMS}return error * s": "a feature makes no pair with itself.",
            f"{SUMS}return s - own": "a row that is predicted exactly has the gradient 0: where is the error?",
            "return error * (x @ V - V)": "a feature that is 0 in this row has the gradient 0: where does each x_j go?",
            "return error * (x[:, None] != 0) * (x @ V - x[:, None] * V)": "where does each x_j go? It counts as often as its value says.",
            f"{SUMS}return error * (s - x[:, None] * V)": "in the part taken off, x_j is squared.",
            f"{SUMS}return -error * (s - own)": "that is minus the gradient: the gradient points to where the error *rises*.",
            f"{SUMS}return 2 * error * (s - own)": "*half* the squared error: the 2 of the square cancels.",
        }.items(),
        checks=[grows(cost, 25, wide(16), wide(160), SLOW) for cost in COSTS],
        hints=[
            "In the identity, factor f is ½(s² - Σ v²x²) with s = Σ v_jf x_j. How does it change with one v_jf?",
            "The derivative of the score is x_j · s_f - x_j² · v_jf, with all s as `x @ V`. By the chain rule, multiply it by the error.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "06.5",
        "fm_request",
        cases=cases((ROWS[:1],), (ROWS[1:],), (ROWS,), (ROWS[:, 1:3],)),  # the last: an empty row
        inputs=some_rows,
        asked=json_of,
        checks=[whole_keys],
        mistakes={
            f"{TEXT}return text(lambda r: np.flatnonzero(r.toarray() == r.max()).tolist(), shape, lambda r: [1] * int((r.toarray() == r.max()).sum()))": "those are the places of the largest value; a row can have smaller ones, too.",
            f"{TEXT}return text(keys, shape, lambda r: [1] * r.nnz)": "a value need not be 1.",
            f"{TEXT}return text(keys, lambda r: [r.nnz], values)": "`shape` is the number of columns, in a list.",
            f"{TEXT}return text(lambda r: rows.indices.tolist(), shape, lambda r: rows.data.tolist())": "an instance holds the entries of its own row, not of all.",
            f"{TEXT}return json.dumps(json.loads(text(keys, shape, values))['instances'])": "put the list under the key `instances` of an object.",
        }.items(),
        hints=[
            "A loop over a CSR matrix gives its rows. Each has `.indices` and `.data`; `.tolist()` makes plain numbers of them.",
            "A row is `{'data': {'features': {'keys': …, 'shape': [rows.shape[1]], 'values': …}}}`. Give `{'instances': [...]}` with all rows to `json.dumps`.",
        ],
        minutes=6,
    ),
    Exercise(
        "06.8",
        "redraw",
        pair(("new weight", weight_first), ("new errors", array)),
        cases=[
            *cases(
                (1.0, np.array([1.0, 1.0]), np.array([0.0, 2.0]), 0.0, 1.0, 0.0, 2.0),
                (0.5, np.array([1.0, 2.0]), np.array([1.0, -0.5]), 1.0, 4.0, 1.0, 5.0),
            ),
            Case((0.5, np.ones(0), np.ones(0), 2.0, 1.5, 1.0, 4.0), where="without a rating"),
        ],
        inputs=lambda rng: (
            float(rng.normal()),
            *rng.normal(size=(2, rng.integers(0, 9))),  # also of no row
            *(rng.normal(), *(rng.uniform(0.1, 3, 3) * [1, rng.choice([-1, 1]), 1]).tolist()),
        ),
        mistakes={
            f"{DRAW}return error @ h * alpha / p + lam * mu / p + z / np.sqrt(p), error": "`error` has the old weight in it: the other weights leave over more than that.",
            f"{DRAW}m -= alpha * (h @ h) * weight\nnew = m / p + z / np.sqrt(p)\nreturn new, error - (new - weight) * h": "`error` has the old weight in it: what do the other weights alone leave over?",
            f"{DRAW}m -= 2 * alpha * (h @ h) * weight\nnew = m / p + z / np.sqrt(p)\nreturn new, error - weight * h - new * h": "take the old weight out of the score: the errors grow by weight · h.",
            f"{DRAW}return new, error": "the errors change with the weight.",
            f"{DRAW}return new, r": "those are the errors without any weight: put the new one in.",
            f"{DRAW}return new, error - new * h": "the new errors still have the old weight in them.",
            f"{DRAW}return new, error + (new - weight) * h": "a larger weight gives a larger score, and a smaller error.",
            f"{DRAW}return m / p, r - m / p * h": "that is the mean, not a draw: where is `z`?",
            f"{DRAW}new = m / p + z / p\nreturn new, r - new * h": "that adds z times the variance: the standard deviation is its root.",
            f"{DRAW}new = m / p + z * np.sqrt(p)\nreturn new, r - new * h": "the variance is one over the precision.",
            f"{DRAW}new = (m - lam * mu) / p + z / np.sqrt(p)\nreturn new, r - new * h": "the prior pulls towards `mu`, not towards 0.",
        }.items(),
        hints=[
            "`error + weight * h` is what the other weights leave over: r in the formula.",
            "With p = lam + alpha · Σ h², the new weight is (lam · mu + alpha · Σ h · r) / p + z / √p. The new errors are r minus the new weight times h.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "06.7",
        "feature_sums",
        pair(("sums of h · r", array), ("sums of h²", array)),
        cases=[
            Case(
                (
                    np.array([[1.0, 0.5], [0.0, 2.0]]),
                    np.array([0, 1, 0]),
                    np.array([1.0, 3.0, -2.0]),
                )
            ),
            Case(
                (np.array([[1.0], [2.0], [5.0]]), np.array([1, 1]), np.array([0.5, 0.25])),
                where="where two of three rows have no rating",
            ),
        ],
        inputs=block_rows,
        mistakes={
            f"{ROWS_SUMS}return block.T @ c, (block**2).T @ c": "where does `rest` go? A row's sum is of `rest`, not of ones.",
            f"{ROWS_SUMS}return block.T @ r, block.T @ c": "in the second sum, h is squared.",
            f"{ROWS_SUMS}return block.T @ r, (block.T @ c) ** 2": "the second is a sum of squares, not the square of a sum.",
            f"{ROWS_SUMS}return block.T @ r, (block**2).sum(axis=0)": "in the second sum, a row counts once for each of its ratings.",
            f"{ROWS_SUMS}return block.T @ r, (block**2).T @ r": "the second sum has no `rest` in it: each rating counts 1.",
            f"{ROWS_SUMS}return block.T @ r, (block**2).T @ c**2": "the number of ratings is not squared, only h is.",
            f"{ROWS_SUMS}return block.T @ (r / np.maximum(c, 1)), (block**2).T @ c": "the sum of `rest` in a row, not its mean.",
        }.items(),
        checks=[
            few_products,
            *(
                grows(cost, 6, many_ratings(5), many_ratings(50), REPEATED)
                for cost in (memory, steps)
            ),
        ],
        hints=[
            "`np.bincount(row_of, weights=rest, minlength=len(block))` sums `rest` by row; without weights it counts.",
            "`block.T @ sums` adds up x_u times the sum of row u, for every feature. The squares are `(block**2).T @ counts`.",
        ],
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "06.q3",
        "You add the user's age bracket to every row and rank the films for one user. Which part of it can change their order?",
        "b",
        {
            "The bracket's own weight w.": "That weight is added to every film of this user alike. Does a constant change an order?",
            "The products of the bracket's vector with the films' vectors.": "What belongs to the user alone moves all films alike. Only products with something of the film change their order.",
            "Both.": "One of the two adds the same number to every film of this user.",
        },
    ),
)
