"""Settings of every test run; the kernels that nbval starts inherit the environment set here."""

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile

from helpers.book import ENVIRONMENT

scratch = tempfile.mkdtemp(prefix="course-tests-")
atexit.register(shutil.rmtree, scratch, ignore_errors=True)
os.environ.update({k: v for k, v in ENVIRONMENT.items() if k != "PYTEST_CURRENT_TEST"})
os.environ.setdefault("COURSE_LEDGER", f"{scratch}/ledger")
# two run at a time on two cores: a thread that waits for others gives way
os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_THREAD_TIMEOUT": "4"}
os.environ["IPYTHONDIR"] = f"{scratch}/ipython"  # not the reader's own start-up files

pytest_plugins = ["tests.measure"]


def pytest_collection_modifyitems(items):
    """Run a notebook's cells for a GPU on the CPU; without MXNet, compare none of its cells.

    Where MXNet is missing (Python 3.13), each of its cells says a sentence instead. The file that
    takes longest comes first: the second core has the others meanwhile.
    """
    items.sort(key=lambda item: "test_builds" not in item.nodeid)
    if any(hasattr(item, "cell") for item in items):
        os.environ["COURSE_RUN_GATED"] = "1"  # kernels inherit it
    for item in items if importlib.util.find_spec("mxnet") is None else []:
        if "gates.mxnet.ready(" in getattr(getattr(item, "cell", None), "source", ""):
            item.options["check"] = False


def pytest_configure(config):
    """Show deprecations instead of failing where Python is not the reference's 3.11."""
    if sys.version_info[:2] != (3, 11):
        config.addinivalue_line("filterwarnings", "default::DeprecationWarning")
