"""`/v1/models`: what a credential can name."""

from dataclasses import replace

from tests.fakes.pipeline import KEY, RECORD, TENANT, make_bench, snapshot
from tollway.app.gateway.listing import find_listed, list_models
from tollway.domain.ids import ModelId, TenantId
from tollway.domain.model import ModelRecord
from tollway.domain.refusal import Forbidden, ModelNotFound, Unauthenticated

HEADERS = [(b"authorization", b"Bearer " + KEY.encode())]


async def _names(config, headers=HEADERS):
    found = await list_models(make_bench(config=config).gateway, headers, "127.0.0.1")
    return [model.name for model in found] if isinstance(found, list) else found


def _with(*extra):
    return snapshot(models={**snapshot().models, **dict(extra)})


async def test_own_models_shadow_and_others_are_absent():
    """A tenant sees the platform's models and its own, never another tenant's or disabled ones."""
    platform = snapshot().models[(None, "m")]
    own = replace(platform, id=ModelId("mdl_own"), tenant_id=TENANT.id)
    other = replace(platform, id=ModelId("mdl_o"), name="o", tenant_id=TenantId("ten_b"))
    off = replace(platform, id=ModelId("mdl_off"), name="off", enabled=False)
    config = _with(((TENANT.id, "m"), own), ((TenantId("ten_b"), "o"), other), ((None, "off"), off))
    assert await _names(config) == ["m"]
    found = await find_listed(make_bench(config=config).gateway, HEADERS, "127.0.0.1", "m")
    assert isinstance(found, ModelRecord)
    assert found.id == "mdl_own"
    for name in ("o", "off", "none"):
        gateway = make_bench(config=config).gateway
        assert await find_listed(gateway, HEADERS, "127.0.0.1", name) == ModelNotFound(name)


async def test_no_key_no_list():
    """The same admission as for inference, on both routes."""
    gateway = make_bench().gateway
    assert isinstance(await list_models(gateway, [], "127.0.0.1"), Unauthenticated)
    assert isinstance(await find_listed(gateway, [], "127.0.0.1", "m"), Unauthenticated)


async def test_scopes_narrow_the_list():
    """A key for one model lists that one; a key for other endpoints lists nothing."""
    assert await _names(snapshot(keys={RECORD.id: replace(RECORD, models=())})) == []
    narrowed = snapshot(keys={RECORD.id: replace(RECORD, endpoints=("embeddings",))})
    assert isinstance(await _names(narrowed), Forbidden)
