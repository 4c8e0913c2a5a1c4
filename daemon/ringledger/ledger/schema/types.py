"""Types of columns."""

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from ringledger.ledger.times import to_ms, to_text_or_none


class UtcText(TypeDecorator[int]):
    """A column of times: text in the database, int milliseconds in Python."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return to_text_or_none(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        return None if value is None else to_ms(value)
