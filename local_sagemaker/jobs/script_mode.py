"""Script mode of SDK version 2: what the ``sagemaker-training`` toolkit of AWS' images does."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

from local_sagemaker.errors import ApiError
from local_sagemaker.jobs import channels

_SUBMITTED = "sagemaker_submit_directory"
_OWN = ("sagemaker_", "_tuning_objective_metric")
# settings of the toolkit itself; any other that begins with sagemaker_ is the framework's
_TOOLKIT = {"program", "submit_directory", "enable_cloudwatch_metrics", "region", "job_name"}
_TOOLKIT |= {"container_log_level", "s3_output"}


class Script:
    """A script of the reader's and the settings that a job in ``ml`` has for it."""

    def __init__(self, ml: Path, job: str) -> None:
        self._ml, self._job = ml, job
        self._settings = {k: _decoded(v) for k, v in self._config("hyperparameters").items()}
        self._given = {k: v for k, v in self._settings.items() if not k.startswith(_OWN)}
        self._program = str(self._settings["sagemaker_program"])

    def _config(self, name: str) -> dict[str, Any]:
        path = self._ml / "input" / "config" / f"{name}.json"
        return dict(json.loads(path.read_text(encoding="utf-8")))

    def prepare(self, s3: Any, programs: Path) -> list[str]:
        """Unpack the source code; return the command that installs its packages and runs it.

        Raises
        ------
        ApiError
            The source code is not there, or lacks the script.
        """
        code, name = self._ml / "code", self._program
        if not self._settings.get(_SUBMITTED):
            raise ApiError(
                f"ClientError: the hyperparameter {_SUBMITTED!r} is missing, which names the S3 URI"
                " of the source code as tar.gz; the images' own code is not on this machine."
            )
        channels.unpack(s3, str(self._settings[_SUBMITTED]), code)
        path = channels.inside(code, name)
        if not path.is_file():
            raise ApiError(f"ClientError: the source code holds no {name!r}.")
        python = str(programs / "python3")
        if not name.endswith(".py"):
            path.chmod(0o777)
            return ["/bin/sh", "-c", shlex.join([f"./{name}", *self._arguments()])]
        package = (code / "setup.py").exists()
        packages = ["."] if package else []
        if (code / "requirements.txt").exists():
            packages += ["-r", "requirements.txt"]
        run = [python, *(["-m", name.removesuffix(".py")] if package else [name])]
        if not packages:
            return [*run, *self._arguments()]
        install = shlex.join([python, "-m", "pip", "install", *packages])
        return ["/bin/sh", "-c", f'{install} && exec "$@"', "sh", *run, *self._arguments()]

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
        """Return the variables that the toolkit sets."""
        resources, inputs = self._config("resourceconfig"), self._config("inputdataconfig")
        settings = self._settings
        folders = {name: str(self._ml / "input" / "data" / name) for name in inputs}
        framework = {
            k: v
            for k, v in settings.items()
            if k.startswith("sagemaker_") and k.removeprefix("sagemaker_") not in _TOOLKIT
        }
        values: dict[str, Any] = {
            "hosts": resources["hosts"],
            "current_host": resources["current_host"],
            "current_instance_type": resources["current_instance_type"],
            "current_instance_group": resources["current_group_name"],
            "network_interface_name": resources["network_interface_name"],
            "resource_config": resources,
            "input_data_config": inputs,
            "channels": sorted(inputs),
            "hps": self._given,
            "framework_params": framework,
            "user_entry_point": self._program,
            "module_name": self._program.removesuffix(".py"),
            "module_dir": str(settings.get(_SUBMITTED)),
            "log_level": settings.get("sagemaker_container_log_level", 20),
            "num_cpus": os.cpu_count(),
            "num_gpus": 0,
            "num_neurons": 0,
            "model_dir": str(self._ml / "model"),
            "input_dir": str(self._ml / "input"),
            "input_config_dir": str(self._ml / "input" / "config"),
            "output_dir": str(self._ml / "output"),
            "output_data_dir": str(self._ml / "output" / "data"),
        }
        training = values | {
            "hyperparameters": self._given,
            "additional_framework_parameters": framework,
            "channel_input_dirs": folders,
            "job_name": self._job,
            "is_master": resources["current_host"] == resources["hosts"][0],
        }
        for renamed in ("hps", "framework_params", "channels"):
            del training[renamed]
        values |= {"training_env": training, "user_args": self._arguments()}
        values |= {f"channel_{name}": folder for name, folder in folders.items()}
        values |= {f"hp_{name}": value for name, value in self._given.items()}
        return {f"SM_{name.upper()}": _encoded(value) for name, value in values.items()}


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _encoded(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
