"""From what people call a thing to its id. An id is taken as it is; a name is looked for in the
lists of the API, so everybody finds what they may see.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tollway.cli.admin_client import AdminClient
from tollway.cli.outcomes import ABSENT, CommandError
from tollway.cli.resources.shape import Noun
from tollway.cli.resources.table import NOUNS


@dataclass(frozen=True, slots=True)
class Names:
    """Looks names up, each in the lists it can be in."""

    api: AdminClient

    def find(
        self, noun: Noun, text: str, *, within: Mapping[str, str], owners: Sequence[str | None]
    ) -> str:
        """The id of what is called so. `within`: the ids in the noun's path; `owners`: whose it may
        be, the first that has one. Raises CommandError when there is none, or several."""
        if noun.id_prefix and re.fullmatch(rf"{noun.id_prefix}[0-9A-Za-z]{{10,}}", text):
            return text
        query = {noun.search: text} if noun.search else {}
        listed = self.api.listed(path_of(noun, within), query=query)
        found = [one for one in listed if _is_called(noun, one, text)]
        if noun.owned:
            found = _of_first(found, owners)
        if len(found) > 1:  # of keys with one name, those that open something
            found = [one for one in found if one.get("revoked_at") is None] or found
        if not found:
            raise CommandError(f"There is no {noun.one} '{text}'.", ABSENT)
        if len(found) > 1:
            ids = ", ".join(str(one[noun.id]) for one in found[:5])
            raise CommandError(f"Several {noun.name} are called '{text}'. Give the id: {ids}.")
        return str(found[0][noun.id])

    def target(self, text: str, owners: Sequence[str | None]) -> dict[str, Any]:
        """`PROVIDER/MODEL[,weight=N][,priority=N]` as the API takes it. Raises ValueError."""
        place, *others = text.split(",")
        provider, slash, model = place.partition("/")
        if not (provider and slash and model):
            raise ValueError(f"{text!r} is not PROVIDER/MODEL[,weight=N][,priority=N].")
        target: dict[str, Any] = {
            "provider_id": self.find(NOUNS["providers"], provider, within={}, owners=owners),
            "model": model,
        }
        for other in others:
            name, _, number = other.partition("=")
            if name not in ("weight", "priority"):
                raise ValueError(f"{other!r} is neither weight=N nor priority=N.")
            target[name] = int(number)
        return target


def path_of(noun: Noun, within: Mapping[str, str]) -> str:
    """The path of all of a noun's things."""
    if noun.alone and "tenant_id" not in within:
        return noun.alone
    return noun.path.format(**within)


def _is_called(noun: Noun, one: Mapping[str, Any], text: str) -> bool:
    names = [one[noun.id], *(one[field] for field in noun.called)]
    fold = "email" in noun.called
    return any(
        name == text or (fold and name is not None and name.lower() == text.lower())
        for name in names
    )


def _of_first(found: list[dict[str, Any]], owners: Sequence[str | None]) -> list[dict[str, Any]]:
    for owner in owners:
        of_owner = [one for one in found if one["tenant_id"] == owner]
        if of_owner:
            return of_owner
    return []
