"""pushctl promo: codes come in from files, or are made with the file for the shop."""

import csv
import io
import json
import stat
from pathlib import Path

import pytest

from pushctl import cli
from pushctl.rules.shops.promo_codes import ALPHABET
from pushctl.store import Store
from tests.support import project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = project.make(tmp_path / "project")
    monkeypatch.setenv("PUSHCTL_PROJECT", str(made))
    monkeypatch.setenv("PUSHCTL_NOW", "2026-04-28T10:00:00+02:00")
    return made


def write(folder: Path, text: str, name: str = "codes.csv") -> str:
    (folder / name).write_text(text, "utf-8")
    return str(folder / name)


def list_codes(folder: Path) -> list[str]:
    with Store(folder / "pushctl.db") as store:
        sql = "SELECT code FROM promo_codes ORDER BY id"
        return [code for (code,) in store.connection.execute(sql)]


def show(capsys: pytest.CaptureFixture[str], name: str) -> dict[str, object]:
    capsys.readouterr()
    assert cli.run(["promo", "show", name, "--json"]) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    "text",
    [
        "A1\nB2\nC3\n",
        "code\r\nA1\r\nB2\r\n\r\nC3",
        "\ufeffCode;Value\nA1;15\nB2;15\n\nC3;15\n",
        'id,"Coupon Code"\n1,"A1"\n2,"B2"\n3,C3\n',
        "A1\na1\nB2\nb2\nC3\nC3\n",
    ],
)
def test_codes_come_from_lines_or_a_column_each_once(folder: Path, text: str) -> None:
    assert cli.run(["promo", "import", "spring", write(folder, text)]) == 0
    assert list_codes(folder) == ["A1", "B2", "C3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A1\n" + "0" * 200_000 + "\n", "a line has more than 100,000 characters"),
        ('code,x\nA1,1\nB2,"' + "x\n" * 70_000, "no CSV (field larger than"),
    ],
)
def test_a_hostile_file_is_refused_with_its_fault(
    folder: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["promo", "import", "spring", write(folder, text)]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert list_codes(folder) == []


def test_duplicates_are_counted_also_those_of_another_pool(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["promo", "import", "one", write(folder, "A1\nB2\n")]) == 0
    assert cli.run(["promo", "import", "two", write(folder, "b2\nC3\nc3\n")]) == 0
    assert "two: 1 new code, 2 duplicates left out." in capsys.readouterr().err


def test_a_file_with_a_bad_line_imports_nothing_and_is_named_without_a_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(folder, "SECRET1\nSECRET 2\n")
    assert cli.run(["promo", "import", "one", file]) == 2
    said = capsys.readouterr().err
    assert "line 2: a promo code has a space" in said and "SECRET" not in said
    assert list_codes(folder) == []
    assert cli.run(["promo", "show", "one"]) == 4
    assert cli.run(["promo", "import", "one", write(folder, "id,worth\n1,A1\n")]) == 2
    assert "--column" in capsys.readouterr().err
    file = write(folder, "id,worth\n1,A1\n")
    assert cli.run(["promo", "import", "one", file, "--column", "Worth"]) == 0
    assert list_codes(folder) == ["A1"]


def test_a_pool_is_shown_with_its_counts_and_settings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fallback = write(folder, "BASKET10\n", "fallback.txt")
    codes = write(folder, "A1\nB2\n")
    said = ["--expires", "2026-12-31", "--remind", "5d", "--low", "3"]
    assert cli.run(["promo", "import", "b15", codes, "--fallback", fallback, *said]) == 0
    found = show(capsys, "b15")
    assert found["expires_at"] == "2027-01-01T00:00:00Z"
    assert found["remind_at"] == "2026-12-27T00:00:00Z"
    assert (found["state"], found["fallback"], found["free"]) == ("low", "BAS...", 2)
    assert cli.run(["promo", "set", "b15", "--expires", "2027-01-31", "--no-fallback"]) == 0
    found = show(capsys, "b15")
    assert (found["remind_at"], found["fallback"]) == ("2027-01-27T00:00:00Z", None)
    assert cli.run(["promo", "list"]) == 0
    assert "2 promo codes of b15 left; without any it stops." in capsys.readouterr().err
    assert cli.run(["promo", "show", "b51"]) == 4
    assert "Did you mean 'b15'?" in capsys.readouterr().err


def test_a_code_for_everybody_is_a_pool_of_one(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["promo", "import", "sale", write(folder, "SALE10"), "--shared"]) == 0
    found = show(capsys, "sale")
    assert (found["state"], found["codes"]) == ("one for all", 0)
    assert cli.run(["promo", "import", "two", write(folder, "A\nB"), "--shared"]) == 2


def test_made_codes_are_in_the_pool_and_in_a_file_that_only_its_owner_reads(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "codes.txt"
    asked = ["promo", "generate", "new", "500", "--for", "2checkout", "--file", str(file)]
    assert cli.run(asked) == 0
    codes = file.read_text().split()
    assert sorted(codes) == sorted(list_codes(folder))
    assert len(set(codes)) == 500
    assert all(len(one) == 10 and not set(one) - set(ALPHABET) for one in codes)
    assert not set("0O1ILUV") & set(ALPHABET)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(one in capsys.readouterr().err for one in codes)
    assert cli.run(asked) == 2, "a file that is there is not overwritten"
    assert len(list_codes(folder)) == 500


def test_the_files_for_shops_have_their_columns(folder: Path) -> None:
    coupons, discounts = folder / "coupons.csv", folder / "discounts.csv"
    asked = ["promo", "generate", "new", "3", "--expires", "2026-12-31"]
    assert cli.run([*asked, "--for", "woocommerce", "--file", str(coupons)]) == 2
    woo = ["--for", "woocommerce", "--percent", "15"]
    assert cli.run([*asked, *woo, "--file", str(coupons)]) == 0
    assert cli.run([*asked, "--for", "shopify", "--file", str(discounts)]) == 0
    for row in csv.DictReader(io.StringIO(coupons.read_text())):
        assert (row["discount_type"], row["coupon_amount"]) == ("percent", "15")
        assert (row["usage_limit"], row["expiry_date"]) == ("1", "2026-12-31")
        assert row["post_title"] in list_codes(folder)
    rows = list(csv.DictReader(io.StringIO(discounts.read_text())))
    assert {(row["Title"], row["Command"]) for row in rows} == {("new", "MERGE")}
    assert len(list_codes(folder)) == 6, "what was refused has made none"


def test_codes_are_whole_on_a_terminal_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["promo", "import", "sale", write(folder, "SALE10"), "--shared"]) == 0
    assert cli.run(["promo", "show", "sale", "--codes", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["code"] == "SAL..."
    assert cli.run(["promo", "show", "sale", "--reveal"]) == 2
    assert "needs a terminal" in capsys.readouterr().err


def test_the_name_of_a_new_pool_that_a_step_sends_as_a_code_is_asked_about(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = '{ after = "1h", template = "welcome", promo = "SALE10" }'
    project.add(folder, f'[triggers.basket]\non = "cart_updated"\nsteps = [{step}]')
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    codes = write(folder, "A1\n")
    assert cli.run(["promo", "import", "SALE10", codes]) == 2
    assert "basket/1: promo = 'SAL...' is sent as a code now" in capsys.readouterr().err
    assert list_codes(folder) == []
    assert cli.run(["triggers", "show", "basket"]) == 0
    assert "code SAL..." in capsys.readouterr().out
    assert cli.run(["promo", "import", "SALE10", codes, "--yes"]) == 0
    assert list_codes(folder) == ["A1"]
    assert cli.run(["triggers", "show", "basket"]) == 0
    assert "a code of SALE10" in capsys.readouterr().out
