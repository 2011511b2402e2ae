"""The class: what progress files that learners handed in say, as a table and a heat map."""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import re
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers import files
from helpers.publish import forms

CHECKS = Path(__file__).parents[1] / "exercises"
LARGEST, MANY = 1_000_000, 4  # bytes of a file; tries that make a right answer a hard one
KINDS = {  # of a cell of the heat map: what it means, and its color
    "": ("not tried", "#eeeeee"),
    "PASS": ("right", "#0072b2"),
    "LATE": (f"right after {MANY} tries or more", "#8cc5e8"),
    "FAIL": ("not right yet", "#e69f00"),
    "EXCEPTION": ("the last try raised an error", "#8b2500"),
}
Entries = dict[str, tuple[str, int, str]]  # by exercise: the kind, the tries, the last mistake


def main(arguments: Sequence[str]) -> int:
    """Write class.csv, class.html and class.png of a folder's progress files."""
    parser = argparse.ArgumentParser(prog="python -m helpers class", description=__doc__)
    parser.add_argument("folder", type=Path, help="with progress.json files, or tables as CSV")
    parser.add_argument("--out", type=Path, help="where to write; FOLDER/class if not given")
    chosen = parser.parse_args(arguments)
    out = chosen.out or chosen.folder / "class"
    learners, said = read_all(chosen.folder, out)
    print(*said, sep="\n", end="\n" * bool(said))
    if not any(learners.values()):
        print(f"{chosen.folder}: no progress file shows a try; name the folder that they are in.")
        return 1
    labels = [str(n + 1) for n in range(len(learners))]  # no names
    rows, text = table([*learners.values()]), io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*rows[0]][:-1] + labels)
    for row in rows:
        *values, cells = row.values()
        values += [f"{kind} {tries or ''}".replace("LATE", "PASS") for kind, tries, _ in cells]
        # a spreadsheet takes a text that begins so for a formula
        writer.writerow(["'" * str(v).startswith(tuple("=+-@")) + str(v).strip() for v in values])
    picture = heat_map(rows, labels)
    shown = {"rows": rows, "labels": labels, "said": said}
    page = forms.fill("class.html", picture=base64.b64encode(picture).decode(), **shown)
    marked = "\ufeff" + text.getvalue()  # by which Excel knows UTF-8
    try:
        for name, content in ("class.csv", marked), ("class.html", page), ("class.png", picture):
            files.write(out / name, content)
    except OSError as error:
        print(f"{out} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    print(f"{out} has class.csv, class.html and class.png, of {len(learners)} learners.")
    return 0


def read_all(folder: Path, out: Path) -> tuple[dict[str, Entries], list[str]]:
    """Return the entries of each file by its name, and a sentence for all that is left out."""
    learners: dict[str, Entries] = {}
    said, known = [], dict(exercises())
    for path in sorted(folder.rglob("*")):
        ours = path.parent == out and path.stem == "class"
        if ours or path.name.startswith(".") or not path.is_file():
            continue
        name = path.relative_to(folder).as_posix()
        try:
            entries = _read(path)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            text = str(error)
            why = text if text.startswith("its version") else "damaged, or no progress file"
            said.append(f"{name} is left out: {why}.")
            continue
        learners[name] = {id: entries[id] for id in entries if id in known}
        if others := sorted(set(entries) - set(known)):
            said.append(f"{name}: this version has no {', '.join(others[:9])}; the rest counts.")
    return learners, said


def _read(path: Path) -> Entries:
    """Return what was tried, from JSON, or from a table that a spreadsheet may have saved."""
    if path.stat().st_size > LARGEST:
        raise ValueError("too large for a progress file")
    text = path.read_text(encoding="utf-8-sig").strip()
    if text.startswith("exercise"):
        rows = csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text[:20] else ",")
        entries: dict[str, Any] = {row["exercise"]: row for row in rows if row["outcome"]}
    else:
        stored = json.loads(text)
        if (version := stored["version"]) not in (1, 2):
            raise ValueError(f"its version is {version!r}, expected 1 or 2; use its own course")
        old = version == 1
        entries = {i: {"done": True} for i in stored["done"]} if old else stored["exercises"]
    found = {str(id): _entry(entry) for id, entry in entries.items()}
    return {id: entry for id, entry in found.items() if entry[0]}


def _entry(entry: dict[str, Any]) -> tuple[str, int, str]:
    """Return the kind, the tries and the last mistake; no kind for a guess, or without a try."""
    said = "PASS" if entry.get("done") is True else entry.get("outcome", "NOT ATTEMPTED")
    kind = said.replace("NOT ATTEMPTED", "")
    tries, mistake = int(entry.get("attempts", 1)), entry.get("mistake", "")
    if kind not in KINDS or not 0 <= tries < LARGEST or not isinstance(mistake, str):
        raise ValueError(kind)
    return "LATE" if kind == "PASS" and tries >= MANY else kind, tries, mistake


def exercises() -> list[tuple[str, str]]:
    """Return id and name of every exercise; read as text, since an import takes a second."""
    texts = (path.read_text(encoding="utf-8") for path in sorted(CHECKS.glob("checks_??.py")))
    found = re.findall(r'\b(Exercise|Quiz)\(\s*"(\d\d\.q?\d+)",\s*"(.*?)"', "".join(texts))
    return [(id, name if kind == "Exercise" else "quiz") for kind, id, name in found]


def table(learners: Sequence[Entries]) -> list[dict[str, Any]]:
    """Return a row for each exercise of the chapters that anyone has tried."""
    tried, rows = {id[:2] for entries in learners for id in entries}, []
    for id, name in exercises():
        cells = [entries.get(id, ("", 0, "")) for entries in learners]
        right = [tries for kind, tries, _ in cells if kind in ("PASS", "LATE")]
        mistakes = Counter(mistake for *_, mistake in cells if mistake).most_common(1)
        row = {"exercise": id, "name": name, "right": len(right)}
        row["not yet"] = sum(kind in ("FAIL", "EXCEPTION") for kind, *_ in cells)
        row["median tries"] = statistics.median(right) if right else ""
        row["usual mistake"], row["times"] = mistakes[0] if mistakes else ("", "")
        rows += [row | {"cells": cells}] if id[:2] in tried else []
    return rows


def heat_map(rows: Sequence[dict[str, Any]], labels: Sequence[str]) -> bytes:
    """Draw exercises by learners as PNG, with the number of tries where the answer is not right."""
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    width, height = max(7, 2.2 + 0.28 * len(labels)), 1.6 + 0.22 * len(rows)  # inches
    figure, buffer = Figure(figsize=(width, height), dpi=110), io.BytesIO()
    axes = figure.add_axes((2.1 / width, 0.9 / height, 1 - 2.2 / width, 1 - 1.6 / height))
    cells = [[[*KINDS].index(kind) for kind, *_ in row["cells"]] for row in rows]
    colors = ListedColormap([color for _, color in KINDS.values()])
    axes.pcolormesh(cells, cmap=colors, vmin=0, vmax=4, edgecolor="white", linewidth=1)
    for y, row in enumerate(rows):
        for x, (kind, tries, _) in enumerate(row["cells"]):
            if color := {"FAIL": "black", "EXCEPTION": "white"}.get(kind):
                axes.text(x + 0.5, y + 0.5, tries, ha="center", va="center", size=8, color=color)
    names = [f"{row['exercise']} {row['name']}" for row in rows]
    axes.set_yticks([y + 0.5 for y in range(len(rows))], names)
    axes.set_xticks([x + 0.5 for x in range(len(labels))], labels)
    axes.tick_params(length=0, labelsize=8)
    axes.invert_yaxis()
    axes.set(xlabel="learner (numbers in cells: tries)", frame_on=False)
    patches = [Patch(color=color, label=label) for label, color in KINDS.values()]
    figure.legend(handles=patches, ncols=3, fontsize=8, frameon=False, loc="upper center")
    figure.savefig(buffer)
    return buffer.getvalue()
