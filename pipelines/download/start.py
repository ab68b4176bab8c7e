"""A source of kind ``urls``, downloaded and then listed as what it has become: a folder of WebDataset shards."""

import dataclasses
import os
from pathlib import Path

from manifests.address import LakeAddress
from manifests.errors import SourceError, UsageError
from pipelines.download.addresses import Lookup, system_lookup
from pipelines.download.processes import run_job
from pipelines.download.settings import DownloadSettings
from pipelines.download.state import load, locked, open_state
from pipelines.download.urllist import list_files, open_list
from pipelines.progress import Reporter
from pipelines.sources.spec import SourceSpec, source_name


def downloaded(address: LakeAddress, spec: SourceSpec, reporter: Reporter, lookup: Lookup = system_lookup) -> SourceSpec:
    """Download what is missing; returns the source to list. Failures of an earlier run are left as they are, see `download_again`.

    Raises `UsageError` for a lake without a folder on this machine, and what `run_job` raises.
    """
    folder = shard_folder(address, spec)
    spec = dataclasses.replace(spec, path=os.path.abspath(os.path.expanduser(spec.path)), kind="urls", name=source_name(spec))
    with locked(folder):
        run_job(open_state(folder, spec), reporter, lookup=lookup)
    return as_webdataset(folder, spec)


def download_again(folder: Path, reporter: Reporter, lookup: Lookup = system_lookup) -> SourceSpec | None:
    """Fetch the failures of a folder once more, with its last settings; returns the source to list, None: no such folder."""
    state = load(folder)
    if state is None:
        return None
    with locked(folder):
        run_job(state, reporter, again=True, lookup=lookup)
    return as_webdataset(folder, state.spec)


def shard_folder(address: LakeAddress, spec: SourceSpec) -> Path:
    """Where a source's shards go."""
    settings = spec.download or DownloadSettings()
    if settings.to:
        return Path(settings.to).expanduser().absolute()
    if address.folder is None:
        raise UsageError(f"{spec.path}: the lake {address} has no folder here. Say where downloads go: download: {{to: FOLDER}}.")
    name = source_name(spec)
    return address.folder / "downloads" / ("".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(". ") or "source")


def as_webdataset(folder: Path, spec: SourceSpec) -> SourceSpec:
    """The shards of a folder as a source; captions and keys come from the columns that the list's first readable file has for them."""
    files = list_files(spec)
    for file in files:
        try:
            _, layout = open_list(spec, file)
            break
        except SourceError:
            if file is files[-1]:
                raise
    return SourceSpec(str(folder), "webdataset", source_name(spec), caption_column=layout.caption, key_column=layout.key)
