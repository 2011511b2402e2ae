"""Typical wrong answers of chapter 10, each with a part of the message meant for it."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "10.1": [
        ('decision = dict.fromkeys(decision, "batch")', "after last night"),
        ('decision = dict.fromkeys(decision, "endpoint")', "which travels and computes"),
        (
            'decision = dict.fromkeys(decision, "batch")\n'
            'decision |= dict.fromkeys(("freshness", "reach"), "endpoint")',
            "can't know what happened a minute ago",
        ),
        (
            'decision = dict.fromkeys(decision, "batch")\n'
            'decision |= dict.fromkeys(("freshness", "reach", "minute ago"), "endpoint")',
            "had no row for a visitor",
        ),
        ('decision = {**decision, "latency": "both"}', 'expected "batch" or "endpoint"'),
        (
            'decision = dict.fromkeys(decision, "endpoint")\n'
            'decision |= dict.fromkeys(("latency", "cost", "newsletter", "5 ms"), "batch")',
            "ten questions an hour as with ten thousand",
        ),
        (
            'decision = dict.fromkeys(decision, "endpoint")\n'
            'decision |= dict.fromkeys(("latency", "newsletter", "5 ms"), "batch")',
            "compare the two prices of a day",
        ),
        (
            'decision = dict.fromkeys(decision, "endpoint")\n'
            'decision |= dict.fromkeys(("latency", "cost", "newsletter", "ten times an hour"), "batch")',
            "a day-old order was allowed",
        ),
    ],
    "10.2": [
        ('client.put_records(StreamName="clicks", Records=records)', "stopped after one call"),
        (
            "n = 0\nwhile True:\n"
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            '    if not answer["FailedRecordCount"]:\n        break\n'
            "    n += 1\n    pause(n)",
            "twice",
        ),
        (
            "n = 0\nwhile records:\n"
            '    failed = client.put_records(StreamName="clicks", Records=records)["FailedRecordCount"]\n'
            "    records = records[:failed]\n    if records:\n        n += 1\n        pause(n)",
            "which *places* of the answer",
        ),
        (
            "while records:\n"
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            '    records = [r for r, a in zip(records, answer["Records"]) if "ErrorCode" in a]',
            "paused 0 times",
        ),
        (
            "while True:\n"
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            '    records = [r for r, a in zip(records, answer["Records"]) if "ErrorCode" in a]\n'
            "    pause(1)",
            "sent an empty list",
        ),
    ],
    "10.3": [
        ("return float(np.mean(clicks / propensity))", "divided by the 3"),
        ("return float((clicks * propensity).sum() / n)", "multiplied by the chance"),
        ("return float(np.sum(clicks) / n)", "counted each click once"),
        (
            "return float((np.asarray(clicks) / propensity).sum() / n)",
            "`clip=4` is the same as without",
        ),
        (
            "weights = 1 / np.asarray(propensity)\n"
            "if clip is not None:\n    weights = np.maximum(weights, clip)\n"
            "return float((weights * clicks).sum() / n)",
            "is it the weight that is capped",
        ),
    ],
    "10.4": [
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha) + norm.ppf(power), base + lift\n"
            "return int(np.ceil(z**2 * (base * (1 - base) + q * (1 - q)) / lift**2))",
            "one-sided",
        ),
        (
            "from scipy.stats import norm\n\nz = norm.ppf(1 - alpha / 2) + norm.ppf(power)\n"
            "return int(np.ceil(z**2 * base * (1 - base) / lift**2))",
            "only one arm's variance",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2), base + lift\n"
            "return int(np.ceil(z**2 * (base * (1 - base) + q * (1 - q)) / lift**2))",
            "where is the power",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift\n"
            "return int(np.ceil(z * (base * (1 - base) + q * (1 - q)) / lift))",
            "*squared*",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift\n"
            "return z**2 * (base * (1 - base) + q * (1 - q)) / lift**2",
            "round up",
        ),
    ],
    "10.5": [
        (
            'alarm = """SELECT time / 3600000 AS hour, sum(status >= 500) / count(*) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "cut to 0",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING error_rate > 0.05 ORDER BY hour"""',
            "rings for hour 103",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 400) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.045 ORDER BY hour"""',
            "one answer was 404",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, 1.0 * sum(status >= 500) / count(*) AS error_rate FROM events\n'
            'GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.02 ORDER BY hour"""',
            "divide by answers",
        ),
        ('alarm = "SELEKT hour FROM events"', "begins with SELECT"),
        (
            'alarm = "SELECT hour, error_rate FROM answers"',
            "SQLite does not take `alarm`: no such table",
        ),
    ],
    "10.6": [
        (
            'drift = """SELECT item, sum(time < :cut) AS before, sum(time >= :cut) AS after\n'
            'FROM events GROUP BY item ORDER BY item"""',
            "a row without an item",
        ),
        (
            'drift = """SELECT item, sum(time < :cut) AS before, sum(time >= :cut) AS after\n'
            'FROM events WHERE item IS NOT NULL GROUP BY item ORDER BY item"""',
            "37 of them clicks",
        ),
        (
            'drift = """SELECT item, count(time < :cut) AS before, count(time >= :cut) AS after\n'
            'FROM events WHERE kind = \'impression\' GROUP BY item ORDER BY item"""',
            "counts rows",
        ),
        (
            'drift = """WITH a AS (SELECT item, count(*) AS before FROM events WHERE kind = \'impression\' AND time < :cut\n'
            "GROUP BY item), b AS (SELECT item, count(*) AS after FROM events WHERE kind = 'impression' AND time >= :cut\n"
            'GROUP BY item) SELECT item, before, after FROM a JOIN b USING (item)"""',
            "lost them",
        ),
    ],
    "10.q1": [('choice = "a"', "second reading"), ('choice = "c"', "sends nothing again")],
    "10.q2": [('choice = "b"', "no click to weight"), ('choice = "c"', "no weight at all")],
    "10.q3": [('choice = "a"', "three times in a hundred"), ('choice = "b"', "one test in")],
}
