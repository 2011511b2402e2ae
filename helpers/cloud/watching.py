"""A training job's log while it grows: its lines and a figure redrawn with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from local_sagemaker.errors import CloudError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from helpers.cloud.connection import Connection

_GROUP = "/aws/sagemaker/TrainingJobs"
_RUNNING = ("InProgress", "Stopping")
_PAUSE = {True: 0.3, False: 5.0}  # seconds between two looks, at this machine and at AWS


def follow(aws: Connection, job: str) -> Iterator[list[str]]:
    """Yield all lines a job has written so far, again and again until it has ended.

    The first machine's come first; the last list is the whole log. A job that failed or was stopped
    raises a CloudError with the reason that SageMaker gives.
    """
    lines: dict[str, list[str]] = {}
    tokens: dict[str, str] = {}
    while True:
        state = aws.client("sagemaker").describe_training_job(TrainingJobName=job)
        _read_on(aws.client("logs"), job, lines, tokens)
        yield [line for stream in sorted(lines) for line in lines[stream]]
        if state["TrainingJobStatus"] not in _RUNNING:
            break
        time.sleep(_PAUSE[aws.local])
    if state["TrainingJobStatus"] != "Completed":
        reason = state.get("FailureReason", "no reason given")
        raise CloudError(f"training job {job}: {state['TrainingJobStatus']}: {reason}")


def _read_on(logs: Any, job: str, lines: dict[str, list[str]], tokens: dict[str, str]) -> None:
    """Add what is new in each of the job's streams to ``lines``."""
    try:
        found = logs.describe_log_streams(logGroupName=_GROUP, logStreamNamePrefix=f"{job}/")
    except logs.exceptions.ResourceNotFoundException:
        return  # the job has not said anything yet
    for stream in (s["logStreamName"] for s in found["logStreams"]):
        while True:
            place = {"nextToken": tokens[stream]} if stream in tokens else {"startFromHead": True}
            page = logs.get_log_events(logGroupName=_GROUP, logStreamName=stream, **place)
            lines.setdefault(stream, []).extend(event["message"] for event in page["events"])
            before, tokens[stream] = tokens.get(stream), page["nextForwardToken"]
            if tokens[stream] == before:  # an empty page alone is not the end
                break


def watch(
    aws: Connection,
    jobs: Mapping[str, str],
    draw: Callable[[dict[str, list[str]]], Figure],
    alt: Callable[[dict[str, list[str]]], str],
) -> dict[str, list[str]]:
    """Show a figure of the logs of some jobs and redraw it until all have ended.

    Parameters
    ----------
    aws : Connection
        Where the jobs run.
    jobs : mapping of str to str
        What the figure calls a job, and its name.
    draw : callable
        Takes the lines of each job, under what the figure calls it; returns a new figure.
    alt : callable
        Takes the same and returns the text for a reader who cannot see the picture.

    Returns
    -------
    dict of str to list of str
        The whole log of each job.

    Raises
    ------
    CloudError
        A job failed; the last picture stays.
    """
    from IPython.display import display

    from helpers.interactive import outputs
    from helpers.plots import png

    handle, shown = None, -1
    following = {title: follow(aws, job) for title, job in jobs.items()}
    logs: dict[str, list[str]] = {title: [] for title in jobs}
    while following:
        for title in list(following):
            try:
                logs[title] = next(following[title])
            except StopIteration:
                del following[title]
        if (now := sum(map(len, logs.values()))) == shown:
            continue
        shown, text = now, alt(logs)
        picture, details = outputs(png(draw(logs)), text)
        if handle is None:
            handle = display(picture, metadata=details, raw=True, display_id=True)
        else:
            handle.update(picture, metadata=details, raw=True)
    return logs
