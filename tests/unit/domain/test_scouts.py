"""Who finds out whether anything behind a model answers again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tollway.domain.scouts import Scouts

MODELS, TENANTS = ("mdl_a", "mdl_b"), [f"ten_{number}" for number in range(12)]


@given(st.lists(st.tuples(st.sampled_from(MODELS), st.sampled_from(TENANTS)), max_size=80))
@settings(max_examples=200, deadline=None)
def test_one_of_each_tenant_and_a_few_of_a_model(asked):
    """Whoever asks twice comes back in between. Nothing is left when all are back."""
    scouts, gone = Scouts(), set()
    for model, tenant in asked:
        of_model = [one for one in gone if one[0] == model]
        may = scouts.may_go(model, tenant)
        assert may == ((model, tenant) not in gone and len(of_model) < 8)
        if may:
            scouts.go(model, tenant)
            gone.add((model, tenant))
        elif (model, tenant) in gone:
            scouts.come_back(model, tenant)
            gone.discard((model, tenant))
        assert len(scouts) == len(gone)
    for one in gone:
        scouts.come_back(*one)
    assert len(scouts) == 0
