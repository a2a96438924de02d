"""Flask-WebSub's hub, on the port that is named: `python flask_hub.py 8080`. It says "ready" once it listens.

Its work is done by Celery where it is at home; here by threads of the same process, which need no broker.
"""

import functools
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from flask import Flask
from flask_websub.hub import Hub, SQLite3HubStorage
from werkzeug.serving import make_server

THREADS = 32


class Threads:
    """What Flask-WebSub uses of Celery: tasks with `delay`."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS)

    def task(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        def made(function: Callable[..., Any]) -> Any:
            called = functools.partial(function, _Task()) if options.get("bind") else function
            return SimpleNamespace(delay=lambda *given: self._pool.submit(called, *given))

        return made


class _Task:
    request = SimpleNamespace(retries=0)

    def retry(self, countdown: float) -> None:
        raise TimeoutError(f"it would be tried again in {countdown:.0f} s")


def main(port: int) -> None:
    app = Flask(__name__)
    app.config["PUBLISH_SUPPORTED"] = True
    with tempfile.TemporaryDirectory(prefix="flask-websub-") as folder:
        hub = Hub(SQLite3HubStorage(f"{folder}/hub.sqlite3"), celery=Threads(), **app.config)
        app.register_blueprint(hub.build_blueprint(url_prefix="/hub"))
        server = make_server("127.0.0.1", port, app, threaded=True)
        print("ready", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
