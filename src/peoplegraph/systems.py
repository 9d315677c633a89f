"""The systems of record that peoplegraph federates, by name."""

import enum

import strawberry


@strawberry.enum(description="A system of record that knows people.")
class System(enum.Enum):
    """One member per backend; its lower-case name is also its settings block."""

    COLLECTIONS = strawberry.enum_value(
        "Billtrust Collections", description="Billtrust Collections: representatives."
    )
    DISPUTES = strawberry.enum_value("Billtrust Disputes", description="Billtrust Disputes: assignees.")
    RPM = strawberry.enum_value("RPM", description="RPM: reps.")

    __hash__ = object.__hash__
    """Enum's own hashes the name, in Python, and systems are keys wherever a call passes."""

    @property
    def title(self) -> str:
        """The system's name as people say it."""
        return str(self.value)
