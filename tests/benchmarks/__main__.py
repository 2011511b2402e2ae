"""The benchmarks behind the course's speed claims: ``python -m helpers bench [name …] [--option=…]``.

Each ``bench_*.py`` has ``run()``, which returns or yields rows: dicts with the keys ``name``, ``value``,
``unit`` and ``target``. Options go to the benchmark that is named. Nothing here is asserted: seconds
depend on the machine, ratios are taken in one run.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(wanted: list[str]) -> int:
    """Run all benchmarks, or those named, and print one table."""
    options = [word for word in wanted if word.startswith("-")]
    wanted = [word for word in wanted if word not in options]
    names = sorted(p.stem for p in HERE.glob("bench_*.py"))
    unknown = [w for w in wanted if f"bench_{w}" not in names]
    have = ", ".join(n.removeprefix("bench_") for n in names)
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {have}")
        return 2
    if options and len(wanted) != 1:
        print(
            f"{' '.join(options)}: options belong to one benchmark; name it before them, of {have}"
        )
        return 2
    runs = {
        name: importlib.import_module(f"tests.benchmarks.{name}").run
        for name in names
        if not wanted or name.removeprefix("bench_") in wanted
    }
    if options and not all(inspect.signature(run).parameters for run in runs.values()):
        print(f"{wanted[0]} has no options; leave out {' '.join(options)}")
        return 2
    print(f"{'benchmark':66} {'measured':>12} {'':14} must reach")
    for run in runs.values():
        for row in run(*options):
            value = f"{row['value']:,.4g}" if isinstance(row["value"], float) else str(row["value"])
            print(f"{row['name']:66} {value:>12} {row['unit']:14} {row['target']}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("\nStopped; what a benchmark stores row by row is kept.")
