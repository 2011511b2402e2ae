"""The 2018 talk's own model and training, fast enough to repeat in a chapter.

Two embeddings of 64 numbers, their inner product, no biases, SGD with learning rate 0.02 and
momentum 0.9, batches of 50, ten epochs, first weights by Xavier with magnitude 2.24: what
``gluon.Trainer(..., 'sgd', ...)`` computes there, in NumPy.
"""

from __future__ import annotations

from dataclasses import dataclass

from helpers.models.mf import MatrixFactorization


@dataclass
class TalkModel(MatrixFactorization):
    """`MatrixFactorization` with the settings of the 2018 talk; no biases, no decay, no early stopping.

    On the split u1 of ML-100K the talk prints 0.7518 and 0.8108 as RMSE of training and test rows.
    These are mean absolute errors; the RMSE of the same model are 0.965 and 1.048.
    """

    k: int = 64
    biases: bool = False
    epochs: int = 10
    batch_size: int = 50
    optimizer: str = "sgd"
    learning_rate: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 0.0
    init: str = "xavier"
    init_scale: float = 2.24
    validation_share: float = 0.0
    refit: bool = False
