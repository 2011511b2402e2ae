"""Small film posters, drawn from metadata or read from a folder of real ones.

The course may not ship real posters. In its drawings the background and signs show the genres, the
colors fade with age, and a bar shows each word of the title.
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

_HEIGHT, _WIDTH = 24, 16
#: Hue of each genre, 0 to 1; a genre that is not listed gets one from its name.
_HUES = {
    "Action": 0.02, "Adventure": 0.09, "Animation": 0.14, "Children": 0.17, "Comedy": 0.12,
    "Crime": 0.75, "Documentary": 0.30, "Drama": 0.60, "Fantasy": 0.45, "Film-Noir": 0.68,
    "Horror": 0.98, "IMAX": 0.52, "Musical": 0.88, "Mystery": 0.72, "Romance": 0.93,
    "Sci-Fi": 0.55, "Thriller": 0.65, "War": 0.22, "Western": 0.07,
}  # fmt: skip


@dataclass(frozen=True)
class Posters:
    """Posters of all items, and a note for the folder or each file that could not be used."""

    pictures: npt.NDArray[np.uint8]  # (n_items, 24, 16, 3): red, green, blue
    drawn: npt.NDArray[np.bool_]  # (n_items,): whether the course drew it; say so beside it
    notes: list[str]


def posters(items: pd.DataFrame) -> Posters:
    """Return a poster for every item: a real one where a folder has it, else a drawing.

    ``items`` is a table with ``item_id``, ``title``, ``year`` and ``genres``. The environment
    variable ``POSTERS_DIR`` names a folder of files such as ``<item_id>.png`` or ``.jpg``. Files
    that cannot be used are listed in ``notes``.
    """
    rows = zip(items["title"], items["year"], items["genres"], strict=True)
    found = Posters(np.stack([_draw(*row) for row in rows]), np.ones(len(items), bool), [])
    given = os.environ.get("POSTERS_DIR", "").strip()
    if given and not Path(given).is_dir():
        found.notes.append(f"poster folder {given}: there is no such folder; all posters are drawn")
    row_of = {str(item_id): row for row, item_id in enumerate(items["item_id"])}
    for file in sorted(Path(given).glob("*")) if given else []:
        if file.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            continue
        row = row_of.get(file.stem)
        if row is None:
            found.notes.append(f"{file.name}: no item has the id {file.stem!r}; skipped")
            continue
        try:
            found.pictures[row] = _read(file)
            found.drawn[row] = False
        except ValueError as error:
            found.notes.append(f"{error}; skipped")
    return found


def _draw(title: Any, year: Any, genres: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return one item's drawing, (24, 16, 3); its title and year may be missing."""
    age = 0.5 if pd.isna(year) else float(np.clip((int(year) - 1915) / 100, 0, 1))
    color = _color(genres[0], 0.25 + 0.55 * age, 0.85) if genres else np.full(3, 0.6)
    picture = np.tile(color * np.linspace(1.0, 0.7, _HEIGHT)[:, None, None], (1, _WIDTH, 1))
    for place, genre in enumerate(genres[:3]):
        _paint_sign(picture[1:13, 1 + 5 * place : 5 + 5 * place], genre)
    for line, word in enumerate(words(title)[:4]):
        picture[14 + 2 * line, 1 : 1 + min(len(word), _WIDTH - 2)] = 0.97
    picture[_HEIGHT - 1, : int(round(age * _WIDTH))] = 0.1  # the year, as a length
    return np.clip(np.rint(255 * picture), 0, 255).astype(np.uint8)


def _color(genre: str, saturation: float, value: float) -> npt.NDArray[np.float64]:
    hue = _HUES.get(genre, bucket(genre, 100) / 100)
    return np.array(colorsys.hsv_to_rgb(hue, saturation, value))


def _paint_sign(area: npt.NDArray[np.float64], genre: str) -> None:
    """Paint a genre's sign into (12, 4) pixels: stripes, dots, a block or a diagonal."""
    diagonal = np.arange(12), np.arange(12) // 3
    where: list[Any] = [np.s_[::2], np.s_[::3, ::2], np.s_[2:10], diagonal]
    area[where[bucket(genre, 4)]] = _color(genre, 0.9, 0.45)


def _read(file: Path) -> npt.NDArray[np.uint8]:
    """Return a PNG or JPEG scaled to (24, 16, 3); ValueError names a file that is none."""
    from PIL import Image

    try:
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            small = image.convert("RGB").resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        reason = str(error).replace(str(file), file.name) or type(error).__name__
        raise ValueError(f"{file.name}: not a picture that can be read ({reason})") from error
    return np.asarray(small, dtype=np.uint8)
