"""Install what a place with packages of its own (Colab, Kaggle) lacks; change none that it has.

Standard library only. The versions are those of requirements.txt. Packages that are here already
stay at their versions, above all the NumPy that a running kernel has loaded.
"""

import re
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from pip._vendor.packaging.requirements import Requirement

# what only a course on a machine of its own needs
ELSEWHERE = ("jupyterlab", "jupytext", "nbclient", "nbval", "pytest", "setuptools", "uv")


CLOUD = ("sagemaker", "moto", "pyarrow")


def installed() -> dict:
    """Return the packages that are here, by name, and their versions."""
    found = {}
    for package in metadata.distributions():
        found[re.sub(r"[-_.]+", "-", package.metadata["Name"] or "").lower()] = package.version
    if "tensorflow" in found:
        found.setdefault("tensorflow-cpu", found["tensorflow"])
    return found


def lacking(text: str, here: dict) -> list:
    """Return the lines of requirements.txt that this Python needs and does not have."""
    lines = [line.partition("  #")[0].strip() for line in text.splitlines()]
    wanted = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return [
        f"{package.name}{package.specifier}"
        for package in wanted
        if package.name not in (*here, *ELSEWHERE)
        and (package.marker is None or package.marker.evaluate())
    ]


def main() -> int:
    """Install; return an exit code."""
    text = (Path(__file__).parents[1] / "requirements.txt").read_text(encoding="utf-8")
    here = installed()
    missing = lacking(text, here)
    if not missing:
        return 0
    kept = [name for name in re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==", text) if name in here]
    kept += [name for name in ("ipython", "ipykernel") if name in here]
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "constraints.txt"
        pins.write_text("".join(f"{name}=={here[name]}\n" for name in kept), encoding="utf-8")
        # uv finds in seconds what fits together, or that nothing does; pip tries for minutes
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            *re.findall("(?m)^uv==\\S+", text),
        ]
        subprocess.call(command)
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-config"]
        command += ["--python", sys.executable, "--constraint", str(pins)]
        whole = subprocess.run([*command, *missing], capture_output=True, text=True, check=False)
        few = [line for line in missing if not line.startswith(CLOUD)]
        if whole.returncode == 0:
            return 0
        if few and few != missing and subprocess.call([*command, *few]) == 0:
            print("Without the SageMaker chapters (05, 06, 07 and 10): what they need does not fit")
            print("to the packages of this place. All others run.")
            return 0
    print(whole.stderr, file=sys.stderr)
    print("Not all packages could be installed (the message is above). The chapters that")
    print("need none of them run: try the next cell.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
