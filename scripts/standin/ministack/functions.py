"""Runs functions as Lambda does: error names, crashes, and one copy of the code per version."""

import contextlib
import hashlib
import json
import os
import platform
import queue
import sys
import tempfile
import threading
import time
import types
import zipfile
from pathlib import Path
from typing import Any

from ministack.core import lambda_runtime
from ministack.services import lambda_svc

from standin.ministack.executions import Json
from standin.ministack.faults import take_function_fault
from standin.ministack.registry import hook
from standin.ministack.routes import route

# Marks a result that reports an exception.
_ERROR_KEY = "standinError"

_DIED = "Worker process died"

# The lines in MiniStack's worker script that report an exception of the handler
# and of the import.
_HANDLER_REPORT = (
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), '
    '"trace": traceback.format_exc()}) + "\\n")'
)
_INIT_REPORT = '_real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\\n")'

_OUR_REPORTS = """
def _standin_report(stream, error, request_id):
    import json, traceback
    report = {
        "errorMessage": str(error),
        "errorType": type(error).__name__,
        "requestId": request_id,
        "stackTrace": [
            frame
            for frame in traceback.format_tb(error.__traceback__)
            if "_worker.py" not in frame
        ],
    }
    stream.write(json.dumps({"status": "ok", "result": {"standinError": report}}) + "\\n")

def _standin_report_init(stream, error):
    import json
    name = "Runtime.ImportModuleError" if isinstance(error, ImportError) else type(error).__name__
    report = json.dumps({"errorMessage": str(error), "errorType": name})
    stream.write(json.dumps({"status": "error", "error": report}) + "\\n")
"""


_HANDLER = "getattr(mod, handler_name)"

_LOG_END = "standin: end of log"
_LOG_SECONDS = 0.25

_LOGGED_HANDLER = f"""
def _standin_logged(handler):
    import sys, traceback

    def run(event, context):
        try:
            return handler(event, context)
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            print(f"[ERROR] {{type(error).__name__}}: {{error}}\\n{{text}}", file=sys.stderr)
            raise
        finally:
            print({_LOG_END!r}, file=sys.stderr, flush=True)

    return run
"""

# Function processes inherit the environment variables from MiniStack's own.
_SCALE_TIME = """
def _standin_scale_time():
    import os, time
    speed = float(os.environ.get("STANDIN_SPEED", "1"))
    if speed == 1:
        return
    sleep, monotonic, start = time.sleep, time.monotonic, time.monotonic()
    time_ns, start_ns = time.time_ns, int(os.environ["STANDIN_START_NS"])
    time.sleep = lambda seconds: sleep(seconds / speed)
    time.monotonic = lambda: start + (monotonic() - start) * speed
    time.time_ns = lambda: start_ns + int((time_ns() - start_ns) * speed)

_standin_scale_time()
"""


@route("GET", "/_standin/interpreter")
def _interpreter(_: None) -> Json:
    """Return the Python that runs the functions, so that their package can be built elsewhere."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"version": version, "machine": platform.machine().lower()}


@hook
def function_time() -> None:
    """Speed up time for functions, too, when the stand-in runs faster than AWS.

    Scales `time.sleep`, `time.monotonic` and, from one start for all processes, `time.time_ns`, and
    so the waits that follow a quota. Leaves `time.time` unchanged.
    """
    os.environ["STANDIN_START_NS"] = str(time.time_ns())
    lambda_runtime._PYTHON_WORKER_SCRIPT = _SCALE_TIME + lambda_runtime._PYTHON_WORKER_SCRIPT


@hook
def function_errors() -> None:
    """Report a function's errors under the names that Lambda gives them.

    MiniStack reports every error as Runtime.HandlerError, so no Retry or Catch by exception class
    matches. It also ends the worker, so every error costs a cold start.
    """

    def execute(function: Json, event: Any, request_id: str) -> Json:
        return _as_lambda(original(function, event, request_id), request_id)

    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    report = '_standin_report(_real_stdout, e, _ms_ctx.get("request_id", ""))'
    script = _replace_once(script, _HANDLER_REPORT, report)
    script = _replace_once(script, _INIT_REPORT, "_standin_report_init(_real_stdout, e)")
    lambda_runtime._PYTHON_WORKER_SCRIPT = _OUR_REPORTS + script
    original = lambda_svc._execute_function_warm
    lambda_svc._execute_function_warm = execute


@hook
def function_logs() -> None:
    """Log an exception as Lambda does, and detect when a function's log is complete.

    MiniStack waits 50 ms for a first line after an invocation that logs nothing.
    """

    def drain(worker: Any) -> str:
        lines: list[str] = []
        deadline = time.monotonic() + _LOG_SECONDS
        with contextlib.suppress(queue.Empty):  # the process died, or its log is stuck
            while (line := _next_line(worker, deadline)) != _LOG_END:
                lines.append(line)
        return "\n".join(lines)

    lambda_runtime._PYTHON_WORKER_SCRIPT = _LOGGED_HANDLER + _replace_once(
        lambda_runtime._PYTHON_WORKER_SCRIPT, _HANDLER, f"_standin_logged({_HANDLER})"
    )
    lambda_runtime.Worker._drain_stderr_bounded = drain


@hook
def shared_code() -> None:
    """Share one extracted folder among all workers of a code version.

    MiniStack extracts the whole zip for each worker, which slows cold starts and fills the disk.
    """

    class SharedZipFile(zipfile.ZipFile):
        def extractall(self, path: Any = None, *_: Any, **__: Any) -> None:
            Path(path).rmdir()
            Path(path).symlink_to(_shared_folder(self))
            if self.filename:
                Path(self.filename).unlink()

    lambda_runtime.zipfile = types.SimpleNamespace(
        ZipFile=SharedZipFile, BadZipFile=zipfile.BadZipFile
    )


@hook
def function_faults() -> None:
    """Make planned invocations fail: with an error, or a crash midway."""

    def invoke(worker: Any, event: Any, request_id: str, **options: Any) -> Json:
        fault = take_function_fault(worker.func_name, event)
        if fault is None:
            return original(worker, event, request_id, **options)
        if fault["kind"] == "error":
            report = {"errorMessage": "Planned fault", "errorType": fault["error"]}
            return {"status": "ok", "result": {_ERROR_KEY: report}}
        lambda_runtime.ensure_spawned(worker)
        response = {}
        if delay := fault.get("delay", 0.1):
            killer = threading.Timer(delay, _kill, [worker])
            killer.start()
            response = original(worker, event, request_id, **options)
            killer.cancel()
        _kill(worker)
        return {"status": "error", "error": _DIED, "log": response.get("log", "")}

    original = lambda_runtime.Worker.invoke
    lambda_runtime.Worker.invoke = invoke


def _replace_once(script: str, old: str, new: str) -> str:
    if script.count(old) != 1:
        raise RuntimeError(f"MiniStack's worker script has not exactly one {old}")
    return script.replace(old, new)


def _next_line(worker: Any, deadline: float) -> str:
    """Return the next line of the function's log; raise queue.Empty at the deadline."""
    seconds = max(0.0, deadline - time.monotonic())
    return str(worker._stderr_queue.get(timeout=seconds))


def _as_lambda(reply: Json, request_id: str) -> Json:
    """Return MiniStack's reply with the error that Lambda would report."""
    body = reply.get("body")
    if isinstance(body, dict) and _ERROR_KEY in body:
        return {**reply, "error": True, "body": body[_ERROR_KEY]}
    if not reply.get("error") or not isinstance(body, dict):
        return reply
    message = body.get("errorMessage", "")
    if message == _DIED or message.startswith("Worker process exited immediately"):
        cause = f"RequestId: {request_id} Error: Runtime exited with error: signal: killed"
        return {**reply, "body": {"errorMessage": cause, "errorType": "Runtime.ExitError"}}
    if message.startswith("Worker init failed: "):
        return {**reply, "body": json.loads(message.removeprefix("Worker init failed: "))}
    if reply.get("throttle"):
        error = {"errorMessage": body["message"], "errorType": "Lambda.TooManyRequestsException"}
        return {**reply, "body": {**body, **error}}
    return reply


def _kill(worker: Any) -> None:
    process = worker._proc
    if process is not None:
        process.kill()
        process.wait()


_extraction = threading.Lock()


def _shared_folder(archive: zipfile.ZipFile) -> Path:
    """Return the folder that holds the archive's files, extracting them once."""
    parts = [f"{entry.filename} {entry.CRC}" for entry in archive.infolist()]
    digest = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"function-code-{digest}"
    with _extraction:
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            zipfile.ZipFile.extractall(archive, unfinished)
            unfinished.rename(folder)
    return folder
