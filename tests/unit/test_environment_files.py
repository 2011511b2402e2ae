"""requirements.txt, its lock, and what Binder, Studio Lab and CI read agree with one another."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from helpers.installed import SUPPORTED
from helpers.runner.environment import ROOT
from helpers.runner.install import locked_block

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
BINDER = ROOT / "binder"
PLATFORMS = {  # with a wheel of MXNet, or without
    ("linux", "Linux", "x86_64", "posix"): True,
    ("linux", "Linux", "aarch64", "posix"): True,
    ("darwin", "Darwin", "x86_64", "posix"): True,
    ("darwin", "Darwin", "arm64", "posix"): False,
    ("win32", "Windows", "AMD64", "nt"): False,
}
INTEL_MAC = ("darwin", "Darwin", "x86_64", "posix")
FIELDS = ("sys_platform", "platform_system", "platform_machine", "os_name")
CPYTHON = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}


def requirements(text: str) -> list[Requirement]:
    lines = [re.sub(r"\s+#.*|\\$", "", line).strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "--hash"))]


def chosen(wanted: list[Requirement], machine: dict[str, str]) -> dict[str, str]:
    """What a machine installs: name to version; every name once."""
    fits = [r for r in wanted if r.marker is None or Marker(str(r.marker)).evaluate(machine)]
    names = [r.name for r in fits]
    assert len(names) == len(set(names)), f"named twice for {machine}"
    return {r.name: str(r.specifier) for r in fits}


TEXT = (ROOT / "requirements.txt").read_text(encoding="utf-8")
DIRECT, LOCKED = requirements(TEXT), requirements(LOCK)


def test_every_direct_dependency_is_pinned_exactly_and_says_what_it_is_for():
    assert all(re.fullmatch(r"==[\w.]+", str(r.specifier)) for r in DIRECT)
    for name in {r.name for r in DIRECT} - {"tensorflow"}:
        assert re.search(rf"^{re.escape(name)}(\[\w+\])?==.*  # ", TEXT, re.MULTILINE), name


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["{}.{}".format(*version) for version in SUPPORTED])
def test_the_lock_holds_every_pin_on_every_machine(platform, python):
    machine = CPYTHON | dict(zip(FIELDS, platform, strict=True))
    machine |= {"python_version": python, "python_full_version": f"{python}.9"}
    direct, locked = chosen(DIRECT, machine), chosen(LOCKED, machine)
    assert {name: locked.get(name) for name in direct} == direct, "run: python -m helpers lock"
    newest = python == "3.13"  # no TensorFlow for Intel Macs, which the runner refuses; no MXNet
    assert bool({"tensorflow", "tensorflow-cpu"} & set(locked)) != (
        newest and platform == INTEL_MAC
    )
    assert ("mxnet" in locked) == (PLATFORMS[platform] and not newest)


def test_every_package_of_the_lock_has_hashes_and_no_place():
    for requirement in LOCKED:
        assert "--hash=sha256:" in locked_block(LOCK, requirement.name), requirement.name
    assert len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE)) == len(LOCKED)
    assert "python -m helpers lock" in LOCK[:200]
    place = r"://|--(extra-)?index-url|--find-links|file:|@ |(?<![\w.])/\w+/|[A-Z]:\\\\"
    assert not re.search(place, LOCK), "a machine or an index"


def test_binder_and_studio_lab_install_the_lock_on_a_supported_python():
    own = (BINDER / "requirements.txt").read_text(encoding="utf-8")  # installed before the copy
    assert own.partition("\n")[2] == LOCK, "run: python -m helpers lock"
    runtime = (BINDER / "runtime.txt").read_text(encoding="ascii").strip()
    found = re.fullmatch(r"python-(\d)\.(\d+)", runtime)
    assert found and (int(found[1]), int(found[2])) in SUPPORTED
    studio = (BINDER / "environment-studiolab.yml").read_text(encoding="utf-8")
    assert "- -r ../requirements.lock" in studio and "- ipykernel" in studio
    assert "python=" + runtime.removeprefix("python-") in studio
    # repo2docker takes a folder .binder first, and any of these files before requirements.txt
    names = ["environment.yml", "environment.yaml", "Dockerfile", "Pipfile", "Pipfile.lock"]
    hiding = [ROOT / ".binder", *(BINDER / name for name in [*names, "default.nix"])]
    assert not any(path.exists() for path in hiding)


@pytest.mark.skipif(os.name == "nt", reason="bash scripts")
def test_scripts_parse_with_line_ends_that_git_keeps_and_binders_caps_threads():
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="ascii")
    for path in (BINDER / "postBuild", BINDER / "start", ROOT / ".ci" / "run"):
        if b"\r" in path.read_bytes():
            pytest.skip("an older copy with CRLF: bash cannot run it")
        if (ROOT / ".git").exists():  # some programs unpack a ZIP without modes
            assert path.stat().st_mode & 0o111, path
        assert path.read_bytes().startswith(b"#!/usr/bin/env bash\n")
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    shell = "echo $OMP_NUM_THREADS $TF_NUM_INTRAOP_THREADS; exit 7"
    command = ["bash", str(BINDER / "start"), "sh", "-c", shell]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (told.stdout.split(), told.returncode) == (["2", "2"], 7)
