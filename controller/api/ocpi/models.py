"""What providers send us in OCPI, and operators for them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from controller.api.models import In, Out

Country = Annotated[str, Field(pattern="^[A-Za-z]{2}$")]
PartyId = Annotated[str, Field(pattern="^[A-Za-z0-9]{3}$")]


class BusinessDetailsIn(BaseModel):
    """Who somebody is."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class CredentialsRoleIn(BaseModel):
    """One role of a platform."""

    role: Annotated[str, Field(pattern="^(CPO|EMSP|HUB|NAP|NSP|OTHER|SCSP)$")]
    business_details: BusinessDetailsIn
    party_id: PartyId
    country_code: Country


class CredentialsIn(BaseModel):
    """A Credentials object; what else a peer writes in it is left alone, as OCPI wants."""

    token: Annotated[str, Field(pattern="^[\x21-\x7e]{1,64}$")]
    url: Annotated[str, Field(min_length=1, max_length=255)]
    roles: Annotated[list[CredentialsRoleIn], Field(min_length=1)]


class PartyIn(In):
    """A provider to invite."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"country_code": "NL", "party_id": "TNM", "name": "The New Motion"}]}
    )

    country_code: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    party_id: Annotated[str, Field(pattern="^[A-Z0-9]{3}$")]
    name: Annotated[str, Field(min_length=1, max_length=100)]


class InvitedOut(Out):
    """Its first token, shown once."""

    party: str
    token: str
    """The provider sends it in Base64, as OCPI says."""
    versions_path: str


class PartyOut(Out):
    """A provider."""

    party: str
    name: str
    registered: bool
    contracts: int
    """How many tokens of its customers are known."""


class ContractIn(In):
    """A customer of a provider."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"token": "04A1B2C3D4E5F6", "contract_id": "NL-TNM-C12345678-X"}]}
    )

    token: Annotated[str, Field(min_length=4, max_length=20)]
    """As a charger reads it."""
    contract_id: Annotated[str, Field(min_length=1, max_length=36)]
    """The provider's name for the contract (EMAID)."""
