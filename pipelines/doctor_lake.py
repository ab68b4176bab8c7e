"""Is a lake whole, and how is it made whole again?"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from manifests import open_lake
from manifests.errors import GoldsieveError, LakeBusyError, UsageError
from manifests.integrity import Fault, check_files, check_rows, drop_files, forget_conclusions
from manifests.store import Lake
from manifests.upkeep import collect_garbage
from pipelines import journal
from pipelines.doctor import Finding
from pipelines.progress import Reporter

SHOWN = 20


@dataclass(frozen=True)
class Repair:
    """What was done: rows dropped by table, files deleted that nothing knows, faults that were left because they need a decision."""

    dropped: dict[str, int] = field(default_factory=dict)
    collected: int = 0
    left: tuple[Fault, ...] = ()


def examine_lake(address: str, reporter: Reporter, *, quick: bool = False) -> list[Finding]:
    """Files, rows, orphans, notes, runs, the lease. Reads every file to its end, unless ``quick``. Changes nothing."""
    try:
        with open_lake(address, read_only=False) as lake:
            findings = [_lease(lake)]
            faults = _check(lake, reporter, quick)
            findings += [_fault(fault, address) for fault in faults[:SHOWN]]
            if len(faults) > SHOWN:
                findings.append(Finding("files", False, f"{len(faults) - SHOWN:,} more"))
            if not faults:
                findings.append(Finding("files", True, "all there, " + ("their ends readable" if quick else "read to the end")))
            if all(not fault.file.current for fault in faults):
                findings += [Finding("rows", False, text) for text in check_rows(lake)]
                findings.append(Finding("lake", True, f"{lake.value('SELECT count(*) FROM wide'):,} samples"))
            findings += _leftovers(lake, address)
    except GoldsieveError as error:
        return [Finding("lake", False, str(error))]
    return findings


def repair_lake(address: str, reporter: Reporter, forget: Collection[str] = ()) -> Repair:
    """Drop rows whose files are lost or broken and that a run makes again, and delete files that nothing knows.

    Rows that nothing makes again (labels, captions, samples, runs, exports) stay named, unless their table is in ``forget``.
    Raises `LakeBusyError` while a run writes, `UsageError` for a table in ``forget`` that is whole.
    """
    with open_lake(address, read_only=False) as lake, lake.writing("doctor"):
        faults = [fault for fault in _check(lake, reporter, quick=False) if fault.file.current]
        broken = {fault.file.table for fault in faults}
        if whole := sorted(set(forget) - broken):
            raise UsageError(f"Nothing of {', '.join(whole)} is lost or broken: there is nothing to forget.")
        dropped = drop_files(lake, faults, forget)
        left = tuple(fault for fault in faults if not fault.remade and fault.file.table not in forget)
    with open_lake(address, read_only=False) as lake, lake.writing("doctor"):
        forget_conclusions(lake, dropped)
        return Repair(dropped, len(collect_garbage(lake)), left)


def _check(lake: Lake, reporter: Reporter, quick: bool) -> list[Fault]:
    with reporter.meter("files", 0, "files") as count:
        return check_files(lake, quick=quick, on_file=count)


def _fault(fault: Fault, address: str) -> Finding:
    file = fault.file
    text = f"{file.path} {fault.problem}"
    if not file.current:
        return Finding(file.table, True, f"{text}; only older snapshots need it, and they cannot be read")
    if fault.remade:
        return Finding(file.table, False, f"{text}; goldsieve doctor {address} --repair drops its rows, and the next run makes them again")
    return Finding(
        file.table,
        False,
        f"{text}; nothing makes its {file.rows:,} rows again: put the file back from a copy. If there is none, "
        f"goldsieve doctor {address} --repair --forget {file.table} gives them up",
    )


def _lease(lake: Lake) -> Finding:
    try:
        with lake.writing("doctor"):
            return Finding("lease", True, "free")
    except LakeBusyError as error:
        return Finding("lease", True, str(error))


def _leftovers(lake: Lake, address: str) -> list[Finding]:
    findings = []
    if interrupted := lake.value("SELECT count(*) FROM runs WHERE status = 'running'"):
        text = f"{interrupted} runs ended without saying so (killed, or still running); run the same command again to continue"
        findings.append(Finding("runs", True, text))
    if suspects := journal.suspects(lake.notes):
        text = f"{len(suspects):,} samples were being measured when a process died (or are now); the next run tries them apart"
        findings.append(Finding("notes", True, text))
    if orphans := collect_garbage(lake, dry_run=True):
        findings.append(Finding("orphans", True, f"{len(orphans)} files that no snapshot knows; goldsieve gc {address} deletes them"))
    return findings


def describe_repair(repair: Repair) -> list[str]:
    """Sentences."""
    told = [f"{rows:,} rows of {table} were dropped; the next run makes them again." for table, rows in sorted(repair.dropped.items())]
    told.append(f"{repair.collected:,} files that nothing knows were deleted.")
    for table, files in sorted(Counter(fault.file.table for fault in repair.left).items()):
        told.append(
            f"{files:,} files of {table} are lost or broken, and nothing makes their rows again. Nothing was done: put them "
            f"back from a copy, or give their rows up with --repair --forget {table}."
        )
    return told
