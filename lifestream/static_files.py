"""The files of `static/`, at an address that holds the hash of them all, so that each may be kept for ever.

The hash is a folder of the address, /static/~HASH/style.css: what a style sheet or a module names beside itself is
found under the same one.
"""

from functools import cache
from hashlib import blake2b

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lifestream.places import top

FOREVER = "public, max-age=31536000, immutable"


@cache
def version() -> str:
    """Of the files as they were when this process first asked."""
    digest = blake2b(digest_size=6)
    for file in sorted(path for path in top("static").rglob("*") if path.is_file()):
        digest.update(f"{file.name}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def address(path: str) -> str:
    """Of a file in `static/`."""
    return f"/static/~{version()}/{path}"


class Static(StaticFiles):
    """Under another hash than the present one a file is as it is now, and kept by nobody."""

    def __init__(self) -> None:
        super().__init__(directory=top("static"))

    async def get_response(self, path: str, scope: Scope) -> Response:
        folder, _, file = path.partition("/")
        hashed = folder.startswith("~")
        response = await super().get_response(file if hashed else path, scope)
        response.headers["Cache-Control"] = FOREVER if folder == f"~{version()}" else "no-cache"
        return response
