"""Authors' tasks, each the ``main`` of a module here: ``python -m helpers.publish site OUT``.

Modules are imported when they are asked for: `locks` runs on a bare Python.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from helpers.runner.machine import CannotRun


def main(arguments: Sequence[str]) -> int:
    """Run a module's ``main``; return its exit code, or say in one sentence why it cannot run."""
    try:
        name, *rest = arguments
        return int(importlib.import_module(f"helpers.publish.{name}").main(rest))
    except CannotRun as reason:
        print(reason, file=sys.stderr)
        return reason.code
    except (PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        # a checkout or a folder that is read-only or of somebody else; a file for a folder
        words = "{} cannot be written ({}): name a folder of yours, or copy the course to one."
        print(words.format(error.filename2 or error.filename, error.strerror), file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
