"""What may be asked of a usage report."""

from dataclasses import replace

import pytest

from tests.fakes.acting import acting, done, refused
from tests.fakes.people import ANN, BOB, BOOTSTRAP, EVE, READER, ROBOT, VIC
from tollway.app.admin.commands.tenants import delete_tenant
from tollway.app.admin.queries.usage import GROUPS, Reach, usage_reach, usage_report
from tollway.app.ports_admin import UsageQuery
from tollway.domain.account import Role
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


def test_usage_is_read_by_whom_it_concerns(work):
    """All by the platform, a tenant's by who looks after it, a user's by themselves; a machine of a
    user's role has used nothing."""

    def reach(who, tenant_id=None):
        return usage_reach(acting(work, who), tenant_id)

    for who in (BOOTSTRAP, READER):
        assert done(reach(who)) == Reach(None, None)
        assert done(reach(who, "ten_b")) == Reach("ten_b", None)
    for who in (ANN, VIC, ROBOT):
        assert done(reach(who)) == done(reach(who, "ten_a")) == Reach("ten_a", None)
    assert done(reach(BOB)) == done(reach(BOB, "ten_a")) == Reach("ten_a", "acc_bob")
    assert refused(reach(replace(ROBOT, roles={"ten_a": Role.USER})))[0] == "forbidden"
    both = replace(ANN, roles={**ANN.roles, **EVE.roles})
    for who in (both, replace(BOB, roles={})):
        assert refused(reach(who)) == ("invalid", "tenant_id")
    assert done(reach(both, "ten_b")) == Reach("ten_b", None)
    assert refused(reach(ANN, "ten_b"))[0] == "not_found"
    done(delete_tenant(work, "ten_a"))
    assert refused(reach(ANN))[0] == refused(reach(BOOTSTRAP, "ten_a"))[0] == "not_found"
