"""Models that more than one chapter uses, one file a family.

Frameworks load inside the functions that need them: importing this room costs NumPy, SciPy and pandas.

- `baselines`: a constant, biases, popularity
- `neighbors`, `linear`, `als`: item-kNN, EASE and implicit ALS, which rank
- `mf_implicit`: matrix factorization that learns from positives and sampled negatives
- `losses`: one model under four losses
- `mf`: matrix factorization in NumPy; `mf_arithmetic` and `optimizers` are its parts
- `mf_talk`: the 2018 talk's settings; `mf_mxnet`, `mf_keras`: the same function in the frameworks
"""

from helpers.models.als import ImplicitALS
from helpers.models.baselines import BiasModel, GlobalMean, Popularity
from helpers.models.checks import NotFittedError
from helpers.models.linear import EASE
from helpers.models.mf import MatrixFactorization
from helpers.models.mf_implicit import LogisticMF
from helpers.models.mf_talk import TalkModel
from helpers.models.neighbors import ItemKNN

__all__ = [
    "EASE",
    "BiasModel",
    "GlobalMean",
    "ImplicitALS",
    "ItemKNN",
    "LogisticMF",
    "MatrixFactorization",
    "NotFittedError",
    "Popularity",
    "TalkModel",
]
