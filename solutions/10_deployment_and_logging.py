# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown] tags=["core"]
# # 10 · Deployment and logging
#
# A recommender that nobody can measure cannot be improved. This chapter serves one, and logs what it showed so that nothing is lost. Then
# it asks the log. Is this item good, or was it only at the top? Which ranking earns more? What broke?

# %% [markdown]
# | | |
# |---|---|
# | **You will be able to** | choose between a table and an endpoint · log clicks that survive a kill · compute propensities and undo position bias in SQL · size and read an A/B test |
# | **Prerequisites** | [04](04_negative_sampling.ipynb); a little SQL and probability; [09](09_user_level_models.ipynb) helps |
# | **Time** | 50 minutes for the core, 105 for all; 45 seconds to run |
# | **Needs** | no network, no account, no GPU; on AWS with `COURSE_CLOUD=aws` |
# | **Builds on** | AWS training talk on recommender systems (2018); AWS post on top-x recommendations (Karnin and Thamman, 2019) |
#
# *Run a cell with Shift+Enter, in optional parts, too: later cells use them. After a restart: Run → Run All Above Selected Cell.*

# %%
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from timeit import timeit

sys.path.insert(0, "..")  # the course's helpers live one folder up

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from scipy import sparse
from scipy.stats import norm

from helpers import cloud, data, events, ledger, metrics, plots
from helpers import shop as shops
from helpers.exercises import exercise, guess, progress
from helpers.interactive import explore, show
from helpers.models.baselines import Popularity
from helpers.models.implicit import LossMF
from helpers.models.userlevel import UserLevel, event_sequences
from helpers.planted import DAY, HOUR, WEEK_BEGINS, planted_week

plots.style()

# %% [markdown] tags=["core"]
# ## Predict before you run
#
# A shop shows ten items on a page. One of them is liked by a third of all who look at it. But it is on the last slot. After 40,000 requests we read
# its click rate in the log. Then the shop collects ten times as many. The course quotes your guesses where the answers appear.

# %%
click_rate = "Which click rate does the log of 40,000 requests show for it?"
guess("10", click_rate, ["0.33", "0.20", "0.04"])
ten_times = "With ten times as many requests, does it come closer to a third?"
guess("10.b", ten_times, ["much closer", "a little closer", "no closer"])

# %% [markdown] tags=["core"]
# ## Two ways to serve
#
# First we train a small model: chapter 09's user-level network. It reads a *history*, the films that a user took, and scores all films.
#
# "Offline batch computation and saving the results can help", says the talk of 2018. So a job at night ranks 100 films per user into a
# table. By day, serving is a look-up.

# %%
split = data.leave_one_out(data.load(), ties="random", seed=0)
n_users, n_items = split.train.n_users, split.train.n_items
everyone, histories = np.arange(n_users), event_sequences(split.train)
net = UserLevel(hidden=32, epochs=12).fit(split.train)
night = metrics.top_k(net.scores(everyone), 100, seen=split.train)  # (671, 100)
folder = tempfile.TemporaryDirectory()
home = Path(folder.name)
table = sqlite3.connect(home / "shelf.sqlite", check_same_thread=False, cached_statements=0)
shelf = pd.DataFrame(night).rename_axis("user")
shelf = shelf.melt(var_name="rank", value_name="item", ignore_index=False)
shelf.set_index("rank", append=True).to_sql("shelf", table, if_exists="replace")  # with an index


def look_up(user):
    question = "SELECT item FROM shelf WHERE user = ? ORDER BY rank"
    return [item for (item,) in table.execute(question, (int(user),))]


print(f"{len(shelf):,} rows; user 7 has {len(look_up(7))} films")

# %% [markdown] tags=["core"]
# ### An endpoint that reads the history
#
# The other way is an *endpoint*: a process that holds the model and answers requests. SageMaker's containers call four functions of a
# file `inference.py`. Ours repeats 09's forward pass in NumPy. The history comes with the request. So a user needs no number, and no row
# in a table. Items that the model does not know are left out, and counted.
#
# Then we ask both. User 7 watches *Toy Story*, and a new user comes who has watched nothing else. What changes? We also time 200 questions
# each, one caller against one and four against four.

# %%
INFERENCE = """
import json
from pathlib import Path
import numpy as np

def model_fn(folder):  # once, when the process starts
    return dict(np.load(Path(folder) / "model.npz"))

def input_fn(body, content_type):
    return json.loads(body)

def predict_fn(ask, model):
    given = np.unique(np.array(ask["history"], dtype=int))
    history = given[(given >= 0) & (given < len(model["item_in"]))]
    total = model["item_in"][history].sum(axis=0) / np.sqrt(max(1, len(history)))
    hidden = np.tanh(total + model["hidden_bias"])
    scores = model["item_out"] @ hidden + model["item_bias"]
    scores[history] = -np.inf  # already taken
    best = np.argsort(-scores, kind="stable")[: ask["n"]]
    return {"items": best.tolist(), "unknown": len(given) - len(history)}

def output_fn(answer, accept):
    return json.dumps(answer)
"""

# %% tags=["fold"]
# one model.tar.gz goes to S3; three calls of boto3 create the endpoint, a fourth asks it
(home / "model" / "code").mkdir(parents=True, exist_ok=True)
(home / "model" / "code" / "inference.py").write_text(INFERENCE)
np.savez(home / "model" / "model.npz", **net.weights)
archive = Path(shutil.make_archive(str(home / "model"), "gztar", home / "model"))
aws = cloud.connect()
from sagemaker.core import image_uris  # the SDK wants a region first

IMAGE = image_uris.retrieve("sklearn", aws.region, version="1.2-1", instance_type="ml.m5.large")
sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")
SHELF = aws.name("course-10-shelf")


def deploy(name):
    key = f"{aws.folder('course-10')}/{name}/model.tar.gz"
    aws.client("s3").upload_file(str(archive), aws.bucket, key)
    script = {"SAGEMAKER_PROGRAM": "inference.py"}
    script["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/model/code"
    place = f"s3://{aws.bucket}/{key}"
    container = {"Image": IMAGE, "ModelDataUrl": place, "Environment": script}
    sagemaker.create_model(ModelName=name, ExecutionRoleArn=aws.role, PrimaryContainer=container)
    machine = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    variants = [{"VariantName": "all", "ModelName": name, **machine}]
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    pause = {"Delay": 1 if aws.local else 30}
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=pause)


def call(history, n=100, name=SHELF):
    body = json.dumps({"history": [int(item) for item in history], "n": n})
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="application/json", Body=body)
    return json.loads(answer["Body"].read())


for hours, count in ((0.2, 1), (24, 2)):  # a job of twelve minutes; two machines all day
    print(cloud.estimate("ml.m5.large", hours, count))


# %% tags=["nbval-ignore-output", "timing"]
def timed(ask, callers):
    users = np.random.default_rng(0).integers(0, n_users, 200).tolist()
    with ThreadPoolExecutor(callers) as threads:
        return list(threads.map(lambda user: 1000 * timeit(lambda: ask(user), number=1), users))


toy_story = int(np.flatnonzero(split.train.items["title"] == "Toy Story")[0])
visitors = {"user 7, last night": histories[7], "user 7, now": [*histories[7], toy_story]}
visitors |= {"a new user": [toy_story], "no history": [], "an unknown item": [n_items + 5]}
scope, took = {}, {}
exec(INFERENCE, scope)  # the same computation without the way to it


def ask_here(user):
    return scope["predict_fn"]({"history": histories[user], "n": 100}, net.weights)


with cloud.cleanup(aws, prefix="course-10"):
    deploy(SHELF)
    agree = np.mean([np.isin(call(histories[u])["items"], look_up(u)).mean() for u in range(20)])
    answers = {name: call(history, n=10) for name, history in visitors.items()}
    asks = {"endpoint": lambda user: call(histories[user]), "table": look_up, "computing": ask_here}
    took = {f"{k}, {n} asking": timed(ask, n) for k, ask in asks.items() for n in (1, 4)}
    del took["computing, 4 asking"]
for name, answer in answers.items():
    films = [plots.short(split.train.items["title"].iloc[item]) for item in answer["items"][:3]]
    print(f"{name:19} {answer['unknown']} unknown   {' · '.join(films)}")
before, after = (answers[name]["items"] for name in ("user 7, last night", "user 7, now"))
print(f"after one more film, {len({*after} - {*before})} of user 7's ten films are new")
print(f"the table has a row for the new user: {bool(look_up(n_users))}")
assert agree > 0.99 and before != after
assert answers["no history"]["items"] == answers["an unknown item"]["items"]
assert np.median(took["endpoint, 1 asking"]) > np.median(took["table, 1 asking"])
pd.DataFrame(took).quantile([0.5, 0.99]).T.set_axis(["median, ms", "99th percentile, ms"], axis=1)

# %% [markdown]
# For an unchanged history, both give the same films. Only the endpoint follows the last minute (*freshness*) and serves a new user
# (*reach*), because its model reads the history.
#
# Half of the calls are faster than the median, one in a hundred is slower than the 99th percentile. *Computing* is the endpoint's code
# alone. The rest is travel, which a table in production needs, too.

# %% [markdown]
# **Exercise 10.1** (5 min). Fill the table with `"batch"` (the nightly table) or `"endpoint"` (one that reads the history). First: which
# wins by *latency*, *freshness*, *reach*, *cost* of a day (both prices are above)? Then: which do you take for
#
# - a *newsletter* to all customers at six in the morning;
# - suggestions that follow what was watched a *minute ago*;
# - a visitor with *no account*, who has clicked two films;
# - an internal tool asked *ten times an hour*, where yesterday's answer will do;
# - an answer within *5 ms* in 99 of 100 calls, one asking, where yesterday's order will do?
#
# Stuck? Run `q1.hint()` or `q1.solution()` in a cell of your own.

# %%
decision = {"latency": ..., "freshness": ..., "reach": ..., "cost": ..., "newsletter": ...}
decision |= {"minute ago": ..., "no account": ..., "ten times an hour": ..., "5 ms": ...}
### BEGIN SOLUTION 10.1
live = ("freshness", "reach", "minute ago", "no account")
decision = {question: "endpoint" if question in live else "batch" for question in decision}
### END SOLUTION

# %%
q1 = exercise("10.1")
q1.check(decision)

# %% [markdown] tags=["core"]
# ## A request's life
#
# Many shops combine both ways, in two stages. The first stage picks *candidates*: 100 films from the nightly table. At the request, a
# *filter* removes what is sold out or was just taken. Then a second model *re-ranks* the rest with what it knows now. Ten films are shown.

# %% [markdown]
# ### The second model · optional
#
# The second model counts which films follow which in every history, up to ten steps apart. Each further step counts less.
#
# Each stage has a *recall*: the share of users whose held-out film is still there. Among ten it is the *hit rate*, HR@10. Re-ranking
# lifts it from .063 to .096. (MovieLens' order is partly that of its pages.)

# %%
items, owner = np.concatenate(histories), np.repeat(everyone, list(map(len, histories)))
follows = sparse.csr_matrix((n_items, n_items))
for gap in range(1, 11):
    same = owner[gap:] == owner[:-gap]
    pairs = items[:-gap][same], items[gap:][same]  # the earlier film, the later one
    follows += sparse.csr_matrix((np.full(same.sum(), 0.8**gap), pairs), shape=follows.shape)
popularity = (split.train.item_counts() + 1) / (len(items) + n_items)


def rerank(candidates, history, smooth=50):
    """Order candidates by how often they followed the last ten films of a history."""
    recent = np.asarray(history, dtype=int)[::-1][:10]  # the latest first
    counts, totals = follows[recent][:, candidates].toarray(), follows[recent].sum(axis=1)
    shares = (counts + smooth * popularity[candidates]) / np.asarray(totals + smooth)
    score = 0.8 ** np.arange(len(recent)) @ np.log(shares)
    return candidates[np.argsort(-score, kind="stable")]


def judge(scores, k=10):
    return metrics.evaluate(scores, split.test, seen=split.train, k=k)


def averaged(runs):
    """The runs of several seeds as one: each user's mean."""
    mean = {m: np.mean([run[m].values for run in runs], axis=0) for m in runs[0]}
    return {m: replace(runs[0][m], values=values) for m, values in mean.items()}


# %% tags=["nbval-ignore-output"]
def as_scores(lists):  # the films of each list are on top, in its order
    scores = np.full((n_users, n_items), -1000.0, dtype=np.float32)
    np.put_along_axis(scores, lists, -np.arange(lists.shape[1], dtype=np.float32)[None], axis=1)
    return scores


by_stage = {"candidates": [], "table": [], "re-ranked": []}
for model in (
    net,
    *(UserLevel(hidden=32, epochs=12, seed=seed).fit(split.train) for seed in (1, 2)),
):
    lists = metrics.top_k(model.scores(everyone), 100, seen=split.train)
    ordered = np.array([rerank(lists[user], histories[user]) for user in everyone])
    by_stage["candidates"].append(judge(as_scores(lists), k=100))
    by_stage["table"].append(judge(as_scores(lists)))
    by_stage["re-ranked"].append(judge(as_scores(ordered)))
stages = {name: averaged(three) for name, three in by_stage.items()}
for name, result in stages.items():
    print(f"{name:10} {result['hit_rate']}")
gain = stages["re-ranked"]["hit_rate"].compare(stages["table"]["hit_rate"])
print(f"gain by re-ranking, mean of three seeds: {gain}")
assert gain.low > 0

# %% [markdown] tags=["core"]
# ### Propensity
#
# A fixed order teaches the shop nothing about what it hides. So one request in ten shows the candidates in random order: it *explores*.
# The *propensity* of an item and a slot is the chance that this item gets this slot. Only the shop knows it, and only now. It belongs
# in the log.
#
# **Exercise 10.7** (6 min). Write `propensity(item, slot, order, explore)`. `order` holds the candidates in their usual order; `slot`
# counts from 0. With chance `explore` the page shows a random permutation of *all* candidates, of which the first ten are visible. What is
# no candidate has the propensity 0. First by hand: four candidates A, B, C, D, and `explore` is 0.2. How often is B on the second slot?
# And D?


# %%
def propensity(item, slot, order, explore):
    ### BEGIN SOLUTION 10.7
    usual, by_luck = order[slot] == item, (item in order) / len(order)
    return (1 - explore) * usual + explore * by_luck
    ### END SOLUTION


# %%
q7 = exercise("10.7")
q7.check(propensity)

# %%
propensity = q7.use(propensity)
for item in "BDE":
    chance = propensity(item, 1, np.array(["A", "B", "C", "D"]), 0.2)
    print(f"{item} on the second slot: {chance:.2f}")
MODEL, EXPLORE = "net-1, follows-1", 0.1


def handle(user, history, sold_out, rng, n_slots=10):
    begin = time.perf_counter()
    request = events.new_request_id(time.time_ns() // 1_000_000)
    blocked = {*sold_out, *map(int, history)}
    order = rerank(np.array([i for i in look_up(user) if i not in blocked]), history)
    page = rng.permutation(order) if rng.random() < EXPLORE else order
    shown = []
    for slot, item in enumerate(page[:n_slots].tolist()):
        chance = propensity(item, slot, order, EXPLORE)
        shown.append(events.impression(request, user, item, slot, chance, MODEL))
    return [*shown, events.response(request, user, MODEL, 1000 * (time.perf_counter() - begin))]


logged = handle(7, histories[7], sold_out={look_up(7)[0]}, rng=np.random.default_rng(0))
columns = ["kind", "position", "propensity", "model", "status"]
pd.DataFrame(logged)[columns].iloc[[0, 1, 2, -1]].convert_dtypes()

# %% [markdown] tags=["core"]
# ## A log that loses nothing
#
# "A model only succeeds if good behavioral data can be logged", says the talk, and names Amazon Kinesis. A *producer* in the shop puts
# events into a stream; a *consumer* reads them into a table. Each is a process that can die at any moment. One promise must hold: once
# `log()` has returned, an event is *acknowledged*, and will be in the table exactly once.
#
# 300 customers come. All look at slot 1, half at slot 2, and so on. `flush` sends the events, many in one *record*; `drain` reads them. An
# impression with propensity $p$ stands for $1/p$ requests. Each of 100 candidates could be on each slot. So if the propensities are right,
# the mean of $1/p$ is 100, up to chance.

# %%
kinesis = aws.client("kinesis")
stream = events.OpenStream(kinesis, aws.name("course-10-clicks"), shards=2)  # deleted at the end
producer = events.Producer(kinesis, stream.name, home / stream.name)  # its outbox, a file
log = events.EventLog(home / f"{stream.name}.sqlite", busy_seconds=0.5)
every = 0 if aws.local else 0.2  # seconds: AWS allows five reads a second
consumer = events.Consumer(kinesis, stream.name, log, items=range(n_items), interval=every)
rng, looks = np.random.default_rng(1), shops.examination(10, bias=1.0)
for user in rng.integers(0, n_users, 300).tolist():
    logged = handle(user, histories[user], sold_out=set(), rng=rng)
    for event, click_chance in zip(logged[:10], 0.3 * looks, strict=True):
        if rng.random() < click_chance:
            clicked = event["request_id"], user, event["item"], event["position"]
            logged.append(events.click(*clicked, MODEL))
    producer.log(logged)  # acknowledged: it is in the outbox
print(sent := producer.flush())
print(consumer.drain(at_least=sent.events))
by_request = log.query(
    "SELECT avg(1 / propensity) AS w FROM events WHERE kind = 'impression' GROUP BY request_id"
)["w"]
print(f"mean of 1/p: {by_request.mean():.1f}, standard error {by_request.std() / np.sqrt(300):.1f}")


# %% [markdown]
# ### Kill it · optional
#
# SIGKILL, signal 9, ends a process at once: it cannot clean up. We start a producer and a consumer, kill both in the middle of their work,
# and do it three times. The producer prints each request that was acknowledged. At the end one more producer delivers what is left, one
# more consumer reads on, and we count.

# %%
WORKER = """
import sys, time
import boto3
from helpers import events, files

work, stream, folder, region, parent = sys.argv[1:]
files.end_with(int(parent))  # no orphan when the notebook stops
client = boto3.client("kinesis", region_name=region)
if work == "produce":
    producer = events.Producer(client, stream, f"{folder}/outbox")
    for number in range(10**9):
        name = events.new_request_id(time.time_ns() // 1_000_000)
        producer.log([events.impression(name, 7, 12, slot, 0.5, "m") for slot in range(5)])
        print(name, flush=True)  # acknowledged
        if number % 10 == 0:
            producer.flush()
log = events.EventLog(f"{folder}/log.sqlite")
consumer = events.Consumer(client, stream, log)
while True:
    print(consumer.poll(), flush=True)
"""

# %%
crash, works = home / "crash", ("produce", "consume")
crash.mkdir()
doomed = events.OpenStream(kinesis, aws.name("course-10-doomed"), shards=1)


def start(work):
    arguments = work, doomed.name, str(crash), aws.region, str(os.getpid())
    with (crash / work).open("a") as output:
        return subprocess.Popen([sys.executable, "-c", WORKER, *arguments], stdout=output, cwd="..")


def lines(work):
    return (crash / work).read_text().splitlines() if (crash / work).exists() else []


for life in range(3):
    goals = {work: len(lines(work)) + more for work, more in zip(works, (50, 3), strict=True)}
    processes = [start(work) for work in works]
    while any(len(lines(work)) < goal for work, goal in goals.items()):
        assert [process.poll() for process in processes] == [None, None], "both are at work"
        time.sleep(0.02)
    for process in processes:
        process.kill()
    print(f"life {life + 1}: return codes {[process.wait() for process in processes]}")
with events.Producer(kinesis, doomed.name, crash / "outbox"):
    time.sleep(0 if aws.local else 5)  # leaving the block delivers
survivor = events.EventLog(crash / "log.sqlite")
events.Consumer(kinesis, doomed.name, survivor, interval=every).drain()
doomed.close()
complete = "SELECT request_id FROM events GROUP BY request_id HAVING count(*) = 5"
missing = set(lines("produce")) - set(survivor.query(complete)["request_id"])
twice = survivor.query("SELECT count(*) - count(DISTINCT source || number) AS n FROM events")
print("more than 100 requests acknowledged:", len(lines("produce")) > 100)
print(f"of them not complete in the log: {len(missing)}; events in it twice: {twice['n'][0]}")

# %% [markdown]
# Nothing is lost or doubled. The *outbox* is a file, so a successor sends what is left. The consumer writes events *and* its place in one
# transaction.
#
# A loss of power is worse: it takes what is not on the disk yet. By default `log()` does not wait for the disk, so the last unsent calls
# can be lost. With `sync=True` it waits.

# %% tags=["nbval-ignore-output", "timing"]
waits = {}
for sync in (False, True):
    keep = events.Producer(kinesis, stream.name, home / f"sync-{sync}", sync=sync).log
    waits[f"sync={sync}"] = [1000 * timeit(partial(keep, logged), number=1) for _ in range(300)]
assert len(logged) >= 11
pd.DataFrame(waits).quantile([0.5, 0.99]).rename_axis("quantile").round(3).add_suffix(", ms a call")

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 10.q1
choice = "b"
### END SOLUTION
exercise("10.q1").ask(choice)

# %% [markdown]
# ### Stretch: when a call succeeds in part · optional
#
# A stream that gets too much refuses some records, and the call raises nothing. `FailedRecordCount` is above 0, and each refused record
# has an `ErrorCode` at its place in `Records`.
#
# **Exercise 10.2** (10 min, *stretch*). Write `put_all(client, records, pause)`. It calls
# `client.put_records(StreamName="clicks", Records=…)` until every record is in. After the n-th call that refused some, it calls `pause(n)`
# (n = 1, 2, …), and then sends only those. It returns nothing. (A real producer also gives up after some tries, with an error.)


# %%
def put_all(client, records, pause):
    ### BEGIN SOLUTION 10.2
    failures = 0
    while records:
        answer = client.put_records(StreamName="clicks", Records=records)
        results = zip(records, answer["Records"], strict=True)
        records = [record for record, result in results if "ErrorCode" in result]
        if records:
            failures += 1
            pause(failures)
    ### END SOLUTION


# %%
q2 = exercise("10.2")
q2.check(put_all)

# %% [markdown]
# ### When an answer is lost · optional
#
# The stream took the records, but the connection broke before its answer came. So the producer sends again: *at-least-once* delivery. The
# stream holds some events twice. The table must not, so its writes are *idempotent*: writing an event again changes nothing. Its identity
# is request, kind and position.

# %%
producer.client = events.Forgetful(kinesis, losses=2)  # two answers get lost
producer.log(logged := handle(3, histories[3], sold_out=set(), rng=rng))
delivered, read = producer.flush().events, consumer.drain(at_least=3 * len(logged))
producer.client = kinesis
print(f"delivered {delivered}, read {read.events}", end=", ")
print(f"new in the log {read.new}, repeated {read.repeated}")

# %% [markdown]
# ### When an event is bad · optional
#
# A bad event that we drop is lost. If we stop at it, all that follow are lost. So it becomes a *dead letter*, with the reason, and is
# judged again once the cause is mended. Then the log goes into Parquet files, one per day, for tools that read columns.

# %%
odd = [events.impression(f"odd-{n}", n, 12, 0, 0.5, MODEL) for n in range(6)]
odd[0]["item"] = n_items  # not in the catalog yet
odd[1]["propensity"] = 0
del odd[2]["propensity"]
odd[3]["v"] = 3  # a schema of the future
odd[5]["request_id"] = odd[4]["request_id"]  # two customers
producer.log(odd)
producer.flush()
read = consumer.drain(at_least=len(odd))
letters = log.query("SELECT reason FROM dead_letters ORDER BY number")
grown = log.replay(range(n_items + 1))
print(f"{read.new} new, {read.dead} dead; when the catalog has grown: {grown}")
files = events.export(log, home / "lake")
rows = sum(len(pd.read_parquet(f)) for f in files)
print("rows in Parquet as in the log:", rows == log.count())
letters

# %% [markdown]
# ### When the machine is in trouble · optional
#
# A clock is set back, and a disk is full: what cannot be kept is refused. Then another program locks the log: the consumer writes nothing,
# and keeps its place. The times of one producer never fall, but clocks of two machines differ. So our SQL joins by `request_id`, never
# by time.

# %%
seconds = iter((9.0, 5.0, 6.0))  # since 1970: the clock goes back by four
limits = {"clock": lambda: next(seconds), "max_bytes": 1_000}  # and a very small disk
clicks = [events.click(f"trouble-{n}", n, 12, 0, MODEL) for n in range(20)]

# %%
with events.Producer(kinesis, stream.name, home / f"{stream.name}-small", **limits) as small:
    kept = small.log(clicks[0]) + small.log(clicks[1])  # the clock goes back between them
    try:
        small.log(clicks[2:])
    except events.OutboxFull:
        print(f"disk full: {kept} acknowledged, {len(clicks) - kept} refused")

# %%
forgotten = sqlite3.connect(log.path, isolation_level=None)
forgotten.execute("BEGIN IMMEDIATE")
try:
    consumer.drain(at_least=kept)
except events.LogBusy:
    print("log locked: nothing written, nothing skipped")
forgotten.close()
print(f"lock gone: {consumer.drain(at_least=kept).new} new, with the times", end=" ")
print(*log.query("SELECT time FROM events WHERE request_id LIKE 'trouble%'")["time"])
stream.close()

# %% [markdown] tags=["core"]
# ## Position bias
#
# "Customers are more likely to click on a mediocre recommendation that they see than an excellent recommendation they don't see", says the
# talk, and calls this *display bias*. The field says *position bias*. By hand: A is liked by 10 %, on the top slot, where all look: 10
# clicks in 100. B is liked by 30 %, on slot 10, where one in ten looks: 3 clicks. By clicks, A wins.
#
# The *position-based model* says: clicked = looked at × liked. We plant a shop with 20 items, three kinds of customers, and a look at slot
# $k$ with chance $1/k$. Its ranking is good, but has the best item, item 0, on the last slot. One request in five is explored.


# %%
def rate(clicked, look=1.0, propensity=1.0):
    """Clicks per look of one item, each impression weighted by 1 / propensity, with its error."""
    top, bottom = clicked / propensity, (look + 0.0 * clicked) / propensity
    value = top.sum() / bottom.sum()
    return shops.Estimate(value, np.sqrt(((top - value * bottom) ** 2).sum()) / bottom.sum())


shop = shops.plant_shop(n_items=20, n_slots=10, n_segments=3, bias=1.0, seed=0)
policy = shops.production_policy(shop, explore=0.2, overlooked=0)
traffic, truth = shops.visit(shop, policy, 40_000, np.random.default_rng(0)), shop.mean_appeal[0]
few = rate(traffic.clicks[traffic.items == 0])
ten_logs = (shops.visit(shop, policy, 40_000, np.random.default_rng(seed)) for seed in range(1, 11))
many = rate(np.concatenate([log.clicks[log.items == 0] for log in ten_logs]))
print(f"item 0 is liked by {truth:.3f} of all customers")
print(f"in the log of 40,000 requests it has {few}, in 400,000 {many}")
display(guess("10").meets(f"{few.value:.2f}"))
display(guess("10.b").meets(f"{many.value:.2f} again, no closer to {truth:.2f}"))

# %% [markdown] tags=["core"]
# ### Who looks where?
#
# Ten times the data gives the same wrong number; only its interval is narrower. We must measure the looks.
#
# In a *random list* every slot holds equally good items on average, so its click rates differ by looks alone. A cheaper experiment
# *swaps*: a coin decides whether the top item changes places with another.

# %%
moved = np.array([[0, *row[row != 0]] for row in policy.orders])  # item 0 to the top, for all
at_random, usual = shops.Policy(policy.orders, explore=1.0), shops.Policy(policy.orders)
shuffled = shops.visit(shop, at_random, 40_000, np.random.default_rng(3))
swaps = shops.swap_visit(shop, usual, 40_000, np.random.default_rng(2))
measured = {"random lists": shops.looks_from_random_lists(shuffled)}
measured["swaps"] = shops.looks_from_swaps(*swaps)
fig, ax = plt.subplots()
slots = np.arange(1, 11)
ax.plot(slots, shop.examination, color=plots.PALETTE["grey"], label="truth")
for (name, seen_by), marker, side in zip(measured.items(), "os", (-0.1, 0.1), strict=True):
    bars = {"fmt": marker, "markersize": 4, "label": name}
    ax.errorbar(slots + side, seen_by.value, 1.96 * seen_by.error, **bars)
ax.set(xlabel="slot", ylabel="looks, relative to the top", ylim=(0, 1.1), xticks=slots)
ax.set_title("Random lists and swaps both find who looks where (bars: 95 %)")
ax.legend()
off = [np.abs(seen_by.value - shop.examination).max() for seen_by in measured.values()]
words = f"Random lists find each slot's looks within {off[0]:.2f} of the truth, swaps within "
show(fig, alt=words + f"{off[1]:.2f}, with wider intervals.")

# %% [markdown] tags=["core"]
# ### Two biases, two corrections
#
# *Clicks per look* divides by looks, not by impressions. That removes the position bias. A second bias stays: *who saw it*. The shop shows
# an item mostly to those who like it. *Inverse propensity scoring* (IPS) removes that. It weights each impression by $1/p$, so every item
# counts as if all customers had seen it equally often.

# %% [markdown]
# Three rates, summed over an item's impressions; $c$ is 1 for a click, $l$ the look:
#
# $$\frac{\sum c}{\sum 1} \qquad \frac{\sum c}{\sum l} \qquad \frac{\sum c/p}{\sum l/p}$$
#
# By hand: one impression on top ($l = 1$, $p = .8$) with a click, one on slot 10 ($l = .1$, $p = .01$) without. The rates are $1/2$,
# $1/1.1 = .91$, and $1.25/11.25 = .11$.

# %%
own = events.EventLog(home / "shop.sqlite")  # the planted traffic, in tables as above
for part in traffic.events(WEEK_BEGINS):
    own.load(part)
look_rows = ", ".join(
    f"({s}, {value:.4f})" for s, value in enumerate(measured["random lists"].value)
)
view = f"""CREATE VIEW shown AS WITH looks(position, look) AS (VALUES {look_rows})
SELECT i.item, i.position, i.propensity, look, c.id IS NOT NULL AS clicked
FROM events AS i JOIN looks USING (position) LEFT JOIN events AS c
ON c.request_id = i.request_id AND c.kind = 'click' AND c.position = i.position
WHERE i.kind = 'impression'"""
with closing(sqlite3.connect(own.path)) as db:
    db.execute(view)
own.query("SELECT * FROM shown LIMIT 3").round(3)

# %% [markdown]
# **Exercise 10.8** (10 min). Write `rates`, SQL over the view `shown`: one row per impression, `look` as measured. It returns one row per
# `item` with `per_impression`, `per_look` and `weighted`.
#
# Leave impressions with a propensity of 0 or `NULL` out of both sums of `weighted`, not out of the other rates. Count them as
# `left_out`. In SQLite, `x / 0` is `NULL`, and `sum` skips `NULL`.

# %%
rates = ...  # SQL as text
### BEGIN SOLUTION 10.8
rates = """SELECT item, avg(clicked) AS per_impression, sum(clicked) / sum(look) AS per_look,
sum(clicked / propensity) / sum(look / propensity) AS weighted,
sum(propensity IS NULL OR propensity = 0) AS left_out FROM shown GROUP BY item ORDER BY item"""
### END SOLUTION

# %%
q8 = exercise("10.8")
q8.check(rates)

# %%
rates = q8.use(rates)
by_item = own.query(rates).rename(columns=str.lower).set_index("item").sort_index()
print(by_item.loc[[0, 13]].assign(truth=shop.mean_appeal[[0, 13]]).round(3).to_string())
mine = own.query("SELECT * FROM shown WHERE item = 0")
c, look, p = (mine[name] for name in ("clicked", "look", "propensity"))
estimates = {"clicks / impressions": rate(c), "clicks / looks": rate(c, look)}
estimates |= {"IPS, without looks": rate(c, 1.0, p), "IPS / looks": rate(c, look, p)}
shops.compare(estimates, truth)

# %% [markdown]
# For item 0, looks alone come close, because everybody gets it on slot 10. They do not for item 13, which is shown to those who like it.
# Weights alone leave the slots in. Only the last row corrects both. The price is a wide interval.
#
# Intervals with looks take the measured looks as exact, so they are too narrow. The look of slot 10 was measured a little too high. That is why
# clicks / looks misses the truth of item 0.
#
# Move the strength of the bias. At 0 everybody looks at every slot; at 2, slot 10 gets one look in a hundred. Each step measures the looks,
# logs 20,000 requests, and asks your SQL. Which rates stay off even at 0?

# %% tags=["fold"]
KINDS = {"per_impression": "clicks / impressions", "per_look": "clicks / looks"}
KINDS |= {"weighted": "IPS / looks"}


@cache
def under_bias(bias):
    """What the SQL gives for a shop with that bias, and how far each rate is off on average."""
    there, seed = shop.with_bias(bias), np.random.default_rng(int(100 * bias))
    looks = shops.looks_from_random_lists(shops.visit(there, at_random, 40_000, seed)).value
    visits = shops.visit(there, policy, 20_000, seed)
    columns = {"item": visits.items, "propensity": visits.propensity, "clicked": 1 * visits.clicks}
    columns |= {"look": np.broadcast_to(looks, visits.items.shape)}
    shown = pd.DataFrame({name: values.ravel() for name, values in columns.items()})
    with closing(sqlite3.connect(":memory:")) as db:
        shown.to_sql("shown", db, index=False)
        answer = pd.read_sql_query(rates, db).rename(columns=str.lower)
    by_item = answer.set_index("item").sort_index()[list(KINDS)]
    return by_item, by_item.sub(shop.mean_appeal, axis=0).abs().mean()


def draw_bias(bias):
    fig, ax = plt.subplots(figsize=(7.2, 3.2))
    by_item, off = under_bias(bias)
    for shift, (column, name) in enumerate(KINDS.items()):
        label = f"{name}: off by {off[column]:.3f}"
        places = np.arange(20) + 0.2 * shift - 0.2
        ax.plot(places, by_item[column], "s^o"[shift], markersize=5, label=label)
    ax.plot(range(20), shop.mean_appeal, "_", color="black", markersize=16, label="truth")
    ax.set(xlabel="item, best first", ylabel="click rate", ylim=(0, 0.5), xticks=range(0, 20, 5))
    share = by_item.loc[0, "per_impression"] / truth
    ax.set_title(f"Bias {bias:g}: by its clicks, item 0 looks {share:.0%} as good as it is")
    ax.legend(loc="upper right", fontsize=9)
    return fig


def tell_bias(bias):
    a, b, c = under_bias(bias)[1]
    words = f"With bias {bias:g} the rates are off by {a:.3f} per impression, {b:.3f} per look "
    return words + f"and {c:.3f} by IPS / looks, on average over the items."


strength = widgets.FloatSlider(value=1.0, min=0, max=2, step=0.5)
strength.description = "strength of the bias"
explore(draw_bias, alt=tell_bias, bias=strength)

# %% [markdown]
# ### Does a 95 % interval hold the truth 95 times in 100? · optional
#
# We make 4,000 logs. The simplest IPS uses the top slot only: add $1/p$ for every click on item 0 there, and divide by all requests. A log
# without a click gives the interval [0, 0]; one with a single click ends just below the truth.

# %%
for n in (1_000, 5_000, 40_000):
    rng, clicked = np.random.default_rng(5), n * 0.01 * truth
    covered = shops.interval_coverage(shop, policy, 0, n, n_logs=4_000, rng=rng)
    print(f"{n:6,} requests, about {clicked:3.0f} clicks on top", end=": ")
    print(f"covered in {covered:.1%} of the logs")
assert 0.93 <= covered <= 0.97

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 10.q2
choice = "a"
### END SOLUTION
exercise("10.q2").ask(choice)

# %% [markdown]
# ## The feedback loop · optional
#
# A shop learns from the clicks on what it showed, and then shows what it learned. We simulate 100 items and 30 rounds of 500 requests. In
# round one everybody sees the same random order. *Bestsellers* ranks by clicks so far; other shops divide them by impressions, or by looks.
#
# *Regret* is how many more clicks per request the best order would earn. The *Gini* coefficient is 0 if all items are shown
# equally often, and near 1 if a few get everything.

# %%
market = shops.plant_shop(100, 10, 1, seed=3)
learners = {  # what a shop ranks by, and the share of its requests that is explored
    "bestsellers": ("clicks", 0.0),
    "bestsellers, 10 % explored": ("clicks", 0.1),
    "clicks per impression": ("rate", 0.0),
    "clicks per look": ("looks", 0.0),
    "clicks per look, 10 % explored": ("looks", 0.1),
}
regret, gini = {}, {}
styles = ("-", "--", (0, (3, 1, 1, 1, 1, 1)), "-.", ":")
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
for (name, (learn, explored)), line in zip(learners.items(), styles, strict=True):
    runs = [shops.feedback(market, learn=learn, explore=explored, seed=seed) for seed in range(8)]
    regret[name] = np.mean([run.regret for run in runs], axis=0)
    gini[name] = np.mean([run.gini for run in runs], axis=0)
    rounds = " ".join(f"{regret[name][n]:.2f}" for n in (4, 9, 29))
    print(f"{name:30} regret in rounds 5, 10, 30: {rounds}; Gini {gini[name][-1]:.2f}")
    left.plot(range(1, 31), regret[name], linestyle=line, label=name)
    right.plot(range(1, 31), gini[name], linestyle=line)
left.set(xlabel="round", ylabel="regret (clicks per request)", ylim=(0, 0.9))
right.set(xlabel="round", ylabel="Gini of impressions", ylim=(0, 1))
left.set_title("Bestsellers never find the best items")
right.set_title("Bestsellers keep showing the same few")
left.legend(fontsize=9, ncols=1, loc="upper right")
fig.tight_layout()
words = (
    f"After 30 rounds the order by clicks loses {regret['bestsellers'][-1]:.2f} clicks per request "
    f"and shows few items (Gini {gini['bestsellers'][-1]:.2f}); "
    f"the order by clicks per look loses {regret['clicks per look'][-1]:.2f}."
)
show(fig, alt=words)

# %% [markdown]
# What was never shown was never clicked. Dividing by impressions more than halves the regret, dividing by looks does the rest.
#
# With clicks per look, random lists find good items sooner, and keep costing clicks after that. The Gini ends higher, because the shop
# settles on its best ten earlier. For bestsellers they change little. What they buy is a known propensity for every item.

# %% [markdown]
# ## What experiments cost, and what they buy · optional
#
# The first table prices the experiments. In its first row swaps look nearly free: they sometimes mend the planted mistake.
#
# Exploring buys the value of a ranking *before* it is shown. Whenever the log has an item on the slot where the new ranking would have it, a
# click counts $1/p$ (Li et al., 2018).

# %%
# what the experiments cost in clicks; the planted mistake makes swaps look nearly free
exchanged = [[k, *range(1, k), 0, *range(k + 1, 20)] for k in range(1, 10)]
prices, best_order = {}, np.argsort(-shop.appeal, axis=1)
for name, orders in {
    "as planted": policy.orders,
    "mended": moved,
    "best order": best_order,
}.items():
    now, random_lists = (
        shop.clicks_per_request(orders),
        shop.examination.sum() * shop.mean_appeal.mean(),
    )
    by_swaps = np.mean([shop.clicks_per_request(orders[:, columns]) for columns in exchanged])
    prices[name] = [f"{by_swaps / now / 2 - 0.5:+.1%}", f"{random_lists / now - 1:+.1%}"]
pd.DataFrame(prices, index=["swaps", "random lists"]).T

# %%
for name, orders in {"old ranking": policy.orders, "item 0 on top": moved}.items():
    value = shops.policy_value(traffic, orders)
    print(f"{name:14} clicks per request {value}, in truth {shop.clicks_per_request(orders):.3f}")

# %% [markdown]
# ### How many customers, and no peeking · optional
#
# An A/B test needs a size before it starts. With the rates $p$ and $q = p + \text{lift}$, each arm needs
#
# $$n = \frac{(z_{1-\alpha/2} + z_{\text{power}})^2\,\bigl(p(1-p) + q(1-q)\bigr)}{\text{lift}^2}$$
#
# customers. $z_x$ is the normal quantile, $\alpha$ the chance of a false alarm, *power* the chance to find the lift.
#
# What if somebody looks every evening, and stops at the first "significant" difference? We let both arms be equal, 10,000 times. A *sequential
# test* sets a higher bar for each look; the last line finds it.


# %%
def sample_size(base, lift, alpha=0.05, power=0.8):
    z, other = norm.ppf(1 - alpha / 2) + norm.ppf(power), base + lift
    return int(np.ceil(z**2 * (base * (1 - base) + other * (1 - other)) / lift**2))


base = traffic.clicks[~traffic.explored].any(axis=1).mean()  # share of requests with a click
n = sample_size(base, lift=0.02)
simulated = np.random.default_rng(0).binomial(n, [[base], [base + 0.02]], (2, 10_000)) / n
error = np.sqrt((simulated * (1 - simulated) / n).sum(axis=0))
print(f"{n:,} customers per arm find a lift of .02 on {base:.3f}", end=" ")
print(f"in {np.mean(simulated[1] - simulated[0] > 1.96 * error):.1%} of 10,000 simulated tests")
apart = shops.peeking(base, n, n_looks=14, n_tests=10_000, rng=np.random.default_rng(0))
print(f"false alarms with one look, on day 14: {(apart[:, -1] > 1.96).mean():.1%}")
print(f"false alarms with a look every day:    {(apart > 1.96).any(axis=1).mean():.1%}")
bar = np.quantile(apart.max(axis=1), 0.95)
print(f"bar that 5 % of the tests ever pass:   {bar:.2f} standard errors, not 1.96")

# %%
choice = ...  # "a", "b", "c", or use the buttons
### BEGIN SOLUTION 10.q3
choice = "c"
### END SOLUTION
exercise("10.q3").ask(choice)

# %% [markdown] tags=["core"]
# ## The A/B test
#
# Only IPS / looks stayed near the truth, even at bias 0, where the others still mix up who saw what. It says: item 0 belongs on top. So arm A
# shows the old ranking, arm B item 0 on top, and a coin decides for each customer. Then both arms have about the same number. If not, some
# got lost in one arm, and the rest cannot be compared: a *sample-ratio mismatch* (SRM). With $e$, half of all customers,
#
# $$\chi^2 = \sum_{\text{arms}} \frac{(\text{count} - e)^2}{e}$$
#
# is above 10.83 in one of a thousand fair tests. By hand: 10,000 and 9,500 customers give $\chi^2 = 2 \cdot 250^2/9{,}750 = 12.8$.

# %% [markdown]
# **Exercise 10.9** (8 min). Write `read_test(n_a, clicked_a, n_b, clicked_b)`. It takes the customers of each arm, and how many of them
# clicked. It returns
#
# - `"invalid"` if the counts show a sample-ratio mismatch;
# - `"better"` or `"worse"` if the 95 % interval of B − A, the difference of the two rates ± 1.96 standard errors, does not hold 0;
# - `"open"` if it does.
#
# The variance of a difference is the sum of the variances, $p(1-p)/n$ for each rate. Which question comes first?


# %%
def read_test(n_a, clicked_a, n_b, clicked_b):
    ### BEGIN SOLUTION 10.9
    expected = (n_a + n_b) / 2
    chi_square = sum((n - expected) ** 2 for n in (n_a, n_b)) / expected
    if chi_square > 10.83:
        return "invalid"
    p, q = clicked_a / n_a, clicked_b / n_b
    bar = 1.96 * np.sqrt(p * (1 - p) / n_a + q * (1 - q) / n_b)
    return "better" if q - p > bar else "worse" if p - q > bar else "open"
    ### END SOLUTION


# %%
q9 = exercise("10.9")
q9.check(read_test)

# %% [markdown]
# About 9,800 customers per arm find a lift of .02 in four of five tests. A *guardrail* metric has a limit set beforehand, such as latency or
# returns. Here the clicks on all other items may fall by 15 %.
#
# Arms C and D have the *same* ranking. But one in ten of D's customers who do not click leaves before they are logged.

# %%
read_test, rng = q9.use(read_test), np.random.default_rng(8)
to_b = int((rng.random(2 * n) < 0.5).sum())
arms = {"A": (policy.orders, 2 * n - to_b), "B": (moved, to_b)}
arms |= {"C": (policy.orders, 2 * n - to_b), "D": (policy.orders, to_b)}
rows = {}
for arm, (orders, size) in arms.items():
    clicks_of = shops.visit(shop, shops.Policy(orders), size, rng)
    anyone, others = clicks_of.clicks.any(axis=1), clicks_of.clicks & (clicks_of.items != 0)
    logged = anyone | (rng.random(size) > 0.1) if arm == "D" else anyone | True
    counts = logged.sum(), anyone.sum()
    per_request = clicks_of.clicks[logged].sum(axis=1).mean(), others[logged].sum(axis=1).mean()
    rows[arm] = [*counts, counts[1] / counts[0], *per_request]
columns = ["customers", "who clicked", "share", "clicks per request", "on other items"]
for one, other in ("AB", "CD"):
    lift = shop.any_click(arms[other][0]) - shop.any_click(arms[one][0])
    print(f"{other} against {one}: {read_test(*rows[one][:2], *rows[other][:2])}", end="; ")
    print(f"true lift {lift:.3f}; other items {rows[other][4] / rows[one][4] - 1:+.0%}")
print(f"clicks per request of B, by the old log: {shops.policy_value(traffic, moved)}")
pd.DataFrame(rows, index=columns).T.round(3).astype({"customers": int, "who clicked": int})

# %% [markdown]
# B is better, by more than three times the lift of .02. Its clicks per request lie in the interval that the old log gave before. But the
# guardrail is broken: other items lose 31 %. By the rule set beforehand, B does not ship.
#
# D has the larger share, too, with the same ranking. Only the counts show that customers are missing.

# %% [markdown]
# ## Choosing the loss · optional
#
# One matrix factorization, four losses, each with the best of a dozen settings; the mean of three seeds.
#
# | loss | a click is | gradient for the score $s_i$ |
# |---|---|---|
# | pointwise | a yes, beside 5 sampled negatives | $\sigma(s_i) - y_i$, on the sample |
# | multi-label | one of 9,066 yes-or-no answers | $\sigma(s_i) - y_i$, on all |
# | pairwise (BPR) | a win over sampled items $j$ | $-\sigma(s_j - s_i)$ |
# | softmax (listwise) | one choice among all | $n\,\mathrm{softmax}(s)_i - y_i$ |
#
# $y_i$ is 1 for a click, $\sigma$ the sigmoid, $n$ the user's clicks. BPR: Bayesian personalized ranking. NDCG@10: normalized discounted
# cumulative gain. *Coverage*: the share of the catalog in any list.

# %% tags=["nbval-ignore-output"]
n_clicks, results, of_lists, rows = split.train.item_counts(), {}, {}, {}
for name in ("popularity", "listwise", "multi-label", "pairwise", "pointwise"):
    seeds, tops = [], []
    for seed in range(1 if name == "popularity" else 3):
        model = Popularity() if name == "popularity" else LossMF(name, seed=seed)
        scores = model.fit(split.train).scores(everyone)
        seeds.append(judge(scores))
        tops.append(metrics.top_k(scores, seen=split.train))
    results[name], shares = averaged(seeds), [metrics.coverage(top, n_items) for top in tops]
    of_lists[name] = {"coverage": np.mean(shares), "median clicks": np.median(n_clicks[tops])}
    print(f"{name:12} NDCG@10 by seed:", *(f"{run['ndcg'].mean:.3f}" for run in seeds))
lowest, best = results["popularity"]["ndcg"], results["listwise"]["ndcg"]
for name, of in results.items():
    rows[name] = {f"{metric.metric}@10": metric.interval for metric in of.values()}
    rows[name] |= {"NDCG above popularity": of["ndcg"].compare(lowest)}
    rows[name] |= {"NDCG behind listwise": best.compare(of["ndcg"]), **of_lists[name]}
assert min(of["ndcg"].mean for of in results.values()) == lowest.mean
pd.DataFrame(rows).T.map(lambda cell: f"{cell:.3g}" if isinstance(cell, float) else str(cell))

# %% [markdown]
# Multi-label and listwise look at the whole catalog, and are above popularity. For the two that sample, the interval of the difference
# holds 0. Between the four losses nothing is established. All four show five to nine times as many films as the popular list. With nine
# million items only sampling is left, with chapter 04's questions.

# %% [markdown]
# ## Watching over it · optional
#
# A model that runs is not yet a model that works. Four alarms come from the log alone: errors, latency, coverage, drift. Here is a planted
# week with four incidents. A look at a popular item becomes a click more often, so click rates can react.

# %%
watch = events.EventLog(home / "week.sqlite").load(week := planted_week(seed=0))
watch.query(f"""SELECT (time - {WEEK_BEGINS}) / {DAY} AS day, count(DISTINCT item) AS items_shown,
round(1.0 * sum(kind = 'click') / sum(kind = 'impression'), 3) AS click_rate,
round(avg(CASE WHEN kind = 'response' THEN status >= 500 END), 3) AS errors
FROM events GROUP BY day""")

# %% [markdown]
# On day 4 a broken filter left only eight items. They are favorites, so the click rate is the *best* of the week. Clicks alone would
# celebrate; coverage shows the fault. Day 2 has more errors, but when?
#
# **Exercise 10.5** (8 min). Write `alarm`, SQL over `events` (one row per event; `kind` is `impression`, `click` or `response`, `time` is
# in milliseconds). It returns `hour` (`time / 3600000`) and `error_rate` for each hour with at least 10 responses of which more than 5 % failed
# (`status` 500 or above), ordered by hour.

# %%
alarm = ...  # SQL as text
### BEGIN SOLUTION 10.5
alarm = """SELECT time / 3600000 AS hour, avg(status >= 500) AS error_rate FROM events
WHERE kind = 'response' GROUP BY hour HAVING count(*) >= 10 AND error_rate > 0.05 ORDER BY hour"""
### END SOLUTION

# %%
q5 = exercise("10.5")
q5.check(alarm)

# %%
count = f"SELECT time / {HOUR} AS hour, sum(status >= 500) AS failures FROM events GROUP BY hour"
hours = watch.query(q5.use(alarm)).rename(columns=str.lower).merge(watch.query(count), on="hour")
hours["day"], hours["of_day"] = divmod(hours["hour"] - WEEK_BEGINS // HOUR, 24)
twice = hours[hours["failures"] >= 2]
print(f"{len(hours)} hours ring, {len(twice)} of them for two failures or more:")
print(twice[["day", "of_day", "failures", "error_rate"]].round(2).to_string(index=False))

# %%
# cume_dist(): the share of a model's answers that took no longer than this one
ranked = "cume_dist() OVER (PARTITION BY model ORDER BY latency_ms) AS share"
ranked = f"SELECT model, latency_ms, {ranked} FROM events WHERE kind = 'response'"
slow = f"SELECT * FROM ({ranked}) WHERE share >= 0.95"
watch.query(f"SELECT model, min(latency_ms) AS p95_ms FROM ({slow}) GROUP BY model")

# %% [markdown]
# Most hours ring for *one* failure among a dozen answers. With two or more, 4 of 22 remain, three of them on the morning of day 2. The
# second model, `mf-2`, takes twice as long.
#
# Last, *drift*: is the log still like the one of the training? The *population stability index* (PSI) compares the shares $p_g$ before and
# $q_g$ after: $\sum_g (q_g - p_g)\ln(q_g/p_g)$. By custom, below 0.1 is quiet, above 0.25 an alarm. Day 3 shows items as before, so
# its PSI is what chance alone gives. On days 5 and 6 other customers came.
#
# **Exercise 10.6** (8 min, *stretch*). Write `drift`, SQL over `events`. It returns one row per `item` that was shown: its impressions
# `before` the time `:cut`, and from then on, `after`.

# %%
drift = ...  # SQL as text, with :cut in it
### BEGIN SOLUTION 10.6
drift = """SELECT item, sum(time < :cut) AS before, sum(time >= :cut) AS after FROM events
WHERE kind = 'impression' GROUP BY item ORDER BY item"""
### END SOLUTION

# %%
q6 = exercise("10.6")
q6.check(drift)


# %%
def psi(before, after):
    p, q = ((n + 0.5) / (n + 0.5).sum() for n in (before, after))  # half a count: no share is 0
    return ((q - p) * np.log(q / p)).sum()


drift = q6.use(drift)

# %%
day_of = (week["time"] - WEEK_BEGINS) // DAY
for day in range(3, 7):
    part = events.EventLog(home / f"day-{day}.sqlite").load(week[(day_of < 3) | (day_of == day)])
    shown = part.query(drift, {"cut": WEEK_BEGINS + 3 * DAY}).rename(columns=str.lower)
    print(f"days 0 to 2 against day {day}: PSI {psi(shown['before'], shown['after']):.2f}")

# %% [markdown]
# ## What the sources say · optional
#
# **"Display bias is very strong"** (2018 talk). Our shop shows what it does *if* looks fall as 1/slot: the best item looked eight times worse
# than it is. How strong it is in yours, only an experiment says. Without position and propensity, a log cannot be mended later.
#
# **"Tools such as Amazon Kinesis are ideally suited"** (same). They deliver at least once and refuse in part. The outbox, the retries and
# the idempotent writes are yours.
#
# **"Ranking loss often works better"** (same). Here no difference between the four losses was established.
#
# **"You can save it in the database"** (post of 2019, on lists from a batch job). That is our nightly table.

# %% [markdown]
# ## Where to go from here · optional
#
# - **Sequential transformers** read a history with attention (Kang and McAuley, 2018: SASRec); they need more data than ours.
# - **Graphs** average vectors over neighbors (He et al., 2020: LightGCN); over a tuned factorization the gain is often small.
# - **Generative recommenders** write the next item as a short code (Rajput et al., 2023); the large gains come from large logs.
# - **Language models** rank titles without training (Hou et al., 2024), and help most where clicks are few.
# - **Bandits** explore where the estimate is uncertain; propensities then change with each request (Li et al., 2010).
# - **Fairness** asks who is shown, and whom the errors hit; coverage is only a beginning (Ekstrand et al., 2022).

# %% [markdown]
# ## References · optional
#
# N. Craswell et al., 2008: *An Experimental Comparison of Click Position-Bias Models*. · T. Joachims et al., 2017: *Unbiased
# Learning-to-Rank with Biased Feedback* (swaps). · S. Li et al., 2018: *Offline Evaluation of Ranking Policies with Click Models*. · S.
# Rendle et al., 2009: *BPR*. · W.-C. Kang, J. McAuley, 2018: *Self-Attentive Sequential Recommendation*. · X. He et al., 2020:
# *LightGCN*. · S. Rajput et al., 2023: *Recommender Systems with Generative Retrieval*. · Y. Hou et al., 2024: *Large Language Models are
# Zero-Shot Rankers*. · L. Li et al., 2010: *A Contextual-Bandit Approach to Personalized News*. · M. Ekstrand et al., 2022: *Fairness in
# Information Access Systems*. · Z. Karnin, R. Thamman, 2019: AWS post. · AWS, 2018: training talk.

# %% [markdown] tags=["core"]
# ## Recap and scoreboard
#
# In this chapter we
#
# - served one model from a table and an endpoint, and chose by latency, freshness, reach and cost;
# - logged every impression with its propensity, through kills, each event once;
# - saw a good item look bad because of its slot, and corrected two biases in SQL;
# - valued a new ranking from the old log, then tested it;
# - compared four losses, and found four incidents with SQL.
#
# **Next:** back to [00 Start here](00_start_here.ipynb) for the map, or on to a log of your own.
#
# Before you open another chapter, choose *Kernel → Shut Down Kernel*: a chapter holds up to 1.2 GB. On Binder everything is gone when the
# session ends: take your notebooks along with *File → Download*.

# %% tags=["nbval-ignore-output"]
protocol = ledger.Protocol(chapter="10", dataset="latest-small", split=split.name)
protocol = replace(protocol, candidates=best.candidates)
for name, result in results.items():
    ledger.record_lists(protocol, result.values(), model=name)
    share = of_lists[name]["coverage"]
    ledger.record(protocol, model=name, metric="coverage", k=10, value=share)
for name in ("table", "re-ranked"):
    ledger.record_lists(protocol, stages[name].values(), model=f"net, {name}")
planted = "40,000 requests, 20 % explored"
shop_log = ledger.Protocol(chapter="10", dataset="planted shop, seed 0", split=planted)
for name, e in estimates.items():
    ends = {"value": e.value, "low": e.low, "high": e.high}
    ledger.record(shop_log, model=name, metric="click rate of item 0", **ends)
ledger.scoreboard("10")

# %%
progress("10")
