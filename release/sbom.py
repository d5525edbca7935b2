"""What is in the packages, as a CycloneDX 1.6 list: versions, licenses and hashes of every wheel.

`python -m release.sbom FOLDER` writes the list of what the lock and the installed metadata say, and a list of
what `parlour.pyz` contains, if that is in the folder. The same packages give the same bytes, so a list has no
date. A native library inside a wheel (OpenSSL, SQLCipher, libsodium) has no entry of its own. Some wheels
list theirs in the folder `sboms` of their metadata.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from collections.abc import Iterable, Mapping
from email.message import Message
from email.parser import HeaderParser
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from chat.tools.bundle.launch import read
from release.wheels import LOCK

SPACE: Final = uuid.UUID("6f1f0f5c-8d53-4f0a-9a5e-0b6f6c3c2b8e")
"""Of the serial numbers, which are drawn from the content."""

UNSAID: Final = {"sqlcipher3": "Zlib"}
"""Licenses that the metadata of a package does not name, by the text of its license file."""

Json = dict[str, Any]


def of_lock(lock: str) -> Json:
    """The list of what the lock names, with the metadata installed here. Raises PackageNotFoundError."""
    own = _metadata("parlour")
    components = []
    for block in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE):
        found = re.match(r"([a-z0-9._-]+)==([^ \\\n]+)", block)
        if found is None:
            continue
        component = _component(_metadata(found[1]), "")
        assert component["version"] == found[2], f"{found[1]} is not installed as it is locked"
        component["properties"] = [
            {"name": "parlour:file-sha256", "value": value}
            for value in sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
        ]
        components.append(component)
    needs = {_name(one): _needed(one) for one in (own, *(_metadata(c["name"]) for c in components))}
    return _list(own, components, needs)


def of_bundle(path: Path) -> Json:
    """The list of the wheels in a bundle, each with its hash."""
    contents, components, own = read(path), [], None
    with ZipFile(path) as bundle:
        for name, digest in contents["wheels"].items():
            metadata = _of_wheel(bundle.read(f"wheels/{name}"))
            own = metadata if metadata["Name"] == "parlour" else own
            hashes = [{"alg": "SHA-256", "content": digest}]
            components.append({**_component(metadata, name), "hashes": hashes})
    assert own is not None, "the bundle has Parlour in it"
    return _list(own, components, {})


def _metadata(name: str) -> Message:
    found: Message = distribution(name).metadata  # type: ignore[assignment]
    return found


def _of_wheel(content: bytes) -> Message:
    with ZipFile(BytesIO(content)) as wheel:
        (name,) = (one for one in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", one))
        return HeaderParser().parsestr(wheel.read(name).decode())


def _name(metadata: Message) -> str:
    return canonicalize_name(str(metadata["Name"]))


def _component(metadata: Message, file: str) -> Json:
    """A component; `file`: the name of the wheel that it is, empty for the package as such."""
    name, version = _name(metadata), str(metadata["Version"])
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": file or purl,
        "name": name,
        "version": version,
        "purl": f"{purl}?file_name={file}" if file else purl,
        "licenses": _licenses(metadata),
    }


def _licenses(metadata: Message) -> list[Json]:
    if expression := metadata.get("License-Expression") or UNSAID.get(_name(metadata)):
        return [{"expression": str(expression)}]
    said = [
        str(one).rpartition(" :: ")[2]
        for one in metadata.get_all("Classifier", [])
        if str(one).startswith("License :: ") and not str(one).endswith("OSI Approved")
    ]
    first = str(metadata.get("License") or "").strip().split("\n")[0][:100]
    return [{"license": {"name": one}} for one in said or ([first] if first else [])]


def _needed(metadata: Message) -> list[str]:
    wanted = [Requirement(str(one)) for one in metadata.get_all("Requires-Dist", [])]
    return sorted({canonicalize_name(one.name) for one in wanted if "extra" not in str(one.marker or "")})


def _list(own: Message, components: Iterable[Json], needs: Mapping[str, list[str]]) -> Json:
    listed = sorted(components, key=lambda one: str(one["bom-ref"]))
    refs = {one["name"]: one["bom-ref"] for one in listed}
    program = {**_component(own, ""), "type": "application"}
    refs[program["name"]] = program["bom-ref"]
    depends = [
        {"ref": refs[name], "dependsOn": sorted(refs[one] for one in found if one in refs)}
        for name, found in sorted(needs.items())
    ]
    content = json.dumps([program, listed, depends], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(SPACE, content)}",
        "version": 1,
        "metadata": {"component": program},
        "components": listed,
        **({"dependencies": depends} if depends else {}),
    }


def write(folder: Path) -> None:
    """Write the lists of a folder with packages."""
    lists = {"parlour.cdx.json": of_lock(LOCK.read_text("utf-8"))}
    if (bundle := folder / "parlour.pyz").exists():
        lists["parlour.pyz.cdx.json"] = of_bundle(bundle)
    for name, content in lists.items():
        (folder / name).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
