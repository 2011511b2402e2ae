"""Where packages come from: what pip is told about mirrors, told to uv as well."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Mapping

from helpers.runner.environment import Environment

# a later section outranks an earlier one, as in pip
SECTIONS = ("global", "install", ":env:")
YES = ("1", "true", "yes", "on", "y", "t")
INDEX_VARIABLES = (
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "UV_INDEX",
    "UV_EXTRA_INDEX_URL",
    "UV_FIND_LINKS",
)


def pip_settings(environment: Environment) -> dict[str, str]:
    """What pip's files and PIP_* variables say, by option name without dashes in front.

    Returns
    -------
    dict of str to str
        ``{"index-url": …}``; empty where pip cannot be asked.
    """
    told = subprocess.run(
        [str(environment.python), "-m", "pip", "--disable-pip-version-check", "config", "list"],
        cwd=environment.root,
        env=environment.variables(),
        capture_output=True,
        text=True,
        check=False,
    )
    return parse_settings(told.stdout) if told.returncode == 0 else {}


def parse_settings(text: str) -> dict[str, str]:
    """The output of ``pip config list`` as a table, the section that outranks the others winning."""
    settings: dict[str, str] = {}
    lines = [line.partition("=") for line in text.splitlines()]
    for section in SECTIONS:
        for key, equals, value in lines:
            if equals and key.startswith(f"{section}."):
                settings[key[len(section) + 1 :].replace("_", "-")] = str(ast.literal_eval(value))
    return settings


def for_uv(
    settings: Mapping[str, str], present: Mapping[str, str], only_main: bool = False
) -> dict[str, str]:
    """The variables that make uv look where pip looks.

    Parameters
    ----------
    settings : mapping
        Of `pip_settings`.
    present : mapping
        The environment variables; what the reader set for uv is left as it is.
    only_main : bool
        Leave out additional indexes and folders. The lock is made this way: uv would take a package's
        hashes from the first index that has the version, and an additional one may hold some platforms only.

    Returns
    -------
    dict of str to str
        UV_* variables, and those for certificates and proxies.
    """
    wanted = {}
    if not any(present.get(name) for name in INDEX_VARIABLES):
        wanted["UV_DEFAULT_INDEX"] = settings.get("index-url", "")
        if not only_main:
            wanted["UV_INDEX"] = " ".join(settings.get("extra-index-url", "").split())
            wanted["UV_FIND_LINKS"] = ",".join(settings.get("find-links", "").split())
            wanted["UV_NO_INDEX"] = "1" if settings.get("no-index", "").lower() in YES else ""
        if wanted.get("UV_INDEX"):
            # pip takes the best of all indexes; that is safe here because every file's hash is known
            wanted["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    wanted["UV_INSECURE_HOST"] = " ".join(settings.get("trusted-host", "").split())
    wanted["UV_HTTP_TIMEOUT"] = settings.get("timeout", settings.get("default-timeout", ""))
    wanted["SSL_CERT_FILE"] = settings.get("cert", "")
    wanted["ALL_PROXY"] = settings.get("proxy", "")
    return {name: value for name, value in wanted.items() if value and not present.get(name)}
