"""Train NeuMF as a SageMaker training job: `ncf.py` of the post, with fresh negatives in every epoch.

The networks are in `network.py` beside this file; chapter 05 builds them cell by cell. The
container gives hyperparameters as arguments, the data in the folder of the channel "training", a
folder for the model, and the names of all hosts. The first host leaves `1/`, a SavedModel that
TensorFlow Serving reads, and `ncf.npz`, the numbers alone. It needs NumPy and TensorFlow.
"""

import argparse
import json
import os
import sys
import time
from multiprocessing.connection import Client, Listener
from pathlib import Path

import numpy as np


def read_arguments(words=None):
    """Return hyperparameters, which come as arguments, and folders, which come as variables."""
    parser = argparse.ArgumentParser(description="Train NeuMF on clicks.")
    parser.add_argument("--n_user", type=int, required=True)
    parser.add_argument("--n_item", type=int, required=True)
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--decay", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=256, help="examples per step, of all workers")
    parser.add_argument("--learning_rate", type=float, default=0.001)
    parser.add_argument("--negatives", type=int, default=5, help="drawn for each click, in every epoch")
    parser.add_argument("--alpha", type=float, default=0.0, help="negatives follow clicks to this power")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING", "data"))
    parser.add_argument("--model_folder", default=os.environ.get("SM_MODEL_DIR", "model"))
    known, others = parser.parse_known_args(words)
    if others:
        print("not used:", " ".join(others))
    return known


def join_workers():
    """Return how many workers train, which one this is, and a function that adds up their arrays."""
    hosts = json.loads(os.environ.get("SM_HOSTS", '["algo-1"]'))
    rank = hosts.index(os.environ.get("SM_CURRENT_HOST", hosts[0]))
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums on every processor
    if len(hosts) == 1:
        return 1, 0, None
    place = os.environ.get("SM_MASTER_ADDR", hosts[0]), int(os.environ.get("SM_MASTER_PORT", 7777))
    key = os.environ.get("TRAINING_JOB_ARN", "ncf").encode()  # a worker of another job is refused
    if rank:
        first = call(place, key)
    else:
        with Listener(place, authkey=key) as door:
            others = [door.accept() for _ in hosts[1:]]

    def add_up(values):
        if rank:  # the first worker adds up, so that all get the same sum to the last bit
            first.send_bytes(values.tobytes())
            return np.frombuffer(first.recv_bytes(), values.dtype)
        total = values + sum(np.frombuffer(other.recv_bytes(), values.dtype) for other in others)
        for other in others:
            other.send_bytes(total.tobytes())
        return total

    return len(hosts), rank, add_up


def call(place, key, seconds=300):
    """Connect to the first worker, which may start later than this one."""
    end = time.monotonic() + seconds
    while True:
        try:
            return Client(place, authkey=key)
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def read_clicks(folder, n_user, n_item):
    """Return the users and items of train.npy, (n, 3): user, item and the label 1, all contiguous ids."""
    table = np.load(Path(folder) / "train.npy")
    users, items, labels = table.T
    if users.min() < 0 or items.min() < 0 or users.max() >= n_user or items.max() >= n_item:
        sys.exit(
            f"train.npy: users 0 to {users.max()} and items 0 to {items.max()}, "
            f"but n_user={n_user} and n_item={n_item}: are these raw ids?"
        )
    if not (labels == 1).all():
        sys.exit("train.npy: expected clicks only, label 1; negatives are drawn here, anew in every epoch")
    return users.astype(np.int32), items.astype(np.int32)


def draw_epoch(users, items, clicked, negatives, alpha, generator):
    """Return shuffled users, items and labels: all clicks, with fresh negatives of the same users.

    A negative is drawn in proportion to its clicks to the power `alpha`, and never a click itself.
    """
    share = np.cumsum(clicked.sum(axis=0) ** float(alpha))
    share /= share[-1]

    def draw(number):
        return np.searchsorted(share, generator.random(number), side="right").astype(np.int32)

    others = np.repeat(users, negatives)
    drawn = draw(len(others))
    again = np.flatnonzero(clicked[others, drawn])
    while len(again):
        drawn[again] = draw(len(again))
        again = again[clicked[others[again], drawn[again]]]
    labels = np.repeat(np.float32([1, 0]), [len(users), len(others)])
    order = generator.permutation(len(labels))
    columns = np.concatenate([users, others]), np.concatenate([items, drawn]), labels
    return [column[order] for column in columns]


def compile_epoch(model, optimizer, workers, add_up, batch):
    """Return a function that trains on a worker's share of an epoch, `batch` examples per step."""
    import tensorflow as tf

    weights = model.trainable_variables
    shapes = [tuple(weight.shape) for weight in weights]

    def summed(gradients):
        flat = tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)
        total = tf.numpy_function(add_up, [flat], tf.float32)
        parts = tf.split(total, [int(np.prod(shape)) for shape in shapes])
        return [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]

    kinds = [tf.TensorSpec([None], kind) for kind in (tf.int32, tf.int32, tf.float32)]

    @tf.function(input_signature=kinds, autograph=False)
    def step(users, items, labels):
        with tf.GradientTape() as tape:
            chance = model({"user": users, "item": items}, training=True)[:, 0]
            chance = tf.clip_by_value(chance, 1e-7, 1 - 1e-7)
            entropy = labels * tf.math.log(chance) + (1 - labels) * tf.math.log(1 - chance)
            loss = -tf.reduce_mean(entropy) + (tf.add_n(model.losses) if model.losses else 0.0)
            part = loss / workers  # the gradients of all workers are added up
        gradients = tape.gradient(part, weights)
        # whole tables: Keras' Adam moves a row that a batch repeats too far, and workers add tables
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(summed(gradients) if workers > 1 else gradients, weights)
        return loss

    def epoch(*examples):
        columns = [tf.constant(c, kind.dtype) for c, kind in zip(examples, kinds, strict=True)]
        starts = range(0, len(examples[0]), batch)
        parts = ([column[start : start + batch] for column in columns] for start in starts)
        return sum(step(*part) for part in parts) / len(starts)

    return epoch


def train(model, users, items, shape, joined=None, **options):
    """Train a network on clicks and fresh negatives; return its losses, one per epoch.

    `shape` is (users, items) of the whole matrix, `joined` what `join_workers` returns, and
    `options` are hyperparameters of this program: epochs, batch_size, learning_rate, …
    """
    import keras

    workers, rank, add_up = joined or (1, 0, None)
    words = [f"--{name}={value}" for name, value in options.items()]
    given = read_arguments([f"--n_user={shape[0]}", f"--n_item={shape[1]}", *words])
    clicked = np.zeros(shape, dtype=bool)
    clicked[users, items] = True
    optimizer = keras.optimizers.Adam(given.learning_rate)
    optimizer.build(model.trainable_variables)
    batch = max(1, given.batch_size // workers)
    epoch, losses = compile_epoch(model, optimizer, workers, add_up, batch), []
    for number in range(given.epochs):
        # every worker draws the same epoch and takes its share of it
        generator = np.random.default_rng([given.seed, number])
        examples = draw_epoch(users, items, clicked, given.negatives, given.alpha, generator)
        length = len(examples[2]) // workers
        share = [column[rank * length : (rank + 1) * length] for column in examples]
        optimizer.learning_rate.assign(given.learning_rate * (1 - 0.9 * number / max(1, given.epochs - 1)))
        losses.append(float(epoch(*share)))
        if joined:
            where = f"worker {rank + 1} of {workers}, epoch {number + 1}"
            print(f"{where}: {length} examples, loss={losses[-1]:.4f}", flush=True)
    return losses


def key_of(weight):
    """Return the name of a weight in `ncf.npz`: a table's own, or the shape, which no other has."""
    table = weight.path.endswith("embeddings")
    return weight.path if table else "x".join(map(str, weight.shape))


def main(words=None):
    """Read, build, train, save."""
    options = read_arguments(words)
    joined = join_workers()
    import keras
    from network import neumf

    users, items = read_clicks(options.training, options.n_user, options.n_item)
    keras.utils.set_random_seed(options.seed)  # all workers start from the same weights
    model = neumf(options.n_user, options.n_item, options.factors, options.decay)
    print(f"worker {joined[1] + 1} of {joined[0]}: {len(users)} clicks, {model.count_params()} numbers", flush=True)
    names = ("epochs", "batch_size", "learning_rate", "negatives", "alpha", "seed")
    shape = options.n_user, options.n_item
    train(model, users, items, shape, joined, **{name: getattr(options, name) for name in names})
    if joined[1] > 0:  # all hold the same weights
        return
    folder = Path(options.model_folder)
    model.export(str(folder / "1"), verbose=False)
    np.savez(folder / "ncf.npz", **{key_of(weight): np.asarray(weight) for weight in model.weights})
    print("worker 1 saved", ", ".join(sorted(p.name for p in folder.iterdir())), flush=True)


if __name__ == "__main__":
    # Keras and TensorFlow import them where they find them: 180 MB
    for unused in ("pandas", "sklearn", "matplotlib", "scipy", "PIL", "IPython", "h5py", "pydot"):
        sys.modules[unused] = None
    main()
