"""Python and C judge the same bytes: verdict, reason, place and text must be the same."""

from __future__ import annotations

import dataclasses
from collections import Counter
from random import Random

import onnx
import pytest

from core import wire
from core.cases import all_cases, nested, parsed
from core.mutations import mutated_bytes, mutated_model
from core.native import REPOSITORY, Native, c_op_list, python_verdict
from core.nets import real_models
from core.oracle import faults
from vmaf_train.op_allowlist import Allowlist, Reason, check_graph

CASES = all_cases()
BYTE_MUTATIONS = 60_000
MODEL_MUTATIONS = 12_000


@pytest.fixture(scope="module")
def real() -> dict[str, bytes]:
    """Real models as bytes: made ones, and those that the repository ships."""
    shipped = sorted((REPOSITORY / "model" / "tiny").glob("*.onnx"))
    made = {name: model.SerializeToString() for name, model in real_models().items()}
    return made | {path.name: path.read_bytes() for path in shipped}


def agree(native: Native, allowlist: Allowlist, data: bytes, kind: str = "models") -> str:
    """Return the reason that both sides give, and count it under ``kind``; or fail with the bytes."""
    theirs, ours = native.scan(data), python_verdict(check_graph(data, allowlist))
    assert theirs == ours, f"C says {theirs}\nPython says {ours}\nbytes {data.hex()}"
    native.agreed[kind] += 1
    return ours.reason


def test_reason_names_are_the_same(native: Native) -> None:
    assert native.reasons == ("ok", *(str(reason) for reason in Reason))


@pytest.mark.parametrize("name", CASES)
def test_both_give_the_expected_reason(name: str, native: Native, allowlist: Allowlist) -> None:
    assert agree(native, allowlist, CASES[name].data) == CASES[name].reason


HOLES = {
    "NUL inside an op type": "embedded_nul",
    "allowed op in a foreign domain": "foreign_domain",
    "op inside a function": "functions",
    "node without an op type": "missing_op_type",
    "field number zero": "bad_tag",
}
"""What a scanner that only compares op types as C strings lets through, to the reason against it."""


@pytest.mark.parametrize("hole", HOLES)
def test_both_refuse_what_a_scanner_by_text_lets_through(
    hole: str, native: Native, allowlist: Allowlist
) -> None:
    data = CASES[f"hole: {hole}"].data
    native.holes[hole] = agree(native, allowlist, data)
    assert native.holes[hole] == HOLES[hole]


def test_the_cases_need_every_reason_that_no_limit_on_size_gives() -> None:
    met = {case.reason for case in CASES.values()}
    assert met == {"ok", *Reason} - {Reason.FILE_TOO_LARGE, Reason.TOO_MANY_FIELDS}


@pytest.mark.parametrize("name", CASES)
def test_an_accepted_case_is_a_model_for_the_protobuf_library_too(name: str, allowlist: Allowlist) -> None:
    if CASES[name].reason == "ok":
        assert faults(onnx.load_model_from_string(CASES[name].data), allowlist) == set()


@pytest.mark.parametrize("name", ["unet", "classifier", "control", "working size"])
def test_the_real_models_are_valid_onnx(name: str) -> None:
    onnx.checker.check_model(real_models()[name], full_check=True)


@pytest.mark.parametrize("name", ["unet", "sparse", "control", "working size", "function in use"])
def test_both_agree_on_a_file_cut_at_any_byte(name: str, native: Native, allowlist: Allowlist) -> None:
    data = CASES[name].data
    reasons = Counter(agree(native, allowlist, data[:size], "cut files") for size in range(len(data)))
    assert reasons["ok"] == 0
    assert reasons["truncated"] > len(data) // 4


def test_both_agree_on_mutated_bytes(native: Native, allowlist: Allowlist, real: dict[str, bytes]) -> None:
    random = Random(3)
    small = [data for data in real.values() if len(data) < 1 << 16]
    seeds = [case.data for case in CASES.values()]
    reasons: Counter[str] = Counter()
    for _ in range(BYTE_MUTATIONS):
        data = mutated_bytes(random.choice(random.choice((small, seeds))), random)
        reason = agree(native, allowlist, data, "mutations of bytes")
        reasons[reason] += 1
        if reason == "ok":
            # What the scanners let through, the lenient library must read the same way.
            assert faults(onnx.load_model_from_string(data), allowlist) == set(), data.hex()
    assert len(reasons) >= 20, reasons
    assert reasons["ok"] > BYTE_MUTATIONS // 100, reasons


def test_both_agree_with_a_third_opinion_on_mutated_models(native: Native, allowlist: Allowlist) -> None:
    random = Random(4)
    seeds = [*real_models().values(), nested(2), parsed("{ y = Relu (x) }")]
    reasons: Counter[str] = Counter()
    for _ in range(MODEL_MUTATIONS):
        model = mutated_model(random.choice(seeds), random)
        data = model.SerializeToString()
        reason = agree(native, allowlist, data, "mutations of models")
        reasons[reason] += 1
        assert (reason == "ok") == (not faults(model, allowlist)), (
            f"{reason} {faults(model, allowlist)} {data.hex()}"
        )
    assert reasons["ok"] > MODEL_MUTATIONS // 20, reasons
    assert reasons["loop_trip_count"] > MODEL_MUTATIONS // 100, reasons


def test_both_agree_on_damage_to_the_large_models_that_ship(
    native: Native, allowlist: Allowlist, real: dict[str, bytes]
) -> None:
    random = Random(5)
    large = [data for data in real.values() if len(data) >= 1 << 16]
    for data in large:
        assert agree(native, allowlist, data) == "ok"
        for _ in range(200):
            agree(native, allowlist, mutated_bytes(data, random), "mutations of bytes")


def test_both_apply_a_policy_of_another_list(native: Native, allowlist: Allowlist) -> None:
    policy = {**allowlist.policy, "Mod": {"fmod": frozenset({"1"})}}
    wider = dataclasses.replace(allowlist, ops=(*allowlist.ops, "Mod"), policy=policy)
    op_list = c_op_list(wider)
    for attributes, reason in (
        ("fmod = 1", "ok"),
        ("fmod = 0", "attribute_policy"),
        ("a = 1", "attribute_policy"),
    ):
        data = parsed(f"{{ y = Mod <{attributes}> (x, x) }}").SerializeToString()
        theirs, ours = native.scan(data, op_list), python_verdict(check_graph(data, wider))
        assert theirs == ours
        assert ours.reason == reason, attributes
        assert agree(native, allowlist, data) == "op_not_allowed"


def test_both_stop_at_the_limit_of_fields(native: Native, allowlist: Allowlist) -> None:
    data = bytes((14 << 3 | 2, 0)) * ((1 << 20) + 1)
    assert agree(native, allowlist, data) == "too_many_fields"
    assert agree(native, allowlist, data[2:]) == "missing_graph"


def test_both_stop_at_the_same_field_of_a_node(native: Native, allowlist: Allowlist) -> None:
    def attribute(name: bytes, numbers: int) -> bytes:
        return wire.chunk(5, wire.chunk(1, name) + wire.integer(8, 1) * numbers + wire.integer(20, 7))

    node = wire.node(attribute(b"pads", 4), attribute(b"strides", 2), wire.chunk(7, b"ai.onnx"))
    data, read = wire.model(node), bytes((14 << 3 | 2, 0))
    # 25 fields: those of the model and the node, and the node's from its attributes on again.
    for left in (13, 17, 22, 24):
        assert agree(native, allowlist, read * ((1 << 20) - left) + data) == "too_many_fields", left
    assert agree(native, allowlist, read * ((1 << 20) - 25) + data) == "ok"


def test_both_refuse_a_model_above_the_limit_of_bytes(native: Native, allowlist: Allowlist) -> None:
    data = bytes(50 * 1024 * 1024 + 1)
    assert agree(native, allowlist, data) == "file_too_large"
    assert agree(native, allowlist, data[1:]) == "bad_tag"


def test_the_defaults_of_limited_attributes_are_permitted(allowlist: Allowlist) -> None:
    for op, attributes in allowlist.policy.items():
        for version in (13, 17, 18, 19):
            schema = onnx.defs.get_schema(op, version, "")
            for name, attribute in schema.attributes.items():
                if name not in attributes or not attribute.default_value.type:
                    continue
                default = onnx.helper.get_attribute_value(attribute.default_value)
                text = default.decode() if isinstance(default, bytes) else str(default)
                assert attributes[name] & {"*", text}, f"{op}.{name} of opset {version} defaults to {text}"
