"""Write the generated parts of both SDKs anew from the OpenAPI documents: `make sdk`. With --check only say what is stale."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generator import python, typescript  # noqa: E402
from generator.reading import Api, read  # noqa: E402

PUBLIC_URL = "https://id.example.com"


def api() -> Api:
    """Return what the documents of the services say."""
    from idp.api.document import document_of
    from idp.api.services import SERVICES

    return read({service.name: document_of(service, PUBLIC_URL) for service in SERVICES})


def render() -> dict[Path, str]:
    """Return every generated file by its path."""
    found = api()
    made = {HERE / "python" / "src" / "authsec" / name: text for name, text in python.render(found).items()}
    return made | {HERE / "typescript" / "src" / name: text for name, text in typescript.render(found).items()}


def stale() -> list[Path]:
    """Return the generated files that are not as they would be written now."""
    return [path for path, text in render().items() if not path.exists() or path.read_text("utf-8") != text]


def main() -> int:
    """Write what is stale."""
    found = stale()
    made = render()
    for path in found:
        print(path.relative_to(HERE.parent))
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(made[path], "utf-8")
    return 1 if found and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
