"""Authors' tasks, each the ``main`` of a module; it is imported here: `locks` needs no package."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from helpers.runner.machine import CannotRun


def main(arguments: Sequence[str]) -> int:
    """Run a module's ``main``; return its exit code, or say in one sentence why it cannot run."""
    try:
        name, *rest = arguments
        if name == "build":
            from helpers.book import main as task
        else:
            task = importlib.import_module(f"helpers.publish.{name}").main
        return int(task(rest))
    except (CannotRun, KeyboardInterrupt) as reason:
        print(str(reason) or "\nStopped.", file=sys.stderr)
        return getattr(reason, "code", 130)
    except OSError as error:  # a place that is read-only or somebody else's; a file for a folder
        if error.filename is None or isinstance(error, FileNotFoundError):
            raise
        words = "{} cannot be written ({}): name a folder of yours, or copy the course to one."
        print(words.format(error.filename2 or error.filename, error.strerror), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
