"""A provider's usage export, read from the bytes of a CSV file: which export it is says its header.
Two providers' dashboards have two exports each (usage, cost); for all else there is one plain form,
described in docs/accounting.md.
"""

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tollway.domain.invoice import EVERY_MODEL, Charge, Figures
from tollway.domain.invoice_cells import Cells, InvoiceError

MAX_LINES = 1_000_000
_HOUR_S, _DAY_S = 3600, 86_400
_TIMES = ("at", "time", "timestamp", "hour", "date", "day")
_COUNTED = ("requests", "input_tokens", "output_tokens", "cost_usd")


class Line(NamedTuple):
    """One line, its provider as the file names it ("" where it does not), and how long the time is
    that it is the sum of; 0 for a moment."""

    charge: Charge
    span_s: int


class Form(NamedTuple):
    """One kind of export: the columns that tell it, the kind of provider it is of, how to read a
    line; None when a line charges nothing."""

    name: str
    columns: frozenset[str]
    provider_kind: str | None
    read: Callable[[Cells], Line | None]


def read_invoice(raw_lines: Iterable[bytes], *, most: int = MAX_LINES) -> tuple[Form, list[Line]]:
    """Every line that charges something. Raises InvoiceError."""
    rows = csv.reader(_decoded(raw_lines), strict=True)
    try:
        header = next(rows, [])
        form, columns = _form(header, rows.line_num)
        lines: list[Line] = []
        seen: dict[object, int] = {}
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(seen) >= most:
                raise InvoiceError(
                    rows.line_num,
                    f"more than {most} lines: compare the file in parts, a day in each.",
                )
            _check_row(row, columns, rows.line_num)
            read = form.read(Cells(rows.line_num, dict(zip(columns, row, strict=True))))
            _check_new(seen, row, read, rows.line_num)
            if read is not None:
                lines.append(read)
    except csv.Error as error:
        raise InvoiceError(
            rows.line_num, f'is no CSV ({error}): separate by commas, quote as in "a, b".'
        ) from error
    return form, lines


def _decoded(raw_lines: Iterable[bytes]) -> Iterator[str]:
    for number, raw in enumerate(raw_lines, 1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InvoiceError(
                number, f"is not UTF-8 ({error.reason}): save the file as CSV in UTF-8."
            ) from error
        if "\0" in text:
            raise InvoiceError(number, "has a NUL: is this a CSV file, in UTF-8?")
        yield text


def _form(header: list[str], line: int) -> tuple[Form, list[str]]:
    columns = [name.strip().lower() for name in header]
    if not any(columns):
        raise InvoiceError(0, "The file is empty: its first line names the columns.")
    twice = next((name for name in columns if name and columns.count(name) > 1), None)
    if twice is not None:
        raise InvoiceError(line, f"names the column '{twice}' twice: leave one out.")
    for form in FORMS:
        if form.columns <= set(columns):
            return form, columns
    has_time = any(name in columns for name in _TIMES)
    if has_time and any(name in columns for name in _COUNTED):
        return _PLAIN, columns
    lacking = "any of " + ", ".join(_COUNTED if has_time else _TIMES)
    raise InvoiceError(
        line,
        f"there is no column {lacking} (found: {', '.join(columns)[:200]}). "
        "See docs/accounting.md for the exports that can be read.",
    )


def _check_row(row: list[str], columns: list[str], line: int) -> None:
    if len(row) != len(columns):
        raise InvoiceError(
            line,
            f"has {len(row)} columns where the first line names {len(columns)}: "
            "a comma inside a cell needs quotes around the cell.",
        )


def _check_new(seen: dict[object, int], row: list[str], read: Line | None, line: int) -> None:
    key: object = tuple(row)
    charge = None if read is None else read.charge
    if charge is not None and charge.request_id is not None:
        key = (charge.provider, charge.request_id, charge.attempt)
    before = seen.setdefault(key, line)
    if before != line:
        raise InvoiceError(
            line,
            f"is the line {before} again: one of them has to go, or the file was joined twice.",
        )


def _plain(cells: Cells) -> Line:
    at_s, whole_day = cells.moment(*_TIMES)
    figures = (
        cells.count("requests"),
        cells.count("input_tokens"),
        cells.count("cached_input_tokens"),
        cells.count("cache_write_tokens"),
        cells.count("output_tokens"),
        cells.usd("cost_usd"),
    )
    charge = Charge(
        at_s,
        cells.text("provider"),
        cells.text("model") or EVERY_MODEL,
        figures,
        cells.text("request_id") or None,
        cells.count("attempt"),
        cells.line,
    )
    return Line(charge, _DAY_S if whole_day else _HOUR_S if cells.text("hour") else 0)


def _openai_usage(cells: Cells) -> Line | None:
    """Input with cached input in it; a bucket in which nothing was used is empty."""
    requests, given = cells.count("num_model_requests"), cells.count("input_tokens")
    cached, output = cells.count("input_cached_tokens"), cells.count("output_tokens")
    if not any((requests, given, output)):
        return None
    if (cached or 0) > (given or 0):
        cells.refuse("input_cached_tokens", str(cached), "is more than input_tokens")
    fresh = (given or 0) - (cached or 0)
    return _bucket(
        cells, "start_time", cells.text("model"), (requests, fresh, cached, None, output, None)
    )


def _openai_cost(cells: Cells) -> Line | None:
    """Each line item is of a model and a kind of tokens: `gpt-5-nano, input`."""
    cost = cells.usd("amount_value")
    if cost is None:
        return None
    _in_dollars(cells, "amount_currency")
    model = cells.text("line_item").partition(",")[0]
    return _bucket(cells, "start_time", model, (None, None, None, None, None, cost))


def _anthropic_usage(cells: Cells) -> Line:
    written = [
        cells.count(name)
        for name in (
            "usage_input_tokens_cache_write",
            "usage_input_tokens_cache_write_5m",
            "usage_input_tokens_cache_write_1h",
        )
    ]
    figures = (
        None,
        cells.count("usage_input_tokens_no_cache"),
        cells.count("usage_input_tokens_cache_read"),
        sum(count or 0 for count in written),
        cells.count("usage_output_tokens"),
        None,
    )
    return _bucket(cells, "usage_date_utc", cells.text("model_version"), figures)


def _anthropic_cost(cells: Cells) -> Line:
    model = cells.text("model", "cost_type")  # what is no model's (searches) is named by its type
    figures = (None, None, None, None, None, cells.usd("cost_usd"))
    return _bucket(cells, "usage_date_utc", model, figures)


def _bucket(cells: Cells, column: str, model: str, figures: Figures) -> Line:
    at_s, whole_day = cells.moment(column)
    end = cells.moment("end_time")[0] if cells.text("end_time") else at_s
    charge = Charge(at_s, "", model or EVERY_MODEL, figures, line=cells.line)
    return Line(charge, _DAY_S if whole_day else end - at_s)


def _in_dollars(cells: Cells, column: str) -> None:
    currency = cells.text(column)
    if currency.lower() not in ("", "usd"):
        cells.refuse(column, currency, "is not US dollars: the ledger has no other money")


_PLAIN = Form("plain", frozenset(), None, _plain)
FORMS = (
    Form(
        "OpenAI usage",
        frozenset({"start_time", "num_model_requests", "input_tokens", "output_tokens"}),
        "openai",
        _openai_usage,
    ),
    Form(
        "OpenAI cost",
        frozenset({"start_time", "amount_value", "amount_currency"}),
        "openai",
        _openai_cost,
    ),
    Form(
        "Anthropic usage",
        frozenset({"usage_date_utc", "usage_input_tokens_no_cache", "usage_output_tokens"}),
        "anthropic",
        _anthropic_usage,
    ),
    Form(
        "Anthropic cost",
        frozenset({"usage_date_utc", "model", "cost_usd"}),
        "anthropic",
        _anthropic_cost,
    ),
)
