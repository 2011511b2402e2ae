"""Guard of a model server: the service holds the other end of its standard input."""

import os
import signal
import threading


def end_with_input() -> None:
    """End this process, and those it started, once its standard input closes with the service."""

    def watch() -> None:
        while os.read(0, 1 << 10):
            pass
        if os.getpgrp() == os.getpid():  # the leader of its group: take the rest along
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
