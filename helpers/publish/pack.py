"""One folder for a class without network: the course, and the wheels it installs from."""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import yaml
from packaging.requirements import Requirement

from helpers import installed
from helpers.runner import install
from helpers.runner.environment import LOCK, ROOT, Environment
from helpers.runner.machine import CannotRun

#: the course's own files and the machines, by pack.yaml
WHAT = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
PLATFORMS = WHAT["platforms"]


def main(arguments: Sequence[str]) -> int:
    """Write the folder that the arguments name; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m helpers pack", description=__doc__)
    parser.add_argument("out", type=Path, help="a new folder, such as the one of a USB stick")
    add = parser.add_argument
    own = {platform.system(), platform.machine()}
    here = [name for name, one in PLATFORMS.items() if own <= {*one["machine"].values()}]
    add("--platforms", nargs="+", choices=[*PLATFORMS], default=here, required=not here)
    this, *every = ["{}.{}".format(*one) for one in (sys.version_info, *installed.SUPPORTED)]
    add("--pythons", nargs="+", choices=every, default=[this])
    chosen = parser.parse_args(arguments)
    if chosen.out.exists():
        raise CannotRun(f"{chosen.out} exists already: name a new folder.")
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.out.parent) as half:  # on the same disk
        part = Path(half) / chosen.out.name
        for each in WHAT["folders"]:
            shutil.copytree(ROOT / each, part / each, ignore=shutil.ignore_patterns(*WHAT["left"]))
        for path in (path for pattern in WHAT["files"] for path in ROOT.glob(pattern)):
            shutil.copy2(path, part)
        for name in chosen.platforms:
            for python in chosen.pythons:
                print(f"Wheels for {name}, Python {python}:", flush=True)
                download(part / install.WHEELS, name, python)
        part.rename(chosen.out)
    size = sum(path.stat().st_size for path in chosen.out.rglob("*") if path.is_file())
    words = "from which lab installs offline, without ML-100K, which may not be passed on."
    print(f"{chosen.out}: {size / 1e9:.1f} GB, {words}")
    return 0


def download(folder: Path, name: str, python: str) -> None:
    """Put the wheels of the lock for one platform and Python into a folder, by pip."""
    kind, environment = PLATFORMS[name], Environment.here()
    blocks = re.findall(r"^[a-z0-9].*\n(?: .*\n)*", environment.locks()[LOCK], re.MULTILINE)
    machine = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    taken: set[str] = set()
    for version in (f"{python}.0", f"{python}.99"):  # a few pins differ between 3.11.2 and 3.11.9
        machine |= {"python_version": python, "python_full_version": version, **kind["machine"]}
        wanted = []
        for block in blocks:
            marker = Requirement(block.splitlines()[0].rstrip("\\")).marker
            if block not in taken and (marker is None or marker.evaluate(machine)):
                wanted.append(re.sub(r"(?m)^ +#.*\n", "", block))
                taken.add(block)
        with tempfile.TemporaryDirectory() as scratch:
            lock = Path(scratch) / "lock.txt"
            lock.write_text("".join(wanted), encoding="utf-8")
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
            command += [str(folder), "--require-hashes", "--only-binary=:all:", "-r", str(lock)]
            command += ["--python-version", version, "--implementation", "cp"]
            command += [f"--platform={tag}" for tag in [*kind["tags"], "any"]]
            variables = install.package_variables(environment)
            if wanted and subprocess.run(command, env=variables, check=False).returncode:
                raise CannotRun("A wheel is missing (see above); nothing is packed.", 1)
