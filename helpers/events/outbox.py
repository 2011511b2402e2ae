"""The producer's outbox: events lie on its disk until the stream has them.

A folder of append-only files. Each is named after the number of its first
event, so an event's number follows from where it lies. ``sent`` holds the
number up to which the stream has everything; files below it are removed.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path

from .errors import EventError, OutboxFull

try:  # one process per outbox; not to be had on Windows
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]


class Outbox:
    """A queue on disk with one writing process.

    Parameters
    ----------
    folder : path
        Made if missing. An outbox left by a process that was killed is taken over as it is.
    segment_bytes : int
        Size at which a new file is begun.
    max_bytes : int
        What may wait at most; beyond it :meth:`append` refuses, and the shop must decide.
    sync : bool
        With False, the default, what was appended survives the death of the
        process at any point. With True it also survives the loss of power, at
        the price of one ``fsync`` (milliseconds) a call.

    Raises
    ------
    EventError
        If another process uses the folder.

    Notes
    -----
    A write that was cut off leaves a last line without an end. It was never
    acknowledged; opening removes it.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        segment_bytes: int = 4 << 20,
        max_bytes: int = 1 << 30,
        sync: bool = False,
    ) -> None:
        self.folder = Path(folder)
        self.segment_bytes, self.max_bytes, self.sync = segment_bytes, max_bytes, sync
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._guard = self._take_folder()
        self.source = self._name()
        sent = int(self._read("sent") or 0)
        self._segments = sorted(int(p.stem) for p in self.folder.glob("*.jsonl")) or [sent]
        self.sent = max(sent, self._segments[0])  # a file is removed only when the stream has it
        self._cursor = (-1, 0, 0)  # number of a line, its file, its place there
        self._file = self._open(self._segments[-1])
        self._size, count = self._mend(self._segments[-1])
        self.next = max(self._segments[-1] + count, self.sent)
        self._before = sum(self._path(s).stat().st_size for s in self._segments[:-1])
        if self.next > self._segments[-1] + count:  # files were lost: never use a number twice
            self._begin_segment()
        self._prune()

    # writing

    def append(self, lines: Sequence[bytes]) -> int:
        """Write events and return the number of the first; once it returns, they are kept.

        Raises
        ------
        OutboxFull
            If the disk or the outbox's share of it is full. None of these events was kept.
        EventError
            If the outbox is closed.
        """
        data = b"".join(line + b"\n" for line in lines)
        with self._lock:
            if self._file < 0:
                raise EventError(
                    f"the outbox {self.folder.name} is closed: open a new producer on it"
                )
            if self._before + self._size + len(data) > self.max_bytes:
                raise OutboxFull(
                    f"the outbox {self.folder.name} holds {self.next - self.sent:,} unsent events and may "
                    f"not exceed {self.max_bytes:,} bytes: send them, or give it more"
                )
            try:
                if self._size >= self.segment_bytes:
                    self._begin_segment()
                self._write(data)
            except OSError as error:
                os.ftruncate(self._file, self._size)
                raise OutboxFull(
                    f"the outbox {self.folder.name} could not write {len(lines)} events: {error.strerror}"
                ) from error
            first, self.next = self.next, self.next + len(lines)
            self._size += len(data)
        return first

    def _write(self, data: bytes) -> None:
        done = 0
        while done < len(data):
            done += os.write(self._file, data[done:])
        if self.sync:
            os.fsync(self._file)

    def _begin_segment(self) -> None:
        fresh = self._open(self.next)
        os.close(self._file)
        self._file, self._before, self._size = fresh, self._before + self._size, 0
        self._segments.append(self.next)

    # reading

    def read(self, max_lines: int = 10_000, max_bytes: int = 2 << 20) -> tuple[int, list[bytes]]:
        """Return the number of the first unsent event, and the next unsent lines, oldest first."""
        with self._lock:
            first, stop, segments = self.sent, self.next, list(self._segments)
        begin = max(s for s in segments if s <= first)
        lines: list[bytes] = []
        with self._path(begin).open("rb") as file:
            if self._cursor[:2] == (first, begin):
                file.seek(self._cursor[2])
            else:
                for _ in range(first - begin):
                    file.readline()
            size, most = 0, min(max_lines, stop - first)
            while len(lines) < most and size < max_bytes:
                line = file.readline()
                if not line:
                    break  # the next segment comes with the next call
                lines.append(line[:-1])
                size += len(line)
            self._cursor = (first + len(lines), begin, file.tell())
        return first, lines

    def mark_sent(self, number: int) -> None:
        """Note that the stream has every event below ``number``."""
        if not self.sent <= number <= self.next:
            raise ValueError(
                f"mark_sent({number}): expected a number from {self.sent} to {self.next}"
            )
        with self._lock:
            with contextlib.suppress(OSError):  # a full disk: these are sent again after a restart
                self._replace("sent", str(number))
            self.sent = number
            self._prune()

    def last_line(self) -> bytes | None:
        """Return the newest line, or None if there never was one."""
        for segment in reversed(self._segments):
            data = self._path(segment).read_bytes()
            if data:
                return data[:-1].rpartition(b"\n")[2]
        return None

    def close(self) -> None:
        """Let go of the folder; what waits in it stays."""
        if self._file >= 0:
            os.close(self._file)
            os.close(self._guard)
            self._file = -1

    # the folder

    def _path(self, segment: int) -> Path:
        return self.folder / f"{segment:020d}.jsonl"

    def _open(self, segment: int) -> int:
        binary = getattr(os, "O_BINARY", 0)  # Windows would turn line ends into two bytes
        return os.open(self._path(segment), os.O_CREAT | os.O_WRONLY | os.O_APPEND | binary, 0o644)

    def _take_folder(self) -> int:
        guard = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            if fcntl:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(guard)
            raise EventError(
                f"the outbox {self.folder.name} is in use: give each process its own"
            ) from None
        return guard

    def _name(self) -> str:
        name = self._read("source")
        if not name:
            name = uuid.uuid4().hex
            self._replace("source", name)
        return name

    def _read(self, name: str) -> str:
        path = self.folder / name
        return path.read_text(encoding="ascii") if path.exists() else ""

    def _replace(self, name: str, text: str) -> None:
        """Change a small file at once or not at all."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(text, encoding="ascii")
        fresh.replace(self.folder / name)

    def _mend(self, segment: int) -> tuple[int, int]:
        """Cut off a last line without an end; return bytes and lines."""
        data = self._path(segment).read_bytes()
        size = data.rfind(b"\n") + 1
        if size < len(data):
            os.ftruncate(self._file, size)
        return size, data.count(b"\n")

    def _prune(self) -> None:
        """Remove files that the stream has; the newest line stays, for its time stamp."""
        keep = 1 if self._size else 2
        while len(self._segments) > keep and self._segments[1] <= self.sent:
            path = self._path(self._segments[0])
            self._before -= path.stat().st_size
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            self._segments.pop(0)
