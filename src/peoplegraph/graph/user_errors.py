"""Refusals as data: the types in a mutation's `errors`."""

import strawberry

from peoplegraph.errors import AlreadyExists as Exists
from peoplegraph.errors import Forbidden, Invalid, Issue, Refused
from peoplegraph.errors import NotFound as Missing
from peoplegraph.systems import System

REFUSALS = (Refused, Forbidden)
"""What a mutation answers as data; everything else that goes wrong is a GraphQL error."""


@strawberry.interface(description="Why a system of record, or the gateway on its behalf, declined to write.")
class UserError:
    """The base of the errors that mutations answer with."""

    message: str = strawberry.field(description="What is wrong, in a sentence for people.")


@strawberry.type(description="There is no such record.")
class NotFound(UserError):
    """404, or RPM's `Rep not found`."""


@strawberry.type(description="There is such a record already.")
class AlreadyExists(UserError):
    """409."""


@strawberry.type(description="One thing that is wrong with the input.")
class FieldIssue:
    """A place in the GraphQL input and what is wrong there."""

    path: list[str] = strawberry.field(
        description='The way to the place, from the argument on: ["input", "email"].'
    )
    message: str = strawberry.field(description="What is wrong there.")


@strawberry.type(description="The input is not what the system accepts. Nothing was written.")
class InvalidInput(UserError):
    """400 or 422, RPM's complaints about parameters, or what the gateway finds before it calls."""

    issues: list[FieldIssue] = strawberry.field(description="What is wrong where; empty if the system did not say.")


@strawberry.type(description="The credential may not do this.")
class PermissionDenied(UserError):
    """403, or RPM's complaints about permissions."""

    permission: str | None = strawberry.field(
        description="The permission that is needed, as the system's own pages name it."
    )


@strawberry.type(description="Why one number could not be linked.")
class LinkError(UserError):
    """One failed link among several."""

    number: str = strawberry.field(description="The number, as it was asked for.")
    code: str = strawberry.field(
        description="`NOT_FOUND`, or one of the error codes that stand in `extensions.code` elsewhere."
    )


USER_ERRORS = (NotFound, AlreadyExists, InvalidInput, PermissionDenied, LinkError)
"""The types that are reached through the interface only, so that the schema has to be told of them."""


def user_error(refusal: Refused | Forbidden) -> UserError:
    """Return the refusal as data."""
    message = str(refusal)
    match refusal:
        case Forbidden():
            return PermissionDenied(message=message, permission=refusal.permission)
        case Missing():
            return NotFound(message=message)
        case Exists():
            return AlreadyExists(message=message)
        case Invalid():
            return InvalidInput(
                message=message,
                issues=[FieldIssue(path=list(i.path), message=i.message) for i in refusal.issues],
            )
        case _:
            return InvalidInput(message=message, issues=[])


def refuse(system: System, issues: list[Issue]) -> None:
    """Raise `Invalid` if there are issues: what the gateway knows will be refused is not sent."""
    if issues:
        raise Invalid(system, "; ".join(issue.message for issue in issues), issues)
