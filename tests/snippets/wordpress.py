"""
A real WordPress with the plug-in of docs/snippets.md, beside a real receiver.

It copies Debian's WordPress, starts a MariaDB of its own, installs, logs in, comments, and
lets WordPress' own HTTP class send what WooCommerce sends, by cURL and by sockets, in HTTP/1.0
and 1.1. WooCommerce itself is no package of Debian: what the plug-in uses of it stands in
SHOP below. As root:

    apt install --no-install-recommends \\
        php-cli php-curl php-intl php-mbstring php-mysql mariadb-server
    apt download wordpress wordpress-theme-twentytwentythree
    for each in wordpress*.deb; do dpkg -x $each extracted; done
    ./run python -m tests.snippets.wordpress --wordpress extracted/usr/share/wordpress
"""

import argparse
import base64
import contextlib
import getpass
import hmac
import http.cookiejar
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support import hooks, receiving
from tests.support import snippets as s
from tests.support.snippets import Connected

SOURCE = '[sources.woo]\nkind = "woocommerce"\nsite = "shop"\nalias = "customer_id"\n'
SECRET = "woo's secret & more"
CONFIG = """<?php
define('DB_NAME', 'wordpress'); define('DB_USER', %(user)s); define('DB_PASSWORD', '');
define('DB_HOST', %(socket)s); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HOME', %(url)s); define('WP_SITEURL', %(url)s);
define('DISABLE_WP_CRON', true); define('AUTOMATIC_UPDATER_DISABLED', true);
foreach (json_decode(%(settings)s, true) as $name => $value) define($name, $value);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""
# What of WooCommerce the plug-in uses, after its source.
SHOP = """<?php
function WC() { return null; }
function wc_get_cart_url() { return home_url('/cart/'); }
class WC_Order {
    public array $meta = [];
    function update_meta_data($key, $value) {
        $this->meta[] = ['key' => $key, 'value' => $value];
    }
}
"""
INSTALL = """<?php
define('WP_INSTALLING', true);
require 'wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('Shop', 'admin', 'admin@shop.example', true, '', 'admin-password');
wp_insert_user(['user_login' => 'ada', 'user_pass' => 'a password', 'role' => 'subscriber',
    'user_email' => 'Ada.Lovelace@shop.example']);
update_option('permalink_structure', '/%postname%/');
update_option('active_plugins', ['pushctl/pushctl.php', 'shop.php']);
update_option('comment_moderation', 0);
update_option('template', 'twentytwentythree');
update_option('stylesheet', 'twentytwentythree');
"""
# Bodies as WC_Webhook::deliver and deliver_ping send them, by both of WordPress' transports.
SEND = """<?php
require 'wp-load.php';
add_filter('http_request_host_is_external', '__return_true');
add_filter('http_allowed_safe_ports', fn ($ports) => [...$ports, (int) getenv('PORT')]);
if (getenv('TRANSPORT')) add_filter('http_api_transports', fn () => [getenv('TRANSPORT')]);
$address = PUSHCTL_URL . '/hooks/woo';
$deliver = function (array $order, string $version) use ($address) {
    $body = trim(wp_json_encode($order));
    $mac = base64_encode(hash_hmac('sha256', $body, getenv('SECRET'), true));
    $answer = wp_safe_remote_request($address, [
        'method' => 'POST', 'timeout' => 60, 'redirection' => 0, 'httpversion' => $version,
        'blocking' => true, 'user-agent' => 'WooCommerce/9.3.3 Hookshot (WordPress/6.1)',
        'body' => $body, 'cookies' => [],
        'headers' => [
            'Content-Type' => 'application/json',
            'X-WC-Webhook-Source' => home_url('/'), 'X-WC-Webhook-Topic' => 'order.updated',
            'X-WC-Webhook-Resource' => 'order', 'X-WC-Webhook-Event' => 'updated',
            'X-WC-Webhook-Signature' => $mac,
            'X-WC-Webhook-ID' => 3, 'X-WC-Webhook-Delivery-ID' => wp_hash(microtime()),
        ],
    ]);
    return is_wp_error($answer) ? $answer->get_error_message() : $answer['response']['code'];
};
$ping = wp_safe_remote_post($address, ['body' => 'webhook_id=3']);
$said = ['ping' => is_wp_error($ping) ? $ping->get_error_message() : $ping['response']['code']];
foreach (json_decode(file_get_contents('php://stdin'), true) as [$name, $version, $order]) {
    if (getenv('KEY')) {
        $_COOKIE['pushctl_key'] = getenv('KEY');
        $placed = new WC_Order;
        do_action('woocommerce_checkout_create_order', $placed, []);
        $order['meta_data'] = $placed->meta;
    }
    $said[$name] = $deliver($order, $version);
}
$many = array_fill(0, 900, ['alias' => '2', 'add' => [str_repeat('é', 90)]]);
$said['900 tags'] = pushctl_tell('tags', $many, 'many-' . getenv('TRANSPORT'));
$said['nothing'] = pushctl_tell('tags', [], 'none-' . getenv('TRANSPORT'));
echo json_encode($said);
"""

EXPECTED = {
    "ping": 200, "small in HTTP/1.0": 200, "small in HTTP/1.1": 200,
    "850 KiB in HTTP/1.0": 200, "850 KiB in HTTP/1.1": 200, "2 MiB in HTTP/1.1": 413,
    "900 tags": True, "nothing": False,
}  # fmt: skip


@contextlib.contextmanager
def mariadb(folder: Path) -> Iterator[Path]:
    """A database server in *folder*, reachable by the socket alone; gives that."""
    socket, user = folder / "db.sock", getpass.getuser()
    data = f"--datadir={folder / 'db'}"
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", data, f"--user={user}", "--skip-test-db"],
        check=True, capture_output=True,
    )  # fmt: skip
    process = subprocess.Popen(
        ["mariadbd", "--no-defaults", data, f"--socket={socket}", "--skip-networking",
         f"--user={user}", f"--log-error={folder / 'db.log'}",
         f"--pid-file={folder / 'db.pid'}"]
    )  # fmt: skip
    try:
        call = [
            "mariadb",
            "--no-defaults",
            f"--socket={socket}",
            "-e",
            "CREATE DATABASE wordpress",
        ]
        deadline = time.monotonic() + 60
        while subprocess.run(call, capture_output=True).returncode:
            assert time.monotonic() < deadline, (folder / "db.log").read_text()
            time.sleep(0.1)
        yield socket
    finally:
        process.terminate()
        process.wait(60)


def write_shop(folder: Path, original: Path, values: dict[str, str]) -> None:
    shutil.copytree(
        original, folder,
        ignore=shutil.ignore_patterns("wp-config.php"), ignore_dangling_symlinks=True,
    )  # fmt: skip
    texts = {name: f"'{text}'" for name, text in values.items()}
    s.write_files(folder, {"wp-config.php": CONFIG % texts, "install.php": INSTALL,
                           "send.php": SEND, "wp-content/plugins/shop.php": SHOP})  # fmt: skip
    plugins = s.read_files("WordPress and WooCommerce")
    s.write_files(folder / "wp-content/plugins", plugins)
    common = s.read_files("For every shop")
    s.write_files(folder, {"pushctl-sw.js": common["pushctl-sw.js"]})
    s.write_files(folder / "wp-content/plugins/pushctl", {"push.js": common["push.js"]})


def php(folder: Path, file: str, given: str = "", **variables: str) -> str:
    done = subprocess.run(
        ["php", file], cwd=folder, input=given, capture_output=True, text=True,
        env={**os.environ, **variables},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check_pages(connected: Connected, url: str) -> None:
    """Log in and comment as people do."""
    jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
    browser = urllib.request.build_opener(jar)

    def ask(path: str, **fields: str) -> bytes:
        data = urllib.parse.urlencode(fields).encode() if fields else None
        return bytes(browser.open(f"{url}{path}", data, timeout=30).read())

    stranger = ask("/")
    assert b"push.js" in stranger
    assert b"data-alias" not in stranger
    ask("/wp-login.php")
    ask("/wp-login.php", log="ada", pwd="a password", testcookie="1")
    page = ask("/").decode()
    data = dict(re.findall(r'data-([\w-]+)="([^"]*)"', page))
    assert (data["alias"], data["api"]) == ("2", f"{url}/wp-json/wc/store/v1/cart"), data
    for script in re.findall(r'src="([^"]*(?:push|woo)\.js)"', page):
        assert urllib.request.urlopen(script).status == 200
    s.check_person(connected, 1, data)
    assert b"importScripts" in ask("/pushctl-sw.js")
    ask("/wp-comments-post.php", comment="A fine lamp", comment_post_ID="1")
    connected.run("import")
    (found,) = connected.ask("subscribers", "list", "--tag", "Wrote a review")
    assert found["alias"] == "2"
    s.check_events(connected, f"{url}/wp-json/pushctl/v1/event")


def check_sending(connected: Connected, folder: Path, transport: str) -> dict[str, Any]:
    """Let WP_Http send as WooCommerce does; return what it got as answers."""
    hash_key = hmac.digest(b"x", transport.encode(), "sha256")
    key = base64.urlsafe_b64encode(hash_key).decode()[:22]
    number = {"Requests_Transport_cURL": 10, "Requests_Transport_fsockopen": 20}.get(
        transport, 30
    )
    connected.subscribe(number)
    connected.post("/v1/identify", number, cart=key)
    orders = [
        [f"{size} in HTTP/{version}", version, {
            **hooks.WOO_ORDER, "id": number * 10 + index, "number": str(number * 10 + index),
            "customer_id": 0, "customer_note": "é" * length,
        }]
        for index, (size, length, version) in enumerate([
            ("small", 1, "1.0"), ("small", 1, "1.1"),
            ("850 KiB", 140_000, "1.0"), ("850 KiB", 140_000, "1.1"), ("2 MiB", 350_000, "1.1"),
        ])
    ]  # fmt: skip
    out = php(
        folder, "send.php", json.dumps(orders), PORT=str(connected.port), SECRET=SECRET,
        KEY=key, TRANSPORT=transport,
    )  # fmt: skip
    said: dict[str, Any] = json.loads(out)
    for index in range(4):
        order = connected.find_order(str(number * 10 + index))
        assert order["source"] == "woo", order
        assert order["subscriber"] == s.find_subscriber(connected, number)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wordpress", type=Path, default=Path("/usr/share/wordpress"))
    original = parser.parse_args().wordpress
    with contextlib.ExitStack() as stack:
        top = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        socket = stack.enter_context(mariadb(top))
        connected = stack.enter_context(s.connect(top / "project", SOURCE))
        hooks.give_secret(connected.folder, "woo", SECRET)
        port = receiving.free_port()
        settings = {name: text.strip() for name, text in connected.settings.items()}
        write_shop(top / "shop", original, {
            "user": getpass.getuser(), "socket": f"localhost:{socket}",
            "url": f"http://127.0.0.1:{port}", "settings": json.dumps(settings),
        })  # fmt: skip
        php(top / "shop", "install.php")
        command = ["php", "-S", f"127.0.0.1:{port}", "-t", str(top / "shop")]
        url = stack.enter_context(s.serving(command, port, top / "shop", {}))
        check_pages(connected, url)
        for transport in ("Requests_Transport_cURL", "Requests_Transport_fsockopen"):
            said = check_sending(connected, top / "shop", transport)
            print(transport, said)
            assert said == EXPECTED
    print("WordPress: everything arrived")


if __name__ == "__main__":
    main()
