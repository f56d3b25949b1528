"""Comparing pictures: what a release of a browser may draw otherwise, and what not."""

from itertools import product
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from tests.support import looks

KINDS = ("card", "bar", "bell", "inline", "preferences")
NAMES = [
    "-".join(words)
    for words in product(
        ("firefox", "chromium"), KINDS, ("en", "ar"), ("light", "dark"), ("desktop", "phone")
    )
]
CARD = "firefox-card-en-light-desktop"


class Screen:
    """A browser that shows one picture."""

    def __init__(self, shown: Image.Image) -> None:
        self.shown = shown

    def screenshot(self, file: Path) -> None:
        self.shown.save(file)


def kept(name: str = CARD) -> Image.Image:
    return Image.open(looks.KEPT / f"{name}.png").convert("RGB")


def moved(picture: Image.Image, pixels: int) -> Image.Image:
    return ImageChops.offset(picture, pixels, 0)


def painted(box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> Image.Image:
    picture = kept()
    ImageDraw.Draw(picture).rectangle(box, fill=colour)
    return picture


def test_one_picture_of_everything_is_kept_and_all_are_small() -> None:
    files = {file.stem: file.stat().st_size for file in looks.KEPT.iterdir()}
    assert sorted(files) == sorted(NAMES)
    assert sum(files.values()) < 1_000_000


@pytest.mark.parametrize("name", NAMES[:: len(NAMES) // 10])
def test_another_smoothing_of_the_same_is_no_difference(name: str) -> None:
    picture = kept(name)
    noise = Image.effect_noise(picture.size, 12).convert("RGB")
    for other in (
        picture,
        moved(picture, 1),
        picture.filter(ImageFilter.GaussianBlur(0.7)),
        picture.filter(ImageFilter.SHARPEN),
        ImageChops.add(picture, noise, offset=-128),
    ):
        assert not looks.difference(picture, other)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_kept_that_would_not_notice_a_move(name: str) -> None:
    assert looks.difference(kept(name), moved(kept(name), 6))


@pytest.mark.parametrize("name", NAMES[:: len(NAMES) // 5])
def test_a_part_of_a_picture_tells_what_all_of_it_does(name: str) -> None:
    picture = kept(name)
    edges = picture.copy()
    ImageDraw.Draw(edges).rectangle((0, 0, 9, 9), fill=(200, 0, 0))
    ImageDraw.Draw(edges).rectangle((371, 609, *picture.size), fill=(0, 0, 200))
    for other in (
        moved(picture, 1),
        moved(picture, 2),
        moved(picture, 6),
        picture.filter(ImageFilter.GaussianBlur(2)),
        edges,
        picture.quantize(16).convert("RGB"),
    ):
        assert looks.difference(picture, other) == looks.compare(picture, other)


def test_what_changed_is_seen() -> None:
    width, height = kept().size
    ground = kept().getpixel((5, 5))
    assert isinstance(ground, tuple)
    other = (ground[0] - 25, ground[1], ground[2])
    changes = {
        "a button's colour": painted((20, 20, 120, 60), other),
        "a dot": painted((300, 300, 312, 312), (0, 0, 0)),
        "a line": painted((100, 100, 200, 104), (90, 90, 90)),
        "another size": kept().crop((0, 0, width, height - 1)),
    }
    assert [name for name, one in changes.items() if not looks.difference(kept(), one)] == []


def test_what_differs_is_left_to_look_at(tmp_path: Path) -> None:
    screen = Screen(moved(kept(), 9))

    told = looks.check(screen, CARD, tmp_path / "left")

    assert told is not None and told.startswith(f"{CARD}: Difference(fine=")
    new = Image.open(tmp_path / "left" / f"{CARD}.png")
    assert new.tobytes() == screen.shown.tobytes()
    told_apart = Image.open(tmp_path / "left" / f"{CARD}.difference.png")
    assert told_apart.getextrema()[0] < 60 < told_apart.getextrema()[1]  # type: ignore[operator]


def test_the_same_leaves_nothing(tmp_path: Path) -> None:
    assert looks.check(Screen(kept()), CARD, tmp_path / "left") is None
    assert not (tmp_path / "left").exists()


def test_a_picture_that_is_not_kept_is_a_difference(tmp_path: Path) -> None:
    told = looks.check(Screen(kept()), "firefox-poster", tmp_path)

    assert told is not None and "no such picture is kept" in told
    assert (tmp_path / "firefox-poster.png").exists()


def test_renewing_keeps_what_looks_otherwise_and_leaves_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = kept()
    monkeypatch.setattr(looks, "KEPT", tmp_path)
    monkeypatch.setenv("PUSHCTL_LOOKS", "renew")
    file = tmp_path / "a.png"

    looks.check(Screen(card), "a")
    first = file.read_bytes()
    looks.check(Screen(card.filter(ImageFilter.GaussianBlur(0.7))), "a")
    assert file.read_bytes() == first
    looks.check(Screen(moved(card, 9)), "a")
    assert not looks.difference(Image.open(file).convert("RGB"), moved(card, 9))
