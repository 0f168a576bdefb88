"""Random patterns, right and slightly wrong, and documents that often nearly match them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

NAMES = ("a", "b", "c", "a.b", "orders", "state", "id", "é", "")
TEXTS = (
    "", "a", "b", "ab", "aB", "Ab", "abab", "support-1", "support-es", "SUPPORT-ES", "é", "É", "straße", "STRASSE",
    "\u017f", "s", "K", "k", "10.0.0.1", "10.0.0.2", "010.0.0.1", "10.0.0.256", "2001:db8::1", "2001:DB8:0::1", "::",
    "::ffff:a00:1", "12:30", "a*b", "a\\b", "300", "true", "null", "+1555", "\U0001d11e",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 300, 3.0e2, 0.5, -0.0, 1.5, 1e-7, 2**53, 2**53 + 1, 2**63, 1e300, 10**400, 12345678)

names = st.sampled_from(NAMES)
texts = st.sampled_from(TEXTS) | st.text("ab*\\éß", max_size=5)
numbers = st.sampled_from(NUMBERS) | st.integers(-5, 5)
leaves = texts | numbers | st.booleans() | st.none()


def one_key(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return values.map(lambda value: {name: value})


cased = one_key("equals-ignore-case", texts)
ranges = st.one_of(
    st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), numbers).map(list),
    st.tuples(st.sampled_from([">", ">="]), numbers, st.sampled_from(["<", "<="]), numbers).map(list),
    st.lists(st.sampled_from(["=", ">", "<"]) | leaves, max_size=5),
)
networks = st.sampled_from(
    ["10.0.0.0/8", "10.0.0.0/30", "10.0.0.1/32", "10.0.0.0/33", "2001:db8::/32", "::/0", "0.0.0.0/0", "::/129",
     "10.0.0.0/24/", "10.0.0/8", "/8", "10.0.0.0/+8", "10.0.0.0", "::ffff:a00:0/24", "x/8"]
)  # fmt: skip
few_texts = st.lists(texts, max_size=3)
but = st.one_of(
    leaves,
    few_texts,
    st.lists(numbers, max_size=3),
    st.lists(leaves, max_size=2),
    *(one_key(name, texts | few_texts | leaves) for name in ("prefix", "suffix", "wildcard", "equals-ignore-case")),
    one_key("cidr", networks),
)
match_types = st.one_of(
    one_key("prefix", texts | cased | leaves),
    one_key("suffix", texts | cased | leaves),
    cased,
    one_key("exactly", texts | leaves),
    one_key("wildcard", texts | st.text("ab*", max_size=5)),
    one_key("exists", st.booleans() | leaves),
    one_key("numeric", ranges),
    one_key("cidr", networks),
    one_key("anything-but", but),
    st.just({}),
    st.just({"prefix": "a", "suffix": "b"}),
    one_key("regex", texts),
)
value_lists = st.lists(leaves | match_types, max_size=3)
good_lists = st.lists(
    st.one_of(
        leaves,
        one_key("prefix", texts),
        one_key("suffix", cased),
        one_key("exists", st.booleans()),
        one_key("numeric", st.tuples(st.sampled_from(["=", "<", ">="]), st.integers(-3, 3)).map(list)),
        one_key("anything-but", st.sampled_from(TEXTS)),
        one_key("wildcard", st.sampled_from(["a*", "*b", "*p*-*", "*"])),
    ),
    min_size=1,
    max_size=3,
)


def patterns(lists: st.SearchStrategy[list[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return patterns whose fields have such lists of values."""

    def extend(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        fields = st.dictionaries(names, lists | inner, min_size=1, max_size=3)
        branches = one_key("$or", st.lists(fields, min_size=2, max_size=3))
        odd = one_key("$or", st.lists(leaves | match_types, max_size=2) | fields)
        return st.one_of(fields, branches, st.builds(lambda a, b: {**a, **b}, fields, branches), odd)

    return st.recursive(st.dictionaries(names, lists, min_size=1, max_size=3), extend, max_leaves=6)


documents = st.dictionaries(
    names,
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=14,
    ),
    max_size=4,
)
