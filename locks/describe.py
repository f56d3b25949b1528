"""
Describe what pushctl depends on: locks/sbom.cdx.json (CycloneDX, ships in the wheel as PEP 770
asks) and docs/licences.md. Run it after locks/compile.py, in an environment with all extras:

    ./run python locks/describe.py

Versions are those of locks/dev.txt; names and licences come from the installed packages. The
same locks make the same files.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from license_expression import ExpressionError, ParseError
from license_expression import get_spdx_licensing as _build_licensing
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from pushctl import __version__  # noqa: E402

_PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
# With these a user may do all that pushctl's own Apache-2.0 allows. Of two joined by OR one
# has to be here, of two joined by AND both.
ALLOWED = frozenset(
    {"MIT", "MIT-0", "MIT-CMU", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "Apache-2.0", "ISC",
     "PSF-2.0", "CNRI-Python", "Python-2.0", "Python-2.0.1", "Unlicense", "Zlib",
     "CC0-1.0", "BSL-1.0",
     # Changes of its own files stay open, which a dependency does not make.
     "MPL-2.0"}
)  # fmt: skip
# What packages say in their own words, without an expression of SPDX.
_SAID = {
    "MIT License": "MIT", "MIT": "MIT", "Apache Software License": "Apache-2.0",
    "Apache 2.0": "Apache-2.0", "Apache License 2.0": "Apache-2.0", "Apache-2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0", "Apache 2": "Apache-2.0",
    "BSD License": "BSD-3-Clause", "BSD": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "MPL2": "MPL-2.0", "MPL-2.0": "MPL-2.0", "BSD-2-Clause": "BSD-2-Clause",
    "BSD 2-Clause": "BSD-2-Clause", "Python Software Foundation License": "PSF-2.0",
    "BSD-3-Clause": "BSD-3-Clause", "The Unlicense (Unlicense)": "Unlicense",
}  # fmt: skip
# Whose metadata says nothing, or contradicts itself: what their LICENSE files are, as read.
_READ = {
    "click-default-group": "BSD-3-Clause", "ipp-crypto": "Apache-2.0", "pyrage": "MIT",
    "resvg-py": "MIT",
}  # fmt: skip


get_spdx_licensing = cache(_build_licensing)  # it reads all of SPDX's licences


@dataclass
class Package:
    """A package that pushctl needs, by itself or through others."""

    name: str
    version: str
    licence: str  # an expression of SPDX; empty: it says none that is known
    summary: str
    homepage: str
    needs: set[str] = field(default_factory=set)
    extras: set[str] = field(default_factory=set)  # with which it comes; empty name: always


def load() -> dict[str, Package]:
    """Return all packages that pushctl may bring, with each of its extras, by name."""
    pins = dict(_PIN.findall((HERE / "dev.txt").read_text("utf-8")))
    found: dict[str, Package] = {}
    for extra in sorted(_list_extras()):
        for each in _list_required("pushctl", {extra}):
            _follow(each, extra, pins, found)
    return dict(sorted(found.items()))


def _list_extras() -> list[str]:
    return ["", *(metadata.metadata("pushctl").get_all("Provides-Extra") or [])]


def _list_required(name: str, extras: set[str]) -> Iterator[Requirement]:
    """Yield what a package requires on this kind of machine; *extras* are what is asked for."""
    for line in metadata.requires(name) or []:
        one = Requirement(line)
        wanted = extras or {""}
        if one.marker is None:
            if "" in wanted or name != "pushctl":
                yield one
        elif any(_holds(one, extra, of_pushctl=name == "pushctl") for extra in wanted):
            yield one


def _holds(one: Requirement, extra: str, *, of_pushctl: bool) -> bool:
    assert one.marker is not None
    if of_pushctl and extra and f'"{extra}"' not in str(one.marker):
        return False
    return one.marker.evaluate({"extra": extra})


def _follow(
    one: Requirement, extra: str, pins: dict[str, str], found: dict[str, Package]
) -> None:
    name = canonicalize_name(one.name)
    if name not in found:
        found[name] = _describe(name, pins[name])
    package = found[name]
    if extra in package.extras:
        return
    package.extras.add(extra)
    for needed in _list_required(name, set(one.extras)):
        package.needs.add(canonicalize_name(needed.name))
        _follow(needed, extra, pins, found)


def _describe(name: str, version: str) -> Package:
    about = metadata.metadata(name)
    links = [line.partition(", ") for line in about.get_all("Project-URL") or []]
    named = {label.lower(): url for label, _, url in links}
    homepage = next(
        (named[each] for each in ("homepage", "repository", "source", "source code", "home",
                                  "github") if each in named),
        about.get("Home-page") or next(iter(named.values()), ""),
    )  # fmt: skip
    summary = " ".join((about.get("Summary") or "").split())
    return Package(name, version, _READ.get(name) or find_licence(about), summary, homepage)


def find_licence(about: Any) -> str:
    """Return the SPDX expression of a package's metadata; empty for one that is unknown."""
    if given := about.get("License-Expression"):
        return str(get_spdx_licensing().parse(given))
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in about.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    said = " ".join((about.get("License") or "").split())
    for words in ([said], classifiers):
        known = [_SAID.get(word) or _read_expression(word) for word in words]
        if known and all(known):
            # BSD-2 says itself more exactly in one place than in the other.
            return " AND ".join(dict.fromkeys(filter(None, known)))
    return ""


def _read_expression(text: str) -> str:
    try:
        return str(get_spdx_licensing().parse(text, validate=True, strict=True) or "")
    except (ExpressionError, ParseError):
        return ""


def is_allowed(expression: str) -> bool:
    """Return whether everybody may use and give on what has this licence, as pushctl's own."""
    if not expression:
        return False
    licensing = get_spdx_licensing()
    parsed = licensing.parse(expression)

    def judge(node: Any) -> bool:
        if getattr(node, "args", ()) and node.operator.strip() in ("AND", "OR"):
            each = [judge(one) for one in node.args]
            return all(each) if node.operator.strip() == "AND" else any(each)
        return str(node).partition(" WITH ")[0] in ALLOWED

    return judge(parsed)


def make_sbom(packages: dict[str, Package]) -> str:
    """Return the bill of materials as CycloneDX 1.6 in JSON, without a time or a number."""
    own = {
        "type": "application", "bom-ref": f"pkg:pypi/pushctl@{__version__}",
        "name": "pushctl", "version": __version__, "purl": f"pkg:pypi/pushctl@{__version__}",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }  # fmt: skip
    components = [
        {
            "type": "library", "bom-ref": _purl(one), "name": one.name,
            "version": one.version, "purl": _purl(one),
            "scope": "required" if "" in one.extras else "optional",
            "description": one.summary,
            "licenses": [{"expression": one.licence}],
        }
        for one in packages.values()
    ]  # fmt: skip
    direct = {
        canonicalize_name(Requirement(it).name) for it in metadata.requires("pushctl") or []
    }
    needs = [(own["bom-ref"], sorted(direct & packages.keys()))]
    needs += [(_purl(one), sorted(one.needs)) for one in packages.values()]
    bom = {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": own, "lifecycles": [{"phase": "build"}]},
        "components": components,
        "dependencies": [
            {"ref": ref, "dependsOn": [_purl(packages[name]) for name in names]}
            for ref, names in needs
        ],
    }  # fmt: skip
    return json.dumps(bom, indent=1, ensure_ascii=False) + "\n"


def _purl(one: Package) -> str:
    return f"pkg:pypi/{one.name}@{one.version}"


HEAD = """\
# Licences

pushctl itself is under the [Apache License 2.0](../LICENSE). These are the packages that it
needs, with the versions of `locks/dev.txt`, as each of them says in its own metadata. Written
by `locks/describe.py`; a test holds each licence against a list of those that allow what
pushctl's own allows, and fails for one that is unknown. The same list is in the wheel, as
CycloneDX (`pushctl-{version}.dist-info/sboms/sbom.cdx.json`).

An empty last column: it always comes along. Otherwise it comes with one of these extras, such
as `pip install pushctl[geo]`. What the tests alone use is not listed.

| package | version | licence | what it is | extra |
|---|---|---|---|---|
"""


def make_page(packages: dict[str, Package]) -> str:
    """Return docs/licences.md."""
    rows = []
    for one in packages.values():
        name = f"[{one.name}]({one.homepage})" if one.homepage else one.name
        extras = "" if "" in one.extras else ", ".join(sorted(one.extras))
        summary = one.summary.replace("|", "\\|")
        rows.append(f"| {name} | {one.version} | {one.licence} | {summary} | {extras} |\n")
    return HEAD.format(version=__version__) + "".join(rows)


def main() -> None:
    packages = load()
    (HERE / "sbom.cdx.json").write_text(make_sbom(packages), "utf-8")
    (ROOT / "docs/licences.md").write_text(make_page(packages), "utf-8")
    for one in packages.values():
        if not is_allowed(one.licence):
            sys.exit(f"{one.name}: the licence {one.licence!r} is unknown, or not allowed")


if __name__ == "__main__":
    main()
