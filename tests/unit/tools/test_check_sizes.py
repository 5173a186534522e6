"""The size check: what it counts, and that its exemptions can only shrink."""

import ast

import pytest

from tools.check_sizes import (
    Excess,
    Module,
    broad_excepts,
    excesses,
    judge_broad,
    judge_excesses,
    parameters_of,
)


def module(source: str, path: str = "src/tollway/domain/key.py") -> Module:
    return Module(path, len(source.splitlines()), ast.parse(source))


def rules(source: str, path: str = "src/tollway/domain/key.py") -> set[str]:
    return {excess.rule for excess in excesses(module(source, path))}


def function(source: str) -> ast.FunctionDef:
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def test_a_small_module_with_a_docstring_is_within_every_limit() -> None:
    """Nothing is reported about a module that follows the rules."""
    assert rules('"""What it decides."""\n\n\ndef one(a, b, *, c):\n    return a\n') == set()


@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ('"""Doc."""\n' + "x = 1\n" * 400, "module-lines"),
        ('"""Doc."""\ndef long():\n' + "    x = 1\n" * 60, "function-lines"),
        ('"""Doc."""\ndef wide(a, b, *, c, d, e, f, g, h): ...\n', "parameters"),
        ('"""Doc."""\ndef bare(a, b, c, d): ...\n', "positional"),
        ("x = 1\n", "no-docstring"),
        ('"""' + "line\n" * 9 + '"""\n', "docstring-lines"),
    ],
)
def test_each_limit_is_seen(source: str, rule: str) -> None:
    """One line or one parameter past a limit is an excess."""
    assert rules(source) == {rule}


@pytest.mark.parametrize("path", ["src/tollway/utils.py", "src/tollway/common/key.py"])
def test_names_that_say_nothing_are_refused(path: str) -> None:
    """Neither a module nor a folder may be called utils, helpers, common or manager."""
    assert rules('"""Doc."""\n', path) == {"name"}


def test_private_functions_may_take_what_they_like_by_position() -> None:
    """How a module calls its own functions is its own matter."""
    assert rules('"""Doc."""\ndef _bare(a, b, c, d): ...\n') == set()


def test_methods_are_measured_without_self() -> None:
    """self and cls are not parameters."""
    assert parameters_of(function("def m(self, a, b, *, c): ...")) == (3, 2)


def test_functions_inside_classes_and_functions_are_found_by_their_dotted_name() -> None:
    """A long method or inner function cannot hide."""
    inner = "        x = 1\n" * 61
    source = f'"""Doc."""\nclass A:\n    def method(self):\n{inner}'
    (excess,) = excesses(module(source))
    assert excess.where.endswith(":A.method")


def test_a_new_excess_fails_and_an_exempted_one_does_not() -> None:
    """The list excuses exactly what it names."""
    found = Excess("function-lines", "src/a.py:f", 70, 60)
    assert judge_excesses([found], {}) != []
    assert judge_excesses([found], {found.entry: 70}) == []


def test_an_exempted_figure_may_not_grow() -> None:
    """An exemption is for what is there, not for more."""
    found = Excess("function-lines", "src/a.py:f", 71, 60)
    assert judge_excesses([found], {found.entry: 70}) != []


def test_an_exemption_that_nothing_needs_fails() -> None:
    """The list only shrinks: a stale entry must be removed."""
    assert judge_excesses([], {("positional", "src/a.py:f"): 4}) != []


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ("try: ...\nexcept Exception: ...", 1),
        ("try: ...\nexcept (OSError, BaseException): ...", 1),
        ("try: ...\nexcept: ...", 1),
        ("with contextlib.suppress(Exception): ...", 1),
        ("try: ...\nexcept OSError: ...", 0),
        ("with contextlib.suppress(OSError): ...", 0),
    ],
)
def test_broad_handlers_are_counted_in_every_form(source: str, count: int) -> None:
    """Bare, named, in a tuple, or suppressed: all catch everything."""
    assert broad_excepts(module(source)) == count


def test_broad_handlers_must_equal_their_list() -> None:
    """More than listed fails, fewer asks to lower the list."""
    assert judge_broad({"a.py": 1}, {"a.py": 1}) == []
    assert judge_broad({"a.py": 2}, {"a.py": 1}) != []
    assert judge_broad({}, {"a.py": 1}) != []
