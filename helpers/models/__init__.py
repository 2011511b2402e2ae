"""Models of the course, one file per family; each is imported from its file.

- `base`: the base class, checks of indices and settings; `training`: optimizers, prepared batches
- `baselines`: mean, biases, popularity; item-kNN, EASE and implicit ALS, which rank
- `mf`, `nonlinear`: factorization of ratings, without and with hidden layers
- `implicit`: factorization of clicks, with sampled negatives and under four losses
- `fm`: factorization machine; `fm_gibbs`: the same, sampled, with relation blocks; `kvstore`: the
  same, trained by several workers
- `content`, `text`, `posters`: features of items, and a search box over titles
- `dssm`: the training of two towers on positive pairs, with negatives from the batch
- `userlevel`: a history in, a score for every item out
- `order`: what comes after what: transitions, a ridge, and EASE that weighs the latest events most
"""
