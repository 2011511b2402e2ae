"""About what instances cost on AWS, for an estimate before anything starts.

The prices were written down from memory of AWS' list, not copied from it, and AWS changes it: they
are approximate. Check the price list (`PRICE_LIST`) before anything long starts.
"""

from __future__ import annotations

from dataclasses import dataclass

from local_sagemaker.errors import CloudError

PRICE_LIST = "https://aws.amazon.com/sagemaker/pricing/"
#: Dollars an hour, on demand, us-west-2 (Oregon), training and hosting; from memory, about 2024.
PRICES = {
    "ml.t2.medium": 0.056,
    "ml.t3.medium": 0.05,
    "ml.m4.xlarge": 0.24,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.c4.xlarge": 0.239,
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.c5.4xlarge": 0.816,
    "ml.g4dn.xlarge": 0.736,
    "ml.p3.2xlarge": 3.825,
}


@dataclass(frozen=True)
class CostEstimate:
    """What instances would cost; two estimates can be added."""

    parts: tuple[tuple[str, float, int], ...]  # instance type, hours of each, and how many

    @property
    def dollars(self) -> float:
        """Approximate price of all parts in US dollars."""
        return sum(PRICES[kind] * hours * count for kind, hours, count in self.parts)

    def __add__(self, other: CostEstimate) -> CostEstimate:
        """Return what both cost together."""
        return CostEstimate(self.parts + other.parts)

    def __str__(self) -> str:
        """Return the price, and on two more lines what it leaves out."""
        each = [
            f"{f'{count} × ' * (count > 1)}{kind} for {hours:g} h at ${PRICES[kind]:g} an hour"
            for kind, hours, count in self.parts
        ]
        return (
            f"About ${self.dollars:.2f}: " + " and\n  ".join(each) + ".\n"
            "  Approximate, from memory, about 2024, on demand in us-west-2; storage and requests\n"
            "  come on top, and a new account may need a quota."
        )

    __repr__ = __str__


def estimate(instance_type: str, hours: float, count: int = 1) -> CostEstimate:
    """Estimate what instances cost on AWS, from approximate prices: check the price list.

    Parameters
    ----------
    instance_type : str
        Such as ``"ml.c5.xlarge"``.
    hours : float
        How long each runs.
    count : int
        How many.

    Returns
    -------
    CostEstimate
        Its text is a sentence; ``dollars`` is the number; ``+`` adds what else a chapter starts.

    Raises
    ------
    CloudError
        The price of that instance type is not known here, or the time or count can't be.
    """
    if instance_type not in PRICES:
        raise CloudError(
            f"The price of {instance_type!r} is not in the course's table"
            f" ({', '.join(sorted(PRICES))}); see {PRICE_LIST}."
        )
    if not 0 <= hours < float("inf") or count < 1:
        raise CloudError(
            f"{hours} hours of {count} instances can't be priced: expected 0 or more, 1 or more."
        )
    return CostEstimate(((instance_type, hours, count),))
