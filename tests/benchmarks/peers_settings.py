"""The models of `bench_peers`, ours first, and the settings that are tried of each: six, the likeliest first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


def _grid(**values: tuple[Any, ...]) -> list[dict[str, Any]]:
    """Return tries from columns of values: the first of each, the second of each, and so on."""
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


@dataclass(frozen=True)
class Contestant:
    """A model: its table, the environment that has it, and our model whose seconds it is beside."""

    name: str
    table: str
    room: str
    like: str
    grid: list[dict[str, Any]] = field(default_factory=lambda: [{}])
    seeded: bool = True


_FACTORED = {
    "factors": (200, 100, 64, 200, 100, 50),
    "epochs": (60, 60, 60, 100, 40, 100),
    "rate": (0.01,) * 6,
    "decay": (0.1, 0.1, 0.1, 0.1, 0.08, 0.12),
}
_DRAWS = _grid(  # of a thousand draws and more in all, the first are much the best
    factors=(10, 10, 8, 16, 6, 10),
    samples=(300, 75, 200, 300, 300, 300),
    chains=(1, 4, 1, 1, 1, 4),
)
_DECAYED = {"decay": (0.8, 0.8, 0.8, 0.6, 0.9, 0.9)}
_TRANSITIONS = _grid(smoothing=(50.0, 20.0, 100.0, 50.0, 50.0, 20.0), **_DECAYED)
_EASE = _grid(regularization=(200.0, 50.0, 100.0, 500.0, 1000.0, 2000.0))
_NEIGHBORS = (100, 50, 200, 20, 400, 10)
_ADAM = "ours, FM by Adam"
_GIBBS, _BLOCKS = "ours, FM by Gibbs", "ours, FM by Gibbs, blocks of SVD++ flipped"
_MF, _IALS, _BPR, _ITEMS = "ours, factorization", "ours, iALS", "ours, BPR", "ours, item-item"

RATING = [
    Contestant("ours, two biases", "rating", "ours", "", seeded=False),
    Contestant(
        _MF,
        "rating",
        "ours",
        "",
        _grid(
            factors=(32, 64, 32, 64, 128, 16), regularization=(0.13, 0.13, 0.1, 0.16, 0.16, 0.13)
        ),
    ),
    Contestant(
        _ADAM,
        "rating",
        "ours",
        "",
        _grid(
            num_factors=(32, 64, 32, 32, 64, 16),
            epochs=(25, 25, 40, 15, 15, 25),
            factors_wd=(0.0005, 0.0005, 0.0005, 0.0005, 0.0007, 0.0005),
        ),
    ),
    Contestant(_GIBBS, "rating", "ours", "", _DRAWS),
    Contestant(_BLOCKS, "rating", "ours", "", _DRAWS),
    Contestant("Surprise, SVD", "rating", "peers", _MF, _grid(**_FACTORED)),
    Contestant(
        "Surprise, neighbors",
        "rating",
        "peers",
        "",
        _grid(k=(40, 80, 40, 20, 80, 40), shrinkage=(100, 100, 50, 100, 50, 200)),
        seeded=False,
    ),
    Contestant("cornac, MF", "rating", "peers", _MF, _grid(**_FACTORED)),
    Contestant(
        "LensKit, BiasedMF",
        "rating",
        "peers_torch",
        _MF,
        _grid(
            factors=(50, 32, 16, 50, 50, 100),
            epochs=(10, 10, 10, 20, 10, 20),
            decay=(0.1, 0.1, 0.1, 0.2, 0.3, 0.2),
        ),
    ),
    Contestant(
        "xlearn, FM",
        "rating",
        "peers_xlearn",
        _ADAM,
        _grid(
            factors=(16, 8, 32, 16, 16, 8),
            epochs=(20, 20, 20, 40, 20, 40),
            rate=(0.1, 0.1, 0.1, 0.05, 0.1, 0.1),
            decay=(0.002, 0.002, 0.002, 0.002, 0.0002, 0.004),
        ),
    ),
    Contestant("myFM", "rating", "peers", _GIBBS, _DRAWS),
    Contestant("myFM, blocks of SVD++ flipped", "rating", "peers", _BLOCKS, _DRAWS),
]

ORDERING = [
    Contestant("ours, popularity", "ordering", "ours", "", seeded=False),
    Contestant(
        _ITEMS,
        "ordering",
        "ours",
        "",
        _grid(neighbors=_NEIGHBORS, shrinkage=(10.0, 10.0, 10.0, 1.0, 30.0, 0.0)),
        seeded=False,
    ),
    Contestant(
        _IALS,
        "ordering",
        "ours",
        "",
        _grid(
            factors=(32, 16, 64, 32, 32, 64),
            empty_weight=(0.3, 0.3, 0.3, 0.1, 0.3, 0.1),
            regularization=(0.01, 0.01, 0.01, 0.01, 0.003, 0.01),
        ),
    ),
    Contestant(
        _BPR,
        "ordering",
        "ours",
        "",
        _grid(factors=(32, 64, 32, 64, 16, 128), epochs=(12, 12, 25, 25, 25, 12)),
    ),
    Contestant("ours, EASE", "ordering", "ours", "", _EASE, seeded=False),
    Contestant("ours, EASE, map transposed", "ordering", "ours", "", _EASE, seeded=False),
    Contestant(
        "ours, EASE, input decayed by age",
        "ordering",
        "ours",
        "",
        _grid(regularization=(500.0, 200.0, 1000.0, 500.0, 500.0, 200.0), **_DECAYED),
        seeded=False,
    ),
    Contestant(
        "ours, ridge to the next item",
        "ordering",
        "ours",
        "",
        _grid(regularization=(300.0, 100.0, 1000.0, 300.0, 300.0, 100.0), **_DECAYED),
        seeded=False,
    ),
    Contestant("ours, Transitions", "ordering", "ours", "", _TRANSITIONS, seeded=False),
    Contestant(
        "ours, Transitions, orders shuffled", "ordering", "ours", "", _TRANSITIONS, seeded=False
    ),
    Contestant(
        "implicit, ALS",
        "ordering",
        "peers",
        _IALS,
        _grid(
            factors=(32, 16, 64, 32, 32, 64),
            alpha=(1.0, 1.0, 1.0, 5.0, 1.0, 5.0),
            regularization=(0.01, 0.01, 0.01, 0.01, 1.0, 1.0),
            iterations=(15,) * 6,
        ),
    ),
    Contestant(
        "implicit, BPR",
        "ordering",
        "peers",
        _BPR,
        _grid(
            factors=(32, 64, 32, 64, 32, 64),
            learning_rate=(0.01, 0.01, 0.05, 0.05, 0.05, 0.05),
            regularization=(0.01, 0.01, 0.01, 0.01, 0.03, 0.03),
            iterations=(100,) * 6,
        ),
    ),
    Contestant(
        "implicit, item-item",
        "ordering",
        "peers",
        _ITEMS,
        _grid(kind=("cosine", "tfidf", "bm25") * 2, K=(50,) * 3 + (200,) * 3),
        seeded=False,
    ),
    Contestant(
        "faiss, item-item", "ordering", "peers", _ITEMS, _grid(neighbors=_NEIGHBORS), seeded=False
    ),
    Contestant(
        "cornac, BPR",
        "ordering",
        "peers",
        _BPR,
        _grid(
            k=(32, 64, 32, 64, 32, 64),
            max_iter=(100, 100, 200, 100, 100, 200),
            learning_rate=(0.01, 0.01, 0.01, 0.05, 0.05, 0.01),
            lambda_reg=(0.01, 0.01, 0.01, 0.01, 0.03, 0.03),
        ),
    ),
    Contestant(
        "LightFM",
        "ordering",
        "peers",
        _BPR,
        _grid(
            loss=("warp",) * 5 + ("bpr",),
            no_components=(32, 64, 16, 32, 64, 32),
            learning_rate=(0.05, 0.05, 0.05, 0.02, 0.02, 0.05),
            epochs=(30, 30, 30, 60, 60, 60),
        ),
    ),
    Contestant(
        "LensKit, ImplicitMF",
        "ordering",
        "peers_torch",
        _IALS,
        _grid(
            embedding_size=(32, 16, 64, 32, 32, 64),
            epochs=(15,) * 6,
            weight=(5.0, 5.0, 5.0, 1.0, 10.0, 10.0),
            decay=(0.1, 0.1, 0.1, 0.1, 1.0, 1.0),
        ),
    ),
    Contestant("RecTools, EASE", "ordering", "peers_torch", "ours, EASE", _EASE, seeded=False),
    Contestant(
        "RecTools, SASRec",
        "ordering",
        "peers_torch",
        "ours, Transitions",
        _grid(  # found by looking at the inner split of ML-100K alone
            n_factors=(64, 64, 64, 64, 128, 64),
            n_blocks=(2, 1, 2, 2, 2, 3),
            n_heads=(1, 1, 1, 1, 2, 1),
            dropout_rate=(0.5,) * 6,
            lr=(0.003, 0.003, 0.003, 0.003, 0.001, 0.003),
            batch_size=(32,) * 6,
            session_max_len=(50, 50, 50, 100, 50, 50),
            epochs=(20, 20, 40, 20, 30, 20),
        ),
    ),
]

CONTESTANTS = [*RATING, *ORDERING]
