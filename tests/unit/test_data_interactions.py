"""Raw tables become Interactions, or an error that names the row."""

import numpy as np
import pandas as pd
import pytest

from helpers.data import DataError, Interactions, UnknownIdError


def raw(**changes):
    """Three users, three items, raw ids with gaps, not sorted."""
    table = {
        "user_id": [7, 3, 7, 90],
        "item_id": [20, 20, 5, 11],
        "rating": [4.0, 0.5, 5.0, 3.5],
        "timestamp": [100, 200, 300, 400],
    }
    return pd.DataFrame(table | changes)


ITEMS = pd.DataFrame(
    {
        "item_id": [11, 5, 20, 99],
        "title": ["b", "a", None, "never rated"],
        "year": [1999, None, 2001, 2000],
        "genres": ["Drama|War", "", ("Comedy",), None],
    }
)


def test_indices_follow_the_order_of_raw_ids_and_rows_that_of_the_table():
    d = Interactions.from_frame(raw(), ITEMS)
    assert d.user_ids.tolist() == [3, 7, 90]
    assert d.item_ids.tolist() == [5, 11, 20]
    assert d.frame["user"].tolist() == [1, 0, 1, 2]
    assert d.frame["item"].tolist() == [2, 2, 0, 1]
    assert d.frame["timestamp"].tolist() == [100, 200, 300, 400]
    assert (len(d), d.n_users, d.n_items) == (4, 3, 3)
    assert d.density == 4 / 9


def test_items_table_is_brought_to_one_form():
    d = Interactions.from_frame(raw(), ITEMS)
    assert d.items["title"].tolist() == ["a", "b", "untitled 20"]
    assert d.items["genres"].tolist() == [(), ("Drama", "War"), ("Comedy",)]
    assert d.items["year"].isna().tolist() == [True, False, False]
    assert d.items["year"].iloc[1] == 1999


def test_without_items_titles_stand_in():
    d = Interactions.from_frame(raw())
    assert d.items["title"].tolist() == ["untitled 5", "untitled 11", "untitled 20"]
    assert d.items["genres"].tolist() == [(), (), ()]
    assert d.items["year"].isna().all()


def test_string_ids():
    d = Interactions.from_frame(raw(user_id=["g", "c", "g", "z"], item_id=["x", "x", "a", "m"]))
    assert d.user_ids.tolist() == ["c", "g", "z"]
    assert d.user_of("g") == 1
    with pytest.raises(UnknownIdError, match="expected a string"):
        d.user_of(3)


def test_ids_both_ways():
    d = Interactions.from_frame(raw())
    assert d.user_of(90) == 2
    assert isinstance(d.user_of(90), int)
    assert d.item_of([20, 5]).tolist() == [2, 0]
    assert d.item_of(np.array([[11]])).tolist() == [[1]]
    assert np.array_equal(d.user_ids[d.user_of(d.user_ids)], d.user_ids)


@pytest.mark.parametrize("wrong", [4, -1, 1000, [7, 4]])
def test_unknown_ids_are_named(wrong):
    d = Interactions.from_frame(raw(), name="mine")
    with pytest.raises(
        UnknownIdError, match=r"^mine: no user_id (4|-1|1000); its 3 ids run from 3 to 90"
    ):
        d.user_of(wrong)
    with pytest.raises(KeyError):
        d.user_of(wrong)


@pytest.mark.parametrize("wrong", [7.0, "7", True, None])
def test_ids_of_another_type_are_refused(wrong):
    with pytest.raises(UnknownIdError, match="expected an integer such as 3"):
        Interactions.from_frame(raw()).user_of(wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating": [4, 0.5, 5.5, 3]}, r"your data: row 2: rating is 5.5, expected 0.5 to 5"),
        (
            {"rating": [4, 0, 5, 0]},
            r"row 1: rating is 0, expected 0.5 to 5.*\(1 more row like it\)",
        ),
        ({"rating": [4, np.nan, 5, 3]}, r"row 1: rating is nan, expected a finite number"),
        ({"rating": [4, np.inf, 5, 3]}, r"row 1: rating is inf, expected a finite number"),
        ({"rating": [4, "good", 5, 3]}, r"row 1: rating is 'good', expected a number"),
        ({"rating": ["4", "1", "5", "3"]}, r"rating has dtype object, expected numbers"),
        ({"rating": [True, False, True, True]}, r"rating has dtype bool, expected numbers"),
        ({"user_id": [7, np.nan, 7, 90]}, r"row 1: user_id is missing"),
        (
            {"user_id": [7.0, 3.0, 7.0, 90.0]},
            r"user_id has dtype float64, expected integers or strings",
        ),
        ({"user_id": [7, "x", 7, 90]}, r"row 1: user_id is 'x' \(str\), expected only integers"),
        (
            {"user_id": ["x", 3, "y", "z"]},
            r"row 1: user_id is 3 \(int\), expected only integers or only str",
        ),
        (
            {"item_id": [True, False, True, True]},
            r"item_id has dtype bool, expected integers or strings",
        ),
        ({"timestamp": [1, 2, np.nan, 4]}, r"row 2: timestamp is missing"),
        ({"timestamp": [1.5, 2, 3, 4]}, r"timestamp has dtype float64, expected whole seconds"),
        ({"timestamp": [1, -2, 3, 4]}, r"row 1: timestamp is -2, expected seconds since 1970"),
        (
            {"timestamp": [1, 2, 3, 1260759144000]},
            r"row 3: timestamp is 1260759144000.*divide milliseconds",
        ),
        (
            {"user_id": [7, 3, 7, 7], "item_id": [20, 20, 5, 20]},
            r"row 3: user_id 7 rated item_id 20 before \(at your data: row 0\).*keep='last'",
        ),
    ],
)
def test_bad_rows_are_named(changes, message):
    with pytest.raises(DataError, match=message):
        Interactions.from_frame(raw(**changes))


def test_rows_are_named_by_their_label():
    table = raw(rating=[4, 9, 5, 3]).set_axis(["p", "q", "r", "s"])
    with pytest.raises(DataError, match="row 'q': rating is 9"):
        Interactions.from_frame(table)


def test_missing_columns_are_named():
    with pytest.raises(
        DataError, match=r"no column item_id, rating; found user_id, movieId, timestamp"
    ):
        Interactions.from_frame(raw().rename(columns={"item_id": "movieId"}).drop(columns="rating"))


def test_empty_table_and_other_things():
    with pytest.raises(DataError, match="your data: empty, expected at least one rating"):
        Interactions.from_frame(raw().iloc[:0])
    with pytest.raises(DataError, match="ratings is a list, expected a pandas DataFrame"):
        Interactions.from_frame([(1, 2, 3, 4)])


def test_other_scales_are_allowed_when_asked_for():
    table = raw(rating=[10, -3, 5, 3])
    assert Interactions.from_frame(table, rating_range=None).frame["rating"].min() == -3
    with pytest.raises(DataError, match="expected 0 to 10"):
        Interactions.from_frame(table, rating_range=(0, 10))


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (
            ITEMS.drop(index=1),
            r"your data: row 2: item_id 5 is not in the items' table \(3 items\)",
        ),
        (ITEMS.drop(columns="item_id"), r"items' table has no column item_id; found title"),
        (
            pd.concat([ITEMS, ITEMS.iloc[:1]], ignore_index=True),
            r"items: row 4: item_id 11 stands there twice",
        ),
        (ITEMS.assign(item_id=[11, None, 20, 99]), r"items: row 1: item_id is missing"),
        (ITEMS.assign(year=["1999", "soon", None, None]), r"items: row 1: year is 'soon'"),
        (ITEMS.assign(year=[1999, 70000, None, None]), r"items: row 1: year is 70000"),
    ],
)
def test_bad_items_are_named(items, message):
    with pytest.raises(DataError, match=message):
        Interactions.from_frame(raw(), items)


def test_the_table_given_is_left_alone():
    table = raw()
    before = table.copy()
    d = Interactions.from_frame(table)
    d.frame["rating"] = 1
    pd.testing.assert_frame_equal(table, before)


def test_matrix_and_counts():
    d = Interactions.from_frame(raw())
    dense = d.matrix().toarray()
    assert dense.dtype == np.float32
    assert dense.tolist() == [[0, 0, 0.5], [5, 0, 4], [0, 3.5, 0]]
    assert d.matrix(np.float64).dtype == np.float64
    assert d.user_counts().tolist() == [1, 2, 1]
    assert d.item_counts().tolist() == [1, 1, 2]


def test_history_is_in_order_of_time():
    d = Interactions.from_frame(raw(timestamp=[300, 200, 100, 400]), ITEMS)
    assert d.history(1)["title"].tolist() == ["a", "untitled 20"]
    with pytest.raises(UnknownIdError, match="user 3, expected 0 to 2"):
        d.history(3)


def test_replace_keeps_users_and_items():
    d = Interactions.from_frame(raw())
    part = d.replace(d.frame.iloc[[3, 1]])
    assert (len(part), part.n_users, part.n_items) == (2, 3, 3)
    assert part.frame.index.tolist() == [0, 1]
    assert part.user_counts().tolist() == [1, 0, 1]
    assert len(d.replace(d.frame.iloc[:0])) == 0
    with pytest.raises(DataError, match="user runs from 0 to 3, expected 0 to 2"):
        d.replace(d.frame.assign(user=[0, 1, 2, 3]))
    with pytest.raises(DataError, match="no column rating"):
        d.replace(d.frame.drop(columns="rating"))


def test_equality_of_the_object_does_not_compare_frames():
    d = Interactions.from_frame(raw())
    assert d == d
    assert d != d.replace(d.frame)
