"""Light or dark, as a reader chose it: a cookie that the pages are rendered by, so that nothing flashes and no script
is needed. Who chose nothing sees what the owner chose for them.
"""

from urllib.parse import urlsplit, urlunsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from lifestream.access import same_site
from lifestream.errors import InvalidInput, NotAllowed
from lifestream.receive.bodies import read_form
from lifestream.site import Site

COOKIE = "theme"
CHOICES = ("light", "dark")
SYSTEM = "system"
LASTS = 365 * 24 * 3600


def theme_of(request: Request) -> str:
    """ "light" or "dark"; empty for what the reader's system says."""
    site: Site = request.app.state.site
    chosen = request.cookies.get(COOKIE, "")
    theme = chosen if chosen in (*CHOICES, SYSTEM) else site.config.theme
    return "" if theme == SYSTEM else theme


async def choose(request: Request) -> Response:
    """`POST /theme`. The cookie harms nobody, so it takes no token; still, only our own pages may set it."""
    site: Site = request.app.state.site
    if not _is_ours(site, request):
        raise NotAllowed("This form did not come from this site's own page; load the page again.", status=403)
    chosen = dict(await read_form(request)).get("theme", "")
    response = RedirectResponse(_back(site, request), 303)
    if chosen in CHOICES or (chosen == SYSTEM and site.config.theme != SYSTEM):
        response.set_cookie(
            COOKIE, chosen, max_age=LASTS, path="/", secure=site.config.secure, httponly=True, samesite="lax"
        )
    elif chosen == SYSTEM:
        response.delete_cookie(COOKIE, path="/", secure=site.config.secure, httponly=True, samesite="lax")
    else:
        raise InvalidInput("The theme is system, light or dark.")
    return response


def _is_ours(site: Site, request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    return "origin" not in request.headers or same_site(site, request)


def _back(site: Site, request: Request) -> str:
    """The page that the form was on: of another one's address, nothing is used."""
    try:
        came_from = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    ours = came_from.netloc in (request.headers.get("host", ""), urlsplit(site.config.base_url).netloc)
    path = came_from.path if ours and came_from.path.startswith("/") else "/"
    return urlunsplit(("", "", "/" + path.lstrip("/"), came_from.query if ours else "", ""))


routes = [Route("/theme", choose, methods=["POST"])]
