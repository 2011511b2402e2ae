"""What can only be seen over many logs, many tests or many callers at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .estimates import Z95, Estimate
from .policies import Policy
from .world import FloatArray, Shop

if TYPE_CHECKING:
    import pandas as pd


def compare(estimates: Mapping[str, Estimate], truth: float) -> pd.DataFrame:
    """Return estimates beside the truth: each with its interval, its error, and how many errors it is off."""
    import pandas as pd

    rows = [(str(e), f"{e.error:.3f}", f"{e.off_by(truth):.1f}") for e in estimates.values()]
    columns = ["estimate [95 %]", "standard error", "errors off the truth"]
    return pd.DataFrame(rows, columns=columns, index=list(estimates))


def coverage(
    shop: Shop,
    policy: Policy,
    item: int,
    n_requests: int,
    n_logs: int,
    rng: np.random.Generator,
    *,
    normalize: bool = False,
) -> float:
    """Return the share of logs whose 95 % interval for an item on top holds the truth.

    Parameters
    ----------
    shop, policy : Shop, Policy
        The truth, and what is shown.
    item : int
        Whose click rate on top is estimated by inverse propensity scoring.
    n_requests, n_logs : int
        Requests in each log, and logs.
    rng : numpy.random.Generator
        Source of chance.
    normalize : bool
        Use the self-normalized estimator.

    Notes
    -----
    Counts are drawn instead of customers: the same law as :func:`~helpers.shop.visit` on the top
    slot, in a fraction of the time. A log without the item on top counts as missed.
    """
    chance = policy.propensity(np.arange(shop.n_segments), item, 0)  # (n_segments,)
    visitors = rng.multinomial(n_requests, shop.share, size=n_logs)  # (n_logs, n_segments)
    shown = rng.binomial(visitors, chance)
    clicks = rng.binomial(shown, shop.appeal[:, item] * shop.examination[0])
    weight = np.divide(1.0, chance, out=np.zeros_like(chance), where=chance > 0)
    if normalize:
        total = np.maximum(shown @ weight, 1e-300)
        value = clicks @ weight / total
        squares = clicks @ weight**2 * (1 - value) ** 2 + (shown - clicks) @ weight**2 * value**2
        error = np.sqrt(squares) / total
    else:
        value = clicks @ weight / n_requests
        error = np.sqrt(np.maximum(clicks @ weight**2 / n_requests - value**2, 0) / n_requests)
    return float(
        (np.abs(value - shop.mean_appeal[item] * shop.examination[0]) <= Z95 * error).mean()
    )


def peeking(
    rate: float, n_per_arm: int, n_looks: int, n_tests: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Run tests of two arms that are the same and return which looks find a difference at 5 %.

    Parameters
    ----------
    rate : float
        Share of customers who click, in both arms.
    n_per_arm, n_looks : int
        Customers of an arm at the end, and equally spaced looks until then.
    n_tests : int
        How many tests.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    numpy.ndarray
        (n_tests, n_looks) bool: False alarms of the two-sided z test of two proportions.
    """
    if not 0 < rate < 1 or n_looks < 1 or n_per_arm < n_looks:
        raise ValueError(
            f"peeking at rate {rate}, {n_per_arm} customers, {n_looks} looks: expected a rate from 0 to 1 "
            "and at least one customer a look"
        )
    step = n_per_arm // n_looks
    one, two = (
        np.cumsum(rng.binomial(step, rate, size=(n_tests, n_looks)), axis=1) for _ in range(2)
    )
    seen = step * np.arange(1, n_looks + 1)
    pooled = (one + two) / (2 * seen)
    error = np.sqrt(np.maximum(2 * seen * pooled * (1 - pooled), 1e-300))
    return np.asarray(np.abs(one - two) / error > Z95)


def rush(
    function: Callable[[Any], object], arguments: Iterable[Any], callers: int = 4
) -> FloatArray:
    """Call a function from several threads at once and return what each call took.

    Parameters
    ----------
    function : callable
        Takes one argument, such as a user; an exception in it ends the rush.
    arguments : iterable
        One call each.
    callers : int
        Threads that call without a pause.

    Returns
    -------
    numpy.ndarray
        (n_calls,) milliseconds, in the order of the arguments.
    """

    def timed(argument: Any) -> float:
        begin = time.perf_counter()
        function(argument)
        return 1000 * (time.perf_counter() - begin)

    with ThreadPoolExecutor(callers) as threads:
        return np.array(list(threads.map(timed, arguments)), dtype=np.float64)
