"""Entry point of ``python -m helpers progress``: print the progress, write a table of it."""

from __future__ import annotations

import sys
from pathlib import Path

from helpers import files

from .registry import progress, report


def main(arguments: list[str]) -> int:
    """Print how much is done; write the table for a teacher to a file, where one is named."""
    print(progress())
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("python -m helpers progress FILE.csv also writes a table that a teacher can read.")
        return 0
    path, table = Path(arguments[0]), report()
    try:
        if path.exists() and not path.read_bytes().startswith(table[:8].encode()):
            print(f"{path} is another file: name a new one. Nothing was written.", file=sys.stderr)
            return 1
        files.write(path, table)
    except OSError as error:
        print(f"{path} cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    print(f"{path} holds each exercise's outcome, attempts and last mistake: no name,")
    print("no answer. Nothing was sent anywhere.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
