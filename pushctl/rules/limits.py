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
MAX_BODY_BYTES = 8 * KIB  # no route takes more
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

# --- push services -------------------------------------------------------------------------
MAX_ENDPOINT_CHARACTERS = 2_048
MAX_HOST_CHARACTERS = 253  # in DNS (RFC 1035, section 2.3.4, without the root's dot)
# A push service must take 4096 bytes; the header (86), the padding's delimiter (1) and
# the tag (16) leave this much (RFC 8291, section 4).
MAX_PAYLOAD_BYTES = 3_993
MAX_ANDROID_PAYLOAD_BYTES = 2_640  # Firefox's bridge to Android takes less (autopush's docs)
MAX_TTL_SECONDS = 28 * DAY // SECOND  # of a message; FCM keeps none longer
MAX_ANSWER_BYTES = 4_096  # read of an answer's body, which names the reason

# --- messages, baskets and audiences -------------------------------------------------------
MAX_VALUE_CHARACTERS = 1_000  # of one value in a message
MAX_VALUE_ENTRIES = 100  # of one list or table in a message
MAX_VALUE_LEVELS = 5  # of a list or table in a message
MAX_TEMPLATE_FILE_BYTES = 65_536
MAX_TEMPLATE_FILES = 500  # of one template
MAX_ORDER_NUMBER_CHARACTERS = 100
MAX_DAILY_PAGE_ORDERS = 100  # of one subscriber: they are kept for ever
MAX_CART_ITEMS = 20  # a message names a few; no page makes rows of megabytes
MAX_CART_TEXT_CHARACTERS = 500  # a name, an id, an address of an item
MAX_FEED_BYTES = 2_000_000
MAX_FEED_ITEMS = 200  # the first ones of a feed
# Reading 50,000 tags takes a second; a long article has some hundred. Namespaces cost more.
MAX_FEED_TAGS = 50_000  # of a feed's items together
MAX_FEED_ITEM_TAGS = 5_000
MAX_FEED_NAMESPACE_NAMES = 1_000
MAX_FEED_ATTRIBUTE_NAMES = 200  # of one tag
MAX_MARKUP_CHARACTERS = 200_000  # read of one text: a picture may stand in front as data
MAX_AUDIENCE_CHARACTERS = 20_000  # of an expression
MAX_AUDIENCE_LEVELS = 32  # of parentheses and "not", as it is written
MAX_EXPANDED_LEVELS = 64  # the same, after segments were put in
MAX_EXPANDED_CONDITIONS = 500  # after segments were put in
MAX_QUOTED_CHARACTERS = 500  # of one quoted text
MAX_AUDIENCE_TIMES = 1_000_000  # how often somebody did something
