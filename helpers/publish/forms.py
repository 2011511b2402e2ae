"""Pages made from templates, without a foreign request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).with_name("templates")
_LOADER = jinja2.FileSystemLoader(TEMPLATES)
_MAKER = jinja2.Environment(loader=_LOADER, autoescape=True, trim_blocks=True, lstrip_blocks=True)


def fill(template: str, **values: Any) -> str:
    """Return a file of templates/ with the values in, escaped as HTML."""
    return _MAKER.get_template(template).render(values)
