"""Notebooks that AWS publishes for SDK version 3: their calls, in their order, with own data.

A docstring names the notebook in github.com/aws/sagemaker-python-sdk, or in amazon-sagemaker-examples
there; README lists what was changed.
"""

import functools
import importlib
import io
import json
import os
import tarfile
import time
import types
import uuid
from pathlib import Path

import jsonschema
import pytest
import yaml
from botocore.exceptions import ClientError
from botocore.loaders import JSONFileLoader

from local_sagemaker import clients
from tests.sagemaker.conftest import BUCKET, TELEMETRY, full, tar

pytestmark = pytest.mark.filterwarnings("default")
SAVES = """
import json, os
CODE = '''
import json, os
def model_fn(folder):
    return json.load(open(os.path.join(folder, "model.json")))
def input_fn(body, kind):
    if kind == "application/json":
        return json.loads(body)
    body = body.decode() if isinstance(body, bytes) else body
    return [[float(value) for value in line.split(",")] for line in body.split()]
def predict_fn(rows, factor):
    return [factor * sum(row) for row in rows]
def output_fn(values, accept):
    if accept == "application/json":
        return json.dumps(values), accept
    return "".join(f"{value}\\\\n" for value in values), "text/csv"
'''
folder = os.environ["SM_MODEL_DIR"]
os.makedirs(folder + "/code", exist_ok=True)
open(folder + "/code/inference.py", "w").write(CODE)
json.dump(2, open(folder + "/model.json", "w"))
"""


IMPORTS = """
core.helper.session_helper Session get_execution_role
core.image_uris retrieve
core.common_utils repack_model
core.parameter CategoricalParameter ContinuousParameter
core.resources Endpoint EndpointConfig Model ModelPackage
core.shapes ContainerDefinition InferenceExecutionConfig ProductionVariant StoppingCondition
core.transformer Transformer
serve.builder.schema_builder SchemaBuilder
serve.mode.function_pointers Mode
serve.model_builder ModelBuilder
serve.spec.inference_spec InferenceSpec
serve.utils.types ModelServer
train.configs Compute InputData SourceCode
train.distributed DistributedConfig
train.model_trainer ModelTrainer
train.recipe_resolver flatten_resolved_recipe
train.tuner HyperparameterTuner
"""
SCRIPT_MODE = {"SAGEMAKER_PROGRAM": "inference.py"}
SCRIPT_MODE["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/model/code"
CPU = {"framework": "pytorch", "version": "2.0.0", "py_version": "py310"}
CPU |= {"instance_type": "ml.m5.xlarge", "image_scope": "training"}


@pytest.fixture(scope="module", autouse=True)
def sdk(aws, tmp_path_factory):
    """What the notebooks import, in a process led here as README says, which is quicker to look."""
    import boto3.session

    before = dict(os.environ)
    telemetry = tmp_path_factory.mktemp("sdk") / "config.yaml"
    telemetry.write_text(TELEMETRY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3.session.Session, "client", boto3.session.Session.client)
        clients.use(aws.server)
        os.environ["SAGEMAKER_USER_CONFIG_OVERRIDE"] = str(telemetry)
        from sagemaker.core.utils import utils

        def forget():
            utils.SingletonMeta._instances.clear()
            utils._ClientCacheMeta._instances.clear()

        forget()
        # the SDK has its own settings' schema checked again for each value that it looks up, and
        # botocore's tables read again for each session
        patch.setattr(jsonschema.Draft202012Validator, "check_schema", lambda *_, **__: None)
        read = functools.cache(JSONFileLoader().load_file)
        patch.setattr(JSONFileLoader, "load_file", lambda _, path: read(path))
        sleep = time.sleep
        patch.setattr(time, "sleep", lambda seconds: sleep(min(seconds, 0.1)))
        found = types.SimpleNamespace(forget=forget)
        for module, *names in map(str.split, IMPORTS.strip().splitlines()):
            loaded = importlib.import_module(f"sagemaker.{module}")
            vars(found).update({name: getattr(loaded, name) for name in names})
        yield found
        forget()
        os.environ.clear()
        os.environ.update(before)
        boto3.DEFAULT_SESSION = None


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The notebook's folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_notebook(made):
    """Let a class be one of a notebook, which is pickled with its code."""
    made.__module__ = "__main__"
    return made


def write(folder: Path, **files: str) -> str:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("_txt", ".txt").replace("_py", ".py")).write_text(text)
    return str(folder)


def asked(endpoint, body: str, **how: str) -> str:
    return endpoint.invoke(body=body, **how).body.read().decode("utf-8")


def unique(name: str) -> str:
    return f"{name}-{str(uuid.uuid4())[:8]}"


def repacked(sdk, session, data: str, folder: Path, code: str) -> str:
    """Put inference code into a model archive; return the address of the new one."""
    made, source = data.replace(".tar.gz", "-repacked.tar.gz"), write(folder, inference_py=code)
    sdk.repack_model("inference.py", source, [], data, made, session)
    return made


def in_service(sdk, model: str, **variant):
    """Create a model's configuration and endpoint with the SDK's resources, and wait."""
    variant = {"variant_name": "AllTraffic", "initial_instance_count": 1} | variant
    variants = [sdk.ProductionVariant(model_name=model, **variant)]
    config = sdk.EndpointConfig.create(endpoint_config_name=model, production_variants=variants)
    endpoint = sdk.Endpoint.create(endpoint_name=model, endpoint_config_name=model)
    endpoint.wait_for_status(target_status="InService")
    return endpoint, config


def delete(*resources) -> None:
    for one in resources:
        one.delete()


def test_a_distributed_driver_of_ones_own(sdk, folder):
    """v3-examples/training-examples/custom-distributed-training-example.ipynb"""
    sagemaker_session = sdk.Session()
    sdk.get_execution_role()
    image = sdk.retrieve(region=sagemaker_session.boto_region_name, **CPU)
    drivers = write(
        folder / "custom_drivers",
        driver_py="""
import json, os, subprocess, sys
assert json.loads(os.environ["SM_DISTRIBUTED_CONFIG"])["process_count_per_node"] == 2
assert os.environ["SM_SOURCE_DIR"] == "/opt/ml/input/data/code"
drivers = "/opt/ml/input/data/sm_drivers/distributed_drivers"
assert os.environ["SM_DISTRIBUTED_DRIVER_DIR"] == drivers
subprocess.run([sys.executable, os.environ["SM_ENTRY_SCRIPT"]], check=True)
""",
    )
    scripts = write(
        folder / "scripts",
        entry_script_py="""
import json, os
epochs = json.loads(os.environ["SM_HPS"])["epochs"]
json.dump({"epochs": epochs}, open(os.environ["SM_MODEL_DIR"] + "/results.json", "w"))
""",
    )

    class CustomDriver(sdk.DistributedConfig):
        process_count_per_node: int = None

        @property
        def driver_dir(self) -> str:
            return drivers

        @property
        def driver_script(self) -> str:
            return "driver.py"

    trainer = sdk.ModelTrainer(
        sagemaker_session=sagemaker_session,
        training_image=image,
        hyperparameters={"epochs": 10},
        source_code=sdk.SourceCode(source_dir=scripts, entry_script="entry_script.py"),
        distributed=CustomDriver(process_count_per_node=2),
        base_job_name="custom-distributed-driver",
    )
    trainer.train()
    assert trainer._latest_training_job.training_job_name.startswith("custom-distributed-driver")
    where = trainer._latest_training_job.model_artifacts.s3_model_artifacts
    key = where.removeprefix(f"s3://{sagemaker_session.default_bucket()}/")
    packed = sagemaker_session.s3_client or sagemaker_session.boto_session.client("s3")
    body = packed.get_object(Bucket=sagemaker_session.default_bucket(), Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert json.load(archive.extractfile("results.json")) == {"epochs": 10}


@pytest.mark.parametrize("form", ["json", pytest.param("yaml", marks=full)])
def test_hyperparameters_of_a_file(sdk, folder, form):
    """v3-examples/training-examples/hyperparameter-training-example.ipynb"""
    expected = {"integer": 1, "boolean": True, "float": 3.14, "string": "Hello World"}
    expected |= {"list": [1, 2, 3]}
    expected["dict"] = {**expected, "string": "value", "integer": 3, "dict": {"key": "value"}}
    session = sdk.Session()
    sdk.get_execution_role()
    image = sdk.retrieve(region=session.boto_region_name, **CPU)
    script = f"""
import argparse, json, os, omegaconf
kinds = {{"string": str, "integer": int, "float": float}}
parser = argparse.ArgumentParser()
for name in {sorted(expected)}:
    parser.add_argument("--" + name, type=kinds.get(name, json.loads), required=True)
assert vars(parser.parse_args()) == {expected} == json.loads(os.environ["SM_HPS"])
"""
    source = write(folder / "source", train_py=script, requirements_txt="omegaconf\n")
    given = folder / "source" / f"hyperparameters.{form}"
    given.write_text(json.dumps(expected) if form == "json" else yaml.dump(expected))
    trainer = sdk.ModelTrainer(
        sagemaker_session=session,
        training_image=image,
        hyperparameters=str(given),
        source_code=sdk.SourceCode(
            source_dir=source, requirements="requirements.txt", entry_script="train.py"
        ),
        base_job_name=f"hp-contract-hyperparameter-{form}",
    )
    assert trainer.hyperparameters == expected
    trainer.train()
    assert trainer._latest_training_job.model_artifacts.s3_model_artifacts


def test_a_recipe_and_what_overrides_it(sdk, folder):
    """v3-examples/training-examples/recipe_override_model_trainer_example.ipynb"""
    run = {"name": "mine", "model_type": "amazon.nova-lite", "replicas": 1}
    run["model_name_or_path"] = "amazon-nova-lite-v2"
    nested = {"lr_scheduler": {"warmup_steps": 15, "min_lr": 1e-6}}
    nested["peft"] = {"peft_type": "lora", "rank": 16, "alpha": 32, "dropout": 0.05}
    config = {"learning_rate": 1e-5, "num_epochs": 3, "batch_size": 4, **nested}
    Path("recipe.yaml").write_text(yaml.dump({"run": run, "training_config": config}))
    image = "123456789012.dkr.ecr.us-west-2.amazonaws.com/nova-training:latest"

    def resolved(overrides):
        trainer = sdk.ModelTrainer.from_recipe(
            training_recipe="./recipe.yaml",
            compute=sdk.Compute(instance_type="ml.m5.xlarge", instance_count=1),
            training_image=image,
            recipe_overrides=overrides,
        )
        return trainer.get_resolved_recipe()

    first = resolved({"run": {"name": "42"}, "training_config": {"num_epochs": 5}})
    assert first["run"]["name"] == "42" and first["training_config"]["num_epochs"] == 5
    assert first["training_config"]["batch_size"] == 4
    changed = {"lr_scheduler": {"warmup_steps": 30}, "peft": {"rank": 32, "alpha": 64}}
    flat = sdk.flatten_resolved_recipe(resolved({"training_config": changed}))
    assert (flat["warmup_steps"], flat["rank"], flat["peft_type"]) == (30, 32, "lora")


def test_a_model_in_the_notebooks_own_process(sdk):
    """v3-examples/inference-examples/in-process-mode-example.ipynb"""

    class MathInferenceSpec(sdk.InferenceSpec):
        def load(self, model_dir):
            return {"factor": 2.0}

        def invoke(self, input_object, model):
            found = input_object["numbers"] if isinstance(input_object, dict) else input_object
            return {"result": [number * model["factor"] for number in found]}

    builder = sdk.ModelBuilder(
        inference_spec=MathInferenceSpec(),
        schema_builder=sdk.SchemaBuilder({"numbers": [1.0, 2.0]}, {"result": [2.0, 4.0]}),
        mode=sdk.Mode.IN_PROCESS,
    )
    assert builder.build(model_name=unique("inprocess-math-model")).model_name
    endpoint = builder.deploy_local(endpoint_name=unique("inprocess-math-endpoint"))
    for body, result in (({"numbers": [1.0, 2.0]}, [2.0, 4.0]), ([5.0], [10.0])):
        answer = endpoint.invoke(body=body, content_type="application/json")
        assert answer.body["result"] == result
    endpoint.in_process_mode_obj.destroy_server()


def test_training_and_inference_end_to_end(sdk, folder):
    """v3-examples/inference-examples/train-inference-e2e-example.ipynb"""
    import boto3

    region = sdk.Session().boto_region_name
    image = f"763104351884.dkr.ecr.{region}.amazonaws.com/pytorch-training:1.13.1-cpu-py39"
    code = write(folder / "code", train_py=SAVES, requirements_txt="numpy\n")
    session = sdk.Session(boto_session=boto3.Session(region_name=region))
    trainer = sdk.ModelTrainer(
        sagemaker_session=session,
        training_image=image,
        source_code=sdk.SourceCode(
            source_dir=code, entry_script="train.py", requirements="requirements.txt"
        ),
        base_job_name=unique("e2e-v3-pytorch"),
    )
    trainer.train()

    @in_notebook
    class SimpleInferenceSpec(sdk.InferenceSpec):
        def load(self, model_dir):
            return model_dir

        def invoke(self, input_object, model):
            return input_object

    builder = sdk.ModelBuilder(
        model=trainer,
        schema_builder=sdk.SchemaBuilder([[0.1, 0.2, 0.3, 0.4]], [[0.8, 0.2]]),
        model_server=sdk.ModelServer.TORCHSERVE,
        inference_spec=SimpleInferenceSpec(),
        image_uri=image.replace("training", "inference"),
        dependencies={"auto": False},
    )
    model = builder.build(model_name=unique("train-inf-v3-example-model"), region=region)
    name = unique("train-inf-v3-example-endpoint")
    endpoint = builder.deploy(endpoint_name=name, initial_instance_count=1)
    for row in ([0.5, 0.25], [1.0, 2.0]):
        said = asked(endpoint, json.dumps([row]), content_type="application/json")
        assert json.loads(said) == [2 * sum(row)]
    found = sdk.Endpoint.get(endpoint_name=endpoint.endpoint_name)
    config = sdk.EndpointConfig.get(endpoint_config_name=found.endpoint_config_name)
    delete(model, endpoint, config)


def test_an_inference_pipeline(sdk, folder):
    """v3-examples/inference-examples/inference-pipeline-modelbuilder-vs-core-example.ipynb"""
    import boto3

    session = sdk.Session()
    role, region = sdk.get_execution_role(), session.boto_region_name
    bucket, key = session.default_bucket(), unique("inference-pipeline-v3/") + "/data/train.csv"
    write(folder, train_csv="1,2,0\n3,4,1\n")
    boto3.client("s3").upload_file("train_csv", bucket, key)
    data = f"s3://{bucket}/{key}"

    def trained(name, image, script, **more):
        trainer = sdk.ModelTrainer(
            training_image=image,
            source_code=sdk.SourceCode(
                source_dir=write(folder / name, train_py=script), entry_script="train.py"
            ),
            base_job_name=name,
            role=role,
            sagemaker_session=session,
            **more,
        )
        trainer.train(input_data_config=[sdk.InputData(channel_name="train", data_source=data)])
        return trainer._latest_training_job.model_artifacts.s3_model_artifacts

    image = sdk.retrieve(framework="sklearn", region=region, version="1.4-2", py_version="py3")
    script = "import joblib, os\njoblib.dump(10, os.environ['SM_MODEL_DIR'] + '/model.joblib')\n"
    scaler = trained("sklearn-preprocess", image, script)
    boosted_image = sdk.retrieve(framework="xgboost", region=region, version="3.0-5")
    settings = {"num-round": 100, "max-depth": 5, "eta": 0.2}
    boosted = trained("xgboost-classifier", boosted_image, SAVES, hyperparameters=settings)
    inference = """
import joblib
def model_fn(folder):
    return joblib.load(folder + "/model.joblib")
def input_fn(body, kind):
    assert kind == "text/csv", kind
    return [[float(value) for value in line.split(",")] for line in body.strip().split("\\n")]
def predict_fn(rows, factor):
    return [[factor * value for value in row] for row in rows]
def output_fn(rows, accept):
    return "\\n".join(",".join(map(str, row)) for row in rows), "text/csv"
"""
    with_code = repacked(sdk, session, scaler, folder / "inference", inference)
    own = {"image": image, "model_data_url": with_code, "environment": SCRIPT_MODE}
    other = {"image": boosted_image, "model_data_url": boosted}

    def ask(endpoint):
        how = {"content_type": "text/csv", "accept": "text/csv"}
        return [float(v) for v in asked(endpoint, "1,2\n3,4", **how).strip().split("\n")]

    models = [
        sdk.Model.create(
            model_name=unique(name),
            primary_container=sdk.ContainerDefinition(**container),
            execution_role_arn=role,
        )
        for name, container in (("sklearn-model", own), ("xgboost-model", other))
    ]
    builder = sdk.ModelBuilder(model=models, role_arn=role, sagemaker_session=session)
    built = builder.build()
    endpoint = builder.deploy(
        endpoint_name=unique("pipeline-mb"), instance_type="ml.m5.large", initial_instance_count=1
    )
    assert ask(endpoint) == [60.0, 140.0]
    delete(endpoint, *models, built)

    name = unique("pipeline")
    model = sdk.Model.create(
        model_name=name,
        containers=[
            sdk.ContainerDefinition(container_hostname="preprocessing", **own),
            sdk.ContainerDefinition(container_hostname="inference", **other),
        ],
        inference_execution_config=sdk.InferenceExecutionConfig(mode="Serial"),
        execution_role_arn=role,
    )
    endpoint, config = in_service(sdk, name, instance_type="ml.m5.large")
    assert ask(endpoint) == [60.0, 140.0]
    delete(endpoint, config, model)


def invoked(endpoint_name):
    from sagemaker.core.resources import Endpoint

    endpoint = Endpoint(endpoint_name=endpoint_name)
    response = endpoint.invoke(
        body=json.dumps("{Bloomberg has decided to publish a new report.}"),
        content_type="application/json",
        accept="application/json",
    )
    payload = response.body.read()
    return payload.decode("utf-8") if isinstance(payload, bytes) else payload


def test_callers_at_once_of_a_model_with_code_of_its_own(sdk, folder, aws):
    """deploy_and_monitor/sm-batch_inference_with_torchserve/….ipynb"""
    import multiprocessing

    import boto3

    sm_sess, role = sdk.Session(), sdk.get_execution_role()
    region = boto3.Session().region_name
    assert boto3.client("sts").get_caller_identity().get("Account")
    assert sm_sess.default_bucket() == BUCKET and sm_sess.default_bucket_prefix is None
    model_artifact = aws.archive("ts-batching/models/BERT.tar.gz", {"model.json": '"news"'})
    python = {"version": "1.13.1", "py_version": "py39", "image_scope": "inference"}
    image_uri = sdk.retrieve("pytorch", region, instance_type="ml.c5.9xlarge", **python)
    inference = "import json\ndef model_fn(d): return json.load(open(d + '/model.json'))\n"
    inference += "def input_fn(body, kind): return json.loads(body)\n"
    inference += "def predict_fn(text, label): return label if 'Bloom' in text else None\n"
    environment = {"SAGEMAKER_TS_BATCH_SIZE": "3", "SAGEMAKER_TS_MAX_BATCH_DELAY": "100000"}
    environment |= {"SAGEMAKER_TS_MIN_WORKERS": "1", "SAGEMAKER_TS_MAX_WORKERS": "1"}
    name = unique("hf-dynamic-torchserve-sagemaker")
    model = sdk.Model.create(
        model_name=name,
        primary_container=sdk.ContainerDefinition(
            image=image_uri,
            model_data_url=repacked(sdk, sm_sess, model_artifact, folder / "code", inference),
            environment=environment | SCRIPT_MODE,
        ),
        execution_role_arn=role,
    )
    given = {"instance_type": "ml.c5.18xlarge", "initial_variant_weight": 1.0}
    predictor, config = in_service(sdk, name, **given)
    sdk.forget()  # no request was made yet in the notebook: its processes share no connection
    pool = multiprocessing.Pool(3)
    results = pool.map(invoked, 3 * [predictor.endpoint_name])
    pool.close()
    pool.join()
    assert [json.loads(result) for result in results] == 3 * ["news"]
    delete(predictor, config, model)


def test_a_transform_that_leaves_a_column_out(sdk, aws):
    """v3-examples/ml-ops-examples/v3-transform-job-example.ipynb"""
    import boto3

    region, role, session = boto3.Session().region_name, sdk.get_execution_role(), sdk.Session()
    bucket, prefix = session.default_bucket(), "demo-transform"
    code = SAVES.split("'''")[1].replace("\\\\", "\\")
    aws.put(f"{prefix}/model.tar.gz", tar({"code/inference.py": code, "model.json": "2"}))
    aws.put(f"{prefix}/transform_input/validation/validation.csv", "100,2,3\n100,4,5\n")
    builder = sdk.ModelBuilder(
        image_uri=sdk.retrieve("xgboost", region, "0.90-1"),
        s3_model_data_url=f"https://{bucket}.s3-{region}.amazonaws.com/{prefix}/model.tar.gz",
        role_arn=role,
        sagemaker_session=session,
    )
    name = "my-transform-model"
    builder.build(model_name=name)
    transformer = sdk.Transformer(
        model_name=name,
        instance_count=1,
        instance_type="ml.m5.xlarge",
        accept="text/csv",
        assemble_with="Line",
        output_path=f"s3://{bucket}/{prefix}/transform-outputs",
        sagemaker_session=session,
    )
    transformer.transform(
        f"s3://{bucket}/{prefix}/transform_input/validation",
        content_type="text/csv",
        split_type="Line",
        input_filter="$[1:]",
    )
    assert aws.get(f"{prefix}/transform-outputs/validation.csv.out") == b"10.0\n18.0\n"
    refused = {"$.a": ("text/csv", r"The filter '\$.a' can't"), "$[1:]": ("a/b", "takes text/csv")}
    for path, (kind, sentence) in refused.items():
        with pytest.raises(ClientError, match=sentence):
            transformer.transform(f"s3://{bucket}", content_type=kind, input_filter=path)


def test_a_model_in_the_registry(sdk, folder):
    """v3-examples/ml-ops-examples/v3-model-registry-example/v3-model-registry-example.ipynb"""
    import boto3

    sagemaker_session, role = sdk.Session(), sdk.get_execution_role()
    region = sagemaker_session.boto_region_name
    kind = {"version": "1.0-1", "py_version": "py3", "instance_type": "ml.m5.xlarge"}
    image_uri = sdk.retrieve(framework="xgboost", region=region, **kind)
    s3, bucket = boto3.client("s3"), sagemaker_session.default_bucket()
    (folder / "model.tar.gz").write_bytes(tar({"xgboost-model": "trained before"}))
    s3.upload_file("model.tar.gz", bucket, "registry-testing/model.tar.gz")
    s3_url = f"s3://{bucket}/registry-testing/model.tar.gz"
    given = {"role_arn": role, "sagemaker_session": sagemaker_session}
    model_builder = sdk.ModelBuilder(s3_model_data_url=s3_url, image_uri=image_uri, **given)
    model_builder.build(model_name="my-model")
    name, kinds = "my-model-package-group", ["application/json"]
    both = {"content_types": kinds, "response_types": kinds}
    more = {"inference_instances": ["ml.m5.xlarge"], "approval_status": "Approved"}
    first = model_builder.register(model_package_group_name=name, **both, **more)
    model = sdk.Model.get(model_name="my-model")
    image_uri, s3_url = model.primary_container.image, model.primary_container.model_data_url
    model_builder = sdk.ModelBuilder(image_uri=image_uri, s3_model_data_url=s3_url, role_arn=role)
    other = "my-model-group-from-existing-model"
    registered = model_builder.register(model_package_group_name=other, **both)
    sagemaker_client = boto3.client("sagemaker", region_name=region)
    approved = {"ModelPackageArn": registered, "ModelApprovalStatus": "Approved"}
    sagemaker_client.update_model_package(**approved)
    model_package = sdk.ModelPackage.get(model_package_name=registered)
    assert model_package.model_approval_status == "Approved"
    container = model_package.inference_specification.containers[0]
    data = {"s3_model_data_url": container.model_data_url, "image_uri": container.image}
    model_builder = sdk.ModelBuilder(**data, **given)
    model = model_builder.build(model_name="my-model-from-registry")
    assert model.primary_container.model_data_url == s3_url
    again = model_builder.register(model_package_group_name=name, **both)
    ends = f"/{name}/1", f"/{other}/1", f"/{name}/2"
    assert all(map(str.endswith, (first, registered, again), ends))
    request = {"ModelPackageGroupName": name, "ClientToken": "x" * 36}
    arns = {sagemaker_client.create_model_package(**request)["ModelPackageArn"] for _ in "ab"}
    assert arns == {again.replace("/2", "/3")}, "a request that is sent again is one version"


def test_hyperparameter_tuning(sdk, folder):
    """v3-examples/ml-ops-examples/v3-hyperparameter-tuning-example/….ipynb"""
    session = sdk.Session()
    region, bucket = session.boto_region_name, session.default_bucket()
    assert session.account_id() and session.default_bucket_prefix is None
    write(folder / "data", images_txt="1")
    uri = session.upload_data(path="data", bucket=bucket, key_prefix="v3-hpo-pytorch-mnist/data")
    Path("mnist.py").write_text(
        """
import argparse
parser = argparse.ArgumentParser()
for name in ("lr", "batch-size", "epochs", "backend"):
    parser.add_argument("--" + name, required=True)
print(f"Test set: Average loss: {float(parser.parse_args().lr):.4f}, Accuracy: 9/10")
"""
    )
    trainer = sdk.ModelTrainer(
        training_image=f"763104351884.dkr.ecr.{region}.amazonaws.com/pytorch-training:1.10.0-gpu-py38",
        source_code=sdk.SourceCode(source_dir=".", entry_script="mnist.py"),
        compute=sdk.Compute(instance_type="ml.m5.xlarge", instance_count=1, volume_size_in_gb=30),
        stopping_condition=sdk.StoppingCondition(max_runtime_in_seconds=3600),
        hyperparameters={"epochs": 1, "backend": "gloo"},
        sagemaker_session=session,
        role=sdk.get_execution_role(),
        base_job_name="pytorch-mnist-hpo",
    )
    tuner = sdk.HyperparameterTuner(
        model_trainer=trainer,
        objective_metric_name="average test loss",
        hyperparameter_ranges={
            "lr": sdk.ContinuousParameter(0.001, 0.1),
            "batch-size": sdk.CategoricalParameter([32, 64, 128, 256, 512]),
        },
        metric_definitions=[{"Name": "average test loss", "Regex": r"Average loss: ([0-9\.]+)"}],
        max_jobs=3,
        max_parallel_jobs=2,
        strategy="Random",
        objective_type="Minimize",
        early_stopping_type="Auto",
    )
    tuner.tune(inputs=[sdk.InputData(channel_name="training", data_source=uri)], wait=False)
    found = tuner.describe()
    assert found.hyper_parameter_tuning_job_name == tuner._current_job_name
    assert found.hyper_parameter_tuning_job_status in ("InProgress", "Completed")
    tuner.wait()
    table = tuner.analytics().dataframe()
    best = table.sort_values("FinalObjectiveValue").iloc[0]
    assert len(table) == 3 and tuner.best_training_job() == best["TrainingJobName"]


def test_the_readme_lists_every_notebook_of_this_file_and_counts_them():
    readme = (Path(clients.__file__).with_name("README.md")).read_text(encoding="utf-8")
    rows = [line for line in readme.splitlines() if ".ipynb` |" in line]
    counted = [row for row in rows if "| works" in row and "not count" not in row]
    assert len(counted) == 10 and "ten of the training and inference notebooks do" in readme
    listed = {d.split()[0] for d in (f.__doc__ for f in globals().values() if callable(f)) if d}
    for row in counted:
        name = row.split("`")[1]
        assert {name, f"{name.rpartition('/')[0]}/….ipynb"} & listed, name
