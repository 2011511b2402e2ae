"""Cutting objects into requests, and putting answers together."""

import numpy as np
import pytest

from local_sagemaker.formats import payload
from tests.sagemaker import jobs


def records(n: int) -> bytes:
    return jobs.records(np.arange(n * 3, dtype=np.float32).reshape(n, 3))


@pytest.mark.parametrize(
    "data, kind, n",
    [
        (b'{"a": 1}\n{"a": 2}\r\n\n{"a": 3}', "Line", 3),
        (records(5), "RecordIO", 5),
        (b"anything\nat all", "None", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_single_records_are_all_there(data, kind, n):
    parts = list(payload.split(data, kind, "SingleRecord", 6))
    assert len(parts) == n
    assert b"".join(parts).replace(b"\n", b"") == data.replace(b"\n", b"")
    assert list(payload.split(b"", kind, "MultiRecord", 6)) == []


def test_many_records_fill_a_request_without_passing_the_limit():
    data = b"".join(b"%05d\n" % number for number in range(1000))
    parts = list(payload.split(data, "Line", "MultiRecord", 100 / (1 << 20)))
    assert b"".join(parts) == data
    assert max(map(len, parts)) == 96 and len(parts) == 63
    assert list(payload.split(records(9), "RecordIO", "MultiRecord", 0)) == [records(9)]
    with pytest.raises(payload.PayloadError, match="record 1 announces 28 bytes, 24 are left"):
        list(payload.split(records(2)[:-4], "RecordIO", "MultiRecord", 6))


@pytest.mark.parametrize("kind, strategy", [("None", "MultiRecord"), ("Line", "SingleRecord")])
def test_a_record_over_the_limit_is_refused(kind, strategy):
    with pytest.raises(payload.PayloadError, match="Too much data for max payload size"):
        list(payload.split(b"x" * 2_000_000, kind, strategy, 1))


def test_assembling_ends_each_answer_once():
    assert payload.assemble([b"a\n", b"b"], "Line") == b"a\nb\n"
    assert payload.assemble([b"a\n", b"b"], "None") == b"a\nb"


@pytest.mark.parametrize(
    ("path", "kept"),
    [("$[1:]", b'b,"c,d",e'), ("$[0:2]", b"a,b"), ("$[-1:]", b"e"), ("$[:-1]", b'a,b,"c,d"')],
)
def test_a_filter_keeps_columns(path, kept):
    assert payload.keep(b'a,b,"c,d",e\n', payload.columns(path)) == kept + b"\n"


@pytest.mark.parametrize("path", ["$.features", "$[]", "$[a]", "$[1:2:3]", "[1]", "$[0,-2:]"])
def test_a_filter_that_names_no_columns_is_refused(path):
    with pytest.raises(payload.PayloadError, match="can't be read: expected columns of CSV"):
        payload.columns(path)
