"""Chapter 07's night: killed anywhere, run twice, empty, read meanwhile; its state machine."""

import json
import sqlite3
import textwrap  # noqa: F401
from contextlib import closing, suppress
from hashlib import md5
from itertools import count
from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pandas as pd
from botocore.session import get_session
from botocore.validate import ParamValidator
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser

from helpers import book, sampling  # noqa: F401
from helpers.cloud.exchange import download, upload_matrix
from helpers.data import Interactions
from helpers.knn import VectorIndex  # noqa: F401
from helpers.models.fm import side_by_side  # noqa: F401

CODE = [c.source for c in book.solved(book.read(book.sources(["07"])[0])).cells if "outputs" in c]
MARKS = ("nights_db =", "STEPS =", "machine =")
FIRST, RUN, LAST = (next(i for i, cell in enumerate(CODE) if mark in cell) for mark in MARKS)
EARLIER = ("def fold(", "def items_of(", "def neighbors_of(", "def first_allowed(")
EARLIER = [cell.partition("\n\n\n")[0] for cell in CODE if cell.startswith(EARLIER)]
SAGEMAKER, SCHEDULER = (get_session().get_service_model(s) for s in ("sagemaker", "scheduler"))


def chapter(folder, s3, left=0, more=(), cells=RUN + 1):
    """Run the section's cells over planted jobs and 12 users; call number ``left`` is the last."""
    at = np.append(np.random.default_rng(0).permutation(700)[:300], more).astype(int)
    time = 1476403200 + 86400 * np.where(at >= 660, 2, at % 3)  # user 12 comes on 16 October 2016
    table = pd.DataFrame({"user_id": at // 60 + 1, "item_id": 9 + at % 60, "timestamp": time})
    ratings, calls = Interactions.from_frame(table.assign(rating=4.0)), count(1)
    n_users, n_items, labels, place, FM, RECORDIO = 12, 60, np.arange(1, 61), "p", "fm", "records"
    c_settings, knn_settings = {"num_factors": 3}, {"k": 40}

    class Killable(sqlite3.Connection):
        def execute(self, *sql):
            return put_object("b", "sql", b"") and super().execute(*sql)

    def put_object(Bucket, Key, Body):
        if next(calls) == left:
            raise KeyboardInterrupt
        s3[Key] = bytes(Body)
        return {"ETag": md5(Body).hexdigest()}

    def run_job(algorithm, name, settings, uri):
        etag = put_object("b", f"job-{len(s3)}", s3[uri[7:]])["ETag"]
        return s3.setdefault((str(settings), etag), f"s3://b/job-{len(s3) - 1}")

    def drawn(data):
        return np.random.default_rng([*md5(data).digest()])

    def read_model(path):
        v = drawn(path.read_bytes()).normal(size=(72, 4))
        return Has(v=v, w1=v[:, 0])

    def transform(name, *uris):
        turn = drawn(b"".join(s3[uri[7:]] for uri in uris)).integers(4)  # 0 to 3 places
        orders = (np.random.default_rng(user).permutation(60) + 1 for user in range(12))
        lines = [json.dumps({"labels": np.roll(order, turn).tolist()}) for order in orders]
        put_object("b", f"p/answers/{name}/data.pbr.out", "\n".join(lines).encode())

    aws = Has(bucket="b", region="r", account="1", role="arn:aws:iam::1:role/r", name=str)
    s3_client = Has(download_file=lambda bucket, key, path: Path(path).write_bytes(s3[key]))
    s3_client.list_objects_v2 = lambda Bucket, Prefix: {"KeyCount": int(Prefix in s3)}
    s3_client.put_object, aws.client = put_object, lambda _: s3_client
    artifact, exchange = (
        Has(read_model=read_model),
        Has(upload_matrix=upload_matrix, download=download),
    )
    exchange.finished_job = lambda aws, settings, etag: s3.get((str(settings), etag))
    names = globals() | locals() | {"image_uris": Has(retrieve=lambda name, region: name)}
    names["sagemaker"] = Has(meta=Has(service_model=SAGEMAKER))
    names["sqlite3"] = Has(connect=lambda *a, **k: sqlite3.connect(*a, **k, factory=Killable))
    for source in EARLIER + CODE[FIRST:cells]:
        exec(source if cells > RUN + 1 else source.partition("\nprint(")[0], names)
    return Has(**names)


def run(folder, s3, day, left=0, more=()):
    names = chapter(folder, s3, left, more)
    return names.nightly(names.aws, f"2016-10-{day}")


def read(folder, table="shown"):
    with closing(sqlite3.connect(f"file:{folder / 'nights.db'}?mode=ro", uri=True)) as db:
        return db.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()


def test_a_night_killed_anywhere_is_mended_by_the_next(tmp_path):
    """Readers see the whole last night until this one is whole; no file is made twice."""
    for left in count():
        (folder := tmp_path / str(left)).mkdir()
        run(folder, s3 := {}, 15)
        old = read(folder)
        with suppress(KeyboardInterrupt):
            run(folder, s3, 16, left)
            if left:
                break
            whole = [*s3]
        if left:
            assert read(folder) == old and [*s3] == whole[: len(s3)]
            run(folder, s3, 16)
        assert [*s3] == whole and read(folder, "suggestion") == read(tmp_path / "0", "suggestion")
    assert left > 12


def test_a_night_again_an_empty_day_a_late_rating_and_an_old_night(tmp_path):
    last = run(tmp_path, s3 := {}, 16)
    rows, made = read(tmp_path), [*s3]
    assert {row[1] for row in rows} == {*range(13)} and len(rows) == 13 * 10
    for day in (16, 17, 31):  # nobody rated after the 16th
        again = run(tmp_path, s3, day)
        assert not again["new"] and again["version"] == last["version"] and "model" not in again
    assert read(tmp_path) == rows and [*s3] == made
    run(tmp_path, s3, 15)  # readers stay with the newest night
    old = {row[1] for row in read(tmp_path, "suggestion") if row[0] == "2016-10-15"}
    assert read(tmp_path) == rows and old == {*range(12)}
    for _ in range(5):  # each one gets further; the last dies while what readers see is replaced
        with suppress(KeyboardInterrupt):
            run(tmp_path, s3, 16, 10, more=[719])
        assert read(tmp_path) == rows
    assert run(tmp_path, s3, 16, more=[719])["model"] != last["model"]
    assert run(tmp_path, s3, 16)["model"] == last["model"]  # it goes by the bytes, not by the day
    assert read(tmp_path) == rows


def test_the_state_machine_is_one_and_its_requests_are(tmp_path):
    page = chapter(tmp_path, {}, cells=LAST + 1)
    AmazonStateLanguageParser.parse(json.dumps(page.machine))
    good = page.checked(page.states).query("request == 'as botocore expects'")
    assert [*good.index] == ["fit", "build_index", "create_model", "ask"]
    shape = SCHEDULER.shape_for("CreateScheduleInput")
    assert not ParamValidator().validate(page.clock, shape).has_errors()
    page.states["ask"]["Parameters"].pop("TransformInput")
    assert "TransformInput" in page.checked(page.states)["request"]["ask"]
