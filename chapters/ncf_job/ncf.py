"""Train NeuMF as a SageMaker training job: `ncf.py` of the post, with fresh negatives in every epoch.

The networks are in `network.py` beside this file; chapter 05 builds them cell by cell. The
container gives hyperparameters as arguments, the data in the folder of the channel "training", a
folder for the model, and the names of all hosts. The program leaves `1/`, a SavedModel that
TensorFlow Serving reads, and `ncf.npz`, the numbers alone. It needs NumPy and TensorFlow.
"""

import argparse
import json
import os
import sys
import tempfile
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
    """Return how many workers train, which one this is, and the strategy that joins them."""
    hosts = json.loads(os.environ.get("SM_HOSTS", '["algo-1"]'))
    here = os.environ.get("SM_CURRENT_HOST", hosts[0])
    if len(hosts) > 1 and "TF_CONFIG" not in os.environ:
        addresses = [f"{host}:2222" for host in hosts]
        task = {"type": "worker", "index": hosts.index(here)}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same sums on every processor
    import tensorflow as tf  # after both variables: they are read once

    if len(hosts) == 1:
        return 1, 0, tf.distribute.get_strategy()
    return len(hosts), hosts.index(here), tf.distribute.MultiWorkerMirroredStrategy()


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


def compile_epoch(model, optimizer, workers, strategy, batch):
    """Return a function that trains on a worker's share of an epoch, `batch` examples per step."""
    import tensorflow as tf

    def step(users, items, labels):
        with tf.GradientTape() as tape:
            chance = model({"user": users, "item": items}, training=True)[:, 0]
            chance = tf.clip_by_value(chance, 1e-7, 1 - 1e-7)
            entropy = labels * tf.math.log(chance) + (1 - labels) * tf.math.log(1 - chance)
            loss = -tf.reduce_mean(entropy) + (tf.add_n(model.losses) if model.losses else 0.0)
            part = loss / workers  # the optimizer adds up the gradients of all workers
        gradients = tape.gradient(part, model.trainable_variables)
        # whole tables: Keras' Adam moves a row that a batch repeats too far, and workers add tables
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    @tf.function
    def epoch(users, items, labels):
        n, total = tf.shape(labels)[0], 0.0
        for start in tf.range(0, n, batch):
            rows = slice(start, tf.minimum(start + batch, n))
            total += strategy.run(step, args=(users[rows], items[rows], labels[rows]))
        return total / tf.cast(-(-n // batch), tf.float32)

    return epoch


def train(model, users, items, shape, joined=None, **options):
    """Train a network on clicks and fresh negatives; return its losses, one per epoch.

    `shape` is (users, items) of the whole matrix, `joined` what `join_workers` returns, and
    `options` are hyperparameters of this program: epochs, batch_size, learning_rate, …
    """
    import keras
    import tensorflow as tf

    workers, rank, strategy = joined or (1, 0, tf.distribute.get_strategy())
    words = [f"--{name}={value}" for name, value in options.items()]
    given = read_arguments([f"--n_user={shape[0]}", f"--n_item={shape[1]}", *words])
    clicked = np.zeros(shape, dtype=bool)
    clicked[users, items] = True
    with strategy.scope():
        optimizer = keras.optimizers.Adam(given.learning_rate)
        optimizer.build(model.trainable_variables)
    batch = max(1, given.batch_size // workers)
    epoch, losses = compile_epoch(model, optimizer, workers, strategy, batch), []
    for number in range(given.epochs):
        # every worker draws the same epoch and takes its share of it
        generator = np.random.default_rng([given.seed, number])
        examples = draw_epoch(users, items, clicked, given.negatives, given.alpha, generator)
        length = len(examples[2]) // workers
        share = [tf.constant(column[rank * length : (rank + 1) * length]) for column in examples]
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
    keras.utils.set_random_seed(options.seed)
    with joined[2].scope():
        model = neumf(options.n_user, options.n_item, options.factors, options.decay)
    print(f"worker {joined[1] + 1} of {joined[0]}: {len(users)} clicks, {model.count_params()} numbers", flush=True)
    names = ("epochs", "batch_size", "learning_rate", "negatives", "alpha", "seed")
    shape = options.n_user, options.n_item
    train(model, users, items, shape, joined, **{name: getattr(options, name) for name in names})
    # every worker saves, since saving waits for all of them; only the first keeps what it saved
    folder = Path(options.model_folder) if joined[1] == 0 else Path(tempfile.mkdtemp())
    model.export(str(folder / "1"), verbose=False)
    np.savez(folder / "ncf.npz", **{key_of(weight): np.asarray(weight) for weight in model.weights})
    print(f"worker {joined[1] + 1} saved", ", ".join(sorted(p.name for p in folder.iterdir())), flush=True)


if __name__ == "__main__":
    # Keras imports them where it finds them: 160 MB
    for unused in ("pandas", "sklearn", "matplotlib", "scipy", "PIL"):
        sys.modules[unused] = None
    main()
