"""The pages of ``goldsieve serve``: a gallery of any filter or query, the story of a sample, labels, the report."""

import json
import threading
import uuid
from collections import OrderedDict
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from manifests import open_lake
from manifests.errors import GoldsieveError, LakeBusyError, UsageError
from pipelines.report import documented, render
from pipelines.thumbnails import Picture, draw, small_reader
from pipelines.web.guard import Guard
from quality.gallery import MOST_ROWS, PAGE, Gallery
from quality.page import TEMPLATES, environment, short_address

THUMBNAIL, LARGE = 288, 1600
KEPT_PICTURES = 3_000
"""Small pictures that are kept in memory, some 10 KB each."""
STATIC = {"page.css": "text/css", "serve.css": "text/css", "serve.js": "text/javascript"}
ONE_FILE = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"
)
"""What the report may do: all it needs is inside it."""
LABEL = "label"
"""Name of the labels that the buttons give; `goldsieve calibrate --labels lake` finds them."""


class Site:
    """What the pages share. ``label``: whether labels can be stored, and under which author."""

    def __init__(self, gallery: Gallery, label: bool, author: str = "") -> None:
        self.gallery = gallery
        self.label = label
        self.author = author
        self.reader = small_reader()
        self.columns = documented()
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._report: tuple[int, str] | None = None
        self._reporting = threading.Lock()

    # pages

    def gallery_page(self, request: Request) -> Response:
        """``sql`` shows a query's result; else ``where``, ``order``, ``tier``, ``source`` and ``rule`` choose samples."""
        ask = {name: request.query_params.get(name, "") for name in ("sql", "where", "order", "tier", "source", "rule")}
        number = page_number(request)
        self.gallery.refresh()
        try:
            if ask["sql"].strip():
                page = self.gallery.result(ask["sql"], number)
            else:
                page = self.gallery.page(ask["where"], ask["order"], {name: ask[name] for name in ("tier", "source", "rule")}, number)
        except UsageError as error:
            return self.html("gallery.html.jinja", 400, ask=ask, page=None, number=1, pages=0, problem=str(error), labels={})
        labels = self.gallery.labels([row["id"] for row in page.rows]) if not page.columns else {}
        pages = -(-page.total // (MOST_ROWS if page.columns else PAGE))
        return self.html("gallery.html.jinja", ask=ask, page=page, number=number, pages=pages, problem="", labels=labels)

    def story_page(self, request: Request) -> Response:
        """Everything known about one sample."""
        sample_id = sample_of(request)
        story = self.gallery.story(sample_id)
        return self.html("story.html.jinja", story=story, columns=self.columns, labels=self.gallery.labels([sample_id]).get(sample_id, {}))

    def story_json(self, request: Request) -> Response:
        story = self.gallery.whole_story(sample_of(request)).as_dict()
        return Response(json.dumps(story, default=str, ensure_ascii=False), media_type="application/json")

    def report_page(self, request: Request) -> Response:
        """The report of the lake as it is; made once a snapshot."""
        with self._reporting, open_lake(self.gallery.lake.address) as lake:
            if self._report is None or self._report[0] != lake.snapshot():
                self._report = (lake.snapshot(), render(lake, "Goldsieve report"))
        return HTMLResponse(self._report[1], headers={"Content-Security-Policy": ONE_FILE})

    def thumb(self, request: Request) -> Response:
        return self.picture(sample_of(request), THUMBNAIL)

    def large(self, request: Request) -> Response:
        return self.picture(sample_of(request), LARGE)

    def picture(self, sample_id: str, side: int) -> Response:
        """A picture made anew from the sample's pixels: a file's own bytes never reach the browser."""
        name = f"{sample_id}/{side}"
        with self._lock:
            found = self._pictures.pop(name, None)
        if found is None:
            row = self.gallery.sample(sample_id)
            if row is None:
                return PlainTextResponse("There is no such sample.", 404)
            found = draw(row, self.reader, side)
        if side == THUMBNAIL:
            with self._lock:
                self._pictures[name] = found
                while len(self._pictures) > KEPT_PICTURES:
                    self._pictures.popitem(last=False)
        if found.data is None:
            return PlainTextResponse(found.why, 404)
        return Response(found.data, media_type="image/webp", headers={"Cache-Control": "private, max-age=600"})

    async def add_label(self, request: Request) -> Response:
        """JSON with sample_id, label (default 'label') and value; '' takes it back."""
        try:
            given = json.loads(await request.body())
            sample_id = str(uuid.UUID(str(given["sample_id"])))
            label, value = str(given.get("label", LABEL)).strip(), str(given["value"]).strip()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return PlainTextResponse("JSON with sample_id, label and value is needed.", 400)
        if not 0 < len(label) <= 60 or len(value) > 200 or not (label + value).isprintable():
            return PlainTextResponse("A label has at most 60 printable characters, its value at most 200.", 400)
        return await run_in_threadpool(self.store_label, sample_id, label, value)

    def store_label(self, sample_id: str, label: str, value: str) -> Response:
        if self.gallery.sample(sample_id) is None:
            return PlainTextResponse("There is no such sample.", 404)
        try:
            with self._writing, open_lake(self.gallery.lake.address, read_only=False) as lake, lake.writing("label", wait_s=3.0):
                lake.add_labels([(sample_id, label, value, self.author)])
        except LakeBusyError as error:
            return PlainTextResponse(str(error), 409)
        self.gallery.note_label(sample_id, label, value)
        return JSONResponse({"sample_id": sample_id, "label": label, "value": value})

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in STATIC:
            return PlainTextResponse("Not found.", 404)
        return Response((TEMPLATES / name).read_bytes(), media_type=STATIC[name], headers={"Cache-Control": "no-cache"})

    def html(self, template: str, status: int = 200, **values: Any) -> Response:
        page = environment().get_template(template).render(
            lake=short_address(self.gallery.lake), label=self.label, choices=self.gallery.choices(), **values
        )  # fmt: skip
        return HTMLResponse(page, status)


def page_number(request: Request) -> int:
    text = request.query_params.get("page", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0


def sample_of(request: Request) -> str:
    """The id in the path. Raises `UsageError` for anything but a UUID."""
    try:
        return str(uuid.UUID(request.path_params["sample_id"]))
    except ValueError as error:
        raise UsageError("A sample is named by its id.") from error


async def refused(request: Request, error: Exception) -> Response:
    """A sentence, never a traceback."""
    return PlainTextResponse(str(error), 400 if isinstance(error, UsageError) else 503)


def make_app(gallery: Gallery, token: str | None = None, label: bool = False, author: str = "") -> Starlette:
    """The application. ``token``: needed from every client unless None (loopback only)."""
    site = Site(gallery, label, author)
    routes = [
        Route("/", site.gallery_page),
        Route("/sample/{sample_id}", site.story_page),
        Route("/sample/{sample_id}/json", site.story_json),
        Route("/thumb/{sample_id}", site.thumb),
        Route("/picture/{sample_id}", site.large),
        Route("/report", site.report_page),
        Route("/static/{name}", site.static),
        Route("/label", site.add_label, methods=["POST"]),
    ]
    middleware = [Middleware(BaseHTTPMiddleware, dispatch=Guard(token, label).__call__)]
    return Starlette(routes=routes, middleware=middleware, exception_handlers={GoldsieveError: refused})
