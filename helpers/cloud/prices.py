"""About what an hour of an instance costs on AWS, for an estimate before anything starts.

The prices were written down from memory of AWS' list, not copied from it, and AWS changes it: they are
approximate. Check the price list (``PRICE_LIST``) before anything long starts.
"""

from __future__ import annotations

from dataclasses import dataclass

from local_sagemaker.errors import CloudError

PRICE_LIST = "https://aws.amazon.com/sagemaker/pricing/"
#: About when these prices held, as far as we know; no day and no copy of the list stands behind it.
DATE = "list of 2024"
#: Approximate dollars an hour, on demand, us-west-2 (Oregon), SageMaker training and hosting.
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
    """What something would cost.

    Attributes
    ----------
    instance_type : str
        Such as ``"ml.c5.xlarge"``.
    hours : float
        How long each instance runs.
    count : int
        How many instances.
    dollars : float
        Approximate price in US dollars.
    """

    instance_type: str
    hours: float
    count: int
    dollars: float

    def __str__(self) -> str:
        """One sentence."""
        many = f"{self.count} × {self.instance_type}" if self.count > 1 else self.instance_type
        return (
            f"About ${self.dollars:.2f}: {many} for {self.hours:g} h at ${PRICES[self.instance_type]:g}"
            " an hour"
            f" (on demand, us-west-2, {DATE}; storage and requests come on top)."
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
        Its text is a sentence; ``dollars`` is the number.

    Raises
    ------
    CloudError
        The price of that instance type is not known here, or the time or count can't be.
    """
    if instance_type not in PRICES:
        raise CloudError(
            f"The price of {instance_type!r} is not in the course's table ({', '.join(sorted(PRICES))});"
            f" see {PRICE_LIST}."
        )
    if not 0 <= hours < float("inf") or count < 1:
        raise CloudError(
            f"{hours} hours of {count} instances can't be priced: expected 0 or more, and 1 or more."
        )
    return CostEstimate(instance_type, hours, count, PRICES[instance_type] * hours * count)
