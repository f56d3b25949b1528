"""
The peers of benchmarks/send.py, each in a process of its own.

    python benchmarks/peers.py loop|async|rust JOB.json

JOB.json: {"base": "https://127.0.0.1:PORT", "ca": path, "key": PEM file, "count": n,
"subscriptions": JSON lines file of {"path", "p256dh", "auth", "payload"}}.
Prints {"seconds", "cpu_seconds", "sent", "failed"}; reading the job isn't counted.
"""

import asyncio
import json
import os
import ssl
import sys
import time
from pathlib import Path

CLAIMS = {"sub": "mailto:bench@shop.example"}


def load(job: dict) -> list[tuple[dict, str]]:
    rows = []
    with Path(job["subscriptions"]).open() as lines:
        for line in lines:
            row = json.loads(line)
            keys = {"p256dh": row["p256dh"], "auth": row["auth"]}
            rows.append(({"endpoint": job["base"] + row["path"], "keys": keys}, row["payload"]))
            if len(rows) == job["count"]:
                break
    return rows


def loop(job: dict, rows: list[tuple[dict, str]]) -> int:
    """Send as pywebpush's README shows it: webpush() once for each message."""
    from pywebpush import webpush

    os.environ["REQUESTS_CA_BUNDLE"] = job["ca"]
    failed = 0
    for subscription, payload in rows:
        answer = webpush(
            subscription,
            payload,
            vapid_private_key=job["key"],
            vapid_claims=dict(CLAIMS),
            ttl=3600,
            timeout=30,
        )
        failed += answer.status_code != 201
    return failed


def shared(job: dict, rows: list[tuple[dict, str]]) -> int:
    """Send by pywebpush's async call over one aiohttp session, 100 at once."""
    return asyncio.run(_shared(job, rows))


async def _shared(job: dict, rows: list[tuple[dict, str]]) -> int:
    import aiohttp
    from pywebpush import webpush_async

    context = ssl.create_default_context(cafile=job["ca"])
    connector = aiohttp.TCPConnector(ssl=context, limit=100)
    queue = iter(rows)
    failed = 0

    async with aiohttp.ClientSession(connector=connector) as session:

        async def work() -> None:
            nonlocal failed
            for subscription, payload in queue:
                answer = await webpush_async(
                    subscription,
                    payload,
                    vapid_private_key=job["key"],
                    vapid_claims=dict(CLAIMS),
                    ttl=3600,
                    timeout=30,
                    aiohttp_session=session,
                )
                failed += answer.status != 201

        await asyncio.gather(*(work() for _ in range(100)))
    return failed


def threads(job: dict, rows: list[tuple[dict, str]]) -> int:
    """Send by webpush-rs, whose one call waits for the answer, in 16 threads."""
    from concurrent.futures import ThreadPoolExecutor

    import webpush_rs

    def send(row: tuple[dict, str]) -> bool:
        subscription, payload = row
        keys = subscription["keys"]
        status = webpush_rs.send_one(
            subscription["endpoint"],
            keys["p256dh"],
            keys["auth"],
            job["privateKey"],
            CLAIMS["sub"],
            payload.encode(),
        )
        return bool(status != 201)

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(send, rows))


def main() -> None:
    kind, file = sys.argv[1:]
    job = json.loads(Path(file).read_text())
    rows = load(job)
    send = {"loop": loop, "async": shared, "rust": threads}[kind]
    started, cpu = time.perf_counter(), time.process_time()
    failed = send(job, rows)
    figures = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "sent": len(rows),
        "failed": failed,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
