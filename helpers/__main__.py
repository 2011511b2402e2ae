"""Entry point of ``python -m helpers TASK``; without a task it lists the tasks.

This file parses on every Python, 2.7 included, so that a wrong one prints one sentence. It has no
functions, annotations or f-strings. The work is done in ``helpers.runner``.
"""

import os
import subprocess
import sys

if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    _root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _venv = os.environ.get("COURSE_VENV", os.path.join(_root, ".venv"))
    _advice = "install one of them from python.org and run it with -m helpers"
    _own = [[os.path.join(_venv, "bin", "python")], [os.path.join(_venv, "Scripts", "python.exe")]]
    _usual = [_kind % _n for _n in (11, 12, 13, 10) for _kind in ("python3.%d", "py -3.%d")]
    for _command in _own + [_name.split() for _name in _usual]:
        try:
            with open(os.devnull, "w") as _silence:
                _code = "import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))"
                if subprocess.call(_command + ["-c", _code], stdout=_silence, stderr=_silence) == 0:
                    _words = _command + ["-m", "helpers"] + sys.argv[1:]
                    _quoted = ['"' + _w + '"' if " " in _w else _w for _w in _words]
                    _advice = "this machine has one, so run: " + " ".join(_quoted)
                    break
        except OSError:
            continue  # not there: try the next name
    sys.stderr.write(
        "This is Python {}, and the course needs Python 3.10, 3.11, 3.12 or 3.13,"
        " because TensorFlow or MXNet have no wheels for others: {}.\n".format(
            ".".join(str(_n) for _n in sys.version_info[:3]), _advice
        )
    )
    sys.exit(2)

from helpers.runner import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
