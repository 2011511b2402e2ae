"""Checks of chapter 10, deployment and logging: fake streams, shops known by hand, small logs in SQLite."""

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
from .converters import number, whole
from .grading import Exercise, Quiz
from .registry import register

REASONS = {
    "latency": "a look-up is quicker than a call, which travels and computes.",
    "freshness": "which of the two can know what happened after last night?",
    "reach": "which of the two can serve somebody who was not there last night?",
    "cost": "compare the two prices of a day: a job of twelve minutes, and two machines all day.",
    "newsletter": "everybody gets one and nobody waits for it: what does an endpoint that runs all day add?",
    "minute ago": "a table made last night can't know what happened a minute ago.",
    "no account": "the night's run had no row for a visitor it had never seen.",
    "ten times an hour": "an endpoint costs the same with ten questions an hour as with ten thousand; a day-old answer was good enough.",
    "5 ms": "a look-up is quicker than a call, which travels and computes; a day-old order was allowed.",
}
HOUR = 3_600_000
COLUMNS = "request_id, kind, position, time, user, item, propensity, model, latency_ms, status, id"
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


def on_a_log(name: str, *columns: str) -> Callable[[Any], Callable[..., Any]]:
    """Return what makes of SQL a function of events (kind, time, item, status), to rows.

    Rows that nothing but chance orders come with the first one last.
    """

    def asked(sql: Any) -> Callable[..., Any]:
        expect(isinstance(sql, str), f"`{name}` is a {type(sql).__name__}, expected SQL as text.")
        free = re.sub(r"--[^\n]*|/\*.*?\*/|\bover\s*\([^()]*\)", " ", sql, flags=re.S | re.I)
        first = 0 if re.search(r"\border\s+by\b(?!\s*')", free, re.I) else 1  # 'hour' is a text

        def rows(events: Sequence[Row], cut: int = 0) -> list[Row]:
            with contextlib.closing(sqlite3.connect(":memory:")) as db:
                db.execute(f"CREATE TABLE events ({COLUMNS})")
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


EMPTY = "is a share of whole numbers cut to 0, are failures counted in place of responses, or `time`, in milliseconds, not made hours?"
HOURS = {
    "hour 6 has 3 failures in 20": hour(6, 20, 500, 503, 599) + hour(5, 20),
    "hour 5 has a 404 and a 499, hour 6 two 500": hour(5, 20, 404, 499) + hour(6, 20, 500, 500),
    "hour 5 has 9 responses and 30 other events": hour(5, 9, 500, others=30) + hour(6, 10, 500),
    "hour 5 has 1 failure in 20, hour 6 1 in 19": hour(5, 20, 500) + hour(6, 19, 500),
    "hours 5, 6 and 7 ring": hour(6, 11, 500) + hour(5, 10, *[500] * 10) + hour(7, 12, 500, 500),
}
SHOWN: list[Row] = [
    ("impression", t, i, None) for i, t in [(2, 5), (2, 10), (2, 12), (0, 3), (1, 15)]
]
SHOWN += [("click", 3, 0, None), ("click", 16, 1, None), ("response", 3, None, 200)]
SEND = 'answer = client.put_records(StreamName="clicks", Records=records)\n'
RETRY = f"n = 0\nwhile records:\n    {SEND}    records = "
RETRY += "[r for r, a in zip(records, answer['Records']) if 'ErrorCode' in a]\n"
CLICKED, CHANCES = np.array([True, False, True]), np.array([0.5, 0.5, 0.1])

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
        minutes=6,
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
        "10.3",
        "ips",
        number,
        cases=[
            *cases((CLICKED, CHANCES, 10), (CLICKED, CHANCES / 50, 10)),  # no clip, no bound
            Case((CLICKED, CHANCES, 10), keywords={"clip": 4}),
        ],
        inputs=lambda rng: (
            *(rng.random(6) < 0.6, rng.uniform(0.02, 1, 6), int(rng.integers(6, 40))),
            [None, 1.0, 3.5, 8.0, 1000.0][rng.integers(5)],
        ),
        mistakes={
            "return np.mean(clicks / propensity)": "that divides by those that were served so; the sum stands for all `n`.",
            "return (clicks * propensity).sum() / n": "the rarer, the *more* a click stands for.",
            "return clicks.sum() / n": "that counts each click once; a click that had a chance of 0.1 stands for ten.",
            "return (clicks / propensity).sum()": "that is the sum of the weights, expected a mean over `n`.",
            "return (clicks / propensity).sum() / n": "no weight may be above `clip`.",
            "return (clicks / propensity).sum() / (1 / propensity).sum()": "that divides by the sum of all weights; the formula divides by `n`.",
            "w = 1 / propensity\nreturn (clicks * (w if clip is None else np.maximum(w, clip))).sum() / n": "a clip is the *largest* weight.",
            "w = 1 / propensity\nreturn (clicks * (w if clip is None else w * 0 + clip)).sum() / n": "a weight below `clip` stays: cap, don't replace.",
            "w = 1 / propensity\nreturn (clicks * (w if clip is None else w * (w <= clip))).sum() / n": "a weight above `clip` becomes `clip`, not 0.",
        }.items(),
        hints=[
            "A click that had the chance p stands for 1/p requests. The sum stands for all n.",
            "`weights = 1 / propensity`, capped by `np.minimum(weights, clip)` if there is a clip; then sum and divide by n.",
        ],
        minutes=6,
    ),
    Exercise(
        "10.4",
        "sample_size",
        whole,
        cases=[*cases((0.3, 0.2), (0.1, 0.02)), Case((0.2, 0.1), keywords={"power": 0.9})],
        inputs=lambda rng: tuple(rng.uniform([0.02, 0.05, 0.01, 0.5], [0.5, 0.4, 0.2, 0.95])),
        mistakes={
            "alpha / 2 => alpha": "that is one-sided; a lift down is a finding, too (`alpha / 2`).",
            " + norm.ppf(power) => ": "where is the power? Both z values are added.",
            " + other * (1 - other) => ": "that is one arm's variance; both arms shake, each with p(1 - p).",
            "other * (1 - other) => base * (1 - base)": "the other arm has another rate, `base + lift`.",
            "base + lift => base * (1 + lift)": "the lift is a difference of the two rates.",
            "lift**2 => lift": "the lift enters squared.",
            "z**2 => z": "the sum of the z values enters squared.",
            "np.ceil => ": "round *up*.",
            "np.ceil => round": "round *up*.",
            "z**2 => 2 * z**2": "that is for both arms; the size is per arm.",
            "(base * (1 - base) + other * (1 - other)) => 2 * (base + lift / 2) * (1 - base - lift / 2)": "that pools the two arms; in the formula above each has its own variance.",
        }.items(),
        hints=[
            "The variances p(1 - p) of both arms add up. `scipy.stats.norm.ppf(q)` gives the z below which a share q lies.",
            "`z = norm.ppf(1 - alpha / 2) + norm.ppf(power)`, then the formula, then `math.ceil`.",
        ],
        minutes=6,
        seconds=60,  # the first import of scipy.stats takes long on a busy machine
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
            "One row an item, two sums in it: a comparison is 0 or 1, and `sum` adds them.",
            "`sum(time < :cut) AS before`, and the same the other way round, over impressions, grouped by item.",
        ],
        minutes=8,
        stretch=True,
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
