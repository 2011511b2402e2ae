"""Content towers: text hashing, posters, features, the cosine loss, cold items, the search box."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers import data, planted
from helpers.models import content, dssm, posters, text
from helpers.models.base import NotFittedError

# --- text


def test_trigrams_by_hand():
    wanted = ["#st", "sta", "tar", "ar#", "#wa", "war", "ars", "rs#"]
    assert text.letter_trigrams("Star Wars") == wanted
    assert text.letter_trigrams("M") == ["#m#"]
    assert text.letter_trigrams("ＣＡＴ") == ["#ca", "cat", "at#"], "full-width letters are letters"
    assert text._typed_trigrams("Star Wa") == ["#st", "sta", "tar", "ar#", "#wa"]
    assert text._typed_trigrams("s") == ["#s#"] and text._typed_trigrams("") == []
    with pytest.raises(TypeError, match="int.*expected a string"):
        text.words(1984)


@pytest.mark.parametrize(
    "title", ["卧虎藏龙", "Солярис", "千と千尋", "नमस्ते", "$", "…?", "🎬", "\ud800"]
)
def test_any_script_and_any_character_is_hashed(title):
    row = text.hashed_trigrams([title])
    assert row.nnz > 0
    assert row.multiply(row).sum() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("title", ["", "   ", None, float("nan"), pd.NA])
def test_an_empty_or_missing_title_is_a_row_of_zeros(title):
    assert text.letter_trigrams(title) == []
    assert text.hashed_trigrams([title, "Alien"]).getnnz(axis=1).tolist() == [0, 5]
    assert text.word_indices([title], 10, 3).tolist() == [[0, 0, 0]]


def test_buckets_do_not_change_between_processes():
    assert [text.bucket(t, 4096) for t in ("#st", "卧虎#")] == [3771, 3153]
    with pytest.raises(ValueError, match="at least 1"):
        text.bucket("#st", 0)


def test_a_typing_error_keeps_most_of_a_title():
    right, wrong, other = text.hashed_trigrams(["Terminator", "Termimator", "Casablanca"])
    assert (right @ wrong.T)[0, 0] == pytest.approx(0.7)
    assert (right @ other.T)[0, 0] < 0.2


def test_words_in_order_are_cut_and_padded():
    table = text.word_indices(["a b a", "a b c d e"], 1000, 4)
    assert table.shape == (2, 4) and table.dtype == np.int32
    assert table[0, 0] == table[0, 2] != table[0, 1] and table[0, 3] == 0
    assert (table[1] > 0).all()


# --- features and baselines

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


def test_word_rows_weigh_rare_words_more():
    rows = content.word_rows(["Star Wars", "Star Trek", ""]).toarray()
    assert rows.shape == (3, 3) and not rows[2].any()
    star, trek, wars = 0, 1, 2
    assert rows[0, wars] > rows[0, star] > 0 and rows[0, trek] == 0


def test_joined_rows_add_their_cosines():
    a, b = sparse.csr_matrix([[1.0, 0], [0.6, 0.8]]), sparse.csr_matrix([[1.0], [1.0]])
    both = content.join([(3, a), (1, b)])
    assert (both @ both.T).toarray()[0, 1] == pytest.approx(0.75 * 0.6 + 0.25)
    with pytest.raises(ValueError, match="not all 0"):
        content.join([(0, a)])


@pytest.fixture
def few():
    """User 0 took items 0 and 1, user 1 item 3, user 2 nothing; item 2 is cold."""
    return planted.interactions([0, 0, 1], [0, 1, 3], [5, 5, 5], n_users=3, n_items=4)


def test_genre_affinity_is_the_mean_cosine(few):
    genres = content.genre_rows(ITEMS)
    scores = content.GenreAffinity(genres).fit(few).scores([0, 1, 2])
    assert scores[0] == pytest.approx((genres[[0, 1]] @ genres.T).toarray().mean(axis=0))
    assert not scores[2].any(), "without history every item scores 0"


def test_content_neighbors_vote(few):
    rows = sparse.csr_matrix(np.array([[1, 0], [0.8, 0.6], [0.96, 0.28], [0, 1]], dtype=np.float32))
    one = content.ContentKNN(rows, neighbors=1).fit(few).scores([0, 1, 2], [2])
    assert one.ravel() == pytest.approx([0.96, 0, 0]), "the nearest of item 2 is item 0"
    all_three = content.ContentKNN(rows, neighbors=99).fit(few).scores([0, 1, 2], [2])
    assert all_three.ravel() == pytest.approx([0.96 + 0.936, 0.28, 0])
    assert content.ContentKNN(rows, neighbors=2).fit(few).scores([0]).shape == (1, 4)


def test_bad_calls_to_content_models_are_named(few):
    rows = content.genre_rows(ITEMS)
    with pytest.raises(ValueError, match="at least 1"):
        content.ContentKNN(rows, neighbors=0)
    for model in (content.GenreAffinity(rows), content.ContentKNN(rows)):
        with pytest.raises(NotFittedError, match=type(model).__name__):
            model.scores([0])
        with pytest.raises(ValueError, match="4 rows; expected 3"):
            model.fit(planted.interactions([0], [1], [5], n_users=1, n_items=3))
    for wrong in (4, -1):
        with pytest.raises(IndexError, match=rf"items: index {wrong}.*0\.\.3"):
            content.ContentKNN(rows).fit(few).scores([0], [2, wrong])
    with pytest.raises(ValueError, match="features: found NaN"):
        content.GenreAffinity(rows * np.nan)


# --- posters


def test_a_poster_is_a_function_of_the_metadata():
    one = posters._draw("Star Wars", 1977, ("Sci-Fi",))
    assert one.shape == (24, 16, 3) and one.dtype == np.uint8
    assert np.array_equal(one, posters._draw("Star Wars", 1977, ("Sci-Fi",)))
    for other in (("Star Trek II", 1977, ("Sci-Fi",)), ("Star Wars", 1950, ("Sci-Fi",))):
        assert not np.array_equal(one, posters._draw(*other)), other
    assert not np.array_equal(one, posters._draw("Star Wars", 1977, ("War",)))
    assert posters._draw(None, None, ()).std() > 0
    assert posters._draw("卧虎藏龙" * 99, 9999, ("A new genre",) * 9).std() > 0


def test_real_posters_are_used_and_bad_files_named(tmp_path, monkeypatch):
    from PIL import Image

    Image.new("RGB", (60, 90), (200, 10, 10)).save(tmp_path / "20.png")
    (tmp_path / "10.jpg").write_bytes(b"no picture at all")
    whole = (tmp_path / "20.png").read_bytes()
    (tmp_path / "30.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "99.png").write_bytes(whole)
    (tmp_path / "notes.txt").write_text("not looked at")
    Image.new("RGB", (200, 90)).save(tmp_path / "40.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 8000)  # Pillow refuses twice as many
    found = posters.posters(ITEMS, tmp_path)
    assert found.drawn.tolist() == [True, False, True, True]
    assert np.abs(found.pictures[1].astype(int) - [200, 10, 10]).max() <= 1
    assert [n.split(":")[0] for n in found.notes] == ["10.jpg", "30.png", "40.png", "99.png"]
    assert all(n.endswith("skipped") and str(tmp_path) not in n for n in found.notes)
    assert "18000 pixels" in found.notes[2], "a huge picture is refused"


def test_posters_dir_is_read_and_a_missing_folder_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTERS_DIR", str(tmp_path / "nowhere"))
    found = posters.posters(ITEMS)
    assert found.drawn.all() and "no such folder" in found.notes[0]
    monkeypatch.delenv("POSTERS_DIR")
    assert posters.posters(ITEMS).notes == []


# --- the cosine loss

GENERATOR = np.random.default_rng(0)
A, B = GENERATOR.normal(size=(2, 6, 5))
A[4] = 0  # no direction
LABEL = np.array([1.0, 1, 0, 0, 1, 0])


def test_cosine_loss_by_hand():
    a, b = [[3, 4], [1, 0], [1, 0], [1, 0], [1, 0]], [[4, 3], [2, 0], [0, 3], [-1, 0], [0, 0]]
    assert dssm.cosine_loss(a, b, np.ones(5))[0].tolist() == pytest.approx([0.04, 0, 1, 2, 1])
    assert dssm.cosine_loss(a, b, np.zeros(5))[0].tolist() == pytest.approx([0.96, 1, 0, 0, 0])
    with pytest.raises(ValueError, match="expected"):
        dssm.cosine_loss([[1, 0]], [[1, 0, 0]], [1])


def test_slopes_are_those_of_small_steps_and_turn_without_stretching():
    _, slope_a, slope_b = dssm.cosine_loss(A, B, LABEL)
    assert not slope_a[4].any() and not slope_b[4].any()
    alive = LABEL >= 0
    alive[4] = False
    for slope, x, loss in (
        (slope_a, A, lambda x: dssm.cosine_loss(x, B, LABEL)[0]),
        (slope_b, B, lambda x: dssm.cosine_loss(A, x, LABEL)[0]),
    ):
        for j, step in enumerate(1e-6 * np.eye(5)):
            numeric = (loss(x + step) - loss(x - step)) / 2e-6
            assert slope[alive, j] == pytest.approx(numeric[alive], abs=1e-6)
        assert (slope * x).sum(axis=1) == pytest.approx(np.zeros(6), abs=1e-12)


def test_keras_computes_the_same_loss_and_slopes():
    both = zip(dssm.keras_cosine_loss(A, B, LABEL), dssm.cosine_loss(A, B, LABEL), strict=True)
    for found, wanted in both:
        np.testing.assert_allclose(found, wanted, atol=1e-6)


# --- towers


def world(n_users=40, n_items=30):
    """Users take items of their own half of the genres; items 0, 1 (one of each half) are cold."""
    genres = np.arange(n_items) % 2
    users, items = np.meshgrid(np.arange(n_users), np.arange(2, n_items), indexing="ij")
    keep = (users % 2 == genres[items]) & ((users + items // 2) % 3 > 0) & (users < n_users - 1)
    ratings = np.full(keep.sum(), 4.0)
    train = planted.interactions(users[keep], items[keep], ratings, n_users, n_items)
    return train, np.eye(2, dtype=np.float32)[genres]


SMALL = {"factors": 8, "hidden": 8, "batch_size": 64, "dropout": 0.0}


@pytest.fixture(scope="module")
def fitted():
    train, genres = world()
    model = dssm.TwoTowers(epochs=12, learning_rate=0.03, regularization=0, **SMALL)
    return model.fit(train, {"genres": genres})


def test_towers_rank_cold_items_by_planted_taste(fitted):
    scores = fitted.scores(np.arange(39), [0, 1])
    even = np.arange(39) % 2 == 0
    assert (scores[even, 0] > scores[even, 1]).all() and (scores[~even, 1] > scores[~even, 0]).all()
    assert fitted.history[-1] < fitted.history[0]


def test_vectors_are_directions_and_users_without_history_share_one(fitted):
    for vectors, n in ((fitted.item_vectors(), 30), (fitted.user_vectors(np.arange(40)), 40)):
        assert vectors.shape == (n, 8) and vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(n), abs=1e-5)
    shared = fitted._shared[0] / np.linalg.norm(fitted._shared)
    assert fitted.user_vectors([39])[0] == pytest.approx(shared, abs=1e-6)
    nothing = fitted.item_vectors({"genres": np.zeros((1, 2), np.float32)})
    assert np.isfinite(nothing).all(), "an item of which nothing is known still scores"


def test_bad_calls_to_towers_are_named(fitted):
    train, genres = world()
    with pytest.raises(NotFittedError):
        dssm.TwoTowers().scores([0])
    with pytest.raises(ValueError, match="29 rows; expected 30"):
        dssm.TwoTowers().fit(train, {"genres": genres[:-1]})
    with pytest.raises(ValueError, match="'genres' holds NaN"):
        dssm.TwoTowers().fit(train, {"genres": genres * np.nan})
    with pytest.raises(ValueError, match="'poster' has shape \\(30, 4, 5\\)"):
        dssm.TwoTowers().fit(train, {"poster": np.zeros((30, 4, 5))})
    with pytest.raises(ValueError, match="at least one"):
        dssm.item_tower({})
    with pytest.raises(ValueError, match="expected \\['genres'\\]"):
        fitted.item_vectors({"title": genres})
    with pytest.raises(IndexError, match=r"0\.\.39"):
        fitted.user_vectors([40])
    with pytest.raises(IndexError, match=r"0\.\.29"):
        fitted.scores([0], [30])


EVERY_KIND = {
    "genres": np.ones((30, 2), np.float32),
    "title": sparse.random(30, 50, 0.1, format="csr", dtype=np.float32, random_state=0),
    "words": np.arange(90, dtype=np.int32).reshape(30, 3) % 7,
    "poster": np.zeros((30, 24, 16, 3), np.uint8),
}


def test_every_kind_of_part_trains_scores_and_repeats():
    train, _ = world()
    names = {layer.name for layer in dssm.item_tower(EVERY_KIND, 8, 8).layers}
    assert {"genres_bag", "title_bag", "words_lstm", "poster_look"} <= names
    models = [dssm.TwoTowers(**{**SMALL, "epochs": 1, "dropout": 0.3}) for _ in range(2)]
    one, two = (model.fit(train, EVERY_KIND).scores([0, 1]) for model in models)
    assert one.shape == (2, 30) and np.isfinite(one).all()
    assert np.array_equal(one, two), "same seed, same model"


def test_empty_titles_and_other_scripts_go_through_both_readers_of_text():
    titles = ["", None, "卧虎藏龙", "Солярис", "$9.99"]
    parts = {"title": text.hashed_trigrams(titles, 64), "words": text.word_indices(titles, 64, 3)}
    for name, part in parts.items():
        reader, rows = dssm._PartReader({name: part}), np.arange(5)
        found = dssm.item_tower({name: part}, 8, 8)(reader.look_up(rows, reader.entries(rows)))
        assert np.array_equal(found[0], found[1]), "an empty title is a missing one"
        assert len(np.unique(found.numpy().round(4), axis=0)) == 4, "other scripts are told apart"


def test_a_reader_gives_the_rows_of_every_part_and_drops_entries_in_training():
    import tensorflow as tf

    rows = np.array([3, 0, 3])
    reader = dssm._PartReader(EVERY_KIND)
    for name, found in reader.look_up(rows, reader.entries(rows)).items():
        part = EVERY_KIND[name]
        wanted = part[rows].toarray() if sparse.issparse(part) else part[rows]
        dense = tf.sparse.to_dense(tf.sparse.reorder(found)) if sparse.issparse(part) else found
        assert np.array_equal(dense, wanted), name
    ones = dssm._PartReader({"title": sparse.csr_matrix(np.ones((2, 1000), np.float32))})
    places, values = ones.entries(np.array([1]), 0.25, np.random.default_rng(0))
    assert 650 < len(values) < 850 and len(values) == len(places)
    assert np.allclose(values, 1 / 0.75), "the others are scaled up"


def test_a_layer_for_sparse_rows_is_a_dense_layer():
    bags = {"title": text.hashed_trigrams(["Casablanca", "", "Солярис"], 64)}
    given = {"title": bags["title"].toarray()}
    ours, theirs = dssm.item_tower(bags, 8, 8), dssm.item_tower(given, 8, 8)
    theirs.set_weights(ours.get_weights())
    reader, rows = dssm._PartReader(bags), np.arange(3)
    found = ours(reader.look_up(rows, reader.entries(rows)))
    np.testing.assert_allclose(found, theirs(given), atol=1e-6)


def test_the_sum_of_exponentials_and_its_slope_are_those_of_tensorflow():
    import tensorflow as tf

    logits = np.random.default_rng(0).normal(0, 30, (4, 5)).astype(np.float32)
    logits[0, 1:] = -np.inf
    logits[1, 2] = 2000.0
    values, slopes = [], []
    for compute in (dssm._log_sum_exp, lambda rows: tf.reduce_logsumexp(rows, axis=1)):
        given = tf.Variable(logits)
        with tf.GradientTape() as tape:
            found = compute(given)
            total = tf.reduce_sum(found * tf.constant([1.0, 2.0, 3.0, 4.0]))
        values.append(found.numpy())
        slopes.append(tape.gradient(total, given).numpy())
    np.testing.assert_allclose(*values, rtol=1e-6)
    np.testing.assert_allclose(*slopes, atol=1e-6)


@pytest.mark.parametrize("correct", [True, False])
def test_the_correction_is_that_of_the_sampler(correct):
    """One batch, no training: the loss is the softmax of NumPy on the sampler's logits."""
    from scipy.special import log_softmax

    from helpers.sampling import NegativeSampler

    train, genres = world()
    still = {**SMALL, "epochs": 1, "learning_rate": 1e-9, "batch_size": 10**6, "regularization": 0}
    model = dssm.TwoTowers(correct=correct, **still).fit(train, {"genres": genres})
    users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
    batch = NegativeSampler(train, avoid="train").in_batch(users, items)
    cosine = model.user_vectors(users) @ model.item_vectors().T[:, items]
    logits = batch.logits(10 * cosine, correct=correct)
    wanted = -np.diag(log_softmax(logits, axis=1)).mean()
    assert model.history[0] == pytest.approx(wanted, rel=1e-4)


def test_features_of_items_do_not_depend_on_who_took_them():
    """The popularity of a held-out item must not reach a model through its features."""
    base = data.load()
    split = data.cold_item_split(base, seed=0)
    assert not split.train.item_counts()[np.flatnonzero(split.test.item_counts())].any()
    pd.testing.assert_frame_equal(base.items, split.train.items)


# --- search

TITLES = [
    "Star Wars: Episode IV",
    "Star Trek",
    "Terminator, The",
    "Casablanca",
    "Солярис",
    "卧虎藏龙",
]
TITLES += ["", "A <b>"]


@pytest.fixture
def box():
    vectors = np.eye(8, 4, dtype=np.float32)
    vectors[1:, 0] = [0.9, 0.1, 0, 0, 0, 0, 0]
    vectors[:, 3] += 0.1
    return text.TitleSearch(TITLES, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_search_finds_titles_with_errors_and_in_any_script(box):
    queries = {"star wars": 0, "STAR WA": 0, "stra wars": 0, "termimator": 2, "casablnca": 3}
    for query, wanted in {**queries, "Солярс": 4, "卧虎藏": 5}.items():
        assert box.by_letters(query)[0] == wanted, query
    for query in ("", "   ", "#", "zzzzqqq"):
        assert box.by_letters(query).tolist() == [] == box.by_taste(query).tolist(), query


def test_search_around_a_match_shows_neighbors_and_not_the_match(box):
    assert box.by_letters("star wars", 1).tolist() == [0]
    assert box.by_taste("star wars", 1).tolist() == [1]


def test_search_refuses_what_does_not_fit(box):
    with pytest.raises(ValueError, match="8 titles, but 2 vectors"):
        text.TitleSearch(TITLES, np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="vectors: found NaN"):
        text.TitleSearch(["a"], np.full((1, 4), np.nan, np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        box.by_letters("star", 0)
