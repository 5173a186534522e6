"""Dates as HTTP headers have them: the three forms of RFC 9110, section 5.6.7, all in UTC. Read
strictly: what is none of them is no date.
"""

import re
from datetime import UTC, datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_FORMS = tuple(
    re.compile(form, re.ASCII)
    for form in (
        rf"[A-Z][a-z]{{2}}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"[A-Z][a-z]{{5,8}}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",
        rf"[A-Z][a-z]{{2}} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
    )
)
_MOST = 40  # characters: the longest day's name and then some


def read_http_date(text: str, now_s: float) -> float | None:
    """Seconds since the epoch, or None. A year of two digits is the one within 50 years of
    `now_s`, as the RFC has it."""
    if len(text) > _MOST:
        return None
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if found is None:
        return None
    year, second = int(found["year"]), min(int(found["s"]), 59)  # 60 is a leap second
    if len(found["year"]) == 2:
        this = datetime.fromtimestamp(now_s, UTC).year
        year += this - this % 100
        year -= 100 if year > this + 50 else 0
    month = 1 + _MONTHS.index(found["month"])
    try:
        at = datetime(
            year, month, int(found["day"]), int(found["h"]), int(found["m"]), second, tzinfo=UTC
        )
    except ValueError:  # the 31st of February, 25 o'clock, the year 0
        return None
    return at.timestamp()
