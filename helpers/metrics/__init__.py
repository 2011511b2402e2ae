"""How good predictions are: rating errors and the uncertainty of any mean."""

from helpers.metrics.bootstrap import bootstrap_interval, paired_bootstrap
from helpers.metrics.rating import mae, rmse

__all__ = ["bootstrap_interval", "mae", "paired_bootstrap", "rmse"]
