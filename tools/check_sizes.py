"""Sizes and names that the tree may not outgrow: lines, parameters, module names, broad `except`.

Exemptions stand in two lists beside this file and can only shrink: an entry that is no longer
needed fails like a new offence, and an exempted figure may fall but not rise.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHECKED = ("src", "tools")
EXEMPTIONS = Path("tools/size_exemptions.txt")
BROAD_EXCEPTS = Path("tools/broad_excepts.txt")

MODULE_LINES = 400
FUNCTION_LINES = 60
PARAMETERS = 7
# The style is "keyword-only past two". Ports on the hot path take three, so three is checked, and
# only where others call: private functions and constructors are their module's own matter.
POSITIONAL = 3
DOCSTRING_LINES = 8  # aim for five; theory with its source may take a little more
SHAPELESS_NAMES = frozenset(
    {"util", "utils", "helper", "helpers", "common", "misc", "manager", "managers"}
)
BROAD = frozenset({"Exception", "BaseException"})

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Excess:
    """One figure over its limit. `where` is `path` or `path:function`."""

    rule: str
    where: str
    figure: int
    limit: int

    @property
    def entry(self) -> tuple[str, str]:
        return self.rule, self.where


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file."""

    path: str
    lines: int
    tree: ast.Module

    def functions(self) -> Iterator[tuple[str, Function]]:
        """Every function with its dotted name, nested ones included."""
        yield from _functions(self.tree, "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def load(folders: Sequence[str]) -> list[Module]:
    """Every Python file under these folders, in order of path."""
    modules = []
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            modules.append(Module(path.as_posix(), len(text.splitlines()), ast.parse(text)))
    return modules


def length_of(function: Function) -> int:
    """Lines from the signature to the last line, decorators left out."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters_of(function: Function) -> tuple[int, int]:
    """How many parameters, and how many of them may be given by position; not self or cls."""
    taken = function.args
    positional = [argument.arg for argument in (*taken.posonlyargs, *taken.args)]
    if positional and positional[0] in ("self", "cls"):
        positional = positional[1:]
    return len(positional) + len(taken.kwonlyargs), len(positional)


def excesses(module: Module) -> Iterator[Excess]:
    """Everything in one module that is over a limit."""
    yield from _over("module-lines", module.path, figure=module.lines, limit=MODULE_LINES)
    for name in Path(module.path).with_suffix("").parts:
        yield from _over("name", module.path, figure=int(name in SHAPELESS_NAMES), limit=0)
    docstring = ast.get_docstring(module.tree)
    yield from _over("no-docstring", module.path, figure=int(not docstring), limit=0)
    shown = len((docstring or "").splitlines())
    yield from _over("docstring-lines", module.path, figure=shown, limit=DOCSTRING_LINES)
    for name, function in module.functions():
        where = f"{module.path}:{name}"
        total, positional = parameters_of(function)
        yield from _over("function-lines", where, figure=length_of(function), limit=FUNCTION_LINES)
        yield from _over("parameters", where, figure=total, limit=PARAMETERS)
        if not function.name.startswith("_"):
            yield from _over("positional", where, figure=positional, limit=POSITIONAL)


def _over(rule: str, where: str, *, figure: int, limit: int) -> Iterator[Excess]:
    if figure > limit:
        yield Excess(rule, where, figure, limit)


def broad_excepts(module: Module) -> int:
    """How many places in a module catch, or suppress, everything."""
    return sum(_is_broad(node) for node in ast.walk(module.tree))


def _is_broad(node: ast.AST) -> bool:
    if isinstance(node, ast.ExceptHandler):
        return node.type is None or any(
            isinstance(part, ast.Name) and part.id in BROAD for part in ast.walk(node.type)
        )
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
        return any(isinstance(part, ast.Name) and part.id in BROAD for part in node.args)
    return False


def judge_excesses(found: Sequence[Excess], exempted: dict[tuple[str, str], int]) -> list[str]:
    """What is wrong: new or grown excesses, and exemptions that nothing needs any more."""
    complaints = []
    for excess in found:
        allowed = exempted.get(excess.entry)
        if allowed is None or excess.figure > allowed:
            limit = excess.limit if allowed is None else f"{allowed} (exempted)"
            complaints.append(f"{excess.where}: {excess.rule} {excess.figure}, limit {limit}")
    needed = {excess.entry for excess in found}
    for rule, where in sorted(set(exempted) - needed):
        complaints.append(f"{EXEMPTIONS}: '{rule} {where}' is no longer needed: remove it")
    return complaints


def judge_broad(found: dict[str, int], allowed: dict[str, int]) -> list[str]:
    """What is wrong: broad handlers beyond the list, and list entries above what is there."""
    complaints = []
    for path in sorted(found.keys() | allowed.keys()):
        here, listed = found.get(path, 0), allowed.get(path, 0)
        if here > listed:
            complaints.append(f"{path}: {here} broad excepts, {listed} allowed in {BROAD_EXCEPTS}")
        elif here < listed:
            complaints.append(f"{BROAD_EXCEPTS}: {path} has {here} now: lower its {listed}")
    return complaints


def read_exemptions(path: Path) -> dict[tuple[str, str], int]:
    """Lines `rule where figure`; `#` begins a comment."""
    return {(rule, where): int(figure) for rule, where, figure in _rows(path)}


def read_broad(path: Path) -> dict[str, int]:
    """Lines `path count`; `#` begins a comment."""
    return {where: int(count) for where, count in _rows(path)}


def _rows(path: Path) -> Iterator[list[str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].split()
        if text:
            yield text


def quantile(figures: Sequence[int], share: float) -> int:
    """The figure that this share of them does not exceed."""
    ranked = sorted(figures)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0


def summary(modules: Sequence[Module]) -> str:
    """One line on modules and one on functions."""
    lines = [module.lines for module in modules]
    lengths = [length_of(function) for module in modules for _, function in module.functions()]
    return "\n".join(
        f"{what}: {len(figures)}, lines median {quantile(figures, 0.5)}, "
        f"p90 {quantile(figures, 0.9)}, max {max(figures, default=0)}"
        for what, figures in (("modules", lines), ("functions", lengths))
    )


def main() -> int:
    modules = load(CHECKED)
    found = [excess for module in modules for excess in excesses(module)]
    broad = {module.path: count for module in modules if (count := broad_excepts(module))}
    complaints = judge_excesses(found, read_exemptions(EXEMPTIONS))
    complaints += judge_broad(broad, read_broad(BROAD_EXCEPTS))
    print(summary(modules))
    print(f"exempted: {len(read_exemptions(EXEMPTIONS))}; broad excepts: {sum(broad.values())}")
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
