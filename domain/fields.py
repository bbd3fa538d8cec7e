"""What people type into fields: one line of ordinary characters, telephone numbers, addresses of e-mail."""

import re
import unicodedata
from typing import Annotated

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

MAX_NAME = 80

UNPRINTABLE_PROBLEM = "Please use ordinary characters on one line only."
PHONE_PROBLEM = "Please give a telephone number that we can call, such as +1 202 555 0123."
EMAIL_PROBLEM = "This is no e-mail address: correct it or leave it out."

# Control characters, line separators, lone surrogates, and what turns the direction of the text after it.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# Letters and a symbol by their category, and yet blank: the fillers of Hangul and the braille of no dots.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_PHONE = re.compile(r"\+?[0-9][0-9 ()./-]{2,30}|\(?[0-9][0-9 ()./-]{2,30}")

# Of these kinds, by far the commonest, the libraries say that they are written right already. To ask them takes as long
# as to read all the rest of an order. A number of North America has no prefix to be left out.
_PLAIN_PHONE = re.compile(r"\+1[2-9][0-9]{9}")
_PLAIN_MAIL = re.compile(r"[a-z0-9]+(?:[._+-][a-z0-9]+)*@(?:[a-z0-9]+(?:-[a-z0-9]+)*\.)+[a-z]{2,}")
_PLAIN_LENGTH = 64
"""Characters at the most: then each part is short enough, too."""
_NO_MAIL = tuple(f".{name}" for name in SPECIAL_USE_DOMAIN_NAMES)


def clean(value: object) -> object:
    """Strip text, refuse what cannot be read on a box, and write accents one way (NFC), however they were typed.

    Leaves anything else to the field's own type.
    """
    if not isinstance(value, str):
        return value
    text = value.strip(" ")
    if _UNPRINTABLE.search(text):
        raise PydanticCustomError("unprintable", UNPRINTABLE_PROBLEM)
    return unicodedata.normalize("NFC", text)


def blank_is_none(value: object) -> object:
    """Read a field that may be left empty."""
    return clean(value) or None if isinstance(value, str) else value


def visible(name: str) -> str:
    """Refuse a name of which nothing can be seen."""
    if not any(unicodedata.category(char)[0] in "LNPS" and char not in _BLANK for char in name):
        raise PydanticCustomError("invisible", "Give a name that can be read.")
    return name


def e164(phone: str, region: str) -> str:
    """Write a telephone number in E.164 form. Raises PydanticCustomError for what cannot be one."""
    if _PLAIN_PHONE.fullmatch(phone):
        return phone
    problem = PydanticCustomError("phone", PHONE_PROBLEM)
    if not _PHONE.fullmatch(phone):
        raise problem
    try:
        number = phonenumbers.parse(phone, region)
    except phonenumbers.NumberParseException:
        raise problem from None
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    # Numbering plans change faster than their list: a number with its country's code need only be of a number's length.
    plausible = phone.startswith("+") and 10 <= len(written) <= 16
    if not plausible and not phonenumbers.is_possible_number(number):
        raise problem
    return written


def mail_address(email: str) -> str:
    """Write an address of e-mail as it is compared. Raises PydanticCustomError for what cannot be one."""
    if len(email) <= _PLAIN_LENGTH and _PLAIN_MAIL.fullmatch(email) and not email.endswith(_NO_MAIL):
        return email
    try:
        return validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise PydanticCustomError("email", EMAIL_PROBLEM) from None


def _in_e164(phone: str, info: ValidationInfo) -> str:
    return e164(phone, (info.context or {}).get("region", "US"))


Text = Annotated[str, BeforeValidator(clean)]
Id = Annotated[str, BeforeValidator(clean), Field(min_length=1, max_length=60)]
Phone = Annotated[
    Text,
    Field(min_length=3, max_length=32, description="With its country's code, or local."),
    AfterValidator(_in_e164),
]
Email = Annotated[Text, Field(max_length=254), AfterValidator(mail_address)]
