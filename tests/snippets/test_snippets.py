"""docs/snippets.md: its files, run as they are, connect a shop to a receiver."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from pushctl.rules.shops import buy_links
from tests.support import hooks, twocheckout_shop
from tests.support import snippets as s
from tests.support import twocheckout as vendor
from tests.support.receiving import free_port
from tests.support.snippets import CART_KEY, Connected

SHOP_PHP = """<?php
$customer = $_COOKIE['login'] ?? null;
$email = $customer === null ? null : 'Ada.Lovelace@shop.example';
$cart = ['items' => [['id' => 'lamp', 'name' => 'Lamp "<Öl>" & Co', 'price' => 49.9]],
         'currency' => 'EUR', 'url' => 'https://shop.example/cart'];
$order = ['number' => $_GET['number'] ?? '', 'total' => 49.9, 'currency' => 'EUR'];
"""
SHOP_DJANGO = """
import json
from functools import partial
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import render
import shop_push

CART = {"items": [{"id": "lamp", "name": 'Lamp "<Öl>" & Co', "price": 49.9}],
        "currency": "EUR", "url": "https://shop.example/cart"}

class Login:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        request.user = User(request.COOKIES.get("login"))
        return self.get_response(request)

class User:
    def __init__(self, pk):
        self.pk, self.is_authenticated = pk, pk is not None
        self.email = "Ada.Lovelace@shop.example"

def cart(request):
    return render(request, "base.html", {"cart": json.dumps(CART)})

def buy(request):
    number = request.GET["number"]
    person = shop_push.name_person(request)
    with transaction.atomic():
        transaction.on_commit(partial(shop_push.tell_purchase, person, number, 49.9, "EUR"))
    said = {"order": number, "total": 49.9, "currency": "EUR"}
    return render(request, "base.html", {"purchase": json.dumps(said)})
"""
SETTINGS = """
SECRET_KEY, ROOT_URLCONF, ALLOWED_HOSTS = "tests alone", "urls", ["127.0.0.1"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_URL, STATICFILES_DIRS = "/static/", ["static"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
MIDDLEWARE = ["django.middleware.csrf.CsrfViewMiddleware", "shop.Login"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": ["."],
              "OPTIONS": {"context_processors": ["shop_push.context"]}}]
DEBUG = True
"""


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    folder = tmp_path_factory.mktemp("push") / "project"
    with s.connect(folder, twocheckout_shop.TOML) as made:
        yield made


def need_php(*extensions: str) -> None:
    if shutil.which("php") is None:
        pytest.skip("php is not installed")
    listed = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout
    if missing := set(extensions) - set(listed.split()):
        pytest.skip(f"php has no {', '.join(sorted(missing))}")


@pytest.fixture
def php_shop(tmp_path: Path, connected: Connected) -> Iterator[str]:
    need_php("mbstring", "intl")
    folder = tmp_path / "shop"
    s.write_files(folder, s.read_files("For every shop") | s.read_files("Plain PHP"))
    s.write_files(folder, {"shop.php": SHOP_PHP})
    port = free_port()
    command = ["php", "-S", f"127.0.0.1:{port}", "-t", str(folder)]
    with s.serving(command, port, folder, connected.settings) as url:
        yield url


@pytest.fixture
def django_shop(tmp_path: Path, connected: Connected) -> Iterator[str]:
    pytest.importorskip("django")
    folder = tmp_path / "shop"
    files = s.read_files("Django") | {"shop.py": SHOP_DJANGO, "settings.py": SETTINGS}
    s.write_files(folder, files)
    s.write_files(folder / "static", s.read_files("For every shop"))
    port = free_port()
    command = [sys.executable, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"]
    variables = {"DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": os.fspath(folder)}
    with s.serving(command, port, folder, {**connected.settings, **variables}) as url:
        yield url


def check_shop(connected: Connected, url: str, pages: tuple[str, str, str], first: int) -> None:
    """What a shop with the pages (basket, bought, events) must do; browsers from *first* on."""
    basket, bought, events = (f"{url}/{page}" for page in pages)
    customer = f"customer-{first}"
    data = s.read_data(s.ask_shop(basket, Cookie=f"login={customer}"))
    s.check_person(connected, first, data)
    assert json.loads(data["cart"])["items"][0]["name"] == 'Lamp "<Öl>" & Co'
    assert "alias" not in s.read_data(s.ask_shop(basket))

    said = s.read_data(s.ask_shop(f"{bought}?number=A-{first}", Cookie=f"login={customer}"))
    assert json.loads(said["purchase"]) == {
        "order": f"A-{first}", "total": 49.9, "currency": "EUR",
    }  # fmt: skip
    order = connected.find_order(f"A-{first}")
    assert (order["source"], order["state"], order["amount"]) == ("api", "paid", "49.90")
    assert order["subscriber"] == s.find_subscriber(connected, first)

    key = CART_KEY[:-2] + f"{first:02}"
    connected.subscribe(first + 1)
    connected.post("/v1/identify", first + 1, cart=key)
    s.ask_shop(f"{bought}?number=B-{first}", Cookie=f"pushctl_key={key}")
    order = connected.find_order(f"B-{first}")
    assert order["subscriber"] == s.find_subscriber(connected, first + 1)
    s.check_events(connected, events)


def test_a_shop_in_plain_php(connected: Connected, php_shop: str) -> None:
    check_shop(connected, php_shop, ("cart.php", "bought.php", "push-events.php"), 10)
    worker = s.ask_shop(f"{php_shop}/pushctl-sw.js")
    assert worker.body == b'importScripts("https://push.shop.example/pushctl-sw.js");\n'


def test_a_shop_in_django(connected: Connected, django_shop: str) -> None:
    check_shop(connected, django_shop, ("cart", "buy", "push-events"), 20)
    worker = s.ask_shop(f"{django_shop}/pushctl-sw.js")
    assert worker.headers["Content-Type"] == "text/javascript"
    receiver = connected.settings["PUSHCTL_URL"]
    assert worker.body.decode() == f'importScripts("{receiver}/pushctl-sw.js");'
    assert s.ask_shop(f"{django_shop}/static/push.js").status == 200


def test_a_link_to_2checkout_is_the_one_that_reminders_have_and_its_order_is_known(
    tmp_path: Path, connected: Connected
) -> None:
    need_php()
    s.write_files(tmp_path, s.read_files("2Checkout"))
    call = f"""
        require '{tmp_path}/buy-link.php';
        $_COOKIE['pushctl_key'] = '{CART_KEY}';
        echo twocheckout_link('2COLNC', ['LAMP' => 1, 'CUP-2' => 2], 'customer-17');
    """
    given = {**os.environ, "TWOCHECKOUT_BUY_LINK_SECRET": "tango\n"}
    done = subprocess.run(
        ["php", "-r", call], capture_output=True, text=True, check=True, env=given
    )
    cart = {
        "items": [{"id": "LAMP", "quantity": 1}, {"id": "CUP-2", "quantity": 2}],
        "count": 3,
    }
    seller = buy_links.Seller("2COLNC", b"tango")
    ours = buy_links.build(seller, cart, buy_links.Buyer(CART_KEY, "customer-17"))
    assert ours is not None
    told, expected = (parse_qs(urlsplit(link).query) for link in (done.stdout, ours))
    assert told == expected

    connected.subscribe(30)
    connected.post("/v1/identify", 30, cart=CART_KEY)
    hooks.give_secret(connected.folder, "checkout2", vendor.KEY.decode())
    back = {"REFNOEXT": told["order-ext-ref"][0]}
    shop = twocheckout_shop.Shop(connected.folder, connected.port)
    shop.take(twocheckout_shop.build("211000777", **back))
    order = connected.find_order("211000777")
    assert order["subscriber"] == s.find_subscriber(connected, 30)


SILENT = {"PUSHCTL_URL": "http://127.0.0.1:9", "PUSHCTL_KEY": "none"}  # nobody listens there


@pytest.mark.parametrize("chapter", ["Plain PHP", "Django"])
def test_a_shop_goes_on_when_pushctl_does_not_answer(tmp_path: Path, chapter: str) -> None:
    s.write_files(tmp_path, s.read_files(chapter))
    command = [sys.executable, "-c", "import shop_push; print(shop_push.tell('tags', [], 'x'))"]
    if chapter == "Plain PHP":
        need_php()
        call = "require 'pushctl.php'; var_dump(pushctl_tell('tags', [], 'x'));"
        command = ["php", "-d", "log_errors=0", "-r", call]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **SILENT}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "false" in done.stdout.lower()
