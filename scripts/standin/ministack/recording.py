"""Records each AWS call of the functions, where the variable STANDIN_CALLS names a file."""

import os
import sys
from pathlib import Path

from standin.ministack.registry import hook


@hook
def recorded_calls() -> None:
    """Let botocore load the recorder into every client of a function; MiniStack records nothing."""
    if os.environ.get("STANDIN_CALLS"):
        # A folder with nothing else in it, so that functions find nothing else.
        folder = str(Path(__file__).with_name("recorder"))
        os.environ["BOTOCORE_EXPERIMENTAL__PLUGINS"] = "recorder=call_recorder"
        os.environ["PYTHONPATH"] = folder
        sys.path.append(folder)  # for MiniStack's own clients
