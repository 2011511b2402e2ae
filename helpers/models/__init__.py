"""Models that more than one chapter uses, one file a family.

Frameworks load inside the functions that need them: importing this room costs NumPy, SciPy and pandas.

- `baselines`: a constant, biases, popularity
- `neighbors`, `linear`, `als`: item-kNN, EASE and implicit ALS, which rank
- `mf`: matrix factorization in NumPy; `mf_arithmetic` and `optimizers` are its parts
- `mf_talk`: the 2018 talk's settings; `mf_mxnet`, `mf_keras`: the same function in the frameworks
- `mf_implicit`: matrix factorization that learns from positives and sampled negatives
- `nonlinear`: matrix factorization with hidden layers; `dmf`: two towers that read the matrix
- `losses`: one model under four losses
- `dssm`: two towers in one space; `dssm_parts`, `dssm_keras`, `dssm_mxnet`: its input, the frameworks
- `ncf`: GMF, MLP and NeuMF; `ncf_onehot`, `ncf_training`, `ncf_scores`: the post's way, training, all scores
- `fm`: the factorization machine; `fm_features`, `fm_kernels`, `fm_scoring`: rows, compiled loops, scores
- `fm_gibbs`: the same machine sampled; `fm_kvstore`, `kvstore_worker`: trained by several workers
- `content`, `text`, `posters`: what is known of an item before anyone has taken it
- `towers`, `search`: towers over such features, and finding a film by what somebody types
- `userlevel`: a history in, a score for every item out; `userlevel_keras`, `userlevel_mxnet`,
  `userlevel_losses`, `userlevel_training`: its networks, losses and training; `vae`: Mult-VAE
- `checks`: indices in range, a fit before a prediction; `drawing`: a Keras model as a picture
- `tf_adam`, `prefetch`, `histories`: a compiled step of Adam, batches made ready beside it, a training loop
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
