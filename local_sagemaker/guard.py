"""Run a program and end it with whoever started this: ``python -I -S guard.py PROGRAM [argument …]``.

The service holds the other end of this process's standard input. When the service is gone, however it
went, the system closes that end, and the program and everything it started are killed within moments.
Standard library only, and no import of the course: it starts in a few milliseconds. Model servers watch
their input the same way.
"""

import os
import signal
import subprocess
import sys
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


def main() -> int:
    """Run the program; end the way it ended, by the same signal or with the same code."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)  # the program gets it too, and decides
    try:
        program = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{sys.argv[1]} does not start: {error.strerror}", flush=True)
        return 127
    end_with_input()
    code = program.wait()
    if code < 0:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(-code, signal.SIG_DFL) if -code not in (
            signal.SIGKILL,
            signal.SIGSTOP,
        ) else None
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    if os.getpgrp() != os.getpid():
        os.setsid()
    sys.exit(main())
