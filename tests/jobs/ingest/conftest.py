"""A browser that has subscribed."""

import pytest

from tests.support import DAY, NOON
from tests.support.posting import Browser, Project


@pytest.fixture
def ann(inbox_project: Project) -> Browser:
    browser = Browser(1, inbox_project.key)
    inbox_project.drain(browser.subscribe(at=NOON - DAY, language="tr", tags=["News"]))
    return browser
