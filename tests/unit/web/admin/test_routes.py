"""Every route of both planes has its row: an action of the policy, a stable name; and what each
role is answered is computed from the policy, not written by hand.
"""

import ast
import asyncio
import inspect
from pathlib import Path

import pytest

from tests.fakes.pipeline import FakeClient, make_bench
from tests.fakes.world import build
from tests.isolation.document import application, operations
from tests.isolation.walk import ask
from tollway.dialects.registry import ENDPOINTS
from tollway.dialects.uploads import form_like
from tollway.domain.policy import POLICY, Action, Standing, Verdict, decide
from tollway.web.admin.callers import PUBLIC
from tollway.web.gateway import handler
from tollway.web.gateway.request import Request

GOLDEN = Path(__file__).with_name("operations.txt")
OPEN_TO_ALL = {"listSignInMethods", "signIn", "beginOidcSignIn", "finishOidcSignIn"}
UNDOCUMENTED = {  # pages, the same for everybody
    "/api/v1/openapi.json",
    "/api/docs",
    "/api/docs/start.js",
    "/api/docs/{name}",
}
UNROUTED = {
    Action.USAGE_READ: "asked by `readUsage`, whose row is the lesser usage.read_own",
}
CALLERS = ("viewer", "user", "admin", "reader", "other_admin", "platform")
TENANTS_OWN = {
    "tenant",
    "project",
    "key",
    "provider",
    "credential",
    "model",
    "granted",
    "price",
    "quota",
    "webhook",
    "service_token",
}
# What a policy's yes comes to where the thing is not in the state for it.
OTHERWISE = {"restoreTenant": 404}
LOOKS = {"explainRequest"}  # a POST that changes nothing
PERSONAL = "/me/"  # what is there a person has, and the bootstrap token is none


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = build(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


# --- the table -------------------------------------------------------------------------------


def test_every_operation_has_its_row():
    """An action of the policy, or a place on the short list of what is open to all."""
    actions = {action.value for action in Action}
    assert [found.id for found in operations() if found.action not in {*actions, PUBLIC}] == []
    assert {found.id for found in operations() if found.action == PUBLIC} == OPEN_TO_ALL


def test_every_route_is_in_the_document():
    """No route hides from the document, and so from the tests that walk it, but some pages."""
    documented = {("/api/v1" + found.path, found.method) for found in operations()}
    hidden = set()
    for path, methods in _routes(application().routes, ""):
        path = path.replace(":path}", "}")
        if any((path, method) not in documented for method in methods - {"HEAD"}):
            hidden.add(path)
    assert hidden == UNDOCUMENTED


def _routes(routes, prefix):
    for route in routes:
        nested = getattr(route, "original_router", None)
        if nested is None:
            yield prefix + route.path, route.methods
        else:
            inner = prefix if prefix else _prefix_of(route)
            yield from _routes(nested.routes, inner)


def _prefix_of(included):
    return included.include_context.prefix


def test_every_action_is_asked_somewhere():
    """A row of the policy that no route uses is named here, with the reason."""
    used = {found.action for found in operations()}
    assert {action for action in Action if action.value not in used} == set(UNROUTED)


def test_names_do_not_change():
    """Clients are generated from operationIds. A new one is added to operations.txt; one that is
    gone or renamed breaks them."""
    now = [f"{found.id} {found.method} {found.path} {found.action}" for found in operations()]
    assert len({line.split()[0] for line in now}) == len(now)
    assert now == GOLDEN.read_text().splitlines(), "\n".join(["operations.txt is now:", *now])


def test_every_operation_says_what_it_answers():
    """Its success, and the problems anybody can meet."""
    for found in operations():
        assert any(status.startswith(("2", "3")) for status in found.statuses), found.id
        if found.action != PUBLIC:
            assert {"400", "401", "403", "503"} <= set(found.statuses), found.id


# --- attack 25: every route as everybody -------------------------------------------------------


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.id)
def test_the_policy_is_what_happens(world, operation):
    """Nobody and a data plane key: 401. The others: what the policy's row says, each on tenant A's
    things (and on their own, where people have own ones)."""
    if operation.action == PUBLIC:
        return
    for headers in ({}, {"authorization": f"Bearer {world.api_key}"}, {"x-api-key": world.api_key}):
        answer = asked(world, operation, None, headers=headers)
        assert answer.status == 401, headers
        assert answer.headers["www-authenticate"] == "Bearer"
        assert not world.changed()
    for who in CALLERS:
        answer = asked(world, operation, who)
        verdict, changed = expected(world, operation, who), world.changed()
        world.restore()
        assert answer.status in statuses(operation, verdict), f"{who}: {verdict}, but {answer}"
        assert verdict is Verdict.ALLOWED or not changed


def asked(world, operation, who, **request):
    """The operation, on tenant A's things, and with A named wherever a tenant can be."""
    a = world.mine["tenant"][0]
    placed = {slot: a for slot in operation.slots if slot.route == ("tenant_id",)}
    return ask(world, operation, who, placed, **request)


def expected(world, operation, who):
    """What the policy says."""
    actor, action = world.people[who].actor, Action(operation.action)
    if actor.account_id is None and operation.path.startswith(PERSONAL):
        return Verdict.HIDDEN if operation.at("path") else Verdict.FORBIDDEN
    tenants = any(slot.kind in TENANTS_OWN for slot in operation.slots if slot.where == "path")
    tenants = tenants or any(slot.route == ("tenant_id",) for slot in operation.slots)
    tenant_id = world.mine["tenant"][0] if tenants else None
    verdict = decide(actor, action, tenant_id=tenant_id, owner=owner(world, operation, who))
    if verdict is Verdict.ALLOWED and tenants and not actor.knows(tenant_id):
        return Verdict.HIDDEN  # what is open to all is narrowed to what is theirs
    looks = operation.method == "GET" or operation.id in LOOKS
    if actor.read_only and not looks and verdict is Verdict.ALLOWED:
        return Verdict.FORBIDDEN
    return verdict


def statuses(operation, verdict):
    """How a verdict may look."""
    if verdict is Verdict.ALLOWED:
        return {200, 201, 204, OTHERWISE.get(operation.id)}
    platforms = POLICY[Action(operation.action)] == {Standing.PLATFORM_ADMIN}
    if verdict is Verdict.HIDDEN and platforms:
        return {403, 404}  # may be said before anything is looked for, if it always is
    return {403} if verdict is Verdict.FORBIDDEN else {404}


def owner(world, operation, who):
    """Whose the thing is that `ask` asks for."""
    actor = world.people[who].actor
    path = {slot.kind for slot in operation.at("path")}
    for kind in {"key", "quota"} & path:
        mine = (who, kind) in world.own
        return actor.account_id if mine else world.own["user", "account"]
    if "account" in path:
        return actor.account_id or world.mine["account"][0]
    own = {Standing.SELF, Standing.USER_OWN} & POLICY[Action(operation.action)]
    return actor.account_id if own and operation.id != "createKey" else None


# --- the data plane --------------------------------------------------------------------------

# What any endpoint asks for; a response has no prompt but an empty one.
BODY = b"""{"model": "m", "prompt": %s, "input": "x", "max_tokens": 5, "query": "x",
"documents": ["x"], "messages": [{"role": "user", "content": "x"}]}"""
LISTS = {
    b"/v1/models",
    b"/v1/models/m",
    b"/v1/me",
    b"/v1/me/usage",
    b"/api/tags",
    b"/api/version",
}
KEPT = {
    (b"GET", b"/v1/responses/resp_x"),
    (b"DELETE", b"/v1/responses/resp_x"),
    (b"GET", b"/v1/responses/resp_x/input_items"),
    (b"POST", b"/v1/responses/resp_x/cancel"),
}
ROUTES = {
    *((b"POST", path) for path in ENDPOINTS),
    *((b"GET", path) for path in LISTS),
    *KEPT,
    (b"POST", b"/api/show"),
}


@pytest.mark.parametrize(("method", "path"), sorted(ROUTES))
async def test_every_endpoint_takes_a_key(method, path):
    """No key, a key of the admin API's sort, or one nobody made: 401, and no provider is asked."""
    bench = make_bench()
    takes = handler.GatewayHandler(bench.gateway, 1_000_000, {})
    body, kind = BODY % (b"null" if path == b"/v1/responses" else b'"x"'), b"application/json"
    if path in ENDPOINTS and ENDPOINTS[path].file is not None:
        body, kind = form_like(b'{"model": "m", "prompt": "x"}', ENDPOINTS[path].file)
    for credential in (None, b"Bearer twp_x", b"Bearer tw_live_abc", b"Basic eDp5"):
        fields = {b"content-type": kind}
        if credential is not None:
            fields[b"authorization"] = credential
        request = Request((method, path, b"", b"HTTP/1.1"), list(fields.items()), fields, "::1")
        request.body = body
        client = FakeClient()
        takes.handle(request, client)
        while client.ended is None:
            await asyncio.sleep(0)
        assert client.status == 401, credential
    assert bench.upstream.calls == []


def test_there_are_no_other_endpoints():
    """The handler knows no path besides the registry's and the lists above."""
    tree = ast.parse(inspect.getsource(handler))
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    paths = {value for value in constants if isinstance(value, bytes) and value[:1] == b"/"}
    shown = {b"/v1/models/", b"/api/show"}
    assert paths == shown | (LISTS - {b"/v1/models/m"}) | {b"/api/"}  # the last tells a shape
