"""Content towers: text hashing, posters, features, the cosine loss, cold items, the search box."""

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image
from scipy import sparse, special

from helpers.models import content, dssm, posters, text
from helpers.models.base import NotFittedError
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


def test_features_of_whole_and_of_poor_items_and_cosines_of_joined_rows():
    genres, years = content.genre_rows(ITEMS).toarray(), content.year_rows(ITEMS).toarray()
    assert content.genre_names(ITEMS) == ["Drama", "Sci-Fi"]
    assert genres[1].tolist() == pytest.approx([2**-0.5, 2**-0.5])
    assert not genres[2].any() and not years[2].any(), "no genre and no year are rows of zeros"
    assert years[[0, 1, 3]].sum(axis=1).tolist() == pytest.approx([1, 1, 1])
    assert years[0, list(content._KNOTS).index(1975)] == pytest.approx(0.6)
    assert content.genre_rows(ITEMS, ["Sci-Fi"]).toarray().ravel().tolist() == [1, 1, 0, 0]
    rows = content.word_rows(["Star Wars", "Star Trek", ""]).toarray()  # star, trek, wars
    assert rows[0, 2] > rows[0, 0] > rows[0, 1] == 0 and not rows[2].any(), "rare words weigh more"
    a, b = sparse.csr_matrix([[1.0, 0], [0.6, 0.8]]), sparse.csr_matrix([[1.0], [1.0]])
    both = content.join([(3, a), (1, b)])
    assert (both @ both.T).toarray()[0, 1] == pytest.approx(0.75 * 0.6 + 0.25)
    with pytest.raises(ValueError, match="not all 0"):
        content.join([(0, a)])


@pytest.fixture
def few():
    """User 0 took items 0 and 1, user 1 item 3, user 2 nothing; item 2 is cold."""
    return planted.interactions([0, 0, 1], [0, 1, 3], [5, 5, 5], n_users=3, n_items=4)


def test_genre_affinity_is_the_mean_cosine_and_content_neighbors_vote(few):
    genres = content.genre_rows(ITEMS)
    scores = content.GenreAffinity(genres).fit(few).scores([0, 1, 2])
    assert scores[0] == pytest.approx((genres[[0, 1]] @ genres.T).toarray().mean(axis=0))
    assert not scores[2].any(), "without history every item scores 0"
    rows = sparse.csr_matrix(np.array([[1, 0], [0.8, 0.6], [0.96, 0.28], [0, 1]], dtype=np.float32))
    one = content.ContentKNN(rows, neighbors=1).fit(few).scores([0, 1, 2], [2])
    assert one.ravel() == pytest.approx([0.96, 0, 0]), "the nearest of item 2 is item 0"
    all_three = content.ContentKNN(rows, neighbors=99).fit(few).scores([0, 1, 2])
    assert all_three[:, 2] == pytest.approx([0.96 + 0.936, 0.28, 0])


def test_bad_calls_to_content_models_are_named(few):
    rows = content.genre_rows(ITEMS)
    for model in (content.GenreAffinity(rows), content.ContentKNN(rows)):
        with pytest.raises(NotFittedError, match=type(model).__name__):
            model.scores([0])
        with pytest.raises(ValueError, match="4 rows; expected 3"):
            model.fit(planted.interactions([0], [1], [5], n_users=1, n_items=3))
    with pytest.raises(ValueError, match="neighbors=0: expected 1"):
        content.ContentKNN(rows, neighbors=0)
    with pytest.raises(IndexError, match=r"items: index 4.*0\.\.3"):
        content.ContentKNN(rows).fit(few).scores([0], [2, 4])
    with pytest.raises(ValueError, match="features: found NaN"):
        content.GenreAffinity(rows * np.nan)


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


GENERATOR = np.random.default_rng(0)
A, B = GENERATOR.normal(size=(2, 6, 5))
A[4] = 0  # no direction
LABEL = np.array([1.0, 1, 0, 0, 1, 0])


def test_cosine_loss_by_hand_and_by_keras():
    a, b = [[3, 4], [1, 0], [1, 0], [1, 0], [1, 0]], [[4, 3], [2, 0], [0, 3], [-1, 0], [0, 0]]
    assert dssm.cosine_loss(a, b, np.ones(5))[0].tolist() == pytest.approx([0.04, 0, 1, 2, 1])
    assert dssm.cosine_loss(a, b, np.zeros(5))[0].tolist() == pytest.approx([0.96, 1, 0, 0, 0])
    with pytest.raises(ValueError, match="expected"):
        dssm.cosine_loss([[1, 0]], [[1, 0, 0]], [1])
    both = zip(dssm.keras_cosine_loss(A, B, LABEL), dssm.cosine_loss(A, B, LABEL), strict=True)
    for found, wanted in both:
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_slopes_are_those_of_small_steps_and_turn_without_stretching():
    _, slope_a, slope_b = dssm.cosine_loss(A, B, LABEL)
    assert not slope_a[4].any() and not slope_b[4].any()
    for slope, x, other in ((slope_a, A, B), (slope_b, B, A)):
        for j, step in enumerate(1e-6 * np.eye(5)):
            up, down = (dssm.cosine_loss(x + s, other, LABEL)[0] for s in (step, -step))
            numeric = np.delete((up - down) / 2e-6, 4)
            assert np.delete(slope[:, j], 4) == pytest.approx(numeric, abs=1e-6)
        assert (slope * x).sum(axis=1) == pytest.approx(np.zeros(6), abs=1e-12)


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
    for parts, said in (
        ({"genres": genres[:-1]}, "29 rows; expected 30"),
        ({"genres": genres * np.nan}, "genres: found NaN"),
        ({"poster": np.zeros((30, 4, 5))}, r"'poster' has shape \(30, 4, 5\)"),
        ({}, "at least one"),
    ):
        with pytest.raises(ValueError, match=said):
            dssm.TwoTowers().fit(train, parts)
    with pytest.raises(NotFittedError):
        dssm.TwoTowers().scores([0])
    with pytest.raises(ValueError, match=r"expected \['genres'\]"):
        fitted.item_vectors({"title": genres})
    for users, items, said in (([40], [0], r"users.*0\.\.39"), ([0], [30], r"items.*0\.\.29")):
        with pytest.raises(IndexError, match=said):
            fitted.scores(users, items)


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


def test_a_layer_for_sparse_rows_is_dense_and_dropped_entries_scale_the_others_up():
    bags = {"title": text.hashed_trigrams(["Casablanca", "", "Солярис"])}
    given = {"title": bags["title"].toarray()}
    ours, theirs = dssm.item_tower(bags, 8, 8), dssm.item_tower(given, 8, 8)
    theirs.set_weights(ours.get_weights())
    reader, rows = dssm._PartReader(bags), np.arange(3)
    found = ours(reader.look_up(rows, reader.entries(rows)))
    np.testing.assert_allclose(found, theirs(given), atol=1e-6)
    ones = dssm._PartReader({"title": sparse.csr_matrix(np.ones((2, 1000), np.float32))})
    places, values = ones.entries(np.array([1]), 0.25, np.random.default_rng(0))
    assert 650 < len(values) < 850 and len(values) == len(places) and np.allclose(values, 4 / 3)


def test_the_sum_of_exponentials_and_its_slope_are_those_of_scipy():
    logits = np.random.default_rng(0).normal(0, 30, (4, 5)).astype(np.float32)
    logits[0, 1:], logits[1, 2] = -np.inf, 2000.0
    given, times = tf.Variable(logits), np.arange(1, 5, dtype=np.float32)
    with tf.GradientTape() as tape:
        found = dssm._log_sum_exp(given) * times
    np.testing.assert_allclose(found, times * special.logsumexp(logits, axis=1), rtol=1e-6)
    slope = times[:, None] * special.softmax(logits, axis=1)
    np.testing.assert_allclose(tape.gradient(found, given), slope, atol=1e-6)


@pytest.mark.parametrize("correct", [True, False])
def test_the_correction_is_that_of_the_sampler(correct):
    """One batch, no training: the loss is the softmax of SciPy on the sampler's logits."""
    train, genres = world()
    still = {**SMALL, "epochs": 1, "learning_rate": 1e-9, "batch_size": 10**6, "regularization": 0}
    model = dssm.TwoTowers(correct=correct, **still).fit(train, {"genres": genres})
    users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
    batch = NegativeSampler(train, avoid="train").in_batch(users, items)
    cosine = model.user_vectors(users) @ model.item_vectors().T[:, items]
    wanted = -np.diag(
        special.log_softmax(10 * cosine + batch.added(correct=correct), axis=1)
    ).mean()
    assert model.history[0] == pytest.approx(wanted, rel=1e-4)


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
