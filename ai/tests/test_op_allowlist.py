"""The op list is read from the C source or refused aloud; the report names what it refuses."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from onnx import helper, parser

from vmaf_train.errors import ConfigError, ContractError
from vmaf_train.files import resource
from vmaf_train.op_allowlist import (
    Allowlist,
    AllowlistReport,
    Reason,
    check_graph,
    check_model,
    load_allowlist,
)

SHIPPED = resource("op_allowlist.c", "core", "src", "dnn", "op_allowlist.c")
POLICY = 'static const VmafDnnAttrRule attr_policy[] = {\n    {"Resize", "mode", "linear"},\n};\n'


def source(tmp_path: Path, entries: str, policy: str = POLICY, head: str = "") -> Path:
    """Write a C source whose array holds the entries."""
    path = tmp_path / "op_allowlist.c"
    path.write_text(f"{head}static const char *const op_allowlist[] = {{\n{entries}\n}};\n{policy}")
    return path


def parsed(body: str) -> onnx.ModelProto:
    return parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[N] x) => (float[N] y) {{ {body} }}'
    )


@pytest.fixture(scope="module")
def allowlist() -> Allowlist:
    return load_allowlist()


def test_the_shipped_list_holds_the_ops_of_the_exported_student(allowlist: Allowlist) -> None:
    assert {"Conv", "Relu", "MaxPool", "ConvTranspose", "Concat", "Sigmoid"} <= set(allowlist.ops)
    assert allowlist.path == SHIPPED


@pytest.mark.parametrize(
    "op", ["Upsample", "Scan", "Mod", "Where", "Equal", "Range", "Floor", "Ceil", "linear"]
)
def test_the_shipped_list_leaves_out(op: str, allowlist: Allowlist) -> None:
    assert op not in allowlist.ops


def test_words_of_comments_and_of_the_policy_are_no_ops(tmp_path: Path) -> None:
    path = source(tmp_path, '"Conv", /* modes "linear", "nearest" */\n"Relu", // "Mod"')
    assert load_allowlist(path).ops == ("Conv", "Relu")


def test_disabled_entries_do_not_count(tmp_path: Path) -> None:
    path = source(tmp_path, '"Conv",\n#if 0\n"Mod",\n#else\n"Relu",\n#endif')
    assert load_allowlist(path).ops == ("Conv", "Relu")


def test_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "op_allowlist.c"
    path.write_bytes(SHIPPED.read_bytes().replace(b"\n", b"\r\n"))
    assert load_allowlist(path).ops == load_allowlist().ops


def test_one_line_adds_an_op_and_another_one_limits_it(tmp_path: Path) -> None:
    path = tmp_path / "op_allowlist.c"
    text = SHIPPED.read_text()
    for line in ('    "Expand",\n', '    {"Resize", "mode", "linear"},\n'):
        assert text.count(line) == 1
    text = text.replace('    "Expand",\n', '    "Expand",\n    "Mod",\n')
    path.write_text(text.replace('    {"Resize", "mode", "linear"},\n', '    {"Mod", "fmod", "0"},\n'))
    wider = load_allowlist(path)
    model = parsed("y = Mod <fmod = 0> (x, x)")
    assert not check_graph(model).ok
    assert check_graph(model, wider).ok
    report = check_graph(parsed("y = Mod <fmod = 1> (x, x)"), wider)
    assert [(fault.reason, fault.detail) for fault in report.violations] == [
        (Reason.ATTRIBUTE_POLICY, "fmod")
    ]


UNREADABLE = {
    "an empty array": "",
    "only a comment": '/* "Conv" */',
    "only disabled entries": '#if 0\n"Conv",\n#endif',
    "an op twice": '"Conv", "Relu", "Conv"',
    "a macro for an entry": "CONV_OP,",
    "two literals side by side": '"Con" "v",',
    "an escape in an entry": '"Con\\x76",',
    "a wide literal": 'L"Conv",',
    "an empty entry": '"",',
    "an entry with a space": '"Conv ",',
    "a number": "0,",
    "NULL at the end": '"Conv", NULL',
    "two commas": '"Conv",, "Relu"',
    "a designated entry": '[0] = "Conv",',
    "a nested brace": '{"Conv"},',
    "an include inside": '"Conv",\n#include "more.inc"',
    "a definition inside": '"Conv",\n#define X\n',
    "a condition on a name": '#ifdef WITH_MOD\n"Mod",\n#endif\n"Conv"',
    "a condition that is computed": '#if 1 - 1\n"Mod",\n#endif\n"Conv"',
    "an elif on a name": '#if 0\n#elif defined(X)\n"Mod",\n#endif\n"Conv"',
    "an if without its end": '#if 0\n"Mod",\n',
    "an end without its if": '"Conv",\n#endif',
    "two else": '#if 0\n#else\n#else\n#endif\n"Conv"',
    "a comment without its end": '"Conv", /* ',
    "a string without its end": '"Conv,',
    "a line that goes on": '"Conv", // \\\n"Relu",',
    "a line that goes on after a space": '"Conv", // \\ \n"Relu",',
    "a trigraph": '"Conv", // ??/\n"Relu",',
    "a digraph": '"Conv", %:if 0\n"Relu",',
    "a lone carriage return": '"Conv", // a\r"Relu",',
    "a NUL": '"Conv",\0',
    "a letter beyond ASCII": '"Cönv",',
    "a directive in the middle of a line": '"Conv", #if 0\n"Relu",',
}


@pytest.mark.parametrize("fault", UNREADABLE)
def test_a_list_with_a_fault_is_an_error_that_names_the_file(fault: str, tmp_path: Path) -> None:
    path = source(tmp_path, UNREADABLE[fault])
    with pytest.raises(ConfigError, match=r"op_allowlist\.c"):
        load_allowlist(path)


RENAMED = {
    "another name": ("op_allowlist[]", "allowed_ops[]"),
    "another type": ("static const char *const op_allowlist[]", "static const char *op_allowlist[]"),
    "a size": ("op_allowlist[]", "op_allowlist[80]"),
    "no semicolon": ("\n};\nstatic const VmafDnnAttrRule", "\n}\nstatic const VmafDnnAttrRule"),
    "the policy renamed": ("attr_policy[]", "attr_rules[]"),
    "an empty policy": ('    {"Resize", "mode", "linear"},\n', ""),
    "a policy row too short": ('{"Resize", "mode", "linear"}', '{"Resize", "mode"}'),
    "a policy row twice": (
        '{"Resize", "mode", "linear"},',
        '{"Resize", "mode", "linear"}, {"Resize", "mode", "linear"},',
    ),
    "a policy row without braces": ('{"Resize", "mode", "linear"}', '"Resize", "mode", "linear"'),
    "policy rows without a comma": ('{"Resize", "mode", "linear"}', '{"a", "b", "c"} {"d", "e", "f"}'),
    "two arrays": (
        "static const char",
        'static const char *const op_allowlist[] = {"Mod"};\nstatic const char',
    ),
    "a second array of another type": (
        "static const char",
        "static int op_allowlist[] = {1};\nstatic const char",
    ),
    "braces that do not close": ("\n};\nstatic const Vmaf", "\n;\nstatic const Vmaf"),
}


@pytest.mark.parametrize("fault", RENAMED)
def test_an_array_that_is_not_the_declared_one_is_an_error(fault: str, tmp_path: Path) -> None:
    path = source(tmp_path, '"Conv",')
    before, after = RENAMED[fault]
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigError, match=r"op_allowlist\.c"):
        load_allowlist(path)


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.c"):
        load_allowlist(tmp_path / "nowhere.c")


def test_a_file_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "op_allowlist.c"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"op_allowlist\.c"):
        load_allowlist(path)


def test_an_accepted_model_is_described_and_passes(allowlist: Allowlist) -> None:
    report = check_graph(parsed("a = Relu (x) b = ai.onnx.Relu (a) y = Neg (b)"), allowlist)
    assert report == AllowlistReport(None, ok=True, ops=("Neg", "Relu"), opset=17, nodes=3, violations=())
    report.require()
    assert str(report) == "ok model: opset 17, 3 nodes"


def test_a_refused_op_is_named_with_domain_node_model_and_advice(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(parsed("[last] y = NonZero (x)").SerializeToString())
    with pytest.raises(ContractError) as caught:
        check_model(path).require()
    text = str(caught.value)
    for part in ("m.onnx", "op_not_allowed", '"NonZero"', '"last"', 'domain ""', "op_allowlist.c"):
        assert part in text


def test_all_violations_are_listed_in_the_order_of_the_file(allowlist: Allowlist) -> None:
    report = check_graph(parsed("a = NonZero (x) b = local.F (a) c = Relu (b) y = Mod (c, x)"), allowlist)
    assert [(fault.reason, fault.op, fault.domain) for fault in report.violations] == [
        (Reason.OP_NOT_ALLOWED, "NonZero", ""),
        (Reason.FOREIGN_DOMAIN, "F", "local"),
        (Reason.OP_NOT_ALLOWED, "Mod", ""),
    ]
    assert report.ops == ("Mod", "NonZero", "Relu")


def test_ops_of_subgraphs_and_functions_are_listed(allowlist: Allowlist) -> None:
    model = parsed("y = If (x) <then_branch = t () => (float[N] a) { a = Abs (x) }>")
    body = [helper.make_node("NonZero", ["a"], ["b"], name="inside")]
    model.functions.append(
        helper.make_function("local", "F", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    )
    report = check_graph(model, allowlist)
    assert report.ops == ("Abs", "If", "NonZero")
    assert [fault.reason for fault in report.violations] == [Reason.FUNCTIONS, Reason.OP_NOT_ALLOWED]
    assert report.violations[1].node == "inside"


def test_a_model_of_many_faults_is_reported_in_bounded_space(allowlist: Allowlist) -> None:
    model = parsed("y = Relu (x)")
    model.graph.node.extend(helper.make_node("NonZero", ["x"], [f"y{n}"]) for n in range(1000))
    assert len(check_graph(model, allowlist).violations) == 100


def test_a_folder_in_place_of_a_model_is_refused_and_nothing_stays_open(tmp_path: Path) -> None:
    held = Path("/proc/self/fd")
    before = len(list(held.iterdir())) if held.is_dir() else 0
    for _ in range(5):
        with pytest.raises(ContractError, match="not a regular file"):
            check_model(tmp_path)
    assert not held.is_dir() or len(list(held.iterdir())) == before


def test_text_of_a_model_cannot_forge_the_report(allowlist: Allowlist) -> None:
    model = parsed("y = Relu (x)")
    model.graph.node[0].name = 'a"\nok model\x1b[31m'
    model.graph.node[0].op_type = "Bad\\Op"
    text = str(check_graph(model, allowlist))
    assert "\n" not in text
    assert "\x1b" not in text
    assert "Bad\\x5cOp" in text


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_can_be_told_with_advice(reason: Reason) -> None:
    from vmaf_train.scan_report import Violation

    fault = Violation(reason, domain="", op="", node="", detail="", offset=0)
    report = AllowlistReport(Path("m.onnx"), ok=False, ops=(), opset=None, nodes=0, violations=(fault,))
    with pytest.raises(ContractError, match=f"m.onnx.*{reason} at byte 0; "):
        report.require()
