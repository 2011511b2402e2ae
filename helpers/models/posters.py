"""Small posters: drawn from a film's metadata by one deterministic function, or read from a folder.

The course may not ship film posters, so it draws its own: 24 × 16 pixels, background by genre, paper by
age, a sign for each genre, a bar for each word of the title. Nothing is in them that the metadata does not
say. Real ones, named ``<item_id>.png`` or ``.jpg``, are used from the folder that ``POSTERS_DIR`` names.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from helpers.models.text import bucket, words

HEIGHT, WIDTH = 24, 16
SUFFIXES = (".png", ".jpg", ".jpeg")
_MOST_PIXELS = 50_000_000  # a larger picture is refused before it is unpacked
#: Hue of each genre, 0 to 1; a genre that is not listed gets one from its name.
_HUES = {
    "Action": 0.02, "Adventure": 0.09, "Animation": 0.14, "Children": 0.17, "Comedy": 0.12, "Crime": 0.75,
    "Documentary": 0.30, "Drama": 0.60, "Fantasy": 0.45, "Film-Noir": 0.68, "Horror": 0.98, "IMAX": 0.52,
    "Musical": 0.88, "Mystery": 0.72, "Romance": 0.93, "Sci-Fi": 0.55, "Thriller": 0.65, "War": 0.22,
    "Western": 0.07,
}  # fmt: skip


@dataclass(frozen=True)
class Posters:
    """Posters of all items, and how they came about.

    Attributes
    ----------
    pictures : ndarray of uint8, (n_items, HEIGHT, WIDTH, 3)
        Red, green, blue.
    drawn : ndarray of bool, (n_items,)
        Whether the course drew it; show it with that word beside it.
    notes : list of str
        One sentence for the folder or each file that could not be used.
    """

    pictures: npt.NDArray[np.uint8]
    drawn: npt.NDArray[np.bool_]
    notes: list[str]


def draw_poster(title: Any, year: Any, genres: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Draw one poster from what the catalog says: same metadata, same pixels.

    Parameters
    ----------
    title : str or missing
        Each of the first four words is a bar, as long as the word; an empty title has none.
    year : int or missing
        Old films are pale, new ones saturated; an unknown year stands in the middle.
    genres : sequence of str
        The first sets the background, each of the first three a sign; no genre gives grey and no sign.

    Returns
    -------
    ndarray of uint8, (HEIGHT, WIDTH, 3)
    """
    age = 0.5 if pd.isna(year) else float(np.clip((int(year) - 1915) / 100, 0, 1))
    picture = np.empty((HEIGHT, WIDTH, 3))
    color = _color(genres[0], 0.25 + 0.55 * age, 0.85) if genres else np.full(3, 0.6)
    picture[:] = color * np.linspace(1.0, 0.7, HEIGHT)[:, None, None]
    for place, genre in enumerate(genres[:3]):
        _sign(picture[1:13, 1 + 5 * place : 5 + 5 * place], genre)
    for line, word in enumerate(words(title)[:4]):
        picture[14 + 2 * line, 1 : 1 + min(len(word), WIDTH - 2)] = 0.97
    picture[HEIGHT - 1, : int(round(age * WIDTH))] = 0.1  # the year, as a length
    return np.clip(np.rint(255 * picture), 0, 255).astype(np.uint8)


def _color(genre: str, saturation: float, value: float) -> npt.NDArray[np.float64]:
    hue = _HUES.get(genre, bucket(genre, 100) / 100)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _sign(area: npt.NDArray[np.float64], genre: str) -> None:
    """Paint a genre's sign into (12, 4) pixels, in place: stripes, dots or a block, in the genre's color."""
    kind = bucket(genre, 4)
    mask = np.zeros(area.shape[:2], dtype=bool)
    if kind == 0:
        mask[::2] = True
    elif kind == 1:
        mask[::3, ::2] = True
    elif kind == 2:
        mask[2:10, :] = True
    else:
        mask[np.arange(12), np.arange(12) // 3] = True
    area[mask] = _color(genre, 0.9, 0.45)


def draw_posters(items: pd.DataFrame) -> npt.NDArray[np.uint8]:
    """Draw the poster of every item of a table with ``title``, ``year`` and ``genres``."""
    rows = zip(items["title"], items["year"], items["genres"], strict=True)
    return np.stack([draw_poster(*row) for row in rows])


def posters(items: pd.DataFrame, folder: str | Path | None = None) -> Posters:
    """Draw every poster, and put real ones in their place where a folder has them.

    Parameters
    ----------
    items : pandas.DataFrame
        With ``item_id``, ``title``, ``year`` and ``genres``.
    folder : path, optional
        Where real posters lie; ``POSTERS_DIR`` by default, and none without it. Files are named by raw
        item id. A file that is no picture, or that names no item, is skipped and said in ``notes``.

    Returns
    -------
    Posters
    """
    pictures, drawn = draw_posters(items), np.ones(len(items), dtype=bool)
    given = folder if folder is not None else os.environ.get("POSTERS_DIR", "").strip()
    if not given:
        return Posters(pictures, drawn, [])
    place = Path(given)
    if not place.is_dir():
        return Posters(
            pictures,
            drawn,
            [f"poster folder {place}: there is no such folder; all posters are drawn"],
        )
    row_of = {str(item_id): row for row, item_id in enumerate(items["item_id"])}
    notes = []
    for file in sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES):
        row = row_of.get(file.stem)
        if row is None:
            notes.append(f"{file.name}: no item has the id {file.stem!r}; skipped")
            continue
        try:
            pictures[row] = read_picture(file)
            drawn[row] = False
        except ValueError as error:
            notes.append(f"{error}; skipped")
    return Posters(pictures, drawn, notes)


def read_picture(file: str | Path) -> npt.NDArray[np.uint8]:
    """Read an image and scale it to a poster's size.

    Parameters
    ----------
    file : path
        PNG or JPEG.

    Returns
    -------
    ndarray of uint8, (HEIGHT, WIDTH, 3)

    Raises
    ------
    ValueError
        Naming the file: it is missing, empty, damaged, cut off, not an image, or larger than 50 megapixels.
    """
    from PIL import Image

    path = Path(file)
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise ValueError(
                    f"{image.width} × {image.height} pixels, more than {_MOST_PIXELS:,}"
                )
            small = image.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(path), path.name) or type(error).__name__
        raise ValueError(f"{path.name}: not a picture that can be read ({reason})") from error
    return np.asarray(small, dtype=np.uint8)
