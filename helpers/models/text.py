"""Text as letter trigrams, hashed into a fixed number of buckets: any script, any typing error.

"Star Wars" becomes ``#star#`` and ``#wars#`` and then ``#st sta tar ar# #wa war ars rs#``, as in the
paper that named the method *word hashing* (Huang et al. 2013). A mistyped word keeps most of its trigrams.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

PADDING = 0  # index that fills short rows of `word_indices`


def words(text: Any) -> list[str]:
    """Split a text into lower-case words, in any script.

    Parameters
    ----------
    text : str or missing
        ``None``, NaN and ``pandas.NA`` count as empty.

    Returns
    -------
    list of str
        Runs of letters, digits and underscores after Unicode normalization (NFKC). A text without any,
        such as "$", gives its characters as they are, so that it is not lost; an empty one gives [].
    """
    if not isinstance(text, str):
        if text is None or text is pd.NA or (isinstance(text, float) and np.isnan(text)):
            return []
        raise TypeError(f"text is a {type(text).__name__} ({text!r}); expected a string")
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"\w+", folded) or folded.split()


def letter_trigrams(text: Any) -> list[str]:
    """List the trigrams of every word of a text, each word between two ``#``.

    Parameters
    ----------
    text : str or missing
        As for `words`.

    Returns
    -------
    list of str
        As many as the text has letters, in order, with repetitions; [] for an empty text.

    Examples
    --------
    >>> letter_trigrams("Cat")
    ['#ca', 'cat', 'at#']
    """
    marked = [f"#{word}#" for word in words(text)]
    return [word[i : i + 3] for word in marked for i in range(len(word) - 2)]


def bucket(token: str, n_buckets: int) -> int:
    """Return the bucket of a token, 0 to ``n_buckets - 1``: CRC-32 of its UTF-8 bytes.

    Python's own ``hash`` differs from one process to the next, so it cannot name a row of a saved model.
    """
    if n_buckets < 1:
        raise ValueError(f"n_buckets={n_buckets}: expected at least 1")
    return zlib.crc32(token.encode("utf-8", errors="surrogatepass")) % n_buckets


def typed_trigrams(text: Any) -> list[str]:
    """List the trigrams of a text that is still being typed: its last word has no ``#`` at the end."""
    found = words(text)
    whole = letter_trigrams(text)
    return whole[:-1] if found and len(found[-1]) > 1 else whole


def hashed_trigrams(
    texts: Sequence[Any], n_buckets: int = 4096, split: Callable[[Any], list[str]] = letter_trigrams
) -> sparse.csr_matrix:
    """Turn texts into rows of counted, hashed trigrams.

    Parameters
    ----------
    texts : sequence of str
        Any script; an empty or missing text gives a row of zeros.
    n_buckets : int
        Columns.
    split : callable
        `letter_trigrams`, or `typed_trigrams` for a search box.

    Returns
    -------
    scipy.sparse.csr_matrix of float32, (len(texts), n_buckets)
        Each row has length 1 (Euclidean), or 0 where there is no text: the inner product of two rows
        is their cosine.
    """
    found = [[bucket(t, n_buckets) for t in split(text)] for text in texts]
    row = np.repeat(np.arange(len(found)), [len(f) for f in found])
    column = np.array([c for f in found for c in f], dtype=np.int64)
    counts = sparse.csr_matrix(
        (np.ones(len(row), np.float32), (row, column)), shape=(len(found), n_buckets)
    )
    return unit_rows(counts)


def unit_rows(matrix: Any) -> sparse.csr_matrix:
    """Divide every row by its Euclidean length; rows of zeros stay: float32 csr of the same shape."""
    rows = sparse.csr_matrix(matrix, dtype=np.float32)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    return sparse.csr_matrix(sparse.diags(scale.astype(np.float32)) @ rows)


def word_indices(
    texts: Sequence[Any], n_buckets: int = 4096, length: int = 8
) -> npt.NDArray[np.int32]:
    """Turn texts into rows of word indices, in reading order, for a recurrent layer.

    Parameters
    ----------
    texts : sequence of str
        As for `hashed_trigrams`.
    n_buckets : int
        Words are hashed to 1 … ``n_buckets``.
    length : int
        Words kept; shorter rows end with `PADDING`, which is 0.

    Returns
    -------
    numpy.ndarray of int32, (len(texts), length)
    """
    if length < 1:
        raise ValueError(f"length={length}: expected at least 1 word")
    table = np.full((len(texts), length), PADDING, dtype=np.int32)
    for row, text in enumerate(texts):
        found = [1 + bucket(word, n_buckets) for word in words(text)][:length]
        table[row, : len(found)] = found
    return table
