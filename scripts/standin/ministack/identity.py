"""Tells which stand-in this is, so that nobody takes another one at its port for it."""

import os

from standin.ministack.executions import Json
from standin.ministack.routes import route


@route("GET", "/_standin/instance")
def _instance(_: None) -> Json:
    return {"instance": os.environ.get("STANDIN_INSTANCE", "")}
