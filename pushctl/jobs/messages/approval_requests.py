"""
Reads requests for approval from their folder, and writes the answers.

It needs that folder alone: no database, no keys, and pushctl.toml only to find it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pushctl import approval_files
from pushctl.config import Brand, Config, Site
from pushctl.config.sections import Utm
from pushctl.errors import InputError, NotFoundError, PushctlError, UsageError
from pushctl.jobs.messages import pictures
from pushctl.jobs.messages.preview import Preview, render
from pushctl.model import Json
from pushctl.rules import approvals as rules
from pushctl.templates import Template


@dataclass(frozen=True)
class Request:
    """What waits for somebody's approval, as its file says."""

    hash: str
    said: Mapping[str, Json] = field(repr=False)
    campaign: str = ""
    approval: str = ""  # by whom, or why what is there does not count

    @property
    def people(self) -> int:
        return int(self.said.get("people", 0))


def list_requests(folder: Path) -> list[Request]:
    """
    Return all requests in *folder*, the newest first; raises ConfigError.

    A file that is not what its name says is left out, as one whose texts are others than
    those that the sender compares.
    """
    found = []
    for name, text in approval_files.load_requests(folder).items():
        said = rules.read_request(text)
        if said is None or not is_consistent(said):
            continue
        seen = approval_files.find_approval(folder, name, ())
        who = "" if seen.uid is None else f"by {approval_files.name_user(seen.uid)}"
        found.append(Request(name, said, str(said.get("campaign")), seen.fault or who))
    return found


def is_consistent(said: Mapping[str, Json]) -> bool:
    """Return whether the texts that are shown are those that the sender compares."""
    shown = rules.hash_text(rules.encode(said["texts"]))
    content = said["content"]
    same = ("template", "topic")
    return (
        content.get("texts") == shown
        and content.get("name") == said.get("campaign")
        and all(content.get(key) == said.get(key) for key in same)
    )


def find_request(folder: Path, name: str) -> Request:
    """Return the newest request of a campaign, or that of a hash; raises NotFoundError."""
    known = list_requests(folder)
    for one in known:
        if one.campaign == name:
            return one
    begun = [one for one in known if len(name) >= 6 and one.hash.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise InputError(f"{len(begun)} requests begin with {name!r}: write more of it")
    there = ", ".join(repr(one.campaign) for one in known[:5]) or "none"
    raise NotFoundError(f"no campaign {name!r} waits for approval in {folder}. There: {there}")


def approve(folder: Path, one: Request) -> str:
    """Write the approval; return as whom. Raises UsageError where it would not count."""
    if (mine := os.geteuid()) in one.said.get("uids", ()):
        who = approval_files.name_user(mine)
        raise UsageError(f"{who} asked for it, so somebody else has to approve it")
    approval_files.approve(folder, one.hash, one.campaign)
    seen = approval_files.find_approval(folder, one.hash, ())
    if seen.uid is None:
        approval_files.withdraw(folder, one.hash)
        raise UsageError(f"this approval does not count: {seen.fault}")
    return approval_files.name_user(seen.uid)


def render_all(one: Request) -> Iterator[Preview | str]:
    """Yield each language and variant as it looks with sample values, or why it can't."""
    template = Template.from_sources(str(one.said["template"]), one.said["texts"])
    config = _make_config(one.said)
    seen = set()
    for language in template.languages:
        for variant in template.variants:
            try:
                made = render(config, template, None, language=language, variant=variant)
            except PushctlError as error:
                yield f"{language}: {error}"
                continue
            if made.file not in seen:
                seen.add(made.file)
                yield made


def write_page(file: Path, one: Request, made: Sequence[Preview]) -> Path:
    """Write a page with all previews; raises InputError."""
    page = pictures.make_page(_make_config(one.said), made, pictures.choose_platforms(()))
    return pictures.write(file, page)


def list_hidden(one: Request) -> list[tuple[str, str]]:
    """Return (file, text) of what no preview shows whole: texts with conditions, segments."""
    return [
        (name, text)
        for name, text in sorted(one.said["texts"].items())
        if "{%" in text or name.count("/")
    ]


def _make_config(said: Mapping[str, Json]) -> Config:
    """Return the sites' looks as far as a drawing needs them."""
    try:
        sites = {
            name: Site(
                name=name,
                origin=it["origin"],
                language=it["language"],
                brand=Brand(**it["brand"]),
                utm=Utm(**it["utm"]),
            )
            for name, it in said["sites"].items()
        }
    except TypeError as error:  # settings of another version, or of a forged request
        raise InputError("this request's sites have settings that nobody knows") from error
    return Config(file=Path("pushctl.toml"), contact="mailto:none@example.org", sites=sites)
