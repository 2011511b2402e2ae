"""Hosts of a training job: a folder of each stands for ``/opt/ml``; its settings and command."""

import json
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_sagemaker import archive
from local_sagemaker.algorithms import Algorithm
from local_sagemaker.jobs import channels, environment, script_mode
from local_sagemaker.service.account import Account
from local_sagemaker.service.store import Record

_FOLDERS = ("input/config", "input/data", "model", "output/data", "code", "checkpoints")
# the drivers wait for the script, which is told to end: what they catch, it does not inherit
_WAIT_SHELL = "trap ':' TERM\n"
_WAIT_PYTHON = "\nimport signal\n\nsignal.signal(signal.SIGTERM, lambda *_: None)\n"


@dataclass
class Host:
    rank: int
    names: list[str]  # of all hosts
    ports: list[int]  # one for each host's TF_CONFIG, and one more for SM_MASTER_PORT
    ml: Path  # stands for /opt/ml
    programs: Path  # holds its python3, whose packages are its own
    config: dict[str, dict[str, Any]]  # what the files of input/config hold, by their names


def make_hosts(account: Account, record: Record, count: int) -> list[Host]:
    names = [f"algo-{number}" for number in range(1, count + 1)]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count + 1)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    folder = account.folder("training", record["TrainingJobName"])
    made = []
    for rank, name in enumerate(names):
        ml = folder / name / "opt" / "ml"
        for part in _FOLDERS:
            (ml / part).mkdir(parents=True)
        programs = environment.interpreter(folder / name / "python")
        made.append(Host(rank, names, ports, ml, programs, {}))
        _fill(account, record, made[-1])
    return made


def _fill(account: Account, record: Record, host: Host) -> None:
    """Copy a host's share of the data, and write the settings that a container finds."""
    instance = record["ResourceConfig"].get("InstanceType", "ml.m5.xlarge")
    group = {"instance_group_name": "homogeneousCluster", "instance_type": instance}
    host.config |= {
        "hyperparameters": record.get("HyperParameters") or {},
        "inputdataconfig": {},
        "resourceconfig": {
            "current_host": host.names[host.rank],
            "current_instance_type": instance,
            "current_group_name": "homogeneousCluster",
            "hosts": host.names,
            "instance_groups": [group | {"hosts": host.names}],
            "network_interface_name": "lo",
        },
    }
    for channel in record.get("InputDataConfig") or []:
        name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
        folder = archive.inside(host.ml / "input" / "data", name)
        channels.fill(account.s3, source, folder, (host.rank, len(host.names)))
        host.config["inputdataconfig"][name] = {
            "TrainingInputMode": "File",
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            "ContentType": channel.get("ContentType", ""),
        }
    for name, value in host.config.items():
        (host.ml / f"input/config/{name}.json").write_text(json.dumps(value), encoding="utf-8")


def command(
    account: Account, record: Record, host: Host, built_in: Algorithm | None
) -> tuple[list[str], Path, dict[str, str]]:
    """Return what runs, where, and with which variables."""
    variables = environment.variables(account.url, account.token, host.programs) | {
        "TRAINING_JOB_NAME": record["TrainingJobName"],
        "TRAINING_JOB_ARN": record["TrainingJobArn"],
        "SAGEMAKER_REGION": environment.REGION,
        "LOCAL_SAGEMAKER_OPT_ML": str(host.ml),
        "SM_HOSTS": json.dumps(host.names),
        "SM_CURRENT_HOST": host.names[host.rank],
    }
    if len(host.names) > 1:
        addresses = [f"127.0.0.1:{port}" for port in host.ports[:-1]]
        task = {"type": "worker", "index": host.rank}
        variables["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
    variables |= record.get("Environment") or {}
    if built_in is not None:
        return [sys.executable, "-m", built_in.module], host.ml, variables
    algorithm = record["AlgorithmSpecification"]
    if algorithm.get("ContainerEntrypoint"):
        _adapt_drivers(host)
        words = [*algorithm["ContainerEntrypoint"], *(algorithm.get("ContainerArguments") or [])]
        return [word.replace("/opt/ml", str(host.ml)) for word in words], host.ml, variables
    script = script_mode.Script(host.ml, record["TrainingJobName"], host.config)
    words = script.prepare(account.s3, host.programs)
    return words, host.ml / "code", script.variables() | variables


def _adapt_drivers(host: Host) -> None:
    """Tell the SDK's driver scripts the folder and the master, and to wait for the script."""
    drivers = host.ml / "input" / "data" / "sm_drivers"
    for path in (path for path in drivers.rglob("*") if path.suffix in (".py", ".sh", ".json")):
        text = path.read_text(encoding="utf-8").replace("/opt/ml", str(host.ml))
        text = text.replace('SM_MASTER_ADDR = "algo-1"', 'SM_MASTER_ADDR = "127.0.0.1"')
        text = text.replace("SM_MASTER_PORT = 7777", f"SM_MASTER_PORT = {host.ports[-1]}")
        if path.suffix == ".sh":
            first, end, rest = text.lstrip().partition("\n")
            text = f"{first}{end}{_WAIT_SHELL}{rest}"
        elif path == drivers / "common" / "utils.py":
            text += _WAIT_PYTHON
        path.write_text(text, encoding="utf-8")
