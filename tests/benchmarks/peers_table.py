"""`PEERS.md` and README's short table, written from ``peers.csv``: what `bench_peers` measured."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from helpers import files
from helpers.book import ROOT
from tests.benchmarks.peers_settings import CONTESTANTS

SLOWER, NEAR = 1.2, 0.002  # times in seconds: what counts as behind; stars: what is near
_HEADS = {
    "rating": "| Model | RMSE | Gap to the best of ours | Seconds | CPU | MB | Setting found | Measured |",
    "ordering": "| Model | NDCG@10 | HR@10 | Gap to the best of ours | Seconds | CPU | MB | Setting found | Measured |",
}
_TITLES = {"rating": "Predicted ratings", "ordering": "Ordered items"}
_METRICS = {"rating": "RMSE", "ordering": "NDCG@10"}
_SIGNS = {"rating": -1.0, "ordering": 1.0}
_SHORT = "| Data | Metric | Ours, chosen before the test | Best of the others in the test |\n|---|---|---|---|"
_IN_README = re.compile("<!-- peers -->.*?<!-- /peers -->", re.DOTALL)
Row = dict[str, str]
_INTRODUCTION = """# Our models beside other libraries

`python -m helpers bench peers` writes this file from `peers.csv`; do not edit it. `bench_peers.py` says how each row
is measured, `peers_settings.py` which settings are tried.

- **Splits.** Ratings: random 80/20, seed 0. Orders: each user's latest item is held out (`leave_one_out`, seed 0),
  and ranked among all items that the user did not take before. Every model gets the same rows, in the same order.
- **Search.** Six settings of every model, three from half a million ratings on; fewer where there is little to set
  or the time was over (column "Setting found"). They are tried on a split of the same kind inside the training
  part: the *inner* split. The best setting is fitted on the whole training part. SASRec's settings and the
  factorizations' were narrowed down earlier on the inner split of ML-100K.
- **Accuracy.** In brackets 95 % intervals, by bootstrap over users. RMSE is the mean of three seeds where a seed
  matters (of one, from half a million ratings on); its interval and its gap are of the first seed, so a gap is not
  the difference of two means. NDCG and HR are of one seed. The gap is this model minus ours, pair by pair; "ours"
  is our model that is best on the inner split. Of the others, the best in the test counts, which favors them.
- **Seconds** are those of fitting, and for ratings also of predicting; imports and compiling do not count. The
  median of the three seeds, or of three fits where there is one seed and a fit takes under 5 s; else of one fit.
  `MB` is the peak of the process, with libraries and rows.
- RecTools 0.19 multiplies a user's row with EASE's map transposed. The row *ours, EASE, map transposed* does the
  same.
- A star marks rows before which the machine's load, averaged over a minute, was above its number of cores. Their
  seconds may be too long: compare the CPU seconds, those of all threads.
"""


_PLANTED = """- **planted-1M** has the numbers of users, items and ratings of MovieLens 1M and is made by a program
  (`planted_million.py`). What is best there says little of people; it is here for seconds and memory.
"""


def read_rows(stored: Path) -> list[Row]:
    """Return the stored rows, none where there is no file."""
    if not stored.exists():
        return []
    with stored.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_table(stored: Path) -> list[dict[str, Any]]:
    """Write the tables; return how far ours are from the best peer of each data set, as a benchmark's rows."""
    rows = read_rows(stored)
    if not rows:
        return []
    planted = any(row["data"].startswith("planted") for row in rows)
    parts, found, behind, short = (
        [_INTRODUCTION + _PLANTED * planted, _machines(rows)],
        [],
        [],
        [_SHORT],
    )
    for data in dict.fromkeys(row["data"] for row in rows):
        for kind in _HEADS:
            order = {one.name: place for place, one in enumerate(CONTESTANTS)}
            some = [r for r in rows if (r["data"], r["table"]) == (data, kind)]
            some = sorted((r for r in some if r["model"] in order), key=lambda r: order[r["model"]])
            if some:
                parts.append(f"## {_TITLES[kind]}, {data}\n\n{_table(kind, some)}")
                behind += [f"- {data}, {kind}: {line}" for line in _behind(kind, some)]
                for ours, peer in _leaders(kind, some):
                    found.append(_lead(data, kind, ours, peer))
                    cells = [data, _METRICS[kind], *map(_named, (ours, peer))]
                    short.append(f"| {' | '.join(cells)} |")
    where = "\n".join(behind) or "Nowhere, among what is measured."
    parts.insert(2, f"## Where we are behind\n\n{where}\n")
    files.write(stored.with_name("PEERS.md"), "\n".join(parts))
    if stored.parent == Path(__file__).parent:  # what only proves that the models work is elsewhere
        page = (ROOT / "README.md").read_text(encoding="utf-8")
        block = "\n".join(["<!-- peers -->", *short, "<!-- /peers -->"])
        files.write(ROOT / "README.md", _IN_README.sub(lambda _: block, page))
    return found


def _machines(rows: list[Row]) -> str:
    kinds = dict.fromkeys((r["cores"], r["memory_gb"], r["python"]) for r in rows)
    dates = sorted(r["date"] for r in rows)
    when = dates[0] if dates[0] == dates[-1] else f"{dates[0]} to {dates[-1]}"
    what = "; ".join(f"{c} cores, {m} GB, Python {p}" for c, m, p in kinds)
    versions = sorted({f"{r['model'].split(',')[0]} {r['version']}" for r in rows if r["version"]})
    return f"Measured {when} on {what}. {', '.join(versions)}.\n"


def _busy(row: Row) -> bool:
    return float(row["load"]) > float(row["cores"])


def _table(kind: str, rows: list[Row]) -> str:
    lines = [_HEADS[kind], "|---" * (_HEADS[kind].count("|") - 1) + "|"]
    for row in rows:
        if not row["value"]:
            empty = " | –" * (_HEADS[kind].count("|") - 4)
            lines.append(f"| {row['model']}{empty} | {row['settings']} | {row['date']} |")
            continue
        gap = (
            ""
            if row["gap"] == ""
            else f"{float(row['gap']):+.4f} [{row['gap_low']}, {row['gap_high']}]"
        )
        cells = [f"{row['model']} {row['version']}".strip()]
        cells += [f"{row['value']} [{row['low']}, {row['high']}]"]
        cells += [row["hit_rate"]] * (kind == "ordering")
        cells += [gap, row["seconds"] + "\\*" * _busy(row), row["cpu"], row["megabytes"]]
        cells += [f"{row['settings'] or '–'} ({row['tries']} tried)", row["date"]]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _behind(kind: str, rows: list[Row]) -> list[str]:
    """Return a sentence for each peer that is better, or faster by more than `SLOWER`.

    It is compared with the best of ours, then with ours of its kind.
    """
    rows = [row for row in rows if row["value"]]
    lines, by_name = [], {row["model"]: row for row in rows}
    like = {one.name: one.like for one in CONTESTANTS}
    ours = best_of_ours(rows)
    for row in rows:
        if row["model"].startswith("ours") or ours is None:
            continue
        if _SIGNS[kind] * (float(row["value"]) - float(ours["value"])) > 0:
            line = f"**{row['model']}** has {row['value']}, **{ours['model']}** {ours['value']}"
            if row["gap"]:
                sure = float(row["gap_low"]) * float(row["gap_high"]) > 0
                line += (
                    f"; the 95 % interval of the gap {'leaves out' if sure else 'contains'} zero"
                )
            lines.append(line + ".")
        own = by_name.get(like[row["model"]])
        if own is not None:
            lead = _SIGNS[kind] * (float(row["value"]) - float(own["value"]))
            if lead > 0 and own is not ours:
                both = f"{row['value']}, **{own['model']}**, ours of its kind, {own['value']}"
                lines.append(f"**{row['model']}** has {both}.")
            clock = "cpu" if _busy(row) or _busy(own) else "seconds"
            times = float(own[clock]) / max(float(row[clock]), 0.01)
            if times > SLOWER:
                unit = "CPU seconds" if clock == "cpu" else "seconds"
                lines.append(
                    f"**{own['model']}** takes {times:.1f} times the {unit} of **{row['model']}** "
                    f"({own[clock]} and {row[clock]})."
                )
    return lines


def best_of_ours(rows: list[Row]) -> Row | None:
    """Return our row with the best inner score."""
    ours = [row for row in rows if row["model"].startswith("ours")]
    return max(ours, key=lambda r: float(r["inner"]), default=None)


def _leaders(kind: str, rows: list[Row]) -> list[tuple[Row, Row]]:
    """Return ours that is best inside and the peer that is best in the test, where both are there."""
    rows = [row for row in rows if row["value"]]
    ours = best_of_ours(rows)
    peers = [r for r in rows if not r["model"].startswith("ours")]
    if ours is None or not peers:
        return []
    return [(ours, max(peers, key=lambda r: _SIGNS[kind] * float(r["value"])))]


def _lead(data: str, kind: str, ours: Row, peer: Row) -> dict[str, Any]:
    lead = _SIGNS[kind] * (float(ours["value"]) - float(peer["value"]))
    name = f"{data}, {kind}: {ours['model']} ahead of {peer['model']}"
    target, unit = (f">= -{NEAR}", "stars") if kind == "rating" else ("> 0", "NDCG@10")
    return {"name": name, "value": round(lead, 4), "unit": unit, "target": target}


def _named(row: Row) -> str:
    name = row["model"].removeprefix("ours, ")
    return f"{name}: {row['value']} [{row['low']}, {row['high']}], {row['cpu']} s"
