"""What may be asked of a usage report."""

import pytest

from tollway.app.admin.queries.usage import GROUPS, usage_report
from tollway.app.ports_admin import UsageQuery
from tollway.domain.result import Err, Ok


class Reader:
    """Keeps what it was asked."""

    def usage(self, query):
        self.asked = query
        return []


def test_a_sound_question_reaches_the_reader():
    """With all it said."""
    reader = Reader()
    found = usage_report(reader, since_s=0, until_s=9, group_by=GROUPS, tenant_id="ten_1")
    assert found == Ok([])
    assert reader.asked == UsageQuery(0, 9, GROUPS, "ten_1")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"group_by": ("tenants",)}, "group_by"),
        ({"group_by": ("tenant", "tenant")}, "group_by"),
        ({"until_s": 0}, "until"),
    ],
)
def test_an_unsound_question_is_refused(fields, field):
    """Before anything is read."""
    result = usage_report(Reader(), **{"since_s": 0, "until_s": 9, **fields})
    assert isinstance(result, Err)
    assert result.error.field == field
