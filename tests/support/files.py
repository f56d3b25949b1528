"""Files of subscribers, brought in and looked at."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from pushctl.jobs.subscribers import imports
from pushctl.jobs.subscribers.imports import ImportReport
from pushctl.model import Subscription
from pushctl.rules.tokens import encode
from tests import support
from tests.support import NOON
from tests.support.posting import SECRET, Project
from tests.support.rows import everybody


def person(number: int, **more: Any) -> dict[str, Any]:
    """One line of a file of subscribers."""
    keys = {"p256dh": encode(support.p256dh(number)), "auth": encode(support.auth(number))}
    return {"endpoint": support.endpoint(number), "keys": keys, "site": "shop", **more}


def load(project: Project, *lines: Any, name: str = "people.jsonl") -> ImportReport:
    path = project.config.folder / name
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", "utf-8", newline="")
    return bring(project, path)


def bring(project: Project, path: Path, **options: Any) -> ImportReport:
    return imports.import_file(
        project.store, project.config, path, NOON, secret=SECRET, **options
    )


def all_of(project: Project) -> list[Subscription]:
    return everybody(project.store, NOON)


def flat(number: int, **more: str) -> dict[str, str]:
    keys = {"p256dh": encode(support.p256dh(number)), "auth": encode(support.auth(number))}
    return {"endpoint": support.endpoint(number), **keys, "site": "shop", **more}


def as_csv(*rows: dict[str, str], delimiter: str = ",") -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
