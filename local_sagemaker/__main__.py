"""One service for a whole lab, until Ctrl-C. S3, jobs, models and endpoints are kept on disk."""

import argparse
import shlex
import signal
import sys
import threading
import time
from pathlib import Path

from local_sagemaker import launch
from local_sagemaker.errors import CloudError
from local_sagemaker.files import hold, set_aside


def main(arguments: list[str] | None = None) -> int:
    """Serve until Ctrl-C; 0, or 2 where it can't."""
    parser = argparse.ArgumentParser(
        prog="python -m local_sagemaker", description="SageMaker for a whole lab."
    )
    parser.add_argument("--port", type=_port, default=0, help="port on 127.0.0.1 (any free one)")
    parser.add_argument("--state", type=Path, help="folder for what is stored")
    parser.add_argument("--env", action="store_true", help="print variables for a running lab's")
    options = parser.parse_args(arguments)
    folder = options.state or launch.state_folder()
    try:
        if not options.env:
            return _serve(folder.resolve(), options.port)
        for name, value in launch.running(folder).variables().items():
            print(f"export {name}={shlex.quote(value)}")
        return 0
    except CloudError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{folder} can't be used: {error.strerror}. Name another folder by --state.")


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 2


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: expected a number from 0 to 65535")
    return int(text)


def _serve(folder: Path, port: int) -> int:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = hold(folder / "lock")
    if lock is None:
        time.sleep(0.3)  # a kernel may be looking whether it is held
        lock = hold(folder / "lock")
    if lock is None:
        return _failed(f"A lab's server already uses {folder}: end it, or name another --state.")
    with lock:
        ours = (folder / "server.json", folder / "service.log")
        moved = [set_aside(path, "it is a folder") for path in ours if path.is_dir()]
        server = launch.launch(state=folder, port=port).listening()
        try:
            launch.wait_until_ready(server)
            launch.announce(server, folder)
            print(
                *moved,
                *server.set_aside,
                f"SageMaker runs on this machine ({server.url}) and keeps its state in {folder}.",
                f"Its log is {folder / 'service.log'}.",
                "Notebooks that connect use it. Ctrl-C ends it.",
                sep="\n",
                flush=True,
            )
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
