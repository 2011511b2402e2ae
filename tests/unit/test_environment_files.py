"""requirements.txt, its lock, and what Binder, Studio Lab and CI read agree with one another."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

from helpers.runner.environment import ROOT, SUPPORTED
from helpers.runner.install import locked_block

LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
BINDER = ROOT / "binder"
PLATFORMS = [
    {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "os_name": "posix",
    },
    {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "aarch64",
        "os_name": "posix",
    },
    {
        "sys_platform": "darwin",
        "platform_system": "Darwin",
        "platform_machine": "x86_64",
        "os_name": "posix",
    },
    {
        "sys_platform": "darwin",
        "platform_system": "Darwin",
        "platform_machine": "arm64",
        "os_name": "posix",
    },
    {
        "sys_platform": "win32",
        "platform_system": "Windows",
        "platform_machine": "AMD64",
        "os_name": "nt",
    },
]
MACHINES = [
    {
        **platform,
        "python_version": f"{major}.{minor}",
        "python_full_version": f"{major}.{minor}.9",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for platform in PLATFORMS
    for major, minor in SUPPORTED
]


def requirements(text: str) -> list[Requirement]:
    lines = [re.sub(r"\s+#.*|\\$", "", line).strip() for line in text.splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "--hash"))]


def chosen(wanted: list[Requirement], machine: dict[str, str]) -> dict[str, str]:
    """What a machine installs: name to version; every name once."""
    fits = [r for r in wanted if r.marker is None or Marker(str(r.marker)).evaluate(machine)]
    names = [r.name for r in fits]
    assert len(names) == len(set(names)), f"named twice for {machine}"
    return {r.name: str(r.specifier) for r in fits}


DIRECT = requirements((ROOT / "requirements.txt").read_text(encoding="utf-8"))
LOCKED = requirements(LOCK)


def test_every_direct_dependency_is_pinned_exactly():
    assert all(re.fullmatch(r"==[\w.]+", str(r.specifier)) for r in DIRECT)


def test_every_direct_dependency_says_what_it_is_for():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name in {r.name for r in DIRECT}:
        lines = [line for line in text.splitlines() if line.startswith((f"{name}==", f"{name}["))]
        assert any("  # " in line for line in lines) or name == "tensorflow", name


@pytest.mark.parametrize(
    "machine",
    MACHINES,
    ids=lambda m: f"{m['python_version']}-{m['platform_machine']}-{m['sys_platform']}",
)
def test_the_lock_holds_every_pin_on_every_machine(machine):
    direct, locked = chosen(DIRECT, machine), chosen(LOCKED, machine)
    assert {name: locked.get(name) for name in direct} == direct, "run: python -m helpers lock"


def test_mxnet_is_installed_where_it_has_a_wheel():
    have = {
        (m["sys_platform"], m["platform_machine"]) for m in MACHINES if "mxnet" in chosen(LOCKED, m)
    }
    assert have == {("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "x86_64")}
    assert all({"tensorflow", "tensorflow-cpu"} & set(chosen(LOCKED, m)) for m in MACHINES)


def test_every_package_of_the_lock_has_hashes():
    for requirement in LOCKED:
        assert "--hash=sha256:" in locked_block(LOCK, requirement.name), requirement.name
    assert len(re.findall(r"^[a-z0-9]", LOCK, re.MULTILINE)) == len(LOCKED)


def test_the_lock_names_no_machine_and_no_index():
    assert "python -m helpers lock" in LOCK[:200]
    assert not re.search(
        r"://|--(extra-)?index-url|--find-links|file:|@ |(?<![\w.])/\w+/|[A-Z]:\\\\", LOCK
    )


def test_binder_installs_the_lock_on_a_supported_python():
    lines = [
        line
        for line in (BINDER / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert lines == ["-r ../requirements.lock"]
    assert (BINDER / "requirements.txt").parent.joinpath(
        "../requirements.lock"
    ).resolve() == ROOT / "requirements.lock"
    found = re.fullmatch(
        r"python-(\d)\.(\d+)\n", (BINDER / "runtime.txt").read_text(encoding="ascii")
    )
    assert found and (int(found[1]), int(found[2])) in SUPPORTED


def test_nothing_hides_binders_requirements_from_it():
    """repo2docker takes a folder of these, and a file of these before requirements.txt."""
    assert not (ROOT / ".binder").exists()
    hiding = [
        "environment.yml",
        "environment.yaml",
        "Dockerfile",
        "Pipfile",
        "Pipfile.lock",
        "default.nix",
    ]
    assert [name for name in hiding if (BINDER / name).exists()] == []


def test_studio_lab_installs_the_lock_too():
    text = (BINDER / "environment-studiolab.yml").read_text(encoding="utf-8")
    assert "- -r ../requirements.lock" in text and "- ipykernel" in text
    assert "python=" + (BINDER / "runtime.txt").read_text().strip().removeprefix("python-") in text


@pytest.mark.skipif(os.name == "nt", reason="bash scripts")
@pytest.mark.parametrize("name", ["binder/postBuild", "binder/start", ".ci/run"])
def test_scripts_are_executable_and_parse(name):
    path = ROOT / name
    assert path.stat().st_mode & 0o111
    assert path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0


@pytest.mark.skipif(os.name == "nt", reason="bash scripts")
def test_binders_start_caps_threads_and_hands_over(tmp_path: Path):
    told = subprocess.run(
        [
            str(BINDER / "start"),
            "sh",
            "-c",
            "echo $OMP_NUM_THREADS $TF_NUM_INTRAOP_THREADS; exit 7",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.stdout.split(), told.returncode) == (["2", "2"], 7)
