"""Secrets that we share with other systems, by which one knows the other: whom we tell, and who tells us."""

import base64
import secrets


def new_secret() -> str:
    """Make up a secret as Standard Webhooks writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
