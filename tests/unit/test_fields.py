"""Telephone numbers and addresses of e-mail, as they are written down."""

import phonenumbers
import pytest
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from hypothesis import given, settings
from hypothesis.strategies import builds, from_regex, lists, sampled_from, text
from pydantic_core import PydanticCustomError

from domain import fields

pytestmark = pytest.mark.unit


@settings(max_examples=500)
@given(from_regex(fields._PLAIN_PHONE, fullmatch=True), sampled_from(["US", "IT", "GB", "MX"]))
def test_a_number_that_no_library_is_asked_about_is_written_as_the_library_writes_it(phone: str, region: str) -> None:
    asked = phonenumbers.format_number(phonenumbers.parse(phone, region), phonenumbers.PhoneNumberFormat.E164)
    assert fields.e164(phone, region) == asked


_WORD = text("abz019", min_size=1, max_size=9)
_LOCAL = builds("{}{}{}".format, _WORD, sampled_from("._+-"), _WORD) | _WORD
_HOST = builds("{}-{}".format, _WORD, _WORD) | _WORD
_END = text("abz", min_size=2, max_size=9) | sampled_from(SPECIAL_USE_DOMAIN_NAMES)


@settings(max_examples=1000)
@given(builds("{}@{}.{}".format, _LOCAL, lists(_HOST, min_size=1, max_size=2).map(".".join), _END))
def test_an_address_that_no_library_is_asked_about_is_written_as_the_library_writes_it(email: str) -> None:
    assert fields._PLAIN_MAIL.fullmatch(email)
    try:
        written = fields.mail_address(email)
    except PydanticCustomError:
        with pytest.raises(EmailNotValidError):
            validate_email(email, check_deliverability=False, test_environment=True)
    else:
        assert written == validate_email(email, check_deliverability=False, test_environment=True).normalized


def test_no_plain_address_is_taken_of_which_a_part_is_longer_than_names_of_hosts_allow() -> None:
    with pytest.raises(PydanticCustomError):
        fields.mail_address(f"a@{'b' * 64}.com")


@pytest.mark.parametrize("name", sorted(set(SPECIAL_USE_DOMAIN_NAMES) - {"test"}))
def test_no_plain_address_is_taken_where_no_mail_goes(name: str) -> None:
    with pytest.raises(PydanticCustomError):
        fields.mail_address(f"ada@engines.{name}")
