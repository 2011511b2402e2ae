"""Checks of chapter 10, deployment and logging: fake streams, propensities, small logs in SQLite, an A/B test."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from .cases import Case, cases
from .checking import NotYet, expect
from .converters import number
from .grading import Exercise, Quiz
from .registry import register

REASONS = {
    "latency": "read the times above: a look-up is quicker than a call, which also computes.",
    "freshness": "which of the two can know what happened after last night?",
    "reach": "which of the two can serve somebody who was not there last night?",
    "cost": "compare the two prices of a day: a job of twelve minutes, and two machines all day.",
    "newsletter": "everybody gets one and nobody waits for it: what does an endpoint that runs all day add?",
    "minute ago": "a table made last night can't know what happened a minute ago.",
    "no account": "the night's run had no row for a visitor it had never seen.",
    "ten times an hour": "an endpoint costs the same with ten questions an hour as with ten thousand; a day-old answer was good enough.",
    "5 ms": "read the 99th percentiles above, one asking; a day-old order was allowed.",
}
HOUR = 3_600_000
EVENTS = "request_id, kind, position, time, user, item, propensity, model, latency_ms, status, id"
VIEW = "item, position, propensity, look, clicked"
VALUES = (
    "?1, ?2, iif(?2 = 'response', -1, 0), ?3, 1, ?4, iif(?2 = 'impression', 0.5, NULL), 'm', "
    "iif(?2 = 'response', 20.0, NULL), ?5, ?1"
)
Row = tuple[Any, ...]


def chosen(value: Any, name: str) -> str:
    """Return "batch" or "endpoint"."""
    if value is ...:
        raise NotImplementedError
    choice = str(value).strip().lower()
    known = choice in ("batch", "endpoint")
    expect(known, f'`{name}` says {value!r}, expected "batch" or "endpoint" in every row.')
    return choice


def in_the_table(table: Any) -> Callable[[str], Any]:
    """Return what looks a row up, or says that there is none."""

    def row(which: str) -> Any:
        there = which in getattr(table, "keys", list)()
        expect(there, f"`decision` has no row {which!r}: keep all nine of the cell.")
        return table[which]

    return row


def on_a_stream(put_all: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of how often each record is refused, to calls (texts) and pauses (numbers)."""

    def run(refusals: Sequence[int]) -> list[Any]:
        left, seen = list(refusals), list[Any]()

        def put_records(StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
            expect(StreamName == "clicks", f"`put_all` wrote to the stream {StreamName!r}.")
            expect(len(Records), "`put_all` sent an empty list, which AWS refuses: stop before.")
            expect(len(seen) < 40, "`put_all` keeps calling although every record is in.")
            sent = [int(record["PartitionKey"]) for record in Records]
            seen.append("put " + "".join(map(str, sorted(sent))))
            answer = [{"SequenceNumber": "1", "ShardId": "0"} for _ in sent]
            for place, one in enumerate(sent):
                left[one] -= 1
                if left[one] >= 0:
                    kind = ("InternalFailure", "ProvisionedThroughputExceededException")[one % 2]
                    answer[place] = {"ErrorCode": kind, "ErrorMessage": "slow down"}
            return {"FailedRecordCount": sum("ErrorCode" in a for a in answer), "Records": answer}

        records = [{"Data": b"-", "PartitionKey": str(i)} for i in range(len(refusals))]
        before = list(records)
        put_all(SimpleNamespace(put_records=put_records), records, seen.append)
        expect(records == before, "`put_all` changed its argument `records`: work on a copy.")
        return seen

    return run


def refusing(*refusals: int) -> Case:
    """Return a call with as many records, each refused so many times."""
    often = ", ".join(f"{i} {n}×" for i, n in enumerate(refusals) if n) or "nothing"
    where = f"on a stream that refuses {often} (texts: calls, numbers: pauses)"
    return Case((list(refusals),), where)


def on_a_log(name: str, *columns: str, view: bool = False) -> Callable[[Any], Callable[..., Any]]:
    """Return what makes of SQL a function of events (kind, time, item, status) or a view, to rows.

    Rows that nothing but chance orders come with the first one last.
    """

    def asked(sql: Any) -> Callable[..., Any]:
        expect(isinstance(sql, str), f"`{name}` is a {type(sql).__name__}, expected SQL as text.")
        free = re.sub(r"--[^\n]*|/\*.*?\*/|\bover\s*\([^()]*\)", " ", sql, flags=re.S | re.I)
        first = 0 if re.search(r"\border\s+by\b(?!\s*')", free, re.I) else 1  # 'hour' is a text

        def rows(events: Sequence[Row], cut: int = 0) -> list[Row]:
            with contextlib.closing(sqlite3.connect(":memory:")) as db:
                db.execute(f"CREATE TABLE events ({EVENTS})")
                db.execute(f"CREATE TABLE shown ({VIEW})")
                if view:
                    db.executemany("INSERT INTO shown VALUES (?, ?, ?, ?, ?)", events)
                else:
                    insert = f"INSERT INTO events VALUES ({VALUES})"
                    db.executemany(insert, [(i, *event) for i, event in enumerate(events)])
                db.set_progress_handler(lambda: 0, 10_000)  # lets the time limit in
                try:
                    cursor = db.execute(sql, {"cut": cut})
                    found = cursor.fetchall()
                except (sqlite3.Error, sqlite3.Warning) as error:
                    raise NotYet(
                        f"SQLite does not take `{name}`: {str(error).rstrip('.')}."
                    ) from None
            names = [column[0].lower() for column in cursor.description or ()]
            told = f"`{name}` gives the columns {names}, expected {' and '.join(columns)}."
            expect(sorted(names) == sorted(columns), told)
            found = found[first:] + found[:first]
            return [tuple(row[names.index(c)] for c in columns) for row in found]

        return rows

    return asked


def by_item(value: Any, name: str) -> Any:
    """Return rows as counts of each item, in any order; SQL as it is."""
    if isinstance(value, str):
        return value
    counts = {item: pair for item, *pair in value}
    expect(len(counts) == len(value), f"`{name}` has several rows for an item, expected one.")
    return counts


def hour(number: int, n: int, *statuses: int, others: int = 0) -> list[Row]:
    """Return n responses of an hour, the first of them with these statuses, and other events."""
    times = [number * HOUR + i * (HOUR - 1) // max(1, n - 1) for i in range(n)]
    said = [*statuses, *[200] * n]
    answers = [("response", time, None, said[i]) for i, time in enumerate(times)]
    return answers + [("impression", number * HOUR + i, i % 3, None) for i in range(others)]


def some_hours(rng: np.random.Generator) -> Case:
    """Return the events of some hours, many of them close to a bound."""
    log = []
    for which in (rng.permutation(9)[: rng.integers(2, 7)] + 95).tolist():  # over midnight
        failed = rng.choice([404, 499, 500, 503], rng.integers(0, 4)).tolist()
        responses = int(rng.choice([3, 9, 10, 11, 19, 20, 21, 40]))
        log += hour(which, responses, *failed[:responses], others=int(rng.integers(0, 20)))
    return Case((log,), "on a random log")


def some_impressions(rng: np.random.Generator) -> Case:
    """Return impressions of some items, with clicks on them and responses, and a cut."""
    cut, log = int(rng.integers(20, 40)), list[Row]()
    for _ in range(rng.integers(3, 30)):
        time, item = int(rng.integers(cut - 9, cut + 10)), int(rng.integers(0, 6))
        log += [("impression", time, item, None)] * int(rng.integers(1, 3))
        log += [("click", time, item, None), ("response", time, None, 200)][: rng.integers(0, 3)]
    return Case((log, cut), f"on a random log with the cut at {cut}")


def some_shown(rng: np.random.Generator) -> Case:
    """Return rows of the view `shown`, some of which have no propensity."""
    chances = np.array([0.01, 0.1, 0.5, 0.81, 0.0, None])
    rows = [
        (int(item), int(slot), chances[rng.integers(6)], 1 / (slot + 1.0), int(rng.random() < 0.4))
        for item, slot in zip(rng.integers(0, 4, 20), rng.integers(0, 10, 20), strict=True)
    ]
    return Case((rows,), "on random impressions")


def some_test(rng: np.random.Generator) -> Case:
    """Return the counts of an A/B test, not close to a bound."""
    while True:
        n_a, n_b = (rng.integers(2_000, 20_000) * rng.uniform(0.94, 1.0, 2)).astype(int).tolist()
        a, b = rng.binomial([n_a, n_b], rng.uniform(0.2, 0.3, 2)).tolist()
        p, q = a / n_a, b / n_b
        apart = abs(p - q) / np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)
        if min(abs(apart - 1.96), abs((n_a - n_b) ** 2 / (n_a + n_b) - 10.83)) > 0.3:
            return Case((n_a, a, n_b, b))


def some_order(rng: np.random.Generator) -> tuple[Any, ...]:
    """Return an item, a slot, an order of candidates and a share of explored requests."""
    order = rng.permutation(40)[: rng.integers(3, 30)]
    slot = int(rng.integers(0, min(len(order), 10)))
    item = [order[slot], rng.choice(order), 99][rng.integers(3)]
    return int(item), slot, order, float(rng.uniform(0.05, 0.9))


EMPTY = "is a share of whole numbers cut to 0, are failures counted in place of responses, or `time`, in milliseconds, not made hours?"
HOURS = {
    "hour 6 has 3 failures in 20": hour(6, 20, 500, 503, 599) + hour(5, 20),
    "hour 5 has a 404 and a 499, hour 6 two 500": hour(5, 20, 404, 499) + hour(6, 20, 500, 500),
    "hour 5 has 9 responses and 30 other events": hour(5, 9, 500, others=30) + hour(6, 10, 500),
    "hour 5 has 1 failure in 20, hour 6 1 in 19": hour(5, 20, 500) + hour(6, 19, 500),
    "the clock was set back, so hour 5 comes in two parts": hour(5, 6, 500)
    + hour(6, 12)
    + hour(5, 6),
    "hours 5, 6 and 7 ring": hour(6, 11, 500) + hour(5, 10, *[500] * 10) + hour(7, 12, 500, 500),
}
SHOWN: list[Row] = [
    ("impression", t, i, None) for i, t in [(2, 5), (2, 10), (2, 12), (0, 3), (1, 15)]
]
SHOWN += [("click", 3, 0, None), ("click", 16, 1, None), ("response", 3, None, 200)]
SEND = 'answer = client.put_records(StreamName="clicks", Records=records)\n'
RETRY = f"n = 0\nwhile records:\n    {SEND}    records = "
RETRY += "[r for r, a in zip(records, answer['Records']) if 'ErrorCode' in a]\n"
LETTERS = np.array(["A", "B", "C", "D"])
#: item, position, propensity, look, clicked; item 1 has one that cannot be weighted, item 3 only such
SHOWN_ROWS: list[Row] = [(0, 0, 0.8, 1.0, 1), (0, 9, 0.01, 0.1, 0), (0, 1, 0.1, 0.5, 1)]
SHOWN_ROWS += [(2, 0, 0.5, 1.0, 0), (2, 2, 0.25, 0.3, 1), (2, 2, 0.25, 0.3, 0), (2, 0, 0.5, 1.0, 1)]
UNKNOWN: list[Row] = [
    (1, 0, 0.5, 1.0, 0),
    (1, 1, 0.0, 0.5, 1),
    (1, 1, None, 0.5, 1),
    (3, 9, 0.0, 0.1, 1),
]
UNKNOWN += [(1, 1, 0.2, 0.5, 1), (1, 0, 0.0, 1.0, 0)]

register(
    Exercise(
        "10.1",
        "decision",
        chosen,
        asked=in_the_table,
        cases=[
            Case((row,), f"for {row!r}", wrong=[("batch", why), ("endpoint", why)])
            for row, why in REASONS.items()
        ],
        hints=[
            "Ask each row two things: is what decides the answer known the night before, and who waits for it?",
            "Two of the five cases need something that happens after the night's run. The others do not, and a table is cheaper and quicker.",
        ],
        minutes=5,
    ),
    Exercise(
        "10.2",
        "put_all",
        lambda value, name: value,
        asked=on_a_stream,
        cases=[refusing(0, 0, 0, 0, 0), refusing(0, 1, 0, 2, 0), refusing(5, 1, 0)],
        inputs=lambda rng: refusing(*rng.integers(0, 4, rng.integers(1, 9)).tolist()),
        mistakes={
            SEND: "a call without an error can still refuse some records.",
            f"n = 0\nwhile True:\n    {SEND}    if not answer['FailedRecordCount']:\n        break\n    n += 1\n    pause(n)": "send only the records that were refused, or the stream holds the others twice.",
            f"n = 0\nwhile records:\n    {SEND}    records = records[: answer['FailedRecordCount']]\n    if records:\n        n += 1\n        pause(n)": "which *places* of the answer have an `ErrorCode`?",
            RETRY: "after a call that refused some, call `pause`.",
            f"{RETRY}    if records:\n        pause(1)": "`pause` is told how many calls were incomplete so far: 1, 2, …",
            f"{RETRY}    if records:\n        pause(n)\n    n += 1": "`pause` counts from 1.",
            f"{RETRY}    n += 1\n    pause(n)": "a call that refused nothing needs no pause after it.",
            f"{RETRY}    n += 1\n    if n == 3:\n        return\n    if records:\n        pause(n)": "go on until every record is in, whatever it takes.",
        }.items(),
        hints=[
            "The answer's `Records` has one entry for each record sent, in the same order; a refused one has an `ErrorCode`.",
            "`records = [r for r, result in zip(records, answer['Records']) if 'ErrorCode' in result]`, in a `while records:`.",
        ],
        minutes=10,
        stretch=True,
    ),
    Exercise(
        "10.5",
        "alarm",
        asked=on_a_log("alarm", "hour", "error_rate"),
        cases=[Case((log,), f"on a log in which {where}") for where, log in HOURS.items()],
        inputs=some_hours,
        mistakes={
            "avg(status >= 500) => sum(status >= 500) / count(*)": EMPTY,
            "avg(status >= 500) => avg(status = 500)": "every status of 500 and above means a failure.",
            "avg(status >= 500) => avg(status = 503)": "every status of 500 and above means a failure.",
            "avg(status >= 500) => avg(status > 500)": "a status of exactly 500 is a failure, too.",
            "avg(status >= 500) => avg(status >= 400)": "failures are 500 and above; a 404 is none.",
            "avg(status >= 500) => sum(status >= 500)": "a share is asked for, not a number of failures.",
            "avg(status >= 500) => round(avg(status >= 500), 2)": "leave the share as it is, not rounded.",
            "count(*) >= 10 AND => ": "hours with under 10 responses tell nothing.",
            "count(*) >= 10 => count(*) > 10": "10 responses are enough.",
            "error_rate > 0.05 => error_rate >= 0.05": "exactly 5 % is not *more* than 5 %.",
            "AND error_rate > 0.05 => ": "an hour rings with more than 5 % failures only.",
            "avg(status >= 500) AS error_rate FROM events\nWHERE kind = 'response' => 1.0 * sum(status >= 500) / count(*) AS error_rate FROM events": "divide by the responses of an hour, not by all events.",
            "WHERE kind = 'response' => ": "`count(*)` counts all events of an hour here, not the responses only.",
            "time / 3600000 => time / 3600": EMPTY,
            "ORDER BY hour => ": "order the rows by hour: without ORDER BY they may come in any order.",
            "ORDER BY hour => ORDER BY hour DESC": "the earliest hour comes first.",
        }.items(),
        hints=[
            "Group the responses by `time / 3600000`, and let HAVING choose among the groups.",
            "In SQLite a comparison is 0 or 1, so `avg(status >= 500)` is the share that failed.",
        ],
        minutes=8,
    ),
    Exercise(
        "10.6",
        "drift",
        by_item,
        asked=on_a_log("drift", "item", "before", "after"),
        cases=[Case((SHOWN, cut), f"on a log with the cut at {cut}") for cut in (10, 4)],
        inputs=some_impressions,
        mistakes={
            "WHERE kind = 'impression' => ": "responses have no item, and a click is no impression: count impressions only.",
            "kind = 'impression' => item IS NOT NULL": "clicks are counted as well: count impressions only.",
            "sum( => count(": "`count` counts rows, also where the comparison is 0.",
            "sum(time < :cut) AS before, sum(time >= :cut) => sum(time <= :cut) AS before, sum(time > :cut)": "what is shown at the cut itself is after it.",
            "sum(time < :cut) AS before, sum(time >= :cut) => sum(time >= :cut) AS before, sum(time < :cut)": "the two columns are the wrong way round.",
            ":cut => 10": "use `:cut`: every evening has another one.",
            "sum(time >= :cut) => count(*)": "`after` counts from the cut on, not all.",
            "GROUP BY item => GROUP BY item HAVING before > 0 AND after > 0": "items that were shown in one of the two periods only are lost.",
            "GROUP BY item => ": "one row for each item is asked for: group by the item.",
        }.items(),
        hints=[
            "One row per item, two sums in it: a comparison is 0 or 1, and `sum` adds them.",
            "`sum(time < :cut) AS before`, and the same the other way round, over impressions, grouped by item.",
        ],
        minutes=8,
        stretch=True,
    ),
    Exercise(
        "10.7",
        "propensity",
        number,
        cases=[
            *cases(("B", 1, LETTERS, 0.2), ("D", 1, LETTERS, 0.2), ("E", 1, LETTERS, 0.2)),
            *cases((0, 0, np.arange(30), 0.1), (20, 3, np.arange(30), 0.1)),
        ],
        inputs=some_order,
        mistakes={
            "return (order[slot] == item) * 1.0": "that is the chance without exploration.",
            "return (item in order) / len(order)": "that is the chance on an explored page; the others show the usual order.",
            "return (1 - explore) * (order[slot] == item)": "a random permutation can put an item into any slot: what does it add?",
            "return 1 - explore if order[slot] == item else explore * (item in order) / len(order)": "an explored page can put an item into its usual slot, too, by luck.",
            "return (1 - explore if order[slot] == item else explore) * (item in order)": "an explored page has many candidates for this slot: divide their share among them.",
            "return (1 - explore) * (order[slot] == item) + explore / len(order)": "what is no candidate is on no page: its propensity is 0.",
            "return (1 - explore) * (order[slot] == item) + explore * (item in order)": "an explored page has many candidates for this slot: divide their share among them.",
            "return (1 - explore) * (order[slot] == item) + explore * (item in order) / min(10, len(order))": "*all* candidates are permuted, also those that are not visible.",
            "return (1 - explore) * (order[slot] == item) + explore * (item in order) / (len(order) - 1)": "the item's usual slot is one of those that luck can give it.",
            "return (1 - explore) * (item in order[:10]) + explore * (item in order) / len(order)": "on a page in the usual order the item has one slot: is it this one?",
            "return explore * (order[slot] == item) + (1 - explore) * (item in order) / len(order)": "`explore` is the share of the *random* pages.",
            "return (1 - explore) * (order[slot - 1] == item) + explore * (item in order) / len(order)": "slots count from 0.",
        }.items(),
        hints=[
            "Two kinds of pages: with chance `1 - explore` the usual order, else a permutation. How likely is the item in the slot on each kind?",
            "On a random page each of the `len(order)` candidates is equally likely in the slot, the usual one included. Add both chances, each times the share of its pages.",
        ],
        minutes=6,
    ),
    Exercise(
        "10.8",
        "rates",
        by_item,
        asked=on_a_log(
            "rates", "item", "per_impression", "per_look", "weighted", "left_out", view=True
        ),
        cases=[
            Case((SHOWN_ROWS,), "on seven impressions"),
            Case((SHOWN_ROWS + UNKNOWN,), "on impressions of which some have no propensity"),
        ],
        inputs=some_shown,
        mistakes={
            "avg(clicked) => sum(clicked) / count(*)": "a share of whole numbers is cut to 0: use `avg`, or `1.0 *`.",
            "sum(clicked) / sum(look) => avg(clicked / look)": "`per_look` divides one sum by the other, not row by row.",
            "sum(clicked) / sum(look) => sum(clicked) / count(*)": "`per_look` divides by the looks.",
            "sum(clicked) / sum(look) => sum(clicked * look) / count(*)": "`per_look` divides by the looks.",
            "sum(look / propensity) => sum(1 / propensity)": "that is per weighted impression: weight the looks in the sum below the line, too.",
            "sum(look / propensity) => sum(look)": "the weights belong into both sums.",
            "sum(look / propensity) => count(*)": "`weighted` divides by the sum of the weighted looks.",
            "sum(clicked / propensity) / sum(look / propensity) => sum(clicked * propensity) / sum(look * propensity)": "the rarer an impression, the more it stands for: divide by the propensity.",
            "sum(clicked / propensity) / sum(look / propensity) => avg(clicked / propensity / look)": "`weighted` divides one sum by the other, not row by row.",
            "propensity IS NULL OR propensity = 0 => propensity = 0": "an impression without a propensity (`NULL`) is left out, too.",
            "propensity IS NULL OR propensity = 0 => propensity IS NULL": "a propensity of 0 is left out, too.",
            "sum(propensity IS NULL OR propensity = 0) => 0": "how many impressions have no weight?",
            "FROM shown => FROM shown WHERE propensity > 0": "clicks per impression and per look need no propensity: keep those rows there.",
            "sum(look / propensity) => sum(CASE WHEN propensity > 0 THEN look / propensity ELSE look END)": "leave what has no propensity out of both sums.",
            "GROUP BY item => ": "one row per item is asked for: group by the item.",
        }.items(),
        hints=[
            "One `SELECT` with `GROUP BY item` is enough: `sum` and `avg` take any expression of a row.",
            "`sum(clicked / propensity) / sum(look / propensity)`. A comparison is 0 or 1, so `sum(propensity IS NULL OR ...)` counts.",
        ],
        minutes=10,
    ),
    Exercise(
        "10.9",
        "read_test",
        lambda value, name: value.strip().lower() if isinstance(value, str) else value,
        cases=cases(
            (10_000, 3_000, 10_000, 3_300),
            (10_000, 3_300, 10_000, 3_000),
            (10_000, 3_000, 10_000, 3_050),
            (10_000, 3_000, 10_000, 3_110),
            (10_000, 3_000, 9_500, 3_000),
            (9_500, 3_000, 10_000, 3_000),
            (10_000, 3_000, 9_700, 3_050),
            (10_000, 5_000, 9_548, 4_950),
            (10_000, 5_000, 9_560, 4_915),
            (10_000, 5_000, 9_560, 4_913),
            (10_000, 5_000, 10_000, 5_156),
        ),
        inputs=some_test,
        mistakes={
            "> 10.83 => > 1e9": "in some calls the arms have too different numbers of customers: what is that called?",
            "p, q = clicked_a / n_a, clicked_b / n_b\nbar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\nif abs(p - q) > bar:\n    return 'better' if q > p else 'worse'\nreturn 'invalid' if (n_a - n_b) ** 2 / (n_a + n_b) > 10.83 else 'open'": "where customers are missing, no arm is better: ask that first.",
            "> 10.83 => > 3.84": "a fair coin goes beyond 3.84 in one of twenty tests; the bar for invalid is 10.83.",
            "> 10.83 => < 10.83": "a *large* chi-square is the alarm.",
            "sum((n - expected) ** 2 for n in (n_a, n_b)) => (n_a - expected) ** 2": "the sum has a term for *each* arm.",
            "expected = (n_a + n_b) / 2 => expected = n_a": "half of all customers are expected in each arm, and the bar for invalid is 10.83.",
            "expected = (n_a + n_b) / 2 => expected = n_a + n_b": "half of all customers are expected in each arm.",
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b) => bar = 0": "a difference within 1.96 standard errors can be chance.",
            '"worse" if p - q > bar else "open" => "open"': "B can be worse, too.",
            '"better" if q - p > bar else "worse" if p - q > bar => "better" if p - q > bar else "worse" if q - p > bar': "B − A: is B the larger one?",
            "+ q * (1 - q) / n_b => ": "is the bar 1.96 standard errors, and does their variance have both arms in it?",
            "1.96 * np.sqrt => 1.0 * np.sqrt": "a 95 % interval reaches 1.96 standard errors to each side.",
            "p, q = clicked_a / n_a, clicked_b / n_b => p, q = clicked_a, clicked_b": "compare the rates, not the counts.",
        }.items(),
        hints=[
            "If the test itself is broken, its rates say nothing: look at the customers first, then at the difference of the rates.",
            "With `e = (n_a + n_b) / 2`: is `((n_a - e)**2 + (n_b - e)**2) / e` above 10.83? Then compare `q - p` with 1.96 times `sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)`.",
        ],
        minutes=8,
    ),
    Quiz(
        "10.q1",
        "A consumer notes its place in the stream first and writes the events second. It is killed between the two. What is in the log?",
        "b",
        {
            "every event, some of them twice": "Twice would need a second reading. The place has been noted: nobody reads that batch again.",
            "every event but those of that batch, for good": "The next consumer begins behind the place noted, so the batch is skipped for ever. Hence one transaction for both.",
            "every event once, since the producer sends again": "The producer was told that the stream has the records. It sends nothing again.",
        },
    ),
    Quiz(
        "10.q2",
        "A policy without exploration never puts item 17 on top. What do ten times as many requests do for the estimate of its click rate there?",
        "a",
        {
            "nothing: there is not one observation to weight": "Its propensity is 0. No weight makes up for what never happens; only exploration does.",
            "they shrink its error by about three": "The square root of ten helps an estimate that exists. With a propensity of 0 there is no click to weight.",
            "they shrink its bias; clipping does the rest": "Clipping caps large weights. Here there is no weight at all: 1/0.",
        },
    ),
    Quiz(
        "10.q3",
        "A test planned for 14 days shows p = 0.03 on day 4. What now?",
        "c",
        {
            "stop: it is significant, and every day costs money": "Were the arms the same, *one* look would show such a difference three times in a hundred. This was the fourth look, and you would have stopped at any.",
            "go on, and look again every day until p is stable": "Looking until it pleases is what made more than one test in five a false alarm above.",
            "go on to day 14 and judge once, or have planned a sequential test": "The error rate belongs to the plan: one look at the end, or a method made for many looks, chosen before the test.",
        },
    ),
)
