"""RecordIO-protobuf: the SDK's bytes, back again, and every damage named."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from helpers.models.fm import side_by_side
from local_sagemaker.formats import recordio
from local_sagemaker.formats.payload import MAGIC, PayloadError, frames
from local_sagemaker.formats.recordio import read_records
from tests.sagemaker.golden.make import HERE, samples

SAMPLES = samples()
SPARSE = recordio.write_spmatrix_to_sparse_tensor
DENSE = recordio.write_numpy_to_dense_tensor


def written(matrix, labels=None) -> bytes:
    file = io.BytesIO()
    (SPARSE if sparse.issparse(matrix) else DENSE)(file, matrix, labels)
    return file.getvalue()


def check_read(found: recordio.Records, matrix, labels) -> None:
    assert found.dense is not sparse.issparse(matrix) and found.features.dtype == np.float32
    assert found.features.shape == matrix.shape
    assert (found.features != sparse.csr_matrix(matrix, dtype=np.float32)).nnz == 0
    if labels is None:
        assert found.labels is None
    else:
        np.testing.assert_array_equal(found.labels, labels.astype(np.float32))


@pytest.mark.parametrize("name", SAMPLES)
def test_the_bytes_are_those_of_the_sdk_and_are_read_back(name):
    assert written(*SAMPLES[name]) == (HERE / f"{name}.rec").read_bytes()
    check_read(read_records((HERE / f"{name}.rec").read_bytes()), *SAMPLES[name])


STEADY = settings(derandomize=True, max_examples=100, deadline=None, database=None)


@st.composite
def matrices(draw: st.DrawFn) -> tuple:
    """Return a matrix, sparse or dense, and labels or none, of the types of the format."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, width = draw(st.integers(1, 6)), draw(st.integers(1, 5) | st.integers(1, 3_000_000))
    kinds = [np.float32, np.float64, np.int64]
    keys, kind = rng.integers(0, width, (n, 3)), draw(st.sampled_from(kinds))
    values = (rng.normal(size=(n, 3)) * 10.0 ** rng.integers(-9, 5)).astype(kind)
    matrix = values
    if draw(st.booleans()):
        matrix = sparse.csr_matrix((values.ravel(), (np.repeat(np.arange(n), 3), keys.ravel())))
        matrix.resize(n, width)
    kind = draw(st.sampled_from([None, *kinds]))
    return matrix, None if kind is None else rng.integers(-(2**24), 2**24, n).astype(kind)


@STEADY
@given(matrices())
def test_what_was_written_is_read_back(made):
    check_read(read_records(written(*made)), *made)


@STEADY
@given(matrices(), st.data())
def test_damaged_bytes_are_read_or_refused_in_a_sentence(made, data):
    stream = written(*made)
    cut = data.draw(st.integers(0, len(stream) - 1))
    begins = [begin for begin, _ in frames(stream, "")]
    if cut not in begins:
        with pytest.raises(PayloadError, match="train.rec: truncated: record"):
            read_records(stream[:cut], name="train.rec")
    with contextlib.suppress(PayloadError):
        read_records(stream[:cut] + bytes([data.draw(st.integers(0, 255))]) + stream[cut + 1 :])


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_large_labels_are_kept_or_refused_never_merged(dtype):
    kept = np.array([2**24, 2**24 + 2, -(2**31) + 1 + 127], dtype=dtype)
    matrix = np.ones((3, 1), np.float32)
    assert read_records(written(matrix, kept)).labels.tolist() == kept.tolist()
    lost = np.array([2**24, 2**24 + 1, 0], dtype=dtype)
    with pytest.raises(PayloadError, match="label 16777217 is lost in float32, .* number items"):
        read_records(written(matrix, lost))
    with pytest.raises(PayloadError, match=r"label 1\S*e\+300 is lost"):
        read_records(written(matrix, np.full(3, 1e300)))


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


GOOD = written(side_by_side(([1, 2, 3], 943), ([3, 2, 1], 1682)), np.arange(3.0))


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
        (written(csr([5, 1])), None, "record 0 has key 1, which is not above the one before"),
        (written(csr([5, 5])), None, "record 0 has key 5, .*: keys must ascend, each once"),
        (written(csr([5, 6], [1, np.nan])), None, "record 0 has the value nan"),
        (written(csr([5, 6], [1, np.inf])), None, "record 0 has the value inf"),
        (written(csr([1]), np.array([np.nan], np.float32)), None, "record 0 has the label nan"),
        (GOOD + written(csr([1], width=2625)), None, "record 3 has no label, others have one"),
        (written(np.array([[1e39]])), None, "record 0 has the value inf"),
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
    with pytest.raises(PayloadError, match="record 3 has key 4, which"):
        read_records(written(rows))
    rows = sparse.vstack([csr([]), csr([1, 2], [1, np.nan])])  # as many values as records
    with pytest.raises(PayloadError, match="record 1 has the value nan"):
        read_records(written(rows))


@pytest.mark.parametrize(
    "write, given, error, message",
    [
        (SPARSE, [np.ones((2, 2))], TypeError, "must be sparse"),
        (DENSE, [np.ones(3)], ValueError, "must be a matrix"),
        (DENSE, [np.ones((2, 2), bool)], TypeError, "dtype bool"),
        (DENSE, [np.ones((2, 2)), np.ones(3)], ValueError, "for 2 rows"),
        (DENSE, [np.ones((2, 2)), np.array(["a", "b"])], TypeError, "labels of dtype"),
        (DENSE, [np.ones((1, 1)), np.array([2**31])], ValueError, "labels: whole numbers .* 32"),
        (DENSE, [np.array([[2**31]])], ValueError, "array: whole numbers .* 32 bits"),
    ],
)
def test_what_cannot_be_written(write, given, error, message):
    file = io.BytesIO()
    with pytest.raises(error, match=message):
        write(file, *given)
    assert file.getvalue() == b""
