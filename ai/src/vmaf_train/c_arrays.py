"""Read string tables out of a C source file, refusing every construct that is not understood.

Only what the compiler would see counts: comments and the disabled side of ``#if 0`` and ``#if 1``
are dropped first. Macros, other conditions, line splices, trigraphs, digraphs, string prefixes,
escapes and adjacent literals inside a table could all change what the compiler sees without
changing how the text looks, so each of them is an error and none is guessed at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

__all__ = ["CSourceError", "read_rows", "read_strings", "tokens"]


class CSourceError(ValueError):
    """The source holds something that this reader does not understand.

    Args:
        line: 1-based line of the construct, 0 for the file as a whole.
        found: what was there.
    """

    def __init__(self, line: int, found: str) -> None:
        self.line = line
        self.found = found
        super().__init__(f"line {line}: {found}" if line else found)


class Token(NamedTuple):
    """One live token: its kind (string, char, name, number, mark), its text and its line."""

    kind: str
    text: str
    line: int


_SCAN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<char>'(?:[^'\\\n]|\\.)+')
      | (?P<name>[A-Za-z_]\w*)
      | (?P<number>\d\w*)
      | (?P<newline>\n)
      | (?P<space>[ \t]+)
      | (?P<digraph><%|%>|<:|:>|%:)
      | (?P<mark>/(?!\*)|[{}()\[\];,=*<>&|!?:+\-.%^~\#])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)

_ENTRY = re.compile(r"[A-Za-z0-9_.*]+", re.ASCII)


def _fail(line: int, found: str) -> NoReturn:
    raise CSourceError(line, found)


def _lines(text: str) -> list[list[Token]]:
    """Split the source into logical lines of tokens; a comment never ends a line, as in C."""
    text = text.replace("\r\n", "\n")
    for pattern, found in (
        (r"\r", "a carriage return without a line feed"),
        (r"\0", "a NUL byte"),
        (r"\?\?", "a possible trigraph"),
        (r"\\[ \t\v\f]*\n", "a line that goes on after a backslash"),
    ):
        if match := re.search(pattern, text):
            _fail(text.count("\n", 0, match.start()) + 1, found)
    lines: list[list[Token]] = [[]]
    position, number = 0, 1
    while position < len(text):
        match = _SCAN.match(text, position)
        if match is None:
            rest = text[position : position + 12].split("\n")[0]
            _fail(number, f"text that is not understood: {rest!r}")
        kind, value = str(match.lastgroup), match.group()
        if kind == "digraph":
            _fail(number, f"the digraph {value}")
        if kind == "newline":
            lines.append([])
        elif kind not in ("comment", "space"):
            lines[-1].append(Token(kind, value, number))
        number += value.count("\n")
        position = match.end()
    return lines


@dataclass
class _Branch:
    """One open conditional: whether it is live now, may still become live, and has had #else."""

    live: bool
    may_turn: bool
    in_else: bool = False


def _condition(words: list[str], line: int) -> bool:
    if words not in (["0"], ["1"]):
        _fail(line, f"a condition other than 0 or 1: {' '.join(words) or 'nothing'}")
    return words == ["1"]


def _directive(branches: list[_Branch], line: list[Token], depth: int) -> None:
    """Apply one preprocessor line to the stack of open conditionals."""
    number = line[0].line
    words = [token.text for token in line[1:]]
    name, rest = (words[0], words[1:]) if words else ("", [])
    live = all(branch.live for branch in branches)
    if name in ("if", "ifdef", "ifndef"):
        if not live:
            branches.append(_Branch(live=False, may_turn=False))
        elif name == "if":
            value = _condition(rest, number)
            branches.append(_Branch(live=value, may_turn=not value))
        else:
            _fail(number, f"the directive #{name}")
    elif name in ("elif", "else", "endif"):
        if not branches or (branches[-1].in_else and name != "endif"):
            _fail(number, f"a #{name} without its #if")
        top = branches[-1]
        if name == "endif":
            branches.pop()
        elif name == "elif":
            top.live = top.may_turn and _condition(rest, number)
            top.may_turn = top.may_turn and not top.live
        else:
            top.live, top.may_turn, top.in_else = top.may_turn, False, True
        if name != "elif" and rest:
            _fail(number, f"text after #{name}")
    elif live and (name != "include" or depth != 0):
        _fail(number, f"the directive #{name}" + (" inside braces" if name == "include" else ""))


def tokens(text: str) -> list[Token]:
    """Return the tokens that a compiler would see, in order.

    Raises:
        CSourceError: the source holds something that is not understood.
    """
    branches: list[_Branch] = []
    live: list[Token] = []
    depth = 0
    for line in _lines(text):
        if line and line[0].text == "#":
            _directive(branches, line, depth)
        elif all(branch.live for branch in branches):
            for token in line:
                if token.text == "#":
                    _fail(token.line, "a # inside a line")
                depth += (token.text == "{") - (token.text == "}")
                live.append(token)
    if branches:
        _fail(0, "an #if without its #endif")
    if depth:
        _fail(0, "braces that do not balance")
    return live


def _table(live: list[Token], name: str, declaration: tuple[str, ...]) -> tuple[list[Token], int]:
    """Return the tokens between the braces of the one array ``name``, and the line it starts on."""
    head = (*declaration, name, "[", "]", "=", "{")
    texts = [token.text for token in live]
    starts = [
        i
        for i in range(len(texts))
        if tuple(texts[i : i + len(head)]) == head and texts[:i].count("{") == texts[:i].count("}")
    ]
    named = sum(texts[i : i + 3] == [name, "[", "]"] for i in range(len(texts)))
    if len(starts) != 1 or named != 1:
        _fail(0, f"{max(len(starts), named)} arrays declared '{' '.join(head[:-2])}' instead of one")
    start = starts[0] + len(head)
    depth, end = 1, start
    while depth:
        depth += (texts[end] == "{") - (texts[end] == "}")
        end += 1
    if texts[end : end + 1] != [";"]:
        _fail(live[end - 1].line, f"no semicolon after the array {name}")
    return live[start : end - 1], live[starts[0]].line


def _literals(items: list[Token], line: int, what: str) -> list[str]:
    """Read ``"a", "b"`` with an optional comma at the end."""
    values: list[str] = []
    for place, token in enumerate(items):
        if place % 2:
            if token.text != ",":
                _fail(token.line, f"{token.text} where a comma is due in {what}")
        elif token.kind != "string" or not _ENTRY.fullmatch(token.text[1:-1]):
            _fail(token.line, f"{token.text} where a plain string is due in {what}")
        else:
            values.append(token.text[1:-1])
    if not values:
        _fail(line, f"nothing in {what}")
    return values


def read_strings(live: list[Token], name: str) -> tuple[str, ...]:
    """Return the entries of the array ``static const char *const NAME[]``, in order.

    Raises:
        CSourceError: the array is missing, there twice, empty, or holds anything but plain
            string literals; or one string stands there twice.
    """
    items, line = _table(live, name, ("static", "const", "char", "*", "const"))
    values = _literals(items, line, f"the array {name}")
    for value in values:
        if values.count(value) > 1:
            _fail(line, f'"{value}" twice in the array {name}')
    return tuple(values)


def read_rows(live: list[Token], name: str, row_type: str, width: int) -> tuple[tuple[str, ...], ...]:
    """Return the rows ``{"a", "b"}`` of the array ``static const ROW_TYPE NAME[]``, in order.

    Raises:
        CSourceError: as ``read_strings``; or a row has not ``width`` entries.
    """
    items, line = _table(live, name, ("static", "const", row_type))
    rows: list[tuple[str, ...]] = []
    place = 0
    while place < len(items):
        texts = [token.text for token in items[place:]]
        if texts[0] != "{" or "}" not in texts:
            _fail(items[place].line, f"{texts[0]} where a row is due in the array {name}")
        end = place + texts.index("}")
        row = _literals(items[place + 1 : end], items[place].line, f"a row of the array {name}")
        if len(row) != width:
            _fail(items[place].line, f"a row of {len(row)} strings in the array {name}")
        if tuple(row) in rows:
            _fail(items[place].line, f"a row twice in the array {name}")
        rows.append(tuple(row))
        place = end + 1
        if place < len(items):
            if items[place].text != ",":
                _fail(items[place].line, f"{items[place].text} where a comma is due in the array {name}")
            place += 1
    if not rows:
        _fail(line, f"nothing in the array {name}")
    return tuple(rows)
