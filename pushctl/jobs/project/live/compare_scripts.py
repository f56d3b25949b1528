"""Compares a script that somebody serves with the one that this project would."""

from collections.abc import Iterator

from pushctl import web
from pushctl.config import Config
from pushctl.errors import InputError
from pushctl.jobs.project import scripts
from pushctl.jobs.project.check_notes import Finding, Level
from pushctl.jobs.project.live.http import name_target, quote
from pushctl.rules.web import keys as web_keys
from pushctl.rules.web import scripts as rules

# What browsers take for JavaScript (WHATWG MIME Sniffing, section 4.6).
_TYPES = frozenset(
    [
        "text/javascript",
        "application/javascript",
        "application/x-javascript",
        "text/ecmascript",
        "application/ecmascript",
        "text/x-javascript",
        "text/x-ecmascript",
        "text/jscript",
    ]
)
_AGES = ("max-age", "s-maxage")
# Browsers ask for a worker's imports anew after a day, whatever a header says.
_DAY_SECONDS = 86_400
_AGAIN = (
    "Copy keys/ and pushctl.toml to the receiver's machine, and start `pushctl receive` anew."
)


class Comparison:
    """Compares with the scripts of *config*; *key* is the public key of new subscribers."""

    def __init__(self, config: Config, key: str) -> None:
        self._config = config
        self._key = key

    def find_faults(
        self, area: str, place: str, seen: web.Seen, site: str, name: str
    ) -> Iterator[Finding]:
        """Yield what is wrong with *seen*, which should be the script *name* of *site*."""
        if (fault := find_answer_fault(seen)) is not None:
            yield Finding(area, Level.PROBLEM, place, *fault)
            return
        text = seen.body.decode("utf-8", "replace")
        built = (scripts.build_served, scripts.build_copy)
        wanted = [build(self._config, self._key, site, name) for build in built]
        if seen.cut or text not in wanted:
            yield self._describe_difference(area, place, text, wanted[0])

    def _describe_difference(self, area: str, place: str, text: str, wanted: str) -> Finding:
        has, right = rules.read_settings(text), rules.read_settings(wanted) or {}
        if has is None:
            said = "is no script of pushctl"
            return Finding(area, Level.PROBLEM, place, said, "See docs/embedding.md.")
        if "key" in right and has.get("key") != right["key"]:
            said = (
                f"gives new subscribers {_name_key(has.get('key'))}, which is not the own key"
            )
            return Finding(area, Level.PROBLEM, place, said, _AGAIN)
        if has != right:
            names = sorted(name for name in {*has, *right} if has.get(name) != right.get(name))
            said = f"has other settings than pushctl.toml: {quote(', '.join(names))}"
            return Finding(area, Level.PROBLEM, place, said, _AGAIN)
        said = "is of another release of pushctl, or somebody has changed it"
        remedy = (
            "Install this release there and start it anew; a proxy must not change scripts."
        )
        return Finding(area, Level.NOTE, place, said, remedy)


def find_answer_fault(seen: web.Seen) -> tuple[str, str] | None:
    """Return why browsers would not run *seen* as a script, and the remedy; None: they do."""
    if seen.location is not None:
        target = name_target(seen.location)
        return f"leads to {target}, and browsers follow no redirect of a worker", _SERVE
    if seen.status != 200:
        return f"answers {seen.status}", _SERVE
    kind = seen.find("content-type").partition(";")[0].strip().lower()
    if kind not in _TYPES:
        shown = quote(kind) if kind else "nothing"
        said = f"has the Content-Type {shown}, and browsers run only text/javascript"
        return said, "Let the web server send Content-Type: text/javascript."
    return None


_SERVE = "Serve the file itself at this address; see docs/embedding.md."


def find_max_age(seen: web.Seen) -> int:
    """Return for how many seconds caches may keep *seen*; 0 where they have to ask."""
    told = ",".join(seen.list_values("cache-control")).lower()
    said = [part.strip() for part in told.split(",")]
    if "no-cache" in said or "no-store" in said:
        return 0
    ages = [age for part in said for name, _, age in [part.partition("=")] if name in _AGES]
    return max((int(age) for age in ages if age.isdecimal() and len(age) < 12), default=0)


def find_stale_worker(area: str, place: str, seen: web.Seen) -> Iterator[Finding]:
    """Yield a finding where caches would keep an old worker for long."""
    if (age := find_max_age(seen)) > _DAY_SECONDS:
        text = f"may be kept for {age // _DAY_SECONDS} days by caches on the way"
        remedy = "Send Cache-Control: no-cache with it: a new worker must arrive."
        yield Finding(area, Level.NOTE, place, text, remedy)


def _name_key(key: object) -> str:
    try:
        return f"the key {web_keys.key_id(web_keys.server_key(str(key)))}"
    except InputError:
        return "no key"
