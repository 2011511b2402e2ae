"""A built-in algorithm through the whole service: trained, measured, deployed, asked, and refused."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from scipy import sparse

from helpers.cloud.recordio import write_spmatrix_to_sparse_tensor
from tests.cloud.conftest import BUCKET, ECR, ROLE

IMAGE = f"{ECR}/factorization-machines:1"


def request(name: str, uri: str, **settings: object) -> dict:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}
    channel = {
        "ChannelName": "train",
        "DataSource": source,
        "ContentType": "application/x-recordio-protobuf",
    }
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "HyperParameters": {k: str(v) for k, v in settings.items()},
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "InputDataConfig": [channel],
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
        "ResourceConfig": {"InstanceType": "ml.c5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }


@pytest.fixture(scope="module")
def data(aws) -> str:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 20, 500), rng.integers(0, 10, 500)
    columns = np.stack([users, 20 + items], axis=1).ravel()
    matrix = sparse.csr_matrix(
        (np.ones(1000, "f4"), (np.repeat(np.arange(500), 2), columns)), shape=(500, 30)
    )
    buffer = io.BytesIO()
    write_spmatrix_to_sparse_tensor(buffer, matrix, (users % 5).astype("f4"))
    return aws.put("fm/train", buffer.getvalue())


@pytest.fixture(scope="module")
def done(aws, data) -> dict:
    settings = {
        "feature_dim": 30,
        "num_factors": 2,
        "predictor_type": "regressor",
        "epochs": 3,
        "mini_batch_size": 50,
    }
    aws.sm.create_training_job(**request("fm", data, **settings))
    return aws.trained("fm")


def test_it_trains_and_reports_the_algorithms_own_metrics(done):
    assert done["TrainingJobStatus"] == "Completed", done.get("FailureReason")
    assert {m["MetricName"]: m["Value"] for m in done["FinalMetricDataList"]}["train:rmse"] > 0


def test_it_is_deployed_and_answers(aws, done):
    found = aws.deploy("fm", done["ModelArtifacts"]["S3ModelArtifacts"], IMAGE)
    assert found["EndpointStatus"] == "InService", found.get("FailureReason")
    features = {"keys": [0, 20], "shape": [30], "values": [1, 1]}
    answer = aws.ask("fm", {"instances": [{"data": {"features": features}}]})
    assert np.isfinite(answer["predictions"][0]["score"])
    with pytest.raises(aws.runtime.exceptions.ModelError) as refused:
        aws.runtime.invoke_endpoint(EndpointName="fm", Body=b"1,2", ContentType="text/csv")
    assert 400 <= refused.value.response["OriginalStatusCode"] < 500
    for wrong, sentence in (
        (b"{", "malformed application/json"),
        (b'{"instances": [{"features": [1, 2]}]}', "2 values, but feature_dim is 30"),
        (b'{"instances": [{"features": {"keys": [30], "values": [1]}}]}', "key 30 is out of range"),
        (b'{"instances": [{"features": {"keys": [1], "values": [NaN]}}]}', "NaN"),
    ):
        with pytest.raises(aws.runtime.exceptions.ModelError, match=sentence) as refused:
            aws.ask("fm", wrong)
        assert refused.value.response["OriginalStatusCode"] == 400
    aws.sm.delete_endpoint(EndpointName="fm")


def test_records_are_transformed(aws, done, data):
    from tests.cloud.test_jobs import transform

    aws.model("fm-batch", done["ModelArtifacts"]["S3ModelArtifacts"], IMAGE)
    kind = {"ContentType": "application/x-recordio-protobuf", "SplitType": "RecordIO"}
    found = transform(aws, "fm-records", data, "fm-batch", TransformInput=kind, MaxPayloadInMB=1)
    assert found["TransformJobStatus"] == "Completed", found.get("FailureReason")
    answers = [json.loads(line) for line in aws.get("batch/fm-records/train.out").splitlines()]
    assert len(answers) == 500 and all(np.isfinite(answer["score"]) for answer in answers)


def test_a_wrong_setting_is_the_callers_fault(aws, data):
    aws.sm.create_training_job(
        **request("fm-bad", data, feature_dim=30, num_factors=-1, predictor_type="regressor")
    )
    found = aws.trained("fm-bad")
    assert found["TrainingJobStatus"] == "Failed"
    assert (
        found["FailureReason"].startswith("ClientError: ")
        and "num_factors" in found["FailureReason"]
    )


def test_its_metrics_can_not_be_replaced(aws, data):
    asked = request("fm-metrics", data, feature_dim=30, num_factors=2, predictor_type="regressor")
    asked["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "m", "Regex": "m=(.*)"}]
    with pytest.raises(
        aws.sm.exceptions.ClientError, match="can't override the metric definitions"
    ):
        aws.sm.create_training_job(**asked)


def test_it_is_tuned_by_its_own_metrics(aws, data):
    settings = {
        "feature_dim": 30,
        "num_factors": 2,
        "predictor_type": "regressor",
        "mini_batch_size": 50,
    }
    definition = {k: v for k, v in request("x", data, **settings).items() if k != "TrainingJobName"}
    definition["StaticHyperParameters"] = definition.pop("HyperParameters")
    ranges = {"CategoricalParameterRanges": [{"Name": "epochs", "Values": ["1", "4"]}]}
    aws.sm.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="fm-grid",
        HyperParameterTuningJobConfig={
            "Strategy": "Grid",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "train:rmse"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": ranges,
        },
        TrainingJobDefinition=definition,
    )
    from tests.cloud.test_jobs import tuned

    found = tuned(aws, "fm-grid")
    assert found["HyperParameterTuningJobStatus"] == "Completed", found.get("FailureReason")
    assert found["BestTrainingJob"]["TunedHyperParameters"] == {"epochs": "4"}
    assert json.dumps(found["TrainingJobStatusCounters"]["Completed"]) == "2"
