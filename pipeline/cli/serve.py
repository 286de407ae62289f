"""``gazet serve``: the web server alone; and the same beside ``gazet run``."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.logs import LogFormat, LogFormatOption, logging_to_stderr
from pipeline.cli.options import SiteOption, folder_of, stopping
from pipeline.errors import GazetError, StoreError

if TYPE_CHECKING:
    from pipeline.jobs.site import Site
    from pipeline.web.server import WebServer

_TRY_AGAIN_SECONDS = 30.0
_LOOK_UP_SECONDS = 5.0


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(serve)


def serve(
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where to listen; default: listen under [web]; port 0: any.")
    ] = "",
    site: SiteOption = None,
    log_format: LogFormatOption = LogFormat.AUTO,
) -> None:
    """Serve feeds, unsubscribe pages and digests on the web, until Ctrl-C or SIGTERM. `gazet run` does so too.

    Example: `gazet serve --listen 127.0.0.1:8080`
    """
    from pipeline import app, config

    with logging_to_stderr(log_format) as log, stopping() as stop, contextlib.ExitStack() as held:
        held.enter_context(app.serving(folder_of(site)))
        current = app.open_site(folder_of(site))
        log.about(lambda: current.settings)
        server = _server(lambda: current, lambda: datetime.now(UTC), log, listen)
        server.start()  # one that cannot says so here: it is no problem of a "gazet run", which may serve well beside it
        if not listen:
            _mended(current)
        try:
            log(_begins(current, server))
            while not stop.wait(_LOOK_UP_SECONDS) and server.alive:
                current = app.reload(current, datetime.now(UTC))
                if config.names_other_store(current.settings):
                    raise StoreError("store.url was edited: this web server ends.", fix="Start it again.")
        finally:
            server.stop()
            current.store.close()


def _mended(site: Site) -> None:
    """What "gazet run" could not do it does here, where run is told not to (--no-web)."""
    from pipeline.store import runs

    with contextlib.suppress(GazetError), site.store.write() as tx:
        runs.mended(tx, "web", datetime.now(UTC))


@contextlib.contextmanager
def beside(site: Callable[[], Site], say: Callable[[str], None]) -> Iterator[None]:
    """The web server beside what the body does. A place that is taken is a problem that is said, and tried again."""
    stop = threading.Event()
    thread = threading.Thread(target=_keep_serving, args=(site, say, stop), name="serve", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def _keep_serving(site: Callable[[], Site], say: Callable[[str], None], stop: threading.Event) -> None:
    server = None
    while not stop.is_set():
        if server is None or not server.alive:
            server = _started(site, say)
        stop.wait(_TRY_AGAIN_SECONDS)
    if server is not None:
        server.stop()


def _started(site: Callable[[], Site], say: Callable[[str], None]) -> WebServer | None:
    from pipeline.jobs import trust
    from pipeline.jobs.problems import noted

    server = _server(site, lambda: datetime.now(UTC), say)
    try:
        with noted(site(), "web", datetime.now(UTC)):
            server.start()
    except GazetError:  # kept as a problem, which the run says itself
        server.stop()
        return None
    with contextlib.suppress(GazetError):  # a store that is away is said by the run itself
        trust.ask_soon(site())
    say(_begins(site(), server))
    return server


def _server(site: Callable[[], Site], clock: Callable[[], datetime], say: Callable[[str], None], listen: str = "") -> WebServer:
    from pipeline.web.application import application
    from pipeline.web.server import WebServer

    return WebServer(application(site, clock, say), listen or site().settings.web.listen)


def _begins(site: Site, server: WebServer) -> str:
    from pipeline.jobs.lines import Line

    settings = site.settings.site
    return Line(f"serving {settings.title} at {server.url} as {settings.url}", "serving", {"url": server.url})
