"""OCPI 2.2.1's objects as the tables of its specification have them: what an answer may and must hold.

Written from github.com/ocpi/ocpi, branch release-2.2.1-bugfixes. Fields that this project never sends are
left out, so an answer with an unknown name fails.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints


def _printable_ascii(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise ValueError("CiString: only printable ASCII")
    return text


def _printable(text: str) -> str:
    if not text.isprintable() and "\N{NO-BREAK SPACE}" not in text:
        raise ValueError("string: only printable characters")
    return text


def _four_decimals(value: float) -> float:
    if round(value, 4) != value:
        raise ValueError("number: 4 decimals")
    return value


type Ci36 = Annotated[str, Field(min_length=1, max_length=36), AfterValidator(_printable_ascii)]
type Ci2 = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
type Ci3 = Annotated[str, StringConstraints(pattern="^[A-Z0-9]{3}$")]
type Text45 = Annotated[str, Field(min_length=1, max_length=45), AfterValidator(_printable)]
type Text255 = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
type Moment = Annotated[
    str, Field(max_length=25), StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
]
type Number = Annotated[float, AfterValidator(_four_decimals)]
type Url = Annotated[str, Field(max_length=255), StringConstraints(pattern="^https?://")]
type EvseId = Annotated[
    str, Field(max_length=48), StringConstraints(pattern=r"^[A-Z]{2}\*?[A-Z0-9]{3}\*?E[A-Z0-9*]{1,31}$")
]
type Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
type CountryLong = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


class Strict(BaseModel):
    """Nothing beside the fields of the table."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Envelope(Strict):
    """Response format."""

    data: Any = None
    status_code: Annotated[int, Field(ge=1000, le=4999)]
    status_message: Text255 | None = None
    timestamp: Moment


class Version(Strict):
    """Version."""

    version: Literal["2.2.1"]
    url: Url


class Endpoint(Strict):
    """Endpoint."""

    identifier: Literal["credentials", "locations", "sessions", "cdrs", "tariffs"]
    role: Literal["SENDER"]
    url: Url


class VersionDetails(Strict):
    """Version details."""

    version: Literal["2.2.1"]
    endpoints: Annotated[list[Endpoint], Field(min_length=1)]


class BusinessDetails(Strict):
    """BusinessDetails."""

    name: Annotated[str, Field(max_length=100)]


class CredentialsRole(Strict):
    """CredentialsRole."""

    role: Literal["CPO"]
    business_details: BusinessDetails
    party_id: Ci3
    country_code: Ci2


class Credentials(Strict):
    """Credentials."""

    token: Annotated[str, StringConstraints(pattern="^[\x21-\x7e]{1,64}$")]
    url: Url
    roles: Annotated[list[CredentialsRole], Field(min_length=1)]


class Price(Strict):
    """Price."""

    excl_vat: Number
    incl_vat: Number | None = None


class DisplayText(Strict):
    """DisplayText."""

    language: Annotated[str, StringConstraints(pattern="^[a-z]{2}$")]
    text: Annotated[str, Field(max_length=512)]


class PriceComponent(Strict):
    """PriceComponent."""

    type: Literal["ENERGY", "FLAT", "PARKING_TIME", "TIME"]
    price: Number
    vat: Number | None = None
    step_size: int


class TariffElement(Strict):
    """TariffElement."""

    price_components: Annotated[list[PriceComponent], Field(min_length=1)]


class Tariff(Strict):
    """Tariff."""

    country_code: Ci2
    party_id: Ci3
    id: Ci36
    currency: Currency
    tariff_alt_text: list[DisplayText] = []
    elements: Annotated[list[TariffElement], Field(min_length=1)]
    start_date_time: Moment | None = None
    end_date_time: Moment | None = None
    last_updated: Moment


class GeoLocation(Strict):
    """GeoLocation."""

    latitude: Annotated[str, Field(max_length=10), StringConstraints(pattern=r"^-?[0-9]{1,2}\.[0-9]{5,7}$")]
    longitude: Annotated[str, Field(max_length=11), StringConstraints(pattern=r"^-?[0-9]{1,3}\.[0-9]{5,7}$")]


class Connector(Strict):
    """Connector."""

    id: Ci36
    standard: Literal["IEC_62196_T2"]
    format: Literal["SOCKET", "CABLE"]
    power_type: Literal["AC_1_PHASE", "AC_3_PHASE"]
    max_voltage: int
    max_amperage: int
    max_electric_power: int | None = None
    tariff_ids: list[Ci36] = []
    last_updated: Moment


class Evse(Strict):
    """EVSE."""

    uid: Ci36
    evse_id: EvseId | None = None
    status: Literal[
        "AVAILABLE",
        "BLOCKED",
        "CHARGING",
        "INOPERATIVE",
        "OUTOFORDER",
        "PLANNED",
        "REMOVED",
        "RESERVED",
        "UNKNOWN",
    ]
    connectors: Annotated[list[Connector], Field(min_length=1)]
    physical_reference: Annotated[str, Field(max_length=16)] | None = None
    last_updated: Moment


class Hours(Strict):
    """Hours."""

    twentyfourseven: bool


class Location(Strict):
    """Location."""

    country_code: Ci2
    party_id: Ci3
    id: Ci36
    publish: bool
    name: Text255 | None = None
    address: Text255
    city: Text45
    postal_code: Annotated[str, Field(max_length=10)] | None = None
    country: CountryLong
    coordinates: GeoLocation
    evses: list[Evse] = []
    operator: BusinessDetails | None = None
    time_zone: Text255
    opening_times: Hours | None = None
    charging_when_closed: bool | None = None
    last_updated: Moment


class CdrToken(Strict):
    """CdrToken."""

    country_code: Ci2
    party_id: Ci3
    uid: Ci36
    type: Literal["AD_HOC_USER", "APP_USER", "OTHER", "RFID"]
    contract_id: Ci36


class CdrDimension(Strict):
    """CdrDimension."""

    type: Literal["ENERGY", "PARKING_TIME", "TIME", "ENERGY_IMPORT", "ENERGY_EXPORT"]
    volume: Number


class ChargingPeriod(Strict):
    """ChargingPeriod."""

    start_date_time: Moment
    dimensions: Annotated[list[CdrDimension], Field(min_length=1)]
    tariff_id: Ci36 | None = None


class Session(Strict):
    """Session."""

    country_code: Ci2
    party_id: Ci3
    id: Ci36
    start_date_time: Moment
    end_date_time: Moment | None = None
    kwh: Number
    cdr_token: CdrToken
    auth_method: Literal["AUTH_REQUEST", "COMMAND", "WHITELIST"]
    location_id: Ci36
    evse_uid: Ci36
    connector_id: Ci36
    currency: Currency
    charging_periods: list[ChargingPeriod] = []
    total_cost: Price | None = None
    status: Literal["ACTIVE", "COMPLETED", "INVALID", "PENDING", "RESERVATION"]
    last_updated: Moment


class CdrLocation(Strict):
    """CdrLocation."""

    id: Ci36
    name: Text255 | None = None
    address: Text45
    city: Text45
    postal_code: Annotated[str, Field(max_length=10)] | None = None
    country: CountryLong
    coordinates: GeoLocation
    evse_uid: Ci36
    evse_id: EvseId
    connector_id: Ci36
    connector_standard: Literal["IEC_62196_T2"]
    connector_format: Literal["SOCKET", "CABLE"]
    connector_power_type: Literal["AC_1_PHASE", "AC_3_PHASE"]


class SignedValue(Strict):
    """SignedValue."""

    nature: Literal["Start", "End", "Intermediate"]
    plain_data: Annotated[str, Field(max_length=5000)]
    signed_data: Annotated[str, Field(max_length=5000)]


class SignedData(Strict):
    """SignedData."""

    encoding_method: Ci36
    public_key: Annotated[str, Field(max_length=512)] | None = None
    signed_values: Annotated[list[SignedValue], Field(min_length=1)]


class Cdr(Strict):
    """CDR. Of the dimensions those that only a Session may have are none here."""

    country_code: Ci2
    party_id: Ci3
    id: Ci36
    start_date_time: Moment
    end_date_time: Moment
    session_id: Ci36 | None = None
    cdr_token: CdrToken
    auth_method: Literal["AUTH_REQUEST", "COMMAND", "WHITELIST"]
    cdr_location: CdrLocation
    currency: Currency
    tariffs: list[Tariff] = []
    charging_periods: Annotated[list[ChargingPeriod], Field(min_length=1)]
    signed_data: SignedData | None = None
    total_cost: Price
    total_fixed_cost: Price | None = None
    total_energy: Number
    total_energy_cost: Price | None = None
    total_time: Number
    total_parking_time: Number | None = None
    total_parking_cost: Price | None = None
    last_updated: Moment
