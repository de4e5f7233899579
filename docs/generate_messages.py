"""Collects the sentences of idp/ and templates/ into idp/locale/idp.pot and brings every catalogue up to date: `make messages`.

`--check` writes nothing and says what is missing; docs/languages.md tells how to translate.
"""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from idp.language import placeholders

ROOT = Path(__file__).resolve().parents[1]
LOCALES = ROOT / "idp" / "locale"
TEMPLATE = LOCALES / "idp.pot"
# The demo relying party is in English only: it explains the protocol to developers.
METHODS = [
    ("demo/**", "ignore"),
    ("locale/**", "ignore"),
    ("**.py", "python"),
    ("**.html", "jinja2.ext:babel_extract"),
    ("**.txt", "jinja2.ext:babel_extract"),
]
OPTIONS = {
    "**.html": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"},
    "**.txt": {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"},
}
KEYWORDS = {**DEFAULT_KEYWORDS, "N_": None, "NN_": (1, 2)}
HEADER = """\
msgid ""
msgstr ""
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plural}\\n"

"""


def extracted() -> Catalog:
    """Return every sentence of the sources, with the files that it stands in."""
    found = Catalog(domain="idp", charset="utf-8", fuzzy=False)
    for folder in ("idp", "templates"):
        for file, _, message, comments, context in extract_from_dir(
            ROOT / folder, METHODS, OPTIONS, KEYWORDS, comment_tags=("Translators:",)
        ):
            found.add(message, None, [(f"{folder}/{file}", None)], auto_comments=comments, context=context)
    return found


def paths() -> list[Path]:
    """Return the catalogues that there are."""
    return sorted(LOCALES.glob("*/LC_MESSAGES/idp.po"))


def read(path: Path) -> Catalog:
    """Return a catalogue as it was written."""
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3].replace("-", "_"), domain="idp")


def written(catalogue: Catalog) -> str:
    """Return a catalogue as text: without dates and line numbers, so that it only changes with a sentence."""
    text = BytesIO()
    write_po(
        text, catalogue, omit_header=True, sort_by_file=True, include_lineno=False, ignore_obsolete=True, width=120
    )
    language = str(catalogue.locale).replace("_", "-") if catalogue.locale else ""
    plural = catalogue.plural_forms if catalogue.locale else "nplurals=2; plural=(n != 1);"
    return HEADER.format(language=language, plural=plural) + text.getvalue().decode()


def problems(template: Catalog, catalogue: Catalog) -> list[str]:
    """Return a line for each sentence that a catalogue lacks, has too much, or has in a way that cannot be shown."""
    found = [f"missing: {each.id!r}" for each in template if each.id and each.id not in catalogue]
    found += [f"obsolete: {each!r}" for each in catalogue.obsolete]
    for each in catalogue:
        if not each.id:
            continue
        sources = each.id if isinstance(each.id, tuple) else (each.id,)
        texts = each.string if isinstance(each.string, tuple) else (each.string,)
        if each.id not in template:
            found.append(f"obsolete: {each.id!r}")
        elif not all(texts) or (each.pluralizable and len(texts) != catalogue.num_plurals):
            found.append(f"not translated: {each.id!r}")
        elif each.fuzzy:
            found.append(f"fuzzy: {each.id!r}")
        else:
            wanted = frozenset().union(*map(placeholders, sources))
            found += [f"other placeholders: {text!r}" for text in texts if placeholders(text) != wanted]
    return found


def main() -> int:
    """Write the files, unless only a check is wanted; say what is to be done."""
    template = extracted()
    if "--check" not in sys.argv:
        TEMPLATE.write_text(written(template), "utf-8")
    status = 0
    for path in paths():
        catalogue = read(path)
        if "--check" not in sys.argv:
            catalogue.update(template)
            path.write_text(written(catalogue), "utf-8")
            catalogue = read(path)
            path.write_text(written(catalogue), "utf-8")  # sentences of one file are sorted as they are read back
        found = problems(template, catalogue)
        sys.stdout.write("".join(f"{path.relative_to(ROOT)}: {line}\n" for line in found))
        status |= bool(found)
    return status


if __name__ == "__main__":
    sys.exit(main())
