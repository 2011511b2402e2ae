"""Answers to chapter 10: typical mistakes, right answers of other idioms, mutants that are right."""

#: exercise -> wrong answers, each with a part of the message meant for it
MISTAKES: dict[str, list[tuple[str, str]]] = {
    "10.1": [
        ('decision = {"latency": "batch"}', "no row 'freshness'"),
        ('decision = dict.fromkeys(decision, "batch")', "after last night"),
        ('decision = dict.fromkeys(decision, "endpoint")', "which also computes"),
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
    "10.7": [
        ("return float(order[slot] == item)", "without exploration"),
        (
            "return (1 - explore if list(order).index(item) == slot else explore / len(order))"
            " if item in order else 0.0",
            "by luck",
        ),
        (
            "usual = (1 - explore) if order[slot] == item else 0.0\nreturn usual + explore / len(order)",
            "no candidate",
        ),
        (
            "if item not in order:\n    return 0\n"
            "return (1 - explore) * (order[slot] == item) + explore / min(len(order), 10)",
            "not visible",
        ),
        ("return 1 - explore if order[slot] == item else 0.0", "what does it add"),
        (
            "return (1 - explore) * (order[slot - 1] == item) + explore * (item in order) / len(order)",
            "count from 0",
        ),
        (
            "return [(1 - explore) * (order[slot] == item), explore * (item in order) / len(order)]",
            "expected one number",
        ),
        (
            "if order[slot] == item:\n    return 1 - explore\n"
            "return explore * (item in order) / (len(order) - 1)",
            "gave 0.8, expected 0.85",
        ),
    ],
    "10.8": [
        (
            'rates = """SELECT item, sum(clicked) / count(*) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            "sum(clicked / propensity) / sum(look / propensity) AS weighted,\n"
            'sum(propensity IS NULL OR propensity = 0) AS left_out FROM shown GROUP BY item"""',
            "cut to 0",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            "sum(clicked / propensity) / sum(1 / propensity) AS weighted,\n"
            'sum(coalesce(propensity, 0) = 0) AS left_out FROM shown GROUP BY item"""',
            "weight the looks",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            "sum(clicked / propensity) / sum(look) AS weighted,\n"
            'sum(propensity IS NULL OR propensity = 0) AS left_out FROM shown GROUP BY item"""',
            "both sums",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            "sum(clicked / propensity) / sum(look / propensity) AS weighted, 0 AS left_out\n"
            'FROM shown WHERE propensity > 0 GROUP BY item"""',
            "gave",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            "sum(clicked / propensity) / sum(look / propensity) AS weighted,\n"
            'sum(propensity = 0) AS left_out FROM shown GROUP BY item"""',
            "(`NULL`) is left out",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            "sum(clicked / propensity) / sum(look / propensity) AS weighted,\n"
            'count(*) - count(propensity) AS left_out FROM shown GROUP BY item"""',
            "a propensity of 0",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, avg(clicked / look) AS per_look,\n'
            "sum(clicked / propensity) / sum(look / propensity) AS weighted,\n"
            'sum(propensity IS NULL OR propensity = 0) AS left_out FROM shown GROUP BY item"""',
            "row by row",
        ),
        (
            'rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,\n'
            'sum(clicked / propensity) / sum(look / propensity) AS weighted FROM shown GROUP BY item"""',
            "gives the columns",
        ),
        (
            'rates = """SELECT item, position, avg(clicked) AS per_impression FROM shown GROUP BY item"""',
            "gives the columns",
        ),
        ("rates = [1, 2]", "expected SQL as text"),
    ],
    "10.9": [
        (
            "p, q = clicked_a / n_a, clicked_b / n_b\n"
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\n"
            'return "better" if q - p > bar else "worse" if p - q > bar else "open"',
            "too different numbers",
        ),
        (
            "p, q = clicked_a / n_a, clicked_b / n_b\n"
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\n"
            'if q - p > bar:\n    return "better"\nif p - q > bar:\n    return "worse"\n'
            'return "invalid" if (n_a - n_b) ** 2 / (n_a + n_b) > 10.83 else "open"',
            "ask that first",
        ),
        (
            'if (n_a - n_b) ** 2 / (n_a + n_b) > 10.83:\n    return "invalid"\n'
            'return "better" if clicked_b / n_b > clicked_a / n_a else "worse"',
            "can be chance",
        ),
        (
            'if (n_a - n_b) ** 2 / (n_a + n_b) > 3.84:\n    return "invalid"\n'
            "p, q = clicked_a / n_a, clicked_b / n_b\n"
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\n"
            'return "better" if q - p > bar else "worse" if p - q > bar else "open"',
            "one of twenty tests",
        ),
        (
            'if abs(n_a - n_b) / max(n_a, n_b) > 0.01:\n    return "invalid"\n'
            "p, q = clicked_a / n_a, clicked_b / n_b\n"
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\n"
            'return "better" if q - p > bar else "worse" if p - q > bar else "open"',
            "expected 'better'",
        ),
        (
            'if (n_a - n_b) ** 2 / (n_a + n_b) > 10.83:\n    return "invalid"\n'
            "p, q = clicked_a / n_a, clicked_b / n_b\n"
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\n"
            'return "better" if q - p > bar else "open"',
            "B can be worse",
        ),
        (
            'if (n_a - n_b) ** 2 / (n_a + n_b) > 10.83:\n    return "invalid"\n'
            "p, q = clicked_a / n_a, clicked_b / n_b\n"
            "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)\n"
            'return "better" if p - q > bar else "worse" if q - p > bar else "open"',
            "is B the larger one",
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
    "10.7": [
        "same, candidate = order[slot] == item, False\nfor one in order:\n    if one == item:\n"
        "        candidate = True\nchance = 0.0\nif same:\n    chance += 1 - explore\n"
        "if candidate:\n    chance += explore / len(order)\nreturn chance",
        "return float(np.dot([1 - explore, explore], [order[slot] == item, np.mean(np.asarray(order) == item)]))",
        "import pandas as pd\nplaces = pd.Series(list(order))\n"
        "return (1 - explore) * (places[slot] == item) + explore * (places == item).mean()",
        "chances = np.full(len(order), explore / len(order))\nchances[slot] += 1 - explore\n"
        "return chances[np.asarray(order) == item].sum()",
        "if item not in list(order):\n    return 0\nluck = explore / len(order)\n"
        "return luck + 1 - explore if list(order).index(item) == slot else luck",
        "return np.float32((1 - explore) * float(order[slot] == item) + explore * (item in set(list(order))) / len(order))",
    ],
    "10.8": [
        'rates = """SELECT item, 1.0 * sum(clicked) / count(*) AS per_impression, total(clicked) / total(look) AS per_look,\n'
        "sum(CASE WHEN propensity > 0 THEN clicked / propensity END) / sum(CASE WHEN propensity > 0 THEN look / propensity END)\n"
        'AS weighted, count(*) - count(CASE WHEN propensity > 0 THEN 1 END) AS left_out FROM shown GROUP BY item"""',
        'rates = """WITH w AS (SELECT *, 1 / propensity AS weight FROM shown)\n'
        "SELECT item, avg(clicked) AS per_impression, avg(clicked) / avg(look) AS per_look,\n"
        "sum(weight * clicked) / sum(weight * look) AS weighted, sum(weight IS NULL) AS left_out\n"
        'FROM w GROUP BY item ORDER BY item DESC;"""',
        'rates = """-- three rates\nSELECT a.item, per_impression, per_look, weighted, n - coalesce(m, 0) AS left_out FROM\n'
        "(SELECT item, count(*) AS n, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look FROM shown GROUP BY item) AS a\n"
        "LEFT JOIN (SELECT item, count(*) AS m, sum(clicked / propensity) / sum(look / propensity) AS weighted FROM shown\n"
        'WHERE propensity > 0 GROUP BY item) AS b USING (item)"""',
        'rates = """SELECT s.item AS ITEM, avg(s.clicked * 1.0) AS "Per_Impression", sum(s.clicked) / sum(s.look) AS per_look,\n'
        "sum(s.clicked / nullif(s.propensity, 0)) / sum(s.look / nullif(s.propensity, 0)) AS weighted,\n"
        'count(*) FILTER (WHERE coalesce(s.propensity, 0) = 0) AS left_out FROM shown AS s GROUP BY 1 ORDER BY 1"""',
        'rates = """SELECT DISTINCT item, avg(clicked) OVER w AS per_impression, sum(clicked) OVER w / sum(look) OVER w AS per_look,\n'
        "sum(clicked / propensity) OVER w / sum(look / propensity) OVER w AS weighted,\n"
        'sum(ifnull(propensity, 0) <= 0) OVER w AS left_out FROM shown WINDOW w AS (PARTITION BY item)"""',
    ],
    "10.9": [
        "e = (n_a + n_b) / 2\nchi = 0.0\nfor count in [n_a, n_b]:\n    chi += (count - e) ** 2 / e\n"
        'if chi > 10.83:\n    return "invalid"\np = clicked_a / n_a\nq = clicked_b / n_b\n'
        "error = (p * (1 - p) / n_a + q * (1 - q) / n_b) ** 0.5\n"
        'if q - p - 1.96 * error > 0:\n    return "better"\nif q - p + 1.96 * error < 0:\n    return "worse"\nreturn "open"',
        "from scipy.stats import chisquare\n\nif chisquare([n_a, n_b]).statistic > 10.83:\n"
        '    return "invalid"\nn, k = np.array([n_a, n_b]), np.array([clicked_a, clicked_b])\nrates = k / n\n'
        "z = np.diff(rates)[0] / np.sqrt((rates * (1 - rates) / n).sum())\n"
        'return "better" if z > 1.96 else "worse" if z < -1.96 else "open"',
        "import pandas as pd\n\narms = pd.DataFrame({'n': [n_a, n_b], 'k': [clicked_a, clicked_b]})\n"
        "e = arms.n.mean()\nif (((arms.n - e) ** 2) / e).sum() > 10.83:\n    return 'invalid'\n"
        "rate = arms.k / arms.n\nerror = np.sqrt((rate * (1 - rate) / arms.n).sum())\n"
        "z = (rate[1] - rate[0]) / error\n"
        "return ['worse', 'open', 'better'][int(np.digitize(z, [-1.96, 1.96]))]",
        "if (n_a - n_b) ** 2 / (n_a + n_b) > 10.83:\n    return 'invalid'\n"
        "a, b = np.float64(clicked_a) / n_a, np.float64(clicked_b) / n_b\n"
        "low, high = (b - a + s * 1.96 * np.sqrt(a * (1 - a) / n_a + b * (1 - b) / n_b) for s in (-1, 1))\n"
        "if low <= 0 <= high:\n    return 'open'\nreturn 'better' if low > 0 else 'worse'",
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
    "10.7": {"return abs(1 - explore) * usual + explore * by_luck": "a share is below 1"},
    "10.9": {
        "chi_square = sum((abs(n - expected) ** 2 for n in (n_a, n_b))) / expected": "squared",
        "chi_square = sum(((expected - n) ** 2 for n in (n_a, n_b))) / expected": "squared",
        "chi_square = sum(((n - expected) ** 2 for n in (n_b, n_a))) / expected": "a sum",
        "chi_square = sum(((n - expected) ** 2 for n in (n_a, n_a))) / expected": "as far as n_b",
        "chi_square = sum(((n - expected) ** 2 for n in (n_b, n_b))) / expected": "as far as n_a",
        "if chi_square >= 10.83:": "no counts give exactly this",
        "return 'better' if q - p >= bar else 'worse' if p - q > bar else 'open'": "never exact",
        "return 'better' if q - p > bar else 'worse' if p - q >= bar else 'open'": "never exact",
        "return 'better' if q - p > bar else 'worse' if abs(p - q) > bar else 'open'": "q is not above",
        "bar = 1.96 * np.sqrt(p * abs(1 - p) / n_a + q * (1 - q) / n_b)": "a rate is below 1",
        "bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * abs(1 - q) / n_b)": "a rate is below 1",
    },
    "10.8": {
        "round sum(clicked)": "a count is whole",
        "round sum(propensity IS NULL OR propensity = 0)": "a count is whole",
        "no ORDER BY": "the text asks for no order",
        "descending": "the text asks for no order",
    },
    "10.6": {
        "no ORDER BY": "the text asks for no order",
        "descending": "the text asks for no order",
        "round sum(time < :cut)": "a count is whole",
        "round sum(time >= :cut)": "a count is whole",
    },
}
