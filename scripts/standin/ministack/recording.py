"""Records each AWS call of the functions if the variable STANDIN_CALLS names a file."""

import os
import sys
from pathlib import Path

from standin.ministack.registry import hook


@hook
def recorded_calls() -> None:
    """Make botocore load the recorder into every client of a function."""
    if os.environ.get("STANDIN_CALLS"):
        # The folder holds nothing else, so functions cannot import anything else.
        folder = str(Path(__file__).with_name("recorder"))
        os.environ["BOTOCORE_EXPERIMENTAL__PLUGINS"] = "recorder=call_recorder"
        os.environ["PYTHONPATH"] = folder
        sys.path.append(folder)  # for MiniStack's own clients
