"""Takes a picture of every page, with ordinary and with difficult contents: `python docs/screenshots/pages.py [NAME …]`.

320 and 1280 pixels wide, light and dark, in English and in German, into var/preview; nothing of it is kept in the repository. Look at
them after every change of a template or of static/idp.css.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREVIEW = ROOT / "tests" / "pages" / "preview.py"


def main() -> None:
    """Take them, one language after the other."""
    for language in ("en", "de"):
        sys.stdout.write(f"{language} …\n")
        sys.stdout.flush()
        subprocess.run([sys.executable, str(PREVIEW), "--language", language, *sys.argv[1:]], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
