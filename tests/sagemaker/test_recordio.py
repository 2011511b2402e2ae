"""RecordIO-protobuf: the SDK's bytes, back again, and every damage named."""

from __future__ import annotations

import io
import struct
import time

import numpy as np
import pytest
from scipy import sparse

from helpers.models.fm import side_by_side
from local_sagemaker.formats import recordio
from local_sagemaker.formats.payload import MAGIC, PayloadError
from local_sagemaker.formats.recordio import read_records
from tests.sagemaker.golden.make import HERE, samples

SAMPLES = samples()


SPARSE = recordio.write_spmatrix_to_sparse_tensor
DENSE = recordio.write_numpy_to_dense_tensor


def written(matrix, labels=None) -> bytes:
    file = io.BytesIO()
    (SPARSE if sparse.issparse(matrix) else DENSE)(file, matrix, labels)
    return file.getvalue()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bytes_are_those_of_the_sdk_and_are_read_back(name):
    assert written(*SAMPLES[name]) == (HERE / f"{name}.rec").read_bytes()
    matrix, labels = SAMPLES[name]
    found = read_records((HERE / f"{name}.rec").read_bytes())
    assert found.dense is not sparse.issparse(matrix)
    assert found.features.shape == matrix.shape and found.features.dtype == np.float32
    assert abs(found.features - sparse.csr_matrix(matrix).astype(np.float32)).max() == 0
    if labels is None:
        assert found.labels is None
    else:
        np.testing.assert_array_equal(found.labels, labels.astype(np.float32))


def ratings(n: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    rng = np.random.default_rng(0)
    users, items = rng.integers(0, 943, n), rng.integers(0, 1682, n)
    return side_by_side((users, 943), (items, 1682)), rng.integers(1, 6, n).astype(np.float32)


def test_a_hundred_thousand_ratings_take_under_two_seconds_each_way():
    matrix, labels = ratings(100_000)
    began = time.process_time()
    data = written(matrix, labels)
    between = time.process_time()
    found = read_records(data, 2625)
    ended = time.process_time()
    assert between - began < 2 and ended - between < 2
    assert (found.features != matrix).nnz == 0 and np.array_equal(found.labels, labels)


def test_other_layouts_are_read_one_by_one():
    """A label before the features, numbers not packed: legal, though the SDK does not write it."""

    def nested(tag: int, content: bytes) -> bytes:
        return bytes([tag, len(content)]) + content

    tensor = b"\x10\x02\x10\x05" + nested(0x0A, struct.pack("<2f", 1.5, -2)) + b"\x18\x09"
    features = nested(0x0A, nested(0x0A, b"values") + nested(0x12, nested(0x12, tensor)))
    number = nested(0x1A, nested(0x0A, struct.pack("<d", 4)))
    label = nested(0x12, nested(0x0A, b"values") + nested(0x12, number))
    message = label + features
    head = struct.pack("<II", MAGIC, len(message))
    found = read_records(head + message + b"\0" * (-len(message) % 4))
    assert found.features.shape == (1, 9) and found.labels.tolist() == [4]
    assert found.features[0, 2] == 1.5 and found.features[0, 5] == -2


def test_mixed_layouts_agree_with_reading_all_at_once():
    matrix, labels = ratings(50)
    mixed = written(matrix, labels) + written(matrix, labels.astype(np.float64))
    found = read_records(mixed)
    assert (found.features != sparse.vstack([matrix, matrix])).nnz == 0
    np.testing.assert_array_equal(found.labels, np.concatenate([labels, labels]))


GOOD = written(*ratings(3))


def csr(keys: list[int], values: list[float] | None = None, width: int = 10) -> sparse.csr_matrix:
    data = np.array(values or [1.0] * len(keys), dtype=np.float32)
    return sparse.csr_matrix((data, np.array(keys), np.array([0, len(keys)])), shape=(1, width))


def head(size: int) -> bytes:
    return struct.pack("<II", MAGIC, size)


@pytest.mark.parametrize(
    "data, width, message",
    [
        (b"", None, "train.rec: no records"),
        (GOOD[:-5], None, r"truncated: record 2 announces \d+ bytes"),
        (GOOD + b"\x0a\x23", None, "truncated: record 3 has 2 bytes of its 8-byte head"),
        (b"PK\x03\x04zipfiles", None, "begins with 0x04034b50, expected the magic number 0xced7"),
        (GOOD, 2000, "record 0 has 2625 features, but feature_dim is 2000"),
        (written(np.ones((2, 3), np.float32)), 4, "record 0 has 3 values, but feature_dim is 4"),
        (written(csr([1, 12])), None, "record 0 has key 12, out of range: keys are 0 to 9"),
        (written(csr([5, 1])), None, "record 0 has key 1 after 5, unsorted"),
        (written(csr([5, 5])), None, "record 0 has key 5 twice"),
        (written(csr([5, 6], [1, np.nan])), None, "record 0 has the value nan"),
        (written(csr([5, 6], [1, np.inf])), None, "record 0 has the value inf"),
        (written(csr([1]), np.array([np.nan], np.float32)), None, "record 0 has the label nan"),
        (GOOD + written(csr([1], width=2625)), None, "record 3 has no label, others have one"),
        (head(4) + b"\xff\xff\xff\xff", None, "record 0 is not an aialgs.data.Record"),
        (head(4) + b"\x2a\x02ab", None, "record 0 has no features"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_bad_streams(data, width, message):
    with pytest.raises(PayloadError, match=message):
        read_records(data, width, name="train.rec")


def test_an_error_names_its_record():
    rows = sparse.vstack([csr([1, 2]), csr([]), csr([3, 7]), csr([4, 4])]).tocsr()
    rows.indices[-2:] = [4, 4]
    with pytest.raises(PayloadError, match="record 3 has key 4 twice"):
        read_records(written(rows))


@pytest.mark.parametrize(
    "write, given, error, message",
    [
        (SPARSE, [np.ones((2, 2))], TypeError, "must be sparse"),
        (DENSE, [np.ones(3)], ValueError, "must be a matrix"),
        (DENSE, [np.ones((2, 2), bool)], TypeError, "dtype bool"),
        (DENSE, [np.ones((2, 2)), np.ones(3)], ValueError, "for 2 rows"),
    ],
)
def test_what_cannot_be_written(write, given, error, message):
    file = io.BytesIO()
    with pytest.raises(error, match=message):
        write(file, *given)
    assert file.getvalue() == b""
