"""What ``pushctl check`` says of texts: missing, older than what they translate, unread."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pushctl import templates
from pushctl.config import Config
from pushctl.errors import Problem, PushctlError
from pushctl.jobs.messages import lint
from pushctl.jobs.messages.missing_languages import Missing, find_missing
from pushctl.jobs.messages.overview import Summary, summarise
from pushctl.rules.wording import counted
from pushctl.store import Store
from pushctl.templates import Template

_NAMED = 3  # templates in one line


@dataclass(frozen=True, slots=True)
class Looked:
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]
    fine: str  # where there is no problem


def look(config: Config) -> Looked:
    """Read every template once; people are counted where there is a database."""
    problems: list[Problem] = []
    found: list[Template] = []
    for name in templates.list_names(config.templates):
        defaults = [site.language for site in config.sites.values()]
        template, wrong = templates.examine(config.templates, name, defaults)
        problems += wrong
        if template is not None:
            found.append(template)
    # A fault of the shared phrases is found with each template that uses them.
    summaries = [summarise(one, (), ()) for one in found]
    notes = [*_find_missing(config, found), *_find_outdated(summaries), *_lint(config, found)]
    return Looked(tuple(dict.fromkeys(problems)), tuple(notes), _describe(summaries))


def _find_missing(config: Config, found: Sequence[Template]) -> Iterator[Problem]:
    lacking = {
        (site.name, tag): names
        for site in config.sites.values()
        for tag in site.written_languages
        # A lacking default is a problem.
        if tag != site.language
        and (names := [one.name for one in found if not one.has_language(tag)])
    }
    people = _count(config, found) if lacking else {}
    for (site, tag), names in lacking.items():
        reads = people.get((site, tag))
        yield Problem(
            f"{config.file.name}: sites.{site}.languages",
            f"{_list(names)} without a text in {tag}{f': {reads}' if reads else ''}",
            f"Write {tag}.toml there, or take {tag} out of the site's languages.",
        )


def _lint(config: Config, found: Sequence[Template]) -> Iterator[Problem]:
    """Say how much `templates lint` would find; languages have lines of their own."""
    each = dict.fromkeys(it for one in found for it in lint.lint_template(config, None, one))
    findings = [it for it in each if it.rule not in ("missing_language", "no_default")]
    if findings:
        rules = ", ".join(
            f"{rule} {count}"
            for rule, count in Counter(it.rule for it in findings).most_common()
        )
        said = f"{counted(len(findings), 'thing')} could be better ({rules})"
        yield Problem("templates", said, "See `pushctl templates lint`.")


def _count(config: Config, found: Sequence[Template]) -> dict[tuple[str, str], Missing]:
    """Return by site and language who reads it and gets another one somewhere."""
    if not config.database.exists():
        return {}
    try:
        with Store(config.database) as store:
            missing = find_missing(store, config, found)
    except PushctlError:
        return {}  # the database has an area of its own
    return {(it.site, it.reads): it for rows in missing.values() for it in rows}


def _find_outdated(summaries: Sequence[Summary]) -> Iterator[Problem]:
    for what, key, remedy in (
        (
            "older than the text that they translate",
            "outdated",
            "Write them anew, then run `pushctl templates translated NAME --language ...`.",
        ),
        ("not translated yet", "copied", "Write them in their language."),
    ):
        files = [f"{one.name}/{file}" for one in summaries for file in getattr(one, key)]
        if files:
            yield Problem("templates", f"{_list(files, 'text')} {what}", remedy)


def _describe(summaries: Sequence[Summary]) -> str:
    unread = sum(len(one.unreviewed) for one in summaries)
    said = counted(len(summaries), "template")
    if unread:
        said += f"; {counted(unread, 'text')} not yet read by somebody who speaks the language"
    return said


def _list(names: Sequence[str], thing: str = "template") -> str:
    more = f" and {len(names) - _NAMED} more" if names[_NAMED:] else ""
    return f"{counted(len(names), thing)} ({', '.join(names[:_NAMED])}{more})"
