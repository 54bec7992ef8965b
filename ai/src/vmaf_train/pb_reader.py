"""A bounds-checked cursor over protobuf bytes, with the rules of ``core/src/dnn/pb_reader.h``.

A protobuf library is lenient where a scanner must not be: it takes overlong varints, drops bits,
skips groups and keeps unknown fields. Both cursors refuse all of that in the same order, so that
the two sides agree on damaged bytes too.
"""

from __future__ import annotations

import re

from vmaf_train.scan_report import Reason

__all__ = ["PbError", "PbReader", "packed_varints_ok"]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_FIELD = (1 << 29) - 1

_PACKED = re.compile(
    rb"(?:[\x00-\x7f]|[\x80-\xff]{1,8}[\x01-\x7f]|[\x80-\xff]{9}\x01)*+",
)


class PbError(Exception):
    """The bytes break a rule of the wire format."""

    def __init__(self, reason: Reason) -> None:
        self.reason = reason
        super().__init__(reason)


class PbReader:
    """Reads ``data[position:end]`` from front to back.

    Attributes:
        position: offset of the next byte to read.
        end: offset behind the last byte to read.
    """

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes, position: int, end: int) -> None:
        self.data = data
        self.position = position
        self.end = end

    def varint(self) -> int:
        """Read an unsigned 64-bit integer.

        Raises:
            PbError: truncated; or more than 64 bits, or a last byte of zero (bad_varint).
        """
        data, position = self.data, self.position
        value = shift = 0
        while True:
            if position >= self.end:
                raise PbError(Reason.TRUNCATED)
            byte = data[position]
            position += 1
            if shift == 63 and byte > 1:
                raise PbError(Reason.BAD_VARINT)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if byte == 0 and shift:
            raise PbError(Reason.BAD_VARINT)
        self.position = position
        return value

    def tag(self) -> tuple[int, int]:
        """Read a field number (1 to 2**29 - 1) and a wire type (0, 1, 2 or 5).

        Raises:
            PbError: truncated, bad_varint; or a number or a type outside that (bad_tag).
        """
        value = self.varint()
        number, wire = value >> 3, value & 7
        if not 1 <= number <= MAX_FIELD or wire not in (VARINT, FIXED64, BYTES, FIXED32):
            raise PbError(Reason.BAD_TAG)
        return number, wire

    def span(self, size: int) -> int:
        """Skip ``size`` bytes and return the offset of the first.

        Raises:
            PbError: fewer bytes are left (truncated).
        """
        if size > self.end - self.position:
            raise PbError(Reason.TRUNCATED)
        start = self.position
        self.position = start + size
        return start


def packed_varints_ok(data: bytes, start: int, end: int) -> bool:
    """Tell whether ``data[start:end]`` is a sequence of whole varints that ``PbReader`` accepts."""
    match = _PACKED.match(data, start, end)
    return match is not None and match.end() == end
