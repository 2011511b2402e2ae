"""Environment of the programs that the service starts: their Python and their variables."""

import os
import re
import sys
import venv
from pathlib import Path

from local_sagemaker.files import ROOT, loopback_without_proxy, write

REGION = "us-west-2"
#: Variables with which no AWS client finds an account of the machine.
NO_ACCOUNT = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
# what a program needs of this machine: to start, to install, to compute the same numbers
_KEPT = re.compile(
    r"HOME|LANG|TMPDIR|TZ|USER|PATH|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|PYTHONHASHSEED|PYTHONPATH"
    r"|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|REQUESTS_CA_BUNDLE"
    r"|(LC|OMP|MKL|OPENBLAS|TF|MXNET|KMP|KERAS|CUDA|NVIDIA|XLA|SSL)_\w+"
)
# secrets (Terraform's begin with TF_, too), the cluster of another job
_LEFT = re.compile(r".*(SECRET|PASSW|TOKEN|CREDENTIAL|_KEY\b).*|TF_VAR_.*|TF_CONFIG", re.IGNORECASE)
_USER_OF_A_PROXY = re.compile(r"^(\w+://)?.*@", re.DOTALL)  # and the password


def interpreter(folder: Path) -> Path:
    """Make a Python above this environment's packages, for pip; return its ``python3``'s folder."""
    programs = folder / "bin"
    if (programs / "pip3").exists():
        return programs
    venv.create(folder, symlinks=True)
    below = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    lines = "; ".join(["import site", *(f"site.addsitedir({path!r})" for path in below)])
    packages = folder / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    (packages / "below.pth").write_text(lines, encoding="utf-8")
    for name in ("pip", "pip3"):
        write(programs / name, f'#!/bin/sh\nexec "{programs}/python3" -m pip "$@"\n', 0o755)
    return programs


def client_variables(url: str, token: str) -> dict[str, str]:
    """Return the variables that lead boto3, the SDK and the AWS CLI to a service, nowhere else."""
    return NO_ACCOUNT | {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": token,
        "AWS_SECRET_ACCESS_KEY": "local",
    }


def variables(url: str, token: str, programs: Path) -> dict[str, str]:
    """Return a program's variables, few of them this machine's, because jobs print them all."""
    kept = {k: v for k, v in os.environ.items() if _KEPT.fullmatch(k) and not _LEFT.fullmatch(k)}
    for name in [name for name in kept if name.lower() in ("http_proxy", "https_proxy")]:
        kept[name] = _USER_OF_A_PROXY.sub(r"\1", kept[name])
    loopback_without_proxy(kept)
    own = {
        "PATH": os.pathsep.join([str(programs), kept.get("PATH", os.defpath)]),
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")])),
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(programs.parent),
    }
    return kept | client_variables(url, token) | own
