"""MovieLens data sets: their files, their SHA-256 digests, and the places where they are found.

Where the digests come from. Archives: TensorFlow Datasets' published list
``url_checksums/movielens.txt``. ``u.data`` and ``u.item``: published by the data loaders of the
cmfrec and disco gems, among others. RecBole's ``.item`` and ``.inter``: measured in the wheel of
recbole 1.2.1; without its header line the ``.inter`` has the published digest of ``u.data``.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import tempfile
import warnings
import zipfile
from contextlib import suppress
from importlib.machinery import PathFinder
from pathlib import Path
from urllib.parse import urlsplit

from helpers import files

from .interactions import DataError, Interactions
from .ratings_file import parse_items, parse_ratings

EMBEDDED = Path(__file__).parent / "latest_small"
GROUPLENS = "https://files.grouplens.org/datasets/movielens"
RECBOLE = "recbole==1.2.1"  # its PyPI wheel holds ML-100K
PAIRS = {  # ratings and items of each data set; the first pair is also what its archive holds
    "latest-small": [("ratings.csv.gz", "items.csv.gz")],
    "100k": [("u.data", "u.item"), ("ml-100k.inter", "ml-100k.item")],
    "1m": [("ratings.dat", "movies.dat")],
    "20m": [("ratings.csv", "movies.csv")],
}
SHA256 = {
    "ratings.csv.gz": "5cb3549cfca47f1db5f3b0b71d625ee886d02d00530da38778838647e38f3d96",
    "items.csv.gz": "0bba0b75b7a97dc6cccc54908410848d303471b97dd02dd4fa9779b9d01ae645",
    "ml-100k.zip": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "ml-1m.zip": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ml-20m.zip": "96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
find_spec = PathFinder.find_spec  # importlib.util's, asked for pip, would replace distutils here
SECONDS = 5.0  # to connect, and at most this long without a byte

Pair = list[tuple[str, bytes]]  # names and contents of the ratings and of the items


class DataUnavailable(DataError):
    """A data set is in none of the places that were tried; nothing is wrong with the data."""


def load(name: str = "latest-small") -> Interactions:
    """Return a MovieLens data set, checked by its SHA-256, rows in file order.

    ``"latest-small"`` is in this package. The others, ``"100k"``, ``"1m"``, ``"20m"``, may not be
    passed on with it. They are looked for in the folder that ``MOVIELENS_DIR`` names (the archive,
    or its files, there or in a subfolder such as ``ml-100k``), in the cache (``COURSE_CACHE``), at
    files.grouplens.org, and, for 100k, in the PyPI package recbole. ``COURSE_OFFLINE=1`` leaves out
    the network. Items without a rating are left out.

    Raises
    ------
    DataError
        For an unknown name, for a file that is not the published one, and when no place has it
        (its subclass `DataUnavailable`).
    """
    if name not in PAIRS:
        raise DataError(f"data set {name!r} is not known, expected one of {', '.join(PAIRS)}")
    (ratings_file, ratings), (items_file, items) = _find(name)
    if items_file == "ml-100k.item":  # RecBole misspells a title and puts words into the year
        items = items.replace(b"\tunkonwn\t", b"\tunknown\t", 1)
        items = re.sub(rb"\t(V|unkonwn)\t", b"\t\t", items)
    table = parse_items(items, items_file)
    if items_file == "ml-100k.item":  # and separates genres by blanks
        table["genres"] = table["genres"].str.replace(" ", "|")
    return Interactions.from_frame(parse_ratings(ratings, ratings_file), table, name)


def load_or_none(name: str) -> Interactions | None:
    """Return `load(name)`, or print one sentence why it is not available here and return None."""
    try:
        return load(name)
    except DataUnavailable as error:
        print(error)
        return None


def _find(name: str) -> Pair:
    """Return the files of a data set from the first place that has them."""
    if name == "latest-small":
        return [(file, _published(EMBEDDED / file)) for file in PAIRS[name][0]]
    archive = f"ml-{name}.zip"
    tried = ["MOVIELENS_DIR is not set"]
    if named := os.environ.get("MOVIELENS_DIR"):
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise DataError(f"MOVIELENS_DIR is {named!r}, which is no folder; correct or unset it")
        if pair := _in_folder(folder, name):
            return pair
        tried = [f"the folder MOVIELENS_DIR names holds neither {archive} nor {PAIRS[name][0][0]}"]
    offline = os.environ.get("COURSE_OFFLINE", "") not in ("", "0")
    for source in [_from_cache] if offline else [_from_cache, _from_grouplens, _from_recbole]:
        try:
            return source(name, _cache_folder())
        except (DataError, ImportError) as error:
            tried.append(str(error))
    if offline:
        tried.append("COURSE_OFFLINE is set")
    raise DataUnavailable(
        f"MovieLens {name} is not available here: {'; '.join(tried)}; put {archive} into a folder "
        "and name it in MOVIELENS_DIR, or go on with load('latest-small'), which needs no network."
    )


def _in_folder(folder: Path, name: str) -> Pair | None:
    """Return the files of a data set from a folder or its subfolder; None where there are none."""
    for place in (folder / f"ml-{name}", folder):
        archive = place / f"ml-{name}.zip"
        if archive.is_file():
            with zipfile.ZipFile(io.BytesIO(_published(archive))) as members:
                return [(file, members.read(f"ml-{name}/{file}")) for file in PAIRS[name][0]]
        for pair in PAIRS[name]:
            if (place / pair[0]).is_file():
                return [(file, _published(place / file)) for file in pair]
    return None


def _published(path: Path) -> bytes:
    """Return the content of a file, or raise where it is not the published one."""
    advice = "get a fresh copy from https://grouplens.org/datasets/movielens/"
    if path.parent == EMBEDDED:
        advice = "restore it with git checkout -- helpers/data/latest_small, or get a fresh course"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); {advice}") from error
    if path.name not in SHA256:
        print(f"{path} could not be checked: no SHA-256 of this single file is published.")
    elif hashlib.sha256(content).hexdigest() != SHA256[path.name]:
        text = content.replace(b"\r\n", b"\n")  # it may have got the line ends of Windows
        if hashlib.sha256(text).hexdigest() != SHA256[path.name]:
            raise DataError(f"{path} is not the published file, its SHA-256 differs; {advice}")
    return content


def _cache_folder() -> Path:
    """Return ``COURSE_CACHE``, else ``recsys-workbook`` in the user's cache folder."""
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "recsys-workbook"
    return Path(os.environ.get("COURSE_CACHE") or usual).expanduser()


def _from_cache(name: str, cache: Path) -> Pair:
    if pair := _in_folder(cache, name):
        return pair
    raise DataUnavailable("it is not in the cache")


def _from_grouplens(name: str, cache: Path) -> Pair:
    """Download the archive into the cache, where it appears only once its SHA-256 is right."""
    import pooch
    import requests

    archive = f"ml-{name}.zip"
    host = urlsplit(GROUPLENS).hostname
    watched = sys.stderr.isatty() or "ipykernel" in sys.modules
    bar = watched and find_spec("tqdm") and not {"PYTEST_CURRENT_TEST", "CI"} & set(os.environ)
    pooch.get_logger().setLevel("WARNING")
    store = pooch.create(cache, GROUPLENS, registry={archive: SHA256[archive]}, retry_if_failed=2)
    try:
        for verify in (True, False):
            settings = {"chunk_size": 1 << 16, "timeout": SECONDS, "verify": verify}
            with suppress(requests.exceptions.SSLError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of urllib3, about the certificate
                store.fetch(archive, downloader=pooch.HTTPDownloader(bool(bar), **settings))
                break
            print(f"The certificate of {host} is not valid; the download's SHA-256 is checked.")
    except requests.RequestException as error:
        answer = "no connection, or it broke off"
        if error.response is not None:
            answer = f"it answered {error.response.status_code} {error.response.reason}"
        raise DataUnavailable(f"{host}: {answer}") from error
    except ValueError as error:
        raise DataError(f"{host}: {archive} came with a wrong SHA-256 and was not kept") from error
    except OSError as error:
        raise DataError(
            f"{archive} cannot be kept in {cache} ({error.strerror or error}); "
            "free some space, or name another folder in COURSE_CACHE"
        ) from error
    return _from_cache(name, cache)


def _from_recbole(name: str, cache: Path) -> Pair:
    """Fetch RecBole's wheel by pip (uv installs none), and keep its ML-100K in the cache."""
    if name != "100k":
        raise DataUnavailable("PyPI has only 100k")
    pip = ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input"]
    pip += ["--disable-pip-version-check", "--retries", "1", "--timeout", "5", "--dest"]
    python = sys.executable if find_spec("pip") else getattr(sys, "_base_executable", "python")
    with tempfile.TemporaryDirectory(prefix="recsys-") as folder:
        command = [python, *pip, folder, RECBOLE]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=120)
        except (OSError, subprocess.SubprocessError) as error:
            raise DataUnavailable(f"PyPI: pip could not fetch {RECBOLE}") from error
        inside = "recbole/dataset_example/ml-100k"
        try:
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                paths = [wheel.extract(f"{inside}/{file}", folder) for file in PAIRS[name][-1]]
        except (KeyError, StopIteration, zipfile.BadZipFile) as error:
            raise DataError(f"PyPI: the wheel of {RECBOLE} cannot be read ({error})") from error
        pair = [(Path(path).name, _published(Path(path))) for path in paths]
    with suppress(OSError):  # a full disk costs the next run a download, not this one its data
        for file, content in reversed(pair):  # the ratings last: they say that both are there
            files.write(cache / "ml-100k" / file, content)
    return pair
