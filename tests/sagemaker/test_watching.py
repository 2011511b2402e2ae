"""Following a job's log: every line once, in order, to the end, and why a job failed."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import pytest

from helpers.cloud import watching
from local_sagemaker.errors import CloudError


class Missing(Exception):
    pass


class Cloud:
    """A job that says one more part of its lines at each look, two events a page."""

    local = True

    def __init__(self, parts, end="Completed", reason=None):
        self.parts, self.end, self.reason, self.looks = parts, end, reason, 0
        self.exceptions = SimpleNamespace(ResourceNotFoundException=Missing)

    def client(self, name):
        return self

    def describe_training_job(self, TrainingJobName):
        self.looks += 1
        ended = self.looks >= len(self.parts)
        found = {"TrainingJobStatus": self.end if ended else "InProgress"}
        return found | ({"FailureReason": self.reason} if ended and self.reason else {})

    def describe_log_streams(self, logGroupName, logStreamNamePrefix):
        if not any(self.parts[: self.looks]):
            raise Missing
        return {"logStreams": [{"logStreamName": f"{logStreamNamePrefix}algo-1-1"}]}

    def get_log_events(self, logGroupName, logStreamName, nextToken="0", startFromHead=None):
        said = [line for part in self.parts[: self.looks] for line in part]
        page = said[int(nextToken) :][:2]
        events = [{"message": message} for message in page]
        return {"events": events, "nextForwardToken": str(int(nextToken) + len(page))}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: None)


def test_follow_yields_each_line_once_and_ends_with_the_job():
    cloud = Cloud([[], ["a", "b", "c"], [], ["d"]])
    first, last = ["a", "b", "c"], ["a", "b", "c", "d"]
    assert list(watching.follow(cloud, "job")) == [[], first, first, last]


def test_an_empty_page_is_not_the_end_of_a_log():
    """CloudWatch ends a stream by giving the same token again."""
    pages = {None: ([], "1"), "1": (["a"], "2"), "2": ([], "3"), "3": (["b"], "4"), "4": ([], "4")}

    def events(logGroupName, logStreamName, nextToken=None, startFromHead=None):
        lines, token = pages[nextToken]
        return {"events": [{"message": line} for line in lines], "nextForwardToken": token}

    cloud = Cloud([["lines"]])
    cloud.get_log_events = events
    assert list(watching.follow(cloud, "job")) == [["a", "b"]]


@pytest.mark.parametrize("end, reason", [("Failed", "ClientError: no labels"), ("Stopped", None)])
def test_a_job_that_did_not_complete_says_why(end, reason):
    message = f"training job mine: {end}: {reason or 'no reason given'}"
    for parts in ([["a"], ["b"]], [["a"]]):
        with pytest.raises(CloudError, match=message):
            list(watching.follow(Cloud(parts, end, reason), "mine"))


def test_watch_redraws_with_every_new_line_and_returns_the_logs(monkeypatch):
    shown = []
    handle = SimpleNamespace(update=lambda data, **k: shown.append(data["text/plain"]))

    def display(data, **_):
        handle.update(data)
        return handle

    follow = watching.follow
    clouds = {"one": Cloud([["a"], ["b"], []]), "two": Cloud([["x", "y", "z"]])}
    monkeypatch.setattr("IPython.display.display", display)
    monkeypatch.setattr(watching, "follow", lambda aws, job: follow(clouds[job], job))

    def tell(logs):
        return "; ".join(f"{title}: {''.join(lines)}" for title, lines in logs.items())

    jobs = {"first": "one", "second": "two"}
    logs = watching.watch(SimpleNamespace(local=True), jobs, lambda logs: plt.figure(), tell)
    assert logs == {"first": ["a", "b"], "second": ["x", "y", "z"]}
    assert shown == ["first: a; second: xyz", "first: ab; second: xyz"]
    assert not plt.get_fignums(), "figures are closed"
