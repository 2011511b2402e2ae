"""The training half of the ``factorization-machines`` image."""

from local_sagemaker.algorithms.container import Container, log, run
from local_sagemaker.algorithms.fm import FactorizationMachine, checked, quality
from local_sagemaker.formats.artifact import FMArtifact, write_model

_LOSSES = ("rmse", "binary_classification_cross_entropy")


def train(container: Container) -> None:
    settings, host = container.settings, container.host
    machine = FactorizationMachine.from_sagemaker(settings, shuffle=False)  # as the real one
    data, test = container.channels()
    if test is not None:
        checked(test.features, test.labels, machine.classifies)
    # undocumented, used in AWS' talk of 2018: a line every so many batches, the epoch's loss so far
    period = int(container.given.get("_speedometer_period", 0))
    n, before = len(data), 0.0
    log(f"Number of GPUs being used: 0; {n} records, {data.features.nnz} non-zeros")

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
            log(f"{place}#011Speed: {speed:.2f} samples/sec#011{shown}")
        for name, value in found.items():
            metric = f"{name} <{'loss' if name in _LOSSES else 'score'}>={value:.10g}"
            log(f"#quality_metric: host={host}, epoch={epoch}, train {metric}")
        log(f"#throughput_metric: host={host}, train throughput={speed:.6f} records/second")

    machine.fit(data.features, data.labels, after)
    if test is not None:
        scores = machine.scores(test.features)
        for name, value in quality(scores, test.labels, machine.classifies).items():
            container.log_test(name, "loss" if name in _LOSSES else "score", value)
    kept = {name: str(value) for name, value in settings.items()}
    fitted = FMArtifact(machine.w0, machine.w1, machine.v, kept, data.dense)
    write_model(container.model_dir, fitted)
    log("Saved the model as model_algo-1")


if __name__ == "__main__":
    run("factorization-machines", train)
