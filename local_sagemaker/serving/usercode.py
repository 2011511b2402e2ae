"""The user's own ``inference.py``, loaded from the model's ``code`` folder."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any


def load(path: Path) -> ModuleType:
    """Run a file as the module ``inference``; what lies beside it can be imported.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    module
        What the file defines.

    Raises
    ------
    FileNotFoundError
        There is none.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.name}: not in {path.parent.name}/ of the model; expected the entry point"
        )
    if (path.parent / "requirements.txt").exists():
        print(
            "code/requirements.txt: nothing is installed on this machine; the course's packages are used",
            flush=True,
        )
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("inference", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["inference"] = module
    spec.loader.exec_module(module)
    return module


def call(function: Callable[..., Any], *arguments: Any, context: Any = None) -> Any:
    """Call a user's function; one that takes one more argument gets the ``context`` of newer containers."""
    try:
        inspect.signature(function).bind(*arguments, context)
    except TypeError:
        return function(*arguments)
    return function(*arguments, context)
