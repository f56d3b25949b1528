"""The shop's side of signed aliases, as docs/embedding.md shows it: run, and believed."""

import re
import shutil
import subprocess
import sys

import pytest

from tests.support import ROOT
from tests.support.posting import sign_alias

PAGE = ROOT / "docs/embedding.md"
SECRET = "Zm9yIHRlc3RzIGFsb25lLCBub2JvZHkgZWxzZSBoYXM"
ALIASES = ("customer-7", "müşteri 7", "7", "a" * 255)

RUN = {
    "python": ([sys.executable, "-c"], "import sys; print(pushctl_signature(*sys.argv[1:]))"),
    "js": (["node", "-e"], "console.log(pushctlSignature(...process.argv.slice(1)));"),
    "php": (["php", "-r"], "echo pushctl_signature($argv[1], $argv[2]);"),
}


def example(language: str) -> str:
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return next(block for block in blocks if "ignature" in block and "alias\\n" in block)


@pytest.mark.parametrize("language", RUN)
@pytest.mark.parametrize("alias", ALIASES)
def test_the_signature_of_the_page_is_the_one_that_is_believed(
    language: str, alias: str
) -> None:
    command, call = RUN[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [*command, f"{example(language)}\n{call}", alias, f"{SECRET}\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == sign_alias(alias, SECRET.encode())
