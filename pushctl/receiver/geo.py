"""Country and city of an address, from an MMDB file on this machine."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pushctl.errors import ConfigError

log = logging.getLogger("pushctl.receiver")

# Looks an address up: {"country": "TR", "city": "Izmir"}; unknown ones are left out.
Lookup = Callable[[str], Mapping[str, str]]


def open_lookup(file: Path) -> Lookup:
    """
    Return the look-up in *file* (GeoLite2, DB-IP, IPinfo: any MMDB).

    Raises ConfigError when it can't be read, or the extra isn't installed.
    """
    try:
        import maxminddb
    except ModuleNotFoundError as error:
        raise ConfigError(
            "receiver.geoip needs the package maxminddb: pip install 'pushctl[geo]'"
        ) from error
    try:
        reader = maxminddb.open_database(file)
    except (OSError, maxminddb.InvalidDatabaseError, ValueError) as error:
        raise ConfigError(
            f"{file} can't be read as an MMDB file. See receiver.geoip."
        ) from error

    def look_up(address: str) -> Mapping[str, str]:
        try:
            found: Any = reader.get(address)
        except (ValueError, OSError, maxminddb.InvalidDatabaseError):
            return {}
        return read_place(found)

    return look_up


def read_place(found: Any) -> dict[str, str]:
    """Return country and city of one entry, in any of the forms that files have."""
    if not isinstance(found, dict):
        return {}
    country = found.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else found.get("country_code")
    if code is None and isinstance(country, str) and len(country) == 2:
        code = country
    city = found.get("city")
    if isinstance(city, dict):
        names = city.get("names")
        city = names.get("en") if isinstance(names, dict) else None
    pairs = (("country", code), ("city", city))
    return {name: value for name, value in pairs if isinstance(value, str) and value}
