"""Train NeuMF as a SageMaker training job: `ncf.py` of the post, with embeddings and fresh negatives.

What the container gives: hyperparameters as arguments, the data in the folder of the channel
"training", a folder for the model, and the names of all hosts. What this program leaves:
`1/`, a SavedModel that TensorFlow Serving reads, and `ncf.keras`, which Keras opens again.
It needs NumPy and TensorFlow, and nothing of the course.
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
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch_size", type=int, default=256, help="examples a step, of all workers")
    parser.add_argument("--factors", type=int, default=32)
    parser.add_argument("--negatives", type=int, default=5, help="drawn for each click, in every epoch")
    parser.add_argument("--learning_rate", type=float, default=0.001)
    parser.add_argument("--decay", type=float, default=0.0)
    parser.add_argument("--dropout", type=float, default=0.0)
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


def build_model(n_user, n_item, factors, decay, dropout, seed):
    """Build NeuMF: a product of two vectors beside a perceptron on two others."""
    import keras

    layers, seeds = keras.layers, np.random.default_rng(seed)
    inputs = {side: keras.Input((), name=side, dtype="int32") for side in ("user", "item")}

    def draw():
        return int(seeds.integers(2**31))

    def vectors(side, branch):
        rows = n_user if side == "user" else n_item
        start = keras.initializers.RandomNormal(0.0, 0.01, draw())
        # Keras itself divides this by the batch size
        penalty = keras.regularizers.L2(decay / 2) if decay else None
        name = f"{side}_{branch}"
        table = layers.Embedding(
            rows, factors, embeddings_initializer=start, activity_regularizer=penalty, name=name
        )
        return table(inputs[side])

    product = layers.Multiply(name="product")([vectors("user", "gmf"), vectors("item", "gmf")])
    x = layers.Concatenate(name="side_by_side")([vectors("user", "mlp"), vectors("item", "mlp")])
    for number, width in enumerate((64, 32, 16, 8), start=1):
        if dropout and number <= 3:
            x = layers.Dropout(dropout, seed=draw(), name=f"dropout_{number}")(x)
        start = keras.initializers.GlorotUniform(draw())
        hidden = {"activation": "relu", "kernel_initializer": start, "name": f"hidden_{number}"}
        x = layers.Dense(width, **hidden)(x)
    both = layers.Concatenate(name="both")([product, x])
    start = keras.initializers.GlorotUniform(draw())
    chance = layers.Dense(1, activation="sigmoid", kernel_initializer=start, name="chance")(both)
    return keras.Model(inputs, chance, name="neumf")


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


def draw_epoch(users, items, clicked, negatives, generator):
    """Return shuffled users, items and labels: all clicks, with fresh negatives of the same users."""
    others = np.repeat(users, negatives)
    drawn = generator.integers(0, clicked.shape[1], len(others), dtype=np.int32)
    again = np.flatnonzero(clicked[others, drawn])
    while len(again):
        drawn[again] = generator.integers(0, clicked.shape[1], len(again), dtype=np.int32)
        again = again[clicked[others[again], drawn[again]]]
    labels = np.repeat(np.float32([1, 0]), [len(users), len(others)])
    order = generator.permutation(len(labels))
    columns = np.concatenate([users, others]), np.concatenate([items, drawn]), labels
    return [column[order] for column in columns]


def compile_epoch(model, optimizer, strategy, workers, batch):
    """Return a function that trains on a worker's share of an epoch, `batch` examples a step."""
    import tensorflow as tf

    def step(users, items, labels):
        with tf.GradientTape() as tape:
            chance = model({"user": users, "item": items}, training=True)[:, 0]
            chance = tf.clip_by_value(chance, 1e-7, 1 - 1e-7)
            entropy = labels * tf.math.log(chance) + (1 - labels) * tf.math.log(1 - chance)
            loss = -tf.reduce_mean(entropy) + (tf.add_n(model.losses) if model.losses else 0.0)
            share = loss / workers  # the optimizer adds up the slopes of all workers
        slopes = tape.gradient(share, model.trainable_variables)
        slopes = [tf.convert_to_tensor(slope) for slope in slopes]  # Adam and all-reduce want whole tables
        optimizer.apply(slopes, model.trainable_variables)
        return loss

    @tf.function
    def epoch(users, items, labels):
        n, total = tf.shape(labels)[0], 0.0
        for start in tf.range(0, n, batch):
            part = slice(start, tf.minimum(start + batch, n))
            total += strategy.run(step, args=(users[part], items[part], labels[part]))
        return total / tf.cast(-(-n // batch), tf.float32)

    return epoch


def main(words=None):
    """Read, train, save."""
    options = read_arguments(words)
    workers, rank, strategy = join_workers()
    import keras
    import tensorflow as tf

    users, items = read_clicks(options.training, options.n_user, options.n_item)
    clicked = np.zeros((options.n_user, options.n_item), dtype=bool)
    clicked[users, items] = True
    with strategy.scope():
        settings = options.factors, options.decay, options.dropout, options.seed
        model = build_model(options.n_user, options.n_item, *settings)
        optimizer = keras.optimizers.Adam(options.learning_rate)
        optimizer.build(model.trainable_variables)
    epoch = compile_epoch(model, optimizer, strategy, workers, max(1, options.batch_size // workers))
    print(f"{len(users)} clicks, {model.count_params()} numbers, worker {rank + 1} of {workers}", flush=True)
    for number in range(options.epochs):
        # every worker draws the same epoch and takes its share of it
        examples = draw_epoch(
            users, items, clicked, options.negatives, np.random.default_rng([options.seed, number])
        )
        length = len(examples[2]) // workers
        share = [tf.constant(column[rank * length : (rank + 1) * length]) for column in examples]
        rate = options.learning_rate * (1 - 0.9 * number / max(1, options.epochs - 1))
        optimizer.learning_rate.assign(rate)
        print(f"epoch {number + 1}: loss={float(epoch(*share)):.4f}", flush=True)
    # every worker saves, since saving waits for all of them; only the first keeps what it saved
    folder = Path(options.model_folder) if rank == 0 else Path(tempfile.mkdtemp())
    model.export(str(folder / "1"), verbose=False)
    model.save(folder / "ncf.keras")
    print("saved", ", ".join(sorted(p.name for p in folder.iterdir())), flush=True)


if __name__ == "__main__":
    for unused in ("pandas", "sklearn", "matplotlib"):  # Keras imports them where it finds them: 150 MB
        sys.modules[unused] = None
    main()
