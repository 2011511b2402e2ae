"""Ratings of one's own: files of many kinds are read or named, and every piece of advice works."""

import bz2
import gzip
import io
import lzma
import re
import zipfile

import pytest

from helpers import data
from helpers.data import DataError, read_ratings

HEADER = "user_id,item_id,rating,timestamp\n"
TWO = HEADER + "1,10,3.5,1000000000\n2,20,4,1000000001\n"
swap = TWO.replace


def titled(first, second):
    """The two ratings with a title in front of each."""
    return f"title,{HEADER}{first},1,10,3.5,1000000000\n{second},2,20,4,1000000001\n"


def read(folder, text, items=None, **settings):
    """Read a file with this text or these bytes, and another with the items."""
    paths = []
    for name, content in (("r.csv", text), ("i.csv", items)):
        if content is not None:
            paths.append(folder / name)
            paths[-1].write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_ratings(*paths, **settings)


def is_two(d):
    found = (d.user_ids.tolist(), d.item_ids.tolist(), d.frame["rating"].tolist())
    return found == ([1, 2], [10, 20], [3.5, 4.0]) and d.name == "r.csv"


SAME = {
    "spaces": TWO.replace(",", ", "),
    "semicolons and decimal commas": TWO.replace(",", ";").replace(".", ","),
    "tabs": TWO.replace(",", "\t"),
    "bars": TWO.replace(",", "|"),
    "double colons": TWO.replace(",", "::"),
    "quotes in the rows": re.sub(r"\b\d[\d.]*", lambda m: f'"{m[0]}"', TWO),
    "blanks before quotes": TWO.replace(",3.5", ', "3.5"').replace(",20", ', "20"'),
    "quotes everywhere": re.sub(r"[\w.]+", lambda m: f'"{m[0]}"', TWO),
    "single quotes": re.sub(r"[\w.]+", lambda m: f"'{m[0]}'", TWO),
    "quoted decimal commas": TWO.replace("3.5", '"3,5"'),
    "names of MovieLens": TWO.replace("user_id,item_id", "userId,movieId"),
    "names of RecBole": TWO.replace("user_id", "user_id:token").replace("rating", "rating:float"),
    "other names": TWO.replace("user_id,item_id,rating", "User ID,Item-ID,Book-Rating"),
    "names of a shop": "Customer ID,ASIN,overall,created_at\n" + TWO.removeprefix(HEADER),
    "no header": TWO.removeprefix(HEADER),
    "no header, spaces": TWO.removeprefix(HEADER).replace(",", "  "),
    "further columns": swap("\n", ",x\n"),
    "titles with commas": titled('"a, ""b"""', "c"),
    "titles over two lines": titled('"a\nb"', "c"),
    "byte order mark": "\ufeff" + TWO,
    "Windows": TWO.replace("\n", "\r\n"),
    "old Mac": TWO.replace("\n", "\r"),
    "no last line end": TWO.rstrip(),
    "empty lines at the end": TWO + "\n\n",
    "gzip": gzip.compress(TWO.encode()),
    "gzip twice": gzip.compress(gzip.compress(TWO.encode())),
    "aligned columns": " " + TWO.replace(",", "   ").replace("\n", " \n "),
    "quotes as in MySQL": titled('"a \\"b\\" c"', "c"),
    "a wide table": ("x," * 9000 + TWO).replace("\n", "\n" + "0," * 9000, 2),
    "decimal commas everywhere": "user_id;item_id;rating;timestamp\n1;10;3,5;1000000000,0\n2;20;4,0;1000000001,0\n",
    "UTF-16 in gzip": gzip.compress(TWO.encode("utf-16")),
}


@pytest.mark.parametrize("kind", SAME)
def test_kinds_of_files_that_hold_the_same(tmp_path, capsys, kind):
    assert is_two(read(tmp_path, SAME[kind]))
    columns = "user_id, item_id, rating, timestamp"
    said = f"r.csv: no header line, so the columns are taken as {columns}.\n"
    assert capsys.readouterr().out == (said if "no header" in kind else "")


@pytest.mark.parametrize(
    ("users", "kept", "said"),
    [
        (["007", "7"], ["007", "7"], "'007'"),
        (["9223372036854775813", "5"], ["5", "9223372036854775813"], "'9223372036854775813'"),
        (["9223372036854775807", "-5"], [-5, 9223372036854775807], None),
        ([" anna", "bob "], ["anna", "bob"], None),
        (['"u1"', '"u, 2"'], ["u, 2", "u1"], None),
        (["1.0", "1"], ["1", "1.0"], "'1.0'"),
        (["+1", "1"], ["+1", "1"], "'+1'"),
        (["0", "-0"], ["-0", "0"], "'-0'"),
        (["1_0", "10"], ["10", "1_0"], "'1_0'"),
        (["NA", "x"], ["NA", "x"], None),
        (["NA"], ["NA"], None),
        (['"a \\"b\\""', '"c"'], ['a "b"', "c"], None),
        (['"a"', '"c\\"'], ["a", "c\\"], None),
        (["1e3", "1000"], ["1000", "1e3"], "'1e3'"),
    ],
)
def test_ids_are_what_the_file_says(tmp_path, capsys, users, kept, said):
    rows = "".join(f"{user},10,4,1000000000\n" for user in users)
    d = read(tmp_path, HEADER + rows, "item_id,title\n10,ten\nabc,\n")
    assert d.user_ids.tolist() == kept
    assert d.user_of(kept).tolist() == [0, 1][: len(kept)]
    assert d.items["title"].tolist() == ["ten"]
    expected = f"r.csv: user_id stays text, because {said} is not a plain integer.\n"
    assert capsys.readouterr().out == (expected if said else "")


PAIRS = {
    "ratings.csv": (
        TWO.replace("user_id,item_id", "userId,movieId"),
        'movieId,title,genres\n20,"B, The (1995)",War\n10,A (2007-),(no genres listed)\n',
    ),
    "u.data": (
        "1\t10\t3.5\t1\n2\t20\t4\t2\n",
        f"20|B, The (1995)|||{'|0' * 17}|1|0\n10|A (2007) (V)||||1{'|0' * 18}\n",
    ),
    "ratings.dat": ("1::10::3.5::1\n2::20::4::2\n", "20::B, The (1995)::War\n10::A (2007)::\n"),
    "own": (TWO, "genres;year;item_id;x;title\nWar;1995.0;20;;B, The\n;;10;;A (2007)\n"),
    "ids of two types": (TWO, 'item_id,title,genres\n20,"B, The (1995)",War\n10,A (2007),\nx,y,\n'),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_of_files(tmp_path, name):
    ratings, items = PAIRS[name]
    encoding = "latin-1" if name in ("u.data", "ratings.dat") else "utf-8"
    items = items.replace("A", "Á").replace("B, The", "B, 'The'")
    d = read(tmp_path, ratings, items.encode(encoding))
    assert is_two(d)
    assert d.items["title"].tolist() == ["Á", "B, 'The'"]
    assert d.items["year"].tolist() == [2007, 1995]
    assert d.items["genres"].tolist() == [(), ("War",)]


def zipped(member):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(member, TWO)
    return packed.getvalue()


ACCENT = swap("2,20", "2é,20")
DATED = re.sub(r"100000000(\d)", r"2020-01-31 12:00:0\1", TWO)
ADVICE = [
    (zipped("r.csv"), "is an archive; unpack it and give the file"),
    (bz2.compress(TWO.encode()), "is an archive; unpack it and give the file"),
    (lzma.compress(TWO.encode()), "is an archive; unpack it and give the file"),
    (zipped("xl/workbook.xml"), "is an Excel workbook; save it as CSV and give the file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook; save it as CSV and give the file"),
    (b"PAR1\x15\x04", "is no CSV; read it with pandas and use Interactions.from_frame"),
    ('[{"user_id":1,"item_id":10}]', "is no CSV; read it with pandas and use Interactions.from_fr"),
    ("sep=,\n" + TWO, "line 1 has no column .*; name the columns .*, delete what is above"),
    (swap("2,20", "2\0,20"), "line 3 holds the byte 0x00, not of UTF-8 text; delete it, or save"),
    (swap("2,20", "\\N,20"), "line 3: user_id is missing, expected an id"),
    (TWO.encode("utf-16-le"), "line 1 holds the byte 0x00, perhaps of UTF-16, .*save the file"),
    (ACCENT.encode("cp1252"), "line 3 holds the byte 0xe9, not .*save .* UTF-8", ACCENT),
    (gzip.compress(TWO.encode())[:-9], "damaged gzip or UTF-16 .*; get a fresh copy"),
    (swap("user_id", "uid"), "line 1 has no column user_id; found uid, .*; name the columns so"),
    (swap("timestamp", "rating"), "line 1 names rating twice, expected once; rename one"),
    (swap("3.5", "3,5"), "line 2 has 5 fields, .* by ','; put quotes", swap("3.5", '"3,5"')),
    (swap("3.5,", ""), "line 2 has 3 fields, expected 4 .*; correct or delete the line"),
    (swap("\n2", "\n\n2"), "line 3 is empty, expected 4 .*; correct or delete the line"),
    (TWO + "3,30,3\n4,40,4,5,6\n", "line 4 has 3 fields, expected 4"),
    (titled("a", '"b'), 'line 3: the quotes " are not in pairs .*; close', titled("a", '"b"')),
    (swap("2,20", "NA,20"), "line 3: user_id is missing, .*; fill it in or drop the row"),
    (swap("2,20", ",20"), "line 3: user_id is missing, expected an id"),
    (swap("3.5", "good"), "line 2: rating is 'good', .* finite number; correct or drop the row"),
    (swap("3.5", ""), "line 2: rating is '', expected a finite number"),
    (swap("3.5", "inf"), "line 2: rating is inf, expected a finite number"),
    (swap("1000000000", "31.12.2019"), "line 2: timestamp is '31.12.2019', .*dates", DATED),
    (swap("1000000000", "1000000000000"), "line 2: timestamp is 1000000000000, expected seconds"),
]


@pytest.mark.parametrize("case", ADVICE)
def test_faults_are_named_and_advice_works(tmp_path, case):
    text, message, mended = (*case, TWO)[:3]
    with pytest.raises(DataError, match=rf"^r\.csv: {message}"):
        read(tmp_path, text)
    assert len(read(tmp_path, mended)) == 2


def test_advice_to_give_an_argument_works(tmp_path):
    with pytest.raises(DataError, match="line 3: rating is 9.0, expected 0.5 to 5.*rating_range="):
        read(tmp_path, swap("4,", "9,"))
    assert len(read(tmp_path, swap("4,", "9,"), rating_range=(0, 10))) == 2
    message = r"line 4: user_id 2 rated item_id 20 before \(at r.csv: line 3\).*keep_latest=True$"
    with pytest.raises(DataError, match=message):
        read(tmp_path, TWO + "2,20,1,1000000000\n")
    assert is_two(read(tmp_path, TWO + "2,20,1,1000000000\n", keep_latest=True))


def test_the_line_is_right_below_a_field_over_two_lines_and_in_a_long_file(tmp_path):
    with pytest.raises(DataError, match="r.csv: line 4: rating is 9"):
        read(tmp_path, SAME["titles over two lines"].replace(",4,", ",9,"))
    rows = [f"{i},{i},3,1000000000" for i in range(50_000)]
    rows[40_321] = "40321,40321,3"
    with pytest.raises(DataError, match="r.csv: line 40323 has 3 fields"):
        read(tmp_path, HEADER + "\n".join(rows))


def test_ids_with_zeros_are_found_in_a_long_file(tmp_path):
    rows = [f"{i},{i},3,1000000000,{'x' * 100_000}" for i in range(1, 180)]  # longer than a block
    rows[-1] = "0" + rows[-1]
    d = read(tmp_path, HEADER.strip() + ",note\n" + "\n".join(rows))
    assert d.user_of("0179") == 0


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ("item_id,title\n10,a\n", "r.csv: line 3: item_id is 20, expected an item of items"),
        ("item_id\n10\n20\n10\n", "items: i.csv, line 4: item_id is 10, expected each id once"),
        ("item_id,title\n,a\n10,b\n", "items: i.csv, line 2: item_id is missing, expected an id"),
        ("item_id,year\n10,\n20,soon", "i.csv, line 3: year is 'soon', expected a year of four"),
        ("item_id,title\n", "i.csv: no row below the header line; expected at least one"),
        ("id,title\n1,a", "line 1 has no column item_id; found id, title, expected item_id, title"),
        ("", "i.csv: empty, expected lines of text"),
    ],
)
def test_bad_items_are_named(tmp_path, items, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, TWO, items)


def test_files_that_are_not_there_or_hold_nothing(tmp_path):
    for path in (tmp_path / "gone.csv", tmp_path, "~no-such-user/r.csv", "a\0b"):
        with pytest.raises(DataError, match="cannot be read .*; check the path"):
            read_ratings(path)
    for text, message in (("\n \n", "empty, expected lines"), (HEADER, "no row below the head")):
        with pytest.raises(DataError, match=f"r.csv: {message}"):
            read(tmp_path, text)


def test_the_example_of_the_readme(tmp_path, monkeypatch, capsys):
    readme = (data.movielens.EMBEDDED.parents[2] / "README.md").read_text(encoding="utf-8")
    code = re.search(r"## Your own ratings\n.*?```python\n(.*?)```", readme, re.DOTALL)[1]
    assert "read_ratings" in code
    rows = "".join(f"{user},{item},3,5\n" for user in (7, 8) for item in (40, 50))
    (tmp_path / "my_ratings.csv").write_text("userId,movieId,rating,timestamp\n" + rows)
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    said = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch("my_ratings.csv: 4 interactions, 2 users × 2 items, .* full 0 1", said)
