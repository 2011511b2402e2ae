"""Fetching one file: checked by its bytes, whole or not at all, and never hanging."""

from __future__ import annotations

import errno
import hashlib
import http.client
import os
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from time import sleep
from typing import BinaryIO
from urllib.parse import urlsplit

from .errors import DataError, DataUnavailable

CONNECT_SECONDS = 5.0  # to connect, and at most this long without a byte
ATTEMPTS = 3
FIRST_PAUSE = 0.5  # seconds before the second attempt, doubled before each further one
BLOCK = 1 << 16
PATIENCE_SECONDS = 30.0  # after this long an answer must have been faster than
SLOWEST = 2_000  # bytes a second, on average


class _Transient(Exception):
    """An attempt failed in a way that another attempt may mend."""


def fetch(url: str, target: Path, sha256: str, size: int | None = None) -> Path:
    """Download a file, check its SHA-256, and only then give it its name.

    Bytes go to a file with a name of its own beside the target, so downloads at
    the same time do not meet. An attempt that breaks off is repeated up to
    three times with growing pauses, from where it stopped if the server allows.
    Refused connections, unknown names and 4xx answers are final at once. When
    a certificate is not valid, the download goes on and says so, because the
    digest authenticates the bytes.

    Parameters
    ----------
    url : str
    target : pathlib.Path
        Its folder must exist; an existing file is replaced.
    sha256 : str
        Hexadecimal digest that the bytes must have.
    size : int, optional
        Expected bytes, for the progress bar and to stop a longer answer early.

    Returns
    -------
    pathlib.Path
        ``target``.

    Raises
    ------
    DataUnavailable
        When the file cannot be had; nothing is left on disk.
    DataError
        When the bytes are wrong or the disk is full; nothing is left on disk.
    """
    host = urlsplit(url).hostname or url
    part = target.parent / f".{target.name}.{uuid.uuid4().hex}.part"
    try:
        with part.open("x+b") as out:
            _fetch_with_retries(url, host, out, size)
            out.seek(0)
            found = _digest(out)
        if found != sha256:
            raise DataError(
                f"{host}: {target.name} came with SHA-256 {found[:12]}…, expected {sha256[:12]}…; "
                "it was not kept"
            )
        part.replace(target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            need = f"{size / 1e6:.0f} MB" if size else "more room"
            raise DataError(
                f"{target.name}: the disk is full while downloading, it takes {need}; free some space or set "
                "COURSE_CACHE to a folder on another disk"
            ) from error
        raise DataError(f"{target.name}: cannot be written ({error.strerror or error})") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def _fetch_with_retries(url: str, host: str, out: BinaryIO, size: int | None) -> None:
    pause = FIRST_PAUSE
    state = _State(url, size)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return state.attempt(out)
        except _Transient as error:
            if attempt == ATTEMPTS:
                raise DataUnavailable(f"{host}: {error}, {ATTEMPTS} times") from error
            sleep(pause)
            pause *= 2


class _State:
    """What one download remembers from attempt to attempt."""

    def __init__(self, url: str, size: int | None) -> None:
        self.url = url
        self.host = urlsplit(url).hostname or url
        self.size = size
        self.tag: str | None = None  # the server's name for this version of the file
        self.context: ssl.SSLContext | None = None

    def attempt(self, out: BinaryIO) -> None:
        """Ask once, and write the answer after what is already there."""
        start = out.seek(0, os.SEEK_END)
        if start and not self.tag:
            start = self._restart(out)
        headers = {"User-Agent": "recommender-systems-workbook", "Accept-Encoding": "identity"}
        if start and self.tag:
            headers |= {"Range": f"bytes={start}-", "If-Range": self.tag}
        with self._open(urllib.request.Request(self.url, headers=headers)) as answer:
            if start and answer.status != 206:
                start = self._restart(out)
            self.tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length else None
            try:
                self._copy(answer, out, start, total)
            except (
                TimeoutError,
                ConnectionError,
                http.client.HTTPException,
                ssl.SSLError,
            ) as error:
                raise _Transient(f"the connection broke off ({_reason(error)})") from error

    def _restart(self, out: BinaryIO) -> int:
        out.seek(0)
        out.truncate()
        return 0

    def _copy(
        self, answer: http.client.HTTPResponse, out: BinaryIO, start: int, total: int | None
    ) -> None:
        done = start
        with Progress(Path(urlsplit(self.url).path).name, total or self.size) as bar:
            began = time.monotonic()
            while block := answer.read1(BLOCK):
                out.write(block)
                done += len(block)
                bar.show(done)
                seconds = time.monotonic() - began
                if seconds > PATIENCE_SECONDS and (done - start) / seconds < SLOWEST:
                    raise DataUnavailable(f"{self.host}: slower than {SLOWEST} bytes a second")
                if self.size and done > self.size:
                    raise DataError(
                        f"{self.host}: sends more than the expected {self.size:,} bytes; nothing was kept"
                    )
        if total is not None and done < total:
            raise _Transient(f"the connection broke off after {done:,} of {total:,} bytes")

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            return urllib.request.urlopen(request, timeout=CONNECT_SECONDS, context=self.context)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in (408, 425, 429) or error.code >= 500:
                raise _Transient(f"it answered {error.code} {error.reason}") from error
            raise DataUnavailable(
                f"{self.host}: it answered {error.code} {error.reason}"
            ) from error
        except urllib.error.URLError as error:
            reason = error.reason
            if isinstance(reason, ssl.SSLCertVerificationError) and self.context is None:
                print(
                    f"The certificate of {self.host} is not valid today ({reason.verify_message}); "
                    "the download goes on, because its SHA-256 is checked."
                )
                self.context = (
                    ssl._create_unverified_context()
                )  # the digest authenticates the bytes
                return self._open(request)
            if isinstance(reason, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
                raise _Transient(f"the connection broke off ({_reason(reason)})") from error
            raise DataUnavailable(f"{self.host}: {_reason(reason)}") from error
        except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
            raise _Transient(f"no answer ({_reason(error)})") from error


def _reason(error: object) -> str:
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, TimeoutError):
        return f"nothing came for {CONNECT_SECONDS:g} s"
    if isinstance(error, ConnectionRefusedError):
        return "it refused the connection"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _digest(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := stream.read(BLOCK):
        digest.update(block)
    return digest.hexdigest()


class Progress:
    """A line that a person sees grow; nothing in tests, in CI and where output goes to a file."""

    def __init__(self, label: str, total: int | None) -> None:
        self.label = label
        self.total = total
        self.visible = wanted(dict(os.environ), sys.stdout.isatty(), "ipykernel" in sys.modules)
        self.last = 0.0

    def __enter__(self) -> Progress:
        """Start; shows nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the line."""
        if self.visible and self.last:
            print()

    def show(self, done: int) -> None:
        """Redraw at most ten times a second.

        Parameters
        ----------
        done : int
            Bytes so far.
        """
        now = time.monotonic()
        if not self.visible or (now - self.last < 0.1 and done != self.total):
            return
        self.last = now
        share = (
            f"{done / self.total:4.0%} of {self.total / 1e6:.1f} MB"
            if self.total
            else f"{done / 1e6:.1f} MB"
        )
        print(f"\r{self.label}: {share}", end="", flush=True)


def wanted(environment: dict[str, str], is_terminal: bool, in_notebook: bool) -> bool:
    """Whether a person is there to look at a progress bar.

    Parameters
    ----------
    environment : dict
        Variables; ``PYTEST_CURRENT_TEST`` and ``CI`` mean that nobody looks.
    is_terminal, in_notebook : bool

    Returns
    -------
    bool
    """
    watched = not (environment.get("PYTEST_CURRENT_TEST") or environment.get("CI"))
    return watched and (is_terminal or in_notebook)
