"""Hyperparameters of the built-in algorithms: what each takes, and its default.

After "Factorization Machines Hyperparameters" and "k-NN Hyperparameters" in the SageMaker
developer guide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REQUIRED = object()


@dataclass(frozen=True)
class Rule:
    """Texts that a hyperparameter takes: in words, then one of some texts or a number."""

    words: str
    choices: tuple[str, ...] = ()
    number: type | None = None
    least: float = -math.inf

    def parse(self, name: str, text: str) -> Any:
        """Return the value of a text; raise `ValueError` by its name."""
        text = str(text).strip().strip('"')
        if text in self.choices:
            return text
        try:
            value = self.number(text) if self.number else math.nan
        except ValueError:
            value = math.nan
        if not self.least <= value < math.inf or value == -math.inf:
            raise wrong_value(name, text, self.words)
        return value


def wrong_value(name: str, value: object, expected: str) -> ValueError:
    """Return the error for a value that the algorithm does not take, worded as AWS words it."""
    return ValueError(
        f"Customer Error: The value '{value}' is not valid for the '{name}' hyperparameter, "
        f"which expects {expected}"
    )


def _one_of(*texts: str) -> Rule:
    return Rule(f"one of {', '.join(texts)}", texts)


_WHOLE = Rule("an integer of at least 1", number=int, least=1)
_RATE = Rule("a float of at least 0", number=float, least=0)
_POSITIVE = Rule("a float greater than 0", number=float, least=math.ulp(0))
_NUMBER = Rule("a float", number=float)
_METHOD = _one_of("uniform", "normal", "constant")
_PARTS_OF_A_CODE = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)

#: name -> what it takes, and its default (None: not set)
FM: dict[str, tuple[Rule, Any]] = {
    "feature_dim": (_WHOLE, _REQUIRED),
    "num_factors": (_WHOLE, _REQUIRED),
    "predictor_type": (_one_of("binary_classifier", "regressor"), _REQUIRED),
    "epochs": (_WHOLE, 1),
    "mini_batch_size": (_WHOLE, 1000),
    "bias_lr": (_RATE, 0.1),
    "bias_wd": (_RATE, 0.01),
    "bias_init_method": (_METHOD, "normal"),
    "bias_init_scale": (_RATE, None),
    "bias_init_sigma": (_RATE, 0.01),
    "bias_init_value": (_NUMBER, None),
    "linear_lr": (_RATE, 0.001),
    "linear_wd": (_RATE, 0.001),
    "linear_init_method": (_METHOD, "normal"),
    "linear_init_scale": (_RATE, None),
    "linear_init_sigma": (_RATE, 0.01),
    "linear_init_value": (_NUMBER, None),
    "factors_lr": (_RATE, 0.0001),
    "factors_wd": (_RATE, 0.00001),
    "factors_init_method": (_METHOD, "normal"),
    "factors_init_scale": (_RATE, None),
    "factors_init_sigma": (_RATE, 0.001),
    "factors_init_value": (_NUMBER, None),
    "clip_gradient": (_POSITIVE, None),
    "eps": (_RATE, None),
    "rescale_grad": (_POSITIVE, None),
}
KNN: dict[str, tuple[Rule, Any]] = {
    "feature_dim": (_WHOLE, _REQUIRED),
    "k": (_WHOLE, _REQUIRED),
    "predictor_type": (_one_of("classifier", "regressor"), _REQUIRED),
    "sample_size": (_WHOLE, _REQUIRED),
    "index_type": (_one_of("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"), "faiss.Flat"),
    "index_metric": (_one_of("L2", "INNER_PRODUCT", "COSINE"), "L2"),
    "faiss_index_ivf_nlists": (
        Rule("an integer of at least 1 or auto", ("auto",), number=int, least=1),
        "auto",
    ),
    "faiss_index_pq_m": (_one_of(*map(str, _PARTS_OF_A_CODE)), None),
    "mini_batch_size": (_WHOLE, 5000),
}
#: AWS has them, this machine has not
_ONLY_ON_AWS = ("dimension_reduction_type", "dimension_reduction_target")


def parse(table: Mapping[str, tuple[Rule, Any]], given: Mapping[str, str]) -> dict[str, Any]:
    """Return a job's settings, typed, with defaults.

    Names that begin with an underscore are the platform's and are passed over. Raise `ValueError`
    for one that is unknown, missing or not allowed.
    """
    mine = {name: text for name, text in given.items() if not name.startswith("_")}
    for name in sorted(mine):
        if name in _ONLY_ON_AWS:
            raise ValueError(
                f"Customer Error: '{name}' is not supported by the SageMaker of this machine: "
                "reduce the features before you write the records"
            )
        if name not in table:
            raise ValueError(
                f"Customer Error: Additional hyperparameters are not allowed ('{name}' was "
                f"unexpected); there are {', '.join(sorted(table))}"
            )
    found = {name: default for name, (_, default) in table.items() if default is not None}
    found |= {name: table[name][0].parse(name, text) for name, text in mine.items()}
    for name, value in found.items():
        if value is _REQUIRED:
            raise ValueError(f"Customer Error: Missing required hyperparameter: '{name}'")
    return found


def _missing_beside(settings: Mapping[str, Any], name: str, beside: str) -> ValueError:
    return ValueError(
        f"Customer Error: Missing required hyperparameter: '{name}' when '{beside}' is "
        f"'{settings[beside]}'"
    )


def fm_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings of a factorization-machines job; raise `ValueError` as `parse`."""
    settings = parse(FM, given)
    for part in ("bias", "linear", "factors"):
        method = f"{part}_init_method"
        need = {"uniform": f"{part}_init_scale", "constant": f"{part}_init_value"}
        name = need.get(settings[method])
        if name and name not in settings:
            raise _missing_beside(settings, name, method)
    return settings


def knn_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings of a k-NN job; raise `ValueError` as `parse`."""
    settings = parse(KNN, given)
    if settings["index_type"] == "faiss.IVFPQ":
        if "faiss_index_pq_m" not in settings:
            raise _missing_beside(settings, "faiss_index_pq_m", "index_type")
        if settings["index_metric"] != "L2":
            expected = "L2 when 'index_type' is 'faiss.IVFPQ'"
            raise wrong_value("index_metric", settings["index_metric"], expected)
    if settings["k"] > settings["sample_size"]:
        expected = f"an integer from 1 to sample_size ({settings['sample_size']})"
        raise wrong_value("k", settings["k"], expected)
    return settings
