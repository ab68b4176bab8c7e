"""C2PA manifests (Content Credentials), read and checked by c2pa-python without any access to a network.

``intact``: the claim's signature and every hash hold, so the statement was made about these very bytes. Whether the signer is to
be trusted is not asked: that needs a list of trusted certificates and today's date, and a signal is a function of the file.
``altered``: the picture or a statement changed after signing. ``unreadable``: no manifest could be read from the store.

Source: C2PA specification 2.2, actions (created, opened, edited, ...) with digitalSourceType, ingredients.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from manifests.errors import MissingDependencyError
from operators.provenance.digital_source import source
from operators.provenance.evidence import Evidence, Found, Told
from operators.provenance.names import generator_of
from operators.provenance.pieces import MAX_STORE, Piece

MIME = {"JPEG": "image/jpeg", "PNG": "image/png", "WebP": "image/webp", "TIFF": "image/tiff", "GIF": "image/gif", "AVIF": "image/avif"}
_OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": False, "verify_timestamp_trust": False}}
_SIGNER_ONLY = ("signingCredential.", "timeStamp.", "timeOfSigning.")
_BOUND = {"assertion.dataHash.match", "assertion.bmffHash.match", "assertion.boxesHash.match"}
MAX_MANIFESTS, MAX_REPORT = 50, 8 << 20


def load() -> Any:
    """The package. Raises `MissingDependencyError`."""
    try:
        import c2pa
    except ImportError as error:
        raise MissingDependencyError(
            f"provenance needs the package c2pa-python ({error}). Install it with: pip install c2pa-python"
        ) from None
    return c2pa


def read(opened: Callable[[], BinaryIO], piece: Piece) -> Told:
    """What a file's manifest store says; ``piece`` is the store as the walker found it. Reads all of the file, for its hashes."""
    report = _report(opened, piece) if len(piece.data) <= MAX_STORE else None
    if report is None:
        named = b"trainedAlgorithmicMedia" in piece.data
        hint = "a C2PA store that cannot be read names trainedAlgorithmicMedia"
        return Told([Found(Evidence("c2pa", piece.where, hint, "weak"))] if named else [], "unreadable")
    manifests = report["manifests"]
    active = manifests[report["active_manifest"]]
    state = _state(report)
    return Told(list(_statements(manifests, active, piece.where, state)), state)


def _report(opened: Callable[[], BinaryIO], piece: Piece) -> dict[str, Any] | None:
    """c2pa-python's report, or None where it reads none."""
    c2pa = load()
    container = piece.where.split(" ", 1)[0]
    mime = MIME.get(container, "image/heic" if container == "HEIF" else "video/mp4")
    try:
        with (
            opened() as file,
            c2pa.Context(c2pa.Settings.from_dict(_OFFLINE)) as context,
            c2pa.Reader(mime, file, context=context) as reader,
        ):
            text = reader.json()
        found: dict[str, Any] = json.loads(text) if len(text) <= MAX_REPORT else {}
        return found if isinstance(found.get("manifests"), dict) and found.get("active_manifest") in found["manifests"] else None
    except (c2pa.C2paError, ValueError, RecursionError):
        return None


def _state(report: Mapping[str, Any]) -> str:
    results = (report.get("validation_results") or {}).get("activeManifest") or {}
    passed = {item.get("code") for item in results.get("success") or ()}
    failed = [item.get("code", "") for item in results.get("failure") or ()]
    intact = "claimSignature.validated" in passed and passed & _BOUND and all(code.startswith(_SIGNER_ONLY) for code in failed)
    return "intact" if intact else "altered"


def _statements(manifests: Mapping[str, Any], active: Mapping[str, Any], where: str, state: str) -> Iterator[Found]:
    """Actions that name a source, of the active manifest and of those of its ingredients."""
    queue: list[tuple[Mapping[str, Any], str]] = [(active, "")]
    seen: set[int] = set()
    while queue and len(seen) < MAX_MANIFESTS:
        manifest, role = queue.pop(0)
        if id(manifest) in seen or not isinstance(manifest, Mapping):
            continue
        seen.add(id(manifest))
        yield from _actions(manifest, role, where, state)
        for ingredient in manifest.get("ingredients") or ():
            inner = manifests.get(ingredient.get("active_manifest", ""))
            if inner is not None:
                part = ingredient.get("relationship") != "parentOf"
                queue.append((inner, "part of it " if part or role == "part of it " else "before editing "))


def _actions(manifest: Mapping[str, Any], role: str, where: str, state: str) -> Iterator[Found]:
    claim = _name(manifest.get("claim_generator_info")) or str(manifest.get("claim_generator") or "").split(" ")[0]
    signer = (manifest.get("signature_info") or {}).get("issuer") or "nobody named"
    for assertion in manifest.get("assertions") or ():
        if not str(assertion.get("label", "")).startswith("c2pa.actions"):
            continue
        actions = (assertion.get("data") or {}).get("actions") or ()
        for action in actions:
            agent = _name(action.get("softwareAgent"))
            kind = source(action.get("digitalSourceType"))
            known = generator_of(agent or "") or generator_of(claim)
            if kind is None and not (known and action.get("action") == "c2pa.created"):
                continue
            strength = kind.strength if kind else "strong"
            if strength == "strong":
                strength = "weak" if role == "part of it " else "proof" if state == "intact" else "strong"
            said = kind.name if kind else "no source type"
            value = f"{role}{action.get('action')}: {said} by {agent or claim or 'nobody named'}; signed by {signer}; {state}"
            evidence = Evidence("c2pa", where, value, strength)
            if strength == "camera":
                yield Found(evidence)
            else:
                yield Found(evidence, generator=known or claim or agent, model=agent if agent and agent != known else None)


def _name(value: Any) -> str | None:
    """Name and version of a program: a string, a mapping, or a list of them."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        return " ".join(str(part) for part in (value.get("name"), value.get("version")) if part) or None
    return value if isinstance(value, str) and value else None
