"""What the forms of all resources share."""

from typing import Annotated

from fastapi import Path as PathParameter
from pydantic import BaseModel, ConfigDict, Field

TenantPath = Annotated[
    str,
    PathParameter(max_length=64, description="A tenant's id.", examples=["ten_0123456789abcdef"]),
]
ModelName = Annotated[str, Field(max_length=200, examples=["gpt-5-mini"])]
ModelNames = Annotated[list[ModelName] | None, Field(max_length=1000, examples=[["gpt-5-mini"]])]


class Form(BaseModel):
    """What a client sends. A field that is not there is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", str_max_length=10_000)
