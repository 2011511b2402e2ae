"""One thread for all connections, where an answer is a matter of Python and takes a millisecond or two.

Threads that compute in Python wait for one another's lock, and not in the order of their coming: with eight
callers the last of a hundred waits five times as long as the others. Here each is served in its turn. What
takes long, or is large, goes to a thread of its own, where others can pass it.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from typing import NoReturn

from local_sagemaker.serving.wire import body_length, parse_head

LARGEST = 1 << 18  # bytes of a body that is read here
LARGEST_HEAD = 1 << 16
SLOW = 0.02  # seconds; where answers take longer on average, callers get threads
_MEMORY = 0.8  # share of the average that stays when an answer's time is added

Answer = Callable[[str, dict[str, str], bytes], bytes]
Leave = Callable[[socket.socket, bytes, bytes], None]


class Loop:
    """Serves quick requests itself and hands every other connection over.

    Parameters
    ----------
    listener : socket.socket
        Bound and listening.
    answer : callable
        From a request's first line, headers (names in lower case) and body to the bytes of the answer.
    leave : callable
        Takes over a connection: its socket, blocking again, what was read of it, and what is to be sent to it
        first. Must not block.
    """

    def __init__(self, listener: socket.socket, answer: Answer, leave: Leave) -> None:
        self._listener, self._answer, self._leave = listener, answer, leave
        self._selector = selectors.DefaultSelector()
        self._read: dict[socket.socket, bytes] = {}
        self._average = 0.0  # seconds an answer took

    def run(self) -> NoReturn:
        """Serve until the process ends."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._receive(key.fileobj)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the caller went away before its turn
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setblocking(False)
        self._read[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ)

    def _receive(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._forget(connection)
            connection.close()
            return
        self._read[connection] += data
        while connection in self._read and self._next(connection):
            continue

    def _next(self, connection: socket.socket) -> bool:
        """Answer one request, if the whole of it is there."""
        buffer = self._read[connection]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(buffer) > LARGEST_HEAD:
                self._forget(connection)
                connection.close()
            return False
        first, headers = parse_head(buffer[:end])
        size = body_length(headers)
        if size is None or size > LARGEST or self._average > SLOW:
            self._hand_over(connection)
            return False
        whole = end + 4 + size
        if len(buffer) < whole:
            return False
        began = time.perf_counter()
        try:
            answer = self._answer(first, headers, buffer[end + 4 : whole])
        except (
            Exception
        ):  # a connection's own thread may end of it, and says why; this one serves the others
            self._hand_over(connection)
            return False
        took = time.perf_counter() - began
        self._average = _MEMORY * self._average + (1 - _MEMORY) * took
        self._read[connection] = buffer[whole:]
        try:
            sent = connection.send(answer)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._forget(connection)
            connection.close()
            return False
        if sent < len(answer):  # the caller reads slowly: nobody else should wait for it
            self._hand_over(connection, answer[sent:])
            return False
        return True

    def _hand_over(self, connection: socket.socket, unsent: bytes = b"") -> None:
        read = self._forget(connection)
        self._average *= _MEMORY  # so that one slow answer does not send everybody away for ever
        connection.setblocking(True)
        self._leave(connection, read, unsent)

    def _forget(self, connection: socket.socket) -> bytes:
        self._selector.unregister(connection)
        return self._read.pop(connection)
