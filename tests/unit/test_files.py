"""Files whole or not at all, locks, ports and parents."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from helpers import files
from helpers.book import ROOT
from tests.sagemaker.conftest import gone


def test_a_file_is_replaced_whole_and_no_part_is_left(tmp_path):
    path = tmp_path / "new folder" / "notes.txt"
    files.write(path, "grün")
    files.write(path, b"\x00\x01")
    assert path.read_bytes() == b"\x00\x01"
    assert [p.name for p in path.parent.iterdir()] == ["notes.txt"]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "notes.txt"
    files.write(path, "old")
    with pytest.raises(RuntimeError, match="half way"), files.replacing(path) as part:
        part.write_text("ne")
        raise RuntimeError("half way")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_a_new_file_can_be_read_by_whom_the_reader_lets(tmp_path):
    before = os.umask(0o022)
    try:
        files.write(tmp_path / "notes.txt", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "notes.txt").stat().st_mode & 0o777 == 0o644


def test_a_lock_is_held_by_one_and_freed_by_the_death_of_its_process(tmp_path):
    path = tmp_path / "lock"
    code = f"""if True:
        import pathlib, time
        from helpers import files
        held = files.hold(pathlib.Path({str(path)!r}))
        print("held", flush=True)
        time.sleep(60)"""
    other = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert other.stdout.readline().strip() == b"held"
    waited = []
    assert files.hold(path) is None
    with files.locked(path, patience=0.1, on_wait=lambda: waited.append(1)) as held:
        assert held is None
    assert waited == [1]
    other.kill()
    other.wait()
    other.stdout.close()
    with files.locked(path) as held:
        assert held is not None


def test_a_free_port_can_be_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", files.free_port()))


@pytest.mark.skipif(os.name == "nt", reason="POSIX parents")
def test_a_child_ends_with_its_parent():
    child = "import os, time; from helpers import files; files.end_with(int(os.environ['P'])); time.sleep(60)"
    code = f"""if True:
        import os, subprocess, sys
        os.environ["P"] = str(os.getpid())
        print(subprocess.Popen([sys.executable, "-c", {child!r}]).pid, flush=True)"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, timeout=30
    )
    assert gone(int(done.stdout)), "the child outlived its parent"
