"""Builds the functions' package for the interpreter that runs them in the stand-in."""

import hashlib
import json
import shutil
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

STALE_SECONDS = 3600

# Not needed at runtime, but two thirds of the files.
_LEFT_OUT = ("__pycache__", "*.dist-info", "bin")


class PackageError(Exception):
    """The functions' requirements could not be installed."""


class Interpreter(NamedTuple):
    """The properties of a Python that determine its compatible wheels."""

    version: str  # 3.11
    machine: str  # x86_64


def interpreter_of(python: Path) -> Interpreter:
    """Return the interpreter's properties."""
    script = (
        "import json, platform, sys;"
        "print(json.dumps(['%d.%d' % sys.version_info[:2], platform.machine().lower()]))"
    )
    found = _run(python, "-c", script)
    return Interpreter(*json.loads(found))


def build_package(
    functions: Path, build: Path, python: Path, linux: Interpreter | None = None
) -> Path:
    """Return `<build>/functions-<hash>.zip`, made of `functions` and its requirements.

    Its wheels are for `python`, whose pip installs them, or for another Python on `linux`.
    Raises PackageError.
    """
    dependencies = _build_dependencies(functions / "requirements.txt", build, python, linux)
    sources = _sources(functions)
    digest = _digest([dependencies.name.encode(), *_contents(functions, sources)])
    package = build / f"functions-{digest}.zip"
    if not package.exists():
        _remove_stale(build)
        with tempfile.TemporaryDirectory(dir=build) as folder:
            unfinished = Path(folder) / package.name
            shutil.copyfile(dependencies, unfinished)
            _add(unfinished, functions, sources)
            unfinished.replace(package)
    return package


def _build_dependencies(
    requirements: Path, build: Path, python: Path, linux: Interpreter | None
) -> Path:
    build.mkdir(parents=True, exist_ok=True)
    identity = _identity(python) if linux is None else repr(linux).encode()
    archive = build / f"dependencies-{_digest([requirements.read_bytes(), identity])}.zip"
    if not archive.exists():
        with tempfile.TemporaryDirectory(dir=build) as folder:
            target = Path(folder) / "site"
            _install(requirements, target, python, linux)
            unfinished = Path(folder) / archive.name
            files = [path for path in sorted(target.rglob("*")) if _is_wanted(path, target)]
            _add(unfinished, target, files)
            unfinished.replace(archive)
    return archive


def _install(requirements: Path, target: Path, python: Path, linux: Interpreter | None) -> None:
    options = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    if linux is not None:
        options += ["--python-version", linux.version, "--only-binary", ":all:"]
        options += ["--platform", f"manylinux2014_{linux.machine}"]
    files = ["-r", str(requirements), "--target", str(target)]
    try:
        _run(python, "-m", "pip", "install", *options, *files)
    except subprocess.CalledProcessError as error:
        raise PackageError(error.stderr.decode(errors="replace")) from error


def _identity(python: Path) -> bytes:
    """Return what identifies the wheels that the interpreter needs."""
    script = "import sys, sysconfig; print(sys.version_info[:2], sysconfig.get_platform())"
    return _run(python, "-c", script)


def _run(python: Path, *arguments: str) -> bytes:
    """Return the interpreter's output."""
    command = [str(python), *arguments]
    # S603: the caller's own interpreter.
    return subprocess.run(command, check=True, capture_output=True).stdout  # noqa: S603


def _is_wanted(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parents
    return path.is_file() and not any(
        Path(part.name).match(pattern) for part in parts for pattern in _LEFT_OUT
    )


def _sources(functions: Path) -> list[Path]:
    return [path for path in sorted(functions.rglob("*")) if _is_wanted(path, functions)]


def _contents(root: Path, files: Iterable[Path]) -> list[bytes]:
    parts = []
    for file in files:
        parts += [str(file.relative_to(root)).encode(), file.read_bytes()]
    return parts


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:12]


def _add(archive: Path, root: Path, files: Iterable[Path]) -> None:
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED, compresslevel=1) as package:
        for file in files:
            package.write(file, file.relative_to(root))


def _remove_stale(build: Path) -> None:
    """Remove packages of earlier code, except recent ones, which a run may still read."""
    for package in build.glob("functions-*.zip"):
        if time.time() - package.stat().st_mtime > STALE_SECONDS:
            package.unlink(missing_ok=True)
