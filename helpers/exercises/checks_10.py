"""Checks of chapter 10, deployment and logging: fake streams, shops known by hand, a planted database."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .checking import expect, number
from .grading import Exercise, Quiz
from .registry import register

# 10.1

DECISION = {
    "latency": "batch",
    "freshness": "endpoint",
    "reach": "endpoint",
    "cost": "batch",
    "newsletter": "batch",
    "minute ago": "endpoint",
    "no account": "endpoint",
    "ten times an hour": "batch",
    "5 ms": "batch",
}
_REASONS = {
    "latency": "a look-up is quicker than a call, which travels and computes.",
    "freshness": "which of the two can know what happened after last night?",
    "reach": "which of the two can serve somebody who was not there last night?",
    "cost": "compare the two prices of a day: a job of twelve minutes, and two machines all day.",
    "newsletter": "everybody gets one and nobody waits for it: what does an endpoint that runs all day add?",
    "minute ago": "a table made last night can't know what happened a minute ago.",
    "no account": "the night's run had no row for a visitor it had never seen.",
    "ten times an hour": "an endpoint costs the same with ten questions an hour as with ten thousand; a day-old "
    "answer was good enough.",
    "5 ms": "a look-up is quicker than a call, which travels and computes; a day-old order was allowed.",
}


def _every_row_is_decided(table: Any) -> None:
    expect(
        isinstance(table, dict), f"`decision` is a {type(table).__name__}, expected a dictionary."
    )
    if all(v is Ellipsis for v in table.values()):
        raise NotImplementedError
    missing = [k for k in DECISION if k not in table]
    expect(not missing, f"`decision` has no row {missing[:1]}: keep the keys as they are.")
    for key in DECISION:
        expect(
            str(table[key]).strip().lower() in ("batch", "endpoint"),
            f'`decision["{key}"]` is {table[key]!r}, expected "batch" or "endpoint".',
        )


def _every_row_is_right(table: Any) -> None:
    for key, right in DECISION.items():
        expect(str(table[key]).strip().lower() == right, f"`{key}`: {_REASONS[key]}")


# 10.2


def put_all(client: Any, records: Sequence[dict[str, Any]], pause: Callable[[int], object]) -> None:
    """Put records until each is in; after the n-th incomplete call, pause(n) and send only what was refused."""
    failures = 0
    while records:
        answer = client.put_records(StreamName="clicks", Records=records)
        results = zip(records, answer["Records"], strict=True)
        records = [record for record, result in results if "ErrorCode" in result]
        if records:
            failures += 1
            pause(failures)


class _Stream:
    """A stream that refuses, in its n-th call, the records at the places of the n-th script."""

    def __init__(self, script: Sequence[set[int]]) -> None:
        self.script, self.held, self.calls = list(script), [], 0  # type: ignore[var-annotated]

    def put_records(self, StreamName: str, Records: Sequence[dict[str, Any]]) -> dict[str, Any]:
        expect(
            len(Records) > 0,
            "`put_all` sent an empty list: the API refuses a call without records; stop before it.",
        )
        refused = self.script[self.calls] if self.calls < len(self.script) else set()
        self.calls += 1
        expect(
            self.calls < 20, "`put_all` keeps calling although the stream has taken every record."
        )
        results = []
        for place, record in enumerate(Records):
            if place in refused:
                results.append(
                    {
                        "ErrorCode": "ProvisionedThroughputExceededException",
                        "ErrorMessage": "slow down",
                    }
                )
            else:
                self.held.append(record["PartitionKey"])
                results.append({"SequenceNumber": str(len(self.held)), "ShardId": "shardId-0"})
        failed = sum("ErrorCode" in r for r in results)
        return {"FailedRecordCount": failed, "Records": results}


def _five() -> list[dict[str, Any]]:
    return [{"Data": b"%d" % i, "PartitionKey": str(i)} for i in range(5)]


def _quiet_stream(f: Callable[..., Any]) -> None:
    stream, pauses = _Stream([]), []  # type: ignore[var-annotated]
    f(stream, _five(), pauses.append)
    expect(
        stream.held == list("01234"),
        f"a stream that takes everything got {stream.held} from `put_all`, expected 0 to 4.",
    )
    expect(not pauses, "the first call took everything, and `put_all` paused all the same.")


def _partly_refused(f: Callable[..., Any]) -> None:
    stream, pauses = _Stream([{1, 3}, {1}]), []  # type: ignore[var-annotated]
    records = _five()
    f(stream, records, pauses.append)
    lost = sorted(set("01234") - set(stream.held))
    twice = sorted({k for k in stream.held if stream.held.count(k) > 1})
    expect(
        not (lost and stream.calls == 1),
        f"records {lost} were refused and `put_all` stopped after one call: a call without an error can still refuse some.",
    )
    expect(
        not lost,
        f"the stream refused records 1 and 3, then 3 again, and never got {lost}: which *places* of the answer have an `ErrorCode`?",
    )
    expect(not twice, f"the stream got records {twice} twice: send only those that were refused.")
    expect(
        len(pauses) == 2,
        f"two calls were incomplete; `put_all` paused {len(pauses)} times, expected after each of them.",
    )
    expect(
        pauses == [1, 2],
        f"`pause` got {pauses}, expected 1 after the first incomplete call and 2 after the second.",
    )
    expect(records == _five(), "`put_all` must leave the list it was given as it was.")


# 10.3


def ips(clicks: Any, propensity: Any, n: int, clip: float | None = None) -> float:
    """Estimate the mean over all n requests of what was observed in some, each with a known chance."""
    weights = 1 / np.asarray(propensity, dtype=float)
    if clip is not None:
        weights = np.minimum(weights, clip)
    return float((weights * np.asarray(clicks)).sum() / n)


def _ips_by_hand(f: Callable[..., Any]) -> None:
    clicks, propensity = np.array([1, 0, 1]), np.array([0.5, 0.5, 0.1])
    got = number(f(clicks, propensity, 10), "ips")
    story = "of 10 requests 3 were served this way, with chances .5, .5, .1, and the first and third clicked"
    expect(
        abs(got - 0.2) > 1e-9,
        f"{story}: `ips` counted each click once; a click that had a chance of .1 stands for ten.",
    )
    expect(
        abs(got - 4.0) > 1e-9,
        f"{story}: `ips` divided by the 3 that were served so; the sum stands for all `n`.",
    )
    expect(
        abs(got - 0.06) > 1e-9,
        f"{story}: `ips` multiplied by the chance; the rarer, the *more* a click stands for.",
    )
    expect(
        abs(got - 12.0) > 1e-9,
        f"{story}: `ips` returned the sum of the weights, expected a mean over `n`.",
    )
    expect(
        abs(got - 1.2) < 1e-9,
        f"{story}: weights 2 and 10 for the two clicks, over 10; `ips` says {got:.4g}.",
    )
    expect(
        abs(number(f([1, 1], [1.0, 1.0], 2), "ips") - 1) < 1e-9,
        "with chances of 1 `ips` is the click rate, also for lists.",
    )


def _ips_is_clipped(f: Callable[..., Any]) -> None:
    got = number(f(np.array([1, 0, 1]), np.array([0.5, 0.5, 0.1]), 10, clip=4), "ips")
    expect(
        abs(got - 1.2) > 1e-9,
        "`ips` with `clip=4` is the same as without: no weight may be above `clip`.",
    )
    expect(
        abs(got - 0.8) > 1e-9,
        "`ips` with `clip=4` gave the weight 4 to a click of chance .5, whose weight is 2: cap, don't replace.",
    )
    expect(
        abs(got - 0.6) < 1e-9,
        f"with `clip=4` the weights of the two clicks are 2 and 4, so .6; `ips` says {got:.4g}: is it the weight that is capped?",
    )
    got = number(f(np.array([1]), np.array([0.5]), 2, clip=4), "ips")
    expect(
        abs(got - 1.0) < 1e-9,
        f"a weight of 2 is below `clip=4` and stays; `ips` says {got:.4g}, expected 1.",
    )


# 10.4


def sample_size(base: float, lift: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Return customers per arm that find a lift of a rate with the power asked for."""
    from scipy.stats import norm

    other = base + lift
    z = norm.ppf(1 - alpha / 2) + norm.ppf(power)
    return math.ceil(z**2 * (base * (1 - base) + other * (1 - other)) / lift**2)


def _sizes_by_hand(f: Callable[..., Any]) -> None:
    got = number(f(0.10, 0.02), "sample_size")
    case = "for a rate of .10, a lift of .02, alpha .05 and power .8"
    expect(
        abs(got - 3022) > 40,
        f"{case} `sample_size` says {got:.0f}: that is one-sided; a lift down is a finding, too (`alpha / 2`).",
    )
    expect(
        abs(got - 1766) > 60 and abs(got - 2074) > 60,
        f"{case} `sample_size` says {got:.0f}: only one arm's variance; both arms shake, each with p(1 - p).",
    )
    expect(
        abs(got - 1882) > 45,
        f"{case} `sample_size` says {got:.0f}: where is the power? Both z values are added.",
    )
    expect(
        got > 200,
        f"{case} `sample_size` says {got:.0f}: the lift and the sum of the z values enter *squared*.",
    )
    expect(
        got < 9000,
        f"{case} `sample_size` says {got:.0f}, too many: is `lift` a difference of rates, `base + lift`?",
    )
    expect(
        abs(got - 3841) <= 20,
        f"{case} about 3,840 customers per arm are needed; `sample_size` says {got:.0f}.",
    )


def _sizes_scale(f: Callable[..., Any]) -> None:
    one, half = (number(f(0.05, lift), "sample_size") for lift in (0.02, 0.01))
    expect(
        3 < half / one < 4.6,
        f"half the lift needs about four times the customers; `sample_size` says {half / one:.1f} times.",
    )
    strict = number(f(0.05, 0.01, alpha=0.01, power=0.9), "sample_size")
    expect(
        1.7 < strict / half < 2.1,
        "`alpha` and `power` must change the size: alpha .01 and power .9 need about 1.9 times as many.",
    )
    expect(float(one).is_integer(), f"`sample_size` says {one}: customers come whole; round up.")


# 10.5 and 10.6

_TABLE = (
    "CREATE TABLE events (id INTEGER PRIMARY KEY, request_id TEXT, kind TEXT, position INTEGER, time INTEGER, "
    "user INTEGER, item INTEGER, propensity REAL, model TEXT, latency_ms REAL, status INTEGER)"
)
_H = 3_600_000


def _planted_log() -> sqlite3.Connection:
    """Four hours: quiet, failing, busy with a few failures, and an hour with two answers of which one failed."""
    db = sqlite3.connect(":memory:")
    db.execute(_TABLE)
    insert = (
        "INSERT INTO events (request_id, kind, position, time, user, item, propensity, model, latency_ms, status) "
        "VALUES (?, ?, ?, ?, 1, ?, ?, 'm', ?, ?)"
    )
    for hour, answers, failed in ((100, 20, 0), (101, 20, 3), (102, 50, 2), (103, 2, 1)):
        for n in range(answers):
            name, time = f"{hour}-{n}", hour * _H + n * 1000
            status = 503 if n < failed else (404 if n == failed else 200)
            db.execute(insert, (name, "response", -1, time, None, None, 20.0, status))
            for slot in range(4 if status < 500 else 0):
                item = slot if hour < 102 else slot + 2
                db.execute(insert, (name, "impression", slot, time, item, 0.5, None, None))
            if status < 500:
                db.execute(insert, (name, "click", 0, time, 0, None, None, None))
    return db


def _ask(sql: Any, name: str, **parameters: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    expect(isinstance(sql, str), f"`{name}` is a {type(sql).__name__}, expected SQL as text.")
    expect(
        sql.strip().lower().startswith(("select", "with")),
        f"`{name}` must be a question: it begins with SELECT.",
    )
    db = _planted_log()
    try:
        cursor = db.execute(sql, parameters)
        return [d[0].lower() for d in cursor.description], cursor.fetchall()
    except sqlite3.Error as error:
        expect(False, f"SQLite does not take `{name}`: {error}.")
        raise
    finally:
        db.close()


ALARM = """
SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate
FROM events WHERE kind = 'response'
GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05
ORDER BY hour
"""


def _alarm_hours(sql: Any) -> None:
    columns, rows = _ask(sql, "alarm")
    expect(
        columns == ["hour", "error_rate"],
        f"`alarm` gives the columns {columns}, expected hour and error_rate.",
    )
    hours = [int(r[0]) for r in rows]
    rates = [0.0 if r[1] is None else float(r[1]) for r in rows]
    expect(
        hours,
        "`alarm` found no hour, but in hour 101 of the planted log 3 of 20 answers failed: is a share of whole numbers cut to 0?",
    )
    expect(
        hours != [] and min(hours) < 10**4,
        f"`alarm` calls an hour {hours[0]}: `time` is in milliseconds, an hour has 3,600,000.",
    )
    expect(
        103 not in hours,
        "`alarm` rings for hour 103, in which 1 of 2 answers failed: hours with under 10 answers tell nothing.",
    )
    expect(
        100 not in hours,
        "`alarm` rings for hour 100, where nothing failed but one answer was 404: failures are 500 and above.",
    )
    expect(
        102 not in hours,
        "`alarm` rings for hour 102, in which 2 of 50 answers failed: that is not more than 5 %.",
    )
    expect(hours == [101], f"`alarm` rings for the hours {hours}, expected 101 alone.")
    expect(
        rates[0] < 1,
        f"`alarm` gives {rates[0]:g} for hour 101, expected the share of its answers that failed.",
    )
    expect(
        abs(rates[0] - 0.15) < 1e-6,
        f"`alarm` gives {rates[0]:.3f} for hour 101, where 3 of 20 answers failed: divide by answers, not by all events.",
    )


DRIFT = """
SELECT item, sum(time < :cut) AS before, sum(time >= :cut) AS after
FROM events WHERE kind = 'impression'
GROUP BY item ORDER BY item
"""


def _drift_counts(sql: Any) -> None:
    columns, rows = _ask(sql, "drift", cut=102 * _H)
    expect(
        columns == ["item", "before", "after"],
        f"`drift` gives the columns {columns}, expected item, before and after.",
    )
    found = {r[0]: (r[1], r[2]) for r in rows}
    expect(
        None not in found,
        "`drift` has a row without an item: answers have none; count impressions.",
    )
    expect(
        len(rows) == len(found),
        "`drift` has several rows for an item, expected one: group by the item alone.",
    )
    expect(
        {0, 1} <= set(found),
        "items 0 and 1 were shown only before the cut, and `drift` lost them: both periods stand in one row.",
    )
    expect(
        {4, 5} <= set(found), "items 4 and 5 were shown only after the cut, and `drift` lost them."
    )
    n = {0: (37, 0), 1: (37, 0), 2: (37, 49), 3: (37, 49), 4: (0, 49), 5: (0, 49)}
    expect(
        found[0][0] != 37 + 37,
        "`drift` counted 74 events of item 0 before the cut, 37 of them clicks: count impressions only.",
    )
    expect(
        all(v is not None for v in found[4]),
        "`drift` says NULL for item 4 before the cut, expected 0.",
    )
    expect(
        tuple(found[2]) != (86, 86),
        "`drift` counts all impressions in both columns: `count` counts rows, also where the comparison is 0.",
    )
    expect(
        found[2][0] == 37 and found[2][1] == 49,
        f"item 2 was shown 37 times before the cut and 49 times from the cut on; `drift` says {found[2]}.",
    )
    expect({k: tuple(v) for k, v in found.items()} == n, f"`drift` gives {found}, expected {n}.")


register(
    Exercise(
        "10.1",
        "decision",
        [_every_row_is_decided, _every_row_is_right],
        [
            "Ask each row two things: is what decides the answer known the night before, and who waits for it?",
            "Two of the five cases need something that happens after the night's run. The others do not, and a table is cheaper and quicker.",
        ],
        DECISION,
        minutes=6,
    ),
    Exercise(
        "10.2",
        "put_all",
        [_quiet_stream, _partly_refused],
        [
            "The answer's `Records` has one entry for each record sent, in the same order; a refused one has an `ErrorCode`.",
            "`records = [r for r, result in zip(records, answer['Records']) if 'ErrorCode' in result]`, in a `while records:`.",
        ],
        put_all,
        minutes=10,
        stretch=True,
        returns=False,
    ),
    Exercise(
        "10.3",
        "ips",
        [_ips_by_hand, _ips_is_clipped],
        [
            "A click that had the chance p stands for 1/p requests. The sum stands for all n.",
            "`weights = 1 / propensity`, capped by `np.minimum(weights, clip)` if there is a clip; then sum and divide by n.",
        ],
        ips,
        minutes=6,
    ),
    Exercise(
        "10.4",
        "sample_size",
        [_sizes_by_hand, _sizes_scale],
        [
            "The variances p(1 - p) of both arms add up. `scipy.stats.norm.ppf(q)` gives the z below which a share q lies.",
            "`z = norm.ppf(1 - alpha / 2) + norm.ppf(power)`, then the formula, then `math.ceil`.",
        ],
        sample_size,
        minutes=6,
        seconds=60,  # the first import of scipy.stats takes long on a busy machine
    ),
    Exercise(
        "10.5",
        "alarm",
        [_alarm_hours],
        [
            "Group the responses by `time / 3600000`, and let HAVING choose among the groups.",
            "In SQLite a comparison is 0 or 1, so `avg(status >= 500)` is the share that failed.",
        ],
        ALARM,
        minutes=8,
    ),
    Exercise(
        "10.6",
        "drift",
        [_drift_counts],
        [
            "One row an item, two sums in it: a comparison is 0 or 1, and `sum` adds them.",
            "`sum(time < :cut) AS before`, and the same the other way round, over impressions, grouped by item.",
        ],
        DRIFT,
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
