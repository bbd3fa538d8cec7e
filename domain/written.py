"""How settings are written that are texts of a kind; what is written otherwise is answered by how to write it."""

import re
from typing import Annotated

from pydantic import AfterValidator


def _written(pattern: str, how: str) -> AfterValidator:
    """Want a text that the pattern matches as a whole; ``how`` is the answer to any other."""

    def check(given: str) -> str:
        if not re.fullmatch(pattern, given):
            raise ValueError(how)
        return given

    return AfterValidator(check)


Site = Annotated[str, _written(r"https?://[^/?#\s]+/?", "write http:// or https://, a host and no path")]
Target = Annotated[
    str, _written(r"[A-Za-z0-9._:-]{1,200}", "write up to 200 letters, digits, dots, colons, dashes and underscores")
]
Topic = Annotated[
    str, _written(r"[A-Za-z0-9._-]{1,249}", "write up to 249 letters, digits, dots, dashes and underscores")
]
Servers = Annotated[
    str,
    _written(
        r"[^\s,]+:[0-9]{1,5}(,[^\s,]+:[0-9]{1,5})*",
        "write each server as host:port, with commas and no spaces between them, for example kafka-1:9092,kafka-2:9092",
    ),
]
SnsTopic = Annotated[
    str,
    _written(
        r"arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?",
        "give the topic's ARN, for example arn:aws:sns:eu-west-1:123456789012:orders",
    ),
]
Oven = Annotated[
    str,
    _written(
        r"real|faulty(:(-|[^\W_A-Z])+)?",  # an id may have letters of any alphabet, see domain.sheet.slug
        "write real, faulty, or faulty: and a pizza's id, as in faulty:diavola",
    ),
]
AccountSid = Annotated[str, _written(r"[A-Za-z0-9]+", "write letters and digits only")]
