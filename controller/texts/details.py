"""What was wrong this time, in the reader's language.

Below the doors an error is a plain English sentence, which the log has as it is. Here the sentence is known
again by its form and said in the reader's language with the same figures; one that is not known stays as it
is.
"""

from __future__ import annotations

import re
from functools import cache

from controller.domain.errors import Problem
from controller.texts.problems import RULES
from controller.texts.translator import Translator, mark

DETAILS = (
    mark("there is no node {node} in this network"),
    mark("there is no node {node}"),
    mark("there is no limit {limit} on {node}"),
    mark("there is no lock-out on {node}"),
    mark("there is no vehicle {vehicle}"),
    mark("there is no car or battery {asset}"),
    mark("there is no booking {booking}"),
    mark("there is no token {token}"),
    mark("there is no charging token {token}"),
    mark("there are no charging tokens here"),
    mark("there is no {path}"),
    mark("only {methods} here"),
    mark("you have no vehicle {vehicle}"),
    mark("you have no order {order}"),
    mark("you have no posting {posting}"),
    mark("you have no token {token}"),
    mark("you have no instruction {instruction}"),
    mark(
        "this is the last token of an operator: give out another one first and take this one back with that, "
        "or use {command} on the controller's machine"
    ),
    mark("you have no connection of your own"),
    mark("name a node"),
    mark("you have set no limit on node {node}"),
    mark("booking id {booking} is taken: choose another, a UUID for one"),
    mark("{vehicle} is booked already in that time: {bookings}"),
    mark("the owner has not agreed to discharge: the site file's discharge_opt_in is false"),
    mark("a token of role {role} does not set what a driver wants"),
    mark("an order is placed by the member that it is for"),
    mark("this neighbourhood shares its energy after the fact: nothing is sold before"),
    mark("this neighbourhood shares its energy after the fact: there is nothing to order"),
    mark("{count} instructions are standing: end one first"),
    mark("order {order} was cancelled: place a new one"),
    mark("order id {order} is taken: choose another, a UUID for one"),
    mark("order {order} stands with other content: use a new id"),
    mark("order_id must not begin with {prefixes}: those are the controller's own"),
    mark("the gate closed at {gate}: the order stands"),
    mark("the gate for the quarter-hour of {start} closed at {gate}"),
    mark("the quarter-hour of {start} is past"),
    mark("the quarter-hour of {start} is not cleared"),
    mark("the book is sealed until its gate closes at {gate}"),
    mark("its day, {day}, is not sealed yet: ask again after {moment}"),
    mark("{day} is not sealed, or nothing had been booked by then"),
    mark("orders are taken up to {horizon}"),
    mark("the order lapsed at {moment}"),
    mark("member {member} has no connection at node {node}"),
    mark("the order can cost {need} nano-euro, the credit left is {left}"),
    mark("price times quantity is beyond what the ledger can book"),
    mark("no day from {first} to {last} is closed yet"),
    mark("no day of {year} is closed yet"),
    mark("{count} streams are open already"),
    mark("try again in {seconds} s"),
    mark("send a bearer token in the Authorization header"),
    mark("the token is not known"),
    mark("this token belongs to no member"),
    mark("this needs a token of role {roles}; yours is of role {role}"),
    mark("this needs a token for more than {scopes}: {wanted}"),
    mark("the log of the controller says more"),
    mark("this token cannot be registered: it is in use already, or was blocked"),
    mark("a member has at most {count} tokens, blocked ones too: ask an operator"),
    mark("is a car's own identification"),
    mark("is no car of this member"),
    mark("is no member of this site"),
    mark("must have {least} to {most} characters"),
    mark("has characters other than letters, digits and {signs}"),
    mark("somebody charges here already"),
    mark("this socket cannot be reached now: nothing is charged to you"),
    mark("too many are about to pay: try again in a few minutes"),
    mark("this link opens no session, or its receipt is no longer kept"),
    mark("guests cannot charge at {charger}"),
    mark("guests cannot charge here: no payment provider is set up"),
    mark("the form is too large"),
    mark("must lie between 0 and the battery's {capacity} kWh"),
    mark("must lie between 0 and the quantity, not {given}"),
    mark("must be a whole number from {least} to {most}, not {given}"),
    mark("must lie within +-{most}, not {given}"),
    mark("must be in UTC, not {given}"),
    mark("must be the start of a quarter-hour, not {given}"),
    mark("the quarter-hour it lies in starts at {start}"),
    mark("must be after {earlier} and lie ahead"),
    mark("must be a finite number of at least 0"),
    mark("is a magnitude in kW and must be a finite number of at least 0"),
    mark("give {first}, {second} or both"),
    mark("give either {first} or {second}"),
    mark("must lie ahead, at most {days} days"),
    mark("must be after {earlier}"),
    mark("must be a list"),
    mark("is nested too deeply"),
    mark("is nested too deeply, or has too large a number"),
    mark("{action} can do harm: send it again with confirm = true"),
    mark("it starts anew after each step: send it again with confirm = true"),
    mark("{version} has no request {action} for us to send"),
    mark("{version} has no request {action}"),
    mark("{charger} has told of no transaction {transaction}"),
    mark("{charger} did not take it: {why}"),
    mark("there is no charger {charger}"),
    mark("there is no charge point {charger}"),
    mark("no chargers can be reached from here"),
    mark("{charger} is not connected"),
    mark("no answer to {action} came in time"),
    mark("no charger called {identity} is waiting"),
    mark("no charger called {identity} was refused"),
    mark("{identity} is the name of another charge point"),
    mark("{count} requests wait for the charger already"),
    mark("the connection has ended"),
    mark("the charger still owes an answer to an earlier request"),
    mark("the connection went before the answer came"),
    mark("{charger} uses security profile {profile} already"),
    mark("no encrypted connections are taken here: {setting} opens them"),
    mark(
        "the root of our certificate is not known, which a charger needs to believe us: "
        "put it at the end of {setting}"
    ),
    mark("we sign no certificates for chargers: {setting} is needed"),
    mark("a car charges at {charger}, which would have to start anew"),
    mark("it did not take a password: {why}"),
    mark("it took everything and did not start anew: {why}"),
    mark("it came back with security profile {now}: its way of profile {wanted} did not lead here"),
    mark("the connection went {moment}"),
    mark("it did not take {what}: {why}"),
    mark("it took no certificate of its own; its notices may say why"),
    mark("it has not come back for {seconds} s; it is let in with profile {profile} or higher"),
    mark("{charger} is being raised already"),
    mark("an encrypted address begins with wss://, not as {address} does"),
    mark("a car has begun to charge: try again once it has gone"),
    mark("{party} is registered: remove it first"),
    mark("there is no provider {party}"),
    mark("{count} of the tokens belong to another provider"),
    mark("{count} of the tokens belong to members or cars of this site"),
    mark("the token of {party} has ended"),
    mark("this site does not roam: {setting} is missing"),
    mark("is in the list more than once"),
    mark("is there more than once"),
    mark("there is no member {member}: a resident's token opens one member's data"),
    mark("there is no supplier {supplier} in the site file"),
    mark("there is no member {member} that is a fleet"),
    mark("a token of role {role} is nobody's in particular: leave the member out"),
    mark("{id} known with other content: use a new id"),
    mark("the body is larger than {bytes} bytes: send less at once"),
    mark("the body did not come within {seconds} s"),
    mark("no answer about {what}"),
)
"""The forms of the sentences that residents, guests and operators may meet."""
LENGTH_MAX = 500
"""Longer sentences stay as they are: somebody has put a text of their own into one, and forms with several
figures would look at it for seconds."""
_FIGURE = re.compile(r"\\\{(\w+)\\\}")
"""A figure's place in a form that was escaped."""
_PLACED = re.compile(r"(?P<place>[\w.\[\]]+): (?P<rule>.+?)(?: \((?P<way_out>.+)\))?", re.DOTALL)
"""A problem on one line, as `str(Problem)` writes it."""


@cache
def _forms() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Every form with its pattern, those that say most in words first: a shorter one may fit it too."""
    forms = {*DETAILS, *RULES.values()}
    ordered = sorted(forms, key=lambda form: (-len(re.sub(r"\{\w+\}", "", form)), form))
    return tuple(
        (form, re.compile(_FIGURE.sub(r"(?P<\1>.+?)", re.escape(form)), re.DOTALL)) for form in ordered
    )


def in_words(sentence: str, words: Translator) -> str:
    """A sentence of an error in the reader's language; a problem on one line keeps its place."""
    if len(sentence) > LENGTH_MAX:
        return sentence
    known = _known(sentence, words)
    if known is not None:
        return known
    placed = _PLACED.fullmatch(sentence)
    if placed is None:
        return sentence
    problem = Problem(place=placed["place"], rule=placed["rule"], way_out=placed["way_out"] or "")
    return str(problem_in_words(problem, words))


def problem_in_words(problem: Problem, words: Translator) -> Problem:
    """A problem in the reader's language; its place stays."""
    rule, way_out = (_known(part, words) or part for part in (problem.rule, problem.way_out))
    return Problem(place=problem.place, rule=rule, way_out=way_out)


def _known(sentence: str, words: Translator) -> str | None:
    """A sentence of a known form in the reader's language; None: no form fits it."""
    if len(sentence) > LENGTH_MAX:
        return None
    for form, pattern in _forms():
        found = pattern.fullmatch(sentence)
        if found is not None:
            return words.say(form, **found.groupdict())
    return None
