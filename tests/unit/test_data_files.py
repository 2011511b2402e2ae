"""Files with something wrong in them: the error names file and line, or archive and member."""

import gzip
import io
import re
import zipfile

import numpy as np
import pytest

from helpers.data import DataError, archives, read_ratings
from helpers.data.itemfiles import parse_items
from helpers.data.parsing import line_names, parse_ratings

GOOD = {
    "u.data": b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n",
    "inter": (
        b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t1\t878887116\n"
    ),
    "dat": b"196::242::3::881250949\n186::302::3::891717742\n22::377::1::878887116\n",
    "csv": (
        b"userId,movieId,rating,timestamp\n196,242,3.0,881250949\n186,302,3.0,891717742\n22,377,1.0,878887116\n"
    ),
    "own": (
        b"rating,user_id,note,item_id,timestamp\n"
        b"3.0,196,x,242,881250949\n3.0,186,,302,891717742\n1.0,22,z,377,878887116\n"
    ),
}


@pytest.mark.parametrize("layout", GOOD)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("last", [True, False])
def test_every_layout_gives_the_same_table(layout, ending, last):
    content = GOOD[layout].replace(b"\n", ending)
    table = parse_ratings(content if last else content.removesuffix(ending), "f", layout)
    assert table["user_id"].tolist() == [196, 186, 22]
    assert table["item_id"].tolist() == [242, 302, 377]
    assert table["rating"].tolist() == [3, 3, 1]
    assert table["timestamp"].tolist() == [881250949, 891717742, 878887116]
    assert table["rating"].dtype == np.float32
    assert table["timestamp"].dtype == np.int64


def test_a_byte_order_mark_is_no_part_of_the_header():
    assert len(parse_ratings(b"\xef\xbb\xbf" + GOOD["csv"], "f", "csv")) == 3


def damaged(layout, line, old, new):
    """The good file with a change in one line (counted from 1)."""
    lines = GOOD[layout].split(b"\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        (
            damaged("u.data", 2, b"\t891717742", b""),
            "u.data",
            r"^u.data: line 2 has 3 fields, expected 4 \(user",
        ),
        (
            damaged("u.data", 3, b"22", b"22\t22"),
            "u.data",
            r"^u.data: line 3 has 5 fields, expected 4",
        ),
        (
            damaged("u.data", 1, b"196", b"196\t1"),
            "u.data",
            r"^u.data: line 1 has 5 fields, expected 4",
        ),
        (
            damaged("u.data", 2, b"186\t302\t3\t891717742", b""),
            "u.data",
            r"^u.data: line 2 is empty, expected 4",
        ),
        (damaged("u.data", 2, b"\t302", b"302"), "u.data", r"^u.data: line 2 has 3 fields"),
        (
            damaged("u.data", 2, b"302", b"3O2"),
            "u.data",
            r"^u.data: line 2: item_id is '3O2', expected an integer",
        ),
        (
            damaged("u.data", 3, b"22", b"22.5"),
            "u.data",
            r"^u.data: line 3: user_id is '22.5', expected an int",
        ),
        (
            damaged("u.data", 3, b"22", b""),
            "u.data",
            r"^u.data: line 3: user_id is '', expected an integer",
        ),
        (
            damaged("u.data", 2, b"\t3\t", b"\tgood\t"),
            "u.data",
            r"^u.data: line 2: rating is 'good', expected a finite n",
        ),
        (
            damaged("u.data", 3, b"878887116", b"87888711x"),
            "u.data",
            r"^u.data: line 3: timestamp is '87888711x'",
        ),
        (
            damaged("u.data", 3, b"878887116", b"9" * 25),
            "u.data",
            r"^u.data: line 3: timestamp is '9999",
        ),
        (
            damaged("u.data", 2, b"186", b"9" * 25),
            "u.data",
            r"^u.data: line 2: user_id is '9999",
        ),
        (damaged("inter", 3, b"302\t", b""), "inter", r"^u.data: line 3 has 3 fields, expected 4"),
        (damaged("dat", 2, b"::302", b":302"), "dat", r"^u.data: line 2 has 3 fields"),
        (damaged("csv", 4, b"1.0,", b"one,"), "csv", r"^u.data: line 4: rating is 'one'"),
        (damaged("csv", 2, b"3.0,", b"3.0,,"), "csv", r"^u.data: line 2 has 5 fields"),
        (
            damaged("csv", 1, b"movieId,", b"film,"),
            "csv",
            r"^u.data: line 1 has no column item_id; found user_id, f",
        ),
        (
            damaged("csv", 1, b"timestamp", b"rating"),
            "csv",
            r"^u.data: line 1 has no column timestamp",
        ),
        (damaged("own", 1, b"note", b"rating"), "own", r"^u.data: line 1 names rating twice"),
        (
            damaged("csv", 3, b"186", b"\xff86"),
            "csv",
            r"^u.data: line 3 holds the byte 0xff, which is not UTF-8",
        ),
        (GOOD["csv"].decode().encode("utf-16-le"), "csv", r"^u.data: line 1 holds the byte 0x00"),
        (b"", "u.data", r"^u.data: empty, expected lines of text"),
        (b"\n  \n", "u.data", r"^u.data: empty"),
        (b"userId,movieId,rating,timestamp\n", "csv", r"^u.data: no ratings after the header line"),
        (b"\x1f\x8b\x08\x00" + bytes(range(256)), "csv", r"^u.data: line 1 holds the byte"),
    ],
)
def test_bad_lines_are_named_exactly(content, layout, message):
    with pytest.raises(DataError, match=message):
        parse_ratings(content, "u.data", layout)


def test_many_lines_before_the_bad_one():
    lines = [b"%d\t%d\t3\t881250949" % (i, i) for i in range(50_000)]
    lines[40_321] = b"40321\t40321\t3"
    with pytest.raises(DataError, match=r"^big: line 40322 has 3 fields"):
        parse_ratings(b"\n".join(lines), "big", "u.data")


def test_line_names():
    assert line_names("u.data", "u.data")(16) == "u.data: line 17"
    assert line_names("r.csv", "csv")(15) == "r.csv: line 17"
    assert line_names("r.csv", "csv")(-1) == "r.csv"


# ---- items -------------------------------------------------------------------------------------

U_ITEM = (
    b"1|Toy Story (1995)|01-Jan-1995||http://x|0|0|0|1|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    b"267|unknown||||1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    b"543|Mis\xe9rables, Les (1995)|01-Jan-1995||http://x|0|0|0|0|0|0|0|0|1|0|0|0|1|0|0|0|0|0|0\n"
    b"1373|Good Morning (1971)|4-Feb-1971||http://x|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
    b"1412|Land Before Time III: The Time of the Great Giving (1995) (V)|01-Jan-1995||http://x"
    b"|0|0|0|1|1|0|0|0|0|0|0|0|0|0|0|0|0|0|0\n"
)
RECBOLE_ITEM = (
    "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "1\tToy Story\t1995\tAnimation Children's Comedy\n"
    "267\tunkonwn\tunkonwn\tunknown\n"
    "543\tMisérables, Les\t1995\tDrama Musical\n"
    "1373\tGood Morning\t1971\tunknown\n"
    "1412\tLand Before Time III: The Time of the Great Giving (1995)\tV\tAnimation Children's\n"
).encode()


def test_both_forms_of_the_100k_items_give_the_same_table():
    grouplens = parse_items(U_ITEM, "u.item", "u.item")
    recbole = parse_items(RECBOLE_ITEM, "ml-100k.item", "item")
    assert grouplens.equals(recbole)
    assert grouplens["title"].tolist()[1:4] == ["unknown", "Misérables, Les", "Good Morning"]
    assert grouplens["title"].iloc[4] == "Land Before Time III: The Time of the Great Giving"
    assert np.array_equal(grouplens["year"], [1995, np.nan, 1995, 1971, 1995], equal_nan=True)
    assert grouplens["genres"].iloc[0] == ("Animation", "Children's", "Comedy")
    assert grouplens["genres"].iloc[1] == ()


@pytest.mark.parametrize("last", ["", "\n"])
def test_items_of_the_larger_sets(last):
    dat = parse_items(
        b"1::Toy Story (1995)::Animation|Comedy\n2::Caf\xe9 (1942)::Drama" + last.encode(),
        "m",
        "dat",
    )
    assert dat["title"].tolist() == ["Toy Story", "Café"]
    text = 'movieId,title,genres\n1,"American President, The (1995)",Comedy|Drama\n'
    text += "2,Series (2007-),(no genres listed)"
    table = parse_items((text + last).encode(), "movies.csv", "csv")
    assert table["title"].tolist() == ["American President, The", "Series"]
    assert table["year"].tolist() == [1995, 2007]
    assert table["genres"].tolist() == [("Comedy", "Drama"), ()]


@pytest.mark.parametrize(
    ("content", "layout", "message"),
    [
        (
            U_ITEM.replace(b"267|unknown||||1|", b"267|unknown|||1|"),
            "u.item",
            r"^i: line 2 has 23 fields, expected 24",
        ),
        (
            U_ITEM.replace(b"543|", b"x543|"),
            "u.item",
            r"^i: line 3: item_id is 'x543', expected an integer",
        ),
        (RECBOLE_ITEM.replace(b"\t1971", b""), "item", r"^i: line 5 has 3 fields, expected 4"),
        (
            RECBOLE_ITEM.replace("é".encode(), b"\xe9"),
            "item",
            r"^i: line 4 holds the byte 0xe9, which is not UTF-8",
        ),
        (
            b"movieId,title\n1,a\n",
            "csv",
            r"^i: line 1 is movieId,title, expected the header movieId,title,genres",
        ),
        (b'movieId,title,genres\n1,"a\nb",x\n2,c\n', "csv", r"^i: line 4 has 2 fields, expected 3"),
        (b'movieId,title,genres\n1,"a"b,x\n', "csv", r"^i: line 2 is not CSV"),
        (
            b"item_id,title,year,genres\n1,a,soon,x\n",
            "own",
            r"^i: line 2: year is 'soon', expected a whole number",
        ),
        (b"item_id,title,year,genres\n,a,1999,x\n", "own", r"^i: line 2: item_id is empty"),
        (b"item_id,title,year,genres\n", "own", r"^i: no items"),
        (b"", "own", r"^i: empty"),
    ],
)
def test_bad_item_lines_are_named(content, layout, message):
    with pytest.raises(DataError, match=message):
        parse_items(content, "i", layout)


# ---- a learner's own file ----------------------------------------------------------------------


def test_own_file_plain_and_compressed(tmp_path):
    plain, packed = tmp_path / "mine.csv", tmp_path / "mine.csv.gz"
    plain.write_bytes(GOOD["own"])
    packed.write_bytes(gzip.compress(GOOD["own"]))
    items = tmp_path / "items.csv"
    items.write_text("item_id,title,year,genres\n242,a,1999,x|y\n302,b,,\n377,c,2000,\n")
    for path in (plain, packed):
        d = read_ratings(path, items)
        assert d.name == "mine"
        assert d.user_ids.tolist() == [22, 186, 196]
        assert d.items["title"].tolist() == ["a", "b", "c"]


def test_own_file_with_names_for_ids(tmp_path):
    path, items = tmp_path / "r.csv", tmp_path / "i.csv"
    path.write_text("user_id,item_id,rating,timestamp\nann,7,3,1\nbob,x,4,2\n")
    items.write_text("item_id,title,year,genres\n7,seven,,\nx,ex,,\n")
    d = read_ratings(path, items)
    assert d.item_ids.tolist() == ["7", "x"]
    assert d.items["title"].tolist() == ["seven", "ex"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2,6,5", r"^r.csv: line 3: rating is 6, expected 0.5 to 5"),
        ("9,8,3,5", r"^r.csv: line 3: user_id 9 rated item_id 8 before \(at r.csv: line 2\)"),
        ("1,2,nan,5", r"^r.csv: line 3: rating is 'nan', expected a finite number"),
        ("1,2,,5", r"^r.csv: line 3: rating is (nan|''), expected a (finite )?number"),
        (",2,3,5", r"^r.csv: line 3: user_id is missing"),
        ("1,2,3,", r"^r.csv: line 3: timestamp is '', expected an integer"),
        ("1,2,3,1260759144000", r"^r.csv: line 3: timestamp is 1260759144000"),
        ("1,77,3,5", r"^r.csv: line 3: item_id 77 is not in the items' table"),
    ],
)
def test_own_file_values_are_named_by_line(tmp_path, row, message):
    path, items = tmp_path / "r.csv", tmp_path / "i.csv"
    path.write_text(f"user_id,item_id,rating,timestamp\n9,8,3,5\n{row}\n")
    items.write_text("item_id,title,year,genres\n2,a,,\n8,b,,\n")
    with pytest.raises(DataError, match=message):
        read_ratings(path, items)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["i.csv", "r.csv"]


def test_own_file_damaged_or_missing(tmp_path):
    path = tmp_path / "r.csv.gz"
    whole = gzip.compress(GOOD["own"] * 50)
    for content in (
        whole[:-20],
        whole[: len(whole) // 2],
        b"not gzip",
        whole[:40] + b"\0\0\0\0" + whole[44:],
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"^r.csv.gz: not a complete gzip file"):
            read_ratings(path)
    with pytest.raises(DataError, match=r"gone.csv: cannot be read \(No such file"):
        read_ratings(tmp_path / "gone.csv")
    with pytest.raises(DataError, match=r"cannot be read"):
        read_ratings(tmp_path)


# ---- archives ----------------------------------------------------------------------------------


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_members_are_read_into_memory_only(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"d/x": b"one", "d/y": b"two"})
    assert archives.read_members(path, ["d/y", "d/x"]) == [b"two", b"one"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../evil", "has '..' in its path"),
        ("d/../../evil", "has '..' in its path"),
        ("d\\..\\evil", "has '..' in its path"),
        ("/etc/evil", "has an absolute path"),
        ("\\evil", "has an absolute path"),
        ("C:/evil", "has an absolute path"),
        ("c:evil", "has an absolute path"),
    ],
)
def test_members_outside_the_folder(tmp_path, name, problem):
    path = make_zip(tmp_path / "a.zip", {"d/x": b"one", name: b"bad"})
    with pytest.raises(DataError, match=re.escape(f"a.zip: member {name!r} {problem}")):
        archives.read_members(path, ["d/x"])
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_a_link_is_refused(tmp_path):
    link = zipfile.ZipInfo("d/link")
    link.create_system = 3
    link.external_attr = 0o120777 << 16
    path = make_zip(tmp_path / "a.zip", {"d/x": b"one", link: b"/etc/passwd"})
    with pytest.raises(DataError, match="a.zip: member 'd/link' is a symbolic link"):
        archives.read_members(path, ["d/x"])


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_MEMBER", 1000)
    path = make_zip(tmp_path / "a.zip", {"d/x": b"0" * 1001})
    with pytest.raises(DataError, match="'d/x' unpacks to 1,001 bytes, expected at most 1,000"):
        archives.read_members(path, ["d/x"])


def test_corrupt_archives(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"d/x": bytes(range(256)) * 40, "d/y": b"fine"})
    whole = path.read_bytes()
    for content in (b"", b"not a zip", whole[:-30], whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"^a.zip: not a complete zip file"):
            archives.read_members(path, ["d/x"])
    flipped = bytearray(whole)
    flipped[60] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(DataError, match=r"^a.zip: member 'd/x' cannot be read"):
        archives.read_members(path, ["d/x"])


def test_a_missing_and_an_encrypted_member(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"d/x": b"one"})
    with pytest.raises(DataError, match=r"^a.zip: no member d/z; found d/x"):
        archives.read_members(path, ["d/z"])
    buffer = bytearray(path.read_bytes())
    buffer[6] |= 1  # the flag bit in the local header and in the directory
    directory = bytes(buffer).index(b"PK\x01\x02")
    buffer[directory + 8] |= 1
    path.write_bytes(buffer)
    with zipfile.ZipFile(io.BytesIO(buffer)) as archive:
        assert archive.infolist()[0].flag_bits & 1
    with pytest.raises(DataError, match=r"^a.zip: member 'd/x' cannot be read.*encrypted"):
        archives.read_members(path, ["d/x"])
