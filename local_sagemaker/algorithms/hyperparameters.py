"""Hyperparameters of the built-in algorithms, after SageMaker's developer guide."""

import contextlib
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

_REQUIRED = object()


class Rule(NamedTuple):
    """What a hyperparameter takes: in words, then certain texts, or a number from ``least`` on."""

    words: str
    choices: tuple[str, ...] = ()
    number: type | None = None
    least: float = -math.inf

    def parse(self, name: str, text: str) -> Any:
        text = str(text).strip().strip('"')
        if text in self.choices:
            return text
        with contextlib.suppress(ValueError, OverflowError):
            value = self.number(text) if self.number else math.nan
            if math.isfinite(value) and value >= self.least:
                return value
        raise wrong_value(name, text, self.words)


def wrong_value(name: str, value: object, expected: str) -> ValueError:
    given = f"The value '{value}' is not valid for the '{name}' hyperparameter"
    return ValueError(f"{given}, which expects {expected}")


def _one_of(*texts: str) -> Rule:
    return Rule(f"one of {', '.join(texts)}", texts)


_WHOLE = Rule("an integer of at least 1", number=int, least=1)
_WHOLE_OR_AUTO = Rule("an integer of at least 1 or auto", ("auto",), int, 1)
_RATE = Rule("a float of at least 0", number=float, least=0)
_POSITIVE = Rule("a float greater than 0", number=float, least=math.ulp(0))
_NUMBER = Rule("a float", number=float)
_METHOD = _one_of("uniform", "normal", "constant")
_PARTS_OF_A_CODE = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)

Table = dict[str, tuple[Rule, Any]]  # name -> what it takes, and its default (None: not set)


def _weights(part: str, rate: float, decay: float, sigma: float) -> Table:
    learns = {"lr": (_RATE, rate), "wd": (_RATE, decay), "init_method": (_METHOD, "normal")}
    starts = {"scale": (_RATE, None), "sigma": (_RATE, sigma), "value": (_NUMBER, None)}
    both = learns | {f"init_{name}": rule for name, rule in starts.items()}
    return {f"{part}_{name}": rule for name, rule in both.items()}


FM: Table = {
    "feature_dim": (_WHOLE, _REQUIRED),
    "num_factors": (_WHOLE, _REQUIRED),
    "predictor_type": (_one_of("binary_classifier", "regressor"), _REQUIRED),
    "epochs": (_WHOLE, 1),
    "mini_batch_size": (_WHOLE, 1000),
    **_weights("bias", 0.1, 0.01, 0.01),
    **_weights("linear", 0.001, 0.001, 0.01),
    **_weights("factors", 0.0001, 0.00001, 0.001),
    "clip_gradient": (_POSITIVE, None),
    "eps": (_RATE, None),
    "rescale_grad": (_POSITIVE, None),
}
KNN: Table = {
    "feature_dim": (_WHOLE, _REQUIRED),
    "k": (_WHOLE, _REQUIRED),
    "predictor_type": (_one_of("classifier", "regressor"), _REQUIRED),
    "sample_size": (_WHOLE, _REQUIRED),
    "index_type": (_one_of("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"), "faiss.Flat"),
    "index_metric": (_one_of("L2", "INNER_PRODUCT", "COSINE"), "L2"),
    "faiss_index_ivf_nlists": (_WHOLE_OR_AUTO, "auto"),
    "faiss_index_pq_m": (_one_of(*map(str, _PARTS_OF_A_CODE)), None),
    "mini_batch_size": (_WHOLE, 5000),
}


def _parsed(table: Table, given: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's settings, typed, with defaults; raise `ValueError` by a wrong one's name."""
    found = {name: default for name, (_, default) in table.items() if default is not None}
    for name, text in given.items():
        if name in table:
            found[name] = table[name][0].parse(name, text)
        elif name.startswith("dimension_reduction"):
            instead = "reduce the features before you write the records"
            raise ValueError(f"'{name}' is not supported on this machine: {instead}")
        elif not name.startswith("_"):  # those are the platform's
            wrong = f"Additional hyperparameters are not allowed ('{name}' was unexpected)"
            raise ValueError(f"{wrong}; there are {', '.join(sorted(table))}")
    for name, value in found.items():
        if value is _REQUIRED:
            raise ValueError(f"Missing required hyperparameter: '{name}'")
    return found


def _need(settings: Mapping[str, Any], name: str, beside: str) -> None:
    if name not in settings:
        because = f"when '{beside}' is '{settings[beside]}'"
        raise ValueError(f"Missing required hyperparameter: '{name}' {because}")


def fm_settings(given: Mapping[str, str]) -> dict[str, Any]:
    settings = _parsed(FM, given)
    for part in ("bias", "linear", "factors"):
        method, beside = settings[f"{part}_init_method"], f"{part}_init_method"
        if method != "normal":
            _need(settings, f"{part}_init_{'scale' if method == 'uniform' else 'value'}", beside)
    return settings


def knn_settings(given: Mapping[str, str]) -> dict[str, Any]:
    settings = _parsed(KNN, given)
    if settings["index_type"] == "faiss.IVFPQ":
        _need(settings, "faiss_index_pq_m", "index_type")
        metric = settings["index_metric"]
        if metric != "L2":
            raise wrong_value("index_metric", metric, "L2 when 'index_type' is 'faiss.IVFPQ'")
    k, size = settings["k"], settings["sample_size"]
    if k > size:
        raise wrong_value("k", k, f"an integer from 1 to sample_size ({size})")
    return settings
