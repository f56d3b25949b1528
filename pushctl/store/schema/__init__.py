"""
The schema as migrations, applied with sqlite-utils; never edited after a release.

A new one gets a file here, a line below and its name in ``store.KNOWN_MIGRATIONS``:
they enter themselves in the order in which they are imported.

State stands in rows that change, what happened in rows that do not; no stored
counters. Endpoints are unique by the first 16 bytes of their SHA-256: indexing the
text costs 60 % more file and twice the import (docs/performance.md), and a page can
compute it with what every browser has.
"""

from pushctl.store.schema import first as first
from pushctl.store.schema import m007_numbers as m007_numbers
from pushctl.store.schema import m008_content as m008_content
from pushctl.store.schema import m010_event_names as m010_event_names
from pushctl.store.schema import m011_shares as m011_shares
from pushctl.store.schema import m013_outages as m013_outages
from pushctl.store.schema import m014_folding as m014_folding
from pushctl.store.schema import m015_failed_invitations as m015_failed_invitations
from pushctl.store.schema import m016_money as m016_money
from pushctl.store.schema import m017_earlier_texts as m017_earlier_texts
from pushctl.store.schema.migrations import migrations as migrations
