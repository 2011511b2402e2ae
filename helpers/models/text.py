"""Text as numbers (hashed letter trigrams, word indices), and a search box over titles.

Trigrams are the *word hashing* of Huang et al. 2013 (DSSM): any script has them, and a mistyped
word keeps most of them.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from helpers.metrics.lists import best
from helpers.models.base import all_finite

_TRIGRAMS, _WORDS = 1024, 4096  # buckets


def words(text: Any) -> list[str]:
    """Return the lower-case words of a text; a missing one (None, NaN, NA) has none.

    A word is a run of letters, digits and underscores after Unicode normalization (NFKC). A text
    without words, such as "$", counts as one.
    """
    if not isinstance(text, str):
        if text is None or text is pd.NA or (isinstance(text, float) and np.isnan(text)):
            return []
        raise TypeError(f"text is a {type(text).__name__} ({text!r}); expected a string")
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+", folded) or folded.split()


def letter_trigrams(text: Any) -> list[str]:
    """Return the trigrams of every word of a text, in order, with repetitions.

    >>> letter_trigrams("Cat")
    ['#ca', 'cat', 'at#']
    """
    marked = [f"#{word}#" for word in words(text)]
    return [word[i : i + 3] for word in marked for i in range(len(word) - 2)]


def _typed_trigrams(text: Any) -> list[str]:
    """Return the trigrams of a text that is still being typed: no ``#`` ends its last word."""
    found, whole = words(text), letter_trigrams(text)
    return whole[:-1] if found and len(found[-1]) > 1 else whole


def bucket(token: str, n_buckets: int) -> int:
    """Return the bucket of a token, 0 to ``n_buckets - 1``: CRC-32 of its UTF-8 bytes.

    Python's own ``hash`` differs between processes, so it cannot name a row of a saved model.
    """
    return zlib.crc32(token.encode("utf-8", errors="surrogatepass")) % n_buckets


def count_rows(tokens: Iterable[Iterable[Any]], names: Iterable[Any]) -> sparse.csr_matrix:
    """Return how often each row holds each name, (n_rows, n_names) float32; others are left out."""
    column = {name: c for c, name in enumerate(names)}
    found = [[column[token] for token in some if token in column] for some in tokens]
    row = np.repeat(np.arange(len(found)), [len(some) for some in found])
    col = np.array([c for some in found for c in some], dtype=np.int64)
    ones = np.ones(len(row), np.float32)
    return sparse.csr_matrix((ones, (row, col)), shape=(len(found), len(column)))


def unit_rows(matrix: Any) -> sparse.csr_matrix:
    """Return the rows divided by their Euclidean length, csr float32; rows of zeros stay.

    scikit-learn's ``normalize`` does the same, but importing it takes a second and 60 MB.
    """
    rows = sparse.csr_matrix(matrix, dtype=np.float32)
    all_finite(rows=rows)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sparse.csr_matrix(sparse.diags(scale.astype(np.float32)) @ rows)


def hashed_trigrams(texts: Sequence[Any]) -> sparse.csr_matrix:
    """Return texts as rows of counted, hashed trigrams, (len(texts), 1024) float32.

    Rows have length 1, so that an inner product is a cosine; an empty or missing text is a row of
    zeros.
    """
    buckets = [[bucket(name, _TRIGRAMS) for name in letter_trigrams(text)] for text in texts]
    return unit_rows(count_rows(buckets, range(_TRIGRAMS)))


def word_indices(texts: Sequence[Any], length: int) -> npt.NDArray[np.int32]:
    """Return the first words of texts as indices in reading order, (len(texts), length) int32.

    Words are hashed to 1 … 4096; shorter rows end with zeros.
    """
    table = np.zeros((len(texts), length), dtype=np.int32)
    for row, text in zip(table, texts, strict=True):
        found = [1 + bucket(word, _WORDS) for word in words(text)][:length]
        row[: len(found)] = found
    return table


class TitleSearch:
    """Search films by the letters of their titles, and around them in a space of vectors.

    ``vectors`` holds a row of length 1 for each title, such as an item tower's.
    """

    _LEAST = 0.34  # share of the query's trigrams that a title must have to be an answer
    _SHARP = 12.0  # how much more a better match counts for the query's place in the space

    def __init__(self, titles: Sequence[Any], vectors: npt.NDArray[np.float32]) -> None:
        if len(titles) != len(vectors):
            raise ValueError(f"{len(titles)} titles, but {len(vectors)} vectors; expected one each")
        all_finite(vectors=vectors)
        self.vectors = vectors
        held = [letter_trigrams(title) for title in titles]
        self._column = {name: c for c, name in enumerate(sorted(set(chain(*held))))}
        self._titles_with = unit_rows(count_rows(held, self._column)).tocsc()

    def by_letters(self, query: str, n: int = 5) -> npt.NDArray[np.int64]:
        """Return the n best matching titles, best first; fewer if fewer match at all."""
        found = self._matches(query)
        top = best(found, min(n, len(found)))
        return top[found[top] > 0]

    def by_taste(self, query: str, n: int = 5) -> npt.NDArray[np.int64]:
        """Return the n items nearest to the query's place, without its best matches.

        The place is the mean vector of the matching titles, weighted by how well they match.
        """
        found = self._matches(query)
        near = np.flatnonzero(found)
        if not len(near):
            return near
        place = np.exp(self._SHARP * (found[near] - found.max())) @ self.vectors[near]
        place = np.float32(place / max(float(np.linalg.norm(place)), 1e-12))
        named = self.by_letters(query, n)
        around = best(self.vectors @ place, min(n + len(named), len(found)))
        return around[~np.isin(around, named)][:n]

    def _matches(self, query: str) -> npt.NDArray[np.float32]:
        """Return how well each title matches by its letters, (n_titles,) from 0 to 1."""
        typed = Counter(_typed_trigrams(query))
        known = [name for name in typed if name in self._column]
        if not known:
            return np.zeros(len(self.vectors), dtype=np.float32)
        held = self._titles_with[:, [self._column[name] for name in known]]
        share = np.bincount(held.indices, minlength=len(self.vectors)) / len(typed)
        cosine = held @ np.array([typed[name] for name in known]) / math.hypot(*typed.values())
        found = np.where(share >= self._LEAST, 0.8 * share + 0.2 * cosine, 0)
        return found.astype(np.float32)
