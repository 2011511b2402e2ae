"""Environment of the programs that the service starts: their Python and their variables."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_HERE = ("127.0.0.1", "localhost")
# what a program needs of this machine: to start, to install, to compute the same numbers
_KEPT = re.compile(
    r"HOME|LANG|TMPDIR|TZ|USER|PATH|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|PYTHONHASHSEED|PYTHONPATH"
    r"|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|REQUESTS_CA_BUNDLE"
    r"|(LC|OMP|MKL|OPENBLAS|TF|MXNET|KMP|KERAS|CUDA|NVIDIA|XLA|PIP|SSL)_\w+"
)
# secrets (Terraform's begin with TF_, too), a cluster of another job, pip's way to another place
_LEFT = re.compile(
    r".*(SECRET|PASSW|TOKEN|CREDENTIAL|_KEY$).*|TF_VAR_.*|TF_CONFIG"
    r"|PIP_(TARGET|PREFIX|ROOT|USER|DRY_RUN|PYTHON)",
    re.IGNORECASE,
)


def interpreter(folder: Path) -> Path:
    """Make a Python that has this environment's packages and installs into a folder of its own.

    It is a virtual environment on top of the one that runs the service. As in a container, pip finds
    what is installed, adds what is not, and shadows what has another version; it never changes the
    environment below.

    Parameters
    ----------
    folder : pathlib.Path
        Where it is made, unless it is there.

    Returns
    -------
    pathlib.Path
        The folder with ``python3`` and ``pip3``.
    """
    programs = folder / "bin"
    if (programs / "pip3").exists():
        return programs
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    programs.mkdir(exist_ok=True)
    base = Path(getattr(sys, "_base_executable", sys.executable))
    settings = f"home = {base.parent}\ninclude-system-site-packages = false\n"
    (folder / "pyvenv.cfg").write_text(settings, encoding="utf-8")
    below = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    lines = "import site; " + "; ".join(f"site.addsitedir({path!r})" for path in below)
    (packages / "below.pth").write_text(lines, encoding="utf-8")
    for name in ("python", "python3"):
        (programs / name).symlink_to(base)
    for name in ("pip", "pip3"):
        text = f'#!/bin/sh\nexec "{programs}/python3" -m pip "$@"\n'
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    return programs


def variables(url: str, token: str, region: str, programs: Path) -> dict[str, str]:
    """Return the variables of a program that the service starts.

    As in a container, little of this machine's is among them, because jobs print their environment.

    Parameters
    ----------
    url, token, region : str
        The service's address, the access key it lets in, and the AWS region it plays.
    programs : pathlib.Path
        The folder of the program's Python, from `interpreter`.

    Returns
    -------
    dict of str to str
        All of them.
    """
    kept = {k: v for k, v in os.environ.items() if _KEPT.fullmatch(k) and not _LEFT.fullmatch(k)}
    paths = [str(ROOT), kept.get("PYTHONPATH", "")]
    return without_proxy(kept) | {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": token,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PATH": os.pathsep.join([str(programs), kept.get("PATH", os.defpath)]),
        "PIP_USER": "0",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(programs.parent),
    }


def without_proxy(given: dict[str, str]) -> dict[str, str]:
    """Return variables by which no proxy comes between a program and this machine."""
    named = given.get("no_proxy") or given.get("NO_PROXY") or ""
    exempt = [part.strip() for part in named.split(",") if part.strip()]
    exempt += [host for host in _HERE if host not in exempt]
    value = "*" if "*" in exempt else ",".join(exempt)
    return given | {"no_proxy": value, "NO_PROXY": value}
