"""`templates preview` as a page and as a picture."""

import io
import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from pushctl.config import Site
from pushctl.errors import InputError
from pushctl.jobs.messages import fonts, pictures
from pushctl.jobs.messages.preview import Preview
from pushctl.model import Message
from pushctl.rules.messages import drawing, page
from tests.support import project
from tests.support.program import pushctl

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20
ENGLISH, ARABIC = "Your basket is saved", "سلة مشترياتك محفوظة"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    made = project.make(tmp_path / "shop", "--languages=en,ar")
    folder = made / "templates/abandoned_basket_1"
    (folder / "en.b.toml").write_text((folder / "en.toml").read_text("utf-8"), "utf-8")
    return made


def preview(shop: Path, *options: str, **environment: str) -> str:
    done = pushctl(
        "templates", "preview", "abandoned_basket_1", *options, cwd=shop, **environment
    )
    assert done.code == 0, done.err
    return done.out


def test_a_page_has_all_languages_and_variants_unless_one_is_chosen(shop: Path) -> None:
    def titles(*options: str) -> list[str]:
        preview(shop, "--html", "page.html", *options)
        made = (shop / "page.html").read_text("utf-8")
        return [name for name in ("ar", "en", "en, variant b") if f"<b>{name}</b>" in made]

    assert titles() == ["ar", "en", "en, variant b"]
    assert titles("--languages", "en,ar", "--variant", "a") == ["ar", "en"]
    assert titles("--languages", "en") == ["en", "en, variant b"]
    preview(shop, "--html", "page.html", "--language", "ar")
    made = (shop / "page.html").read_text("utf-8")
    assert ARABIC in made and ENGLISH not in made


def test_platforms_are_chosen_by_name(shop: Path) -> None:
    preview(shop, "--html", "page.html", "--platform", "ios")
    made = (shop / "page.html").read_text("utf-8")
    assert "<h2>Web app, iOS</h2>" in made and made.count("<h2>") == 1
    done = pushctl("templates", "preview", "welcome", "--platform", "os2", cwd=shop)
    assert done.code == 2 and "Known: windows-chrome, " in done.err


def test_a_pipe_gets_the_drawings_as_lines(shop: Path) -> None:
    shown = preview(shop, "--platform", "ios", "--languages", "all")
    assert shown.count("Web app, iOS\n") == 3
    assert "- Drawn, not photographed: OneSignal (2023)" in shown


def test_the_marks_round_values_are_no_letters_on_a_terminal(shop: Path) -> None:
    shown = preview(shop, "--language", "ar", "--platform", "ios")
    assert "‹product›" in shown and not set("\u2066\u2067\u2068\u2069\ufffd") & set(shown)


def test_a_file_that_cant_be_written_is_named(shop: Path) -> None:
    done = pushctl("templates", "preview", "welcome", "--html", "no/page.html", cwd=shop)
    assert done.code == 2 and "no/page.html can't be written" in done.err


@pytest.mark.parametrize(
    ("url", "content", "found"),
    [
        ("https://shop.example/a/i.png", PNG, True),
        ("https://shop.example/a/i.png?v=2", PNG, True),
        ("https://shop.example/a/i.png", b"<svg/>", False),  # by what it is, not its name
        ("https://shop.example/a/i.png", PNG + b"x" * 400_000, False),
        ("https://shop.example/../secret.png", PNG, False),
        ("https://shop.example/%2e%2e/secret.png", PNG, False),
        ("https://shop.example/linked.png", PNG, False),
        ("https://cdn.example/a/i.png", PNG, False),
        ("https://shop.example/%00", PNG, False),
    ],
)
def test_only_the_sites_own_pictures_below_the_folder_are_read(
    tmp_path: Path, url: str, content: bytes, found: bool
) -> None:
    web = tmp_path / "web"
    (web / "a").mkdir(parents=True)
    (web / "a/i.png").write_bytes(content)
    (tmp_path / "secret.png").write_bytes(PNG)
    (web / "linked.png").symlink_to(tmp_path / "secret.png")
    message = Message("T", "B", "https://shop.example/", "en", "ltr", icon=url)
    one = Preview("t", "en.toml", "en", "a", None, message, 100, "shop")
    look = pictures._make_look(Site("shop", "https://shop.example"), [one], web)
    assert bool(look.pictures) is found


def test_scripts_without_a_font_are_named_with_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("fc-list") is None:
        pytest.skip("without fontconfig nobody can say")
    nothing = tmp_path / "fonts.conf"
    nothing.write_text(f"<fontconfig><cachedir>{tmp_path}</cachedir></fontconfig>")
    monkeypatch.setenv("FONTCONFIG_FILE", str(nothing))
    assert fonts.find_missing("Sepetin “hazır”") == {}
    assert fonts.find_missing(f"{ARABIC} 🛒") == {
        "Arabic": "fonts-noto-core", "emoji": "fonts-noto-color-emoji",
    }  # fmt: skip
    with pytest.raises(Exception, match="apt install fonts-noto-core"):
        fonts.require([ARABIC])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_a_picture_of_the_whole_page_is_drawn_by_the_browser(shop: Path) -> None:
    preview(shop, "--png", "page.png", "--language", "ar", "--platform", "ios")
    with Image.open(shop / "page.png") as made:
        assert made.width == 2 * 470 and 500 < made.height < 1_600
        colours = made.convert("RGB").getcolors(1_000_000)
    assert colours and len(colours) > 500  # something is drawn


def draw(text: str, direction: str) -> Image.Image:
    """Draw one card of an iPhone without a browser."""
    message = Message(text, text, "https://shop.example/", "ar", direction)
    chosen = drawing.choose(["ios"])
    sheet = page.Sheet("ar", "", page.Look("x", "y"), drawing.draw(message, chosen))
    return Image.open(io.BytesIO(pictures.draw_png("t", [sheet]))).convert("L")


def count_ink(made: Image.Image, left: int, right: int) -> int:
    """Count the dark pixels of the first card's body between two columns."""
    return sum(made.crop((left, 196, right, 236)).histogram()[:90])


def test_without_a_browser_the_extra_draws(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {**os.environ, "PATH": str(shop)})
    made = draw("سلة.", "rtl")
    assert made.width == 468
    left, right = count_ink(made, 70, 230), count_ink(made, 240, 360)
    assert left < 5 < right  # the text begins at the right
    joined, apart = draw("ببب", "rtl"), draw("ب\u200cب\u200cب", "rtl")
    assert joined.tobytes() != apart.tobytes()  # letters are joined
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(InputError, match=r"pushctl\[png\]"):
        draw("x", "ltr")
