"""Settings of every test run; the kernels that nbval starts inherit the environment set here."""

import os
import tempfile

from helpers.book import ENVIRONMENT

os.environ.update({k: v for k, v in ENVIRONMENT.items() if k != "PYTEST_CURRENT_TEST"})
os.environ.setdefault("COURSE_LEDGER", tempfile.mkdtemp(prefix="ledger-"))
os.environ["IPYTHONDIR"] = tempfile.mkdtemp(
    prefix="ipython-"
)  # not the reader's own start-up files

pytest_plugins = ["tests.measure"]
