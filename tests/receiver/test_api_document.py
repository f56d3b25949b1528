"""The OpenAPI document: valid by OpenAPI's own schema, with examples of its forms."""

import orjson
import pytest

from pushctl import apikeys
from pushctl.receiver.api import openapi
from pushctl.receiver.api.routes import ROUTES, Route

DOCUMENT = orjson.loads(openapi.render("https://push.shop.example"))


def test_the_document_is_one_of_openapi_3_1() -> None:
    # Loaded here: half a second that every process of the tests would take.
    from openapi_spec_validator import OpenAPIV31SpecValidator

    assert DOCUMENT["openapi"] == "3.1.0"
    OpenAPIV31SpecValidator(DOCUMENT).validate()


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_an_example_is_of_its_form(route: Route) -> None:
    route.form.check(route.example)


def test_every_scope_is_named() -> None:
    described = orjson.dumps(DOCUMENT["paths"]).decode()
    assert [scope for scope in apikeys.SCOPES if scope not in described] == []
