"""The list that Python reads from a C source is the list that the compiler sees, or an error."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from core.native import CORE, Native, run
from vmaf_train.errors import ConfigError
from vmaf_train.op_allowlist import Allowlist, load_allowlist

SOURCE = (CORE / "src" / "dnn" / "op_allowlist.c").read_text()

KEPT = {
    "block comment": ('    "Conv",\n', '    /* "Conv", */\n'),
    "block comment over lines": (
        '    "Conv",\n    "ConvTranspose",\n',
        '    /* "Conv",\n    "ConvTranspose",\n */\n',
    ),
    "line comment": ('    "Conv",\n', '    // "Conv",\n'),
    "comment inside a string": ('    "Conv",\n', '    "Conv", // "/*"\n'),
    "if 0": ('    "Conv",\n', '#if 0\n    "Conv",\n#endif\n'),
    "if 1 else": ('    "Conv",\n', '#if 1\n    "Mod",\n#else\n    "Conv",\n#endif\n'),
    "if 0 else": ('    "Conv",\n', '#if 0\n    "Conv",\n#else\n    "Mod",\n#endif\n'),
    "if 0 elif": ('    "Conv",\n', '#if 0\n    "Mod",\n#elif 1\n    "Where",\n#else\n    "Conv",\n#endif\n'),
    "if 1 elif 1": ('    "Conv",\n', '#if 1\n    "Mod",\n#elif 1\n    "Where",\n#endif\n'),
    "nested if": (
        '    "Conv",\n',
        '# if 0\n#ifdef X\n "Mod",\n#else\n "Where",\n#endif\n#define Y\n# endif\n',
    ),
    "directive behind a comment": ('    "Conv",\n', '/* a\nb */ #if 0\n    "Conv",\n#endif\n'),
    "endif inside a comment": ('    "Conv",\n', '#if 0\n/*\n#endif\n*/\n    "Conv",\n#endif\n'),
    "one line": ('    "Conv",\n    "ConvTranspose",\n', '"Conv","ConvTranspose" ,\n'),
    "no comma at the end": ('    "If",\n};', '    "If"\n};'),
    "string elsewhere": (
        "bool vmaf_dnn_op_allowed(",
        'extern const char *message;\nconst char *message = "\\"Mod\\", {\\n";\n\nbool vmaf_dnn_op_allowed(',
    ),
    "nothing changed": ("", ""),
}


def changed(before: str, after: str) -> str:
    assert before in SOURCE
    return SOURCE.replace(before, after, 1)


def compiled_list(source: Path, folder: Path) -> tuple[str, ...]:
    """Compile the source on its own and return the entries of its array."""
    library = folder / f"{source.stem}.so"
    run(
        ["cc", "-std=c11", "-shared", "-fPIC", f"-I{CORE / 'src' / 'dnn'}", str(source), "-o", str(library)],
        folder,
    )
    return Native.op_list(ctypes.CDLL(str(library)))[0]


@pytest.mark.parametrize("endings", ["LF", "CRLF"])
@pytest.mark.parametrize("change", KEPT)
def test_the_list_is_what_the_compiler_sees(change: str, endings: str, compile_source: Path) -> None:
    source = compile_source / f"list_{change.replace(' ', '_')}_{endings}.c"
    text = changed(*KEPT[change])
    source.write_bytes((text.replace("\n", "\r\n") if endings == "CRLF" else text).encode())
    assert load_allowlist(source).ops == compiled_list(source, compile_source)


def test_the_shipped_list_and_policy_are_the_same_in_the_library(
    native: Native, allowlist: Allowlist
) -> None:
    ops, rules = Native.op_list(native.lib)
    assert allowlist.ops == ops
    assert {
        (op, name, value)
        for op, rows in allowlist.policy.items()
        for name, values in rows.items()
        for value in values
    } == set(rules)
    assert len(ops) == 70


def test_a_source_that_the_compiler_reads_differently_is_an_error(compile_source: Path) -> None:
    source = compile_source / "spliced.c"
    source.write_text(changed('    "Conv",\n', '    // a comment that goes on \\\n    "Conv",\n'))
    assert "Conv" not in compiled_list(source, compile_source)
    with pytest.raises(ConfigError, match="backslash"):
        load_allowlist(source)
