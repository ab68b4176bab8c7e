"""``NAME=VALUE`` of the command line as settings."""

import dataclasses
import json
from collections.abc import Sequence

import pydantic
import yaml

from manifests.errors import UsageError
from pipelines.download.settings import DownloadSettings
from quality.sql_tree import nearest


def read_options(options: Sequence[str]) -> DownloadSettings:
    """Values are YAML (``per_host=4``, ``types=[image, video]``). Raises `UsageError`."""
    names = [field.name for field in dataclasses.fields(DownloadSettings)]
    values = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not equals or name not in names:
            known = nearest(name, names) or f" Known are {', '.join(names)}."
            raise UsageError(f"--download {option}: write NAME=VALUE with the name of a setting.{known}")
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--download {option}: the value cannot be read. Put it in quotes.") from error
    try:
        return pydantic.TypeAdapter(DownloadSettings).validate_json(json.dumps(values, default=str), strict=True)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UsageError(f"--download {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error
