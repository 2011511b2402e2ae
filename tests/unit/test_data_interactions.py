"""Raw tables become Interactions, or an error that names the row, with advice that works."""

import re

import numpy as np
import pandas as pd
import pytest

from helpers import data
from helpers.data import DataError, Interactions


def raw(**changes):
    """Three users, three items, raw ids with gaps, not sorted."""
    table = {"user_id": [7, 3, 7, 90], "item_id": [20, 20, 5, 11], "rating": [4.0, 0.5, 5.0, 3.5]}
    return pd.DataFrame(table | {"timestamp": [100, 200, 300, 400]} | changes)


ITEMS = pd.DataFrame({"item_id": [11, 5, 20, 99], "title": ["b", "a", None, "never rated"]})
ITEMS["year"] = [1999, None, 2001, 2000]
ITEMS["genres"] = ["Drama|War", "", ("Comedy",), None]


def refused(message, *args, **settings):
    """Assert that the table is refused with this message, and return the message whole."""
    with pytest.raises(DataError, match=message) as error:
        Interactions.from_frame(*args, **settings)
    return str(error.value)


def test_indices_follow_the_order_of_raw_ids_and_rows_that_of_the_table():
    d = Interactions.from_frame(raw(), ITEMS)
    assert (d.user_ids.tolist(), d.item_ids.tolist()) == ([3, 7, 90], [5, 11, 20])
    assert (d.frame["user"].tolist(), d.frame["item"].tolist()) == ([1, 0, 1, 2], [2, 2, 0, 1])
    assert d.frame["timestamp"].tolist() == [100, 200, 300, 400]
    assert (len(d), d.n_users, d.n_items, d.density) == (4, 3, 3, 4 / 9)
    assert d.items["title"].tolist() == ["a", "b", "untitled 20"]
    assert d.items["genres"].tolist() == [(), ("Drama", "War"), ("Comedy",)]
    assert d.items["year"].isna().tolist() == [True, False, False]
    dense = d.matrix().toarray()
    assert dense.dtype == np.float32
    assert dense.tolist() == [[0, 0, 0.5], [5, 0, 4], [0, 3.5, 0]]
    assert (d.user_counts().tolist(), d.item_counts().tolist()) == ([1, 2, 1], [1, 1, 2])
    bare = Interactions.from_frame(raw()).items
    assert bare["title"].tolist() == ["untitled 5", "untitled 11", "untitled 20"]
    assert bare["genres"].tolist() == [(), (), ()] and bare["year"].isna().all()
    assert d == d and d != d.replace(d.frame)  # frames are not compared


def test_ids_both_ways():
    d = Interactions.from_frame(raw(), name="mine")
    assert d.user_of(90) == 2 and isinstance(d.user_of(90), int)
    assert d.item_of([20, 5]).tolist() == [2, 0]
    assert np.array_equal(d.user_ids[d.user_of([d.user_ids])], [d.user_ids])
    for wrong in (4, -1, 1000, [7, 4]):
        with pytest.raises(DataError, match=r"^mine: no user_id -?\d+; its 3 ids run from 3 to 90"):
            d.user_of(wrong)
    for wrong in (7.0, "7", True, None):
        with pytest.raises(DataError, match="expected an integer such as 3"):
            d.user_of(wrong)
    text = Interactions.from_frame(raw(user_id=["g", "c", "g", "z"]))
    assert (text.user_ids.tolist(), text.user_of("g")) == (["c", "g", "z"], 1)
    with pytest.raises(DataError, match="expected a string such as c"):
        text.user_of(3)


FINITE = "expected a finite number; correct or drop the row"
SECONDS = "expected whole seconds since 1970, or dates such as 2020-01-31 12:00:00 everywhere"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating": [4, 0.5, 5.5, 3]}, r"your data: row 2: rating is 5.5, expected 0.5 to 5"),
        ({"rating": [4, 0, 5, 0]}, r"row 1: rating is 0, expected 0.5 to 5.*\(1 more like it\)"),
        ({"rating": [4, -np.inf, 5, 3]}, f"row 1: rating is -inf, {FINITE}"),
        ({"rating": [True, False, True, True]}, f"row 0: rating is True, {FINITE}"),
        ({"user_id": [7, np.nan, 7, 90]}, r"row 1: user_id is missing, expected an id"),
        ({"item_id": [True, False, True, True]}, r"row 0: item_id is True, expected an integer or"),
        ({"timestamp": [1, 2, np.nan, 4]}, r"row 2: timestamp is (nan|missing), expected"),
        ({"timestamp": [1.5, 2, 3, 4]}, f"row 0: timestamp is 1.5, {SECONDS}"),
        ({"timestamp": ["1/2/2020"] * 4}, f"row 0: timestamp is '1/2/2020', {SECONDS}"),
        ({"timestamp": [1, -2, 3, 4]}, r"row 1: timestamp is -2, expected seconds since 1970"),
        ({"timestamp": [10.0**30] * 4}, "row 0: timestamp is 1e.30, expected seconds since 1970"),
        ({"rating": [4, 1j, 5, 3]}, f"row 0: rating is .*, {FINITE}"),
        ({"timestamp": [1, 2, 3, 1260759144000]}, r"row 3: timestamp is 1260759144000, expected"),
    ],
)
def test_bad_rows_are_named(changes, message):
    refused(message, raw(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user_id": [7.0, 3.0, 7.0, 90.0]}, "row 0: user_id is 7.0, expected an integer"),
        ({"user_id": [7.5, 3.0, 7.0, 90.0]}, "row 0: user_id is 7.5, expected an integer"),
        ({"user_id": [7.0, np.inf, 7.0, 90.0]}, "row 0: user_id is 7.0, expected an integer"),
        ({"user_id": [1e19, 3.0, 1e19, 90.0]}, "row 0: user_id is 1e.19, expected an integer"),
        ({"user_id": [7, "x", 7, 90]}, "row 1: user_id is 'x', expected another int like 7"),
        ({"user_id": ["x", 3, "y", "z"]}, "row 1: user_id is 3, expected another str like 'x'"),
        ({"user_id": [2**63 + 5, 3, 2**63 + 5, 90]}, "row 0: user_id is 9223.*, expected a number"),
    ],
)
def test_advice_for_ids_works(changes, message):
    frame = raw(**changes)
    column = re.search(r"frame\['user_id'\]\.astype\(.*?\)", refused(message, frame))[0]
    fixed = frame.assign(user_id=eval(column, {"frame": frame}))
    assert Interactions.from_frame(fixed).n_users == frame["user_id"].astype(str).nunique()


DATES = ["2019-03-01 10:00", "2019-03-01", "2019-02-28", "2019-03-02"]
ONE_HOUR_EAST = pd.to_datetime(pd.Series(DATES), format="ISO8601").dt.tz_localize("Etc/GMT-1")


@pytest.mark.parametrize(
    ("column", "first"),
    [
        (DATES, 1551434400),
        ([f"{d}Z" if " " in d else d for d in DATES], 1551434400),
        (pd.to_datetime(pd.Series(DATES), format="ISO8601"), 1551434400),
        (ONE_HOUR_EAST, 1551430800),
        (pd.to_datetime(pd.Series(DATES), format="ISO8601").dt.date, 1551398400),
    ],
)
def test_dates_become_seconds_and_that_is_said(capsys, column, first):
    d = Interactions.from_frame(raw(timestamp=column))
    assert d.frame["timestamp"].iloc[0] == first
    assert "became seconds since 1970, as UTC where no time" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("column", "stored", "said"),
    [
        ([1.5e12, 1.6e12, 1.5e12, 1.7e12], 1_500_000_000, "were divided by 1,000, which"),
        ([1_500_000_000 * 10**9] * 4, 1_500_000_000, "timestamps were divided by 1,000,000,000"),
        (["978300760.0"] * 4, 978_300_760, ""),
        ([20190301] * 4, 20190301, "no timestamp of 1990 to 2100, the last is 1970-08-22 16:25:01"),
        ([43525] * 4, 43525, "the last is 1970-01-01 12:05:25; if that is wrong, write"),
        ([20190301120000] * 4, 20190301120, "no timestamp of 1990 to 2100, the last is 2609-10"),
    ],
)
def test_other_timestamps(capsys, column, stored, said):
    assert Interactions.from_frame(raw(timestamp=column)).frame["timestamp"].iloc[0] == stored
    assert said in capsys.readouterr().out


def test_without_timestamps_what_works_is_said(capsys):
    d = Interactions.from_frame(raw().drop(columns="timestamp"))
    assert "random_split and cold_item_split work, splits by time do not" in capsys.readouterr().out
    assert len(data.random_split(d, 0.5).test) == 2
    assert len(data.cold_item_split(d, 0.5).test) > 0
    with pytest.raises(DataError, match="use random_split$"):
        data.time_split(d, 0.5)


def test_numbers_as_text_and_categories_are_understood():
    table = raw(rating=["4", " 0.5", "5,0", "3,5"])
    table["user_id"] = table["user_id"].astype(str).astype("category")
    d = Interactions.from_frame(table)
    assert d.frame["rating"].tolist() == [4.0, 0.5, 5.0, 3.5]
    assert d.user_ids.tolist() == ["3", "7", "90"]


def test_tables_that_are_none_and_other_names_and_scales():
    refused("row 'q': rating is 9", raw(rating=[4, 9, 5, 3]).set_axis(["p", "q", "r", "s"]))
    lacks = raw().rename(columns={"item_id": "movieId"})
    refused("found user_id, movieId, rating, timestamp, expected a pandas DataFrame with", lacks)
    twice = pd.concat([raw(), raw()[["rating"]]], axis=1)
    refused("found user_id, item_id, rating, timestamp, rating, expected .* once each", twice)
    refused("your data: empty, expected at least one rating", raw().iloc[:0])
    refused("found no column in a list, expected a pandas DataFrame", [(1, 2, 3, 4)])
    table = raw(rating=[10, -3, 5, 3])
    assert Interactions.from_frame(table, rating_range=None).frame["rating"].min() == -3
    refused("row 1: rating is -3, expected 0 to 10", table, rating_range=(0, 10))
    refused("rating is 1e.300, expected a finite", raw(rating=[1e300, 3, 5, 3]), rating_range=None)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (ITEMS.drop(index=1), r"your data: row 2: item_id is 5, expected an item of items"),
        (ITEMS.astype({"item_id": str}), r"row 0: item_id is 20, .*convert both columns to str"),
        (ITEMS.drop(columns="item_id"), r"items: found title, .*expected item_id, once"),
        ([1, 2], "items: found no column in a list, expected item_id"),
        (ITEMS.assign(x=1).rename(columns={"x": "title"}), "items: found .*title, .*title, expect"),
        (pd.concat([ITEMS, ITEMS.iloc[:1]]), r"items: row 0: item_id is 11, expected each id once"),
        (ITEMS.assign(item_id=[11, None, 20, 99]), r"items: row 1: item_id is missing"),
        (ITEMS.assign(year=["1999", "soon", None, None]), r"items: row 1: year is 'soon'"),
        (ITEMS.assign(year=[1999, 70000, None, None]), r"items: row 1: year is 70000"),
    ],
)
def test_bad_items_are_named(items, message):
    refused(message, raw(), items)


def test_the_table_given_is_left_alone():
    table, before = raw(), raw()
    d = Interactions.from_frame(table)
    d.frame.loc[:, ["rating", "timestamp"]] = 1
    pd.testing.assert_frame_equal(table, before)


def test_replace_keeps_users_and_items():
    d = Interactions.from_frame(raw())
    part = d.replace(d.frame.iloc[[3, 1]])
    assert (len(part), part.n_users, part.n_items) == (2, 3, 3)
    assert part.frame.index.tolist() == [0, 1]
    assert part.user_counts().tolist() == [1, 0, 1]
    assert len(d.replace(d.frame.iloc[:0])) == 0
    for column, value, message in (
        ("user", 3, "row 0: user is 3, expected an index, 0 to 2; raw ids .* user_of"),
        ("item", -1, "row 0: item is -1, expected an index, 0 to 2"),
        ("rating", np.nan, "row 0: rating is missing, expected a finite number"),
        ("rating", np.inf, "row 0: rating is inf, expected a finite number"),
    ):
        with pytest.raises(DataError, match=message):
            d.replace(d.frame.assign(**{column: value}))
