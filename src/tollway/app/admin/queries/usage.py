"""Who used how much: checks what was asked, then reads the roll-ups."""

from collections.abc import Sequence

from tollway.app.admin.outcome import Rejected
from tollway.app.ports_admin import UsageQuery, UsageReader, UsageRow
from tollway.domain.result import Err, Ok, Result

GROUPS = (
    "tenant",
    "project",
    "account",
    "key",
    "model",
    "provider",
    "endpoint",
    "payer",
    "end_user",
    "day",
)


def usage_report(
    reader: UsageReader,
    *,
    since_s: int,
    until_s: int,
    group_by: Sequence[str] = ("tenant",),
    tenant_id: str | None = None,
) -> Result[list[UsageRow], Rejected]:
    """Usage of a time span, UTC seconds, `until_s` excluded. Bounds are widened to whole quarters
    of an hour; to whole UTC days when grouped by `end_user` or `day`.
    """
    unknown = [name for name in group_by if name not in GROUPS]
    if unknown:
        return Err(Rejected("group_by", f"{unknown[0]!r} is no group: {', '.join(GROUPS)}."))
    if len(set(group_by)) < len(group_by):
        return Err(Rejected("group_by", "A group is named twice."))
    if until_s <= since_s:
        return Err(Rejected("until", "The end of the time span must come after its beginning."))
    return Ok(reader.usage(UsageQuery(since_s, until_s, tuple(group_by), tenant_id)))
