"""Fixtures that every test may use."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pushctl.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty database with one site called "shop"."""
    with Store(tmp_path / "pushctl.db", create=True) as opened:
        with opened.write() as connection:
            connection.execute(
                "INSERT INTO sites (name, origin) VALUES ('shop', 'https://shop.example')"
            )
        yield opened
