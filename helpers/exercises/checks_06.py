"""Checks of chapter 06, factorization machines: toy rows whose scores, bytes and slopes are known by hand."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

from .checking import expect, number, numbers
from .grading import Exercise, Quiz
from .registry import register


def _close(a: float, b: float) -> bool:
    return abs(a - b) < 1e-6


# 06.1


def fm_naive(x: Any, w0: float, w: Any, V: Any) -> float:
    """Return the score of one row, pair by pair."""
    score = w0 + np.dot(w, x)
    for j in range(len(x)):
        for other in range(j + 1, len(x)):
            score += np.dot(V[j], V[other]) * x[j] * x[other]
    return float(score)


_X = np.array([1.0, 2.0, 3.0])
_V = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
_ZERO = np.zeros(3)


def _linear_part(f: Callable[..., Any]) -> None:
    w = np.array([1.0, 10.0, -1.0])
    got = number(
        f(np.array([1.0, 0.0, 2.0]), 0.5, w, np.zeros((3, 2))),
        "fm_naive",
        "add up over the factors, too",
    )
    expect(
        not _close(got, -1),
        "without factors, x = (1, 0, 2) and w = (1, 10, -1) give -1 *plus* w0 = 0.5; `fm_naive` leaves w0 out.",
    )
    expect(
        not _close(got, 10.5),
        "each weight counts as often as its feature says: `fm_naive` must multiply w by x.",
    )
    expect(
        _close(got, -0.5),
        f"without factors, x = (1, 0, 2), w = (1, 10, -1), w0 = 0.5 give 0.5 + 1 - 2; `fm_naive` says {got:.4g}.",
    )


def _pairs_part(f: Callable[..., Any]) -> None:
    where = (
        "x = (1, 2, 3), vectors (1, 0), (0, 1), (1, 1), no weights: the pairs give 0·2 + 1·3 + 1·6"
    )
    got = number(f(_X, 0.0, _ZERO, _V), "fm_naive", "add up over the factors, too")
    expect(
        not _close(got, 18),
        f"{where}. `fm_naive` gave twice that: each pair counts once, not in both orders.",
    )
    expect(
        not _close(got, 32) and not _close(got, 41),
        f"{where}. `fm_naive` gave {got:g}: a feature makes no pair with itself.",
    )
    expect(not _close(got, 2), f"{where}. `fm_naive` gave 2: each pair counts x_j · x_l times.")
    expect(_close(got, 9), f"{where}. `fm_naive` says {got:.4g}.")


# 06.2


def fm_fast(X: Any, w0: float, w: Any, V: Any) -> np.ndarray:
    """Return the scores of all rows, (rows,), by the identity."""
    X, V = np.asarray(X, dtype=float), np.asarray(V, dtype=float)
    pairs = ((X @ V) ** 2 - X**2 @ V**2).sum(axis=1) / 2
    return w0 + X @ np.asarray(w, dtype=float) + pairs


def _identity_by_hand(f: Callable[..., Any]) -> None:
    where = "the row (1, 2, 3) with vectors (1, 0), (0, 1), (1, 1) and no weights scores 9"
    got = numbers(f(np.array([_X, [1.0, 0.0, 0.0]]), 0.0, _ZERO, _V), "fm_fast", (2,))
    expect(not _close(got[0], 18), f"{where}; `fm_fast` gave 18: every pair is in there twice.")
    expect(
        not _close(got[0], 20.5) and not _close(got[0], 41),
        f"{where}; `fm_fast` gave {got[0]:g}: the pairs of a feature with itself must go.",
    )
    expect(
        not _close(got[0], (81 - 23) / 2),
        f"{where}; `fm_fast` gave 29: square the sum of each factor first, then add up over the factors.",
    )
    expect(
        not _close(got[0], (16 + 25 - 4 - 5) / 2),
        f"{where}; `fm_fast` gave 16: in the sum that is taken off, x is squared, too.",
    )
    expect(_close(got[0], 9), f"{where}; `fm_fast` says {got[0]:.4g}.")
    expect(
        _close(got[1], 0),
        f"the row (1, 0, 0) has no pair at all, so it scores 0; `fm_fast` says {got[1]:.4g}.",
    )


def _identity_on_many(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(6)
    X, w, V = rng.normal(size=(20, 7)), rng.normal(size=7), rng.normal(size=(7, 3))
    got = numbers(f(X, 0.7, w, V), "fm_fast", (20,))
    want = np.array([fm_naive(x, 0.7, w, V) for x in X])
    expect(
        not np.allclose(got, want - 0.7 - X @ w),
        "`fm_fast` has the pairs right, but not the constant and the weights: w0 + X w.",
    )
    expect(
        np.allclose(got, want),
        f"on 20 random rows the double loop and `fm_fast` differ by up to {np.abs(got - want).max():.3g}.",
    )
    wide = np.zeros((1, 3000))
    wide[0, [5, 77]] = 1
    V = rng.normal(size=(3000, 4))
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        f(wide, 0.0, np.zeros(3000), V)
        seconds.append(time.perf_counter() - started)
    expect(
        min(seconds) < 0.02,
        f"`fm_fast` took {min(seconds) * 1000:.0f} ms for one row of 3,000 features: it still visits every pair.",
    )


# 06.3

MAGIC = 0xCED7230A


def frame(payload: bytes) -> bytes:
    """Return one record: magic number, length, payload, zeros up to a multiple of four."""
    return struct.pack("<II", MAGIC, len(payload)) + payload + b"\0" * (-len(payload) % 4)


def _frame_of_five(f: Callable[..., Any]) -> None:
    got = f(b"abcde")
    expect(
        isinstance(got, bytes | bytearray),
        f"`frame` returned a {type(got).__name__}, expected bytes.",
    )
    got = bytes(got)
    expect(
        got[:4] != bytes.fromhex("ced7230a"),
        "`frame` writes the magic number with its highest byte first: little-endian puts 0a first.",
    )
    expect(
        got[:4] == bytes.fromhex("0a23d7ce"),
        f"a record begins with the bytes 0a 23 d7 ce; `frame` begins with {got[:4].hex(' ')}.",
    )
    length = int.from_bytes(got[4:8], "little")
    expect(
        length != 8,
        "the length of b'abcde' is 5: it counts the payload, not the padding `frame` puts after it.",
    )
    expect(
        length != 13,
        "the length of b'abcde' is 5: it counts the payload, not the head `frame` writes.",
    )
    expect(
        length == 5,
        f"bytes 4 to 8 must hold the length 5, little-endian; `frame` has {got[4:8].hex(' ')}.",
    )
    expect(
        got[8:13] == b"abcde", f"the payload must follow the head; `frame` has {got[8:13]!r} there."
    )
    expect(
        len(got) == 16,
        f"8 + 5 bytes are padded to 16, a multiple of four; `frame` returned {len(got)} bytes.",
    )
    expect(got[13:] == b"\0\0\0", f"the padding must be zeros; `frame` has {got[13:]!r}.")


def _frame_of_others(f: Callable[..., Any]) -> None:
    for payload, size in ((b"abcd", 12), (b"", 8), (b"x" * 8, 16)):
        got = len(f(payload))
        expect(
            got == size,
            f"a payload of {len(payload)} bytes needs no padding; `frame` returned {got} bytes, expected {size}.",
        )
    got = f(bytes(range(255)) * 2)
    expect(
        bytes(got) == frame(bytes(range(255)) * 2),
        "for a payload of 510 bytes `frame` differs: the length takes four bytes, least significant first.",
    )


# 06.4


def factor_slopes(x: Any, error: float, V: Any) -> np.ndarray:
    """Return the slopes of half the squared error of one row, shaped like V."""
    x = np.asarray(x, dtype=float)[:, None]
    V = np.asarray(V, dtype=float)
    return error * (x * (x * V).sum(axis=0) - x**2 * V)


def _slopes_by_hand(f: Callable[..., Any]) -> None:
    where = "features 0 and 1 are on, v_0 = (1, 0), v_1 = (0, 2), the error is 3"
    V = np.array([[1.0, 0.0], [0.0, 2.0], [5.0, 5.0]])
    got = numbers(f(np.array([1.0, 1.0, 0.0]), 3.0, V), "factor_slopes", (3, 2))
    expect(
        np.allclose(got[2], 0),
        f"feature 2 is off in this row, so its vector must not move; `factor_slopes` gives it {got[2]}.",
    )
    expect(
        not np.allclose(got[0], [3, 6]),
        f"{where}: `factor_slopes` moves v_0 by itself; a feature makes no pair with itself.",
    )
    expect(
        not np.allclose(got[0], [0, 2]),
        f"{where}: `factor_slopes` forgets the error; a row that is right must move nothing.",
    )
    expect(
        np.allclose(got[0], [0, 6]) and np.allclose(got[1], [3, 0]),
        f"{where}: v_0 meets v_1 alone, so its slope is 3 · (0, 2); `factor_slopes` says {got[0]}.",
    )


def _slopes_by_difference(f: Callable[..., Any]) -> None:
    rng = np.random.default_rng(8)
    x, V, y = np.array([1.0, 0.5, 0.0, 2.0]), rng.normal(size=(4, 3)), 1.5

    def loss(at: np.ndarray) -> float:
        return 0.5 * (fm_naive(x, 0.0, np.zeros(4), at) - y) ** 2

    error = fm_naive(x, 0.0, np.zeros(4), V) - y
    got = numbers(f(x, error, V.copy()), "factor_slopes", (4, 3))
    want = np.zeros((4, 3))
    for place in np.ndindex(4, 3):
        step = np.zeros((4, 3))
        step[place] = 1e-5
        want[place] = (loss(V + step) - loss(V - step)) / 2e-5
    worst = np.unravel_index(np.abs(got - want).argmax(), got.shape)
    expect(
        np.allclose(got, want, atol=1e-5),
        f"for x = (1, 0.5, 0, 2) the loss rises by {want[worst]:.4g} for each unit of v_{worst[0]}'s factor {worst[1]}; "
        f"`factor_slopes` says {got[worst]:.4g}. Where does each x_j go?",
    )


# 06.5


def fm_request(rows: Any) -> str:
    """Return the JSON body for the rows of a CSR matrix."""
    instances = []
    for row in rows:
        features = {
            "keys": row.indices.tolist(),
            "shape": [rows.shape[1]],
            "values": row.data.tolist(),
        }
        instances.append({"data": {"features": features}})
    return json.dumps({"instances": instances})


def _request_of_toy_rows(f: Callable[..., Any]) -> None:
    rows = sparse.csr_matrix(np.array([[1, 0, 0, 1, 0], [0, 1, 0, 0.5, 0.25]], dtype=np.float32))
    try:
        got = f(rows)
    except TypeError as error:
        expect(
            "JSON serializable" not in str(error),
            f"{error}: `.tolist()` makes Python's numbers of an array.",
        )
        raise
    expect(
        isinstance(got, str | bytes),
        f"`fm_request` returned a {type(got).__name__}, expected text: `json.dumps` makes it.",
    )
    try:
        body = json.loads(got)
    except ValueError:
        body = None
    expect(isinstance(body, dict), "what `fm_request` returned cannot be read as a JSON object.")
    expect(
        "instances" in body,
        'the body must have the key "instances"; `fm_request` has ' + ", ".join(body) + ".",
    )
    expect(
        len(body["instances"]) == 2,
        f"two rows are two instances; `fm_request` has {len(body['instances'])}.",
    )
    try:
        found = [instance["data"]["features"] for instance in body["instances"]]
    except (KeyError, TypeError):
        found = []
    expect(
        found, 'each instance must be {"data": {"features": …}}; `fm_request` nests it differently.'
    )
    for part in ("keys", "shape", "values"):
        expect(part in found[0], f'`fm_request` leaves out "{part}" in the features of a row.')
    expect(
        found[0]["shape"] == [5],
        f'"shape" is the number of columns in a list, [5]; `fm_request` has {found[0]["shape"]}.',
    )
    expect(
        found[0]["keys"] == [0, 3],
        f"row 0 has ones in columns 0 and 3; `fm_request` lists {found[0]['keys']}.",
    )
    expect(
        found[1]["keys"] != [1],
        "row 1 has three entries, 1, 0.5 and 0.25; `fm_request` sends only the largest.",
    )
    expect(
        found[1]["keys"] == [1, 3, 4],
        f"row 1 has entries in columns 1, 3 and 4; `fm_request` lists {found[1]['keys']}.",
    )
    expect(
        found[1]["values"] != [1, 1, 1],
        "row 1 holds 1, 0.5 and 0.25; `fm_request` sends ones for all of them.",
    )
    expect(
        found[1]["values"] == [1, 0.5, 0.25],
        f"row 1 holds 1, 0.5 and 0.25; `fm_request` sends {found[1]['values']}.",
    )


# 06.6


def weight_posterior(
    h: Any, rest: Any, alpha: float, mu: float, decay: float
) -> tuple[float, float]:
    """Return mean and variance of one weight, given all others."""
    h, rest = np.asarray(h, dtype=float), np.asarray(rest, dtype=float)
    precision = decay + alpha * (h @ h)
    return float((decay * mu + alpha * (h @ rest)) / precision), float(1 / precision)


def _posterior_by_hand(f: Callable[..., Any]) -> None:
    name = "weight_posterior"
    where = "h = (1, 1), rest = (1, 3), alpha = 1, mu = 0, decay = 2"
    got = f(np.array([1.0, 1.0]), np.array([1.0, 3.0]), 1.0, 0.0, 2.0)
    expect(
        isinstance(got, tuple | list | np.ndarray) and len(got) == 2,
        f"`{name}` returned a {type(got).__name__}, expected two numbers: mean and variance.",
    )
    mean, variance = (number(part, name) for part in got)
    expect(
        not _close(mean, 2),
        f"{where}: `{name}` gave the mean 2, that of the data alone; the prior pulls towards mu as 2 more rows would.",
    )
    expect(_close(mean, 1), f"{where}: the mean is (2·0 + 1·4) / 4; `{name}` says {mean:.4g}.")
    expect(
        not _close(variance, 4),
        f"{where}: `{name}` gave 4, the precision; the variance is its inverse.",
    )
    expect(
        not _close(variance, 0.5),
        f"{where}: `{name}` gave the square root of the variance, expected the variance itself.",
    )
    expect(_close(variance, 0.25), f"{where}: the variance is 1/4; `{name}` says {variance:.4g}.")


def _posterior_moves(f: Callable[..., Any]) -> None:
    name = "weight_posterior"
    mean, variance = f(np.array([1.0, 2.0]), np.array([1.0, 3.0]), 4.0, 1.0, 5.0)
    expect(
        _close(number(variance, name), 1 / 25),
        f"h = (1, 2), alpha = 4, decay = 5: the precision is 5 + 4·(1 + 4); `{name}` has the variance {variance:.4g}.",
    )
    expect(
        not _close(number(mean, name), 28 / 25),
        f"`{name}` pulls towards 0, expected towards `mu`.",
    )
    expect(
        _close(number(mean, name), 33 / 25),
        f"h = (1, 2), rest = (1, 3), alpha = 4, mu = 1, decay = 5: the mean is (5 + 4·7) / 25; `{name}` says {mean:.4g}.",
    )
    mean, variance = f(np.array([0.0]), np.array([7.0]), 1.0, 0.3, 2.0)
    expect(
        _close(number(mean, name), 0.3) and _close(number(variance, name), 0.5),
        f"a feature that never occurs keeps its prior, mean mu and variance 1/decay; `{name}` says {mean:.4g} and {variance:.4g}.",
    )


register(
    Exercise(
        "06.1",
        "fm_naive",
        [_linear_part, _pairs_part],
        [
            "Two loops: j over all features, l over those after j, `range(j + 1, len(x))`.",
            "Begin with `w0 + w @ x`, and add `V[j] @ V[l] * x[j] * x[l]` for each pair.",
        ],
        fm_naive,
        minutes=6,
    ),
    Exercise(
        "06.2",
        "fm_fast",
        [_identity_by_hand, _identity_on_many],
        [
            "`X @ V` holds the sums over j for each row and factor; `X**2 @ V**2` the sums of squares.",
            "Square the first, take off the second, add up over the factors (axis 1), halve; then `w0 + X @ w`.",
        ],
        fm_fast,
        minutes=8,
    ),
    Quiz(
        "06.q1",
        "Rows have a 1 for the user, a 1 for the item and nothing else. Which pairs of vectors does a prediction multiply?",
        "b",
        {
            "All pairs of features, 47 million.": "Every pair stands in the formula, but what is x_j · x_l where one of them is 0?",
            "One: the user's with the item's.": "So this FM is chapter 02's factorization with biases. What is new needs more ones in a row.",
            "The user's with every other user's, so that it finds similar users.": "A row has one user in it. When would two users be on in the same row?",
        },
    ),
    Exercise(
        "06.3",
        "frame",
        [_frame_of_five, _frame_of_others],
        [
            "`struct.pack('<II', a, b)` writes two unsigned 32-bit numbers, little-endian.",
            "`-len(payload) % 4` is how many zeros are missing to a multiple of four.",
        ],
        frame,
        minutes=6,
    ),
    Quiz(
        "06.q2",
        "217 seconds were billed, 26 of them training. You set `instance_count=2`, and training really takes half as long. The bill?",
        "c",
        {
            "Half of it.": "Each of the two machines is billed. And what does not get shorter?",
            "The same: half the time, twice the machines.": "That would be right if all 217 seconds were training. What are the other 191?",
            "Almost twice as much.": "2 · (191 + 13) = 408 machine seconds. More machines pay where training, not starting, takes the time.",
        },
    ),
    Exercise(
        "06.4",
        "factor_slopes",
        [_slopes_by_hand, _slopes_by_difference],
        [
            "In the identity, factor f is ½(s² - Σ v²x²) with s = Σ v_jf x_j. How does it change with one v_jf?",
            "The slope of the score is x_j · s_f - x_j² · v_jf; by the chain rule the error multiplies it.",
        ],
        factor_slopes,
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "06.5",
        "fm_request",
        [_request_of_toy_rows],
        [
            "Iterating a CSR matrix gives its rows; each has `.indices` and `.data`, and `.tolist()` makes plain numbers of them.",
            "A row is `{'data': {'features': {'keys': …, 'shape': [rows.shape[1]], 'values': …}}}`; give a dict with all of them to `json.dumps`.",
        ],
        fm_request,
        minutes=6,
    ),
    Exercise(
        "06.6",
        "weight_posterior",
        [_posterior_by_hand, _posterior_moves],
        [
            "Precisions add up: the prior's `decay`, and `alpha` · h² for each row.",
            "The mean is (decay · mu + alpha · Σ h · rest) divided by that precision; the variance is 1 over it.",
        ],
        weight_posterior,
        minutes=10,
        stretch=True,
    ),
    Quiz(
        "06.q3",
        "You add the user's age bracket to every row and rank the films for one user. Which part of it can change their order?",
        "b",
        {
            "The bracket's own weight w.": "That weight is added to every film of this user alike. Does a constant change an order?",
            "The products of the bracket's vector with the films' vectors.": "What belongs to the user alone moves all films alike; only products with something of the film tell films apart.",
            "Both.": "One of the two adds the same number to every film of this user.",
        },
    ),
)
