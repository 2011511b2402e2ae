"""The take-home notebook on files of a reader's own: it runs, or one sentence says why not."""

from __future__ import annotations

import csv
import re
import sqlite3

import numpy as np
import pytest

from helpers import book, data
from helpers.runner import copies

HEADER = "user_id,item_id,rating,timestamp\n"


def some_rows(users=60, items=40, taken=12, seed=0):
    """Rows in which each user takes some items, the first ones more often, a day apart."""
    rng = np.random.default_rng(seed)
    odds = 1 / np.arange(1, items + 1)
    for user in range(users):
        for day, item in enumerate(rng.choice(items, taken, replace=False, p=odds / odds.sum())):
            yield user, item, rng.integers(1, 6), 1_500_000_000 + 86_400 * (day + user)


def plain(rows):
    return HEADER + "".join(f"{u},{i},{r},{t}\n" for u, i, r, t in rows)


FILES = {
    "plain": plain(some_rows()),
    "mark, semicolons, decimal commas, words": "\ufeffBenutzer ID;user;ISBN;stars;date\n"
    + "".join(f"x;anna {u};B-{i:03};{r},5;{t}\n" for u, i, r, t in some_rows()),
    "no times": plain(some_rows()).replace("timestamp", "what"),
    "one scale of 100": plain((u, i, 20 * r, t) for u, i, r, t in some_rows()),
    "few items": plain(some_rows(items=9, taken=6)),
    "one who took all": plain([*some_rows(), *((60, i, 5, 1_400_000_000 + i) for i in range(40))]),
}
REFUSED = {
    "a missing time": (HEADER + "1,2,3,1500000000\n1,3,4,\n", "line 3: timestamp is ''"),
    "twice": (HEADER + "1,2,3,1500000000\n1,2,4,1500000005\n", "line 3: .* keep_latest=True"),
    "no rating": ("user_id,item_id\n1,2\n", "line 1 has no column rating"),
}


def run(folder, text, monkeypatch, **settings):
    """Run the cells of the notebook on a file; return its names."""
    (folder / "mine.csv").write_text(text, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(book.ROOT))
    known = {"__name__": "notebook"}
    for cell in book.read(book.sources([book.TAKE_HOME])[0]).cells:
        if cell.cell_type == "code" and cell.id != copies.ALONE_ID:
            code = cell.source.replace("my_file = None", "my_file = 'mine.csv'")
            for name, value in settings.items():
                code = re.sub(rf"^{name} = .*?(  #|$)", rf"{name} = {value}\1", code, flags=re.M)
            exec(compile(code, "cell", "exec"), known)
    return known


@pytest.mark.parametrize("kind", FILES)
def test_it_runs_on_a_file_of_ones_own(tmp_path, monkeypatch, capsys, kind):
    known = run(tmp_path, FILES[kind], monkeypatch)
    said, ratings, k = capsys.readouterr().out, known["ratings"], known["k"]
    assert re.search(r"\d+ users were asked\. .* has the highest mean: NDCG@\d+ 0\.\d+", said)
    assert ("Transitions are left out" in said) == (kind == "no times")
    with (tmp_path / "my_lists" / "lists.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == (ratings.n_users - (kind == "one who took all")) * k
    pairs = ratings.frame[["user", "item"]].to_numpy()
    taken = {(str(ratings.user_ids[u]), str(ratings.item_ids[i])) for u, i in pairs}
    assert not taken & {(row["user_id"], row["item_id"]) for row in rows}
    database = sqlite3.connect(tmp_path / "my_lists" / "lists.sqlite")
    asked = "SELECT COUNT(*), MIN(place), MAX(place) FROM lists"
    assert database.execute(asked).fetchone() == (len(rows), 1, k)
    database.close()


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_read_is_refused_by_file_and_line(tmp_path, monkeypatch, kind):
    text, message = REFUSED[kind]
    with pytest.raises(data.DataError, match=f"mine.csv: {message}"):
        run(tmp_path, text, monkeypatch)


def test_one_rating_per_user_is_too_little(tmp_path, monkeypatch, capsys):
    with pytest.raises(AssertionError, match="nothing can be held out"):
        run(tmp_path, plain(some_rows(taken=1)), monkeypatch)
    assert "no user of mine.csv has more than 1 interactions" in capsys.readouterr().out


def test_of_many_ratings_whole_users_are_drawn_and_ease_says_why_it_is_out(
    tmp_path, monkeypatch, capsys
):
    rows = [(u, 300 * i + u, r, t) for u, i, r, t in some_rows(users=300, items=60)]
    known = run(tmp_path, plain(rows), monkeypatch, most=1200, largest=300)
    said = capsys.readouterr().out
    assert "100 users are drawn, with all of their 1,200 ratings." in said
    assert "EASE is left out: each of its tables would take" in said
    assert set(known["ratings"].user_counts()) == {12} and "EASE" not in known["models"]


def test_the_latest_of_two_is_kept_if_asked_for(tmp_path, monkeypatch):
    text = plain([*some_rows(), *((u, i, 5, t + 9) for u, i, _, t in some_rows())])
    known = run(tmp_path, text, monkeypatch, keep_latest=True)
    assert len(known["ratings"]) == 60 * 12
    assert (known["ratings"].frame["rating"] == 5).all()


def test_lab_copies_it_and_build_makes_it_once(tmp_path):
    folder = tmp_path / "chapters"
    folder.mkdir()
    (folder / "take_home.ipynb").write_bytes((book.ROOT / "chapters/take_home.ipynb").read_bytes())
    (folder / "my_notes.ipynb").write_text("{}")
    assert copies.make(tmp_path) == []
    made = sorted(path.name for path in (tmp_path / copies.MINE).glob("*.ipynb"))
    assert made == ["take_home.ipynb"]
    assert book.main(["--check", book.TAKE_HOME]) == 0
    assert not (book.ROOT / "solutions" / "take_home.ipynb").exists()
    assert book.TAKE_HOME not in [path.stem for path in book.sources()]
