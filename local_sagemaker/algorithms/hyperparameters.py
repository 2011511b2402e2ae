"""Hyperparameters of the built-in algorithms: names, ranges and defaults of AWS' documentation.

See "Factorization Machines Hyperparameters" and "k-NN Hyperparameters" in the SageMaker developer guide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter.

    Parameters
    ----------
    name : str
        As AWS writes it.
    kind : {"int", "float", "choice"}
        What its text must be.
    default : object
        ``None`` where there is none.
    required : bool
        Must be given.
    low : float, optional
        Least value.
    above : bool
        ``low`` itself is not allowed.
    choices : tuple of str
        Allowed texts; for numbers, allowed besides numbers.
    """

    name: str
    kind: str
    default: Any = None
    required: bool = False
    low: float | None = None
    above: bool = False
    choices: tuple[str, ...] = ()

    @property
    def range(self) -> str:
        """What is allowed, in words."""
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        words = "an integer" if self.kind == "int" else "a float"
        if self.low is not None:
            words += f" {'greater than' if self.above else 'of at least'} {self.low:g}"
        return " or ".join([words, *self.choices])

    def parse(self, text: str) -> Any:
        """Turn a job's text into a value.

        Raises
        ------
        ValueError
            It is not allowed; the text names the hyperparameter, the value and the range.
        """
        text = str(text).strip().strip('"')
        if text in self.choices:
            return text
        value: float | None = None
        if self.kind != "choice":
            try:
                value = int(text) if self.kind == "int" else float(text)
            except ValueError:
                value = None
        low = -math.inf if self.low is None else self.low
        if (
            value is None
            or not math.isfinite(value)
            or value < low
            or (self.above and value == low)
        ):
            raise ValueError(
                f"Customer Error: The value '{text}' is not valid for the '{self.name}' hyperparameter, "
                "which "
                f"expects {self.range}"
            )
        return value


def parse(known: Sequence[Hyperparameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Turn a job's hyperparameters into settings, defaults filled in.

    Parameters
    ----------
    known : sequence of Hyperparameter
        What the algorithm has.
    given : mapping of str to str
        What the job sets; names that begin with an underscore are the platform's and are passed over.

    Returns
    -------
    dict of str to object
        A value for each that is set or has a default.

    Raises
    ------
    ValueError
        One is unknown, missing or not allowed.
    """
    by_name = {one.name: one for one in known}
    mine = {name: text for name, text in given.items() if not name.startswith("_")}
    unknown = sorted(set(mine) - set(by_name))
    if unknown:
        raise ValueError(
            f"Customer Error: Additional hyperparameters are not allowed ('{unknown[0]}' was unexpected); "
            f"there are {', '.join(sorted(by_name))}"
        )
    missing = [one.name for one in known if one.required and one.name not in mine]
    if missing:
        raise ValueError(f"Customer Error: Missing required hyperparameter: '{missing[0]}'")
    found = {one.name: one.default for one in known if one.default is not None}
    return {**found, **{name: by_name[name].parse(text) for name, text in mine.items()}}


def _whole(name: str, default: int | None = None, required: bool = False) -> Hyperparameter:
    return Hyperparameter(name, "int", default, required, low=1)


def _rate(name: str, default: float | None = None) -> Hyperparameter:
    return Hyperparameter(name, "float", default, low=0)


def _fm_part(part: str, rate: float, decay: float, sigma: float) -> list[Hyperparameter]:
    methods = ("uniform", "normal", "constant")
    return [
        _rate(f"{part}_lr", rate),
        _rate(f"{part}_wd", decay),
        Hyperparameter(f"{part}_init_method", "choice", "normal", choices=methods),
        _rate(f"{part}_init_scale"),
        _rate(f"{part}_init_sigma", sigma),
        Hyperparameter(f"{part}_init_value", "float"),
    ]


FM = (
    _whole("feature_dim", required=True),
    _whole("num_factors", required=True),
    Hyperparameter(
        "predictor_type", "choice", required=True, choices=("binary_classifier", "regressor")
    ),
    _whole("epochs", 1),
    _whole("mini_batch_size", 1000),
    *_fm_part("bias", 0.1, 0.01, 0.01),
    *_fm_part("linear", 0.001, 0.001, 0.01),
    *_fm_part("factors", 0.0001, 0.00001, 0.001),
    Hyperparameter("clip_gradient", "float", low=0, above=True),
    Hyperparameter("eps", "float", low=0),
    Hyperparameter("rescale_grad", "float", low=0, above=True),
)

_PARTS_OF_A_CODE = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)

KNN = (
    _whole("feature_dim", required=True),
    _whole("k", required=True),
    Hyperparameter("predictor_type", "choice", required=True, choices=("classifier", "regressor")),
    _whole("sample_size", required=True),
    Hyperparameter("dimension_reduction_type", "choice", choices=("sign", "fjlt")),
    _whole("dimension_reduction_target"),
    Hyperparameter(
        "index_type", "choice", "faiss.Flat", choices=("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ")
    ),
    Hyperparameter("index_metric", "choice", "L2", choices=("L2", "INNER_PRODUCT", "COSINE")),
    Hyperparameter("faiss_index_ivf_nlists", "int", "auto", low=1, choices=("auto",)),
    Hyperparameter("faiss_index_pq_m", "choice", choices=tuple(map(str, _PARTS_OF_A_CODE))),
    _whole("mini_batch_size", 5000),
)


def check_fm(settings: Mapping[str, Any]) -> None:
    """Check what more than one hyperparameter of a factorization machine says.

    Raises
    ------
    ValueError
        An initialization lacks its value.
    """
    needs = {"uniform": "scale", "constant": "value"}
    for part in ("bias", "linear", "factors"):
        need = needs.get(settings[f"{part}_init_method"])
        if need and f"{part}_init_{need}" not in settings:
            raise ValueError(
                f"Customer Error: Missing required hyperparameter: '{part}_init_{need}' when "
                f"'{part}_init_method' is "
                f"'{settings[f'{part}_init_method']}'"
            )


def check_knn(settings: Mapping[str, Any]) -> None:
    """Check what more than one hyperparameter of k-NN says.

    Raises
    ------
    ValueError
        One is missing beside another, or two exclude each other.
    """

    def missing(name: str, beside: str) -> ValueError:
        return ValueError(
            f"Customer Error: Missing required hyperparameter: '{name}' when '{beside}' is "
            f"'{settings[beside]}'"
        )

    if settings["index_type"] == "faiss.IVFPQ":
        if "faiss_index_pq_m" not in settings:
            raise missing("faiss_index_pq_m", "index_type")
        if settings["index_metric"] != "L2":
            raise ValueError(
                f"Customer Error: The value '{settings['index_metric']}' is not valid for the 'index_metric' "
                "hyperparameter when 'index_type' is 'faiss.IVFPQ', which expects L2"
            )
    if "dimension_reduction_type" in settings:
        target = settings.get("dimension_reduction_target")
        if target is None:
            raise missing("dimension_reduction_target", "dimension_reduction_type")
        if target >= settings["feature_dim"]:
            raise ValueError(
                f"Customer Error: The value '{target}' is not valid for the 'dimension_reduction_target' "
                f"hyperparameter, which expects an integer greater than 0 and less than feature_dim "
                f"({settings['feature_dim']})"
            )
    if settings["k"] > settings["sample_size"]:
        raise ValueError(
            f"Customer Error: The value '{settings['k']}' is not valid for the 'k' hyperparameter, which "
            "expects an "
            f"integer from 1 to sample_size ({settings['sample_size']})"
        )
