"""The training half of the ``factorization-machines`` image."""

from __future__ import annotations

from local_sagemaker.algorithms import BUILTIN
from local_sagemaker.algorithms.container import Container, CustomerError, run
from local_sagemaker.algorithms.fm import AdamFM, quality
from local_sagemaker.formats.artifact import FMArtifact, write_model

_LOSSES = ("rmse", "binary_classification_cross_entropy")


def train(container: Container) -> None:
    """Train, log as the container logs, test where there is a test channel, write the artifact.

    The rows are taken in the order of the files, every epoch the same, as the real container takes them:
    whoever sends rows shuffles them first. ``_speedometer_period``, undocumented but used in AWS' own talk of
    2018, adds a line every so many batches, with the loss of the epoch so far.

    Parameters
    ----------
    container : Container
        Of the job.

    Raises
    ------
    CustomerError
        The data does not fit, or the job asks for more than one instance.
    ValueError
        A hyperparameter is not allowed.
    """
    settings = BUILTIN["factorization-machines"].settings(container.hyperparameters)
    if len(container.hosts) > 1:
        raise CustomerError(
            f"instance_count {len(container.hosts)}: this machine trains factorization-machines on one "
            "instance"
        )
    width = settings.pop("feature_dim")
    records = container.channel("train", width)
    if records is None:
        raise CustomerError("Missing required channel: 'train'")
    if records.labels is None:
        raise CustomerError("channel 'train': the records have no labels to learn from")
    test = container.channel("test", width)
    machine = AdamFM.from_sagemaker(settings, shuffle=False)
    period = int(container.hyperparameters.get("_speedometer_period", 0))
    x, y, host = records.features, records.labels, container.host
    container.log(
        f"Number of GPUs being used: 0; {len(y)} records of {width} features, {x.nnz} non-zeros"
    )
    before = 0.0

    def after(epoch: int, found: dict[str, float]) -> None:
        nonlocal before
        speed = len(y) / (machine.seconds - before)
        batches = -(-len(y) // machine.batch_size)
        scores, labels = machine.progress
        for last in [*(range(period, batches - 1, period) if period else ()), batches - 1]:
            rows = slice((last + 1) * machine.batch_size)
            so_far = (
                found
                if last == batches - 1
                else quality(scores[rows], labels[rows], machine.classifies)
            )
            shown = "#011".join(f"{name}={value:f}" for name, value in so_far.items())
            container.log(
                f"Epoch[{epoch}] Batch [{last}]#011Speed: {speed:.2f} samples/sec#011{shown}"
            )
        for name, value in found.items():
            mark = "loss" if name in _LOSSES else "score"
            container.log(
                f"#quality_metric: host={host}, epoch={epoch}, train {name} <{mark}>={value:.10g}"
            )
        container.log(
            f"#throughput_metric: host={host}, train throughput={speed:.6f} records/second"
        )
        before = machine.seconds

    machine.fit(x, y, after)
    if test is not None and test.labels is not None:
        for name, value in quality(
            machine.scores(test.features), test.labels, machine.classifies
        ).items():
            mark = "loss" if name in _LOSSES else "score"
            container.log(f"#test_score ({host}) : ('{name}', {value!r})")
            container.log(f"#quality_metric: host={host}, test {name} <{mark}>={value:.10g}")
    kept = {"feature_dim": str(width), **{name: str(value) for name, value in settings.items()}}
    write_model(container.model_dir, FMArtifact(machine.w0, machine.w1, machine.v, kept))
    container.log("Saved the model as model_algo-1")


if __name__ == "__main__":
    run(train)
