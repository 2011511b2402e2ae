"""S3, STS and IAM: what moto would only pretend; and proxies, which stand between nobody and this machine."""

import base64
import hashlib
import os
import urllib.error
import urllib.request
import zlib

import boto3
import psutil
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from helpers.cloud import sdk
from local_sagemaker.service import checksums
from tests.sagemaker.conftest import BUCKET, ROLE, full
from tests.sagemaker.jobs import python

SESSION = {"RoleArn": ROLE, "RoleSessionName": "me"}


@pytest.mark.parametrize(
    ("service", "ask"),
    [
        ("sts", lambda c: c.assume_role(**SESSION)["Credentials"]),
        ("sts", lambda c: c.get_session_token()["Credentials"]),
        ("sts", lambda c: c.get_federation_token(Name="me")["Credentials"]),
        ("iam", lambda c: c.create_access_key(UserName="me")["AccessKey"]),
    ],
)
def test_keys_that_are_given_out_open_this_service(aws, service, ask):
    if service == "iam":
        aws.client("iam").create_user(UserName="me")
    given = ask(aws.client(service))
    keys = {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given.get("SessionToken"),
    }
    session = boto3.session.Session(region_name="us-west-2", **keys)
    for name, call in (("s3", "list_buckets"), ("sagemaker", "list_models")):
        assert getattr(session.client(name, endpoint_url=aws.server.url), call)()


def test_an_object_is_never_changed_on_its_way(aws):
    body = b"<SecretAccessKey>x</SecretAccessKey><AccessKeyId>own</AccessKeyId>:user/moto<"
    aws.put("services/keys", body)
    assert aws.get("services/keys") == body


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body).digest()).decode()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"ContentMD5": md5(b"other")}, "BadDigest"),
        ({"ChecksumCRC32": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumCRC32C": "AAAAAA=="}, "BadDigest"),
        ({"ChecksumCRC64NVME": "AAAAAAAAAAA="}, "BadDigest"),
        ({"ChecksumSHA512": base64.b64encode(b"x" * 64).decode()}, "BadDigest"),
        ({"ChecksumXXHASH64": "AAAAAAAAAAA="}, "NotImplemented"),
        ({"WriteOffsetBytes": 5}, "NotImplemented"),
        ({"Key": "services/a\nb"}, "InvalidArgument"),
    ],
)
def test_a_put_that_is_not_what_was_asked_for_is_refused(aws, more, code):
    aws.put("services/object", b"first")
    with pytest.raises(ClientError) as refused:
        aws.s3.put_object(Bucket=BUCKET, **{"Key": "services/object", "Body": b"again"} | more)
    assert refused.value.response["Error"]["Code"] == code
    assert aws.get("services/object") == b"first"


def test_right_digests_are_taken(aws):
    about = {"Bucket": BUCKET, "Key": "services/digest", "Body": b"123456789"}
    aws.s3.put_object(**about, ContentMD5=md5(b"123456789"))
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        aws.s3.put_object(**about, ChecksumAlgorithm=algorithm)
    for name, value in (("CRC32C", "4waSgw=="), ("CRC64NVME", "rosUhgp5mIg=")):  # as catalogued
        aws.s3.put_object(**about, **{f"Checksum{name}": value})
        copied = {"Bucket": BUCKET, "Key": "services/copy", "ChecksumAlgorithm": name}
        aws.s3.copy_object(**copied, CopySource=f"{BUCKET}/services/digest")
        held = aws.s3.head_object(Bucket=BUCKET, Key="services/copy", ChecksumMode="ENABLED")
        assert held[f"Checksum{name}"] == value
    for body in map(os.urandom, (0, 7, 100_001)):
        assert checksums._crc(32, 0xEDB88320, body) == zlib.crc32(body).to_bytes(4, "big")
    part = aws.s3.create_multipart_upload(Bucket=BUCKET, Key="services/parts")["UploadId"]
    place = {"Bucket": BUCKET, "Key": "services/parts", "UploadId": part}
    with pytest.raises(ClientError, match="BadDigest"):
        aws.s3.upload_part(**place, PartNumber=1, Body=b"part", ContentMD5=md5(b"other"))
    tag = aws.s3.upload_part(**place, PartNumber=1, Body=b"part")["ETag"]
    whole = {"Parts": [{"ETag": tag, "PartNumber": 1}]}
    aws.s3.complete_multipart_upload(**place, MultipartUpload=whole)
    assert aws.get("services/parts") == b"part"


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_a_signed_address_is_valid_until_it_expires(aws, version):
    from botocore.config import Config

    aws.put("services/signed", b"x")
    keys = {"aws_access_key_id": aws.server.token, "aws_secret_access_key": "local"}
    keys |= {"region_name": "us-west-2", "endpoint_url": aws.server.url}
    s3 = boto3.session.Session().client("s3", config=Config(signature_version=version), **keys)
    place = {"Bucket": BUCKET, "Key": "services/signed"}
    for seconds, status in ((60, 200), (-60, 403)):
        url = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=seconds)
        try:
            with urllib.request.urlopen(url) as answer:
                found, said = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            found, said = error.code, error.read()
        assert found == status and (said == b"x" or b"Request has expired" in said)


def test_memory_of_large_objects_comes_back(aws):
    """moto keeps each body in a circle of references: six times as much as there is, without care."""
    process = psutil.Process(aws.server.process.pid)
    body = os.urandom(20 << 20)
    aws.put("services/large", body)
    before = process.memory_info().rss
    for _ in range(8):
        aws.put("services/large", body)
        aws.get("services/large")
    aws.s3.delete_object(Bucket=BUCKET, Key="services/large")
    assert process.memory_info().rss - before < 3 * len(body)


PROXIES = """
import os, sys
from helpers import cloud
aws = cloud.connect(sdk=False)
from helpers.cloud import connection
from tests.sagemaker.conftest import Aws
code = '''
import boto3, os, urllib.request
print("buckets", len(boto3.client("s3").list_buckets()["Buckets"]))
try:
    urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"])
except urllib.error.HTTPError as error:
    print("urllib", error.code)
'''
lab = Aws(connection._server)
print(lab.train("proxied", code)["TrainingJobStatus"])
print(*[line for line in lab.job_log("proxied") if line[:7] in ("buckets", "urllib ")])
print(len(aws.client("s3").list_buckets()["Buckets"]))
files = {"model.json": '{"w": 3}', "code/inference.py": "import boto3\\n" + sys.argv[1]}
lab.deploy("proxied", lab.archive("proxied.tar.gz", files))
print(lab.ask("proxied", [2]))
"""
INFERENCE = """
def model_fn(d): return boto3.client("s3")
def predict_fn(x, m): return len(m.list_buckets()["Buckets"])
"""
DEAD = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "proxies",
    [
        pytest.param({"HTTP_PROXY": DEAD}, marks=full),
        pytest.param({"http_proxy": DEAD, "no_proxy": "localhost"}, marks=full),
        pytest.param({"ALL_PROXY": DEAD, "HTTPS_PROXY": DEAD, "NO_PROXY": "x.com"}, marks=full),
        {"HTTP_PROXY": DEAD, "http_proxy": DEAD, "no_proxy": "", "NO_PROXY": "localhost"},
    ],
    ids=str,
)
def test_no_proxy_stands_between_a_process_and_this_machine(proxies):
    """The kernel's boto3, the service, a job's own boto3 and a model's."""
    without = ("AWS_", "COURSE_CLOUD", "http", "HTTP", "no_proxy", "NO_PROXY", "all", "ALL")
    done = python("-c", PROXIES, INFERENCE, without=without, COURSE_CLOUD_STATE="", **proxies)
    said = ["Completed", "buckets 1 urllib 403", "1", "1"]
    assert done.stdout.splitlines()[1:] == said, done.stderr


def test_two_sessions_share_what_botocore_reads_of_a_service():
    sdk.load(local=True)
    one, other = (Loader().load_service_model("iam", "service-2") for _ in range(2))
    assert one["shapes"] is other["shapes"]
