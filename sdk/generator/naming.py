"""How operations, models and parameters are called in the SDKs: rules, no table.

- The tag of an operation is its namespace: `Role bindings` → `client.role_bindings`.
- The operation's name is the method, without the namespace's noun where that stands behind the verb: `list_groups` → `list`,
  `add_group_members` → `add_members`, but `list_user_sessions` of the tag `Sessions` stays. Where two would then be alike, both keep the noun.
  `patch` is `update`, the word that programmers look for.
- Operations that several services have by one name (`health_ready`) are named by their service: `client.health.user_flow_ready`.
- A list that is read by cursor has an iterator beside it: `list_members` → `iterate_members`.
"""

from __future__ import annotations

import keyword
import re


def words_of(text: str) -> list[str]:
    """Return the words of a title or a name in lower case: `Role bindings` → role, bindings."""
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", text)]


def snake(text: str) -> str:
    """Return a title as a name of Python's."""
    name = "_".join(words_of(text))
    return f"{name}_" if keyword.iskeyword(name) else name


def pascal(text: str) -> str:
    """Return a title or a snake-case name as the name of a class."""
    return "".join(word[:1].upper() + word[1:] for word in re.findall(r"[A-Za-z0-9]+", text))


def camel(name: str) -> str:
    """Return a name of Python's as one of TypeScript's."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def singular(word: str) -> str:
    """Return the singular of a noun as they occur in tags: `policies` → policy, `addresses` → address, `users` → user."""
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us")) else word


def method_of_service(operation: str, tag: str, service_title: str) -> str:
    """Return what an operation is called that several services have by one name."""
    rest = [word for word in words_of(operation) if word not in (*words_of(tag), "get")]
    return snake(" ".join([service_title, *rest]))


def method_name(operation: str, tag: str, *, keeps_noun: bool = False) -> str:
    """Return what an operation is called within its namespace."""
    words, noun = words_of(operation), words_of(tag)
    verb, rest = words[0], words[1:]
    for form in (noun, [*noun[:-1], singular(noun[-1])]):
        if not keeps_noun and rest[: len(form)] == form:
            rest = rest[len(form) :]
            break
    return snake("_".join(["update" if verb == "patch" else verb, *rest]))


def iterator_name(method: str) -> str:
    """Return what the iterator beside a list is called."""
    return (
        "iterate" + method.removeprefix("list") if method.split("_", maxsplit=1)[0] == "list" else f"iterate_{method}"
    )
