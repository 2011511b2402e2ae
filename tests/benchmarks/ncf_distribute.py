"""Chapter 05's job with `tf.distribute` instead of its own sum, for workers on this machine.

Arguments are those of ncf.py; ``WORKER_PORTS`` has a port per worker. Keras' optimizer adds up the gradients of all
workers; TensorFlow passes them round a ring.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import ncf  # PYTHONPATH names chapters/ncf_job

hosts = json.loads(os.environ["SM_HOSTS"])
rank = hosts.index(os.environ["SM_CURRENT_HOST"])
task = {"type": "worker", "index": rank}
cluster = {"worker": [f"127.0.0.1:{port}" for port in os.environ["WORKER_PORTS"].split(",")]}
os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import tensorflow as tf  # noqa: E402 (after both variables)

strategy = tf.distribute.MultiWorkerMirroredStrategy()


def compile_epoch(model: Any, optimizer: Any, workers: int, _: Any, batch: int) -> Any:
    """Return what `ncf.compile_epoch` returns; each step runs as a replica of the strategy."""

    def one(users: Any, items: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            chance = model({"user": users, "item": items}, training=True)[:, 0]
            chance = tf.clip_by_value(chance, 1e-7, 1 - 1e-7)
            entropy = labels * tf.math.log(chance) + (1 - labels) * tf.math.log(1 - chance)
            loss = -tf.reduce_mean(entropy) + (tf.add_n(model.losses) if model.losses else 0.0)
            part = loss / workers
        gradients = tape.gradient(part, model.trainable_variables)
        gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
        optimizer.apply(gradients, model.trainable_variables)
        return loss

    @tf.function(reduce_retracing=True)
    def step(*examples: Any) -> Any:
        return strategy.run(one, args=examples)

    def epoch(*examples: Any) -> Any:
        columns = [tf.constant(column) for column in examples]
        starts = range(0, len(examples[0]), batch)
        parts = ([column[start : start + batch] for column in columns] for start in starts)
        return sum(step(*part) for part in parts) / len(starts)

    return epoch


if __name__ == "__main__":
    ncf.join_workers = lambda: (len(hosts), rank, None)
    ncf.compile_epoch = compile_epoch
    with strategy.scope():
        ncf.main(sys.argv[1:])
