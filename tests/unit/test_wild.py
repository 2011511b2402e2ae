"""The two commands among a reader's own folders, settings and proxies."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from helpers import files, installed, plots, runner
from helpers.book import read, sources
from helpers.exercises import REGION
from helpers.runner import install
from helpers.runner.environment import GUARD, ROOT, STAMP, UNFINISHED, Environment

WORK = "years of work"


def started(code: str, variables: dict[str, str], folder: Path = ROOT, **options) -> str:
    """What a program prints; the same interpreter, other variables."""
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        **options,
    )
    assert run.returncode == 0, run.stderr[-2000:]
    return run.stdout


# -- a reader's own folders ---------------------------------------------------------------------------


def tree(folder: Path) -> dict[Path, object]:
    """Every file and link below a folder, with content, time and mode."""
    return {
        path: (
            path.readlink() if path.is_symlink() else path.is_file() and path.read_bytes(),
            path.lstat().st_mtime_ns,
            path.lstat().st_mode,
        )
        for path in folder.rglob("*")
    }


def plant(home: Path, kind: str) -> Path:
    """A reader's folder with a thesis in it; where COURSE_VENV points."""
    folder = home / "mine"
    if kind == "file":
        folder.write_text(WORK)
    elif kind == "dangling link":
        folder.symlink_to(home / "unplugged disk")
    else:
        files.write(folder / "lib" / "thesis.txt", WORK)
        files.write(folder / ".hidden", WORK)
    if kind.startswith("environment"):
        files.write(folder / "pyvenv.cfg", f"home = /usr/bin\nversion = {kind.split()[1]}\n")
        (folder / "bin").mkdir()
        (folder / "bin" / "python").symlink_to(sys.executable)
    if kind == "guard beside work":  # a run that was killed, before the reader used the folder
        (folder / GUARD).touch()
    if kind == "link":
        (home / "link").symlink_to(folder)
    return {"link": home / "link", "home": home}.get(kind, folder)


KINDS = ["files", "file", "link", "dangling link", "home", "guard beside work"]
KINDS += ["environment 3.11.7", "environment 3.13.1", "environment 3.8.2"]


@pytest.mark.parametrize("task", ["lab", "test", "build", "bench", "cloud", "lock", "doctor"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_of_the_readers_is_refused_untouched(kind, task, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_VENV", str(plant(tmp_path, kind)))
    monkeypatch.setattr(install, "_call", lambda *unused: pytest.fail("started a program"))
    before = tree(tmp_path)
    assert runner.main([task]) == 2
    told = capsys.readouterr()
    said = told.out if task == "doctor" else told.err
    wanted = "an environment that the course did not make" if "env" in kind else "not the course's"
    assert wanted in said and said.endswith("or move it away.\n")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("mark", [STAMP, UNFINISHED, GUARD])
def test_files_beside_the_courses_own_environment_stay(mark, tmp_path, monkeypatch):
    environment = Environment(ROOT, plant(tmp_path, "environment 3.13.1"))
    thesis = environment.folder / "thesis" / "lib" / "chapter.txt"
    files.write(thesis, WORK)
    (environment.folder / mark).touch()
    monkeypatch.setattr(install, "_call", lambda command, *_, **__: "-c" in command)
    install.preflight(environment)
    install.prepare(environment)  # its interpreter is another: it is made anew
    assert not (environment.folder / "bin").exists()
    assert thesis.read_text() == WORK and (environment.folder / ".hidden").read_text() == WORK


# -- ready means: as the lock says --------------------------------------------------------------------


def wheel(folder: Path, version: str) -> str:
    """Write a wheel of one module; its line in a lock."""
    info = f"toy-{version}.dist-info"
    members = {
        "toy.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: toy\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    for name, text in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
        record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
    path = folder / f"toy-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**members, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"toy=={version} ; python_full_version >= '3.10' \\\n    --hash=sha256:{digest}\n"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A checkout whose lock has one small package, and every setting that sends it elsewhere."""
    root, elsewhere = tmp_path / "course", tmp_path / "elsewhere"
    root.mkdir()
    files.write(elsewhere / "toy.py", WORK)
    wheel(tmp_path, "2.0")
    nowhere = f"==0.13.9 ; sys_platform == 'amiga' \\\n    --hash=sha256:{'0' * 64}\n"
    files.write(root / "requirements.lock", f"no{nowhere}{wheel(tmp_path, '1.0')}uv{nowhere}")
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    pip, uv = tmp_path / "pip.conf", tmp_path / "uv.toml"
    sources = f"[global]\nno-index = true\nfind-links = {tmp_path}\n"
    files.write(pip, f"{sources}[install]\nprefix = {elsewhere}\nuser = true\n")
    files.write(uv, f'[pip]\ntarget = "{elsewhere}"\n')
    hostile = {"PIP_CONFIG_FILE": pip, "UV_CONFIG_FILE": uv, "UV_CACHE_DIR": tmp_path / "cache"}
    hostile |= dict.fromkeys(["PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "UV_PYTHON"], elsewhere)
    hostile |= dict.fromkeys(["PIP_DRY_RUN", "PIP_USER", "UV_SYSTEM_PYTHON", "UV_NO_DEPS"], "1")
    for name, value in hostile.items():
        monkeypatch.setenv(name, str(value))
    return Environment(root, tmp_path / "venv"), elsewhere


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_packages_go_into_the_environment_and_are_repaired(course, installer, capsys):
    environment, elsewhere = course
    uv = Path(sys.executable).with_name("uv")
    if installer == "uv" and not uv.exists():
        pytest.skip("uv is not installed here")
    before = tree(elsewhere)
    with install.guarded(environment):
        install.prepare(environment)
    (environment.folder / UNFINISHED).unlink()
    if installer == "uv":
        environment.program("uv").symlink_to(uv)
    install.ensure(environment)
    assert environment.ready() and tree(elsewhere) == before
    assert ("pip, which takes" in capsys.readouterr().out) == (installer == "pip")
    variables, python = install.package_variables(environment), str(environment.python)
    path = [python, "-c", "import sys; print(*sys.path, sep='\\n')"]
    told = subprocess.run(path, cwd=elsewhere, env=variables, capture_output=True, text=True)
    assert str(environment.root) in told.stdout.splitlines(), "a notebook elsewhere finds helpers"
    other = [python, "-m", "pip", "install", "--quiet", "toy==2.0"]  # what a cell with %pip does
    subprocess.run(other, env=variables, check=True)
    assert environment.differences() == ["toy is 2.0, not 1.0"] and not environment.ready()
    install.ensure(environment)
    assert "(toy is 2.0, not 1.0); repairing it" in capsys.readouterr().out
    assert environment.ready()
    cfg = environment.folder / "pyvenv.cfg"
    cfg.write_text(cfg.read_text().replace("version = 3.", "version = 3.9"))
    assert "its interpreter is now 3." in environment.differences()[0]
    if installer == "uv":
        install.ensure(environment)
        assert environment.ready() and tree(elsewhere) == before


def test_differences_are_named_and_counted(tmp_path, monkeypatch):
    environment = Environment(tmp_path, tmp_path / "gone")
    assert "its Python does not start" in environment.differences()[0]
    environment.lock.write_text(
        "numpy==1.0 \\\n    --hash=sha256:0\n"
        "no-such-thing==1.0 ; python_full_version < '4' \\\n    --hash=sha256:0\n"
        "not_here==1.0 ; sys_platform == 'amiga' \\\n    --hash=sha256:0\n"
    )
    found = installed.differences(environment.lock)
    assert found[0].startswith("numpy is ") and found[0].endswith(", not 1.0")
    assert found[1:] == ["no-such-thing is missing"]
    assert installed.few(["a", "b", "c", "d", "e"]) == "a; b; c; 2 more"
    assert "cannot be read" in installed.differences(tmp_path / "none")[0]
    begin = time.process_time()  # of the processor: other programs do not count
    assert installed.differences() == [], "tests run in the environment of the lock"
    assert time.process_time() - begin < 1
    monkeypatch.setattr(installed.sysconfig, "get_path", lambda kind: str(tmp_path))
    for folder, version in (("no_such_thing-2.0", "2.0"), ("~o_such_thing-1.0", "1.0")):
        files.write(  # the second is what a cut-off pip leaves
            tmp_path / f"{folder}.dist-info" / "METADATA",
            f"Name: No.such-Thing\nVersion: {version}\n",
        )
    assert "no-such-thing is 2.0, not 1.0" in installed.differences(environment.lock)


# -- proxies ------------------------------------------------------------------------------------------

HERE = "127.0.0.1,::1,localhost"


@pytest.mark.parametrize(
    ("given", "lower", "upper"),
    [
        ({}, None, None),
        ({"no_proxy": "a.example"}, "a.example", None),  # Python then asks the system
        ({"HTTP_PROXY": "p"}, HERE, HERE),
        ({"http_proxy": "p", "no_proxy": " a, b ,"}, f"a, b,{HERE}", f"a, b,{HERE}"),
        ({"Https_Proxy": "p", "No_Proxy": "a"}, f"a,{HERE}", f"a,{HERE}"),
        ({"ALL_PROXY": "p", "no_proxy": "a", "NO_PROXY": "b"}, f"a,{HERE}", f"b,{HERE}"),
        ({"http_proxy": "p", "NO_PROXY": "localhost"}, "localhost,127.0.0.1,::1", None),
        ({"HTTP_PROXY": "p", "no_proxy": "*"}, "*", None),
    ],
)
def test_proxies_leave_this_machine_alone(given, lower, upper):
    variables = dict(given)
    files.loopback_without_proxy(variables)
    assert variables.get("no_proxy") == lower
    assert upper is None or variables.get("NO_PROXY") == upper
    again = dict(variables)
    files.loopback_without_proxy(again)
    assert again == variables


def test_a_kernel_reaches_the_sagemaker_of_this_machine_past_a_dead_proxy():
    code = """
import boto3
from helpers import cloud
cloud.connect(sdk=False)
print(boto3.client("s3").list_buckets()["ResponseMetadata"]["HTTPStatusCode"])
"""
    variables = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    variables |= {"HTTP_PROXY": "http://192.0.2.1:9", "no_proxy": "intranet"}
    variables["COURSE_CLOUD_STATE"] = ""
    assert started(code, variables).split()[-1] == "200"


# -- settings of other programs -----------------------------------------------------------------------

SETTINGS = """
    KERAS_BACKEND=torch TF_USE_LEGACY_KERAS=1 TF_CONFIG={} PYTHONOPTIMIZE=2 PYTHONWARNINGS=error
    PYTHONSAFEPATH=1 PYTHONPATH=/elsewhere JUPYTER_PATH=/elsewhere CONDA_PREFIX=/elsewhere
    MPLBACKEND=TkAgg NPY_PROMOTION_STATE=weak DMLC_ROLE=server PANDAS_COPY_ON_WRITE=1
    SETUPTOOLS_USE_DISTUTILS=stdlib PYTEST_ADDOPTS=--no-such-option
    HTTP_PROXY=http://192.0.2.1:9 https_proxy=http://192.0.2.1:9
"""
HOSTILE = dict(setting.split("=", 1) for setting in SETTINGS.split())
MATPLOTLIB = "text.usetex: True\nfont.family: fantasy\nbackend: TkAgg\n"
HOME = {
    ".keras/keras.json": '{"backend": "jax", "floatx": "float64", "epsilon": 0.1}',
    ".config/matplotlib/matplotlibrc": MATPLOTLIB,
    "../matplotlib/matplotlibrc": MATPLOTLIB,
    ".ipython/profile_default/startup/00.py": "import pandas, numpy\n"
    "pandas.set_option('display.max_rows', 3)\nnumpy.set_printoptions(precision=1)\n",
    ".ipython/profile_default/ipython_config.py": "raise SystemExit",
}
CELLS = [
    "import numpy as np, pandas as pd, matplotlib.pyplot as plt, urllib.request as r",
    "pd.DataFrame({'a': np.arange(100) / 3, 'b': ['x' * 90] * 100})",
    "np.arange(3) / 3, __debug__, plt.get_backend(), len(plt.subplots()[0].axes)",
    "plt.rcParams['text.usetex'], plt.rcParams['font.family']",
    "not r.getproxies() or bool(r.proxy_bypass('127.0.0.1'))",
]
KERAS = "import keras\nkeras.backend.backend(), keras.config.floatx()"
RUN = """
import json, sys, nbformat, nbclient
cells = [nbformat.v4.new_code_cell(text) for text in json.loads(sys.stdin.read())]
notebook = nbformat.v4.new_notebook(cells=cells)
nbclient.NotebookClient(notebook, timeout=300).execute()
for output in [output for cell in notebook.cells for output in cell.outputs]:
    print(output.output_type, output.get("data", {}).get("text/plain"), output.get("text"))
"""


def test_a_kernel_is_the_same_in_a_hostile_home(tmp_path, monkeypatch):
    said = {}
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))  # fonts are found once
    for name in ("XDG_CONFIG_HOME", "IPYTHONDIR", *HOSTILE):
        monkeypatch.delenv(name, raising=False)
    for home, cells in (("clean", CELLS), ("hostile", [*CELLS, KERAS])):
        monkeypatch.setenv("HOME", str(tmp_path / home))
        for name, value in HOSTILE.items() if home == "hostile" else ():
            monkeypatch.setenv(name, value)
        for name, text in HOME.items() if home == "hostile" else ():
            files.write(tmp_path / home / name, text)
        variables = Environment(ROOT, tmp_path / f"{home} environment").variables()
        said[home] = started(RUN, variables, input=json.dumps(cells))
    assert said["hostile"] == said["clean"] + "execute_result ('tensorflow', 'float32') None\n"
    with plots.mpl.rc_context({"text.usetex": True}):  # in a kernel that lab did not start
        plots.style()
        assert not plots.mpl.rcParams["text.usetex"]


def test_nbgrader_finds_the_markers_in_code_cells_and_readme_names_its_option():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert "nbgrader generate_assignment --no-metadata" in readme
    for source in sources():
        code = [cell.source for cell in read(source).cells if cell.cell_type == "code"]
        text = source.read_text(encoding="utf-8")
        marked = sum(len(REGION.findall(cell)) for cell in code)
        assert marked == text.count("### BEGIN SOLUTION") == text.count("### END SOLUTION")
