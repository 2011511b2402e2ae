"""Top-x: the nearest of many vectors, exactly or nearly, over faiss.

- `index`: `VectorIndex` over Flat, IVFFlat, IVFPQ and HNSW; `exact_search` without an index
- `filters`: what must not be recommended: items seen by a user, items out of stock
- `measure`: recall of an approximate search, and queries a second
"""

from helpers.knn.filters import Seen
from helpers.knn.index import KINDS, METRICS, Neighbors, VectorIndex, exact_search
from helpers.knn.measure import queries_per_second, recall_at_k

__all__ = [
    "KINDS",
    "METRICS",
    "Neighbors",
    "Seen",
    "VectorIndex",
    "exact_search",
    "queries_per_second",
    "recall_at_k",
]
