"""A button that changes something: nothing but proof that our own page sent it."""

from flask_wtf import FlaskForm

NOT_SENT = "That did not reach us. Please press the button once more."


class Confirmation(FlaskForm):  # type: ignore[misc] # Flask-WTF has no types
    """Holds the token against requests forged by other sites."""
