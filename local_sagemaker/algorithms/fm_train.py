"""The training half of the ``factorization-machines`` image."""

from __future__ import annotations

from local_sagemaker.algorithms.container import Container, run
from local_sagemaker.algorithms.fm import FactorizationMachine, checked, quality
from local_sagemaker.formats.artifact import FMArtifact, write_model

_LOSSES = ("rmse", "binary_classification_cross_entropy")


def train(container: Container) -> None:
    """Train, log as the container logs, test where there is a test channel, write the artifact.

    The rows are taken in the order of the files, the same in every epoch, as the real container
    takes them. ``_speedometer_period``, undocumented but used in AWS' own talk of 2018, adds a
    line every so many batches, with the loss of the epoch so far.
    """
    settings, host = container.settings, container.host
    machine = FactorizationMachine.from_sagemaker(settings, shuffle=False)
    data, test = container.channels()
    if test is not None:
        checked(test.features, test.labels, machine.classifies)
    period = int(container.given.get("_speedometer_period", 0))
    n, width = data.features.shape
    found = f"{n} records of {width} features, {data.features.nnz} non-zeros"
    container.log(f"Number of GPUs being used: 0; {found}")
    before = 0.0

    def after(epoch: int, found: dict[str, float]) -> None:
        nonlocal before
        speed, before = n / (machine.seconds - before), machine.seconds
        last, (scores, labels) = -(-n // machine.batch_size) - 1, machine.progress
        for batch in [*(range(period, last, period) if period else ()), last]:
            rows, values = slice((batch + 1) * machine.batch_size), found
            if batch < last:
                values = quality(scores[rows], labels[rows], machine.classifies)
            shown = "#011".join(f"{name}={value:f}" for name, value in values.items())
            place = f"Epoch[{epoch}] Batch [{batch}]"
            container.log(f"{place}#011Speed: {speed:.2f} samples/sec#011{shown}")
        for name, value in found.items():
            metric = f"{name} <{'loss' if name in _LOSSES else 'score'}>={value:.10g}"
            container.log(f"#quality_metric: host={host}, epoch={epoch}, train {metric}")
        rate = f"train throughput={speed:.6f} records/second"
        container.log(f"#throughput_metric: host={host}, {rate}")

    machine.fit(data.features, data.labels, after)
    if test is not None:
        scores = machine.scores(test.features)
        for name, value in quality(scores, test.labels, machine.classifies).items():
            container.log_test(name, "loss" if name in _LOSSES else "score", value)
    kept = {name: str(value) for name, value in settings.items()}
    model = FMArtifact(machine.w0, machine.w1, machine.v, kept, data.dense)
    write_model(container.model_dir, model)
    container.log("Saved the model as model_algo-1")


if __name__ == "__main__":
    run("factorization-machines", train)
