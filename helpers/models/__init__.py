"""Models that more than one chapter uses, one file a family.

Frameworks load inside the functions that need them: importing this room costs NumPy, SciPy and pandas.

- `baselines`: a constant, biases, popularity
- `mf`: matrix factorization in NumPy; `mf_arithmetic` and `optimizers` are its parts
- `mf_talk`: the 2018 talk's settings; `mf_mxnet`, `mf_keras`: the same function in the frameworks
"""

from helpers.models.baselines import BiasModel, GlobalMean, Popularity
from helpers.models.checks import NotFittedError
from helpers.models.mf import MatrixFactorization
from helpers.models.mf_talk import TalkModel

__all__ = ["BiasModel", "GlobalMean", "MatrixFactorization", "NotFittedError", "Popularity", "TalkModel"]
