"""
The bounds of what pushctl takes, keeps and sends. A name ends in its unit.

A figure without a source is our own. Numbers of one algorithm (a batch, a window, the
steps of a template) stand beside it, the bounds of a setting beside the setting.
"""

from pushctl.rules.units import DAY, KIB, MIB, SECOND

# --- what browsers and shops send ----------------------------------------------------------
MAX_LABEL_CHARACTERS = 255  # a tag, an attribute's name, an alias, a version of consent
MAX_ID_CHARACTERS = 64  # an event's name, and ids that a page makes up; a UUID has 36
MAX_TEXT_CHARACTERS = 1_024  # one text in attributes or properties; an address of a page
MAX_LEVEL_ENTRIES = 64  # of one object or list in attributes or properties
MAX_NUMBER = 2**53  # JavaScript and SQLite are exact up to here (IEEE 754, binary64)
# Two rules stand side by side: a file may bring two levels more than a browser. Later
# work decides for one of them.
MAX_RECEIVED_LEVELS = 4  # inside properties and attributes of a request
MAX_STORED_LEVELS = 6  # the same, wherever they come from
MAX_ATTRIBUTES_CHARACTERS = 16_384  # of JSON, all of a subscription's together
MAX_RECEIVED_TAGS = 32  # to add, and to remove, in one request
MAX_RECEIVED_EVENTS = 64  # in one request
MAX_STORED_ENTRIES = 100  # of either list, when the inbox is drained
# A script of a page must not fill the list of tags that the shop works with.
MAX_SUBSCRIPTION_TAGS = 200
MAX_TAG_NAMES = 10_000  # in all, from browsers
MIN_TAG_SECONDS, MAX_TAG_SECONDS = 60, 315_360_000  # a minute to ten years
MAX_PAUSE_SECONDS = 366 * DAY // SECOND  # a leap year
MAX_PROMPT_ROWS = 2_000  # for a site and day; anybody may report a stage of an invitation
MAX_ADDRESS_PROMPT_ROWS = 200  # of those, what one address may begin
MANY_BROWSERS = 100  # that share a signed alias: it is hardly one person's
MAX_TAG_RULES = 100  # of a site; its pages carry them all

# --- the receiver and its inbox ------------------------------------------------------------
MAX_BODY_BYTES = 8 * KIB  # of what pages send
MAX_API_BODY_BYTES = MIB  # of a request of the server API
MAX_API_ITEMS = 1_000  # of one request
MAX_MESSAGE_AHEAD_SECONDS = 30 * DAY // SECOND  # a message may be planned so long before
MAX_API_READING_BYTES = 64 * MIB  # that bodies being received may have together
MAX_WAITING_BYTES = 64 * MIB  # of records that wait for the disk
MAX_API_FAULTS = 20  # named in one refusal
MAX_VENDOR_NAMES = 2_000  # of one message in another service's form, as OneSignal allows
MAX_VENDOR_CONDITIONS = 200  # of one message in OneSignal's form
MAX_WRONG_API_KEYS = 20  # of one address in a minute
MAX_IDEMPOTENCY_KEY_CHARACTERS = 255
MAX_BATCH_BYTES = 4 * MIB  # of lines that an import applies in one transaction
MAX_HOOK_BYTES = MIB  # of one delivery of a source
MAX_HOOK_ENTRIES = 10_000  # fields of one form; an order of 300 lines has about 8,000
MAX_HOOKS_BYTES = 64 * MIB  # of all that are being received, strangers' too
MAX_SECRET_CHARACTERS = 1_024  # of a source
MAX_HINT_CHARACTERS = 256  # of one header that is kept
MAX_RECEIVED_USER_AGENT_CHARACTERS = 512  # kept of one; a browser's has about 120
MAX_USER_AGENT_CHARACTERS = 400  # read of one: the grammar is a thousand patterns
# A report names no subscription, so proved and unproved people can't be told apart. All
# phones of a mobile network may share one address: it may send so many times the bytes
# that unproved people of one address may.
REPORT_SHARES = 10
PROVED_BYTES = 8  # of an endpoint's hash, in the list that imports publish
MAX_INBOX_LINE_BYTES = 2 * MIB + 4 * KIB  # a body of 1 MiB, each quote escaped; and its head
# Strangers can send what only the import refuses: beyond it lines are counted, not kept.
MAX_QUARANTINE_BYTES = 64 * MIB
MAX_REJECTS_BYTES = 100_000_000  # of refused lines kept by one import; the rest is counted
MAX_SCRIPTS_BYTES = 7_168  # pushctl.js and pushctl-sw.js together, compressed as served

# --- room on the disk ----------------------------------------------------------------------
MIN_FREE_TO_RECEIVE_BYTES = 64 * MIB  # stays free for the import and the database
MIN_FREE_TO_SEND_BYTES = 64_000_000  # journals and write-ahead log of what is under way
MIN_FREE_TO_CHECK_BYTES = 500_000_000  # a campaign to a million people, its log included
MIN_FREE_AFTER_UPGRADE_BYTES = 64_000_000  # beside the copy that an upgrade makes first
MIN_FREE_TO_RESTORE_BYTES = 64_000_000  # beside what a backup holds, and beside its copy

# --- backups -------------------------------------------------------------------------------
MAX_BACKUP_FILES = 200_000  # in one; an inbox has a few, templates some hundred
MAX_BACKUP_NAME_CHARACTERS = 512  # of a file in it, folders included
MAX_MANIFEST_BYTES = 128 * MIB  # the list of its files, which is read as a whole
MAX_IDENTITY_BYTES = 64 * KIB  # a key file of age's, or a passphrase's
MIN_PASSPHRASE_CHARACTERS = 12
MAX_KEPT_FILES = 10_000  # backups that stay in a folder

# --- push services -------------------------------------------------------------------------
MAX_ENDPOINT_CHARACTERS = 2_048
MAX_HOST_CHARACTERS = 253  # in DNS (RFC 1035, section 2.3.4, without the root's dot)
# A push service must take 4096 bytes; the header (86), the padding's delimiter (1) and
# the tag (16) leave this much (RFC 8291, section 4).
MAX_PAYLOAD_BYTES = 3_993
MAX_ANDROID_PAYLOAD_BYTES = 2_640  # Firefox's bridge to Android takes less (autopush's docs)
MAX_TTL_SECONDS = 28 * DAY // SECOND  # of a message; FCM keeps none longer
RETIRED_KEY_DAYS = 90  # the private half of a retired VAPID key stays so long
# A thousand letters with the longest endpoints and payloads have a third of it.
MAX_CLUSTER_FRAME_BYTES = 16 * MIB  # of one frame between a coordinator and a worker
MAX_ANSWER_BYTES = 4_096  # read of an answer's body, which names the reason

# --- webhooks and other channels -------------------------------------------------------------
LINK_SECONDS = 10.0  # for one link of a template, redirects too
MAX_ALERT_RULES = 50  # each is looked at every five minutes
WEBHOOK_SECONDS = 10.0  # for one call as a whole
CALL_SECONDS = 10.0  # for a step's program, which is killed then
MAX_CALL_OUTPUT_BYTES = 4 * KIB  # kept of what it writes, as the reason
MAX_WEBHOOK_ANSWER_BYTES = 64 * KIB  # read of an answer; its status counts

CHECK_SECONDS = 10.0  # for one address that `check --live` looks at
MAX_CHECKED_PAGE_BYTES = MIB  # read of such an answer
MAX_QUOTED_ANSWER_CHARACTERS = 60  # of a stranger's header, in a finding

# --- messages, baskets and audiences -------------------------------------------------------
MAX_VALUE_CHARACTERS = 1_000  # of one value in a message
MAX_VALUE_ENTRIES = 100  # of one list or table in a message
MAX_VALUE_LEVELS = 5  # of a list or table in a message
MAX_PROPOSED_ENTRIES = 10  # products that one call of a template proposes
MAX_PROPOSAL_TIMES = 20  # calls of one message; a basket shows as many items
# The longest emoji (a kissing couple, a family with skin tones) has about ten.
MAX_CLUSTER_CHARACTERS = 32  # that are cut and counted as one
MAX_PARAMETER_CHARACTERS = 100  # of [sites.NAME.utm], in the file
MAX_DASHBOARD_CONNECTIONS = 32  # at once: it is one person's
MAX_UNTRUSTED_CHARACTERS = 200  # of a stranger's text, for an assistant
MAX_PREVIEW_BYTES = 2_000_000  # of a page with drawn notifications
MAX_REPORT_LETTER_BYTES = 100_000  # of a report as one e-mail, pictures included
MAX_PICTURE_BYTES = 300 * KIB  # of a site's own, within such a page
MAX_TEMPLATE_FILE_BYTES = 65_536
MAX_CAMPAIGN_FILE_BYTES = 65_536  # of campaigns/
MAX_TEMPLATE_FILES = 500  # of one template
MAX_ORDER_NUMBER_CHARACTERS = 100
MAX_CART_KEYS = 10  # of one subscription, the newest
MAX_ORDER_LINES = 500  # kept of one order
MAX_ORDER_CODES = 20  # promo codes of one order
MAX_PROMO_CODE_CHARACTERS = 64
MAX_POOL_NAME_CHARACTERS = 60
MAX_NEW_CODES = 1_000_000  # made at once
MAX_TOLD_PARTS = 1_000  # orders, baskets, products or erasures in one delivery of a shop
MAX_DAILY_PAGE_ORDERS = 100  # of one subscriber: they are kept for ever
MAX_RESTORE_URL_CHARACTERS = 1_000  # a value has no more; a message has room for it twice
MAX_CART_ITEMS = 20  # a message names a few; no page makes rows of megabytes
MAX_CART_TEXT_CHARACTERS = 500  # a name, an id, an address of an item
MAX_FEED_BYTES = 2_000_000
MAX_DIGEST_ITEMS = 10  # of one message; a screen shows three
MAX_FEED_ITEMS = 200  # the first ones of a feed
# Reading 50,000 tags takes a second; a long article has some hundred. Namespaces cost more.
MAX_FEED_TAGS = 50_000  # of a feed's items together
MAX_FEED_ITEM_TAGS = 5_000
MAX_FEED_NAMESPACE_NAMES = 1_000
MAX_FEED_ATTRIBUTE_NAMES = 200  # of one tag
MAX_MARKUP_CHARACTERS = 200_000  # read of one text: a picture may stand in front as data
MAX_APPROVAL_BYTES = 4_000_000  # of a request: a template in fifty languages has a tenth
MAX_TEST_ROWS = 20  # subscriptions that one test message goes to
MAX_AUDIENCE_CHARACTERS = 20_000  # of an expression
MAX_AUDIENCE_LEVELS = 32  # of parentheses and "not", as it is written
MAX_EXPANDED_LEVELS = 64  # the same, after segments were put in
MAX_EXPANDED_CONDITIONS = 500  # after segments were put in
MAX_QUOTED_CHARACTERS = 500  # of one quoted text
MAX_AUDIENCE_TIMES = 1_000_000  # how often somebody did something
MAX_GOAL_NAMES = 20  # each is counted over all events
MAX_ATTRIBUTION_ROWS = 50_000  # that wait for who asks; one by one they take long, too
MAX_RATE_LINES = 200_000  # lines of rates.csv: ten currencies of fifty years
MAX_SQL_SECONDS = 30  # of one statement of `pushctl sql`
MAX_SQL_ROWS = 100_000  # of its answer
MAX_SQL_RESULT_BYTES = 64 * MIB  # of its answer
MAX_SQL_CELL_BYTES = MIB  # of one text in it
MAX_SQL_HEAP_BYTES = 192 * MIB  # of SQLite, while it runs
MAX_SQL_TEMPORARY_BYTES = 2_048 * MIB  # of one file that it sorts in
MAX_SWEEP_ROWS = 5_000  # of the run history, with work to do; of a busy shop three days
MAX_RUN_ROWS = 1_000  # of the run history, of all other commands together
MAX_RUN_FAULTS = 20  # texts that are kept of one run
