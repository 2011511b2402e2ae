"""Checksums of S3 objects, by the algorithms that the headers ``x-amz-checksum-…`` name."""

import hashlib
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any


def _crc(bits: int, polynomial: int, body: bytes) -> bytes:
    """Return a reflected CRC of https://reveng.sourceforge.io/crc-catalogue/, from ones to ones."""
    import numpy as np  # only where such a checksum is given

    from local_sagemaker.algorithms.fm_kernels import remainder  # loads a compiler

    table: Any = np.arange(256, dtype=np.uint64)
    for _ in range(8):
        table = (table >> 1) ^ (table & 1) * np.uint64(polynomial)
    ones = (1 << bits) - 1
    found = remainder(table, np.uint64(ones), np.frombuffer(body, np.uint8))
    return (int(found) ^ ones).to_bytes(bits // 8, "big")


DIGESTS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": partial(_crc, 32, 0x82F63B78),
    "crc64nvme": partial(_crc, 64, 0x9A6C9329AC4BC9B5),
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha512": lambda body: hashlib.sha512(body).digest(),
}
