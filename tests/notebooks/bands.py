"""What every recorded number is expected to be, and how far it may be off.

A band is narrow enough to notice a bug: at most 5 % of the value, or a measured range where that is
larger. The reason is the range and what varied: seeds, batches (sizes, and seeds), lengths of
training.
"""

from __future__ import annotations

from dataclasses import dataclass

#: how much wider all bands are beside an NVIDIA GPU, which adds in another order
ON_A_GPU = 2.0


@dataclass(frozen=True)
class Band:
    """A value, how far off it may be, why a wide band is wide, and whether it may be missing."""

    value: float
    off: float
    reason: str = ""
    optional: bool = False


SMALL, RANDOM = "latest-small", "random 80/20, seed 0"
HUNDRED, U1 = "100k", "predefined u1"
LAST_ONE = "leave last one out, random ties, seed 0"
LAST_TEN = "leave last 10 out, random ties, seed 0"
BY_TIME = "by time 80/20"
OF_ITEM_0, PLANTED_SHOP = "click rate of item 0", "planted shop, seed 0"
EXPLORED = "40,000 requests, 20 % explored"
TALK = "talk's MF, 10 epochs"
Key = tuple[str, str, str, str, int | None]


def cold(
    model: str, off: float, *values: float, seeds: tuple[int | None, ...] = (None,) * 3
) -> dict[Key, Band]:
    """Return the bands of HR on the splits by cold items of seed 0, 1 and 2."""
    splits = [f"cold items 90/10, seed {seed}" for seed in (0, 1, 2)]
    keys = [(model, "HR", SMALL, *rest) for rest in zip(splits, seeds, strict=True)]
    return {key: Band(value, off) for key, value in zip(keys, values, strict=False)}


def since_2012(model: str, off: float, *values: float) -> dict[Key, Band]:
    """Return the bands of HR on films since 2012, for one value without or for several seeds."""
    seeds = (None,) if len(values) == 1 else (0, 1, 2)
    keys = [(model, "HR", SMALL, "films since 2012", seed) for seed in seeds]
    reason = "0.45–0.50, three seeds; one of 127 users is 0.008"
    return {key: Band(value, off, reason) for key, value in zip(keys, values, strict=True)}


def both(
    model: str, split: str, hr: float, ndcg: float, seed: int | None = None
) -> dict[Key, Band]:
    """Return the bands of a model's HR and NDCG on a split of latest-small."""
    values = {"HR": hr, "NDCG": ndcg}
    return {
        (model, m, SMALL, split, seed): Band(v, (0.02 if seed is None else 0.05) * v)
        for m, v in values.items()
    }


def seeds(model: str, split: str, hr: float, ndcg: float) -> dict[Key, Band]:
    """Return the bands of a model's HR and NDCG on a split of latest-small, for three seeds."""
    return {key: band for s in range(3) for key, band in both(model, split, hr, ndcg, s).items()}


def three(model: str, value: float, off: float) -> dict[Key, Band]:
    """Return the bands of an RMSE with the seeds 0, 1 and 2."""
    return {(model, "RMSE", SMALL, RANDOM, seed): Band(value, off) for seed in range(3)}


def talk_net(framework: str, optional: bool = False, **values: float) -> dict[Key, Band]:
    """Return the bands of the talk's networks in a framework, by their layers."""
    return {
        (f"talk's net in {framework}, layers: {layers}", "RMSE", SMALL, RANDOM, 0): Band(
            value, 0.03, "0.91–0.94 and 1.14–1.19, seeds and frameworks", optional
        )
        for layers, value in values.items()
    }


BANDS: dict[str, dict[Key, Band]] = {
    "00": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0567, 0.001),
        ("user mean", "RMSE", SMALL, RANDOM, None): Band(0.9635, 0.001),
    },
    "01": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0567, 0.001),
        ("item mean", "RMSE", SMALL, RANDOM, None): Band(0.9992, 0.001),
        ("item mean, pulled", "RMSE", SMALL, RANDOM, None): Band(0.9767, 0.001),
    },
    "02": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0566, 0.001),
        ("user + item bias", "RMSE", SMALL, RANDOM, None): Band(0.8844, 0.001),
        ("product only, NumPy, 5 epochs", "RMSE", SMALL, RANDOM, 0): Band(0.897, 0.003),
        ("product only, Keras, 5 epochs", "RMSE", SMALL, RANDOM, 0): Band(0.897, 0.003),
        ("product only, MXNet symbolic, 5 epochs", "RMSE", SMALL, RANDOM, 0): Band(
            0.897, 0.003, optional=True
        ),
        ("product only, MXNet Gluon, 5 epochs", "RMSE", SMALL, RANDOM, 0): Band(
            0.897, 0.003, optional=True
        ),
        ("product only from 0, Keras, 5 epochs", "RMSE", SMALL, RANDOM, 0): Band(1.313, 0.02),
        ("with biases from 0, Keras, 5 epochs", "RMSE", SMALL, RANDOM, 0): Band(0.897, 0.003),
        (TALK, "RMSE", SMALL, RANDOM, 0): Band(1.342, 0.02),
        ("talk's MF, 25 epochs", "RMSE", SMALL, RANDOM, 0): Band(1.140, 0.01),
        ("talk's MF, 25 epochs", "MAE", SMALL, RANDOM, 0): Band(0.813, 0.01),
        ("biased MF, no decay", "RMSE", SMALL, RANDOM, 0): Band(0.887, 0.005),
        ("biased MF, no decay", "MAE", SMALL, RANDOM, 0): Band(0.680, 0.005),
        ("biased MF", "RMSE", SMALL, RANDOM, 0): Band(0.8722, 0.003),
        ("biased MF", "MAE", SMALL, RANDOM, 0): Band(0.669, 0.003),
        ("user + item bias", "RMSE", HUNDRED, RANDOM, None): Band(0.9369, 0.001, optional=True),
        ("biased MF", "RMSE", HUNDRED, RANDOM, 0): Band(0.9096, 0.0014, optional=True),
        (TALK, "RMSE", HUNDRED, U1, 0): Band(1.048, 0.01, optional=True),
        (TALK, "MAE", HUNDRED, U1, 0): Band(0.811, 0.01, optional=True),
    },
    "03": {
        ("user + item bias", "RMSE", SMALL, RANDOM, None): Band(0.8844, 0.001),
        ("biased MF, no layer, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8761, 0.003),
        ("biased MF, user's side, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8784, 0.003),
        ("biased MF, both sides, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8851, 0.004),
        ("biased MF, shared, 5 seeds", "RMSE", SMALL, RANDOM, None): Band(0.8916, 0.006),
        ("a constant", "RMSE", SMALL, RANDOM, None): Band(1.0567, 0.001),
        **three("no biases, layers: none", 1.152, 0.02),
        **three("no biases, layers: both", 0.918, 0.015),
        **three("biases, layers: none", 0.880, 0.004),
        **three("biases, layers: both", 0.887, 0.006),
        **talk_net("Keras", user=1.154, both=0.908),
        **talk_net("MXNet symbolic", optional=True, user=1.146, both=0.917),
        **talk_net("Gluon", optional=True, none=1.200, user=1.145, both=0.916, shared=1.000),
    },
    "04": {
        ("popularity", "HR", SMALL, LAST_ONE, None): Band(0.0417, 0.001),
        ("popularity", "NDCG", SMALL, LAST_ONE, None): Band(0.0199, 0.0005),
        ("item-kNN", "HR", SMALL, LAST_ONE, None): Band(0.0641, 0.002),
        ("item-kNN", "NDCG", SMALL, LAST_ONE, None): Band(0.0337, 0.001),
        ("EASE", "HR", SMALL, LAST_ONE, None): Band(0.0745, 0.002),
        ("EASE", "NDCG", SMALL, LAST_ONE, None): Band(0.0393, 0.001),
        ("MF on ratings", "HR", SMALL, LAST_ONE, 0): Band(0.007, 0.008, "0.001–0.012, 3 seeds"),
        ("MF on ratings", "NDCG", SMALL, LAST_ONE, 0): Band(0.003, 0.004, "0.001–0.005, 3 seeds"),
        ("MF with negatives", "HR", SMALL, LAST_ONE, 0): Band(0.060, 0.012, "0.049–0.067, 3 seeds"),
        ("MF with negatives", "NDCG", SMALL, LAST_ONE, 0): Band(
            0.030, 0.006, "0.025–0.032, 3 seeds"
        ),
        ("64 factors in MXNet", "HR", SMALL, LAST_ONE, 0): Band(
            0.059, 0.01, "0.052–0.064, 3 or 4 epochs", optional=True
        ),
        ("64 factors in MXNet", "NDCG", SMALL, LAST_ONE, 0): Band(
            0.028, 0.005, "0.025–0.031, 3 or 4 epochs", optional=True
        ),
        ("64 factors in Keras", "HR", SMALL, LAST_ONE, 0): Band(
            0.059, 0.01, "0.052–0.064, 3 or 4 epochs"
        ),
        ("64 factors in Keras", "NDCG", SMALL, LAST_ONE, 0): Band(
            0.028, 0.005, "0.025–0.031, 3 or 4 epochs"
        ),
        **both("popularity", RANDOM, 0.599, 0.170),
        **both("last year", RANDOM, 0.463, 0.095),
        **both("EASE", RANDOM, 0.812, 0.345),
        **both("small MF", RANDOM, 0.678, 0.231, seed=0),
        **both("popularity", BY_TIME, 0.884, 0.395),
        **both("last year", BY_TIME, 0.924, 0.439),
        **both("EASE", BY_TIME, 0.210, 0.052),
        **both("small MF", BY_TIME, 0.871, 0.310, seed=0),
    },
    "05": {
        ("popularity", "HR", SMALL, LAST_ONE, None): Band(0.0417, 0.001),
        ("popularity", "NDCG", SMALL, LAST_ONE, None): Band(0.0199, 0.0005),
        ("EASE", "HR", SMALL, LAST_ONE, None): Band(0.0745, 0.002),
        ("EASE", "NDCG", SMALL, LAST_ONE, None): Band(0.0393, 0.001),
        ("iALS", "HR", SMALL, LAST_ONE, 0): Band(0.058, 0.0025),
        ("iALS", "NDCG", SMALL, LAST_ONE, 0): Band(0.0324, 0.0015),
        ("MF with negatives", "HR", SMALL, LAST_ONE, 0): Band(0.067, 0.005, "0.067–0.069, 3 seeds"),
        ("MF with negatives", "NDCG", SMALL, LAST_ONE, 0): Band(
            0.0355, 0.003, "0.035–0.036, 3 seeds"
        ),
        ("GMF", "HR", SMALL, LAST_ONE, 0): Band(0.067, 0.011, "0.061–0.073, seeds"),
        ("GMF", "NDCG", SMALL, LAST_ONE, 0): Band(0.033, 0.005, "0.030–0.035, seeds"),
        ("MLP", "HR", SMALL, LAST_ONE, 0): Band(0.058, 0.012, "0.052–0.064, seeds"),
        ("MLP", "NDCG", SMALL, LAST_ONE, 0): Band(0.03, 0.006, "0.029–0.031, seeds"),
        ("NeuMF, deployed", "HR", SMALL, LAST_ONE, 0): Band(0.06, 0.012, "seeds"),
        ("NeuMF, deployed", "NDCG", SMALL, LAST_ONE, 0): Band(0.033, 0.006, "seeds"),
        ("GMF + MLP, joined", "HR", SMALL, LAST_ONE, 0): Band(0.07, 0.01, "seeds"),
        ("GMF + MLP, joined", "NDCG", SMALL, LAST_ONE, 0): Band(0.034, 0.005, "seeds"),
        ("NeuMF, pre-trained", "HR", SMALL, LAST_ONE, 0): Band(0.07, 0.01, "seeds"),
        ("NeuMF, pre-trained", "NDCG", SMALL, LAST_ONE, 0): Band(0.033, 0.005, "seeds"),
        ("deep MF", "HR", SMALL, LAST_ONE, 0): Band(0.042, 0.01, "0.039–0.048, lengths"),
        ("deep MF", "NDCG", SMALL, LAST_ONE, 0): Band(0.022, 0.006, "0.019–0.025, lengths"),
    },
    "06": {
        ("global mean", "RMSE", SMALL, RANDOM, None): Band(1.0566, 0.001),
        ("user + item bias", "RMSE", SMALL, RANDOM, None): Band(0.8844, 0.001),
        ("talk's settings, file order", "RMSE", SMALL, RANDOM, 0): Band(0.924, 0.006),
        ("talk's settings, shuffled", "RMSE", SMALL, RANDOM, 0): Band(0.877, 0.004),
        ("tuned, shuffled", "RMSE", SMALL, RANDOM, 0): Band(0.867, 0.005),
        ("tuned, file order", "RMSE", SMALL, RANDOM, 0): Band(0.910, 0.006, "0.907–0.912, 3 seeds"),
        ("with context, tuned for two ones", "RMSE", SMALL, RANDOM, 0): Band(0.924, 0.005),
        ("with context, tuned for five ones", "RMSE", SMALL, RANDOM, 0): Band(0.880, 0.003),
        ("Gibbs", "RMSE", SMALL, RANDOM, 0): Band(0.872, 0.006),
        ("Gibbs, with context", "RMSE", SMALL, RANDOM, 0): Band(0.860, 0.006),
        ("Gibbs, with blocks", "RMSE", SMALL, RANDOM, 0): Band(0.856, 0.004, "4 seeds"),
        ("Gibbs, with blocks, two chains", "RMSE", SMALL, RANDOM, 0): Band(0.846, 0.003),
        ("user + item bias", "RMSE", HUNDRED, RANDOM, None): Band(0.9369, 0.001, optional=True),
        ("tuned, shuffled", "RMSE", HUNDRED, RANDOM, 0): Band(0.899, 0.005, optional=True),
        ("Gibbs", "RMSE", HUNDRED, RANDOM, 0): Band(0.901, 0.006, optional=True),
        ("Gibbs, with blocks", "RMSE", HUNDRED, RANDOM, 0): Band(0.884, 0.004, optional=True),
        ("global mean", "RMSE", HUNDRED, U1, None): Band(1.1537, 0.001, optional=True),
        ("user + item bias", "RMSE", HUNDRED, U1, None): Band(0.9532, 0.001, optional=True),
        ("talk's settings, file order", "RMSE", HUNDRED, U1, 0): Band(1.0007, 0.003, optional=True),
        ("talk's settings, shuffled", "RMSE", HUNDRED, U1, 0): Band(0.943, 0.006, optional=True),
        ("tuned, file order", "RMSE", HUNDRED, U1, 0): Band(0.942, 0.006, optional=True),
        ("tuned, shuffled", "RMSE", HUNDRED, U1, 0): Band(0.913, 0.003, optional=True),
    },
    "07": {
        ("popularity", "HR", SMALL, RANDOM, None): Band(0.5991, 0.001),
        ("popularity", "NDCG", SMALL, RANDOM, None): Band(0.1698, 0.0005),
        ("FM on stars", "HR", SMALL, RANDOM, 0): Band(0.339, 0.016),
        ("FM on stars", "NDCG", SMALL, RANDOM, 0): Band(0.0614, 0.003),
        ("FM on clicks", "HR", SMALL, RANDOM, 0): Band(0.652, 0.03),
        ("FM on clicks", "NDCG", SMALL, RANDOM, 0): Band(0.1976, 0.0095),
    },
    "08": {
        **cold("random", 0.001, 0.121, 0.138, 0.129),
        **cold("genre affinity", 0.002, 0.201, 0.366, 0.299),
        **cold("k-NN, genres", 0.008, 0.384, 0.440, 0.357),
        **cold("k-NN, title words", 0.008, 0.491, 0.549, 0.409),
        **cold("one list for all", 0.008, 0.479, 0.603, 0.683),
        **cold("k-NN, words, genres, year", 0.008, 0.667, 0.653, 0.599),
        **cold("k-NN, title words, earlier only", 0.008, 0.406, 0.416, 0.264),
        **cold("k-NN, words, genres, year, earlier only", 0.008, 0.621, 0.617, 0.487),
        **cold("factorization", 0.005, 0.109, 0.101, 0.135, seeds=(0, 0, 0)),
        **cold("towers", 0.025, 0.514, 0.629, 0.591, seeds=(0, 1, 2)),
        **cold("towers without genres", 0.02, 0.469, 0.447, 0.452, seeds=(0, 1, 2)),
        **cold("towers without year", 0.02, 0.407, 0.496, 0.547, seeds=(0, 1, 2)),
        **cold("towers without title", 0.025, 0.513, 0.648, 0.577, seeds=(0, 1, 2)),
        **cold("towers without log Q", 0.025, 0.573, 0.577, 0.554, seeds=(0, 1, 2)),
        ("MXNet, distance 1 - label", "HR", SMALL, "cold items 90/10, seed 0", 0): Band(
            0.517, 0.025, optional=True
        ),
        ("MXNet, distance = label", "HR", SMALL, "cold items 90/10, seed 0", 0): Band(
            0.065, 0.03, "far below random, 0.121", optional=True
        ),
        **since_2012("random", 0.001, 0.192),
        **since_2012("genre affinity", 0.004, 0.395),
        **since_2012("one list for all", 0.009, 0.386),
        **since_2012("k-NN, genres", 0.017, 0.459),
        **since_2012("k-NN, title words", 0.017, 0.504),
        **since_2012("k-NN, words, genres, year", 0.017, 0.504),
        **since_2012("towers", 0.05, 0.449, 0.496, 0.504),
    },
    "09": {
        **both("popularity", LAST_TEN, 0.2537, 0.0413),
        **both("EASE", LAST_TEN, 0.3890, 0.0733),
        **seeds("net, multi-label", LAST_TEN, 0.398, 0.0722),
        **seeds("net, softmax", LAST_TEN, 0.379, 0.0695),
        **seeds("net, pairwise", LAST_TEN, 0.373, 0.0656),
        **both("net, sampled", LAST_TEN, 0.365, 0.0653, 0),
        **both("net, sampled, uncorrected", LAST_TEN, 0.288, 0.0535, 0),
        **both("Mult-VAE", LAST_TEN, 0.390, 0.0700, 0),
        **both("popularity", LAST_ONE, 0.0417, 0.0199),
        **both("EASE", LAST_ONE, 0.0745, 0.0393),
        **both("iALS", LAST_ONE, 0.0611, 0.0347, 0),
        **both("EASE, decayed", LAST_ONE, 0.0909, 0.0521, 0),
        **both("transitions", LAST_ONE, 0.1177, 0.0628, 0),
        **both("transitions, shuffled", LAST_ONE, 0.0402, 0.0221, 0),
        **both("next-item ridge", LAST_ONE, 0.1103, 0.0563, 0),
        **both("counts both ways", LAST_ONE, 0.1297, 0.0703, 0),
        ("net, multi-label", "HR", SMALL, LAST_ONE, 0): Band(0.067, 0.006, "one user is 0.0015"),
        ("net, multi-label", "NDCG", SMALL, LAST_ONE, 0): Band(0.036, 0.003, "3 seeds"),
        ("GRU", "HR", SMALL, LAST_ONE, 0): Band(0.058, 0.015, "epochs and seeds"),
        ("GRU", "NDCG", SMALL, LAST_ONE, 0): Band(0.028, 0.006, "0.0215-0.030, epochs and seeds"),
    },
    "10": {
        ("popularity", "HR", SMALL, LAST_ONE, None): Band(0.0417, 0.001),
        ("popularity", "NDCG", SMALL, LAST_ONE, None): Band(0.0199, 0.0005),
        ("popularity", "coverage", SMALL, LAST_ONE, None): Band(0.0131, 0.0002),
        **{  # means of three seeds
            (model, metric, SMALL, LAST_ONE, None): Band(value, 0.05 * value)
            for model, *values in (
                ("listwise", 0.0656, 0.0342, 0.0697),
                ("multi-label", 0.0616, 0.0353, 0.09),
                ("pairwise", 0.0532, 0.0275, 0.1182),
                ("pointwise", 0.0571, 0.0278, 0.0878),
                ("net, table", 0.0631, 0.0336),
                ("net, re-ranked", 0.0959, 0.045),
            )
            for metric, value in zip(("HR", "NDCG", "coverage"), values, strict=False)
        },
        ("clicks / impressions", OF_ITEM_0, PLANTED_SHOP, EXPLORED, None): Band(0.038, 0.001),
        ("clicks / looks", OF_ITEM_0, PLANTED_SHOP, EXPLORED, None): Band(0.303, 0.002),
        ("IPS, without looks", OF_ITEM_0, PLANTED_SHOP, EXPLORED, None): Band(0.093, 0.001),
        ("IPS / looks", OF_ITEM_0, PLANTED_SHOP, EXPLORED, None): Band(0.321, 0.002),
    },
}
