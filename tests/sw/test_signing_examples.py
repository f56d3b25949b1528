"""The shop's side of signed aliases and e-mail hashes, as docs/embedding.md shows it: run."""

import re
import shutil
import subprocess
import sys

import pytest

from pushctl.rules import tokens
from tests.support import ROOT
from tests.support.posting import sign_alias

PAGE = ROOT / "docs/embedding.md"
SECRET = "Zm9yIHRlc3RzIGFsb25lLCBub2JvZHkgZWxzZSBoYXM"
ALIASES = ("customer-7", "müşteri 7", "7", "a" * 255)

ADDRESSES = (
    "ada@shop.example",
    "  Ada.Lovelace+Lamps@Shop.Example ",
    "ﬁona@müller.example",  # a ligature, which NFKC takes apart
    "mu\u0308ller@shop.example",
)

COMMANDS = {
    "python": [sys.executable, "-c"],
    "js": ["node", "-e"],
    "php": ["php", "-r"],
}
SIGN = {
    "python": "import sys; print(pushctl_signature(*sys.argv[1:]))",
    "js": "console.log(pushctlSignature(...process.argv.slice(1)));",
    "php": "echo pushctl_signature($argv[1], $argv[2]);",
}
HASH = {
    "python": "import sys; print(pushctl_email_hash(*sys.argv[1:]))",
    "js": "console.log(pushctlEmailHash(...process.argv.slice(1)));",
    "php": "echo pushctl_email_hash($argv[1], $argv[2]);",
}


def example(language: str, *words: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return next(block for block in blocks if all(word in block for word in words))


def run(language: str, code: str, text: str) -> str:
    command = COMMANDS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [*command, code, text, f"{SECRET}\n"], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.mark.parametrize("language", COMMANDS)
@pytest.mark.parametrize("alias", ALIASES)
def test_the_signature_of_the_page_is_the_one_that_is_believed(
    language: str, alias: str
) -> None:
    code = example(language, "ignature", "alias\\n") + SIGN[language]
    assert run(language, code, alias) == sign_alias(alias, SECRET.encode())


@pytest.mark.parametrize("language", COMMANDS)
@pytest.mark.parametrize("address", ADDRESSES)
def test_the_hash_of_the_page_is_the_one_that_orders_have(language: str, address: str) -> None:
    if language == "php" and shutil.which("php"):
        known = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout
        if not {"intl", "mbstring"} <= set(known.split()):
            pytest.skip("php has no intl or no mbstring")
    code = example(language, "mail", "ash", "sha256") + HASH[language]
    assert run(language, code, address) == tokens.hash_email(SECRET.encode(), address)
