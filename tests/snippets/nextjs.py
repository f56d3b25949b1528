"""
A real Next.js with the files of docs/snippets.md, beside a real receiver.

It installs Next.js from npm's registry (about 300 MB in the temporary folder), builds the shop,
starts it, and looks into pushctl's database after the import.

    ./run python -m tests.snippets.nextjs
"""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from pushctl.demo import browsers
from pushctl.demo.browsers import processes
from tests.e2e.machine import Machine
from tests.support import receiving
from tests.support import snippets as s
from tests.support.snippets import CART_KEY, Connected

PACKAGES = ("next@16", "react@19", "react-dom@19")
SHOP = """
import { cookies } from "next/headers";

export async function getCustomer() {
  const id = (await cookies()).get("login")?.value;
  return id && { id, email: "Ada.Lovelace@shop.example" };
}
export const getCart = async () => ({
  items: [{ id: "lamp", name: 'Lamp "<Öl>" & Co', price: 49.9 }], currency: "EUR",
});
export async function placeOrder(request) {
  const { searchParams } = new URL(request.url);
  return { number: searchParams.get("number"), total: 49.9, currency: "EUR" };
}
"""
LAYOUT = """
export default ({ children }) => <html lang="en"><body>{children}</body></html>;
"""


def write_shop(folder: Path, receiver: str) -> None:
    s.write_files(folder, s.read_files("Next.js"))
    worker = s.read_files("For every shop")["pushctl-sw.js"]
    worker = worker.replace("https://push.shop.example", receiver)
    s.write_files(folder / "public", {"pushctl-sw.js": worker})
    s.write_files(folder, {
        "shop.js": SHOP, "app/layout.js": LAYOUT,
        "package.json": json.dumps({"private": True, "scripts": {}}),
    })  # fmt: skip
    for command in (
        ["npm", "install", "--no-audit", "--no-fund", *PACKAGES],
        ["npx", "next", "build"],
    ):
        given = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1"}
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=given)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def read_person(page: receiving.Answered) -> dict[str, str]:
    """Return the person of the page's component, as React's data in the page have it."""
    text = page.body.decode().replace('\\"', '"')
    found = re.search(
        r'"person":\{"alias":"([^"]+)","signature":"([\w-]{43})","emailHash":"(\w{64})"\}', text
    )
    assert found, text[-2000:]
    return dict(zip(("alias", "signature", "email-hash"), found.groups(), strict=True))


def check_shop(connected: Connected, url: str) -> None:
    page = s.ask_shop(f"{url}/cart", Cookie="login=customer-1")
    s.check_person(connected, 1, read_person(page))
    assert f"{connected.settings['PUSHCTL_URL']}/pushctl.js".encode() in page.body
    assert b"customer-1" not in s.ask_shop(f"{url}/cart").body
    worker = s.ask_shop(f"{url}/pushctl-sw.js")
    assert "javascript" in worker.headers["Content-Type"]

    connected.subscribe(2)
    connected.post("/v1/identify", 2, cart=CART_KEY)
    cookies = {"A-1": "login=customer-1", "A-2": f"pushctl_key={CART_KEY}"}
    for browser, (number, cookie) in enumerate(cookies.items(), 1):
        answer = s.ask_shop(f"{url}/buy?number={number}", "POST", b"", Cookie=cookie)
        assert answer.json()["number"] == number
        order = connected.find_order(number, seconds=10)  # it is told after the answer
        assert (order["source"], order["amount"]) == ("api", "49.90")
        assert order["subscriber"] == s.find_subscriber(connected, browser)
    s.check_events(connected, f"{url}/push-events")


def check_browser(connected: Connected, url: str, machine: Machine) -> None:
    """Subscribe on the shop's page, log in, and look at the basket again."""
    browser = machine.browser

    def open_page() -> None:
        browser.open(f"{url}/cart")
        processes.wait_until(
            lambda: browser.evaluate("Boolean(window.pushctl?.ready)"), "pushctl.js"
        )

    open_page()
    browser.grant()
    open_page()
    assert browser.evaluate("pushctl.subscribe()") == "granted"
    customer = f"customer-{machine.kind}"
    browser.evaluate(f"document.cookie = 'login={customer}; path=/'")
    open_page()

    def find() -> list[Any]:
        connected.run("import")
        with contextlib.closing(sqlite3.connect(connected.folder / "pushctl.db")) as database:
            return database.execute(
                "SELECT s.alias_trusted, k.key, e.properties FROM subscriptions s"
                " JOIN cart_keys k ON k.subscription_id = s.id"
                " JOIN events e ON e.subscription_id = s.id AND e.name = 'cart_updated'"
                " WHERE s.alias = ?",
                (customer,),
            ).fetchall()

    trusted, key, basket = processes.wait_until(find, "basket")[-1]
    assert (trusted, json.loads(basket)["total"]) == (1, 49.9)
    assert f"pushctl_key={key}" in browser.evaluate("document.cookie")


def main() -> None:
    with contextlib.ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = receiving.free_port()
        url = f"http://127.0.0.1:{port}"
        connected = stack.enter_context(s.connect(top / "project", origin=url))
        write_shop(top / "shop", connected.settings["PUSHCTL_URL"])
        command = ["npx", "next", "start", "--hostname", "127.0.0.1", "--port", str(port)]
        variables = {**connected.settings, "NEXT_TELEMETRY_DISABLED": "1"}
        stack.enter_context(s.serving(command, port, top / "shop", variables))
        check_shop(connected, url)
        for kind in ("firefox", "chromium"):
            found = browsers.find(kind)
            assert found, f"{kind} is not installed"
            folder = top / kind
            folder.mkdir()
            with Machine(found, folder) as machine:
                check_browser(connected, url, machine)
    print("Next.js: everything arrived")


if __name__ == "__main__":
    main()
