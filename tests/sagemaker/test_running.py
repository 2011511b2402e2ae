"""How the programs of jobs run: their processes, packages, arguments, variables, files and ends."""

import json
import os
import runpy
import subprocess
import sys
import sysconfig
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from botocore.exceptions import ClientError

from local_sagemaker import archive, launch
from local_sagemaker.jobs import environment, turns
from local_sagemaker.jobs.program import Program
from local_sagemaker.jobs.training_run import TrainingJob
from local_sagemaker.jobs.turns import Turns
from tests.sagemaker.conftest import BUCKET, DATA, TENSORFLOW, Aws, change, gone, job_request
from tests.sagemaker.test_training import members
from tests.unit.test_wild import wheel

PACKAGES = Path(sysconfig.get_paths()["purelib"])
TRAIN = "os.environ['SM_CHANNEL_TRAIN']"
LOGS = "/aws/sagemaker/TrainingJobs"
SAVES = """
import os, signal, time
def save(*_):
    print("saving", flush=True)
    time.sleep(0.3)
    open(os.environ["SM_MODEL_DIR"] + "/saved", "w").close()
    raise SystemExit(0)
signal.signal(signal.SIGTERM, save)
print("on", flush=True)
time.sleep(600)
"""
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on'); time.sleep(600)"


class Run:
    """A program that runs Python, and its lines."""

    def __init__(self, code: str, folder: Path) -> None:
        self.lines: list[str] = []
        self.said = threading.Event()
        command = [sys.executable, "-u", "-c", code]
        self.program = Program(command, folder, os.environ, self.on_line)

    def on_line(self, line: str) -> None:
        self.lines.append(line)
        self.said.set()


@pytest.mark.parametrize(
    ("written", "lines"),
    [
        (r"10%\r50%\r100%\nend\n", ["100%", "end"]),
        (r"10%\r100%\r\r\n\nno end", ["100%", "", "no end"]),
        (r"\xff\xfe\n", ["\ufffd\ufffd"]),
    ],
)
def test_a_progress_bar_is_one_line(tmp_path, written, lines):
    run = Run(f"import os; os.write(1, b'{written}')", tmp_path)
    assert run.program.wait() == 0 and run.lines == lines


def test_output_without_line_ends_is_cut_in_parts(tmp_path):
    run = Run("import os; os.write(1, b'x' * 3_000_000)", tmp_path)
    assert run.program.wait() == 0 and "".join(run.lines) == "x" * 3_000_000
    assert len(run.lines) > 10
    run = Run("for n in range(400_000): print(n, end='\\r')", tmp_path)
    assert run.program.wait() == 0 and run.lines[-1] == "399999" and len(run.lines) < 20


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
@pytest.mark.parametrize("end", ["itself", "kill", "stop"])
def test_a_child_with_a_session_of_its_own_ends_with_its_job(tmp_path, end):
    code = "import subprocess, sys, time\n"
    for arguments in ("['sleep', '600']", "[sys.executable, '-c', DEAF]"):
        code += f"DEAF = {DEAF!r}\n"
        code += f"print(subprocess.Popen({arguments}, start_new_session=True).pid, flush=True)\n"
    run = Run(code + ("" if end == "itself" else "time.sleep(600)"), tmp_path)
    run.said.wait(60)
    if end == "kill":
        run.program.kill()
    if end == "stop":
        run.program.stop(0.5)
    run.program.wait()
    assert all(gone(int(line)) for line in run.lines if line.isdigit())


def test_stop_returns_at_once_and_the_deaf_are_killed(tmp_path):
    run = Run(DEAF, tmp_path)
    run.said.wait(60)
    run.program.stop(0.3)
    ended = threading.Thread(target=run.program.wait)
    ended.start()
    assert ended.is_alive()
    ended.join(20)
    assert not ended.is_alive()


def test_what_a_stopped_script_saves_is_uploaded(aws):
    aws.sm.create_training_job(**aws.train_request("saves", SAVES))
    aws.log_with("on", LOGS, "saves/")
    aws.sm.stop_training_job(TrainingJobName="saves")
    assert aws.sm.describe_training_job(TrainingJobName="saves")["TrainingJobStatus"] == "Stopping"
    found = aws.trained("saves")
    assert found["TrainingJobStatus"] == found["SecondaryStatus"] == "Stopped"
    assert "FailureReason" not in found
    assert members(aws.get("out/saves/output/model.tar.gz")) == {"saved": b""}
    with pytest.raises(ClientError, match="in status Stopped"):
        aws.sm.stop_training_job(TrainingJobName="saves")


def test_what_a_script_saves_when_its_time_is_over_is_uploaded(aws):
    short = change("StoppingCondition.MaxRuntimeInSeconds", 1)
    found = aws.train("saves-late", SAVES, change=short)
    ended = (found["TrainingJobStatus"], found["SecondaryStatus"])
    assert ended == ("Stopped", "MaxRuntimeExceeded")
    assert members(aws.get("out/saves-late/output/model.tar.gz")) == {"saved": b""}


def test_jobs_take_turns_in_their_order():
    slots, taken, go = Turns(2), [], threading.Event()

    def run(name: str, wanted: int) -> None:
        with slots.take(wanted, lambda: name == "given-up") as mine:
            taken.append((name, mine))
            go.wait(60)

    threads = []
    for name, wanted, known in (("a", 1, 1), ("both", 5, 1), ("b", 1, 1), ("given-up", 1, 2)):
        threads.append(threading.Thread(target=run, args=(name, wanted)))
        threads[-1].start()
        while len(taken) < known or len(slots._queue) < len(threads) - known:
            time.sleep(0.001)
    assert taken == [("a", True), ("given-up", False)], "b does not overtake the one before it"
    go.set()
    for thread in threads:
        thread.join(60)
    assert taken[2:] == [("both", True), ("b", True)]


def test_a_job_that_waits_for_its_turn_can_be_stopped(monkeypatch):
    monkeypatch.setattr(turns, "TURNS", Turns(1))
    told: list[dict] = []
    store = SimpleNamespace(update=lambda kind, name, **changes: told.append(changes))
    account = SimpleNamespace(store=store, discard=lambda *parts: None)
    request = job_request("waits", TENSORFLOW, "s3://b/k", {"sagemaker_program": "train.py"})
    job = TrainingJob(account, request | {"SecondaryStatusTransitions": [{}]})
    with turns.TURNS.take(1, lambda: False):
        life = threading.Thread(target=job.run)
        life.start()
        while not turns.TURNS._queue:
            time.sleep(0.001)
        assert told == [], "it is Starting"
        job.stop()
        life.join(60)
    (end,) = told
    assert (end["TrainingJobStatus"], end["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "BillableTimeInSeconds" not in end


# ---- packages


USES = "import toy, numpy; print(toy.version)"


def drivers(aws, name: str, code: str, **more: str) -> str:
    """Upload a script and the SDK's own driver around it, as version 3 does."""
    root = PACKAGES / "sagemaker" / "train"
    for path in (root / "container_drivers").rglob("*.py"):
        aws.put(
            f"{name}/sm_drivers/{path.relative_to(root / 'container_drivers')}", path.read_text()
        )
    tool = PACKAGES / "sagemaker" / "core" / "utils" / "install_requirements.py"
    aws.put(f"{name}/sm_drivers/scripts/install_requirements.py", tool.read_text())
    template = runpy.run_path(str(root / "templates.py"))
    install = template["INSTALL_REQUIREMENTS"].format(requirements_file="requirements.txt")
    script = template["TRAIN_SCRIPT_TEMPLATE"].format(
        working_dir="cd /opt/ml/input/data/code",
        install_requirements=install if more else "",
        execute_driver=template["EXECUTE_BASIC_SCRIPT_DRIVER"],
    )
    aws.put(f"{name}/sm_drivers/sm_train.sh", script)
    aws.put(f"{name}/sm_drivers/sourcecode.json", json.dumps({"entry_script": "train.py"}))
    aws.put(f"{name}/code/train.py", code)
    for file, text in more.items():
        aws.put(f"{name}/code/{file}.txt", text)
    return f"s3://{BUCKET}/{name}"


def train(aws, name: str, code: str, version: int, requirements: str, variables=None) -> dict:
    """Train with a requirements.txt, as one version of the SDK does."""
    request = aws.train_request(name, code)
    request["Environment"] = variables or {}
    if version == 2:
        files = {"train.py": code, "requirements.txt": requirements}
        aws.archive(f"code/{name}.tar.gz", files)
    else:
        more = {"requirements": requirements} if requirements else {}
        source = drivers(aws, name, code, **more)
        request["HyperParameters"] = {}
        path = "/opt/ml/input/data/sm_drivers/sm_train.sh"
        request["AlgorithmSpecification"] |= {
            "ContainerEntrypoint": ["/bin/bash"],
            "ContainerArguments": ["-c", f"chmod +x {path} && {path}"],
        }
        for channel in ("sm_drivers", "code"):
            data = {"S3DataType": "S3Prefix", "S3Uri": f"{source}/{channel}/"}
            one = {"ChannelName": channel, "DataSource": {"S3DataSource": data}}
            request["InputDataConfig"].append(one)
    aws.sm.create_training_job(**request)
    return request


@pytest.mark.parametrize("version", [2, 3])
def test_packages_of_a_job_are_installed_for_the_job_alone(aws, tmp_path, version):
    before = sorted(path.name for path in PACKAGES.iterdir())
    name = f"packages-{version}"
    wheel(tmp_path, "1.0")
    alone = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    train(aws, name, USES, version, "toy\nnumpy\n", alone)
    found = aws.trained(name)
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    log = aws.job_log(name)
    assert "1.0" in log and "Successfully installed toy-1.0" in log
    assert any("Requirement already satisfied: numpy" in line for line in log)
    assert sorted(path.name for path in PACKAGES.iterdir()) == before


@pytest.mark.parametrize("version", [2, 3])
def test_packages_that_can_not_be_installed_fail_the_job_in_pips_words(aws, version):
    name = f"no-packages-{version}"
    train(aws, name, USES, version, "toy\n", {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/none"})
    found = aws.trained(name)
    reason = found["FailureReason"]
    assert found["TrainingJobStatus"] == "Failed"
    sentence = "ERROR: Could not find a version that satisfies the requirement toy"
    assert reason.startswith(f"AlgorithmError: {sentence}"), reason


def test_pip_in_a_job_never_removes_what_the_service_runs_on(tmp_path):
    programs = environment.interpreter(tmp_path / "python")
    variables = environment.variables("http://127.0.0.1:1", "x", programs)
    run = partial(subprocess.run, env=variables, capture_output=True, text=True)
    done = run(["pip3", "uninstall", "-y", "six"])
    assert "outside environment" in done.stdout and (PACKAGES / "six.py").exists()
    where = run(["python3", "-c", "import sys; print(sys.prefix)"])
    assert where.stdout.strip() == str(tmp_path / "python")


def test_a_script_of_version_3_is_told_to_save_too(aws):
    train(aws, "saves-3", SAVES, 3, "")
    aws.log_with("on", LOGS, "saves-3/")
    aws.sm.stop_training_job(TrainingJobName="saves-3")
    assert aws.trained("saves-3")["TrainingJobStatus"] == "Stopped"
    assert "saving" in aws.job_log("saves-3")
    assert members(aws.get("out/saves-3/output/model.tar.gz")) == {"saved": b""}


# ---- arguments and variables


TELL = """
import json, os, sys
told = {"arguments": sys.argv[1:]}
told |= {n: v for n, v in os.environ.items() if n.startswith("SM_")}
json.dump(told, open(os.environ["SM_MODEL_DIR"] + "/told", "w"))
"""


def test_a_script_of_version_2_gets_what_the_toolkit_gives(aws):
    settings = {
        "fit-intercept": True,
        "b": ["a"],
        "c": {"y": 2, "x": None},
        "rate": 0.1,
        "a": None,
        "k=v": 1,
    }
    found = aws.train("toolkit", TELL, **settings)
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    told = json.loads(members(aws.get("out/toolkit/output/model.tar.gz"))["told"])
    words = "-a||-b|['a']|-c|x=None,y=2|--fit-intercept|True|--k=v|1|--rate|0.1"
    assert "|".join(told["arguments"]) == words
    assert json.loads(told["SM_USER_ARGS"]) == told["arguments"]
    assert told["SM_HP_FIT-INTERCEPT"] == "true" and told["SM_LOG_LEVEL"] == "20"
    assert json.loads(told["SM_RESOURCE_CONFIG"])["current_host"] == "algo-1"
    env = json.loads(told["SM_TRAINING_ENV"])
    assert env["hyperparameters"] == settings and env["job_name"] == "toolkit"
    assert env["channel_input_dirs"] == {"train": told["SM_CHANNEL_TRAIN"]}
    assert (told["SM_MODULE_NAME"], told["SM_USER_ENTRY_POINT"]) == ("train", "train.py")


def test_an_entry_point_may_be_a_shell_script_or_a_package(aws):
    shell = {"run.sh": 'echo shell $1 "$2" in $PWD; exit 3'}
    package = {"setup.py": "", "train.py": "import sys; print(__name__, sys.argv[1:])"}
    request = aws.train_request("shell", "", title="two words")
    aws.archive("code/shell.tar.gz", shell)
    request["HyperParameters"]["sagemaker_program"] = '"run.sh"'
    aws.sm.create_training_job(**request)
    assert "exit code: 3" in aws.trained("shell")["FailureReason"]
    assert aws.job_log("shell")[0] == "shell --title two words in /opt/ml/code"
    request = aws.train_request("package", "")
    aws.archive("code/package.tar.gz", package)
    request["Environment"] = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/none"}
    aws.sm.create_training_job(**request)
    assert aws.trained("package")["TrainingJobStatus"] == "Failed"  # setuptools is not found
    assert any("Processing /opt/ml/code" in line for line in aws.job_log("package"))


def test_secrets_and_proxies_stay_out(monkeypatch, tmp_path):
    ours = (
        "OPENAI_API_KEY",
        "TF_VAR_x",
        "TF_TOKEN_x",
        "PIP_TARGET",
        "PIP_INDEX_URL",
        "AWS_PROFILE",
    )
    for name in ours:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("HTTP_PROXY", "http://me:p@ss/word@proxy:3128")
    monkeypatch.setenv("https_proxy", "me:password@proxy:3128")
    monkeypatch.delenv("NO_PROXY", raising=False)
    for given, expected in (("a.b", {"a.b", "127.0.0.1", "localhost"}), ("*", {"*"})):
        monkeypatch.setenv("no_proxy", given)
        made = environment.variables("http://127.0.0.1:1", "token", tmp_path)
        assert "secret" not in made.values() and made["HTTP_PROXY"] == "http://proxy:3128"
        assert made["https_proxy"] == "proxy:3128"
        assert expected <= set(made["no_proxy"].split(","))
        assert made.get("NO_PROXY", "*") == made["no_proxy"]


# ---- files


def test_a_model_with_links_trains_and_can_be_deployed(aws, tmp_path):
    code = "import os; os.chdir(os.environ['SM_MODEL_DIR'])\n"
    code += "os.makedirs('v1/deep'); open('v1/deep/w', 'w').write('x')\n"
    code += "os.link('v1/deep/w', 'hard'); os.symlink('v1', 'latest')\n"
    code += "os.symlink('nowhere', 'broken'); os.symlink('..', 'v1/around')\n"
    code += "os.symlink('/usr', 'out')"
    assert aws.train("links", code)["TrainingJobStatus"] == "Completed"
    data = aws.get("out/links/output/model.tar.gz")
    assert members(data) == dict.fromkeys(("hard", "latest/deep/w", "v1/deep/w"), b"x")
    archive.unpack(data, "model", tmp_path / "model")
    left = [line.split()[0] for line in aws.job_log("links")]
    assert left == ["'broken'", "'latest/around'", "'out'", "'v1/around'"]


@pytest.mark.parametrize(
    ("name", "keys", "sentence"),
    [
        ("file-and-folder", ["a", "a/b"], "the object 'keys/file-and-folder/a/b' can't be a file"),
        ("same-twice", ["a/b", "a//b"], "the object 'keys/same-twice/a/b' can't be a file of its"),
        ("long", ["x" * 300], "File name too long"),
    ],
)
def test_keys_that_can_not_be_files_are_named(aws, name, keys, sentence):
    for key in keys:
        aws.put(f"keys/{name}/{key}", "x")
    reason = aws.fails(name, change=change(DATA, f"s3://{BUCKET}/keys/{name}"))
    assert reason.startswith("ClientError: Data download failed: the object 'keys/")
    assert sentence in reason


LISTS = f"import os; print(sorted(os.listdir({TRAIN})))"


def test_odd_keys_are_files(aws):
    for key in ("a\\b", "/c", "d//e", "ü +%"):
        aws.put(f"keys/odd/{key}", "x")
    found = aws.train("odd", LISTS, change=change(DATA, f"s3://{BUCKET}/keys/odd/"))
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    assert aws.job_log("odd") == ["['a\\\\b', 'c', 'd', 'ü +%']"]


def test_a_manifest_can_be_sharded_too(aws):
    names = [{"prefix": f"s3://{BUCKET}/in/manifest/"}, "c", "a", "deep/b"]
    for key in names[1:]:
        aws.put(f"in/manifest/{key}", "x")
    listed = aws.put("in/listed", json.dumps(names))

    def sharded(request):
        source = {"S3DataType": "ManifestFile", "S3Uri": listed}
        source["S3DataDistributionType"] = "ShardedByS3Key"
        request["InputDataConfig"][0]["DataSource"]["S3DataSource"] = source

    assert aws.train("manifest", LISTS, count=2, change=sharded)["TrainingJobStatus"] == "Completed"
    assert sorted(aws.job_log("manifest")) == ["['a']", "['c', 'deep']"]
    aws.put("in/listed", json.dumps([*names, "never"]))
    assert "no S3 object at" in aws.fails("manifest-gap", change=sharded)


# ---- failures


MODEL = "os.environ['SM_MODEL_DIR']"


def test_a_script_may_remove_all_of_its_folders(aws):
    code = f"import os, shutil; shutil.rmtree(os.path.dirname({MODEL}))"
    assert aws.train("removes", code)["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize(
    ("name", "code", "sentences"),
    [
        ("fault", "import os; os.abort()", ["killed by SIGABRT", "exit code: 134"]),
        ("crash", "import os; print('x'); os.kill(os.getpid(), 11)", ["SIGSEGV", "lines:\nx"]),
        ("opt-ml", "open('/opt/ml/model/x', 'w')", ["'/opt/ml/model/x'"]),
        ("missing", f"import os; open({TRAIN} + '/no.csv')", ["'/opt/ml/input/data/train/no.csv'"]),
        (
            "no-folder",
            f"import os, shutil; shutil.rmtree({MODEL}); open({MODEL}, 'w').close()",
            ["AlgorithmError: the program left no folder at /opt/ml/model: File exists"],
        ),
        ("minus-one", "raise SystemExit(-1)", ["the program wrote nothing, exit code: 255"]),
    ],
)
def test_the_reason_says_what_happened(aws, name, code, sentences):
    reason = aws.fails(name, code)
    assert all(sentence in reason for sentence in sentences), reason
    assert ("There is no /opt/ml here" in reason) == (name == "opt-ml")


def test_the_service_gives_jobs_time_to_save_when_it_ends(tmp_path):
    server = launch.launch(state=tmp_path).listening()
    launch.wait_until_ready(server)
    lab = Aws(server)
    lab.sm.create_training_job(**lab.train_request("last", SAVES))
    lab.log_with("on", LOGS, "last/")
    children = psutil.Process(server.process.pid).children(recursive=True)
    server.stop()
    assert all(gone(child.pid) for child in children)
    lab = Aws(launch.launch(state=tmp_path).listening())
    launch.wait_until_ready(lab.server)
    assert lab.sm.describe_training_job(TrainingJobName="last")["TrainingJobStatus"] == "Stopped"
    assert members(lab.get("out/last/output/model.tar.gz")) == {"saved": b""}
    lab.server.stop()
