"""
The server API against its own OpenAPI document, by Schemathesis.

It makes requests that the document allows and requests that it forbids, sends them to a
receiver's process, and holds every answer to the document: status, content type, form; what
is allowed is taken, what is forbidden refused, nothing without a key.

    ./run python -m tests.faults.fuzz_api --examples 300 --seed 7
"""

import argparse
import random
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from pushctl import apikeys
from tests.support import receiving as r

# All of a key's requests are one host's here.
UNBOUNDED = {
    "rate_per_address": 0,
    "api": {"requests_per_minute": 0, "events_per_second": 0},
}


def fuzz(
    port: int, secret: str, examples: int, start: int, paths: str = "/v1/"
) -> Counter[str]:
    """
    Send *examples* of each kind to each route that begins so; return the answers by route
    and status.

    Raises an error of Schemathesis where an answer contradicts the document.
    """
    # Loaded here, half a second that every process of the tests would take.
    import schemathesis
    from schemathesis.generation import GenerationMode

    url = f"http://127.0.0.1:{port}"
    document = schemathesis.openapi.from_url(f"{url}/v1/openapi.json")
    answers: Counter[str] = Counter()
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
        for found in document.get_all_operations():
            if found.ok().path.startswith(paths):
                _fuzz_route(found.ok(), mode, url, secret, examples, start, answers)
    return answers


def _fuzz_route(
    operation: Any, mode: Any, url: str, secret: str, examples: int, start: int,
    answers: Counter[str],
) -> None:  # fmt: skip
    from schemathesis.specs.openapi.checks import ignored_auth, use_after_free

    # A message is taken back by the next import, not at once: its address goes on answering.
    # And after twenty wrong keys in a minute further ones get 429, which is tested elsewhere.
    excluded = [ignored_auth, use_after_free]

    @seed(start)
    @settings(
        max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        # Two requests of one Idempotency-Key are to be the same: that is tested elsewhere.
        for name in [name for name in case.headers or () if name.lower() == "idempotency-key"]:
            del case.headers[name]
        answer = case.call_and_validate(
            base_url=url,
            headers={"Authorization": f"Bearer {secret}"},
            excluded_checks=excluded,
        )
        answers[f"{operation.method.upper()} {operation.path} {answer.status_code}"] += 1

    try:
        send()
    except Exception as error:
        if "Unsatisfiable" not in type(error).__name__:  # nothing is forbidden there
            raise


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--examples", type=int, default=100, help="of each kind and route")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given_ = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as name:
        folder = Path(name)
        _, secret = apikeys.create(folder / "keys", "fuzz", list(apikeys.SCOPES), "shop", 1)
        with r.running(folder, **UNBOUNDED) as port:
            answers = fuzz(port, secret, given_.examples, given_.seed)
    for line, count in sorted(answers.items()):
        print(f"{count:6} {line}")
    print(f"seed {given_.seed}: {answers.total()} answers, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
