"""What authors make of the course: locks, links, an offline folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from helpers.runner.machine import CannotRun


def run(main: Callable[[Sequence[str]], int]) -> None:
    """End this program with the exit code of ``main``; say in one sentence why it cannot run."""
    try:
        sys.exit(main(sys.argv[1:]))
    except CannotRun as reason:
        print(reason, file=sys.stderr)
        sys.exit(reason.code)
    except PermissionError as error:  # a checkout on a read-only disk, or of somebody else
        words = "Nothing can be written in {}: copy the course to a folder of yours."
        print(words.format(Path(error.filename).parent), file=sys.stderr)
        sys.exit(2)
