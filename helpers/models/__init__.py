"""The models of the course, one file per family; each is imported from its file.

Frameworks load inside the functions that need them.

- `base`: the base class, checks of indices and settings; `training`: optimizers, prepared batches
- `baselines`: mean, biases, popularity; item-kNN, EASE and implicit ALS, which rank
- `mf`, `nonlinear`: factorization of ratings, without and with hidden layers
- `implicit`: factorization of clicks, with sampled negatives and under four losses
- `dmf`: two towers that read the matrix
- `dssm`: two towers in one space; `dssm_parts`, `dssm_keras`, `dssm_mxnet`: its networks
- `ncf`, `ncf_onehot`, `ncf_training`, `ncf_scores`: GMF, MLP and NeuMF
- `fm`, `fm_features`, `fm_kernels`, `fm_scoring`: the factorization machine
- `fm_gibbs`: the same machine sampled; `fm_kvstore`, `kvstore_worker`: trained by several workers
- `content`, `text`, `posters`: what is known of an item before anyone has taken it
- `search`: finding a film by what somebody types
- `userlevel`: a history in, a score for every item out; `userlevel_keras`, `userlevel_mxnet`,
  `userlevel_losses`, `userlevel_training`: its networks, losses and training; `vae`: Mult-VAE
- `histories`: a training loop; `drawing`: a Keras model as a picture
"""

from helpers.models.base import NotFittedError, Recommender

__all__ = ["NotFittedError", "Recommender"]
