"""The calling end of HTTP/1.1 on the loopback interface: connections that stay open, and nothing to spare.

Python's own ``http.client`` parses headers as if they were e-mail, which costs as much as a small model.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

_CHUNK = 1 << 16


def header_lines(headers: Mapping[str, str]) -> str:
    r"""Write headers as lines that end in ``\r\n``.

    Raises
    ------
    ValueError
        A name or value holds a line break: it would end the header early.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ValueError(f"headers {sorted(headers)}: a line break in a name or a value")
    return lines


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """Split the part before the body into its first line and its headers (names in lower case)."""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return first, headers


def body_length(headers: Mapping[str, str]) -> int | None:
    """Return how many bytes follow a request's head; None where it does not say so in one plain number."""
    size = headers.get("content-length", "0")
    plain = size.isdecimal() and len(size) < 16 and "transfer-encoding" not in headers
    return int(size) if plain else None


class ServerConnection:
    """One open connection; used by one thread at a time."""

    def __init__(self, port: int, timeout: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else 40 ms an answer

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, timeout: float
    ) -> tuple[int, dict[str, str], bytes]:
        """Send one request and wait for the whole answer.

        Returns
        -------
        tuple
            Status, headers (names in lower case) and body.

        Raises
        ------
        ConnectionError
            The other end closed the connection.
        TimeoutError
            ``timeout`` seconds passed without a byte.
        """
        self._socket.settimeout(timeout)
        lines = header_lines({**headers, "Host": "127.0.0.1", "Content-Length": str(len(body))})
        head = f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
        if len(body) < _CHUNK:
            self._socket.sendall(head + body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(body)
        buffer = b""
        while (end := buffer.find(b"\r\n\r\n")) < 0:
            buffer += self._receive()
        first, answered = parse_head(buffer[:end])
        length = int(answered.get("content-length", 0))
        parts = [buffer[end + 4 :]]
        have = len(parts[0])
        while have < length:
            parts.append(self._receive())
            have += len(parts[-1])
        return int(first.split(" ", 2)[1]), answered, b"".join(parts)

    def _receive(self) -> bytes:
        data = self._socket.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the model server closed the connection")
        return data

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


class Pool:
    """Connections to one port of this machine, reused by any number of threads."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[ServerConnection] = []
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        timeout: float = 60,
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request over an idle connection, or a new one; see `ServerConnection.request`."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or ServerConnection(self.port, timeout)
        try:
            answer = connection.request(method, path, headers, body, timeout)
        except BaseException:
            connection.close()
            raise
        if answer[1].get("connection", "").lower() == "close":
            connection.close()
            return answer
        with self._lock:
            self._idle.append(connection)
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
