"""Downloads against a server on this machine that behaves as badly as we ask it to."""

import contextlib
import hashlib
import http.server
import os
import socket
import ssl
import threading
import time
import urllib.error
from types import SimpleNamespace

import pytest

from helpers.data import DataError, DataUnavailable, download

BODY = os.urandom(300_000)
SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(download, "FIRST_PAUSE", 0.01)
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    """Answers each request with the next of ``plan``; keeps the requests' headers in ``seen``."""
    state = SimpleNamespace(plan=[], seen=[], release=threading.Event())

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state.seen.append(dict(self.headers))
            step = state.plan.pop(0) if len(state.plan) > 1 else state.plan[0]
            step(self)

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(
        target=httpd.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}/set.zip"
    state.release_all = state.release.set
    yield state
    state.release.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def whole(body=BODY, tag='"v1"'):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        if tag:
            handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def cut(at, tag='"v1"'):
    """Promises the whole body, sends a part of it and hangs up."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        if tag:
            handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(BODY[:at])

    return answer


def rest(handler):
    start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
    handler.send_header("Content-Length", str(len(BODY) - start))
    handler.end_headers()
    handler.wfile.write(BODY[start:])


def status(code):
    return lambda handler: handler.send_error(code)


def assert_nothing_left(folder):
    assert list(folder.iterdir()) == []


def test_whole_file(server, tmp_path, capsys):
    server.plan = [whole()]
    target = download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert target.read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]
    assert capsys.readouterr().out == ""


def test_resumes_where_it_broke_off(server, tmp_path):
    server.plan = [cut(100_000), rest]
    download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert server.seen[1]["Range"] == "bytes=100000-"
    assert server.seen[1]["If-Range"] == '"v1"'


def test_starts_again_where_the_server_cannot_resume(server, tmp_path):
    server.plan = [cut(100_000), whole()]
    download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert (tmp_path / "set.zip").read_bytes() == BODY


def test_does_not_ask_to_resume_without_a_version(server, tmp_path):
    server.plan = [cut(100_000, tag=None), whole(tag=None)]
    download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert "Range" not in server.seen[1]
    assert (tmp_path / "set.zip").read_bytes() == BODY


@pytest.mark.parametrize("code", [500, 503, 429])
def test_repeats_after_a_passing_failure(server, tmp_path, code):
    server.plan = [status(code), whole()]
    download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert len(server.seen) == 2


def test_gives_up_after_three_attempts(server, tmp_path):
    server.plan = [status(500)]
    with pytest.raises(DataUnavailable, match=r"^127.0.0.1: it answered 500 .*, 3 times"):
        download.fetch(server.url, tmp_path / "set.zip", SHA)
    assert len(server.seen) == 3
    assert_nothing_left(tmp_path)


def test_pauses_double(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download, "sleep", pauses.append)
    server.plan = [status(502)]
    with pytest.raises(DataUnavailable):
        download.fetch(server.url, tmp_path / "set.zip", SHA)
    assert pauses == [0.01, 0.02]


@pytest.mark.parametrize("code", [404, 403, 410])
def test_a_refusal_is_final(server, tmp_path, code):
    server.plan = [status(code)]
    with pytest.raises(DataUnavailable, match=f"it answered {code}"):
        download.fetch(server.url, tmp_path / "set.zip", SHA)
    assert len(server.seen) == 1
    assert_nothing_left(tmp_path)


def test_truncated_every_time(server, tmp_path):
    server.plan = [cut(1_000, tag=None)]
    with pytest.raises(DataUnavailable, match=r"broke off.*3 times"):
        download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert_nothing_left(tmp_path)


def test_wrong_bytes_are_not_kept(server, tmp_path):
    server.plan = [whole(b"<html>please sign in</html>")]
    with pytest.raises(
        DataError, match=r"set.zip came with SHA-256 \w{12}…, expected \w{12}…; it was not kept"
    ):
        download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert_nothing_left(tmp_path)


def test_wrong_bytes_leave_an_older_file_alone(server, tmp_path):
    (tmp_path / "set.zip").write_bytes(b"older")
    server.plan = [whole(b"wrong")]
    with pytest.raises(DataError):
        download.fetch(server.url, tmp_path / "set.zip", SHA)
    assert (tmp_path / "set.zip").read_bytes() == b"older"


def test_an_endless_answer_is_cut_short(server, tmp_path):
    server.plan = [whole(BODY * 3)]
    with pytest.raises(DataError, match="sends more than the expected 300,000 bytes"):
        download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("after", ["nothing", "headers and a part"])
def test_a_server_that_falls_silent(server, tmp_path, after):
    def hang(handler):
        if after != "nothing":
            cut(5_000)(handler)
            handler.wfile.flush()
        server.release.wait(10)

    server.plan = [hang]
    began = time.monotonic()
    with pytest.raises(DataUnavailable, match=r"nothing came for 0.5 s.*3 times"):
        download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert time.monotonic() - began < 8
    assert_nothing_left(tmp_path)


def test_a_server_that_drips(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PATIENCE_SECONDS", 0.3)

    def drip(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not server.release.wait(0.05):
                handler.wfile.write(b"x")

    server.plan = [drip]
    with pytest.raises(DataUnavailable, match="slower than 2000 bytes a second"):
        download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert_nothing_left(tmp_path)


def test_refused_and_unknown_hosts_are_final_at_once(tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setattr(download, "sleep", lambda _: pytest.fail("must not wait"))
    with pytest.raises(DataUnavailable, match="127.0.0.1: it refused the connection"):
        download.fetch(f"http://127.0.0.1:{port}/set.zip", tmp_path / "set.zip", SHA)

    def no_name(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    with pytest.raises(DataUnavailable, match="nowhere.invalid: its name cannot be resolved"):
        download.fetch("http://nowhere.invalid/set.zip", tmp_path / "set.zip", SHA)
    assert_nothing_left(tmp_path)


def test_a_lapsed_certificate_is_said_and_passed_over(server, tmp_path, monkeypatch, capsys):
    real = download.urllib.request.urlopen

    def lapsed(request, timeout, context):
        if context is None:
            reason = ssl.SSLCertVerificationError(1, "certificate verify failed")
            reason.verify_message = "certificate has expired"
            raise urllib.error.URLError(reason)
        return real(request, timeout=timeout)

    monkeypatch.setattr(download.urllib.request, "urlopen", lapsed)
    server.plan = [status(500), whole()]
    download.fetch(server.url, tmp_path / "set.zip", SHA)
    said = capsys.readouterr().out
    assert said.count("certificate has expired") == 1
    assert "SHA-256 is checked" in said
    server.plan = [whole(b"forged")]
    with pytest.raises(DataError, match="came with SHA-256"):
        download.fetch(server.url, tmp_path / "other.zip", SHA)
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]


def test_a_full_disk_is_named(server, tmp_path, monkeypatch):
    def full(self, answer, out, start, total):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download._State, "_copy", full)
    server.plan = [whole()]
    with pytest.raises(DataError, match=r"set.zip: the disk is full.*COURSE_CACHE"):
        download.fetch(server.url, tmp_path / "set.zip", SHA, 4_900_000)
    assert_nothing_left(tmp_path)


def test_a_folder_that_is_not_there(server, tmp_path):
    with pytest.raises(DataError, match=r"set.zip: cannot be written \(No such file"):
        download.fetch(server.url, tmp_path / "gone" / "set.zip", SHA)


def test_many_at_once(server, tmp_path):
    server.plan = [whole()]
    errors = []

    def one():
        try:
            download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert (tmp_path / "set.zip").read_bytes() == BODY
    assert [p.name for p in tmp_path.iterdir()] == ["set.zip"]


def test_an_interrupted_download_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupted(self, answer, out, start, total):
        out.write(answer.read1(100))
        raise KeyboardInterrupt

    monkeypatch.setattr(download._State, "_copy", interrupted)
    server.plan = [whole()]
    with pytest.raises(KeyboardInterrupt):
        download.fetch(server.url, tmp_path / "set.zip", SHA)
    assert_nothing_left(tmp_path)


def test_progress_is_for_people():
    assert download.wanted({}, is_terminal=True, in_notebook=False)
    assert download.wanted({}, is_terminal=False, in_notebook=True)
    assert not download.wanted({}, is_terminal=False, in_notebook=False)
    assert not download.wanted({"CI": "true"}, is_terminal=True, in_notebook=True)
    assert not download.wanted({"PYTEST_CURRENT_TEST": "x"}, is_terminal=True, in_notebook=True)


def test_progress_line(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(download, "wanted", lambda *_: True)
    server.plan = [whole()]
    download.fetch(server.url, tmp_path / "set.zip", SHA, len(BODY))
    assert capsys.readouterr().out.endswith("\rset.zip: 100% of 0.3 MB\n")
