"""moto, which answers S3, STS, IAM, Kinesis and Logs; what it would only pretend is done here."""

import base64
import functools
import gc
import io
import re
import time
from calendar import timegm
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from local_sagemaker.errors import LOG, ApiError
from local_sagemaker.service.checksums import DIGESTS
from local_sagemaker.serving.server import Request, Response

ROLE = "SageMakerRole"
_FORM = "application/x-www-form-urlencoded"
_OF_A_CONNECTION = ("transfer-encoding", "connection", "expect")
_LARGE = 4 << 20  # bytes of a body: moto keeps it in a cycle of references, collected much later
_CHECKSUM = "x-amz-checksum-"
_A_CHECKSUM = re.compile(rf"{_CHECKSUM}(?!algorithm$|type$|mode$).*")
_ALGORITHMS = ("x-amz-sdk-checksum-algorithm", "x-amz-checksum-algorithm")


@functools.cache
def application() -> Callable[..., Any]:
    """Import moto, which takes a second, and return it as a WSGI application."""
    from moto.s3 import models, responses
    from moto.server import DomainDispatcherApplication, create_backend_app

    def compute_checksum(body: bytes, algorithm: str, encode_base64: bool = True) -> bytes:
        found = DIGESTS[algorithm.lower()](body)  # moto's is CRC32 for the other CRCs
        return base64.b64encode(found) if encode_base64 else found

    models.compute_checksum = responses.compute_checksum = compute_checksum

    class OfferedServices(DomainDispatcherApplication):
        def get_backend_for_host(self, host: str | None) -> Any:
            found = super().get_backend_for_host(host)
            if found is None and host is not None:
                service = host.removesuffix(".amazonaws.com").rpartition(".")[0]
                said = f"{service} is not part of the services on this machine."
                raise ApiError(said, "UnknownOperationException", 404)
            return found

    return OfferedServices(create_backend_app)


def answer(request: Request) -> Response:
    """Answer one request of any service but SageMaker."""
    kind = request.headers.get("content-type", "")
    answered = _refused(request) if is_s3(request) else None
    if request.method == "POST" and kind.startswith(_FORM):
        answered = answered or _simulated(request.body)
    try:
        return answered or _ask(request)
    except (ApiError, OSError):
        raise
    except Exception as error:  # moto believes what it is given
        if not is_s3(request):
            raise
        if isinstance(error, KeyError) and "uploadId" in parse_qs(request.query, True):
            said = "The specified upload was completed, aborted or never created."
            return s3_error(404, "NoSuchUpload", said)
        LOG.error("%s %s", request.method, request.path, exc_info=error)
        said = f"{request.method} {request.path} can't be read: {type(error).__name__}: {error}"
        return s3_error(400, "InvalidRequest", said)
    finally:
        if len(request.body) > _LARGE:
            gc.collect()


def _ask(request: Request) -> Response:
    from werkzeug.test import EnvironBuilder, run_wsgi_app

    path = "/" + request.path.lstrip("/")
    headers = {k: v for k, v in request.headers.items() if k not in _OF_A_CONNECTION}
    builder = EnvironBuilder(
        f"{path}?{request.query}" if request.query else path,
        f"http://{headers['host']}",
        method=request.method,
        input_stream=io.BytesIO(request.body),
        headers=list(headers.items()),
        multithread=True,
    )
    parts, status, given = run_wsgi_app(application(), builder.get_environ())
    # lengths are the door's business, except in answers to HEAD
    dropped = {*_OF_A_CONNECTION, "content-length" if request.method != "HEAD" else ""}
    kept = [(name, value) for name, value in given if name.lower() not in dropped]
    body, signed = b"".join(parts), credential(request)
    if signed and signed[2] in ("iam", "sts"):  # moto invents keys, and who the caller is
        body = body.replace(b":user/moto<", f":assumed-role/{ROLE}/notebook<".encode())
        if b"<SecretAccessKey>" in body:
            body = re.sub(rb"<AccessKeyId>[^<]*<", f"<AccessKeyId>{signed[1]}<".encode(), body)
    return Response(body, "", int(status.split()[0]), kept)


def credential(request: Request) -> re.Match[str] | None:
    """Find the access key that a request is signed with, and the service of its signature."""
    text = f"{request.headers.get('authorization', '')} {unquote(request.query)}"
    return re.search(r"(?:Credential=|AWS |AWSAccessKeyId=)(\w+)(?:/\d+/[\w-]+/(\w[\w-]*))?", text)


def is_s3(request: Request) -> bool:
    """Whether a request is for S3: its signature says so, an old signature is S3's only."""
    found = credential(request)
    return found is not None and found[2] in (None, "s3")


def s3_error(status: int, code: str, message: str) -> Response:
    text = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return Response(text.encode(), "application/xml", status)


def _refused(request: Request) -> Response | None:
    """Refuse a request to S3 that is late or damaged, or whose meaning moto would change."""
    if _expired(request.query):
        return s3_error(403, "AccessDenied", "Request has expired")
    if "\n" in unquote(request.path):
        said = "A key with a line break is not supported: choose another name."
        return s3_error(400, "InvalidArgument", said)
    if "x-amz-write-offset-bytes" in request.headers:
        said = "Appending to an object (WriteOffsetBytes) is not supported: put the whole object."
        return s3_error(501, "NotImplemented", said)
    return _unlike_its_checksum(request)


def _unlike_its_checksum(request: Request) -> Response | None:
    """Refuse a body that has another checksum than it should, or one that can't be checked."""
    headers = request.headers
    own = {"content-md5": DIGESTS["md5"]} | {_CHECKSUM + name: DIGESTS[name] for name in DIGESTS}
    given = [name for name in headers if name in own or _A_CHECKSUM.fullmatch(name)]
    asked = {headers[name].lower() for name in _ALGORITHMS if name in headers}
    of_another = headers.get("x-amz-content-sha256", "").startswith("STREAMING") or (
        request.method == "POST" and "uploadId" in parse_qs(request.query)
    )
    unknown = not set(given) <= own.keys() or not asked <= DIGESTS.keys()
    if unknown or (of_another and given) or "x-amz-trailer" in headers:
        said = f"Give a checksum of each body in its header: {', '.join(DIGESTS)}, or none."
        return s3_error(501, "NotImplemented", said)
    for name in given:
        if headers[name] != base64.b64encode(own[name](request.body)).decode():
            said = f"The {name} you specified did not match what we received."
            return s3_error(400, "BadDigest", said)
    signed = headers.get("x-amz-content-sha256", "")
    if len(signed) == 64 and signed != DIGESTS["sha256"](request.body).hex():
        return s3_error(400, "XAmzContentSHA256Mismatch", "The body is not the one of its SHA-256.")
    return None


def _expired(query: str) -> bool:
    asked = {name.lower(): values[0] for name, values in parse_qs(query).items()}
    try:
        if "x-amz-expires" in asked:
            signed = timegm(time.strptime(asked.get("x-amz-date", ""), "%Y%m%dT%H%M%SZ"))
            return time.time() > signed + int(asked["x-amz-expires"])
        return "signature" in asked and time.time() > int(asked.get("expires", 0))
    except ValueError:  # no time that can be read has not come
        return True


def _simulated(body: bytes) -> Response | None:
    """Answer ``SimulatePrincipalPolicy`` of IAM, which moto has not: the role may do all."""
    form = parse_qs(body.decode("utf-8", "replace"))
    if form.get("Action") != ["SimulatePrincipalPolicy"]:
        return None
    rows = "".join(
        f"<member><EvalActionName>{escape(value)}</EvalActionName><EvalDecision>allowed"
        "</EvalDecision><EvalResourceName>*</EvalResourceName></member>"
        for name, (value, *_) in form.items()
        if name.startswith("ActionNames.member.")
    )
    text = (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{rows}</EvaluationResults>"
        "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    )
    return Response(text.encode(), "text/xml")
