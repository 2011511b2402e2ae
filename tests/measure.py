"""A pytest plugin: seconds and peak memory of each notebook while nbval runs it, as a table.

The numbers are reported, never asserted: they depend on the machine.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

POLL_SECONDS = 0.2


@dataclass
class Measurement:
    """What running one notebook took."""

    name: str
    cells: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    failed: int = 0


@dataclass
class Watch:
    """Samples the memory of the kernel's process tree while a cell runs."""

    rows: dict[str, Measurement] = field(default_factory=dict)
    current: Measurement | None = None
    kernel: psutil.Process | None = None

    def sample(self) -> None:
        """Note the resident memory of the kernel, and the share of what it started."""
        row, kernel = self.current, self.kernel
        if row is None or kernel is None:
            return
        try:
            others = kernel.children(recursive=True)
            used = kernel.memory_info().rss
            most = used + sum(p.memory_info().rss for p in others)
            if most > row.peak_mb * 2**20:  # shares take time to add
                used += sum(map(_share, others))
            status = Path(f"/proc/{kernel.pid}/status")
            if status.exists():  # Linux keeps the kernel's own peak, between two samples too
                line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
                used = max(used, int(line.split()[1]) * 1024)
        except (psutil.Error, StopIteration, OSError):
            return  # the kernel ended between two samples
        row.peak_mb = max(row.peak_mb, used / 2**20)

    def loop(self) -> None:
        """Sample for as long as the process lives."""
        while True:
            self.sample()
            time.sleep(POLL_SECONDS)


def _share(process: psutil.Process) -> int:
    """Return the proportional set size: shared pages divided by the processes that map them."""
    rollup = Path(f"/proc/{process.pid}/smaps_rollup")
    if not rollup.exists():
        return int(process.memory_info().rss)
    return 1024 * next(
        int(s.split()[1]) for s in rollup.read_text().splitlines() if s.startswith("Pss:")
    )


watch = Watch()


def _is_cell(item: pytest.Item) -> bool:
    return type(item).__name__ == "IPyNbCell"


def pytest_configure(config: pytest.Config) -> None:
    threading.Thread(target=watch.loop, daemon=True).start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the readers of recorded numbers after the notebooks that record them."""
    items.sort(key=lambda item: item.get_closest_marker("after_notebooks") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None):
    if not _is_cell(item):
        return (yield)
    name = item.path.relative_to(item.config.rootpath).as_posix()
    row = watch.rows.setdefault(name, Measurement(name))
    begin = time.perf_counter()
    watch.current = row
    try:
        return (yield)
    finally:
        row.seconds += time.perf_counter() - begin
        row.cells += 1
        watch.current, watch.kernel = None, None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item):
    if not _is_cell(item):
        return (yield)
    provisioner = getattr(getattr(item.parent.kernel, "km", None), "provisioner", None)
    pid = getattr(provisioner, "pid", None)
    watch.kernel = psutil.Process(pid) if pid else None
    result = yield
    watch.sample()
    return result


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = report.nodeid.split("::")[0]
    if report.failed and name in watch.rows:
        watch.rows[name].failed += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Leave what a process of several measured to the one that prints it."""
    if hasattr(session.config, "workerinput") and watch.rows:
        rows = {name: vars(row) for name, row in watch.rows.items()}
        folder = Path(os.environ["COURSE_LEDGER"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"measured.{os.getpid()}").write_text(json.dumps(rows), encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if hasattr(terminalreporter.config, "workerinput"):
        return  # nobody sees what one of several processes prints
    for left in Path(os.environ["COURSE_LEDGER"]).glob("measured.*"):
        rows = json.loads(left.read_text(encoding="utf-8"))
        watch.rows |= {name: Measurement(**row) for name, row in rows.items()}
        left.unlink()
    if not watch.rows:
        return
    terminalreporter.section("notebooks: seconds (of two at a time, with -n 2) and peak memory")
    terminalreporter.write_line(f"{'notebook':44} {'cells':>5} {'seconds':>8} {'peak MB':>8}")
    for row in sorted(watch.rows.values(), key=lambda r: r.name):
        failed = f"  {row.failed} failed" if row.failed else ""
        terminalreporter.write_line(
            f"{row.name:44} {row.cells:5d} {row.seconds:8.1f} {row.peak_mb:8.0f}{failed}"
        )
    target = os.environ.get("COURSE_MEASURED")
    if target:
        rows = [vars(row) for row in watch.rows.values()]
        Path(target).write_text(json.dumps(rows, indent=1), encoding="utf-8")
