"""Lists as JSON, CSV or JSON lines, by what the asker accepts.

What must stay true: each form has the same columns; no cell of a CSV is a formula; a long answer is made in pieces.
"""

import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from fastapi import Request
from msgspec.json import Encoder
from starlette.responses import Response, StreamingResponse

from ringledger.text import CsvWriter
from ringledger.web.problems import Problem

Row = Mapping[str, Any]
_encode: Final = Encoder().encode


class Form(StrEnum):
    """What a list can be answered as."""

    JSON = "application/json"
    CSV = "text/csv"
    JSONL = "application/jsonl"


#: Other names people use for JSON lines.
_ALSO: Final = {"application/x-ndjson": Form.JSONL, "application/x-jsonlines": Form.JSONL}


def form_of(request: Request) -> Form:
    """The first form the asker accepts. Raises ``Problem``: none of them."""
    accepted = request.headers.get("accept", "") or "*/*"
    for part in accepted.lower().split(","):
        kind = part.partition(";")[0].strip()
        if kind in {"*/*", "application/*"}:
            return Form.JSON
        if kind == "text/*":
            return Form.CSV
        if kind in _ALSO:
            return _ALSO[kind]
        if kind in set(Form):
            return Form(kind)
    if "text/html" in accepted:  # a browser that follows a link
        return Form.JSON
    raise Problem(406, "not-acceptable", f"This can be had as {', '.join(Form)}.")


def json(data: Any, *, headers: Mapping[str, str] | None = None) -> Response:
    """One JSON document."""
    return Response(_encode(data), media_type=Form.JSON, headers=dict(headers or {}))


def listed(rows: Sequence[Row], columns: Sequence[str], form: Form, *, next_: str | None = None, name: str) -> Response:
    """One page of a list, or a whole short one."""
    if form is Form.JSON:
        return json({"items": rows, "next": next_})
    return Response(
        csv_header(columns) + csv_lines(rows, columns) if form is Form.CSV else lines(rows),
        media_type=_media(form),
        headers=_attached(name, form) | ({} if next_ is None else {"X-Next-Cursor": next_}),
    )


def streamed(
    page: Callable[[str | None], Awaitable[tuple[Sequence[Row], str | None]]],
    first: tuple[Sequence[Row], str | None],
    columns: Sequence[str],
    form: Form,
    *,
    name: str,
) -> Response:
    """All pages of a list, each asked for when the one before has gone out. ``page``: the one at a cursor."""

    async def pieces() -> AsyncIterator[bytes]:
        if form is Form.CSV:
            yield csv_header(columns)
        rows, cursor = first
        while True:
            yield csv_lines(rows, columns) if form is Form.CSV else lines(rows)
            if cursor is None:
                return
            rows, cursor = await page(cursor)

    return StreamingResponse(pieces(), media_type=_media(form), headers=_attached(name, form))


def lines(rows: Iterable[Row]) -> bytes:
    """An object a line."""
    return b"".join(_encode(row) + b"\n" for row in rows)


def csv_header(columns: Sequence[str]) -> bytes:
    """The names of the columns."""
    return ",".join(columns).encode() + b"\n"


def csv_lines(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """Rows as RFC 4180 has them; nothing stands for null."""
    text = io.StringIO(newline="")
    CsvWriter(text).rows([row.get(name) for name in columns] for row in rows)
    return text.getvalue().encode()


def _media(form: Form) -> str:
    return f"{form}; charset=utf-8" if form is Form.CSV else str(form)


def _attached(name: str, form: Form) -> dict[str, str]:
    ending = "csv" if form is Form.CSV else "jsonl"
    return {"Content-Disposition": f'attachment; filename="{name}.{ending}"'}
