"""Guard of a model server: end it with the service that started it.

The service holds the other end of this process's standard input. When the service is gone, however
it went, the system closes that end. Standard library only.
"""

import os
import signal
import threading


def end_with_input() -> None:
    """End this process, and those it started, as soon as its standard input closes."""

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        if os.getpgrp() == os.getpid():  # the leader of its group: take the rest along
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
