"""Checks of chapter 05: ids, a tower in Keras, a request, a joined layer, all pairs, cosines."""

from __future__ import annotations

import inspect
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from helpers import gates

from .cases import Case, cases
from .checking import NotYet, expect
from .converters import array, json_of, pair
from .cost import grows, multiplications, steps
from .grading import Exercise, Quiz
from .registry import register

Rng = np.random.Generator


def column(value: Any, name: str) -> np.ndarray:
    """Return ids or indices as an array of one dimension, whole numbers as integers."""
    found = np.asarray(value)
    if found.ndim != 1:
        kind = type(value).__name__ if found.ndim == 0 else f"array of shape {found.shape}"
        raise NotYet(f"`{name}` returned a {kind} as one of its two values, expected an array.")
    whole = found.dtype.kind in "iufb" and np.array_equal(found, np.floor(found))
    return found.astype(np.int64) if whole else found


def goes_back(got: tuple[np.ndarray, np.ndarray], raw: np.ndarray) -> None:
    """Raise `NotYet` unless ``ids`` has every id once and ``index`` leads back to ``raw``."""
    index, ids = got
    different = len(set(raw.tolist()))

    def right(index: np.ndarray, ids: np.ndarray) -> bool:
        fits = index.dtype.kind == "i" and index.shape == raw.shape and len(ids) == different
        return fits and index.min() == 0 and index.max() < different and all(ids[index] == raw)

    said = f"for the ids {', '.join(map(str, raw))}, `contiguous`"
    swapped = not right(index, ids) and right(ids, index)
    expect(not swapped, f"{said} gave the two in the other order: first `index`, then `ids`.")
    expect(len(index) == len(raw), f"{said} gave {len(index)} indices: one for each raw id.")
    expect(index.dtype.kind == "i", f"{said} gave an `index` that is not of whole numbers.")
    expect(len(ids) == different, f"{said} gave {len(ids)} `ids`, not each different id once.")
    slip = ": gaps stay" if index.max() > different else "" if 0 in index else ": count from 0"
    fits = index.min() >= 0 and index.max() < different
    expect(fits, f"{said} gave {index.min():,} to {index.max():,} as `index`{slip}.")
    back = ", ".join(map(str, ids[index]))
    expect(right(index, ids), f"{said} leads back to {back}: `ids[index]` must give `raw` back.")


def some_ids(rng: Rng) -> Case:
    """Return ids with gaps, in no order: numbers or words."""
    raw = rng.choice(rng.integers(1, 200_000, rng.integers(1, 30)), rng.integers(1, 60))
    raw = np.array([f"u{i}" for i in raw]) if rng.random() < 0.3 else raw
    return Case((raw,), judge=goes_back)


def some_sides(rng: Rng, sizes: tuple[int, ...] = ()) -> tuple[Any, ...]:
    """Return vectors of users and of items, and the layer above both."""
    n_users, n_items, k, width = sizes or rng.integers(1, 6, 4)
    users, items = rng.normal(size=(n_users, k)), rng.normal(size=(n_items, k))
    return users, items, rng.normal(size=(2 * k, width)), rng.normal(size=width)


def work(answer: Any, *args: Any) -> float:
    """Return what a call costs, in loops or in NumPy."""
    return multiplications(answer, *args) + steps(answer, *args)


WIDTHS = (8, 64, 32, 16, 8)  # two vectors of four numbers, and the layers of a tower
_NOT = "`tower` returned {}: call Keras layers on `p` and `q`, and return what the last one gives."


def made(answer: Any) -> Any:
    """Return a model of a tower on two vectors of four numbers, or say why there is none."""
    keras = gates.import_keras()
    sides = [keras.Input((4,)) for _ in "pq"]
    end = answer(*sides)
    expect(end is not None, "`tower` returned None: did you forget `return`?")
    layer = isinstance(end, keras.Layer | type(keras.layers))
    expect(not layer, f"`tower` returned a {type(end).__name__}: call it on the vectors.")
    expect(keras.utils.is_keras_tensor(end), _NOT.format(f"a {type(end).__name__}"))
    try:
        return keras.Model(sides, end)
    except ValueError as error:
        raise NotYet("what `tower` returns does not come from both `p` and `q`.") from error


def computed(x: np.ndarray, weights: dict[Any, np.ndarray], rectified: str) -> np.ndarray:
    """Return the end of a tower; "+" in ``rectified`` for each layer with a ReLU."""
    for (one, two), sign in zip(pairwise(WIDTHS), rectified, strict=True):
        x = x @ weights[one, two] + weights[(two,)]
        x = np.maximum(x, 0) if sign == "+" else x
    return x


def is_tower(answer: Any) -> None:
    """Raise `NotYet` unless a tower has four layers of its own that compute what they should."""
    expect(inspect.isfunction(answer), f"`tower` is a {type(answer).__name__}, not a function.")
    model, other = made(answer), made(answer)
    shapes = [tuple(weight.shape) for weight in model.weights]
    widths = [shape[-1] for shape in shapes if len(shape) == 2]
    said = f"`tower` has layers of {', '.join(map(str, widths))} numbers"
    expect(widths, "`tower` has no layer with weights.")
    ends_in_one = widths == [*WIDTHS[1:], 1]
    expect(not ends_in_one, f"{said}: the chance comes later, from the network's last layer.")
    expect(widths == list(WIDTHS[1:]), f"{said}, expected 64, 32, 16 and 8.")
    reads = shapes[0][0]
    expect(reads == 8, f"its first layer reads {reads} numbers: lay `p` and `q` side by side.")
    right = sum((one + 1) * two for one, two in pairwise(WIDTHS))
    count = model.count_params()
    expect(count == right, f"`tower` has {count:,} numbers, expected {right:,}: biases?")
    shared = {id(w) for w in model.weights} & {id(w) for w in other.weights}
    expect(not shared, "two calls of `tower` share their layers: make new ones in every call.")
    rng = np.random.default_rng(5)
    weights = {shape: rng.normal(0, 0.4, shape) for shape in shapes}
    for weight in model.weights:
        weight.assign(weights[tuple(weight.shape)])
    p, q = rng.normal(size=(2, 50, 4))
    x, end = np.hstack([p, q]), np.asarray(model([p.astype("f4"), q.astype("f4")]))
    known = {
        "the last layer has a ReLU, too.": computed(x, weights, "+++-"),
        "without a ReLU after each, four layers are one linear layer.": computed(
            x, weights, "----"
        ),
        "`p` comes first: the first rows of the kernel are the user's.": computed(
            np.hstack([q, p]), weights, "++++"
        ),
        "the vectors go in as they are: a ReLU is for the layers.": computed(
            np.maximum(x, 0), weights, "++++"
        ),
    }
    for sentence, values in known.items():
        expect(not np.allclose(end, values, atol=1e-4), sentence)
    same = np.allclose(end, computed(x, weights, "++++"), atol=1e-4)
    expect(same, "`tower` computes something else than four dense layers with ReLU in a row.")


def some_layers(rng: Rng) -> tuple[Any, ...]:
    """Return two trained last layers, each a kernel and a bias."""
    return tuple([rng.normal(size=(n, 1)), rng.normal(size=1)] for n in rng.integers(1, 6, 2))


P, Q = np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([[3.0, -1.0], [5.0, 1.0]])
RAW = [31, 164979, 31, 1, 5000]
KERNEL = np.array([[1.0, 0.0], [2.0, -5.0], [0.0, 4.0]])
A, B = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [0.0, 2.0], [-1.0, 0.0]])
LAYERS = tuple([np.array(k)[:, None], np.array([b])] for k, b in (([2.0, 4.0], 6.0), ([8.0], -2.0)))
JOINED = "(k, b), (l, c) = of_gmf, of_mlp\n"
INSTANCES = 'r = [{"user": int(u), "item": int(i)} for u, i in zip(users, items)]\n'
HALVES = "k = users.shape[1]\nf, g = users @ kernel[:k], items @ kernel[k:]\n"
COSINES = (
    "n = np.outer(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))\nd = np.maximum(n, 1e-12)\n"
)
SMALL, LARGE = (some_sides(np.random.default_rng(0), (36, 36, k, 3)) for k in (2, 32))
BUILDS = "with 16 times as many factors `first_layer` does several times as much: does it build the pairs? Multiply users and items apart, and add the halves."

register(
    Exercise(
        "05.1",
        "contiguous",
        pair(("index", column), ("ids", column)),
        cases=[Case((np.array(raw),), judge=goes_back) for raw in (RAW, ["u7", "u10", "u7"])],
        inputs=some_ids,
        hints=[
            "Which ids are there? The place of an id in a list of the different ones is its index.",
            "`ids, index = np.unique(raw, return_inverse=True)` gives both; return `index` first.",
        ],
        minutes=6,
    ),
    Exercise(
        "05.7",
        "tower",
        checks=[is_tower],
        hints=[
            'A layer is made first and then called: `keras.layers.Dense(64, activation="relu")(x)` gives what the next layer reads.',
            "Begin with `x = keras.layers.Concatenate()([p, q])`, and let a loop over 64, 32, 16, 8 put a dense layer on `x`.",
        ],
        minutes=10,
    ),
    Quiz(
        "05.q1",
        "The post puts a ReLU on its embeddings. What can its GMF branch no longer say?",
        "b",
        {
            "Nothing is lost: the weights h can be negative.": "h has one sign for all users. Can the product of a coordinate then differ in sign between two of them?",
            "That one coordinate draws one user to a film and puts another off.": "Without negative coordinates every product is 0 or more, and h gives it the same sign for everybody.",
            "A chance below one half.": "The constant c and negative weights still lead below one half.",
        },
    ),
    Quiz(
        "05.q2",
        "A job with `instance_count=2` has ended. What did its two workers do?",
        "b",
        {
            "Each trained a model of its own; the two were averaged at the end.": "Two such models may mean different things by coordinate 3, and their average nothing.",
            "They added up their gradients before every step, so both hold the same weights.": "That is why only the first one has to save.",
            "One kept the users' vectors, the other the items'.": "That would be splitting the model. Here each holds all of it.",
        },
    ),
    Exercise(
        "05.3",
        "request",
        cases=cases(*((np.array([3, 4][:n], "i4"), np.array([70, 80][:n], "i4")) for n in (1, 2))),
        inputs=lambda rng: tuple(rng.integers(0, 9000, (2, rng.integers(1, 6)))),
        asked=partial(json_of, parse_float=str),  # an index of 3.0 is none
        mistakes={
            'return json.dumps({"instances": {"user": users.tolist(), "item": items.tolist()}})': '`instances` must be a list with one object a pair; columns go under the key "inputs".',
            'return json.dumps({"instances": [[int(u), int(i)] for u, i in zip(users, items)]})': "each instance needs the inputs `user` and `item` by name.",
            'return json.dumps({"instances": [{"user": int(u), "item": int(i)} for u in users for i in items]})': "pair each user with the item at the same place.",
            'return json.dumps({"instances": [{"user": float(u), "item": float(i)} for u, i in zip(users, items)]})': "an index is a whole number; the model takes int32.",
            f"{INSTANCES}return json.dumps(r)": "the list stands under the key `instances` of an object.",
        }.items(),
        hints=[
            'One dictionary a pair: `{"user": …, "item": …}`; `zip` walks through both arrays at once.',
            '`json.dumps({"instances": [{"user": int(u), "item": int(i)} for u, i in zip(users, items)]})`: `int` makes Python\'s numbers of NumPy\'s, which are not JSON\'s.',
        ],
        minutes=6,
    ),
    Quiz(
        "05.q3",
        "A colleague draws 1 negative a click, not 5: the accuracy on held-out clicks jumps. Is the model better?",
        "b",
        {
            "Yes: it recognizes more of the films people went on to see.": "It says yes to more films of every kind. Do the hidden ones stand higher in the lists?",
            "It cannot be told: all chances rose with the share of positives, and the order may be the same.": "Half of its training examples are positive now, not a sixth. Compare lists, under one protocol.",
            "No: fewer negatives always make a worse model.": "Often, as chapter 04 saw, but this number does not show it.",
        },
    ),
    Exercise(
        "05.8",
        "joined",
        pair(("kernel", array), ("bias", array)),
        cases=cases(LAYERS),
        inputs=some_layers,
        mistakes={
            f"{JOINED}return np.concatenate([k, l]), b + c": "that is the sum of both log odds; the mean is half of it.",
            f"{JOINED}return np.concatenate([k, l]) / 2, b + c": "the bias is part of the log odds: it is halved, too.",
            f"{JOINED}return np.concatenate([k, l]), (b + c) / 2": "the kernels are part of the log odds: they are halved, too.",
            f"{JOINED}return np.concatenate([k, l]) / 2, 0 * b": "both biases are part of the log odds.",
            f"{JOINED}return np.concatenate([l, k]) / 2, (b + c) / 2": "GMF's products come first.",
            f"{JOINED}return np.concatenate([k, l]) / 2, np.concatenate([b, c]) / 2": "one unit has one bias.",
        }.items(),
        hints=[
            "Write the mean of both log odds as a formula. What multiplies a product of GMF, what an output of the tower, and what is left?",
            "Stack the kernels with `np.concatenate`, GMF's first, and halve them. The bias is the mean of the biases.",
        ],
        minutes=8,
    ),
    Exercise(
        "05.5",
        "first_layer",
        array,
        cases=cases((P[:1, :1], Q[:, :1] - 4, KERNEL[:2], np.array([10.0, -1.0]))),
        inputs=some_sides,
        mistakes={
            f"{HALVES}return f[:, None] + g + bias": "a hidden layer ends in a ReLU.",
            f"{HALVES}return np.maximum(f[:, None] + g + 2 * bias, 0)": "that adds the bias twice: once for the user's half and once for the item's.",
            f"{HALVES}return np.maximum(f + bias, 0)[:, None] + np.maximum(g, 0)": "that applies the ReLU to each half: only the sum of the halves is what the layer sees.",
            f"{HALVES}return np.maximum(f[:, None] + g, 0)": "that leaves out the bias of the layer.",
            f"{HALVES}return np.maximum(f[:, None] + g, 0) + bias": "the bias is added before the ReLU.",
            "k = users.shape[1]\nf, g = users @ kernel[k:], items @ kernel[:k]\nreturn np.maximum(f[:, None] + g + bias, 0)": "the kernel's first k rows belong to the user.",
            f"{HALVES}return np.maximum(f + g[:, None] + bias, 0)": "the first axis is for users, the second for items.",
        }.items(),
        checks=[grows(work, 3, SMALL, LARGE, BUILDS)],
        hints=[
            "[user, item] @ kernel = user @ kernel[:k] + item @ kernel[k:]. Compute both products for all users and for all items.",
            "`a[:, None, :] + b[None, :, :]` adds every row of one to every row of the other; add the bias once, then the ReLU.",
        ],
        minutes=12,
        stretch=True,
    ),
    Exercise(
        "05.6",
        "cosines",
        array,
        cases=cases((A, B), (A[1:], 2 * B[2:]), (A[1:], 0 * B[2:])),
        inputs=lambda rng: (  # some short ends, some of all zeros
            rng.normal(size=(4, 3)) * rng.integers(0, 4, (4, 1)),
            rng.normal(size=(5, 3)) * rng.integers(0, 4, (5, 1)) / 8,
        ),
        mistakes={
            "return a @ b.T": "that is the product: divide it by both lengths.",
            f"{COSINES}return a @ b.T / d": "a prediction is at least 0.000001: its logarithm must exist.",
            f"{COSINES}return a @ b.T / n": "a prediction is at least 0.000001: its logarithm must exist.",
            f"{COSINES}return np.maximum(a @ b.T / n, 1e-6)": "an end of all zeros has no length to divide by; its predictions are 0.000001.",
            f"{COSINES}return np.maximum(a @ b.T / d, 0)": "the smallest prediction is 0.000001, since its logarithm must exist.",
            f"{COSINES}return np.maximum(abs(a @ b.T / d), 1e-6)": "a negative cosine is raised to 0.000001, its sign is not dropped.",
            f"{COSINES}return np.maximum(a @ b.T, 1e-6) / d": "first divide, then raise what is below 0.000001.",
        }.items(),
        hints=[
            "All inner products at once are `a @ b.T`; all products of lengths, `np.outer` of the two arrays of `np.linalg.norm(…, axis=1)`.",
            "Keep the divisor above zero with `np.maximum(lengths, 1e-12)`, and the result at or above 1e-6 with `np.maximum(…, 1e-6)`.",
        ],
        minutes=8,
        stretch=True,
    ),
)
