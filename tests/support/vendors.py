"""Requests in other services' forms, of values that may be anything."""

from hypothesis import strategies as st

from pushctl.rules.vendors import gravitec, onesignal, onesignal_targets

PAYLOAD = {"message": "Your order is on its way."}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)  # fmt: skip

PUSHES = JSON | st.fixed_dictionaries(
    {"payload": st.just(PAYLOAD) | st.dictionaries(st.sampled_from(gravitec.PAYLOAD), JSON)},
    optional={name: JSON for name in gravitec.PUSH if name != "payload"},
)

_FILTERS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "field": st.sampled_from([*onesignal_targets.FILTERS]) | JSON,
            "relation": st.sampled_from(["=", "!=", ">", "<", "exists", "in_array"]) | JSON,
            "operator": st.sampled_from(["AND", "OR"]) | JSON,
            "key": JSON, "value": JSON, "hours_ago": JSON,
        },
    ),
    max_size=4,
)  # fmt: skip
_FIELDS = {name: JSON for name in onesignal.FIELDS if name not in ("contents", "app_id")}
NOTIFICATIONS = JSON | st.fixed_dictionaries(
    {"app_id": st.just("shop") | JSON, "contents": st.just({"en": "Hello"}) | JSON},
    optional={
        **_FIELDS, "filters": _FILTERS, "included_segments": st.just(["VIP", "All"]) | JSON,
    },
)  # fmt: skip
