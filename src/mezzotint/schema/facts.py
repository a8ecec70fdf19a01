"""Facts taken from private data, until somebody declares them public."""

from __future__ import annotations

from dataclasses import dataclass

from mezzotint.privacy.accounting import PrivacyUnit
from mezzotint.schema.attribute import Attribute
from mezzotint.schema.categories import Categorical
from mezzotint.schema.numeric import Numeric

UNIT_FACTS = ("name", "rows")


@dataclass(frozen=True)
class Fact:
    """One fact of a schema that has not been declared public.

    Attributes:
        attribute: The attribute that it is about; None for the privacy unit.
        name: Which fact: "type", "bounds", "bins", "special", "categories", "missing", "rows".
        value: What the schema says, in words; "not known" where it is still to be given.
        known: Whether the schema says anything; if not, it cannot be confirmed, only given.
    """

    attribute: str | None
    name: str
    value: str
    known: bool = True

    @property
    def key(self) -> tuple[str | None, str]:
        """Attribute and name."""
        return self.attribute, self.name

    @property
    def question(self) -> str:
        """A yes-or-no question for the person who answers for the data."""
        if self.attribute is None:
            return f"Privacy unit: is it true that {self.value}?"
        return f"{self.attribute}: is it public that {self.value}?"

    def __str__(self) -> str:
        return f"{self.attribute or 'unit'}: {self.name}"


def fact_about(attribute: Attribute, name: str) -> Fact:
    """A fact of an attribute, in words."""
    known = attribute.lacks != name
    return Fact(attribute.name, name, _words(attribute, name) if known else "not known", known)


def fact_about_unit(unit: PrivacyUnit, name: str) -> Fact:
    """A fact of the privacy unit, in words."""
    rows = "row" if unit.rows == 1 else "rows"
    words = {
        "name": f"one {unit.name} is what is to be protected",
        "rows": f"one {unit.name} contributes at most {unit.rows} {rows}",
    }
    return Fact(None, name, words[name])


def _words(attribute: Attribute, name: str) -> str:
    match name, attribute:
        case "type", _:
            words = f"its values are of the type {attribute.type}"
        case "missing", Attribute(missing=None):
            words = "a value is never missing"
        case "missing", Attribute(missing=(first, *_)):
            words = f"a value can be missing (written as {first!r})"
        case "categories", Categorical(categories=categories):
            more = f" and {len(categories) - 12} more" if len(categories) > 12 else ""
            words = f"its values are {', '.join(categories[:12])}{more}"
        case "bounds", Numeric():
            low, high = attribute.write(attribute.least), attribute.write(attribute.greatest)
            words = f"its values lie between {low} and {high}"
        case "special", Numeric(special=special):
            words = f"the values {', '.join(map(attribute.write, special))} stand out"
        case "bins", Numeric(spacing="log"):
            words = "it is skewed, so that bins that widen away from zero suit it"
        case _:
            words = f"its {name} are as the schema says"
    return words
