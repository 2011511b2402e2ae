"""Chapter 05's job on two workers: real processes, one model."""

import io
import re
import tarfile

import numpy as np
import pytest

from helpers import cloud
from helpers.book import ROOT
from tests.sagemaker.conftest import full
from tests.unit.test_models_ncf import chapters, loaded, two_tastes

pytestmark = full  # three imports of TensorFlow; chapter 05 trains the same script on one worker


@pytest.fixture
def aws():
    yield cloud.connect()
    cloud.disconnect()


def test_two_workers_train_one_model_and_leave_it_in_the_bucket(aws, tmp_path, capsys):
    """Both report falling losses of their own halves; the model tells the two tastes apart."""
    from sagemaker.core import image_uris
    from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig, SourceCode
    from sagemaker.train import ModelTrainer

    clicks, file = two_tastes(), io.BytesIO()
    np.save(file, clicks.frame[["user", "item"]].assign(label=1).to_numpy(np.int32))
    aws.client("s3").put_object(Bucket=aws.bucket, Key="two/train.npy", Body=file.getvalue())
    kind = {"framework": "tensorflow", "version": "2.19", "py_version": "py312"}
    place = {"region": aws.region, "instance_type": "ml.c5.2xlarge", "image_scope": "training"}
    sizes = {"n_user": clicks.n_users, "n_item": clicks.n_items, "factors": 8}
    learning = {"epochs": 20, "batch_size": 256, "learning_rate": 0.02}
    source = str(ROOT / "chapters" / "ncf_job")
    trainer = ModelTrainer(
        training_image=image_uris.retrieve(**kind, **place),
        source_code=SourceCode(source_dir=source, entry_script="ncf.py"),
        compute=Compute(instance_type="ml.c5.2xlarge", instance_count=2),
        hyperparameters=sizes | learning,
        output_data_config=OutputDataConfig(s3_output_path=f"s3://{aws.bucket}/two-models"),
        **{"base_job_name": "course-05-two", "role": aws.role, "sagemaker_session": aws.session},
    )
    data = InputData(channel_name="training", data_source=f"s3://{aws.bucket}/two/train.npy")
    trainer.train(input_data_config=[data])
    job = trainer._latest_training_job
    assert job.training_job_status == "Completed"

    printed = capsys.readouterr().out
    assert {"1", "2"} == set(re.findall(r"worker (\d) of 2, epoch", printed))
    losses = [float(loss) for loss in re.findall(r"loss=(\S+)", printed)]
    assert len(losses) == 40, "20 epochs of two workers"
    assert max(losses[-4:]) < 0.5 * min(losses[:2])

    bucket, key = job.model_artifacts.s3_model_artifacts.removeprefix("s3://").split("/", 1)
    packed = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        names = {name.removeprefix("./") for name in archive.getnames()}
        archive.extractall(tmp_path, filter="data")
    assert {"1/saved_model.pb", "ncf.npz"} <= names
    model = chapters("neumf")(clicks.n_users, clicks.n_items, 8)
    with np.load(tmp_path / "ncf.npz") as values:
        for weight in model.weights:
            weight.assign(values[loaded("ncf").key_of(weight)])
    pairs = np.arange(clicks.n_users * clicks.n_items, dtype=np.int32)
    users, items = np.divmod(pairs, clicks.n_items)
    chance = np.asarray(model({"user": users, "item": items}))[:, 0]
    own = (users + items) % 2 == 0
    assert chance[own].mean() > chance[~own].mean() + 0.4
