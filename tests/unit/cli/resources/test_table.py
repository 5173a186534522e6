"""The table of resource commands says what the admin API has: nothing else, and all of it."""

import pytest

from tollway.cli.audit import AUDIT
from tollway.cli.resources.forms import options_of
from tollway.cli.resources.shape import Into, Noun, Verb
from tollway.cli.resources.table import NOUNS
from tollway.web.admin.app import openapi_document

DOCUMENT = openapi_document()
OPERATIONS = {
    operation["operationId"]: (method.upper(), path.removeprefix("/api/v1"), operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
VERBS = [(noun, verb) for noun in (*NOUNS.values(), AUDIT) for verb in noun.verbs]
# What is no thing to manage: signing in and what people do in a browser about themselves; what
# `apply`, `get` and `usage` do.
OTHERS = {
    "applyManifest",
    "beginOidcSignIn",
    "changeMyPassword",
    "endMySessions",
    "explainRequest",
    "finishOidcSignIn",
    "listMySessions",
    "listSignInMethods",
    "readManifest",
    "readMe",
    "readUsage",
    "signIn",
    "signOut",
    "updateMe",
}


def names(verb: Verb) -> list[str]:
    return [name for name in (verb.operation, verb.alone) if name]


def schema_of(operation: dict) -> dict:
    content = operation.get("requestBody", {}).get("content", {})
    return next(iter(content.values()), {}).get("schema", {})


def fields_of(schema: dict) -> dict:
    """The fields of an object, through references and alternatives."""
    if "$ref" in schema:
        return fields_of(DOCUMENT["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    fields = dict(schema.get("properties", {}))
    for one in schema.get("anyOf", []):
        fields.update(fields_of(one))
    return fields


def test_every_operation_has_a_command_or_a_reason():
    """A new operation of the API that no command does is noticed here."""
    done = {name for _, verb in VERBS for name in names(verb)}
    assert done | OTHERS == set(OPERATIONS)
    assert not done & OTHERS


@pytest.mark.parametrize(("noun", "verb"), VERBS, ids=lambda one: one.name)
def test_a_command_sends_what_its_operation_takes(noun: Noun, verb: Verb):
    """Method, path, and every field and query parameter are the operation's."""
    for operation_id in names(verb):
        method, path, operation = OPERATIONS[operation_id]
        alone = operation_id == verb.alone
        sent = (noun.alone if alone else noun.path) + ("/{}" if verb.object else "") + verb.tail
        assert verb.method == method
        assert [part for part in sent.split("/") if "{" not in part] == [
            part for part in path.split("/") if "{" not in part
        ]
        assert sent.count("{") == path.count("{")
        schema = schema_of(operation)
        queries = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
        assert not verb.new or verb.new in fields_of(schema)
        for option in options_of(noun, verb):
            if option.into is Into.QUERY:
                assert option.field in queries
            elif option.into is Into.BODY and not (alone and option.field == "role"):
                fields = fields_of(schema)
                for name in option.field.split("."):
                    assert name in fields, option.flag
                    fields = fields_of(fields[name])
        assert not verb.many or verb.limit or not queries or {"limit", "cursor"} <= queries


@pytest.mark.parametrize(("noun", "verb"), VERBS, ids=lambda one: one.name)
def test_what_can_be_given_can_be_said(noun: Noun, verb: Verb):
    """Every field of an operation's body and query has an option."""
    _, _, operation = OPERATIONS[verb.operation]
    options = options_of(noun, verb)
    said = {option.field.split(".")[0] for option in options} | {verb.new, "limit", "cursor"}
    queries = {one["name"] for one in operation.get("parameters", []) if one["in"] == "query"}
    assert queries | set(fields_of(schema_of(operation))) <= said


@pytest.mark.parametrize("noun", NOUNS.values(), ids=lambda noun: noun.name)
def test_columns_are_fields_of_the_answer(noun: Noun):
    """A table never asks for what is not there."""
    shown = [(noun.verbs[0], (*noun.columns, noun.id, *noun.called))]
    shown += [(verb, verb.columns) for verb in noun.verbs if verb.columns]
    for verb, columns in shown:
        _, _, operation = OPERATIONS[verb.operation]
        content = operation["responses"]["200"]["content"]["application/json"]["schema"]
        item = fields_of(content)["data"]["items"]
        for column in columns:
            fields = fields_of(item)
            for name in column.split("."):
                assert name in fields, column
                fields = fields_of(fields[name].get("items", fields[name]))
