"""Fetches published archives once, with TFDS's download manager."""

import contextlib
import io
import os
import tempfile
import zipfile
from pathlib import Path

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums

from posegan_jax.errors import InputError


def fetch(url: str, folder: Path) -> Path:
    """Downloads and extracts an archive, or finds it where an earlier run left it.

    The first download records size and SHA-256 in ``folder/checksums.tsv``; every later one, on
    any machine that has this file, must match it.

    Args:
      url: of a .zip file.
      folder: for the archive and what is in it; made where it is missing.

    Returns:
      The folder of what was extracted.

    Raises:
      InputError: it cannot be fetched, is another file than before, or is no archive.
    """
    record = folder / "checksums.tsv"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = checksums.load_url_infos(record) if record.exists() else {}
        with contextlib.redirect_stdout(io.StringIO()):
            manager = tfds.download.DownloadManager(
                download_dir=folder, url_infos=known, dataset_name="motion_clips",
                register_checksums=url not in known, register_checksums_path=record,
                force_checksums_validation=url in known,
            )
            archive = Path(manager.download(url))
        return _extract(archive)
    except Exception as error:  # requests, urllib3, zipfile and TFDS: many kinds
        problem = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{url}: cannot be fetched ({problem}); download it yourself and give KIND:FOLDER"
        ) from error


def _extract(archive: Path) -> Path:
    """Extracts a .zip beside itself, whole or not at all; TFDS would need TensorFlow for it."""
    folder = archive.with_suffix(".extracted")
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=archive.parent, suffix=".tmp") as temporary:
            with zipfile.ZipFile(archive) as content:
                content.extractall(Path(temporary) / "whole")
            os.rename(Path(temporary) / "whole", folder)
    return folder
