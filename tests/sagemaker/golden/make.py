"""Make the golden files, where ``sagemaker`` 2.257.7, ``numpy`` and ``scipy`` are installed.

``python make.py`` writes the files beside itself: once, never again by tests.
"""

from pathlib import Path

import numpy as np
from scipy import sparse

HERE = Path(__file__).resolve().parent


def samples() -> dict[str, tuple]:
    """Return matrix and labels of each file by name: tests write them with the course's writer."""
    random = np.random.RandomState(0)
    values = sparse.random(
        40, 300, density=0.03, format="csr", random_state=random, dtype=np.float32
    )
    wide = sparse.csr_matrix(
        (np.ones(4, np.float32), ([0, 0, 1, 3], [0, 127, 128, 2_000_000])), shape=(4, 2_000_001)
    )
    dense = random.rand(12, 7).astype(np.float32)
    return {
        "sparse": (values, random.rand(40).astype(np.float32)),
        "sparse_wide": (wide, np.array([0, 1, 2, -3], dtype=np.float32)),
        "sparse_no_labels": (values[:5], None),
        "dense": (dense, random.randint(0, 3, 12).astype(np.float32)),
        "dense_no_labels": (dense[:3], None),
        "dense_long": (
            random.rand(2, 200).astype(np.float32),
            np.array([1.0, 2.0], dtype=np.float32),
        ),
        "dense_float64": (random.rand(3, 4), random.rand(3)),
        "dense_int": (np.array([[0, 1, -1], [300, 70_000, 5]]), np.array([7, -7])),
    }


def main() -> None:
    """Write every sample with the SDK's writers."""
    from sagemaker.amazon import common

    for name, (matrix, labels) in samples().items():
        write = (
            common.write_spmatrix_to_sparse_tensor
            if sparse.issparse(matrix)
            else common.write_numpy_to_dense_tensor
        )
        with (HERE / f"{name}.rec").open("wb") as file:
            write(file, matrix, labels)


if __name__ == "__main__":
    main()
