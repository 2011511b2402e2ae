"""A built-in algorithm through the whole service: trained, measured, deployed, asked, refused."""

import json

import numpy as np
import pytest
from botocore.exceptions import ClientError

from helpers.models.fm import side_by_side
from tests.sagemaker.conftest import ECR, job_request
from tests.sagemaker.jobs import records
from tests.sagemaker.test_jobs import transform

IMAGE = f"{ECR}/factorization-machines:1"
KIND = "application/x-recordio-protobuf"


def request(name: str, uri: str, **settings: object) -> dict:
    given = {"feature_dim": 30, "num_factors": 2, "predictor_type": "regressor"} | settings
    made = job_request(name, IMAGE, uri, {k: str(v) for k, v in given.items()})
    made["InputDataConfig"][0]["ContentType"] = KIND
    return made


@pytest.fixture(scope="module")
def data(aws) -> str:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, 500), rng.integers(0, 10, 500)
    labels = (users % 5).astype("f4")
    return aws.put("fm/train", records(side_by_side((users, 20), (items, 10)), labels))


@pytest.fixture(scope="module")
def done(aws, data) -> dict:
    aws.sm.create_training_job(**request("fm", data, epochs=3, mini_batch_size=50))
    return aws.trained("fm")


def test_it_is_trained_measured_and_deployed(aws, done):
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    assert {m["MetricName"]: m["Value"] for m in done["FinalMetricDataList"]}["train:rmse"] > 0
    found = aws.deploy("fm", done["ModelArtifacts"]["S3ModelArtifacts"], IMAGE)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    features = {"keys": [0, 20], "shape": [30], "values": [1, 1]}
    answer = aws.ask("fm", {"instances": [{"data": {"features": features}}]})
    assert np.isfinite(answer["predictions"][0]["score"])
    for body, kind, status in ((b"1,2", "text/csv", 415), (b"{", "application/json", 400)):
        with pytest.raises(aws.runtime.exceptions.ModelError) as refused:
            aws.ask("fm", body, ContentType=kind)
        assert refused.value.response["OriginalStatusCode"] == status
    aws.sm.delete_endpoint(EndpointName="fm")


def test_records_are_transformed(aws, done, data):
    aws.model("fm-batch", done["ModelArtifacts"]["S3ModelArtifacts"], IMAGE)
    kind = {"ContentType": KIND, "SplitType": "RecordIO"}
    transform(aws, "fm-records", data, "fm-batch", TransformInput=kind, MaxPayloadInMB=1)
    answers = [json.loads(line) for line in aws.get("batch/fm-records/train.out").splitlines()]
    assert len(answers) == 500 and all(np.isfinite(answer["score"]) for answer in answers)


def test_a_wrong_setting_is_the_callers_fault_and_metrics_can_not_be_replaced(aws, data):
    aws.sm.create_training_job(**request("fm-bad", data, num_factors=-1))
    found = aws.trained("fm-bad")
    assert found["TrainingJobStatus"] == "Failed"
    reason = found["FailureReason"]
    assert reason.startswith("ClientError: ") and "num_factors" in reason

    wanted = request("fm-metrics", data)
    wanted["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "m", "Regex": "m=(.*)"}]
    with pytest.raises(ClientError, match="can't override the metric definitions"):
        aws.sm.create_training_job(**wanted)
