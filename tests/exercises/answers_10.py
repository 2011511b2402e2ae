"""Answers to chapter 10: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "10.1": [
        ('decision = {"latency": "batch"}', "no row 'freshness'"),
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
        ('client.put_records(StreamName="clicks", Records=records)', "can still refuse"),
        (
            "n = 0\nwhile True:\n"
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            '    if not answer["FailedRecordCount"]:\n        break\n'
            "    n += 1\n    pause(n)",
            "holds the others twice",
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
            "call `pause`",
        ),
        (
            "while True:\n"
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            '    records = [r for r, a in zip(records, answer["Records"]) if "ErrorCode" in a]\n'
            "    pause(1)",
            "sent an empty list",
        ),
        (
            'n, busy = 0, "ProvisionedThroughputExceededException"\nwhile records:\n'
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            '    records = [r for r, a in zip(records, answer["Records"]) if a.get("ErrorCode") == busy]\n'
            "    if records:\n        n += 1\n        pause(n)",
            "gave ['put 012', 1, 'put 1']",
        ),
        (
            "n = 0\nfor record in records:\n    while True:\n"
            '        answer = client.put_records(StreamName="clicks", Records=[record])\n'
            '        if not answer["FailedRecordCount"]:\n            break\n        n += 1\n        pause(n)',
            "gave ['put 0', 'put 1'",
        ),
        (
            'n = 0\nwhile records:\n    answer = client.put_records(StreamName="click", Records=records)\n'
            '    records = [r for r, a in zip(records, answer["Records"]) if "ErrorCode" in a]',
            "to the stream 'click'",
        ),
        (
            "n = 0\nwhile records:\n"
            '    answer = client.put_records(StreamName="clicks", Records=records)\n'
            "    for place in range(len(records) - 1, -1, -1):\n"
            '        if "ErrorCode" not in answer["Records"][place]:\n            records.pop(place)\n'
            "    if records:\n        n += 1\n        pause(n)",
            "changed its argument `records`",
        ),
    ],
    "10.3": [
        ("clip = clip or 20\nreturn (np.minimum(1 / propensity, clip) * clicks).sum() / n", "gave"),
        ("return float(np.mean(clicks / propensity))", "sum stands for all"),
        ("return float((clicks * propensity).sum() / n)", "*more* a click"),
        ("return float(np.sum(clicks) / n)", "counts each click once"),
        ("return sum(c / p for c, p in zip(clicks, propensity)) / n", "above `clip`"),
        (
            "weights = 1 / propensity\nif clip is not None:\n    weights = np.maximum(weights, clip)\n"
            "return (weights * clicks).sum() / n",
            "*largest* weight",
        ),
        (
            "weights = 1 / propensity\nif clip:\n    weights[weights > clip] = 0\n"
            "return (weights * clicks).sum() / n",
            "not 0",
        ),
        ("return (clicks / np.clip(propensity, 0, clip)).sum() / n", "gave 1.2, expected 0.6"),
        (
            "w = 1 / propensity\nif clip is not None:\n    w = np.minimum(w, clip)\nreturn (w * clicks).sum() / w.sum()",
            "gave",
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
            "one arm's variance",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2), base + lift\n"
            "return int(np.ceil(z**2 * (base * (1 - base) + q * (1 - q)) / lift**2))",
            "where is the power",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift\n"
            "return int(np.ceil(z**2 * (base * (1 - base) + q * (1 - q)) / lift))",
            "lift enters squared",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift\n"
            "return z**2 * (base * (1 - base) + q * (1 - q)) / lift**2",
            "expected a whole number",
        ),
        (
            "from scipy.stats import norm\n\nz, q = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift\n"
            "return int(z**2 * (base * (1 - base) + q * (1 - q)) / lift**2)",
            "round *up*",
        ),
        (
            "from scipy.stats import norm\n\nz = 1.959964 + 0.841621\nq = base + lift\n"
            "return int(np.ceil(z**2 * (base * (1 - base) + q * (1 - q)) / lift**2))",
            "power=0.9",
        ),
        (
            "from scipy.stats import norm\n\nz, p = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift / 2\n"
            "return int(np.ceil(2 * z**2 * p * (1 - p) / lift**2))",
            "pools the two arms",
        ),
    ],
    "10.5": [
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate FROM events\nWHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY \'hour\'"""',
            "order the rows by hour",
        ),
        (
            'alarm = """SELECT time / 3600000 % 24 AS hour, avg(status >= 500) AS error_rate FROM events\nWHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "expected [(",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, sum(status >= 500) / count(*) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "cut to 0",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING error_rate > 0.05 ORDER BY hour"""',
            "under 10 responses",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 400) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "a 404 is none",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, 1.0 * sum(status >= 500) / count(*) AS error_rate FROM events\n'
            'GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "not by all events",
        ),
        ('alarm = "SELEKT hour FROM events"', "syntax error"),
        ('alarm = "DELETE FROM events"', "gives the columns []"),
        (
            'alarm = "SELECT hour, error_rate FROM answers"',
            "SQLite does not take `alarm`: no such table",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status = 503) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY 1 HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY 1"""',
            "500 and above",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate FROM events\n'
            'GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "counts all events",
        ),
        (
            'alarm = """SELECT hour, error_rate FROM (SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate,\n'
            "count(*) AS n FROM events WHERE kind = 'response' GROUP BY hour) WHERE n >= 10 AND error_rate > 0.05\n"
            'ORDER BY error_rate"""',
            "gave",
        ),
        (
            'alarm = """WITH h AS (SELECT time / 3600000 AS hour, status >= 500 AS bad FROM events WHERE kind = \'response\')\n'
            'SELECT hour, avg(bad) AS error_rate FROM h GROUP BY hour HAVING count(*) >= 10 AND avg(bad) > 0.05"""',
            "without ORDER BY",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, round(avg(status >= 500), 3) AS error_rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""',
            "gave",
        ),
        (
            "alarm = \"\"\"SELECT strftime('%Y-%m-%d %H', time / 1000, 'unixepoch') AS hour, avg(status >= 500) AS error_rate\n"
            "FROM events WHERE kind = 'response' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05\n"
            'ORDER BY hour"""',
            "gave [('1970-01-01 06', 0.15)], expected [(6, 0.15)]",
        ),
        (
            'alarm = """SELECT time / 3600000 AS hour, avg(status >= 500) AS rate FROM events\n'
            'WHERE kind = \'response\' GROUP BY hour HAVING count(*) >= 10 AND rate > 0.05 ORDER BY hour"""',
            "expected hour and error_rate",
        ),
    ],
    "10.6": [
        (
            'drift = """SELECT item, sum(time < :cut) AS before, sum(time >= :cut) AS after\n'
            'FROM events GROUP BY item ORDER BY item"""',
            "responses have no item",
        ),
        (
            'drift = """SELECT item, sum(time < :cut) AS before, sum(time >= :cut) AS after\n'
            'FROM events WHERE item IS NOT NULL GROUP BY item ORDER BY item"""',
            "clicks are counted",
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
            "one of the two periods only",
        ),
        (
            'drift = """WITH a AS (SELECT item, count(*) AS before FROM events WHERE kind = \'impression\' AND time < :cut\n'
            "GROUP BY item), b AS (SELECT item, count(*) AS after FROM events WHERE kind = 'impression' AND time >= :cut\n"
            'GROUP BY item) SELECT item, before, after FROM a FULL JOIN b USING (item)"""',
            "expected",
        ),
        (
            'drift = """SELECT item, sum(time < 10) AS before, sum(time >= 10) AS after\n'
            'FROM events WHERE kind = \'impression\' GROUP BY item"""',
            "every evening has another",
        ),
        (
            'drift = """SELECT item, time < :cut AS before, time >= :cut AS after\n'
            'FROM events WHERE kind = \'impression\'"""',
            "several rows for an item",
        ),
        (
            'drift = """SELECT item, sum(time < :cut) AS before, sum(time > :cut) AS after\n'
            'FROM events WHERE kind = \'impression\' GROUP BY item"""',
            "expected",
        ),
    ],
    "10.q1": [('choice = "a"', "second reading"), ('choice = "c"', "sends nothing again")],
    "10.q2": [('choice = "b"', "no click to weight"), ('choice = "c"', "no weight at all")],
    "10.q3": [('choice = "a"', "three times in a hundred"), ('choice = "b"', "one test in")],
}

#: exercise -> right answers of other idioms; the first needs loops and lists only, or plain SQL
IDIOMS: dict[str, list[str]] = {
    "10.1": [
        "for row in list(decision):\n    live = row in ['freshness', 'reach', 'minute ago', 'no account']\n"
        "    decision[row] = 'endpoint' if live else 'batch'",
        "decision = dict.fromkeys(decision, 'batch')\n"
        "decision |= dict.fromkeys(('freshness', 'reach', 'minute ago', 'no account'), 'endpoint')",
        "decision = {'latency': 'Batch', 'freshness': 'Endpoint', 'reach': 'endpoint ', 'cost': 'batch', 'newsletter': 'batch',\n"
        "    'minute ago': 'endpoint', 'no account': 'ENDPOINT', 'ten times an hour': 'batch', '5 ms': 'batch'}",
        "import pandas as pd\ndecision = pd.Series('batch', index=list(decision))\n"
        "decision[['freshness', 'reach', 'minute ago', 'no account']] = 'endpoint'",
    ],
    "10.2": [
        "failures, left = 0, list(records)\nwhile len(left) > 0:\n"
        '    results = client.put_records(StreamName="clicks", Records=left)["Records"]\n    again = []\n'
        "    for place in range(len(left)):\n        if 'ErrorCode' in results[place]:\n"
        "            again.append(left[place])\n    if again:\n        failures = failures + 1\n"
        "        pause(failures)\n    left = again",
        "import itertools\nfor n in itertools.count(1):\n"
        '    results = client.put_records(Records=records, StreamName="clicks")["Records"]\n'
        "    records = [r for r, a in zip(records, results) if a.get('ErrorCode')]\n"
        "    if not records:\n        return\n    pause(n)",
        'def attempt(left, n):\n    answer = client.put_records(StreamName="clicks", Records=left)\n'
        "    if answer['FailedRecordCount'] == 0:\n        return\n    pause(n)\n"
        "    attempt([r for r, a in zip(left, answer['Records']) if 'SequenceNumber' not in a], n + 1)\n\n"
        "attempt(records, 1)",
        'answer, n = client.put_records(StreamName="clicks", Records=tuple(records)), 0\n'
        "while answer['FailedRecordCount'] > 0:\n    n += 1\n    pause(n)\n"
        "    refused = np.flatnonzero(['ErrorCode' in a for a in answer['Records']])\n"
        "    records = [records[i] for i in refused]\n"
        '    answer = client.put_records(StreamName="clicks", Records=records[::-1])\n'
        "    records = records[::-1]",
    ],
    "10.3": [
        "total = 0.0\nfor click, chance in zip(clicks, propensity):\n    weight = 1 / chance\n"
        "    if clip is not None and weight > clip:\n        weight = clip\n    if click:\n"
        "        total += weight\nreturn total / n",
        "weights = 1 / propensity\nif clip is not None:\n    weights = np.minimum(weights, clip)\n"
        "return np.dot(weights, clicks) / n",
        "import pandas as pd\nreturn (1 / pd.Series(propensity)).clip(upper=clip)[clicks].sum() / n",
        "p = propensity if clip is None else np.maximum(propensity, 1 / clip)\nreturn (clicks / p).sum() / n",
        "weights = np.float32(1 / propensity)\nif clip:\n    weights[weights > clip] = clip\n"
        "return weights[clicks].sum(keepdims=True) / n",
        "return np.einsum('r,r', 1 / propensity.clip(1 / (clip or np.inf)), clicks) / n",
    ],
    "10.4": [
        "import math\nfrom statistics import NormalDist\n\nz = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)\n"
        "variance = 0.0\nfor rate in [base, base + lift]:\n    variance += rate * (1 - rate)\n"
        "return math.ceil(z * z * variance / lift**2)",
        "from scipy.stats import norm\n\nz, q = norm.isf(alpha / 2) + norm.ppf(power), base + lift\n"
        "return np.ceil((z / lift) ** 2 * (base - base**2 + q - q**2))",
        "from scipy.special import ndtri\n\nrates = np.array([base, base + lift])\n"
        "n = (ndtri(1 - alpha / 2) - ndtri(1 - power)) ** 2 * np.sum(rates * (1 - rates)) / lift**2\n"
        "return -int(-n // 1)",
        "from scipy.stats import norm\n\ndef finds(n):\n"
        "    error = np.sqrt((base * (1 - base) + (base + lift) * (1 - base - lift)) / n)\n"
        "    return norm.cdf(lift / error - norm.ppf(1 - alpha / 2)) >= power\n\n"
        "low, high = 0, 1\nwhile not finds(high):\n    low, high = high, 2 * high\n"
        "while high - low > 1:\n    middle = (low + high) // 2\n"
        "    low, high = (low, middle) if finds(middle) else (middle, high)\nreturn high",
        "from scipy import stats\n\nz = stats.norm().ppf([1 - alpha / 2, power]).sum()\nother = base + lift\n"
        "n = z**2 * (base * (1 - base) + other * (1 - other)) / lift**2\nreturn int(n) + (n > int(n))",
    ],
    "10.5": [
        'alarm = """SELECT time / 3600000 AS hour, 1.0 * sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END) / count(*)\n'
        "AS error_rate FROM events WHERE kind = 'response' GROUP BY time / 3600000\n"
        'HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY 1"""',
        'alarm = """-- hours that ring\nWITH answers AS (SELECT time / 3600000 AS h, status FROM events e WHERE e.kind = \'response\'),\n'
        "rates AS (SELECT h, count(*) AS n, avg(status BETWEEN 500 AND 599) AS rate FROM answers GROUP BY h)\n"
        'SELECT h AS hour, rate AS error_rate FROM rates WHERE n > 9 AND rate > 0.05 /* 5 % */ ORDER BY h ASC;"""',
        'alarm = """SELECT DISTINCT "hour", error_rate FROM (\n'
        "SELECT time / 3600000 AS hour, avg(status >= 500) OVER (PARTITION BY time / 3600000) AS error_rate,\n"
        "count(*) OVER (PARTITION BY time / 3600000) AS n FROM events WHERE kind = 'response')\n"
        'WHERE n >= 10 AND error_rate > 0.05 ORDER BY hour"""',
        'alarm = """select cast(e.time / 3600000 as integer) as HOUR, total(e.status > 499) / count(distinct e.request_id) as "Error_Rate"\n'
        "from events as e where e.status is not null group by 1\n"
        'having count(status) >= 10 and count(*) FILTER (WHERE status >= 500) * 20 > count(*) order by hour"""',
        'alarm = """SELECT failed.error_rate, failed.hour FROM (SELECT time / 3600000 AS hour, avg(iif(status < 500, 0, 1)) AS error_rate\n'
        "FROM events WHERE kind LIKE 'response' GROUP BY hour) AS failed\n"
        "JOIN (SELECT time / 3600000 AS hour FROM events WHERE kind = 'response' GROUP BY hour HAVING count(*) >= 10)\n"
        'USING (hour) WHERE NOT error_rate <= 0.05 ORDER BY hour"""',
    ],
    "10.6": [
        'drift = """SELECT item, sum(CASE WHEN time < :cut THEN 1 ELSE 0 END) AS before,\n'
        "sum(CASE WHEN time >= :cut THEN 1 ELSE 0 END) AS after\n"
        'FROM events WHERE kind = \'impression\' GROUP BY item"""',
        'drift = """/* impressions */ SELECT e.item, count(*) FILTER (WHERE e.time < :cut) AS before,\n'
        "count(*) FILTER (WHERE e.time >= :cut) AS after -- from the cut on\n"
        'FROM events AS e WHERE e.kind = \'impression\' GROUP BY e.item ORDER BY e.item DESC;"""',
        'drift = """WITH a AS (SELECT item, count(*) AS n FROM events WHERE kind = \'impression\' AND time < :cut GROUP BY item),\n'
        "b AS (SELECT item, count(*) AS n FROM events WHERE kind = 'impression' AND time >= :cut GROUP BY item)\n"
        "SELECT item, coalesce(a.n, 0) AS before, coalesce(b.n, 0) AS after FROM a FULL OUTER JOIN b USING (item)\n"
        'ORDER BY item"""',
        'drift = """SELECT item, sum(b) AS before, sum(a) AS after FROM (\n'
        "SELECT item, 1 AS b, 0 AS a FROM events WHERE kind = 'impression' AND time < :cut UNION ALL\n"
        'SELECT item, 0, 1 FROM events WHERE kind = \'impression\' AND NOT time < :cut) GROUP BY item ORDER BY item"""',
        'drift = """SELECT DISTINCT item AS Item, sum(time < :cut) OVER w AS "Before", sum(time >= :cut) OVER w AS AFTER\n'
        'FROM events WHERE kind = \'impression\' WINDOW w AS (PARTITION BY item) ORDER BY item"""',
        'drift = """SELECT item, (SELECT count(*) FROM events e WHERE e.item = i.item AND e.kind = \'impression\' AND e.time < :cut)\n'
        "AS before, (SELECT count(*) FROM events e WHERE e.item = i.item AND e.kind = 'impression' AND e.time >= :cut) AS after\n"
        'FROM (SELECT DISTINCT item FROM events WHERE kind = \'impression\') AS i"""',
    ],
}

#: exercise -> changed line of a mutant that is the same function -> why it is
EQUIVALENT: dict[str, dict[str, str]] = {
    "10.2": {
        "results = zip(records, answer['Records'])": "an answer is as long as what was sent",
        "results = zip(records, answer['Records'], strict=False)": "an answer is as long as what was sent",
    },
    "10.3": {
        "weights = np.minimum(np.inf if clip is None else clip, 1 / np.asarray(propensity))": "a minimum has no order",
    },
    "10.4": {
        "z, other = (norm.ppf(abs(1 - alpha / 2)) + norm.ppf(power), base + lift)": "alpha is below 1",
        "return int(np.ceil(z ** 2 * (base * abs(1 - base) + other * (1 - other)) / lift ** 2))": "a rate is below 1",
        "return int(np.ceil(z ** 2 * (base * (1 - base) + other * abs(1 - other)) / lift ** 2))": "a rate is below 1",
    },
    "10.6": {
        "no ORDER BY": "the text asks for no order",
        "descending": "the text asks for no order",
        "round sum(time < :cut)": "a count is whole",
        "round sum(time >= :cut)": "a count is whole",
    },
}
