"""Two instances and TensorFlow's own collective: gradients of two workers, one model."""

from __future__ import annotations

import io
import json
import tarfile

SCRIPT = """
import json, os
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
rank = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
with strategy.scope():
    w = tf.Variable(0.0)
x = tf.constant([[1.0, 2.0], [3.0, 4.0]][rank])  # this worker's share of y = 3 x

@tf.function
def step():
    def replica():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((w * x - 3 * x) ** 2) / strategy.num_replicas_in_sync
        gradient = tape.gradient(loss, w)
        return tf.distribute.get_replica_context().all_reduce("SUM", gradient)
    return strategy.reduce("MEAN", strategy.run(replica), axis=None)

for _ in range(12):
    gradient = step()
    w.assign_sub(0.05 * gradient)
print(f"worker {rank} of {strategy.num_replicas_in_sync} found {float(w.numpy()):.2f}", flush=True)
json.dump(float(w.numpy()), open(os.environ["SM_MODEL_DIR"] + "/w.json", "w"))
"""


def test_tensorflow_trains_on_two_instances(aws):
    found = aws.train("distributed", SCRIPT, count=2)
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    log = set(aws.job_log("distributed"))
    assert {"worker 0 of 2 found 3.00", "worker 1 of 2 found 3.00"} <= log
    packed = io.BytesIO(aws.get("out/distributed/output/model.tar.gz"))
    with tarfile.open(fileobj=packed) as archive:
        assert abs(json.load(archive.extractfile("w.json")) - 3) < 0.01
