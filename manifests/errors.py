"""Every error a user can meet.

    GoldsieveError                 root; exit code 3: stopped, safe to rerun
    |-- UsageError                 wrong call or input; exit code 2
    |   |-- RecipeError            a recipe that does not say what can be done (names line and rule)
    |   |-- SourceError            a source that cannot be listed (missing folder, unknown kind)
    |   |-- LakeMissingError       there is no lake at the address
    |   |-- SqlError               an expression or query that is unsafe or does not bind
    |   `-- MissingDependencyError an optional package is not installed (names the install command)
    |-- LakeError                  the lake cannot be opened, or is of an unknown format
    |   |-- LakeBusyError          another run holds the lake (names the holder)
    |   |-- CatalogDownError       the catalog's server cannot be reached
    |   `-- StorageError           a part cannot be written: the disk is full, the object store fails
    |-- Interrupted                Ctrl-C; exit code 130: safe to rerun
    |-- MediaError                 one sample's bytes cannot be read or decoded; becomes the sample's error
    |-- PromiseError               an operator returned other columns, types or lengths than it promised
    `-- MeasureError               every row of an operator failed: a set-up fault, not a data fault

Messages are sentences that name the file or the rule and the next step.
"""

from collections.abc import Iterable


class GoldsieveError(Exception):
    """Root of all errors raised on purpose. ``exit_code`` is what the command line returns."""

    exit_code = 3


class UsageError(GoldsieveError):
    """The call itself is wrong: nothing was changed, and trying again unchanged will not help."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is invalid."""


class SourceError(UsageError):
    """A source cannot be listed."""


class LakeMissingError(UsageError):
    """There is no lake at the address."""


class SqlError(UsageError):
    """An SQL expression is unsafe, unknown or not of the expected type. ``unknown``: the columns it names that are not there."""

    def __init__(self, text: str, unknown: Iterable[str] = ()) -> None:
        super().__init__(text)
        self.unknown = tuple(unknown)


class MissingDependencyError(UsageError):
    """An optional package is missing."""


class LakeError(GoldsieveError):
    """The lake cannot be used."""


class LakeBusyError(LakeError):
    """Another process writes to the lake."""


class CatalogDownError(LakeError):
    """The server that has the catalog cannot be reached."""


class StorageError(LakeError):
    """The place of the lake's data does not take it."""


class Interrupted(GoldsieveError):
    """The user pressed Ctrl-C."""

    exit_code = 130


class MediaError(GoldsieveError):
    """One sample's media cannot be read or decoded. Short text: it is stored beside the sample."""


class PromiseError(GoldsieveError):
    """An operator broke its declared shape."""


class MeasureError(GoldsieveError):
    """All rows of an operator failed."""


def first_line(error: BaseException) -> str:
    """The first line of what an error says, or the name of its type where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
