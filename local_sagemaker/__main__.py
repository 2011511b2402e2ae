"""One service for a whole lab: ``python -m local_sagemaker``. What is stored in it is there the next time.

Every kernel that calls ``cloud.connect()`` meanwhile uses it, so that a model trained in one chapter is
found by another. It ends with Ctrl-C; objects in S3, jobs, models and endpoints are kept on disk, logs
and Kinesis streams are not.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from local_sagemaker import launch
from local_sagemaker.errors import CloudError
from local_sagemaker.files import hold


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; 0, or 2 where it can't."""
    parser = argparse.ArgumentParser(
        prog="python -m local_sagemaker", description="SageMaker for a whole lab."
    )
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (any free one)")
    parser.add_argument("--state", type=Path, default=None, help="folder for what is stored")
    options = parser.parse_args(arguments)
    folder = options.state or launch.state_folder()
    if folder is None:
        print("COURSE_CLOUD_STATE is empty: name a folder with --state.", file=sys.stderr)
        return 2
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = hold(folder / "lock")
        if lock is None:
            print(
                f"A lab's server already uses {folder}: notebooks find it. End that one with Ctrl-C first, or"
                " name another folder with --state.",
                file=sys.stderr,
            )
            return 2
        try:
            return _serve(folder, options.port, over)
        finally:
            os.close(lock)
    except CloudError as error:
        taken = options.port and "can't be used" in str(error)
        hint = f" Name another --port than {options.port}, or none." if taken else ""
        print(f"{error}{hint}", file=sys.stderr)
        return 2
    except OSError as error:
        print(
            f"{folder} can't be used: {error.strerror}. Name another folder with --state.",
            file=sys.stderr,
        )
        return 2


def _port(text: str) -> int:
    """Read a port's number."""
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: expected a number from 0 to 65535")
    return int(text)


def _serve(folder: Path, port: int, over: threading.Event) -> int:
    server = launch.start(state=folder, port=port)
    try:
        launch.wait_until_ready(server)
        launch.announce(server, folder)
        print(
            f"SageMaker runs on this machine ({server.url}) and keeps what is stored in {folder}.",
            flush=True,
        )
        print("Notebooks that call cloud.connect() use it. Ctrl-C ends it.", flush=True)
        assert server.process is not None
        while not over.wait(0.3):
            if server.process.poll() is not None:
                print("The service ended by itself; start this again.", file=sys.stderr)
                return 1
        print(f"Ended. What is stored stays in {folder}.", flush=True)
        return 0
    finally:
        (folder / "server.json").unlink(missing_ok=True)
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
