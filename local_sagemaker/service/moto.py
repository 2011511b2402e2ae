"""The way to moto, which answers S3, STS, IAM, Kinesis and CloudWatch Logs inside this process.

Two calls that the SageMaker SDK makes before every job are answered here: moto lacks
``iam:SimulatePrincipalPolicy`` (everything is allowed on this machine), and its
``sts:GetCallerIdentity`` names a user, where a notebook on AWS is a session of its role.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from local_sagemaker.errors import ApiError
from local_sagemaker.service.store import ACCOUNT
from local_sagemaker.serving.server import Request, Response

ROLE = "SageMakerRole"
_FORM = "application/x-www-form-urlencoded"
_STS = "https://sts.amazonaws.com/doc/2011-06-15/"
_IAM = "https://iam.amazonaws.com/doc/2010-05-08/"


class Moto:
    """Answers requests of every service but SageMaker.

    Parameters
    ----------
    port : int
        The front door's, for the addresses in answers.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._application: Callable[..., Any] | None = None
        self._loading = threading.Lock()

    def load(self) -> None:
        """Import moto, which takes a second; later calls return at once."""
        with self._loading:
            if self._application is None:
                from moto.server import DomainDispatcherApplication, create_backend_app

                class Services(DomainDispatcherApplication):
                    def get_backend_for_host(self, host: str | None) -> Any:
                        found = super().get_backend_for_host(host)
                        if found is None and host is not None:
                            service = host.removesuffix(".amazonaws.com").rpartition(".")[0]
                            said = f"{service} is not part of the services on this machine."
                            raise ApiError(said, "UnknownOperationException", 404)
                        return found

                self._application = Services(create_backend_app)

    def __call__(self, request: Request) -> Response:
        """Answer one request."""
        if request.method == "POST" and request.headers.get("content-type", "").startswith(_FORM):
            answer = _answered_here(request.body)
            if answer is not None:
                return answer
        self.load()
        status: list[str] = []
        headers: list[tuple[str, str]] = []

        def start(line: str, given: list[tuple[str, str]], error: Any = None) -> None:
            status[:], headers[:] = [line], given

        assert self._application is not None
        parts = self._application(self._environ(request), start)
        try:
            body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        # what a WSGI server would do: lengths are the front door's business, except in answers to HEAD
        kept = [
            (k, v) for k, v in headers if request.method == "HEAD" or k.lower() != "content-length"
        ]
        return Response(
            body,
            "",
            int(status[0].split()[0]),
            [(k, v) for k, v in kept if k.lower() not in ("transfer-encoding", "connection")],
        )

    def _environ(self, request: Request) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            # WSGI's rule: bytes of the path, each as one Latin-1 character
            "PATH_INFO": unquote(request.path, "latin-1"),
            "RAW_URI": f"{request.path}?{request.query}" if request.query else request.path,
            "REQUEST_URI": f"{request.path}?{request.query}" if request.query else request.path,
            "QUERY_STRING": request.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self._port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(request.body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "CONTENT_LENGTH": str(len(request.body)),
        }
        for name, value in request.headers.items():
            if name == "content-type":
                environ["CONTENT_TYPE"] = value
            elif name not in ("content-length", "transfer-encoding", "expect"):
                environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        return environ


def _answered_here(body: bytes) -> Response | None:
    form = parse_qs(body.decode("utf-8", "replace"))
    action = form.get("Action", [""])[0]
    if action == "GetCallerIdentity":
        return _xml(
            action,
            _STS,
            f"<Account>{ACCOUNT}</Account><UserId>AROACOURSE:notebook</UserId>"
            f"<Arn>arn:aws:sts::{ACCOUNT}:assumed-role/{ROLE}/notebook</Arn>",
        )
    if action == "SimulatePrincipalPolicy":
        names = [value[0] for name, value in form.items() if name.startswith("ActionNames.member.")]
        rows = "".join(
            f"<member><EvalActionName>{escape(name)}</EvalActionName><EvalResourceName>*</EvalResourceName>"
            "<EvalDecision>allowed</EvalDecision></member>"
            for name in names
        )
        return _xml(
            action,
            _IAM,
            f"<IsTruncated>false</IsTruncated><EvaluationResults>{rows}</EvaluationResults>",
        )
    return None


def _xml(action: str, namespace: str, result: str) -> Response:
    text = (
        f'<{action}Response xmlns="{namespace}"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>course</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(text.encode(), "text/xml")
