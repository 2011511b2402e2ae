"""Script mode of SDK version 2: what the ``sagemaker-training`` toolkit of AWS' images does."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

from local_sagemaker import archive
from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels

_SUBMITTED = "sagemaker_submit_directory"


class Script:
    """A script, and what the settings of its host in the folder ``ml`` say to it."""

    def __init__(self, ml: Path, job: str, config: dict[str, dict[str, Any]]) -> None:
        self._ml, self._job, self._config = ml, job, config
        settings = {name: _decoded(v) for name, v in config["hyperparameters"].items()}
        self._own = {k: v for k, v in settings.items() if k.startswith("sagemaker_")}
        self._given = {k: v for k, v in settings.items() if k not in self._own}
        self._given.pop("_tuning_objective_metric", None)
        self._program = str(settings["sagemaker_program"])

    def prepare(self, s3: Any, programs: Path) -> list[str]:
        """Unpack the source code; return the command that installs its packages and runs it."""
        code, name = self._ml / "code", self._program
        if not self._own.get(_SUBMITTED):
            said = f"the hyperparameter {_SUBMITTED!r} is missing, the S3 URI of a tar.gz of code"
            raise ApiError(f"ClientError: {said}.")
        channels.unpack(s3, str(self._own[_SUBMITTED]), code)
        path = archive.inside(code, name)
        if not path.is_file():
            raise ApiError(f"ClientError: the source code holds no {name!r}.")
        if not name.endswith(".py"):
            path.chmod(0o777)
            return ["/bin/sh", "-c", shlex.join([f"./{name}", *self._arguments()])]
        python, package = str(programs / "python3"), (code / "setup.py").exists()
        run = [python, "-m", name.removesuffix(".py")] if package else [python, name]
        run += self._arguments()
        packages = ["."] if package else []
        packages += ["-r", "requirements.txt"] if (code / "requirements.txt").exists() else []
        if not packages:
            return run
        install = shlex.join([python, "-m", "pip", "install", *packages])
        return ["/bin/sh", "-c", f'{install} && exec "$@"', "sh", *run]

    def _arguments(self) -> list[str]:
        """Return the hyperparameters as arguments: ``str`` of each, sorted by name."""
        words = []
        for name, value in sorted(self._given.items()):
            if isinstance(value, dict):
                value = ",".join(f"{k}={v}" for k, v in sorted(value.items()))
            words += [f"--{name}" if len(name) > 1 else f"-{name}"]
            words += ["" if value is None else str(value)]
        return words

    def variables(self) -> dict[str, str]:
        resources, inputs = self._config["resourceconfig"], self._config["inputdataconfig"]
        folders = {name: str(self._ml / "input" / "data" / name) for name in inputs}
        alike = ("hosts", "current_host", "current_instance_type", "network_interface_name")
        both: dict[str, Any] = {name: resources[name] for name in alike} | {
            "resource_config": resources,
            "input_data_config": inputs,
            "user_entry_point": self._program,
            "module_name": self._program.removesuffix(".py"),
            "module_dir": str(self._own.get(_SUBMITTED)),
            "log_level": self._own.get("sagemaker_container_log_level", 20),
            "num_cpus": os.cpu_count(),
            "num_gpus": 0,
        }
        for name in ("model", "input", "input/config", "output", "output/data"):
            both[f"{name.replace('/', '_')}_dir"] = str(self._ml / name)
        training = both | {
            "hyperparameters": self._given,
            "channel_input_dirs": folders,
            "job_name": self._job,
            "is_master": resources["current_host"] == resources["hosts"][0],
        }
        values = both | {
            "hps": self._given,
            "channels": sorted(inputs),
            "training_env": training,
            "user_args": self._arguments(),
        }
        values |= {f"channel_{name}": folder for name, folder in folders.items()}
        # no name of a variable has a =
        values |= {f"hp_{name}": value for name, value in self._given.items() if "=" not in name}
        return {f"SM_{name.upper()}": _encoded(value) for name, value in values.items()}


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _encoded(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
