"""Archives that stay in their folder, files that are whole, what a killed service left."""

import io
import os
import tarfile
import tempfile

import numpy as np
import pytest

from helpers.book import ROOT
from local_sagemaker import archive, launch
from local_sagemaker.archive import ArchiveError


def packed(folder) -> bytes:
    file = io.BytesIO()
    archive.pack(folder, file)
    return file.getvalue()


def test_packing_twice_gives_the_same_bytes(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.txt").write_text("x")
    one = packed(tmp_path)
    os.utime(tmp_path / "sub" / "a.txt", (1, 1))
    assert packed(tmp_path) == one


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (tarfile.TarInfo("../escape"), r"'../escape' would be written outside"),
        (tarfile.TarInfo("/tmp/escape"), "would be written outside"),
        (tarfile.TarInfo(r"..\escape"), "would be written outside"),
        (link("inside", tarfile.SYMTYPE), "'inside', which is neither a file"),
        (link("inside", tarfile.LNKTYPE), "'inside', which is neither a file"),
        (link("device", tarfile.CHRTYPE), "'device', which is neither a file"),
    ],
)
def test_an_archive_that_reaches_out_writes_nothing(tmp_path, bad, message):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for member in (tarfile.TarInfo("good"), bad):
            tar.addfile(member, io.BytesIO())
    with pytest.raises(ArchiveError, match=message):
        archive.unpack(file.getvalue(), "model.tar.gz", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_archives_that_are_none(tmp_path):
    (tmp_path / "big").write_bytes(np.random.default_rng(0).bytes(100_000))
    whole = packed(tmp_path)
    for data in (b"", b"hello", whole[:60_000], whole[:10]):
        with pytest.raises(ArchiveError, match="is not a tar.gz archive that can be unpacked"):
            archive.unpack(data, "it", tmp_path / "out")


def test_a_disk_that_refuses_is_not_the_archives_fault(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_text("x")
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(FileExistsError):
        archive.unpack(packed(tmp_path / "in"), "it", tmp_path / "out")


def test_what_a_killed_service_left_goes_when_the_next_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "local-sagemaker-old").mkdir()
    (tmp_path / "local-sagemaker-link").symlink_to(ROOT)
    killed, lives = launch.launch().listening(), launch.launch().listening()
    try:
        assert killed.process is not None and killed.work is not None and lives.work is not None
        killed.process.kill()
        killed.process.wait()  # all its threads, the last of which lets go of the lock
        assert (killed.work / "in-use").exists()
        third = launch.launch()
        third.stop()
        left = {path.name for path in tmp_path.iterdir()}
        assert left == {"local-sagemaker-link", lives.work.name}
        assert lives.alive()
    finally:
        lives.stop()
        killed.stop()
