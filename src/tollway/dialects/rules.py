"""What one field may hold: a rule takes its name and bytes and gives the judged value or a refusal.

Only fields that Tollway acts on, that would redirect a request, or that multiply its cost have a
rule; every other field is the provider's business and passes. Strict types: `true` is not 1, `"10"`
is not 10. `null` counts as absent.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw

from tollway.dialects.spelling import misspelt
from tollway.domain.refusal import BadRequest

SCHEMES = ("http://", "https://", "data:")  # of addresses that a provider would open
Rule = Callable[[str, Raw], object]

_load_any = msgspec.json.Decoder().decode
_load_items = msgspec.json.Decoder(list[Raw]).decode
_load_members = msgspec.json.Decoder(dict[str, Raw]).decode


def forbidden(name: str, _: Raw) -> BadRequest:
    """A field that would choose the provider's address or credential."""
    return BadRequest(
        f"'{name}' may not be set in a request: the gateway chooses the provider.",
        "forbidden_parameter",
        name,
    )


def model_name(name: str, raw: Raw) -> str | BadRequest | None:
    """1 to 256 printable characters."""
    value = _load(raw)
    if value is None:
        return None
    if not isinstance(value, str):
        return _wrong_type(name, "a string")
    if not 0 < len(value) <= 256 or not value.isprintable():
        return _wrong_value(name, "1 to 256 printable characters")
    return value


def text(name: str, raw: Raw) -> str | BadRequest | None:
    """Any string."""
    value = _load(raw)
    return value if value is None or isinstance(value, str) else _wrong_type(name, "a string")


def flag(name: str, raw: Raw) -> bool | BadRequest | None:
    """true or false."""
    value = _load(raw)
    return value if value is None or isinstance(value, bool) else _wrong_type(name, "true or false")


def scheme_problem(name: str, address: str) -> BadRequest | None:
    """An address that may not be sent on: which hosts a provider may reach is not decided here."""
    if address.lstrip().lower().startswith(SCHEMES):
        return None
    return BadRequest("Only http, https and data URLs can be sent.", "unsupported_url_scheme", name)


def never_streamed(what: str) -> Rule:
    """`stream` where it may only say no."""

    def rule(name: str, raw: Raw) -> object:
        value = flag(name, raw)
        if value is True:
            return BadRequest(f"{what} cannot be streamed.", "invalid_value", name)
        return value

    return rule


def whole_number(low: int, high: int) -> Rule:
    """An integer from `low` to `high`, written as one."""

    def rule(name: str, raw: Raw) -> int | BadRequest | None:
        value = _load(raw)
        if value is None:
            return None
        if type(value) is not int:
            return _wrong_type(name, "a whole number")
        if not low <= value <= high:
            return _wrong_value(name, f"between {low} and {high}")
        return value

    return rule


def members(name: str, raw: Raw) -> dict[str, Raw] | BadRequest | None:
    """An object, its values unread."""
    if first_byte(raw) == b"n":
        return None
    return _load_members(raw) if first_byte(raw) == b"{" else _wrong_type(name, "an object")


def members_of(*judged: str) -> Rule:
    """Likewise, where these members are judged: no name may be one of them in another spelling."""
    names = frozenset(judged)

    def rule(name: str, raw: Raw) -> object:
        found = members(name, raw)
        return misspelt(name, found, names) or found if isinstance(found, dict) else found

    return rule


def array(name: str, raw: Raw) -> bool | BadRequest | None:
    """An array, its items unread."""
    first = first_byte(raw)
    if first == b"n":
        return None
    if first != b"[":
        return _wrong_type(name, "an array")
    return True


def strings(most: int) -> Rule:
    """A string or an array of at most `most` strings."""

    def rule(name: str, raw: Raw) -> bool | BadRequest | None:
        value = _load(raw)
        if value is None or isinstance(value, str):
            return value is not None or None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            return _wrong_type(name, "a string or an array of strings")
        return True if len(value) <= most else _too_long(name, most)

    return rule


def prompts(most: int) -> Rule:
    """A string, an array of token ids, or an array of at most `most` of either: how many they
    are."""

    def rule(name: str, raw: Raw) -> int | BadRequest | None:
        first = first_byte(raw)
        if first == b"n":
            return None
        if first == b'"':
            return 1
        if first != b"[":
            return _wrong_type(name, "a string or an array")
        items = _load_items(raw)
        if not items or first_byte(items[0]).isdigit():
            return 1
        return len(items) if len(items) <= most else _too_long(name, most)

    return rule


def _load(raw: Raw) -> object:
    try:
        return _load_any(raw)
    except msgspec.ValidationError:
        return float("inf")  # a number that no type holds: no rule takes a float


def first_byte(raw: Raw) -> bytes:
    """What tells the type of a JSON value."""
    return memoryview(raw)[:1].tobytes()


def _wrong_type(name: str, wanted: str) -> BadRequest:
    return BadRequest(f"'{name}' must be {wanted}.", "invalid_type", name)


def _wrong_value(name: str, wanted: str) -> BadRequest:
    return BadRequest(f"'{name}' must be {wanted}.", "invalid_value", name)


def _too_long(name: str, most: int) -> BadRequest:
    return BadRequest(f"'{name}' has more than {most} items.", "invalid_value", name)
