"""Tables of numbers as CSV: no header, the same columns in every row."""

import numpy as np

from local_sagemaker.formats.payload import PayloadError


def read_csv(data: bytes, columns: int, name: str, what: str) -> np.ndarray:
    """Return a table, (n, columns) float64, of finite numbers; raise `PayloadError` by ``name``."""
    if not data.strip():
        raise PayloadError(f"{name}: no rows")
    try:
        lines = data.decode("utf-8-sig").splitlines()
        table = np.loadtxt(lines, delimiter=",", ndmin=2, dtype=np.float64, comments=None)
    except ValueError as wrong:
        raise PayloadError(f"{name}: not CSV of numbers without a header: {wrong}") from None
    if table.shape[1] != columns:
        raise PayloadError(f"{name}: {table.shape[1]} columns, expected {what}: {columns}")
    with np.errstate(over="ignore"):  # too large for float32
        finite = np.isfinite(table.astype(np.float32)).all(axis=1)
    if not finite.all():
        raise PayloadError(f"{name}: row {finite.argmin()} holds NaN or infinity")
    return table
