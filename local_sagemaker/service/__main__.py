"""The service's process: ``python -m local_sagemaker.service PORT WORK-FOLDER [STATE-FOLDER]``."""

import contextlib
import gc
import json
import logging
import os
import select
import signal
import sys
import threading
from logging.handlers import RotatingFileHandler
from pathlib import Path

from local_sagemaker.files import loopback_without_proxy
from local_sagemaker.jobs import log_stream
from local_sagemaker.jobs.environment import NO_ACCOUNT, REGION
from local_sagemaker.jobs.training_run import GROUP
from local_sagemaker.service import contract, moto
from local_sagemaker.service.account import Account
from local_sagemaker.service.door import Door
from local_sagemaker.service.s3 import StoredS3
from local_sagemaker.service.store import ACCOUNT


def main(port: int, work: Path, state: Path | None = None) -> int:
    """Print a line of JSON, where it listens, and serve; returns 3 where the port is taken."""
    token = os.environ.pop("LOCAL_SAGEMAKER_TOKEN")
    log = (state or work) / "service.log"
    handler = RotatingFileHandler(log, maxBytes=1 << 20, backupCount=1, encoding="utf-8")
    logging.basicConfig(handlers=[handler], format="%(asctime)s %(name)s %(message)s")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(NO_ACCOUNT, MOTO_ACCOUNT_ID=ACCOUNT)
    loopback_without_proxy(os.environ)
    try:
        door = Door(port, token)
    except OSError as error:
        said = f"port {port} of 127.0.0.1 can't be used: {error.strerror}"
        print(json.dumps({"error": f"{said}. Name another --port, or none"}), flush=True)
        return 3
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    threading.Thread(target=_end_with, args=(os.getppid(), over), daemon=True).start()
    door.plane = plane = Account(f"http://127.0.0.1:{door.port}", token, work, state)
    door.rest = moto.answer
    set_aside = plane.store.set_aside
    if state is not None:
        door.rest = kept = StoredS3(state / "s3")
        set_aside = set_aside + kept.set_aside
    threading.Thread(target=door.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
    print(json.dumps({"port": door.port, "set_aside": set_aside}), flush=True)
    threading.Thread(target=_prepare, args=(plane, door.ready), daemon=True).start()
    over.wait()
    plane.close()
    os._exit(0)  # threads of connections and of jobs are not waited for


def _prepare(plane: Account, ready: threading.Event) -> None:
    """Make the account's one role and its default bucket, which the SDK looks up."""
    contract.service()  # first: what it reads serves moto, too
    who = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}
    trust = {"Version": "2012-10-17", "Statement": [who | {"Action": "sts:AssumeRole"}]}
    plane.client("iam").create_role(RoleName=moto.ROLE, AssumeRolePolicyDocument=json.dumps(trust))
    place = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    with contextlib.suppress(plane.s3.exceptions.BucketAlreadyOwnedByYou):  # it was kept
        plane.s3.create_bucket(Bucket=f"sagemaker-{REGION}-{ACCOUNT}", **place)
    log_stream.group(GROUP)  # the first job does not wait for moto's Logs to load
    gc.freeze()  # what is loaded stays: later collections need not look at it
    ready.set()


def _end_with(parent: int, over: threading.Event) -> None:
    """Set ``over`` when the standard input is closed or the parent is gone."""
    while os.getppid() == parent:
        if select.select([0], [], [], 0.5)[0] and not os.read(0, 1024):
            break
    over.set()


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), *map(Path, sys.argv[2:])))
