"""Identifies this stand-in, so that a client detects a different one on its port."""

import os

from standin.ministack.executions import Json
from standin.ministack.routes import route


@route("GET", "/_standin/instance")
def _instance(_: None) -> Json:
    return {"instance": os.environ.get("STANDIN_INSTANCE", "")}
