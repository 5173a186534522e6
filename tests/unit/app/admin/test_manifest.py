"""The form of a configuration file: what is read, what is refused, and where the fault is."""

import pytest

from tollway.app.admin.manifest import manifest_schema, read_manifest, write_manifest
from tollway.domain.result import Err, Ok

ACME = {"slug": "acme", "name": "Acme"}


def test_nothing_is_an_empty_file():
    """An empty YAML document is None."""
    assert read_manifest(None) == read_manifest({})
    assert isinstance(read_manifest(None), Ok)


def test_what_is_written_is_read_again():
    """Without what has its default."""
    content = {
        "tenants": [ACME],
        "projects": [{"name": "search", "tenant": "acme"}],
        "grants": [{"model": "small", "group": "gold"}],
    }
    written = write_manifest(read_manifest(content).value)
    assert {name: list(entries) for name, entries in written.items()} == content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"tenants": [ACME, ACME]}, "tenants[1] (acme): it is there already, as tenants[0]"),
        (
            {"grants": [{"model": "m", "group": "g"}, {"model": "m", "group": "g"}]},
            "grants[1] (m to group g)",
        ),
        (
            {
                "prices": [
                    {"model": "m", "tenant": "a", "provider_kind": "openai", "rates": {}},
                    {"model": "m", "tenant": "a", "provider_kind": "openai", "rates": {}},
                ]
            },
            "prices[1] (m at a/openai)",
        ),
        (
            {
                "accounts": [
                    {
                        "email": "a@b.c",
                        "members": [
                            {"tenant": "acme", "role": "user"},
                            {"tenant": "acme", "role": "viewer"},
                        ],
                    }
                ]
            },
            "accounts[0] (a@b.c): members: a tenant is named twice",
        ),
        (
            {
                "providers": [
                    {
                        "name": "p",
                        "kind": "openai",
                        "credentials": [{"reference": "env:A"}, {"reference": "env:A"}],
                    }
                ]
            },
            "providers[0] (p): credentials: one is named twice",
        ),
        ({"tenants": [{"slug": "acme", "colour": "red"}]}, "tenants[0] (acme)"),
        ({"tenants": [{"slug": 1}]}, "tenants[0]: slug"),
        ({"tenants": ["acme"]}, "tenants[0]"),
        ({"tenants": {}}, "tenants"),
        ({"things": []}, "things"),
        ([], "object"),
        ("text", "object"),
        ({"tenants": [ACME] * 100_001}, "at most"),
    ],
)
def test_the_entry_at_fault_is_named(content, words):
    """By its place, and its name if it has one."""
    read = read_manifest(content)
    assert isinstance(read, Err)
    assert words in read.error


def test_the_schema_stands_alone():
    """For editors: every section, no reference to anything outside."""
    schema = manifest_schema()
    assert set(schema["properties"]) >= {"tenants", "providers", "models", "keys"}
    assert "$ref" not in repr(schema)
