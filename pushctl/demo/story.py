"""
The demo's story: from an empty folder to a basket that was won back, on one machine.

Nothing is pretended: the project is made by ``pushctl init``, the visitors reach
``pushctl receive`` over HTTP, messages leave by ``pushctl send`` over TLS to a push
service that checks them, and the visitors decrypt them. At the end the story holds
what the visitors did against what ``pushctl stats`` counts.
"""

import json
import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pushctl import output
from pushctl.demo import nightwatch, people, presets, processes
from pushctl.demo.crowd import TAG, Crowd, Web
from pushctl.demo.found import choose
from pushctl.demo.pushservice import PushService
from pushctl.demo.telling import answering, chapter, wait
from pushctl.demo.world import World
from pushctl.errors import PushctlError, UsageError

if TYPE_CHECKING:
    from pushctl.demo.visitor import Visitor

REPORTS = 15.0  # seconds for the last report


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person asked for."""

    folder: Path
    visitors: int
    browser: str  # firefox, chromium, auto or none
    watch: bool  # a visible browser in which a person clicks
    stay: bool  # keep push service, receiver and shop until Ctrl-C
    seed: int


def tell(wishes: Wishes) -> None:
    """Tell the whole story; PushctlError when a chapter doesn't end as it should."""
    began = time.monotonic()
    if wishes.folder.exists() and any(wishes.folder.iterdir()):
        raise UsageError(
            f"{wishes.folder} is not empty. Name another folder with --folder, or remove it."
        )
    browser = choose(wishes.browser)
    with ExitStack() as stack:
        world = _build(wishes, stack)
        crowd = _arrive(world, wishes)
        visitor = None
        if browser is not None:
            from pushctl.demo.visitor import Visitor  # needs the extra pushctl[demo]

            visitor = stack.enter_context(Visitor(browser, world, watch=wishes.watch))
            visitor.arrive()
        _leave(world, crowd, visitor)
        clicks = _remind(world, crowd, visitor)
        _count(world, crowd, int(visitor is not None), clicks)
        nightwatch.tell(world, crowd, int(visitor is not None))
        _end(world, time.monotonic() - began)
        if wishes.stay:
            _stay(world)


def _build(wishes: Wishes, stack: ExitStack) -> World:
    chapter("A project", "Config, keys, database, templates and the page's script.")
    folder = wishes.folder.resolve()
    shop_port, receiver_port = processes.free_port(), processes.free_port()
    shop = f"http://localhost:{shop_port}"
    receiver = f"http://localhost:{receiver_port}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    words = ["init", "--site", f"shop={shop}", "--contact", "mailto:demo@shop.example"]
    words += ["--languages", "en,ar,tr", "--timezone", "Europe/Istanbul"]
    processes.run(folder, *words, "--receiver-url", receiver)
    service = stack.enter_context(PushService(folder / "push-service"))
    _lead_to(service, folder / "pushctl.toml")
    (folder / "logs").mkdir(mode=0o700)
    listen = f"--listen=127.0.0.1:{receiver_port}"
    _start(stack, folder, receiver_port, "pushctl", "receive", listen)
    key = json.loads(processes.output_of(folder, "keys", "show", "--json"))[0]["public"]
    world = World(folder, service, shop, receiver, key)
    presets.publish(world, 1)
    options = (f"--port={shop_port}", f"--receiver={receiver}", f"--feed={world.feed}")
    _start(stack, folder, shop_port, "pushctl.demo.shop", *options)
    return world


def _start(stack: ExitStack, folder: Path, port: int, module: str, *words: str) -> None:
    log = folder / "logs" / f"{module}.log"
    server = processes.serve(folder, log, module, *words)
    stack.callback(processes.stop, server)
    processes.wait_for(server, port, log)


def _lead_to(service: PushService, file: Path) -> None:
    """Point the push services' names at this machine, in the demo's own pushctl.toml."""
    hosts = "".join(
        f'"{name}" = "{address}"\n' for name, address in service.loopback_hosts.items()
    )
    with file.open("a") as text:
        text.write(
            "\n# The demo's push service. Without this table messages go to the real ones.\n"
            f'[push.loopback]\nca = "{service.ca.relative_to(file.parent)}"\n\n'
            f"[push.loopback.hosts]\n{hosts}"
        )


def _arrive(world: World, wishes: Wishes) -> Crowd:
    chapter(
        "Visitors subscribe",
        f"{wishes.visitors} browsers with real keys, in Arabic, Turkish and English.",
    )
    chance = random.Random(wishes.seed)
    members = people.crowd(wishes.visitors, chance)
    for person in members:
        person.endpoint = world.service.subscribe(person.service, world.key)
    crowd = Crowd(members, Web(world.receiver, world.shop), chance)
    with output.progress("Subscribing", len(members)) as progress:
        for _ in crowd.subscribe(world.key):
            progress.advance()
    return crowd


def _leave(world: World, crowd: Crowd, visitor: "Visitor | None") -> None:
    chapter(
        "Baskets are left",
        "Every third puts something into the basket and leaves without paying.",
    )
    with output.progress("Leaving", crowd.with_basket) as progress:
        for _ in crowd.fill_baskets():
            progress.advance()
    if visitor is not None:
        visitor.fill_basket()
    processes.run(world.folder, "import")
    processes.run(world.folder, "tags", "list")


def _remind(world: World, crowd: Crowd, visitor: "Visitor | None") -> int:
    """Send the reminder and wait for the answers; return the real browser's clicks."""
    chapter("They are reminded", "One command; everybody in their own language.")
    with answering(world, crowd) as done:
        processes.run(world.folder, "send", "--tag", TAG, "--yes", "--name", "reminder")
        if visitor is not None:
            visitor.come_back()
        wait(lambda: done() >= crowd.with_basket, "all messages to arrive")
    output.say("")
    for language, title in sorted(crowd.tally.titles.items()):
        output.say(f"  decrypted in {language}: {title}")
    if visitor is None:
        return 0
    return int(visitor.clicked(lambda: _clicks(world) > crowd.tally.clicked))


def _clicks(world: World) -> int:
    processes.output_of(world.folder, "import", "--json")
    row = json.loads(processes.output_of(world.folder, "stats", "--json"))[0]
    return int(row["clicked"])


def _count(world: World, crowd: Crowd, real: int, clicks: int) -> None:
    chapter("What came of it", "Push services only say accepted; the browsers say the rest.")
    processes.run(world.folder, "import")
    tally = crowd.tally
    expected = {
        "accepted": crowd.with_basket + real,
        "shown": tally.shown + real,
        "clicked": tally.clicked + clicks,
    }
    counted = _settled(world, expected)
    processes.run(world.folder, "stats")
    output.say(
        f"  {tally.clicked + clicks} came back, {tally.bought} of them bought "
        "what was in the basket."
    )
    if counted != expected or tally.unreadable:
        raise PushctlError(
            f"the demo's visitors did {expected} ({tally.unreadable} could not be decrypted), "
            f"but stats counts {counted}. This is a bug; the project is in {world.folder}."
        )
    output.say("  The same, to the last one, as what the visitors did.", "bold")


def _settled(world: World, expected: Mapping[str, int]) -> Mapping[str, int]:
    """Return what stats counts; a real browser's last report may still be on its way."""
    deadline = time.monotonic() + REPORTS
    while True:
        row = json.loads(processes.output_of(world.folder, "stats", "--json"))[0]
        counted = {name: row[name] for name in expected}
        if counted == expected or time.monotonic() > deadline:
            return counted
        time.sleep(0.3)
        processes.output_of(world.folder, "import", "--json")


def _end(world: World, seconds: float) -> None:
    name = world.folder.name
    output.say("")
    output.panel(
        f"cd {name}\n"
        "pushctl subscribers list          who they are\n"
        "pushctl stats subscribers         how the base grew\n"
        "pushctl segments count \"language = 'ar' and not clicked within 7d\"\n"
        "pushctl templates preview abandoned_basket_1 --language ar\n"
        "pushctl demo --folder again --open     the same in a browser of yours",
        f"Told in {seconds:.0f} s. The project is yours to play with",
    )


def _stay(world: World) -> None:
    output.say(f"  The shop stands at {world.shop}/ until you press Ctrl-C.", "bold")
    while True:
        time.sleep(3600)
