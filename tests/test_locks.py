"""locks/: as pyproject.toml asks, with hashes; the bill of materials and the licences."""

import importlib.util
import json
import os
import re
import sys
import tomllib
from importlib import metadata
from itertools import chain
from types import ModuleType

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

LOCKS = ROOT / "locks"
# Markers differ by version of Python; so the written pages are those of one.
WRITTEN_WITH = (3, 11)


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"locks_{name}", LOCKS / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def describe() -> ModuleType:
    return load("describe")


def read_pins(name: str) -> dict[str, set[str]]:
    """Return the versions of each package; several where they depend on Python's."""
    pins: dict[str, set[str]] = {}
    text = (LOCKS / f"{name}.txt").read_text("utf-8")
    for package, version in re.findall(r"^([a-z0-9-]+)==([^ \\]+)", text, re.MULTILINE):
        pins.setdefault(package, set()).add(version)
    return pins


@pytest.mark.parametrize("name", ["base", "dev"])
def test_a_lock_is_as_new_as_what_is_required(name: str) -> None:
    head = (LOCKS / f"{name}.txt").read_text("utf-8").splitlines()[0]
    found = load("compile").fingerprint()
    assert head.endswith(f"Requirements: {found}"), "run: ./run python locks/compile.py"


@pytest.mark.parametrize("name", ["base", "dev"])
def test_each_package_has_hashes_and_no_place_is_named(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text("utf-8")
    assert not re.search(r"https?:|--(extra-)?index|--find-links|--trusted|file:", text)
    entries = re.split(r"\n(?=\S)", text.partition("\n")[2].rstrip())
    assert len(entries) > 50
    for entry in entries:
        first, *hashes = entry.split(" \\\n")
        assert re.fullmatch(r"[a-z0-9-]+==[^ ;]+( ; .+)?", first), first
        assert hashes, first
        for each in hashes:
            assert re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}", each), entry


def test_the_locks_satisfy_what_is_required_and_agree() -> None:
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    base, dev = read_pins("base"), read_pins("dev")
    extras, groups = table["project"]["optional-dependencies"], table["dependency-groups"]
    required = table["project"]["dependencies"]
    for pins, lines in (
        (
            base,
            [
                *required,
                *chain(*(extras[it] for it in ("demo", "fast", "feeds", "mapped", "turbo"))),
            ],
        ),
        (dev, [*required, *chain(*extras.values()), *groups["dev"], *groups["build"]]),
    ):
        for line in lines:
            one = Requirement(line)
            versions = pins[canonicalize_name(one.name)]
            assert all(one.specifier.contains(it, prereleases=True) for it in versions), line
    assert {name: dev[name] for name in base} == base, "what is used is what was tested"


def test_what_is_installed_is_what_is_locked() -> None:
    wrong = {}
    for name, versions in read_pins("dev").items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # of another system
        if found not in versions:
            wrong[name] = found
    if wrong and "CI" not in os.environ:
        pytest.skip(f"this environment was not made by ./run test: {wrong}")
    assert wrong == {}


@pytest.mark.skipif(sys.version_info[:2] != WRITTEN_WITH, reason="written with Python 3.11")
def test_the_bill_of_materials_and_the_licences_are_up_to_date(describe: ModuleType) -> None:
    packages = describe.load()
    hint = "run: ./run python locks/describe.py"
    assert (LOCKS / "sbom.cdx.json").read_text("utf-8") == describe.make_sbom(packages), hint
    assert (ROOT / "docs/licences.md").read_text("utf-8") == describe.make_page(packages), hint
    assert {one.name for one in packages.values()} <= read_pins("dev").keys()


def test_the_bill_of_materials_is_cyclonedx_and_whole() -> None:
    text = (LOCKS / "sbom.cdx.json").read_text("utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bom = json.loads(text)
    refs = {each["bom-ref"] for each in bom["components"]}
    assert bom["metadata"]["component"]["version"] == metadata.version("pushctl")
    for each in bom["dependencies"]:
        assert each["ref"] in refs | {bom["metadata"]["component"]["bom-ref"]}
        assert set(each["dependsOn"]) <= refs
    table = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    direct = {canonicalize_name(Requirement(it).name) for it in table["dependencies"]}
    always = {it["name"] for it in bom["components"] if it["scope"] == "required"}
    assert direct <= always and "maxminddb" not in always
    pins = read_pins("dev")
    for each in bom["components"]:
        assert each["version"] in pins[each["name"]]


def test_every_licence_allows_what_ours_allows(describe: ModuleType) -> None:
    bom = json.loads((LOCKS / "sbom.cdx.json").read_text("utf-8"))
    found = {it["name"]: it["licenses"][0]["expression"] for it in bom["components"]}
    assert len(found) > 50
    assert {name: it for name, it in found.items() if not describe.is_allowed(it)} == {}


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0-or-later", False),
        ("LGPL-2.1-only OR MIT", True),
        ("LGPL-2.1-only AND MIT", False),
        ("MPL-2.0 AND (Apache-2.0 OR GPL-2.0-only)", True),
        ("LicenseRef-Ours", False),
        ("", False),
    ],
)
def test_a_forbidden_or_unknown_licence_is_found(
    describe: ModuleType, expression: str, allowed: bool
) -> None:
    assert describe.is_allowed(expression) is allowed


@pytest.mark.parametrize(
    ("said", "expression"),
    [
        ({"License-Expression": "apache-2.0 or bsd-3-clause"}, "Apache-2.0 OR BSD-3-Clause"),
        ({"License": "MIT License"}, "MIT"),
        ({"License": "see it", "Classifier": "License :: OSI Approved :: MIT License"}, "MIT"),
        ({"License": "do what we say"}, ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_a_licence_is_read_from_a_packages_words(
    describe: ModuleType, said: dict[str, str], expression: str
) -> None:
    from email.message import Message

    about = Message()
    for name, value in said.items():
        about[name] = value
    assert describe.find_licence(about) == expression
