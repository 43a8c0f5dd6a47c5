"""Makes the README's picture of the report.

In scripts/: `PYTHONPATH=../functions python -m browser.picture`.

Chromium writes it as WebP, a third of the size of PNG.
"""

import base64
import sys
import tempfile
from pathlib import Path

from operate.report.page import page

from browser.chromium import NoBrowserError, chromium
from browser.sample import sample_report

PICTURE = Path(__file__).parents[2] / ".github/report.webp"
MEMBERS, WIDTH, HEIGHT, QUALITY = 120, 1180, 880, 0.8
AS_WEBP = """\
async ([png, quality]) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [image.width, image.height];
  canvas.getContext('2d').drawImage(image, 0, 0);
  return canvas.toDataURL('image/webp', quality).split(',')[1];
}
"""


def take(file: Path = PICTURE) -> None:
    """Write the picture of the top of the page. Raises NoBrowserError."""
    with tempfile.TemporaryDirectory(prefix="picture-") as folder, chromium() as browser:
        source = Path(folder) / "report.html"
        source.write_text(page(sample_report(MEMBERS)))
        tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1.5)
        tab.goto(source.as_uri())
        png = base64.b64encode(tab.screenshot()).decode()
        file.write_bytes(base64.b64decode(browser.new_page().evaluate(AS_WEBP, [png, QUALITY])))


if __name__ == "__main__":
    try:
        take()
    except NoBrowserError as error:
        sys.exit(f"error: {error}")
