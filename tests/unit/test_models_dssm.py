"""Content towers: text hashing, posters, features, the cosine loss in three frameworks, and cold items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from helpers import data, gates
from helpers.models import content, dssm, dssm_keras, dssm_parts, posters, text
from helpers.models.checks import NotFittedError
from helpers.models.search import TitleSearch
from tests import worlds as planted

# --- text ----------------------------------------------------------------------------------------


def test_trigrams_by_hand():
    assert text.letter_trigrams("Star Wars") == [
        "#st",
        "sta",
        "tar",
        "ar#",
        "#wa",
        "war",
        "ars",
        "rs#",
    ]
    assert text.letter_trigrams("M") == ["#m#"]
    assert text.letter_trigrams("ＣＡＴ") == text.letter_trigrams("cat"), (
        "full-width letters are letters"
    )


@pytest.mark.parametrize(
    "title",
    ["卧虎藏龙", "Солярис", "千と千尋の神隠し", "Amélie", "नमस्ते", "$", "…?", "🎬", "\ud800"],
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


def test_the_last_word_may_be_unfinished():
    assert text.typed_trigrams("Star Wa") == ["#st", "sta", "tar", "ar#", "#wa"]
    assert text.typed_trigrams("s") == ["#s#"] and text.typed_trigrams("") == []


def test_a_title_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="int.*expected a string"):
        text.words(1984)


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
    assert table[0, 0] == table[0, 2] != table[0, 1] and table[0, 3] == text.PADDING
    assert (table[1] > 0).all()


# --- features and baselines ----------------------------------------------------------------------

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
    assert years[0, list(content.KNOTS).index(1975)] == pytest.approx(0.6)
    whole = content.item_features(ITEMS)
    assert whole.shape == (4, 2 + len(content.KNOTS) + 4096) and whole[2].nnz == 0
    with pytest.raises(ValueError, match="expected one or more of genres, year, title"):
        content.item_features(ITEMS, ["poster"])


def test_an_unknown_genre_is_left_out():
    assert content.genre_rows(ITEMS, ["Sci-Fi"]).toarray().ravel().tolist() == [1, 1, 0, 0]
    assert not content.genre_rows(ITEMS.iloc[2:3]).shape[1]


def test_word_rows_weigh_rare_words_more():
    rows = content.word_rows(["Star Wars", "Star Trek", ""]).toarray()
    assert rows.shape == (3, 3) and not rows[2].any()
    star, trek, wars = 0, 1, 2
    assert rows[0, wars] > rows[0, star] > 0 and rows[0, trek] == 0


@pytest.fixture
def few():
    """User 0 took items 0 and 1, user 1 item 3, user 2 nothing; item 2 is cold."""
    return planted.interactions([0, 0, 1], [0, 1, 3], [5, 5, 5], n_users=3, n_items=4)


def test_genre_affinity_is_the_mean_cosine(few):
    genres = content.genre_rows(ITEMS)
    scores = content.GenreAffinity(genres).fit(few).scores([0, 1, 2])
    by_hand = (genres[[0, 1]] @ genres.T).toarray().mean(axis=0)
    assert scores[0] == pytest.approx(by_hand)
    assert not scores[2].any(), "without history every item scores 0"
    with pytest.raises(NotFittedError):
        content.GenreAffinity(genres).scores([0])


def test_content_neighbors_vote(few):
    rows = sparse.csr_matrix(np.array([[1, 0], [0.8, 0.6], [0.96, 0.28], [0, 1]], dtype=np.float32))
    one = content.ContentKNN(rows, neighbors=1).fit(few).scores([0, 1, 2], [2])
    assert one.ravel() == pytest.approx([0.96, 0, 0]), "the nearest of item 2 is item 0"
    all_three = content.ContentKNN(rows, neighbors=99).fit(few).scores([0, 1, 2], [2])
    assert all_three.ravel() == pytest.approx([0.96 + 0.936, 0.28, 0])
    assert content.ContentKNN(rows, neighbors=2).fit(few).scores([0]).shape == (1, 4)
    with pytest.raises(ValueError, match="at least 1"):
        content.ContentKNN(rows, neighbors=0)
    with pytest.raises(NotFittedError):
        content.ContentKNN(rows).scores([0])


@pytest.mark.parametrize("wrong", [4, -1])
def test_an_item_outside_the_catalog_is_refused_by_neighbors(few, wrong):
    rows = content.genre_rows(ITEMS)
    with pytest.raises(IndexError, match=rf"items: index {wrong}.*0\.\.3"):
        content.ContentKNN(rows, neighbors=1).fit(few).scores([0], [2, wrong])


def test_joined_rows_add_their_cosines():
    a, b = sparse.csr_matrix([[1.0, 0], [0.6, 0.8]]), sparse.csr_matrix([[1.0], [1.0]])
    both = content.join([(3, a), (1, b)])
    assert (both @ both.T).toarray()[0, 1] == pytest.approx(0.75 * 0.6 + 0.25)
    with pytest.raises(ValueError, match="not all 0"):
        content.join([(0, a)])


# --- posters -------------------------------------------------------------------------------------


def test_a_poster_is_a_function_of_the_metadata():
    one = posters.draw_poster("Star Wars", 1977, ("Sci-Fi",))
    assert one.shape == (posters.HEIGHT, posters.WIDTH, 3) and one.dtype == np.uint8
    assert np.array_equal(one, posters.draw_poster("Star Wars", 1977, ("Sci-Fi",)))
    for other in (
        ("Star Trek II", 1977, ("Sci-Fi",)),
        ("Star Wars", 1950, ("Sci-Fi",)),
        ("Star Wars", 1977, ("War",)),
    ):
        assert not np.array_equal(one, posters.draw_poster(*other)), other


@pytest.mark.parametrize(
    "bare",
    [
        ("", pd.NA, ()),
        (None, None, ()),
        ("卧虎藏龙", 1, ("A new genre",)),
        ("x" * 99, 9999, ("War",) * 9),
    ],
)
def test_a_poster_of_poor_metadata_is_still_one(bare):
    assert posters.draw_poster(*bare).std() > 0


def test_real_posters_are_used_and_bad_files_named(tmp_path):
    from PIL import Image

    Image.new("RGB", (60, 90), (200, 10, 10)).save(tmp_path / "20.png")
    (tmp_path / "10.jpg").write_bytes(b"no picture at all")
    whole = (tmp_path / "20.png").read_bytes()
    (tmp_path / "30.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "40.png").write_bytes(b"")
    (tmp_path / "99.png").write_bytes(whole)
    (tmp_path / "notes.txt").write_text("not looked at")
    found = posters.posters(ITEMS, tmp_path)
    assert found.drawn.tolist() == [True, False, True, True]
    assert np.abs(found.pictures[1].astype(int) - [200, 10, 10]).max() <= 1
    assert [n.split(":")[0] for n in found.notes] == ["10.jpg", "30.png", "40.png", "99.png"]
    assert all(n.endswith("skipped") and str(tmp_path) not in n for n in found.notes)
    assert np.array_equal(found.pictures[0], posters.draw_poster("Star Wars", 1977, ("Sci-Fi",)))


def test_posters_dir_is_read_and_a_missing_folder_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("POSTERS_DIR", str(tmp_path / "nowhere"))
    found = posters.posters(ITEMS)
    assert found.drawn.all() and "no such folder" in found.notes[0]
    monkeypatch.delenv("POSTERS_DIR")
    assert posters.posters(ITEMS).notes == []


def test_a_huge_picture_is_refused(tmp_path, monkeypatch):
    from PIL import Image

    Image.new("RGB", (40, 30)).save(tmp_path / "10.png")
    monkeypatch.setattr(posters, "_MOST_PIXELS", 1000)
    with pytest.raises(ValueError, match="10.png.*40 × 30 pixels"):
        posters.read_picture(tmp_path / "10.png")


# --- the cosine loss -----------------------------------------------------------------------------

GENERATOR = np.random.default_rng(0)
A, B = GENERATOR.normal(size=(2, 6, 5))
A[4] = 0  # no direction
LABEL = np.array([1.0, 1, 0, 0, 1, 0])


def test_cosine_loss_by_hand():
    assert dssm.cosine_loss([3, 4], [4, 3]) == pytest.approx(1 - 24 / 25)
    rows = dssm.cosine_loss([[1, 0]] * 4, [[2, 0], [0, 3], [-1, 0], [0, 0]])
    assert rows.tolist() == pytest.approx([0, 1, 2, 1])
    assert dssm.cosine_loss([[1, 0]] * 3, [[2, 0], [0, 3], [-1, 0]], 0).tolist() == pytest.approx(
        [1, 0, 0]
    )
    with pytest.raises(ValueError, match="expected the same"):
        dssm.cosine_loss([[1, 0]], [[1, 0, 0]])


def test_slopes_are_those_of_small_steps_and_turn_without_stretching():
    slope_a, slope_b = dssm.cosine_slopes(A, B, LABEL)
    for slope, x, loss in (
        (slope_a, A, lambda x: dssm.cosine_loss(x, B, LABEL)),
        (slope_b, B, lambda x: dssm.cosine_loss(A, x, LABEL)),
    ):
        for j in range(A.shape[1]):
            step = np.zeros_like(x)
            step[:, j] = 1e-6
            numeric = (loss(x + step) - loss(x - step)) / 2e-6
            alive = [0, 1, 2, 3, 5]
            assert slope[alive, j] == pytest.approx(numeric[alive], abs=1e-6)
        assert (slope * x).sum(axis=1) == pytest.approx(np.zeros(6), abs=1e-12)
    assert not slope_a[4].any() and not slope_b[4].any()


def test_keras_computes_the_same_loss_and_slopes():
    loss, slope_a, slope_b = dssm_keras.cosine_slopes(A, B, LABEL)
    wanted = dssm.cosine_slopes(A, B, LABEL)
    assert loss == pytest.approx(dssm.cosine_loss(A, B, LABEL), abs=1e-6)
    assert np.allclose(slope_a, wanted[0], atol=1e-6) and np.allclose(slope_b, wanted[1], atol=1e-6)


@pytest.mark.skipif(not gates.mxnet, reason="MXNet is not here")
def test_mxnet_computes_the_same_loss_and_slopes_both_ways():
    from helpers.models import dssm_mxnet

    loss, slope_a, slope_b = dssm_mxnet.block_slopes(A, B, LABEL)
    wanted = dssm.cosine_slopes(A, B, LABEL)
    assert loss == pytest.approx(dssm.cosine_loss(A, B, LABEL), abs=1e-6)
    assert np.allclose(slope_a, wanted[0], atol=1e-6) and np.allclose(slope_b, wanted[1], atol=1e-6)

    rows, weight = GENERATOR.normal(size=(3, 5)), GENERATOR.normal(size=(5, 7))
    users, bag = np.array([0, 1, 2, 0, 1, 1]), GENERATOR.random((6, 7))
    loss, of_rows, of_weight = dssm_mxnet.symbol_slopes(rows, weight, users, bag, LABEL)
    a, b = rows[users], bag @ weight.T
    slope_a, slope_b = dssm.cosine_slopes(a, b, LABEL)
    summed = np.zeros_like(rows)
    np.add.at(summed, users, slope_a)
    assert loss == pytest.approx(dssm.cosine_loss(a, b, LABEL), abs=1e-5)
    assert np.allclose(of_rows, summed, atol=1e-5) and np.allclose(
        of_weight, slope_b.T @ bag, atol=1e-5
    )


def test_batch_softmax():
    assert dssm.batch_softmax_loss(np.zeros((4, 4))) == pytest.approx(np.log(4))
    assert dssm.batch_softmax_loss([[0, -np.inf], [-np.inf, 0]]) == 0
    assert dssm.batch_softmax_loss([[1000, 0], [0, 1000]]) == pytest.approx(0)
    with pytest.raises(ValueError, match="diagonal"):
        dssm.batch_softmax_loss(np.zeros((2, 3)))


# --- towers --------------------------------------------------------------------------------------


def world(n_users=40, n_items=30):
    """Users take items of their own half of the genres; items 0, 1 (one of each half) are cold."""
    genres = np.arange(n_items) % 2
    users, items = np.meshgrid(np.arange(n_users), np.arange(2, n_items), indexing="ij")
    keep = (users % 2 == genres[items]) & ((users + items // 2) % 3 > 0) & (users < n_users - 1)
    train = planted.interactions(
        users[keep], items[keep], np.full(keep.sum(), 4.0), n_users, n_items
    )
    return train, np.eye(2, dtype=np.float32)[genres]


SMALL = {"k": 8, "hidden": 8, "batch_size": 64, "entry_dropout": 0.0}


@pytest.fixture(scope="module")
def fitted():
    train, genres = world()
    model = dssm.TwoTowers(epochs=12, learning_rate=0.03, decay=0, profile=["genres"], **SMALL)
    return model.fit(train, {"genres": genres})


def test_towers_rank_cold_items_by_planted_taste(fitted):
    scores = fitted.scores(np.arange(39), [0, 1])
    even = np.arange(39) % 2 == 0
    assert (scores[even, 0] > scores[even, 1]).all() and (scores[~even, 1] > scores[~even, 0]).all()
    assert fitted.history[-1] < fitted.history[0]


def test_vectors_are_directions(fitted):
    for vectors, n in ((fitted.item_vectors(), 30), (fitted.user_vectors(np.arange(40)), 40)):
        assert vectors.shape == (n, 8) and vectors.dtype == np.float32
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(n), abs=1e-5)


def test_a_user_without_history_gets_the_shared_direction(fitted):
    shared = fitted.users.get_layer("shared_row").get_weights()[0][0]
    assert fitted.user_vectors([39])[0] == pytest.approx(shared / np.linalg.norm(shared), abs=1e-6)


def test_fast_user_vectors_are_those_of_the_network(fitted):
    who = {"user": np.arange(39), "profile": fitted._profile(np.arange(39))}
    assert fitted.user_vectors(np.arange(39)) == pytest.approx(fitted.users(who).numpy(), abs=1e-5)


def test_in_training_a_profile_leaves_the_own_item_out(fitted):
    train, genres = world()
    user, item = train.frame[["user", "item"]].to_numpy()[0]
    mine = train.frame.loc[(train.frame["user"] == user) & (train.frame["item"] != item), "item"]
    wanted = genres[mine].mean(axis=0)
    assert fitted._profile(np.array([user]), np.array([item]))[0] == pytest.approx(wanted, abs=1e-6)


def test_bad_calls_to_towers(fitted):
    train, genres = world()
    with pytest.raises(NotFittedError):
        dssm.TwoTowers().scores([0])
    with pytest.raises(ValueError, match="29 rows; expected 30"):
        dssm.TwoTowers().fit(train, {"genres": genres[:-1]})
    with pytest.raises(ValueError, match="expected \\['genres'\\]"):
        fitted.item_vectors({"title": genres})
    for wrong in ([40], [-1]):
        with pytest.raises(IndexError, match=r"0\.\.39"):
            fitted.user_vectors(wrong)
    with pytest.raises(IndexError, match=r"0\.\.29"):
        fitted.scores([0], [30])


EVERY_KIND = {
    "id": np.arange(30),
    "genres": np.ones((30, 2), np.float32),
    "title": sparse.random(30, 50, 0.1, format="csr", dtype=np.float32, random_state=0),
    "words": np.arange(90, dtype=np.int32).reshape(30, 3) % 7,
    "poster": np.zeros((30, 24, 16, 3), np.uint8),
}


def test_every_kind_of_part_is_recognized():
    kinds = [dssm_parts.kind_of(name, part) for name, part in EVERY_KIND.items()]
    assert kinds == ["id", "bag", "bag", "words", "picture"]


def test_every_kind_of_part_trains_and_scores():
    train, _ = world()
    model = dssm.TwoTowers(epochs=1, **{**SMALL, "entry_dropout": 0.3}, part_dropout=0.2)
    tower = dssm_keras.item_tower(EVERY_KIND, 8, 8)
    assert {
        v.path.split("/")[0].split("_")[0] for v in tower.trainable_variables
    } >= EVERY_KIND.keys()
    scores = model.fit(train, EVERY_KIND).scores([0, 1])
    assert scores.shape == (2, 30) and np.isfinite(scores).all()
    assert all(np.isfinite(v.numpy()).all() for v in model.items.trainable_variables)


def test_an_item_of_which_nothing_is_known_still_scores(fitted):
    nothing = fitted.item_vectors({"genres": np.zeros((1, 2), np.float32)})
    assert np.isfinite(nothing).all()


def test_empty_titles_and_other_scripts_go_through_both_readers_of_text():
    titles = ["", None, "卧虎藏龙", "Солярис", "$9.99"]
    parts = {"title": text.hashed_trigrams(titles, 64), "words": text.word_indices(titles, 64, 3)}
    for name, part in parts.items():
        tower = dssm_keras.item_tower({name: part}, 8, 8)
        found = tower(dssm_parts.PartReader({name: part}).rows(np.arange(5))).numpy()
        assert np.isfinite(found).all(), name
        assert np.array_equal(found[0], found[1]), "an empty title is a missing one"
        assert len(np.unique(found.round(4), axis=0)) == 4, f"{name}: other scripts are told apart"


def test_a_reader_gives_the_rows_of_every_part_and_drops_entries_in_training():
    rows = np.array([3, 0, 3])
    reader = dssm_parts.PartReader(EVERY_KIND)
    import tensorflow as tf

    for name, found in reader.rows(rows).items():
        part = EVERY_KIND[name]
        wanted = part[rows].toarray() if sparse.issparse(part) else np.asarray(part)[rows]
        dense = tf.sparse.to_dense(tf.sparse.reorder(found)) if sparse.issparse(part) else found
        assert np.array_equal(dense, wanted), name
    ones = dssm_parts.PartReader({"title": sparse.csr_matrix(np.ones((2, 1000), np.float32))})
    places, values = ones.entries(np.array([1]), np.random.default_rng(0), 0.25)
    assert 650 < len(values) < 850 and len(values) == len(places)
    assert np.allclose(values, 1 / 0.75), "the others are scaled up"


def test_a_layer_for_sparse_rows_is_a_dense_layer():
    import keras
    import tensorflow as tf

    bags = {"title": text.hashed_trigrams(["Casablanca", "", "Солярис"], 64)}
    ours = dssm_keras.item_tower(bags, 8, 8, decay=0.1)
    theirs = dssm_keras.item_tower({"title": bags["title"].toarray()}, 8, 8, decay=0.1)
    theirs.set_weights(ours.get_weights())
    given = {"title": bags["title"].toarray()}
    np.testing.assert_allclose(
        ours(dssm_parts.PartReader(bags).rows(np.arange(3))), theirs(given), atol=1e-6
    )
    kernel = ours.get_layer("title_bag").kernel
    with tf.GradientTape(persistent=True) as tape:
        penalty, whole = ours.losses[0], keras.regularizers.L2(0.1)(kernel)
    assert float(penalty) == pytest.approx(float(whole), rel=1e-5)
    np.testing.assert_allclose(
        tape.gradient(penalty, kernel.value), tape.gradient(whole, kernel.value), rtol=1e-5
    )


def test_the_sum_of_exponentials_and_its_slope_are_those_of_tensorflow():
    import tensorflow as tf

    logits = np.random.default_rng(0).normal(0, 30, (4, 5)).astype(np.float32)
    logits[0, 1:] = -np.inf
    logits[1, 2] = 2000.0
    values, slopes = [], []
    for compute in (dssm_keras.log_sum_exp, lambda rows: tf.reduce_logsumexp(rows, axis=1)):
        given = tf.Variable(logits)
        with tf.GradientTape() as tape:
            found = compute(given)
            total = tf.reduce_sum(found * tf.constant([1.0, 2.0, 3.0, 4.0]))
        values.append(found.numpy())
        slopes.append(tape.gradient(total, given).numpy())
    np.testing.assert_allclose(*values, rtol=1e-6)
    np.testing.assert_allclose(*slopes, atol=1e-6)


def test_a_part_of_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match="'poster' has shape \\(3, 4, 5\\)"):
        dssm_parts.kind_of("poster", np.zeros((3, 4, 5)))
    with pytest.raises(ValueError, match="at least one"):
        dssm_keras.item_tower({})


def test_same_seed_same_model():
    train, genres = world()
    one, two = (
        dssm.TwoTowers(epochs=1, **SMALL).fit(train, {"genres": genres}).scores([0])
        for _ in range(2)
    )
    assert np.array_equal(one, two)


def test_the_correction_is_that_of_the_sampler():
    """One batch, no training: the loss is the NumPy one on the sampler's logits."""
    from helpers.sampling import NegativeSampler

    train, genres = world()
    for correct in (True, False):
        model = dssm.TwoTowers(
            epochs=1, correct=correct, learning_rate=1e-9, decay=0, **{**SMALL, "batch_size": 10**6}
        )
        model.fit(train, {"genres": genres})
        users, items = (train.frame[c].to_numpy() for c in ("user", "item"))
        batch = NegativeSampler(train, avoid="train").in_batch(users, items)
        cosine = model.user_vectors(users) @ model.item_vectors().T[:, items]
        logits = batch.logits(10 * cosine, correct=correct)
        assert model.history[0] == pytest.approx(dssm.batch_softmax_loss(logits), rel=1e-4)


def test_features_of_items_do_not_depend_on_who_took_them():
    """The popularity of a held-out item must not reach a model through its features."""
    base = data.load()
    split = data.cold_item_split(base, seed=0)
    assert not split.train.item_counts()[np.flatnonzero(split.test.item_counts())].any()
    whole, rest = content.item_features(base.items), content.item_features(split.train.items)
    assert (whole != rest).nnz == 0


# --- search --------------------------------------------------------------------------------------

TITLES = [
    "Star Wars: Episode IV",
    "Star Trek",
    "Terminator, The",
    "Casablanca",
    "Солярис",
    "卧虎藏龙",
    "",
    "A <b>",
]


@pytest.fixture
def box():
    vectors = np.eye(8, 4, dtype=np.float32)
    vectors[1:, 0] = [0.9, 0.1, 0, 0, 0, 0, 0]
    vectors[:, 3] += 0.1
    return TitleSearch(TITLES, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize(
    "query, wanted",
    [
        ("star wars", 0),
        ("STAR WA", 0),
        ("stra wars", 0),
        ("termimator", 2),
        ("casablnca", 3),
        ("Солярс", 4),
        ("卧虎藏", 5),
    ],
)
def test_search_finds_titles_with_errors_and_in_any_script(box, query, wanted):
    assert box.by_letters(query)[0] == wanted


@pytest.mark.parametrize("query", ["", "   ", "#", "zzzzqqq"])
def test_search_without_a_match_answers_nothing(box, query):
    assert box.by_letters(query).tolist() == [] == box.by_taste(query).tolist()
    assert box.vector(query) is None


def test_search_around_a_match_shows_neighbors_and_not_the_match(box):
    found = box.by_taste("star wars", 2)
    assert found[0] == 1 or 1 in box.by_letters("star wars", 2)
    assert 0 not in found and np.linalg.norm(box.vector("star wars")) == pytest.approx(1, abs=1e-6)


def test_search_refuses_what_does_not_fit(box):
    with pytest.raises(ValueError, match="8 titles, but 2 vectors"):
        TitleSearch(TITLES, np.ones((2, 4), np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        box.by_letters("star", 0)


def test_an_answering_box_answers_and_survives_an_error():
    import ipywidgets as widgets

    from helpers import interactive

    text_box = widgets.Text(value="one")

    def reply(query):
        if query == "bad":
            raise ValueError("<no>")
        return f"<b>{query}</b>"

    shown = []
    display, interactive.display = interactive.display, lambda data, **_: shown.append(data)
    try:
        interactive.answer(reply, alt=lambda query: f"asked {query}", box=text_box)
    finally:
        interactive.display = display
    assert shown[0]["text/html"] == "<b>one</b>" and shown[0]["text/plain"] == "asked one"
    html = next(
        w
        for w in widgets.Widget.widgets.values()
        if isinstance(w, widgets.HTML) and "one" in w.value
    )
    text_box.value = "bad"
    assert html.value == "<p>ValueError: &lt;no&gt;</p>"
    text_box.value = "two"
    assert html.value == "<b>two</b>"
