"""pushctl alias: what the shop's server has to make, and what it made wrong."""

from pathlib import Path

import pytest

from pushctl.rules.web import alias_signatures
from tests.support import project as projects
from tests.support.program import pushctl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return projects.make(tmp_path_factory.mktemp("shop"))


def test_signing_and_verifying(folder: Path) -> None:
    secret = (folder / "keys/alias_secret").read_bytes().strip()
    done = pushctl("alias", "sign", "müşteri 7", cwd=folder)
    signature = done.out.strip()
    assert signature == alias_signatures.sign(secret, "müşteri 7")
    assert f'pushctl.identify("müşteri 7", "{signature}")' in done.err
    right = pushctl("alias", "verify", "müşteri 7", signature, cwd=folder)
    assert (right.code, right.out) == (0, "The signature is right.\n")
    wrong = pushctl("alias", "verify", "customer-8", signature, cwd=folder)
    assert wrong.code == 2
    assert "another alias or to another secret" in wrong.err
    assert secret.decode() not in wrong.err + done.err + done.out


def test_without_a_secret_it_says_what_to_do(tmp_path: Path) -> None:
    here = projects.make(tmp_path)
    (here / "keys/alias_secret").unlink()
    done = pushctl("alias", "sign", "customer-7", cwd=here)
    assert done.code == 3
    assert "pushctl init" in done.err
