"""Checksums of S3 objects, by the algorithms that the headers ``x-amz-checksum-…`` name."""

import hashlib
import math
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any


def _crc(bits: int, polynomial: int, body: bytes) -> bytes:
    """Return a reflected CRC, all ones at its begin and end; pieces of equal size go side by side.

    `CRC RevEng <https://reveng.sourceforge.io/crc-catalogue/>`_ lists the polynomials.
    """
    import numpy as np  # only where such a checksum is given

    table: Any = np.arange(1 << 16, dtype=np.uint64)
    for _ in range(16):
        table = (table >> 1) ^ (table & 1) * np.uint64(polynomial)
    size = max(1, math.isqrt(len(body)))  # of a piece, in words of two bytes
    count = len(body) // (2 * size)
    pieces = np.frombuffer(body, "<u2", count * size).reshape(count, size).T.copy()
    # behind the pieces' own: what a piece of zeros makes of each bit
    states = np.zeros(count + bits, np.uint64)
    states[count:] = np.uint64(1) << np.arange(bits, dtype=np.uint64)
    for words in pieces:
        states[:count] ^= words
        states = table[states & 0xFFFF] ^ (states >> 16)
    moved, ones = states[count:].tolist(), (1 << bits) - 1
    found = ones
    for state in states[:count].tolist():
        for bit in range(bits):
            state ^= (found >> bit & 1) * moved[bit]
        found = state
    for byte in body[2 * count * size :]:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (found & 1) * polynomial
    return (found ^ ones).to_bytes(bits // 8, "big")


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": partial(_crc, 32, 0x82F63B78),
    "crc64nvme": partial(_crc, 64, 0x9A6C9329AC4BC9B5),
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha512": lambda body: hashlib.sha512(body).digest(),
}
