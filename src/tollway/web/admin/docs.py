"""Swagger UI from packaged files: no content network is asked, no script of the page is inline."""

from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from tollway.domain.brand import NAME

router = APIRouter(include_in_schema=False)
_ASSETS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
_PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{NAME} admin API</title>
<link rel="stylesheet" href="/api/docs/swagger-ui.css"></head>
<body><div id="docs"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script><script src="/api/docs/start.js"></script>
</body></html>
"""
_START = """window.ui = SwaggerUIBundle({
  url: "/api/v1/openapi.json", dom_id: "#docs", deepLinking: true, validatorUrl: null
});
"""


@router.get("/api/docs")
def page() -> HTMLResponse:
    """The page."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": _POLICY})


@router.get("/api/docs/start.js")
def start() -> Response:
    """What starts it."""
    return Response(_START, media_type="text/javascript")


@router.get("/api/docs/{name}")
def asset(name: str) -> Response:
    """A packaged file."""
    if name not in _ASSETS:
        return Response(status_code=404)
    content = files("fastapi_swagger").joinpath("resources", name).read_bytes()
    return Response(
        content, media_type=_ASSETS[name], headers={"cache-control": "public, max-age=86400"}
    )
