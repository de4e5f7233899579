"""Which kinds of events about a person the code can record, and with which reasons: read from the sources, not from a list.

A recorder is whatever ends in ``audit.record``, ``audit.record_alike`` or a spool's ``audit``. From there the kind, the reason and
whether there is a subject are followed back through parameters, variables and returned values to the constants that they come
from. What cannot be followed is an error, so that nothing is missed in silence.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[2]
_SPOOL = "spool.audit"  # a method, whoever holds the spool
_RECORDERS = {"idp.audit.record": 1, "idp.audit.record_alike": 1, _SPOOL: 1}  # → the position of the kind


class Unknown(LookupError):
    """A value that does not come from constants that can be found."""


@dataclass
class Call:
    """A call, with the functions that it stands in, the innermost first."""

    module: str
    node: ast.Call
    inside: list[ast.FunctionDef]


@dataclass
class Module:
    """What of a module is needed to follow a name."""

    name: str
    tree: ast.Module
    imported: dict[str, str] = field(default_factory=dict)  # name → what it is, with dots
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)  # methods too
    constants: dict[str, ast.expr] = field(default_factory=dict)


def sources() -> dict[str, str]:
    """The product's modules by name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path.read_text("utf-8")
        for path in sorted((ROOT / "idp").rglob("*.py"))
        if "migrations" not in path.parts
    }


class Recorded:
    """The kinds and reasons of a program."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        """Read the sources."""
        self._modules = {name: _read(name, text) for name, text in texts.items()}
        self._calls: dict[str, list[Call]] = {}
        for module in self._modules.values():
            for call in _calls(module.tree, module.name, []):
                self._calls.setdefault(self._callee(call), []).append(call)
        self.kinds: set[str] = set()
        self.reasons: set[str] = set()
        for recorder, position in _RECORDERS.items():
            for call in self._calls.get(recorder, []):
                for about in self._about_people(call, "subject", is_alike=recorder.endswith("_alike")):
                    self._note(call, about, position)

    def every_kind(self) -> set[str]:
        """Return every kind that can be recorded, about a person or not."""
        return {
            kind
            for recorder, position in _RECORDERS.items()
            for call in self._calls.get(recorder, [])
            for kind in self._values(call.node.args[position], call, [])
        }

    def _note(self, call: Call, about: list[Call], position: int) -> None:
        """Note what one call records, as it was reached through the calls of ``about``, the outermost first."""
        for kind in self._values(call.node.args[position], call, about):
            self.kinds.add(kind)
        details = _keyword(call.node, "details")
        if isinstance(details, ast.Dict):
            for key, value in zip(details.keys, details.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "reason":
                    self.reasons |= self._values(value, call, about)

    def _about_people(self, call: Call, name: str, *, is_alike: bool = False) -> list[list[Call]]:
        """Return the ways to a call that have a subject: each the outer calls that decide it, none where the call does by itself."""
        subject = _keyword(call.node, name)
        if is_alike:
            return [[]]
        if subject is None or (isinstance(subject, ast.Constant) and subject.value is None):
            return []
        owner = _owner(subject, call)
        if owner is None:
            return [[]]
        function, parameter = owner
        ways = []
        for outer in self._calls.get(f"{call.module}.{function.name}", []):
            given = _argument(outer.node, function, parameter)
            is_none = given is None or (isinstance(given, ast.Constant) and given.value is None)
            if not is_none:
                ways.append([outer])
        return ways

    def _values(self, expression: ast.expr, call: Call, about: list[Call], depth: int = 0) -> set[str]:
        """Return the constants that an expression can be, seen from a call."""
        if depth > 12:
            raise Unknown(ast.unparse(expression))
        if isinstance(expression, ast.Constant):
            return {expression.value} if isinstance(expression.value, str) else set()
        if isinstance(expression, ast.IfExp):
            return set().union(
                *(self._values(each, call, about, depth + 1) for each in (expression.body, expression.orelse))
            )
        if isinstance(expression, ast.BoolOp):
            return set().union(*(self._values(each, call, about, depth + 1) for each in expression.values))
        if isinstance(expression, ast.Call):
            return self._returned(expression, call, depth)
        if isinstance(expression, ast.Name):
            return self._named(expression, call, about, depth)
        if isinstance(expression, ast.Attribute):
            found = self._modules[call.module].imported.get(ast.unparse(expression.value))
            if found in self._modules and expression.attr in self._modules[found].constants:
                return self._values(self._modules[found].constants[expression.attr], call, about, depth + 1)
        raise Unknown(f"{call.module}:{expression.lineno} {ast.unparse(expression)}")

    def _named(self, name: ast.Name, call: Call, about: list[Call], depth: int) -> set[str]:
        for function in call.inside:
            assigned = list(_assigned(function, name.id))
            if assigned:
                return set().union(*(self._values(each, call, about, depth + 1) for each in assigned))
        owner = _owner(name, call)
        module = self._modules[call.module]
        if owner is not None:
            function, parameter = owner
            qualified = f"{call.module}.{function.name}"
            outer = [each for each in about if self._callee(each) == qualified] or self._calls.get(qualified, [])
            found: set[str] = set()
            for each in outer:
                given = _argument(each.node, function, parameter) or _default(function, parameter)
                if given is not None:
                    found |= self._values(given, each, [], depth + 1)
            return found
        if name.id in module.constants:
            return self._values(module.constants[name.id], call, about, depth + 1)
        origin, _, constant = module.imported.get(name.id, "").rpartition(".")
        if origin in self._modules and constant in self._modules[origin].constants:
            return self._values(self._modules[origin].constants[constant], call, about, depth + 1)
        raise Unknown(f"{call.module}:{name.lineno} {name.id}")

    def _returned(self, called: ast.Call, call: Call, depth: int) -> set[str]:
        """Return the constants that a function of our own can return."""
        module, _, name = self._callee(Call(call.module, called, call.inside)).rpartition(".")
        function = self._modules[module].functions.get(name) if module in self._modules else None
        if function is None:
            raise Unknown(f"{call.module}:{called.lineno} {ast.unparse(called)}")
        found: set[str] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Return) and node.value is not None:
                found |= self._values(node.value, Call(module, called, [function]), [], depth + 1)
        return found

    def _callee(self, call: Call) -> str:
        """Return what is called, with dots; of a method of one's own class as a function of the module."""
        module, called = self._modules[call.module], call.node.func
        if isinstance(called, ast.Name):
            return module.imported.get(called.id, f"{call.module}.{called.id}")
        if not isinstance(called, ast.Attribute):
            return ""
        holder = ast.unparse(called.value)
        if called.attr == "audit" and holder.endswith("spool"):
            return _SPOOL
        if holder == "self":
            return f"{call.module}.{called.attr}"
        return f"{module.imported.get(holder, '?')}.{called.attr}"


def _read(name: str, text: str) -> Module:
    module = Module(name, ast.parse(text))
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for each in node.names:
                module.imported[each.asname or each.name] = f"{node.module}.{each.name}"
        elif isinstance(node, ast.FunctionDef):
            module.functions[node.name] = node
    for node in module.tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for each, value in _pairs(target, node.value):
                    module.constants[each] = value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            module.constants[node.target.id] = node.value
    return module


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _pairs(one, its)


def _calls(node: ast.AST, module: str, inside: list[ast.FunctionDef]) -> Iterator[Call]:
    if isinstance(node, ast.FunctionDef):
        inside = [node, *inside]
    if isinstance(node, ast.Call):
        yield Call(module, node, inside)
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, module, inside)


def _keyword(node: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in node.keywords if each.arg == name), None)


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [each.arg for each in (*function.args.posonlyargs, *function.args.args)]


def _owner(expression: ast.expr, call: Call) -> tuple[ast.FunctionDef, str] | None:
    """Return the function whose parameter an expression is."""
    if isinstance(expression, ast.Name):
        for function in call.inside:
            if expression.id in (*_parameters(function), *(each.arg for each in function.args.kwonlyargs)):
                return function, expression.id
    return None


def _argument(node: ast.Call, function: ast.FunctionDef, parameter: str) -> ast.expr | None:
    """Return what a call hands over for a parameter; None where it hands over nothing."""
    given = _keyword(node, parameter)
    if given is not None or parameter not in _parameters(function):
        return given
    names = [name for name in _parameters(function) if name != "self"]
    position = names.index(parameter)
    return node.args[position] if position < len(node.args) else None


def _default(function: ast.FunctionDef, parameter: str) -> ast.expr | None:
    names, defaults = _parameters(function), function.args.defaults
    if parameter in names[len(names) - len(defaults) :]:
        return defaults[names[len(names) - len(defaults) :].index(parameter)]
    for each, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True):
        if each.arg == parameter:
            return default
    return None


def _assigned(function: ast.FunctionDef, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                for each, value in _pairs(target, node.value):
                    if each == name:
                        yield value
