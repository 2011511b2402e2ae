"""What a training program finds: the folders of ``/opt/ml``, its settings, its variables, its command.

There is no container. A folder stands for ``/opt/ml``; the variable ``COURSE_OPT_ML`` names it, and
the SDK's own driver scripts, which have the path written into them, are told the folder instead.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.service import images, objects
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import Record

_FOLDERS = ("input/config", "input/data", "model", "output/data", "code", "checkpoints")


@dataclass
class Host:
    """One instance of a training job.

    Attributes
    ----------
    name : str
        ``algo-1`` or ``algo-2``.
    rank : int
        0 or 1.
    names : list of str
        All hosts of the job.
    ports : list of int
        A free port a host, for ``TF_CONFIG``; and one more, for the ``SM_MASTER_PORT``.
    ml : pathlib.Path
        The folder that stands for ``/opt/ml``.
    """

    name: str
    rank: int
    names: list[str]
    ports: list[int]
    ml: Path


def hosts(plane: Account, job: str, count: int) -> list[Host]:
    """Make the folders of a job's instances."""
    names = [f"algo-{number}" for number in range(1, count + 1)]
    ports = free_ports(count + 1)
    folder = plane.folder("training", job)
    made = []
    for rank, name in enumerate(names):
        ml = folder / name / "opt" / "ml"
        for part in _FOLDERS:
            (ml / part).mkdir(parents=True)
        made.append(Host(name, rank, names, ports, ml))
    return made


def free_ports(count: int) -> list[int]:
    """Return ports of this machine that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def fill(plane: Account, record: Record, host: Host) -> None:
    """Download the channels and write the settings.

    Raises
    ------
    ApiError
        Data is missing, or would be written outside of the folder.
    """
    channels = {}
    for channel in record.get("InputDataConfig") or []:
        source = channel["DataSource"]["S3DataSource"]
        folder = objects.inside(host.ml / "input" / "data", channel["ChannelName"])
        spread = source.get("S3DataDistributionType", "FullyReplicated")
        if source["S3DataType"] == "ManifestFile":
            objects.download_manifest(plane.s3, source["S3Uri"], folder)
        else:
            share = (host.rank, len(host.names)) if spread == "ShardedByS3Key" else (0, 1)
            objects.download(plane.s3, source["S3Uri"], folder, share)
        channels[channel["ChannelName"]] = {
            "TrainingInputMode": "File",
            "S3DistributionType": spread,
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            "ContentType": channel.get("ContentType", ""),
        }
    instance = record["ResourceConfig"].get("InstanceType", "ml.m5.xlarge")
    group = {
        "instance_group_name": "homogeneousCluster",
        "instance_type": instance,
        "hosts": host.names,
    }
    settings: dict[str, Any] = {
        "hyperparameters": record.get("HyperParameters") or {},
        "inputdataconfig": channels,
        "resourceconfig": {
            "current_host": host.name,
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "hosts": host.names,
            "instance_groups": [group],
            "network_interface_name": "lo",
        },
    }
    for name, value in settings.items():
        (host.ml / "input" / "config" / f"{name}.json").write_text(
            json.dumps(value), encoding="utf-8"
        )


def variables(plane: Account, record: Record, host: Host) -> dict[str, str]:
    """Return the environment of a training program, except what script mode adds."""
    cluster = {"worker": [f"127.0.0.1:{port}" for port in host.ports[: len(host.names)]]}
    task = {"type": "worker", "index": host.rank}
    several = (
        {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})} if len(host.names) > 1 else {}
    )
    return (
        plane.environment()
        | {
            "TRAINING_JOB_NAME": record["TrainingJobName"],
            "TRAINING_JOB_ARN": record["TrainingJobArn"],
            "SAGEMAKER_REGION": plane.region,
            "COURSE_OPT_ML": str(host.ml),
            "SM_HOSTS": json.dumps(host.names),
            "SM_CURRENT_HOST": host.name,
        }
        | several
        | (record.get("Environment") or {})
    )


def command(plane: Account, record: Record, host: Host) -> tuple[list[str], Path, dict[str, str]]:
    """Return what runs, where, and the variables that script mode adds.

    Raises
    ------
    ApiError
        No program stands in for the image.
    """
    algorithm = record["AlgorithmSpecification"]
    settings = record.get("HyperParameters") or {}
    if algorithm.get("ContainerEntrypoint"):
        _move_drivers(host)
        words = [*algorithm["ContainerEntrypoint"], *(algorithm.get("ContainerArguments") or [])]
        return [word.replace("/opt/ml", str(host.ml)) for word in words], host.ml, {}
    if "sagemaker_program" in settings:
        return _toolkit(plane, settings, host)
    image = algorithm.get("TrainingImage") or ""
    built_in = images.algorithm(image)
    if built_in is None:
        raise images.no_training(image)
    return [sys.executable, "-m", built_in.module], host.ml, {}


def _move_drivers(host: Host) -> None:
    """Tell the SDK's driver scripts which folder stands for ``/opt/ml``, and where the master is."""
    for path in sorted((host.ml / "input" / "data" / "sm_drivers").rglob("*")):
        if path.suffix in (".py", ".sh", ".json"):
            text = path.read_text(encoding="utf-8")
            changed = text.replace("/opt/ml", str(host.ml))
            changed = changed.replace('SM_MASTER_ADDR = "algo-1"', 'SM_MASTER_ADDR = "127.0.0.1"')
            changed = changed.replace("SM_MASTER_PORT = 7777", f"SM_MASTER_PORT = {host.ports[-1]}")
            if changed != text:
                path.write_text(changed, encoding="utf-8")


def _toolkit(
    plane: Account, settings: Mapping[str, str], host: Host
) -> tuple[list[str], Path, dict[str, str]]:
    """Do what the framework images' toolkit does for a script of SDK version 2."""
    values = {name: decoded(value) for name, value in settings.items()}
    code = host.ml / "code"
    objects.unpack(plane.s3, values["sagemaker_submit_directory"], code)
    script = objects.inside(code, values["sagemaker_program"])
    if not script.exists():
        raise ApiError(f"ClientError: the source code holds no {values['sagemaker_program']!r}.")
    own = {name: value for name, value in values.items() if not name.startswith("sagemaker_")}
    channels = sorted(path.name for path in (host.ml / "input" / "data").iterdir())
    more = {
        "SM_MODEL_DIR": str(host.ml / "model"),
        "SM_OUTPUT_DATA_DIR": str(host.ml / "output" / "data"),
        "SM_OUTPUT_DIR": str(host.ml / "output"),
        "SM_INPUT_DIR": str(host.ml / "input"),
        "SM_INPUT_CONFIG_DIR": str(host.ml / "input" / "config"),
        "SM_HPS": json.dumps(own),
        "SM_NUM_GPUS": "0",
        "SM_NUM_CPUS": str(os.cpu_count()),
        "SM_CHANNELS": json.dumps(channels),
        "SM_MODULE_DIR": values["sagemaker_submit_directory"],
        "SM_NETWORK_INTERFACE_NAME": "lo",
    }
    more |= {
        f"SM_CHANNEL_{name.upper()}": str(host.ml / "input" / "data" / name) for name in channels
    }
    more |= {
        f"SM_HP_{name.upper().replace('-', '_')}": _encoded(value) for name, value in own.items()
    }
    return [sys.executable, str(script.relative_to(code)), *_arguments(own)], code, more


def _arguments(settings: Mapping[str, Any]) -> Sequence[str]:
    flags = []
    for name, value in settings.items():
        flags += [f"--{name}" if len(name) > 1 else f"-{name}", _encoded(value)]
    return flags


def decoded(value: str) -> Any:
    """Return a hyperparameter as JSON says it, or as it is where it is no JSON."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _encoded(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
