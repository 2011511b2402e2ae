"""Start the service: ``python -m local_sagemaker.service --work FOLDER [--state FOLDER] [--port N]``.

It prints one line of JSON, where it listens, as soon as it does. It ends when its standard input is
closed, or its parent is gone, or at SIGTERM; and takes every program it started with it.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from local_sagemaker.jobs.training_run import GROUP
from local_sagemaker.service.account import REGION, Account
from local_sagemaker.service.door import Door
from local_sagemaker.service.moto import ROLE, Moto
from local_sagemaker.service.store import ACCOUNT


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end, then end this process; returns 3 where the port is taken."""
    parser = argparse.ArgumentParser(prog="local_sagemaker.service")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--region", default=REGION)
    options = parser.parse_args(arguments)
    token = os.environ.pop("COURSE_CLOUD_TOKEN")
    options.work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=options.work / "service.log",
        format="%(asctime)s %(name)s %(message)s",
        level=logging.WARNING,
    )
    isolate()
    parent = os.getppid()
    try:
        door = Door(options.port, token)
    except OSError as error:
        print(
            json.dumps(
                {"error": f"port {options.port} of 127.0.0.1 can't be used: {error.strerror}"}
            ),
            flush=True,
        )
        return 3
    over = threading.Event()
    _end_with(parent, over)
    plane = Account(
        f"http://127.0.0.1:{door.port}", token, options.work, options.state, options.region
    )
    moto = Moto(door.port)
    door.plane = plane
    if options.state is None:
        door.rest = moto
    else:
        from local_sagemaker.service.journal import Journal

        door.rest = Journal(options.state / "s3", moto)
    threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
    print(json.dumps({"port": door.port, "pid": os.getpid()}), flush=True)

    def load() -> None:
        prepare(plane)
        door.ready.set()

    threading.Thread(target=load, daemon=True).start()
    over.wait()
    plane.close()
    os._exit(0)  # threads of connections and of jobs are not waited for


def isolate() -> None:
    """Leave nothing in this process that leads to a real account."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "MOTO_ACCOUNT_ID": ACCOUNT,
    }


def prepare(plane: Account) -> None:
    """Make the account's one role and its default bucket, so that the SDK finds what it looks up."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    plane.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
    bucket = f"sagemaker-{plane.region}-{ACCOUNT}"
    if bucket not in {found["Name"] for found in plane.s3.list_buckets()["Buckets"]}:
        plane.s3.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": plane.region}
        )
    try:
        plane.logs.create_log_group(
            logGroupName=GROUP
        )  # the first job does not wait for moto's Logs to load
    except plane.logs.exceptions.ResourceAlreadyExistsException:
        return


def _end_with(parent: int, over: threading.Event) -> None:
    """Set ``over`` when the standard input is closed, the parent is gone, or a signal says so."""

    def watch_input() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            continue
        over.set()

    def watch_parent() -> None:
        while not over.wait(0.5):
            if os.getppid() != parent:
                over.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    threading.Thread(target=watch_input, daemon=True).start()
    threading.Thread(target=watch_parent, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
