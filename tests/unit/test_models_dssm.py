"""Content towers: text hashing, posters, features, training on pairs, the search box."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from scipy import special

from helpers.models import content, dssm, posters, text
from helpers.sampling import NegativeSampler
from tests import worlds as planted

SCRIPTS = ["卧虎藏龙", "Солярис", "千と千尋", "नमस्ते", "$", "…?", "🎬", "\ud800"]


def test_trigrams_by_hand():
    wanted = ["#st", "sta", "tar", "ar#", "#wa", "war", "ars", "rs#"]
    assert text.letter_trigrams("Star Wars") == wanted
    assert text.letter_trigrams("ＣＡＴ") == ["#ca", "cat", "at#"], "full-width letters are letters"
    assert text._typed_trigrams("Star Wa") == ["#st", "sta", "tar", "ar#", "#wa"]
    assert text._typed_trigrams("s") == ["#s#"] and text._typed_trigrams("") == []
    with pytest.raises(TypeError, match="int.*expected a string"):
        text.words(1984)


def test_any_script_is_hashed_alike_in_every_process_and_missing_titles_are_rows_of_zeros():
    rows = text.hashed_trigrams(SCRIPTS)
    assert rows.multiply(rows).sum(axis=1) == pytest.approx(np.ones((8, 1)), abs=1e-6)
    empty = ["", "   ", None, float("nan"), pd.NA]
    assert text.hashed_trigrams([*empty, "Alien"]).getnnz(axis=1).tolist() == [0] * 5 + [5]
    assert not text.word_indices(empty, 3).any()
    assert [text.bucket(t, 4096) for t in ("#st", "卧虎#")] == [3771, 3153]
    table = text.word_indices(["a b a", "a b c d e"], 4)
    assert table.shape == (2, 4) and table.dtype == np.int32 and (table[1] > 0).all()
    assert table[0, 0] == table[0, 2] != table[0, 1] and table[0, 3] == 0


ITEMS = pd.DataFrame(
    {
        "item_id": [10, 20, 30, 40],
        "title": ["Star Wars", "Star Trek", "", "Солярис"],
        "year": pd.array([1977, 1979, pd.NA, 1972], dtype="Int16"),
        "genres": [("Sci-Fi",), ("Sci-Fi", "Drama"), (), ("Drama",)],
    }
)


def test_features_of_whole_and_of_poor_items():
    genres, years = content.genre_rows(ITEMS).toarray(), content.year_rows(ITEMS).toarray()
    assert content.genre_names(ITEMS) == ["Drama", "Sci-Fi"]
    assert genres[1].tolist() == pytest.approx([2**-0.5, 2**-0.5])
    assert not genres[2].any() and not years[2].any(), "no genre and no year are rows of zeros"
    assert years[[0, 1, 3]].sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert years[0, list(content._KNOTS).index(1975)] == pytest.approx(0.6)
    assert content.genre_rows(ITEMS, ["Sci-Fi"]).toarray().ravel().tolist() == [1, 1, 0, 0]
    rows = content.word_rows(["Star Wars", "Star Trek", ""]).toarray()  # star, trek, wars
    assert rows[0, 2] > rows[0, 0] > rows[0, 1] == 0 and not rows[2].any(), "rare words weigh more"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (np.arange(12).reshape(4, 3), "v.npy: 3 numbers for each of 4 items."),
        (np.ones((5, 3)), r"v.npy: shape (5, 3), expected (4, d) with d > 0; not used."),
        (np.ones(4), "v.npy: shape (4,), expected"),
        (np.ones((4, 0)), "v.npy: shape (4, 0), expected"),
        (np.full((4, 2), np.nan), "v.npy: found NaN or infinity"),
        (np.full((4, 2), 1e300), "v.npy: found NaN or infinity"),
        (np.full((4, 2), "a"), "v.npy: no file here that numpy.save wrote with numbers"),
        (np.full((4, 2), None), "v.npy: no file here"),
    ],
)
def test_vectors_of_items_are_read_or_refused_in_one_sentence(tmp_path, monkeypatch, table, said):
    monkeypatch.setenv("ITEM_VECTORS", str(tmp_path / "v.npy"))
    assert content.item_vectors(4) == (None, "v.npy: no file here that numpy.save wrote with "
                                             "numbers; not used.")  # fmt: skip
    np.save(tmp_path / "v.npy", table)
    found, told = content.item_vectors(4)
    assert told.startswith(said) and (found is None) == told.endswith("not used.")
    assert found is None or (found.dtype == np.float32 and found.shape == (4, 3))
    monkeypatch.delenv("ITEM_VECTORS")
    assert content.item_vectors(4)[0] is None


def test_a_poster_is_a_function_of_the_metadata():
    one = posters._draw("Star Wars", 1977, ("Sci-Fi",))
    assert one.shape == (24, 16, 3) and one.dtype == np.uint8
    assert np.array_equal(one, posters._draw("Star Wars", 1977, ("Sci-Fi",)))
    for other in (("Alien", 1977), ("Star Wars", 1950), ("Star Wars", 1977, "Drama")):
        assert not np.array_equal(one, posters._draw(*other[:2], other[2:] or ("Sci-Fi",)))
    for odd in ((None, None, ()), ("卧虎藏龙" * 99, 9999, ("A new genre",) * 9)):
        assert posters._draw(*odd).std() > 0


def test_real_posters_are_used_and_bad_files_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8000)  # Pillow refuses twice as many
    Image.new("RGB", (60, 90), (200, 10, 10)).save(tmp_path / "20.png")
    Image.new("RGB", (200, 90)).save(tmp_path / "40.png")
    whole = (tmp_path / "20.png").read_bytes()
    bad = {"10.jpg": b"no picture", "30.png": whole[: len(whole) // 2], "99.png": whole}
    for name, given in {**bad, "notes.txt": b"not looked at"}.items():
        (tmp_path / name).write_bytes(given)
    monkeypatch.setenv("POSTERS_DIR", str(tmp_path))
    found = posters.posters(ITEMS)
    assert found.drawn.tolist() == [True, False, True, True]
    assert np.abs(found.pictures[1].astype(int) - [200, 10, 10]).max() <= 1
    assert [n.split(":")[0] for n in found.notes] == ["10.jpg", "30.png", "40.png", "99.png"]
    assert all(n.endswith("skipped") and str(tmp_path) not in n for n in found.notes)
    monkeypatch.setenv("POSTERS_DIR", str(tmp_path / "nowhere"))
    missing = posters.posters(ITEMS)
    assert missing.drawn.all() and "no such folder" in missing.notes[0]


def world(n_users=40, n_items=30):
    """Users take two in three items of their own half: even users even items, odd ones odd."""
    users, items = np.meshgrid(np.arange(n_users), np.arange(n_items), indexing="ij")
    keep = (users % 2 == items % 2) & ((users + items // 2) % 3 > 0)
    return planted.interactions(users[keep], items[keep], np.full(keep.sum(), 4.0))


def fitted(train, **settings):
    """Return the losses, and the scores of plain tables that were trained on pairs."""
    rng = np.random.default_rng(0)
    shapes = (train.n_users, 8), (train.n_items, 8)
    a, b = (tf.Variable(rng.normal(0, 0.3, shape).astype(np.float32)) for shape in shapes)
    start = a.numpy() @ b.numpy().T

    def loss(users, items, added):
        logits = tf.matmul(tf.gather(a, users), tf.gather(b, items), transpose_b=True) + added
        right = tf.range(tf.shape(logits)[0])
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(right, logits))

    losses = dssm.train_pairs(loss, [a, b], train, **settings)
    return losses, start, a.numpy() @ b.numpy().T


def test_pairs_train_towards_planted_taste_and_repeat():
    train, settings = world(), {"epochs": 12, "learning_rate": 0.03, "batch_size": 64}
    losses, _, scores = fitted(train, **settings)
    own = np.arange(40)[:, None] % 2 == np.arange(30) % 2
    assert len(losses) == 12 and losses[-1] < losses[0]
    assert scores[own].reshape(40, -1).mean() > scores[~own].mean() + 0.5
    assert np.array_equal(scores, fitted(train, **settings)[2]), "same seed, same model"
    assert not np.array_equal(scores, fitted(train, seed=1, **settings)[2])


def test_steps_are_compiled_once_and_none_is_left_out():
    level, compiled = tf.Variable(1.0), []

    def loss(users, items, added):
        return compiled.append(users.shape) or level * tf.reduce_mean(tf.cast(items, tf.float32))

    losses = dssm.train_pairs(loss, [level], world(), epochs=3, batch_size=40)
    assert compiled == [(40,)] and losses[0] > losses[1] > losses[2], "30 steps, 4 in a call"


@pytest.mark.parametrize("correct", [True, False])
def test_the_correction_is_that_of_the_sampler(correct):
    """One batch, no training: the loss is the softmax of SciPy on the sampler's logits."""
    train = world()
    whole = {"epochs": 1, "learning_rate": 1e-9, "batch_size": 10**6}
    losses, start, _ = fitted(train, correct=correct, **whole)
    users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
    added = NegativeSampler(train, avoid="train").in_batch(users, items).added(correct=correct)
    logits = start[users][:, items] + added
    wanted = -np.diag(special.log_softmax(logits, axis=1)).mean()
    assert losses[0] == pytest.approx(wanted, rel=1e-4)


TITLES = ["Star Wars: Episode IV", "Star Trek", "Terminator, The", "Casablanca", *SCRIPTS[:2], ""]


def test_search_finds_titles_with_errors_and_in_any_script():
    vectors = np.eye(7, 4, dtype=np.float32)
    vectors[1:, 0] = [0.9, 0.1, 0, 0, 0, 0]
    vectors[:, 3] += 0.1
    box = text.TitleSearch(TITLES, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    queries = {"star wars": 0, "STAR WA": 0, "stra wars": 0, "termimator": 2, "casablnca": 3}
    for query, wanted in {**queries, "卧虎藏": 4, "Солярс": 5}.items():
        assert box.by_letters(query)[0] == wanted, query
    for query in ("", "   ", "#", "zzzzqqq"):
        assert box.by_letters(query).tolist() == [] == box.by_taste(query, 9).tolist(), query
    soshite = text.TitleSearch(["Like Father, Like Son (Soshite chichi ni naru)"], vectors[:1])
    assert not len(soshite.by_letters("zzzz")), "its trigrams share buckets with those of zzzz"
    assert box.by_letters("star wars", 1).tolist() == [0]
    assert box.by_taste("star wars", 1).tolist() == [1], "a neighbor, not the match"
    assert len(box.by_letters("star wars", 9)) == 2, "more than there are titles"
    with pytest.raises(ValueError, match="7 titles, but 2 vectors"):
        text.TitleSearch(TITLES, np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="vectors: found NaN"):
        text.TitleSearch(["a"], np.full((1, 4), np.nan, np.float32))
