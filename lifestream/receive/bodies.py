"""Reading what a request carries, within bounds."""

from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from lifestream.errors import InvalidInput, PayloadTooLarge

FORM_LIMIT = 64 * 1024


async def read_body(request: Request, limit: int) -> bytes:
    """The body. Raises PayloadTooLarge as soon as it is known to be longer than `limit` bytes."""
    too_large = PayloadTooLarge(f"The request's body is over the limit of {limit:,} bytes.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise too_large
            parts.append(part)
    except ClientDisconnect:
        raise InvalidInput("The request ended before its body did.") from None
    body = b"".join(parts)
    if (told := request.scope.get("exchange")) is not None:  # receive/recorded.py
        told.carried(body)
        told.step("Received", f"{size:,} bytes")
    return body


def query_of(request: Request) -> str:
    """The query as it came; `request.url` would take the whole address apart."""
    query: bytes = request.scope["query_string"]
    return query.decode("latin-1")


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The pairs of the query and of a form-urlencoded body, in order; a body of another kind counts as empty."""
    pairs = parse_qsl(query_of(request), keep_blank_values=True, errors="replace")
    body = await read_body(request, FORM_LIMIT)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind in ("application/x-www-form-urlencoded", ""):
        try:
            pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1000)
        except ValueError:
            raise InvalidInput("The form has more than 1,000 fields.") from None
    return pairs
