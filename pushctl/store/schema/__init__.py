"""
The schema as migrations, applied with sqlite-utils; never edited after a release.

A new one gets a file here, a line below and its name in ``store.KNOWN_MIGRATIONS``:
they enter themselves in the order in which they are imported.

A CHECK compares permitted words one by one: ``a = 'x' OR a = 'y'`` (m055 says why).

State stands in rows that change, what happened in rows that do not; no stored
counters (but what m038 keeps, which any change deletes). Endpoints are unique by the
first 16 bytes of their SHA-256: indexing the text costs 60 % more file and twice the
import (docs/performance.md), and a page can compute it with what every browser has.
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
from pushctl.store.schema import m018_matching as m018_matching
from pushctl.store.schema import m019_requests as m019_requests
from pushctl.store.schema import m020_messages as m020_messages
from pushctl.store.schema import m021_tracking as m021_tracking
from pushctl.store.schema import m022_outbox as m022_outbox
from pushctl.store.schema import m023_adopted as m023_adopted
from pushctl.store.schema import m026_open_campaigns as m026_open_campaigns
from pushctl.store.schema import m027_experiments as m027_experiments
from pushctl.store.schema import m028_promo_codes as m028_promo_codes
from pushctl.store.schema import m029_manners as m029_manners
from pushctl.store.schema import m030_steps as m030_steps
from pushctl.store.schema import m031_approvals as m031_approvals
from pushctl.store.schema import m032_bought as m032_bought
from pushctl.store.schema import m033_tests as m033_tests
from pushctl.store.schema import m035_shelves as m035_shelves
from pushctl.store.schema import m036_accepted as m036_accepted
from pushctl.store.schema import m037_applied as m037_applied
from pushctl.store.schema import m038_times as m038_times
from pushctl.store.schema import m039_attributions as m039_attributions
from pushctl.store.schema import m040_kept_arms as m040_kept_arms
from pushctl.store.schema import m041_sequences as m041_sequences
from pushctl.store.schema import m042_forecasts as m042_forecasts
from pushctl.store.schema import m043_alerts as m043_alerts
from pushctl.store.schema import m044_optin as m044_optin
from pushctl.store.schema import m045_segment_sizes as m045_segment_sizes
from pushctl.store.schema import m047_kept_pages as m047_kept_pages
from pushctl.store.schema import m048_kept_people as m048_kept_people
from pushctl.store.schema import m049_drawn_hours as m049_drawn_hours
from pushctl.store.schema import m051_runs as m051_runs
from pushctl.store.schema import m053_leases as m053_leases
from pushctl.store.schema import m054_kept_columns as m054_kept_columns
from pushctl.store.schema import m055_checks as m055_checks
from pushctl.store.schema import m057_kept_attributes as m057_kept_attributes
from pushctl.store.schema.migrations import migrations as migrations
