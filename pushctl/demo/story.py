"""
The demo from an empty folder to a purchase after a reminder, on one machine.

``pushctl init`` makes the project, visitors subscribe at ``pushctl receive`` over HTTP,
``pushctl send`` sends messages over TLS to a push service that checks them, and visitors
decrypt them. At the end what ``pushctl stats campaigns`` counts must be what the visitors
did, to the last order.
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
from pushctl.demo import automation, people, presets, processes
from pushctl.demo.chapters import answer_messages, print_chapter, wait_until
from pushctl.demo.crowd import TAG, Crowd, ReceiverClient
from pushctl.demo.found import choose
from pushctl.demo.pushservice import PushService
from pushctl.demo.setup import Setup
from pushctl.errors import PushctlError, UsageError

if TYPE_CHECKING:
    from pushctl.demo.real_browser import RealBrowser

REPORTS = 15.0  # seconds for the last report


@dataclass(frozen=True, slots=True)
class Options:
    """The options of ``pushctl demo``."""

    folder: Path
    visitors: int
    browser: str  # firefox, chromium, auto or none
    watch: bool  # a visible browser in which a person clicks
    stay: bool  # keep push service, receiver and shop until Ctrl-C
    seed: int


def run(options: Options) -> None:
    """Run all chapters; PushctlError when one of them fails."""
    began = time.monotonic()
    if options.folder.exists() and any(options.folder.iterdir()):
        raise UsageError(
            f"{options.folder} is not empty. Name another folder with --folder, or remove it."
        )
    browser = choose(options.browser)
    with ExitStack() as stack:
        setup = _build(options, stack)
        crowd = _subscribe(setup, options)
        visitor = None
        if browser is not None:
            from pushctl.demo.real_browser import RealBrowser  # needs the extra pushctl[demo]

            visitor = stack.enter_context(RealBrowser(browser, setup, watch=options.watch))
            visitor.subscribe()
        _fill_baskets(setup, crowd, visitor)
        clicks = _remind(setup, crowd, visitor)
        _compare_stats(setup, crowd, int(visitor is not None), clicks)
        automation.run(setup, crowd, int(visitor is not None))
        _print_end(setup, time.monotonic() - began)
        if options.stay:
            _wait_forever(setup)


def _build(options: Options, stack: ExitStack) -> Setup:
    print_chapter("A project", "Config, keys, database, templates and the page's script.")
    folder = options.folder.resolve()
    shop_port, receiver_port = processes.free_port(), processes.free_port()
    shop = f"http://localhost:{shop_port}"
    receiver = f"http://localhost:{receiver_port}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    init = ["init", "--site", f"shop={shop}", "--contact", "mailto:demo@shop.example"]
    init += ["--languages", "en,ar,tr,ru,nl", "--timezone", "Europe/Istanbul"]
    processes.run(folder, *init, "--receiver-url", receiver)
    service = stack.enter_context(PushService(folder / "push-service"))
    _configure_loopback(service, folder / "pushctl.toml")
    (folder / "logs").mkdir(mode=0o700)
    listen = f"--listen=127.0.0.1:{receiver_port}"
    _start(stack, folder, receiver_port, "pushctl", "receive", listen)
    key = json.loads(processes.read_output(folder, "keys", "show", "--json"))[0]["public"]
    setup = Setup(folder, service, shop, receiver, key)
    presets.write_feed(setup, 1)
    words = (f"--port={shop_port}", f"--receiver={receiver}", f"--feed={setup.feed}")
    _start(stack, folder, shop_port, "pushctl.demo.shop", *words)
    return setup


def _start(stack: ExitStack, folder: Path, port: int, module: str, *words: str) -> None:
    log = folder / "logs" / f"{module}.log"
    server = processes.serve(folder, log, module, *words)
    stack.callback(processes.stop, server)
    processes.wait_for(server, port, log)


def _configure_loopback(service: PushService, file: Path) -> None:
    """Map the push services' host names to this machine in the demo's pushctl.toml."""
    hosts = "".join(
        f'"{name}" = "{address}"\n' for name, address in service.loopback_hosts.items()
    )
    with file.open("a") as text:
        text.write(
            "\n# The demo's push service. Without this table messages go to the real ones.\n"
            f'[push.loopback]\nca = "{service.ca.relative_to(file.parent)}"\n\n'
            f"[push.loopback.hosts]\n{hosts}"
        )


def _subscribe(setup: Setup, options: Options) -> Crowd:
    print_chapter(
        "Visitors subscribe",
        f"{options.visitors} browsers with real keys, in Arabic, Turkish and English.",
    )
    chance = random.Random(options.seed)
    members = people.make_people(options.visitors, chance)
    for person in members:
        person.endpoint = setup.service.subscribe(person.service, setup.key)
    crowd = Crowd(members, ReceiverClient(setup.receiver, setup.shop), chance)
    with output.progress("Subscribing", len(members)) as progress:
        for _ in crowd.subscribe(setup.key):
            progress.advance()
    return crowd


def _fill_baskets(setup: Setup, crowd: Crowd, visitor: "RealBrowser | None") -> None:
    print_chapter(
        "Baskets are left",
        "Every third puts something into the basket and leaves without paying.",
    )
    with output.progress("Leaving", crowd.with_basket) as progress:
        for _ in crowd.fill_baskets():
            progress.advance()
    if visitor is not None:
        visitor.fill_basket()
    processes.run(setup.folder, "import")
    processes.run(setup.folder, "tags", "list")


def _remind(setup: Setup, crowd: Crowd, visitor: "RealBrowser | None") -> int:
    """Send the reminder and wait for the answers; return the real browser's clicks."""
    print_chapter("They are reminded", "One command; everybody in their own language.")
    with answer_messages(setup, crowd) as done:
        processes.run(setup.folder, "send", "--tag", TAG, "--yes", "--name", "reminder")
        if visitor is not None:
            visitor.click_reminder()
        wait_until(lambda: done() >= crowd.with_basket, "all messages to arrive")
    output.say("")
    for language, title in sorted(crowd.tally.titles.items()):
        output.say(f"  decrypted in {language}: {title}")
    if visitor is None:
        return 0
    return int(visitor.wait_for_click(lambda: _count_clicks(setup) > crowd.tally.clicked))


def _count_clicks(setup: Setup) -> int:
    processes.read_output(setup.folder, "import", "--json")
    row = json.loads(processes.read_output(setup.folder, "stats", "--json"))[0]
    return int(row["clicked"])


def _compare_stats(setup: Setup, crowd: Crowd, real: int, clicks: int) -> None:
    print_chapter(
        "What came of it", "Push services only say accepted; the browsers say the rest."
    )
    processes.run(setup.folder, "import")
    tally = crowd.tally
    expected = {
        "accepted": crowd.with_basket + real,
        "shown": tally.shown + real,
        "clicked": tally.clicked + clicks,
        "orders": tally.bought,
        "revenue_minor": tally.paid or None,
    }
    counted = _read_counts(setup, expected)
    processes.run(setup.folder, "stats", "campaigns")
    output.say(
        f"  {tally.clicked + clicks} came back, {tally.bought} of them bought "
        f"what was in the basket, for {tally.paid / 100:,.2f} {people.CURRENCY}."
    )
    if counted != expected or tally.unreadable:
        raise PushctlError(
            f"the demo's visitors did {expected} ({tally.unreadable} could not be decrypted), "
            f"but stats counts {counted}. This is a bug; the project is in {setup.folder}."
        )
    output.say("  The same, to the last one, as what the visitors did.", "bold")


def _read_counts(setup: Setup, expected: Mapping[str, int | None]) -> Mapping[str, int | None]:
    """Return what stats counts, within REPORTS seconds as *expected*: reports may be late."""
    deadline = time.monotonic() + REPORTS
    while True:
        words = ("stats", "campaigns", "--json")
        row = json.loads(processes.read_output(setup.folder, *words))[0]
        counted = {name: row[name] for name in expected}
        if counted == expected or time.monotonic() > deadline:
            return counted
        time.sleep(0.3)
        processes.read_output(setup.folder, "import", "--json")


def _print_end(setup: Setup, seconds: float) -> None:
    name = setup.folder.name
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


def _wait_forever(setup: Setup) -> None:
    output.say(f"  The shop stands at {setup.shop}/ until you press Ctrl-C.", "bold")
    while True:
        time.sleep(3600)
