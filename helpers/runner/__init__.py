"""Task runner behind ``python -m helpers``: make the course's environment, then start a task.

Standard library only: it runs on a bare Python, before anything is installed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from helpers.runner import tasks
from helpers.runner.environment import Environment
from helpers.runner.machine import CannotRun

USAGE = """python -m helpers TASK [arguments]

  lab     open JupyterLab on your copies of the chapters, in my_course; --fresh 02 begins one anew,
          --update takes your answers over into a newer course; other arguments go to JupyterLab
          --gpu or --cpu, here and with install: TensorFlow's build, if not what the machine has
  install make everything ready and start nothing, as on the evening before a workshop
  progress  print what you have done, or write it to a FILE.csv for a teacher
  class   show the files that a class handed in, as a table and a heat map: class FOLDER
  test    pass every test: ruff, mypy, pytest; with arguments, pytest alone with them (-k splits)
          --full adds what takes an hour; --python 3.13 runs a part under that version
  build   build the notebooks from solutions/NN_name.py; arguments go to helpers.book (--check 02)
  bench   measure what the course promises; arguments go to tests.benchmarks
  cloud   keep one SageMaker on this machine for all notebooks, until Ctrl-C (--port=9999)
  doctor  say what this machine has and lacks; installs nothing
  links   write the public address, from which buttons open chapters: links https://github.com/…
  pack    write a folder from which a class installs without network: pack OUT --platforms linux
  site    write the course as web pages: site OUT, with --pdf for print; slides OUT, guide OUT
  lock    make all locks from the files requirements*.txt; arguments go to uv (--upgrade)

The first use makes the environment in .venv (COURSE_VENV names another folder): about 3 GB.
"""
PUBLISHED = ("build", "links", "pack", "site", "slides", "guide")
TASKS: dict[str, Callable[[Environment, list[str]], int]] = {
    "lab": tasks.lab,
    "install": tasks.install_only,
    "progress": partial(tasks.start, "helpers.exercises"),
    "test": tasks.test,
    "bench": partial(tasks.start, "tests.benchmarks"),
    "cloud": partial(tasks.start, "local_sagemaker"),
    "doctor": tasks.doctor,
    "lock": partial(tasks.publish, "locks"),
    **{name: partial(tasks.start, f"helpers.publish {name}") for name in PUBLISHED},
    "class": partial(tasks.start, "helpers.publish classroom"),
}


def main(arguments: list[str]) -> int:
    """Run one task; return its exit code, 2 if it cannot run here, or 130 after Ctrl-C."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    name, rest = arguments[0], arguments[1:]
    if name not in TASKS:
        print(f"There is no task {name!r}; the tasks are {', '.join(TASKS)}.", file=sys.stderr)
        return 2
    try:
        asked = {"--gpu": True, "--cpu": False}
        gpu = next((asked[word] for word in rest if word in asked), None)
        rest = [word for word in rest if word not in asked]
        return TASKS[name](Environment.here(gpu=gpu, tests=name == "test"), rest)
    except CannotRun as reason:
        print(reason, file=sys.stderr)
        return reason.code
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
