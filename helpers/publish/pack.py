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

from packaging.requirements import Requirement

from helpers.runner import install
from helpers.runner.environment import LOCK, ROOT, Environment

#: platforms by name: what a marker of the lock says of one, and the tags of its wheels
LINUX = [f"manylinux_2_{minor}_x86_64" for minor in range(28, 4, -1)]
PLATFORMS = {
    "linux": (("linux", "Linux", "x86_64", "posix"), [*LINUX, "manylinux2014_x86_64"]),
    "windows": (("win32", "Windows", "AMD64", "nt"), ["win_amd64"]),
    "macos": (("darwin", "Darwin", "arm64", "posix"), ["macosx_14_0_arm64"]),
}
FIELDS = ("sys_platform", "platform_system", "platform_machine", "os_name")
#: the course's own files at the top; whatever else a reader keeps there is not handed out
FOLDERS = ("binder", "chapters", "helpers", "local_sagemaker", "scripts", "solutions", "tests")
FILES = ("*.md", "requirements*", "LICENSE", "CITATION.cff", "conftest.py", "pyproject.toml")
LEFT = ("__pycache__", ".*")  # caches, and checkpoints of notebooks


def main(arguments: Sequence[str]) -> int:
    """Write the folder that the arguments name; return an exit code."""
    here = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}.get(platform.system())
    parser = argparse.ArgumentParser(prog="python -m helpers pack", description=__doc__)
    parser.add_argument("out", type=Path, help="a new folder, such as the one of a USB stick")
    add = parser.add_argument
    add("--platforms", nargs="+", choices=[*PLATFORMS], default=[here], help="for which machines")
    version = ".".join(map(str, sys.version_info[:2]))
    add("--pythons", nargs="+", default=[version], help="for which versions: 3.11")
    chosen = parser.parse_args(arguments)
    if chosen.out.exists():
        print(f"{chosen.out} exists already: name a new folder.", file=sys.stderr)
        return 2
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.out.parent) as half:  # on the same disk
        part = Path(half) / chosen.out.name
        for folder in FOLDERS:
            ignore = shutil.ignore_patterns(*LEFT)
            shutil.copytree(ROOT / folder, part / folder, ignore=ignore)
        for path in (path for pattern in FILES for path in ROOT.glob(pattern)):
            shutil.copy2(path, part)
        for name in chosen.platforms:
            for python in chosen.pythons:
                print(f"Wheels for {name}, Python {python}:", flush=True)
                if code := download(part / install.WHEELS, name, python):
                    print("A wheel is missing (see above); nothing is packed.", file=sys.stderr)
                    return code
        part.rename(chosen.out)
    size = sum(path.stat().st_size for path in chosen.out.rglob("*") if path.is_file())
    print(f"{chosen.out}: {size / 1e9:.1f} GB. In a copy of it, python -m helpers lab needs no")
    print("network. ML-100K is not in it: its terms forbid to pass it on.")
    return 0


def download(folder: Path, name: str, python: str) -> int:
    """Put the wheels of the lock for one platform and Python into a folder; return pip's code."""
    values, tags = PLATFORMS[name]
    environment = Environment.here()
    blocks = re.findall(r"^[a-z0-9].*\n(?: .*\n)*", environment.locks()[LOCK], re.MULTILINE)
    machine = dict(zip(FIELDS, values, strict=True))
    machine |= {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    taken: set[str] = set()
    for version in (f"{python}.0", f"{python}.99"):  # a few pins differ between 3.11.2 and 3.11.9
        machine |= {"python_version": python, "python_full_version": version}
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
            command += [f"--platform={tag}" for tag in [*tags, "any"]]
            variables = install.package_variables(environment)
            code = subprocess.run(command, env=variables, check=False).returncode if wanted else 0
        if code != 0:
            return code
    return 0
