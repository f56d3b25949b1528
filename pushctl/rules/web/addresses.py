"""Which network addresses are the public internet's, and lead nowhere inside."""

import ipaddress

# What ``is_global`` lets pass, in some Python or other, and leads elsewhere: addresses
# that carry an IPv4 address inside (mapped, compatible, NAT64, 6to4, Teredo), and
# blocks that are reserved.
_REFUSED = tuple(
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8",
        "100.64.0.0/10",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "224.0.0.0/3",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_UNICAST_V6 = ipaddress.ip_network("2000::/3")


def is_public(address: str) -> bool:
    """Say whether *address* (numeric, IPv4 or IPv6) is one of the public internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed not in _UNICAST_V6:
        return False
    return parsed.is_global and not any(parsed in block for block in _REFUSED)
