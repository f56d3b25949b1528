"""A pushctl project with real subscriptions, for benchmarks/send.py and its like."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.sink import HOST, Sink

ROOT = Path(__file__).parent.parent
KEY_PAIRS = 20_000  # distinct real keys; a larger base uses them again with new endpoints

# About 200 bytes of JSON for each receiver, different for each.
TITLE = "{{ attributes.name }}, your basket waits"
BODY = "The brass lamp is still in it, at the price of today."


class Project:
    """A folder made by ``pushctl init`` with *count* subscriptions imported."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder / "project"
        self.count = count
        self.lines = folder / "subscriptions.jsonl"
        self._init()
        self._write_subscriptions()
        self.pushctl("subscribers", "import", str(self.lines), "--site", "shop")
        self._template()
        self._number = 0

    def pushctl(self, *words: str, **environment: str) -> str:
        command = [sys.executable, "-m", "pushctl", "--project", str(self.folder), *words]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise SystemExit(f"pushctl {' '.join(words)}:\n{done.stderr[-2000:]}")
        return done.stdout

    def job(self, sink: Sink, count: int, modules: Path) -> Path:
        """Write what benchmarks/peers.py and web_push.mjs want to know."""
        key = next((self.folder / "keys").glob("vapid-*.pem"))
        public, private = _pair(key)
        job = {
            "base": f"https://localhost:{sink.port}",
            "ca": str(sink.ca),
            "key": str(key),
            "publicKey": public,
            "privateKey": private,
            "count": count,
            "subscriptions": str(self.lines.with_suffix(".peers")),
            "modules": str(modules),
        }
        file = self.folder / "job.json"
        file.write_text(json.dumps(job))
        return file

    def send(self, sink: Sink, encoder: str, *more: str) -> dict:
        """Run one campaign of everybody, of a template and a pool; return its figures."""
        self._number += 1
        command = [sys.executable, str(Path(__file__).parent / "send_run.py")]
        command += [str(self.folder), str(sink.port), str(sink.ca), encoder]
        command += [f"run-{self._number}-{os.getpid()}", *more]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
        if done.returncode:
            raise SystemExit(f"send_run failed:\n{done.stderr[-3000:]}")
        figures: dict = json.loads(done.stdout.strip().splitlines()[-1])
        return figures

    def _init(self) -> None:
        command = [sys.executable, "-m", "pushctl", "init", str(self.folder)]
        command += [
            "--origin",
            "https://shop.example",
            "--contact",
            "mailto:bench@shop.example",
        ]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _write_subscriptions(self) -> None:
        """Write an import file, and the same for the peers with the message rendered."""
        import base64

        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        def text(raw: bytes) -> str:
            return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

        pairs = []
        for _ in range(min(self.count, KEY_PAIRS)):
            key = ec.generate_private_key(ec.SECP256R1()).public_key()
            point = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            pairs.append((text(point), text(os.urandom(16))))
        peers = self.lines.with_suffix(".peers")
        with self.lines.open("w") as ours, peers.open("w") as theirs:
            for number in range(self.count):
                p256dh, auth = pairs[number % len(pairs)]
                path = f"/wpush/v2/{number:08}-{'x' * 130}"
                name = f"Customer {number}"
                row = {
                    "endpoint": f"https://{HOST}{path}",
                    "keys": {"p256dh": p256dh, "auth": auth},
                    "attributes": {"name": name},
                    "language": "en",
                }
                ours.write(json.dumps(row) + "\n")
                payload = json.dumps(
                    {
                        "web_push": 8030,
                        "notification": {
                            "title": TITLE.replace("{{ attributes.name }}", name),
                            "body": BODY,
                            "navigate": "https://shop.example/basket",
                            "lang": "en",
                            "dir": "ltr",
                            "data": {"pushctl": f"{number}.{'a' * 22}"},
                        },
                    }
                )
                row = {"path": path, "p256dh": p256dh, "auth": auth, "payload": payload}
                theirs.write(json.dumps(row) + "\n")

    def _template(self) -> None:
        folder = self.folder / "templates" / "bench"
        folder.mkdir(parents=True)
        (folder / "message.toml").write_text('url = "https://shop.example/basket"\n')
        (folder / "en.toml").write_text(f'title = "{TITLE}"\nbody = "{BODY}"\n')


def _pair(file: Path) -> tuple[str, str]:
    import base64

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(file.read_bytes(), None)
    assert isinstance(key, EllipticCurvePrivateKey)
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    private = key.private_numbers().private_value.to_bytes(32, "big")
    encode = base64.urlsafe_b64encode
    return encode(public).rstrip(b"=").decode(), encode(private).rstrip(b"=").decode()
