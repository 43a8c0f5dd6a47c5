"""Makes the README's picture of a run from the demo's output.

In scripts/: `bash demo.sh --accounts 12 | ../.build/ministack/bin/python -m demo.picture`
"""

import re
import sys
from collections.abc import Iterable
from io import StringIO
from itertools import takewhile
from pathlib import Path

from rich.console import Console

PICTURE = Path(__file__).parents[2] / ".github/demo.svg"
TITLE, WIDTH = "bash scripts/demo.sh", 100
# The rest is links, and paths of this machine.
END = "Execution: "


def picture(lines: Iterable[str]) -> str:
    """Return the lines as an SVG of a terminal, with bold headings."""
    console = Console(record=True, width=WIDTH, file=StringIO(), highlight=False, markup=False)
    before = "."
    for line in takewhile(lambda line: not line.startswith(END), lines):
        is_heading = not before.strip() and not line.startswith(" ")
        console.print(line.rstrip("\n"), style="bold" if is_heading else "", soft_wrap=False)
        before = line
    # Nothing is loaded from elsewhere: the reader's own monospace font is enough.
    return re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=TITLE), flags=re.DOTALL)


if __name__ == "__main__":
    PICTURE.write_text(picture(sys.stdin))
