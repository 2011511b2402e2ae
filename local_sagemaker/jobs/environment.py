"""Environment of the programs that the service starts: their Python and their variables."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# what a program needs of this machine: to start, to install, to compute the same numbers
_KEPT = re.compile(
    r"HOME|LANG|TMPDIR|TZ|USER|PATH|LD_LIBRARY_PATH|DYLD_LIBRARY_PATH|PYTHONHASHSEED|PYTHONPATH"
    r"|https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|REQUESTS_CA_BUNDLE"
    r"|(LC|OMP|MKL|OPENBLAS|TF|MXNET|KMP|KERAS|CUDA|NVIDIA|XLA|PIP|SSL)_\w+"
)
# secrets (Terraform's begin with TF_, too), the cluster of another job, pip's way elsewhere
_LEFT = re.compile(
    r".*(SECRET|PASSW|TOKEN|CREDENTIAL|_KEY\b).*|TF_VAR_.*|TF_CONFIG"
    r"|PIP_(TARGET|PREFIX|ROOT|USER|DRY_RUN|PYTHON)",
    re.IGNORECASE,
)


def interpreter(folder: Path) -> Path:
    """Make a Python with this environment's packages; return the folder of its ``python3``.

    It is a virtual environment on top of the service's. As in a container, pip finds what is there,
    adds what is not, and shadows what has another version; the environment below never changes.
    """
    programs = folder / "bin"
    if (programs / "pip3").exists():
        return programs
    packages = folder / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    packages.mkdir(parents=True)
    programs.mkdir()
    base = Path(getattr(sys, "_base_executable", sys.executable))
    settings = f"home = {base.parent}\ninclude-system-site-packages = false\n"
    (folder / "pyvenv.cfg").write_text(settings, encoding="utf-8")
    below = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    lines = "; ".join(["import site", *(f"site.addsitedir({path!r})" for path in below)])
    (packages / "below.pth").write_text(lines, encoding="utf-8")
    for name in ("python", "python3"):
        (programs / name).symlink_to(base)
    for name in ("pip", "pip3"):
        text = f'#!/bin/sh\nexec "{programs}/python3" -m pip "$@"\n'
        (programs / name).write_text(text, encoding="utf-8")
        (programs / name).chmod(0o755)
    return programs


def variables(url: str, token: str, region: str, programs: Path) -> dict[str, str]:
    """Return all variables of a program whose `interpreter` is in ``programs``.

    As in a container, little of this machine's is among them, because jobs print their environment.
    They lead boto3 to the service at ``url``, and no proxy comes between.
    """
    kept = {k: v for k, v in os.environ.items() if _KEPT.fullmatch(k) and not _LEFT.fullmatch(k)}
    paths = [str(ROOT), kept.get("PYTHONPATH", "")]
    exempt = kept.get("no_proxy") or kept.get("NO_PROXY") or "localhost"
    exempt = "*" if exempt.strip() == "*" else f"{exempt},127.0.0.1,localhost"
    return kept | {
        "AWS_ENDPOINT_URL": url,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_ACCESS_KEY_ID": token,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": exempt,
        "no_proxy": exempt,
        "PATH": os.pathsep.join([str(programs), kept.get("PATH", os.defpath)]),
        "PIP_USER": "0",
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        "VIRTUAL_ENV": str(programs.parent),
    }
