"""Logging in and out."""

import re

from flask import Flask, Response, flash, jsonify, make_response, redirect, render_template, request, session, url_for
from flask_login import LoginManager, UserMixin, current_user, login_user, logout_user
from flask_wtf import FlaskForm
from wtforms import HiddenField, PasswordField, StringField

from domain import staff
from domain.orders import ID_PATTERN
from web import credentials
from web.confirmation import NOT_SENT, Confirmation
from web.counter import counter
from web.limits import LOGGING_IN, limiter
from web.staff import blueprint

_OPEN = frozenset({"staff.log_in", "staff.try_log_in"})
_NEXT = re.compile(rf"/staff(/[a-z-]+)*(\?order={ID_PATTERN}|\?from=[0-9-]{{10}}&to=[0-9-]{{10}})?")


class Person(UserMixin):  # type: ignore[misc] # Flask-Login has no types
    """Somebody who is logged in."""

    def __init__(self, account: staff.Account) -> None:
        self.id = account.username
        self.role = account.role
        self.who = account.who


class LoginForm(FlaskForm):  # type: ignore[misc] # Flask-WTF has no types
    """Name and password, and where to go then."""

    username = StringField("Name")
    password = PasswordField("Password")
    next = HiddenField()


def register(app: Flask) -> None:
    """Let the application know who is logged in."""
    people = LoginManager(app)
    people.user_loader(_load)
    people.unauthorized_handler(_unauthorized)


def _load(username: str) -> Person | None:
    with counter().database.read() as connection:
        account = staff.find(connection, username)
    return Person(account) if account else None


def _unauthorized() -> Response:
    if "application/json" in request.headers.get("Accept", ""):
        answer = jsonify({"errors": [{"field": "", "problem": "Please log in."}]})
        answer.status_code = 401
        return answer
    wanted = request.full_path.rstrip("?") if request.method == "GET" else ""
    return make_response(redirect(url_for("staff.log_in", next=wanted if _NEXT.fullmatch(wanted) else None)))


@blueprint.before_request
def only_staff() -> Response | None:
    """Let nobody in who is not logged in; every page of this blueprint but the login."""
    if request.endpoint in _OPEN or current_user.is_authenticated:
        return None
    return _unauthorized()


@blueprint.after_request
def keep_private(answer: Response) -> Response:
    """Keep these pages out of every cache."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/login")
def log_in() -> Response:
    """Show the login."""
    if current_user.is_authenticated:
        return make_response(redirect(url_for("staff.open_orders")))
    form = LoginForm(formdata=None, data={"next": request.args.get("next", "")})
    return make_response(render_template("staff/login.html", form=form, problem=""))


@blueprint.post("/login")
@limiter.limit(LOGGING_IN)
def try_log_in() -> Response:
    """Log somebody in."""
    form = LoginForm()
    if not form.validate():
        return _refused(form, "This page was open for a long time. Please try once more.")
    account = credentials.check(form.username.data, form.password.data)
    if account is None:
        return _refused(form, "Name or password is wrong.")
    session.clear()
    login_user(Person(account))
    wanted = form.next.data or ""
    return make_response(redirect(wanted if _NEXT.fullmatch(wanted) else url_for("staff.open_orders"), 303))


def _refused(form: LoginForm, problem: str) -> Response:
    return make_response(render_template("staff/login.html", form=form, problem=problem), 401)


@blueprint.post("/logout")
def log_out() -> Response:
    """Log out."""
    if not Confirmation().validate():
        flash(NOT_SENT)
        return make_response(redirect(url_for("staff.open_orders"), 303))
    logout_user()
    session.clear()
    return make_response(redirect(url_for("staff.log_in"), 303))
