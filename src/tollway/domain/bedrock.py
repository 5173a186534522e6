"""Where Amazon Bedrock is, and what its secrets look like: the region in a host's name, and the
parts of the one text that a credential is.
"""

import re
from typing import NamedTuple

from tollway.domain.result import Err, Ok, Result

# A label such as `eu-west-1`, `us-gov-east-1` or `eusc-de-east-1`.
_REGION = re.compile(
    r"[a-z]{2,4}(?:-[a-z]{2,6})?-(?:north|south)?(?:north|south|east|west|central)-[0-9]{1,2}"
)
_KEY_ID = re.compile(r"\w{1,128}", re.ASCII)
NO_REGION = (
    "A provider of kind bedrock needs its region in the host's name, as in "
    "https://bedrock-runtime.eu-west-1.amazonaws.com: requests are signed for it."
)
_NOT_KEYS = (
    "A secret of Bedrock is ACCESS_KEY_ID:SECRET_ACCESS_KEY, the same with :SESSION_TOKEN behind "
    "it, or an API key without a colon."
)


class AwsKeys(NamedTuple):
    """What requests are signed with. `session_token` is empty where keys are not temporary."""

    id: str
    secret: str
    session_token: str = ""


def region_of(host: str) -> str | None:
    """The region that a host's name says, whoever's it is: Amazon's own, a VPC endpoint's, or that
    of a proxy in front of them. None: it says none."""
    return next((label for label in host.lower().split(".") if _REGION.fullmatch(label)), None)


def aws_keys(secret: str) -> Result[AwsKeys | None, str]:
    """The keys in a credential; `Ok(None)` for an API key, which is sent as it is. The error never
    repeats what was given."""
    parts = secret.split(":")
    if len(parts) == 1:
        return Ok(None)
    if len(parts) > 3 or not all(parts) or not _KEY_ID.fullmatch(parts[0]):
        return Err(_NOT_KEYS)
    return Ok(AwsKeys(*parts))
