"""Counts of tokens in a provider's JSON, before they have a class: what is one, and how totals are
parted. Which field is which class is `usage*.py`.
"""

# Tokens of one answer: a hundred times what any model reads or writes, and so few that no sum or
# cost of them is one that the ledger sets aside (`domain/entry.py`) or a counter cannot hold.
_MOST = 10**9


def count_of(value: dict[str, object], name: str) -> int | None:
    """The count under this name; None where there is none that can be true."""
    count = value.get(name)
    return count if type(count) is int and 0 <= count <= _MOST else None


def details_of(value: dict[str, object], name: str) -> dict[str, object]:
    """The object under this name, empty where there is none."""
    details = value.get(name)
    return details if isinstance(details, dict) else {}


def disjoint(total: int | None, *parts: int | None) -> tuple[int | None, list[int | None]]:
    """The total without its parts. A part that does not fit into what is left is ignored."""
    kept: list[int | None] = []
    for part in parts:
        fits = part is not None and total is not None and part <= total
        kept.append(part if fits else None)
        if fits and part is not None and total is not None:
            total -= part
    return total, kept


def sum_of(first: int | None, second: int | None) -> int | None:
    """The sum of what is known of both."""
    return (first or 0) + (second or 0) if first is not None or second is not None else None
