#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads a quern store and prints what it holds, as text.

Written from FORMAT.md and README.md alone, to be read beside them: each part below names the section of FORMAT.md that
it follows. Nothing is written to the store. `python3 quern_reader.py STORE`
"""

from __future__ import annotations

import os
import re
import struct
import sys
import time
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Callable, Final, Iterable, Iterator, NamedTuple, NoReturn, Sequence

# ---------------------------------------------------------------------------------------------------------------------
# Section "Limits"
# ---------------------------------------------------------------------------------------------------------------------

MAX_VALUE: Final = 16 << 20             # memo, payload, error, attachment, content of a slot
MAX_NAMED_VALUE: Final = 64 << 10       # named value
MAX_NAMED_VALUES: Final = 64 << 20      # all named values with their names
MAX_BODY: Final = 48 << 20              # decoded body of a frame
MAX_ROWS: Final = 4096                  # rows of a block
MAX_VALUES_OF_BLOCK: Final = 64 << 10   # memo, error and attachment bytes of a block of several rows
MAX_SPAWN: Final = 64                   # tasks of a spawn record
MAX_STAGE: Final = 1 << 32              # tasks of a stage
MAX_ATTRIBUTES: Final = 4096            # attributes of a spawn record
MAX_NAME: Final = 255                   # bytes of a name
MAX_ENTRIES: Final = 131_072            # entries of a segment's directory
MAX_NUMBER: Final = 1 << 60             # ids, sequences, counts
MAX_SEGMENT: Final = 1 << 31            # numbers of log and index segments in a checkpoint's base record
MAX_FILE: Final = 1 << 48               # length of a file


# ---------------------------------------------------------------------------------------------------------------------
# What can go wrong (section "Damage"; exit status as in README.md)
# ---------------------------------------------------------------------------------------------------------------------

class Trouble(Exception):
    """The store cannot be read."""
    status = 2


class NoStore(Trouble):
    status = 1


class Unsupported(Trouble):
    status = 3


class Damage(Trouble):
    """Something in the store is not as FORMAT.md says."""

    def __init__(self, place: Place, why: str) -> None:
        super().__init__(f"damaged: {place.file} at {place.offset}: {why}")
        self.place = place


class NotAFrame(Damage):
    """There is no valid frame: in the last log segment, perhaps a torn write."""


class Place(NamedTuple):
    """A place in a file, to say where damage is."""
    file: str
    offset: int

    def fail(self, why: str, as_: type[Damage] = Damage) -> NoReturn:
        raise as_(self, why)

    def check(self, holds: bool, why: str) -> None:
        if not holds:
            self.fail(why)


# ---------------------------------------------------------------------------------------------------------------------
# Section "Conventions": integers, CRC32C, LZ4, integer columns
# ---------------------------------------------------------------------------------------------------------------------

FIRST_TIME: Final = -(1 << 63)  # the smallest i64: "at once" where a task has a time not to start before


def crc32c_tables() -> tuple[tuple[int, ...], ...]:
    """Table k: what a byte has made of the register when k zero bytes have gone through it after that byte."""
    octet = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        octet.append(value)
    tables = [octet]
    for _ in range(7):
        tables.append([octet[value & 0xFF] ^ (value >> 8) for value in tables[-1]])
    return tuple(map(tuple, tables))


CRC_TABLES: Final = crc32c_tables()


def crc32c(data: bytes | memoryview, seed: int = 0) -> int:
    """CRC32C of `data`, seeded with `seed`: eight bytes a step, each through its own table."""
    t0, t1, t2, t3, t4, t5, t6, t7 = CRC_TABLES
    register = seed ^ 0xFFFFFFFF
    whole = len(data) & ~7
    for b0, b1, b2, b3, b4, b5, b6, b7 in struct.iter_unpack("8B", data[:whole]):
        register = (t7[b0 ^ (register & 0xFF)] ^ t6[b1 ^ (register >> 8 & 0xFF)] ^ t5[b2 ^ (register >> 16 & 0xFF)]
                    ^ t4[b3 ^ (register >> 24)] ^ t3[b4] ^ t2[b5] ^ t1[b6] ^ t0[b7])
    for byte in data[whole:]:
        register = t0[(register ^ byte) & 0xFF] ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def lz4_block(data: bytes, length: int, place: Place) -> bytes:
    """Decodes an LZ4 block that must come to exactly `length` bytes."""
    out = bytearray()
    at, end = 0, len(data)

    def extended(nibble: int) -> int:
        """A length of 15 goes on in the bytes that follow, up to the first that is not 255."""
        nonlocal at
        total = nibble
        more = nibble == 15
        while more:
            place.check(at < end, "LZ4: a length is cut off")
            total += data[at]
            more = data[at] == 255
            at += 1
        return total

    while True:
        place.check(at < end, "LZ4: the last literals are missing")
        token = data[at]
        at += 1
        literals = extended(token >> 4)
        place.check(literals <= end - at, "LZ4: literals are cut off")
        place.check(literals <= length - len(out), "LZ4: decodes to more than its length")
        out += data[at:at + literals]
        at += literals
        if at == end:
            break
        place.check(end - at >= 2, "LZ4: a distance is cut off")
        distance = data[at] | data[at + 1] << 8
        at += 2
        place.check(0 < distance <= len(out), "LZ4: a distance reaches before the beginning")
        match = extended(token & 15) + 4
        place.check(match <= length - len(out), "LZ4: decodes to more than its length")
        start = len(out) - distance
        if distance >= match:
            out += out[start:start + match]
        else:  # the match overlaps what it produces: the last `distance` bytes, again and again
            out += (out[start:] * (match // distance + 1))[:match]
    place.check(len(out) == length, "LZ4: decodes to less than its length")
    return bytes(out)


def check_lengths(codec: int, stored: int, decoded: int, place: Place, as_: type[Damage] = Damage) -> None:
    """What must hold before `decode` allocates anything."""
    if codec not in (0, 1):
        place.fail(f"unknown codec {codec}", as_)
    if codec == 0 and stored != decoded:
        place.fail("stored as it is, but with two lengths", as_)
    if codec == 1 and decoded > 255 * stored + 64:
        place.fail("decoded length is above 255 x stored length + 64", as_)


def decode(codec: int, data: bytes, decoded: int, place: Place) -> bytes:
    check_lengths(codec, len(data), decoded, place)
    place.check(codec == 0 or decoded > 0, "nothing is stored as LZ4")
    return data if codec == 0 else lz4_block(data, decoded, place)


def signed(value: int) -> int:
    """A sum that wraps at 64 bits, as an i64."""
    return ((value + (1 << 63)) & ((1 << 64) - 1)) - (1 << 63)


class Cursor:
    """Takes fields from bytes, one after the other; running out of them is damage."""

    def __init__(self, data: bytes, place: Place, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.place = place
        self.begin = self.at = at
        self.end = len(data) if end is None else end

    def left(self) -> int:
        return self.end - self.at

    def fields(self, layout: struct.Struct) -> tuple[int, ...]:
        self.place.check(layout.size <= self.left(), "fields are cut off")
        values = layout.unpack_from(self.data, self.at)
        self.at += layout.size
        return values

    def take(self, count: int) -> bytes:
        self.place.check(0 <= count <= self.left(), "bytes are cut off")
        self.at += count
        return self.data[self.at - count:self.at]

    def rest(self) -> bytes:
        return self.take(self.left())

    def finish(self) -> None:
        self.place.check(self.at == self.end, "bytes are left over")

    def column(self, count: int) -> list[int]:
        """An integer column of `count` values, each as an i64."""
        width, base = self.fields(COLUMN)
        self.place.check(width in (0, 1, 2, 4, 8), f"an integer column has width {width}")
        if width == 0:
            return [base] * count
        planes = self.take(width * count)
        numbers = struct.unpack(f"<{count}{COLUMN_CODES[width]}", unshuffle(planes, count, width))
        if base + (1 << 8 * width) <= 1 << 63:  # no sum can wrap
            return [base + number for number in numbers]
        return [signed(base + number) for number in numbers]

    def values(self, lengths: Sequence[int]) -> list[bytes]:
        """Byte strings side by side, of the given lengths."""
        for length in lengths:
            self.place.check(0 <= length <= MAX_VALUE, f"a value has length {length}")
        self.place.check(sum(lengths) <= self.left(), "values are cut off")
        return [self.take(length) for length in lengths]


COLUMN: Final = struct.Struct("<Bq")
COLUMN_CODES: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}


def unshuffle(planes: bytes, count: int, width: int) -> bytes:
    """From `width` planes of `count` bytes each to `count` values of `width` bytes each."""
    out = bytearray(count * width)
    for plane in range(width):
        out[plane::width] = planes[plane * count:(plane + 1) * count]
    return bytes(out)


# ---------------------------------------------------------------------------------------------------------------------
# Sections "File header", "Features and versions"
# ---------------------------------------------------------------------------------------------------------------------

FILE_HEADER: Final = struct.Struct("<8sBB6sQ16sQQIIII52sI")
FILE_MAGIC: Final = b"QUERN\x1a\r\n"
VERSION: Final = 1
KNOWN_INCOMPATIBLE: Final = 0  # no bits are given out yet

LOG, INDEX, CHECKPOINT, MANIFEST, MIRROR = 1, 2, 3, 4, 5


class StoreFile:
    """A file of the store whose header has been checked, with the bytes that it had when it was read."""

    def __init__(self, name: str, data: bytes, kind: int, number: int | None = None, identity: bytes | None = None):
        """`number` and `identity` are what the header must have; the manifest is the file that says them first."""
        self.name = name
        self.data = data
        place = Place(name, 0)
        place.check(len(data) >= FILE_HEADER.size, "the file is shorter than its header")
        (magic, self.kind, version, reserved, self.number, self.identity, _epoch, self.previous_end,
         self.previous_checksum, _compatible, _read_only_compatible, incompatible, reserved2, checksum
         ) = FILE_HEADER.unpack_from(data)
        place.check(magic == FILE_MAGIC, "no file of a quern store")
        place.check(checksum == crc32c(data[:FILE_HEADER.size - 4]), "checksum of the file header")
        if version != VERSION:
            raise Unsupported(f"unsupported: {name} has format version {version}")
        if incompatible & ~KNOWN_INCOMPATIBLE:
            raise Unsupported(f"unsupported: {name} has incompatible features {incompatible:#x}")
        place.check(not any(reserved) and not any(reserved2), "reserved bytes of the file header")
        place.check(self.kind == kind, f"a file of kind {self.kind}, not {kind}")
        place.check(number is None or self.number == number, f"the header has number {self.number}")
        place.check(identity is None or self.identity == identity, "the file is of another store")
        if kind != LOG or self.number == 1:
            place.check(self.previous_end == 0 and self.previous_checksum == 0, "no segment before this, but its end")
        self.seed = crc32c(self.identity)

    def place(self, offset: int) -> Place:
        return Place(self.name, offset)

    def part(self, start: int, end: int) -> bytes:
        """The bytes from `start` to `end`, or to the end of the file."""
        return self.data[start:end]

    # Section "Frames"

    def frame_header(self, offset: int) -> Frame:
        """The frame at an offset without its body: a valid header, whatever follows it."""
        place = self.place(offset)
        header = self.part(offset, offset + FRAME_HEADER.size)

        def check(holds: bool, why: str) -> None:
            if not holds:
                place.fail(why, NotAFrame)

        check(offset % 8 == 0 and offset >= FILE_HEADER.size, "no frame can be there")
        check(len(header) == FRAME_HEADER.size, "no frame is there")
        (magic, kind, codec, reserved, stored, decoded, sequence, identifier, own_offset, synced, previous, number,
         body_checksum, checksum) = FRAME_HEADER.unpack(header)
        check(magic == FRAME_MAGIC, "no frame is there")
        check(checksum == crc32c(header[:-4], self.seed), "checksum of the frame header")
        check(kind in KINDS_OF_FILE[self.kind], f"a frame of kind {kind} in a file of kind {self.kind}")
        check(reserved == 0, "reserved bytes of the frame header")
        check(own_offset == offset and number == self.number & 0xFFFFFFFF, "the frame belongs elsewhere")
        check(stored <= MAX_BODY and decoded <= MAX_BODY, "the body is longer than any may be")
        check_lengths(codec, stored, decoded, place, NotAFrame)
        end = offset + FRAME_HEADER.size + (stored + 7 & ~7)
        return Frame(place, kind, codec, stored, decoded, sequence, identifier, synced, previous, number, body_checksum,
                     checksum, end)

    def frame(self, offset: int) -> Frame:
        """The valid frame at an offset."""
        frame = self.frame_header(offset)
        place = frame.place
        padded = self.part(offset + FRAME_HEADER.size, frame.end)
        if len(padded) != frame.end - offset - FRAME_HEADER.size:
            place.fail("the frame is cut off", NotAFrame)
        data = padded[:frame.stored]
        if frame.body_checksum != crc32c(data, self.seed):
            place.fail("checksum of the body", NotAFrame)
        place.check(frame.codec == 0 or frame.kind not in STORED_AS_IS, f"a frame of kind {frame.kind} is compressed")
        if self.kind == LOG:
            place.check(frame.synced <= offset, "a frame says that it was on disk before it was written")
        else:
            place.check(frame.synced == 0, "a field of log frames is in use")
            unused = frame.kind == BLOCK or frame.sequence == frame.identifier == 0
            place.check(unused, "a field of other frames is in use")
        return frame._replace(data=data)

    def chain(self, start: int, end: int, checksum: int) -> Iterator[Frame]:
        """The frames from `start` to exactly `end`, each of which must continue the chain, at first `checksum`."""
        at = start
        while at != end:
            frame = self.frame(at)
            frame.place.check(frame.previous == checksum, "the frame is of another chain")
            frame.place.check(frame.end <= end, "the frame reaches beyond the end")
            yield frame
            at, checksum = frame.end, frame.checksum


FRAME_HEADER: Final = struct.Struct("<4sBBHIIQQQQIIII")
FRAME_MAGIC: Final = b"QFR\x1a"

COMMIT, PART, BLOCK, DIRECTORY, STATE, MANIFEST_FRAME, SHARED_BLOCKS = 1, 2, 3, 4, 5, 6, 7
KINDS_OF_FILE: Final = {
    LOG: (COMMIT, PART),
    INDEX: (BLOCK, DIRECTORY, SHARED_BLOCKS),
    CHECKPOINT: (STATE, COMMIT),
    MIRROR: (STATE, COMMIT),
    MANIFEST: (MANIFEST_FRAME,),
}
STORED_AS_IS: Final = (BLOCK, DIRECTORY, MANIFEST_FRAME)


class Frame(NamedTuple):
    place: Place
    kind: int
    codec: int
    stored: int
    decoded: int
    sequence: int
    identifier: int
    synced: int    # how far the file was known to be on disk
    previous: int  # header checksum of the frame before
    number: int    # low 32 bits of the file's number
    body_checksum: int
    checksum: int  # header checksum
    end: int       # where the next frame begins
    data: bytes = b""  # the body as stored

    def body(self) -> bytes:
        """The decoded body."""
        return decode(self.codec, self.data, self.decoded, self.place)


RECORD_HEAD: Final = struct.Struct("<BI")


def records(body: bytes, place: Place) -> Iterator[tuple[int, Cursor]]:
    """The records of a decoded body: the kind of each, and its fields."""
    at = 0
    while at < len(body):
        kind, fields = record_at(body, at, place)
        yield kind, fields
        at = fields.end


def record_at(body: bytes, offset: int, place: Place) -> tuple[int, Cursor]:
    place.check(offset <= len(body), "a record is beyond the end of the body")
    kind, length = Cursor(body, place, offset).fields(RECORD_HEAD)
    start = offset + RECORD_HEAD.size
    place.check(length <= len(body) - start, "a record is cut off")
    return kind, Cursor(body, place, start, start + length)


# ---------------------------------------------------------------------------------------------------------------------
# Section "Manifest"
# ---------------------------------------------------------------------------------------------------------------------

MANIFEST_BODY: Final = struct.Struct("<QIB3sI4s")


class Manifest:
    def __init__(self, data: bytes) -> None:
        file = StoreFile("MANIFEST", data, MANIFEST)
        self.identity = file.identity
        frame = file.frame(FILE_HEADER.size)
        frame.place.check(frame.previous == 0, "the first frame continues a chain")
        file.place(frame.end).check(frame.end == len(data), "something is behind the manifest's frame")
        fields = Cursor(frame.body(), frame.place)
        self.checkpoint, self.checksum, closed, reserved, self.log, reserved2 = fields.fields(MANIFEST_BODY)
        fields.finish()
        frame.place.check(closed in (0, 1), "the flag for a store closed in order")
        frame.place.check(not any(reserved) and not any(reserved2), "reserved bytes of the manifest")
        frame.place.check(1 <= self.checkpoint <= MAX_NUMBER and self.log >= 1, "a number is out of bounds")
        self.closed = closed == 1


# ---------------------------------------------------------------------------------------------------------------------
# Section "Outcome blocks"
# ---------------------------------------------------------------------------------------------------------------------

BLOCK_HEADER: Final = struct.Struct("<QQQIIIBBBBQIIII")
FACTS_HEAD: Final = struct.Struct("<QQ")
ATTACHMENTS_HEAD: Final = struct.Struct("<II")
COLUMNS: Final = 8
MAX_SHUFFLED: Final = 64  # length of a memo that is shuffled
NO_ONE_LENGTH: Final = 0xFFFFFFFF

COMPLETED: Final = 1
FAILURES: Final = (2, 3, 5, 7)
CANCELS: Final = (4, 5, 6, 7)  # the kinds of outcome that a cancelled task may be to have
KINDS: Final = range(1, 8)


class Row(NamedTuple):
    """An ended task."""
    sequence: int
    id: int
    kind: int
    label: int
    attempts: int
    started: int
    ended: int
    value: bytes
    attachment: bytes  # empty when it has none


class Block(NamedTuple):
    parent: int
    root: int
    rows: list[Row]

    def counts(self) -> list[int]:
        """Rows by kind."""
        kinds = [row.kind for row in self.rows]
        return [kinds.count(kind) for kind in KINDS]


def block_length(body: bytes, offset: int, place: Place) -> int:
    """The length of the block that begins at an offset."""
    fields = Cursor(body, place, offset)
    *_, attached, _, _, facts_stored, _, memos_stored = fields.fields(BLOCK_HEADER)
    fields.take(facts_stored + memos_stored)
    if attached:
        _, attachments_stored = fields.fields(ATTACHMENTS_HEAD)
        fields.take(attachments_stored)
    return fields.at - offset


def read_block(data: bytes, place: Place, as_is: bool) -> Block:
    """An outcome block; `as_is`: where its sections must be stored as they are."""
    fields = Cursor(data, place)
    (parent, root, last_sequence, count, failures, memo_length, shuffled, facts_codec, memos_codec, attached, planes,
     facts_decoded, facts_stored, memos_decoded, memos_stored) = fields.fields(BLOCK_HEADER)
    place.check(1 <= count <= MAX_ROWS, f"a block of {count} rows")
    place.check(shuffled in (0, 1), "the flag for shuffled memos")
    place.check(not shuffled or 1 <= memo_length <= MAX_SHUFFLED, "memos are shuffled that have not one short length")
    place.check(planes < 1 << (memo_length if shuffled else 0), "planes of bytes that memos do not have")
    place.check(not as_is or facts_codec == memos_codec == 0, "a section is not stored as it is")
    most_values = MAX_VALUE if count == 1 else MAX_VALUES_OF_BLOCK
    most_facts = FACTS_HEAD.size + COLUMNS * (COLUMN.size + 8 * count)
    place.check(facts_decoded <= most_facts + most_values, "the facts are longer than any may be")
    place.check(memos_decoded <= most_values, "the memos are longer than any may be")
    facts = decode(facts_codec, fields.take(facts_stored), facts_decoded, place)
    memos = decode(memos_codec, fields.take(memos_stored), memos_decoded, place)
    attachments = [b""] * count
    if attached:
        attachments = read_attachments(fields, count, attached - 1, most_values, as_is)
    fields.finish()

    fields = Cursor(facts, place)
    first_id, first_sequence = fields.fields(FACTS_HEAD)
    (kinds, labels, lengths, id_differences, sequence_differences, attempts, ends, durations
     ) = (fields.column(count) for _ in range(COLUMNS))
    ids = running(first_id, id_differences, place)
    sequences = running(first_sequence, sequence_differences, place)

    place.check(all(low < high for low, high in zip(sequences, sequences[1:])), "rows are not in sequence order")
    place.check(0 < sequences[0] and sequences[-1] <= MAX_NUMBER, "a sequence is out of bounds")
    place.check(sequences[-1] == last_sequence, "the sequence of the last row")
    place.check(parent < min(ids) and max(ids) <= MAX_NUMBER, "an id is out of bounds")
    place.check(1 <= min(kinds) and max(kinds) <= 7, "a kind is out of bounds")
    place.check(1 <= min(labels) and max(labels) < 1 << 32, "a label is out of bounds")
    place.check(0 <= min(attempts) and max(attempts) < 1 << 32, "attempts are out of bounds")
    place.check(failures == sum(kind in FAILURES for kind in kinds), "the number of failures")
    place.check(min(lengths) >= 0 and sum(lengths) <= most_values, "the values are longer than any may be")
    all_bytes = sum(lengths) + sum(map(len, attachments))
    place.check(count == 1 or all_bytes <= MAX_VALUES_OF_BLOCK, "values and attachments are longer than they may be")

    memo_lengths = [length for kind, length in zip(kinds, lengths) if kind == COMPLETED]
    one_length = len(set(memo_lengths)) <= 1
    expected = max(memo_lengths, default=0) if one_length else NO_ONE_LENGTH
    place.check(memo_length == expected, "the length of each memo")
    if shuffled:
        place.check(len(memo_lengths) > 0, "no memos, but they are shuffled")
        memos = all_planes(memos, len(memo_lengths), memo_length, planes, place)
        memos = unshuffle(memos, len(memo_lengths), memo_length)
    memo_fields = Cursor(memos, place)
    memo = iter(memo_fields.values(memo_lengths))
    memo_fields.finish()
    error = iter(fields.values([length for kind, length in zip(kinds, lengths) if kind != COMPLETED]))
    fields.finish()
    values = [next(memo if kind == COMPLETED else error) for kind in kinds]
    starts = [signed(end - duration) for end, duration in zip(ends, durations)]
    rows = list(map(Row, sequences, ids, kinds, labels, attempts, starts, ends, values, attachments))
    return Block(parent, root, rows)


def read_attachments(fields: Cursor, count: int, codec: int, most: int, as_is: bool) -> list[bytes]:
    """The last section of a block, which has its lengths itself: one attachment a row, empty where there is none."""
    place = fields.place
    decoded, stored = fields.fields(ATTACHMENTS_HEAD)
    place.check(not as_is or codec == 0, "a section is not stored as it is")
    place.check(decoded <= COLUMN.size + 8 * count + most, "the attachments are longer than any may be")
    section = Cursor(decode(codec, fields.take(stored), decoded, place), place)
    attachments = section.values(section.column(count))
    section.finish()
    place.check(any(attachments), "a section of attachments, but no row has one")
    return attachments


def all_planes(memos: bytes, count: int, width: int, planes: int, place: Place) -> bytes:
    """The planes of shuffled memos, with those that are left out since all memos have that byte alike."""
    fields = Cursor(memos, place)
    whole = b"".join(fields.take(count) if planes >> byte & 1 else fields.take(1) * count for byte in range(width))
    fields.finish()
    return whole


def running(first: int, differences: list[int], place: Place) -> list[int]:
    """Ids or sequences, from the first and the difference of each to the one before it."""
    place.check(differences[0] == (differences[1] if len(differences) > 1 else 0), "the difference of row 0")
    numbers = [first]
    for difference in differences[1:]:
        numbers.append(numbers[-1] + difference)
    return numbers


# ---------------------------------------------------------------------------------------------------------------------
# What a store holds: sections "Words", "Log"
# ---------------------------------------------------------------------------------------------------------------------

@dataclass
class Task:
    """A live task."""
    parent: int
    label: int
    priority: int
    submitted: int
    payload: bytes
    attributes: bytes = b""
    key: bytes = b""  # empty when it has none
    detailed: bool = False  # some advance, attempt, cancel, crash or priority record spoke of it
    phase: int = 0
    cancelled: int = 0  # the kind of outcome that it is to have, 0 when it is not to be cancelled
    crashes: int = 0
    attempts: int = 0
    not_before: int = FIRST_TIME
    other_priority: int | None = None  # in the place of that which it was spawned with
    slots: dict[int, Kept] = field(default_factory=dict)
    run: tuple[int, int] = (0, 0)  # the first id of the tasks that one record spawned, and how many they were


@dataclass
class Parent:
    """What is kept of a live task that had children or was advanced, and of 0."""
    live: int = 0
    ended: list[int] = field(default_factory=lambda: [0] * len(KINDS))
    first_failure: int = 0


class RecordPlace(NamedTuple):
    """Where in the log a record is."""
    segment: int
    frame: int
    offset: int  # of its kind byte in the decoded body


class Kept(NamedTuple):
    """What a task has in a slot, and which record says so."""
    content: bytes
    place: RecordPlace


class Staged(NamedTuple):
    """The tasks of a staged spawn record."""
    parent: int
    submitted: int
    label: int
    priority: int
    count: int
    attributes: bytes
    keys: Sequence[bytes]  # one a task, or none
    payloads: Callable[[], Sequence[bytes]]  # read when they are asked for


@dataclass
class Stage:
    """Tasks that wait for the commit of their stage."""
    tasks: int = 0
    parts: list[Staged] = field(default_factory=list)

    def add(self, position: int, staged: Staged, place: Place) -> None:
        place.check(position == self.tasks, f"position {position} in a stage that has {self.tasks} tasks")
        self.tasks += staged.count
        place.check(self.tasks <= MAX_STAGE, "a stage has more tasks than it may")
        self.parts.append(staged)


class Labels(dict[int, bytes]):
    """The name that each label stands for; each label is defined before it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.label_of: dict[bytes, int] = {}

    def define(self, fields: Cursor) -> None:
        (label,) = fields.fields(LABEL)
        name = fields.rest()
        fields.place.check(label == len(self) + 1, f"label {label} is not the next one")
        fields.place.check(1 <= len(name) <= MAX_NAME, f"a name of {len(name)} bytes")
        fields.place.check(is_utf8(name), "a name is not UTF-8")
        fields.place.check(self.label_of.setdefault(name, label) == label, f"labels {label} and another have one name")
        self[label] = name

    def check(self, label: int, place: Place) -> None:
        place.check(label in self, f"label {label} has no name")


class NamedValues(dict[bytes, bytes]):
    """The named values."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 0  # of all of them with their names

    def change(self, fields: Cursor, may_take_away: bool = True) -> None:
        """A value record, which may take away what is not there."""
        place = fields.place
        (length,) = fields.fields(BYTE)
        place.check(1 <= length <= MAX_NAME, f"a name of {length} bytes")
        name = fields.take(length)
        place.check(is_utf8(name), "a name is not UTF-8")
        (has_value,) = fields.fields(BYTE)
        place.check(has_value == 1 or has_value == 0 and may_take_away, f"{has_value} where a name has a value or none")
        if name in self:
            self.size -= len(name) + len(self.pop(name))
        if has_value:
            value = fields.rest()
            place.check(len(value) <= MAX_NAMED_VALUE, "a named value is longer than any may be")
            self.size += len(name) + len(value)
            self[name] = value

    def check_size(self, place: Place) -> None:
        place.check(self.size <= MAX_NAMED_VALUES, "the named values are longer than they may be together")


class Contents:
    """What a store holds, and what the records of the log do to it."""

    def __init__(self, next_id: int, next_sequence: int, labels: Labels, values: NamedValues) -> None:
        self.next_id = next_id
        self.next_sequence = next_sequence
        self.labels = labels
        self.values = values
        self.stages: dict[int, Stage] = defaultdict(Stage)
        self.tasks: dict[int, Task] = {}
        self.holders: dict[bytes, int] = {}  # the live task that has a key
        self.parents: dict[int, Parent] = {0: Parent()}  # in a batch also those that it ended
        self.in_flight: list[int] = []
        self.rows: dict[int, list[Row]] = defaultdict(list)
        self.parent_of_ended: dict[int, int] = {}
        self.roots: dict[int, int] = {0: 0}  # those that `root` has found
        self.dropped: dict[int, DroppedTree] = {}  # by root

    # Words

    def add_rows(self, block: Block, place: Place) -> None:
        """Takes in the rows of a block: each task ends once."""
        for row in block.rows:
            place.check(row.id not in self.parent_of_ended, f"task {row.id} has two outcomes")
            place.check(row.id not in self.tasks, f"task {row.id} has an outcome and is live")
            self.parent_of_ended[row.id] = block.parent
        self.rows[block.parent] += block.rows

    def root(self, task: int, place: Place) -> int:
        """The root task of a task's tree; 0 for 0."""
        path: list[int] = []
        while task not in self.roots:
            path.append(task)
            parent = self.tasks[task].parent if task in self.tasks else self.parent_of_ended.get(task)
            if parent is None:
                place.fail(f"task {task} is a parent, but it is not in the store")
            if parent == 0:
                break
            task = parent
        root = self.roots.get(task, task)
        self.roots.update(dict.fromkeys(path, root))
        return root

    def live(self, task: int, place: Place) -> Task:
        place.check(task in self.tasks, f"a record is about task {task}, which is not live")
        return self.tasks[task]

    def give_key(self, id_: int, key: bytes) -> None:
        """A live task has a key from now on, and no other; who had the key before has none."""
        holder = self.holders.get(key)
        if holder is not None:
            self.tasks[holder].key = b""
        self.free_key(self.tasks[id_])
        self.holders[key] = id_
        self.tasks[id_].key = key

    def free_key(self, task: Task) -> None:
        if task.key:
            del self.holders[task.key]
        task.key = b""

    def shown(self, parent: int, place: Place) -> list[Row]:
        """The children of a parent that are not in dropped trees."""
        if parent != 0 and self.root(parent, place) in self.dropped:
            return []
        return [row for row in self.rows.get(parent, []) if parent != 0 or row.id not in self.dropped]

    def check_labels(self, place: Place) -> None:
        """Each label in use stands for a name."""
        used = {task.label for task in self.tasks.values()}
        used.update(row.label for rows in self.rows.values() for row in rows)
        used.update(staged.label for stage in self.stages.values() for staged in stage.parts)
        place.check(used <= self.labels.keys(), "a label has no name")

    # Log

    def apply(self, frames: Sequence[Frame]) -> None:
        """Applies a batch."""
        sequences: set[int] = set()
        ended: list[int] = []
        first_sequence = self.next_sequence
        for frame in frames:
            frame.place.check(frame.sequence == first_sequence, f"the next sequence is {first_sequence}")
            frame.place.check(frame.identifier == self.next_id, f"the next id is {self.next_id}")
        for frame in frames:
            for kind, fields in records(frame.body(), frame.place):
                record = RecordPlace(frame.number, frame.place.offset, fields.begin - RECORD_HEAD.size)
                if kind == OUTCOMES:
                    rows = self.outcomes(fields, first_sequence, sequences)
                    sequences.update(row.sequence for row in rows)
                    ended += (row.id for row in rows)
                elif kind in SLOT_RECORDS:
                    SLOT_RECORDS[kind](self, fields, record)
                elif kind in LOG_RECORDS:
                    LOG_RECORDS[kind](self, fields)
                else:
                    frame.place.fail(f"unknown record kind {kind}")
                fields.finish()
        self.next_sequence = first_sequence + len(sequences)
        if sequences:
            frames[-1].place.check(max(sequences) == self.next_sequence - 1, "sequences have a gap")
        for id_ in ended:  # in the batch, their outcomes may have come before their children's
            own = self.parents.pop(id_, None)
            frames[-1].place.check(own is None or own.live == 0, f"task {id_} ends, but has live children")
        self.values.check_size(frames[-1].place)

    def add_task(self, id_: int, task: Task, key: bytes, place: Place) -> None:
        place.check(task.parent < id_ <= MAX_NUMBER, f"the id {id_} is out of bounds")
        place.check(task.parent == 0 or task.parent in self.tasks, f"parent {task.parent} is not live")
        self.tasks[id_] = task
        self.parents.setdefault(task.parent, Parent()).live += 1
        self.next_id = id_ + 1
        if key:
            self.give_key(id_, key)

    def spawn(self, fields: Cursor) -> None:
        spawn = Spawn(fields)
        place = fields.place
        place.check(spawn.first >= self.next_id, f"task {spawn.first} was given out before")
        self.labels.check(spawn.label, place)
        run = spawn.first, len(spawn.payloads)
        for index, payload in enumerate(spawn.payloads):
            task = Task(spawn.parent, spawn.label, spawn.priority, spawn.submitted, payload, spawn.attributes, run=run)
            self.add_task(spawn.first + index, task, spawn.keys[index] if spawn.keys else b"", place)

    def stage_spawn(self, fields: Cursor) -> None:
        place = fields.place
        (stage,) = fields.fields(STAGE)
        spawn = Spawn(fields)
        place.check(1 <= stage <= MAX_NUMBER, f"stage {stage}")
        self.labels.check(spawn.label, place)
        payloads = spawn.payloads
        staged = Staged(spawn.parent, spawn.submitted, spawn.label, spawn.priority, len(payloads), spawn.attributes,
                        spawn.keys, lambda: payloads)
        self.stages[stage].add(spawn.first, staged, place)

    def commit_stage(self, fields: Cursor) -> None:
        """Makes the tasks of a stage live, but for those that the record leaves out. Their ids are given to nobody."""
        place = fields.place
        number, first = fields.fields(STAGE_COMMIT)
        left_out: dict[int, int] = {}
        while fields.left() > 0:
            word, bits = fields.fields(LEFT_OUT)
            place.check(word not in left_out, f"word {word} of stage {number} is there twice")
            place.check(bits != 0, f"word {word} of stage {number} leaves nothing out")
            left_out[word] = bits
        place.check(number in self.stages, f"stage {number} is committed, but has no tasks")
        place.check(first >= self.next_id, f"task {first} was given out before")
        stage = self.stages.pop(number)
        last = max((64 * word + bits.bit_length() - 1 for word, bits in left_out.items()), default=-1)
        place.check(last < stage.tasks, f"position {last} is left out of a stage that has {stage.tasks} tasks")
        place.check(first + stage.tasks - 1 <= MAX_NUMBER, "an id is out of bounds")
        position = 0
        for staged in stage.parts:
            place.check(staged.parent == 0 or staged.parent in self.tasks, f"parent {staged.parent} is not live")
            run = first + position, staged.count
            for index, payload in enumerate(staged.payloads()):
                if left_out.get(position // 64, 0) >> position % 64 & 1:
                    place.check(len(staged.keys) > 0, f"position {position} is left out, but has no key")
                else:
                    task = Task(staged.parent, staged.label, staged.priority, staged.submitted, payload,
                                staged.attributes, run=run)
                    self.add_task(first + position, task, staged.keys[index] if staged.keys else b"", place)
                position += 1
        self.next_id = first + stage.tasks

    def abort_stage(self, fields: Cursor) -> None:
        (stage,) = fields.fields(STAGE)
        fields.place.check(1 <= stage <= MAX_NUMBER, f"stage {stage}")
        self.stages.pop(stage, None)

    def outcomes(self, fields: Cursor, first_sequence: int, taken: set[int]) -> list[Row]:
        """Ends tasks; returns their rows, whose sequences are those of this batch that are not yet taken."""
        place = fields.place
        block = read_block(fields.rest(), place, as_is=True)
        place.check(block.root == 0, "a block in the log has a root")
        sequences = {row.sequence for row in block.rows}
        place.check(block.rows[0].sequence >= first_sequence, "a sequence was given out before this batch")
        place.check(sequences.isdisjoint(taken), "a sequence is there twice")
        for row in block.rows:
            task = self.live(row.id, place)
            self.labels.check(row.label, place)
            place.check(task.parent == block.parent, f"task {row.id} is no child of {block.parent}")
            self.free_key(self.tasks.pop(row.id))
            parent = self.parents[block.parent]
            parent.live -= 1
            parent.ended[row.kind - 1] += 1
            if row.kind in FAILURES and parent.first_failure == 0:
                parent.first_failure = row.id
        self.add_rows(block, place)
        return block.rows

    def detail(self, id_: int, place: Place) -> Task:
        task = self.live(id_, place)
        task.detailed = True
        return task

    def advance(self, fields: Cursor, record: RecordPlace) -> None:
        advance = Advance(fields)
        task = self.detail(advance.task, fields.place)
        task.phase, task.attempts, task.not_before = advance.phase, 0, FIRST_TIME
        task.slots[HANDOVER_SLOT] = Kept(advance.handover, record)
        self.parents.setdefault(advance.task, Parent())

    def keep(self, fields: Cursor, record: RecordPlace) -> None:
        """A task has something else in a slot from now on. No detail comes of that."""
        keep = Keep(fields)
        self.live(keep.task, fields.place).slots[keep.slot] = Kept(keep.content, record)

    def attempt(self, fields: Cursor) -> None:
        id_, attempts, not_before = fields.fields(ATTEMPT)
        task = self.detail(id_, fields.place)
        task.attempts, task.not_before = attempts, not_before
        fields.place.check(len(fields.rest()) <= MAX_VALUE, "an error is longer than any may be")

    def cancel(self, fields: Cursor) -> None:
        id_, kind = fields.fields(CANCEL_RECORD)
        task = self.detail(id_, fields.place)
        fields.place.check(kind in CANCELS, f"task {id_} is cancelled with kind {kind}")
        task.cancelled = task.cancelled or kind  # of several cancels the first one says the kind

    def crash(self, fields: Cursor) -> None:
        id_, crashes = fields.fields(CRASH)
        self.detail(id_, fields.place).crashes = crashes

    def prioritize(self, fields: Cursor) -> None:
        id_, priority = fields.fields(PRIORITY)
        self.detail(id_, fields.place).other_priority = priority

    def key(self, fields: Cursor) -> None:
        """A task has a key from now on. No detail comes of that."""
        id_, key = fields.fields(KEY)
        self.live(id_, fields.place)
        check_key(key, fields.place)
        self.give_key(id_, key)

    def define(self, fields: Cursor) -> None:
        self.labels.define(fields)

    def value(self, fields: Cursor) -> None:
        self.values.change(fields)

    def replace_in_flight(self, fields: Cursor) -> None:
        self.in_flight = ids_in_flight(fields)

    def relocate(self, fields: Cursor) -> None:
        """The payloads of a run once more: of live tasks, they say what the record before said."""
        spawn = Spawn(fields)
        nothing_else = spawn.duplicates == 0 and not spawn.attributes
        fields.place.check(nothing_else, "keys or attributes of relocated tasks")
        spawned = 0 < spawn.first and spawn.first + len(spawn.payloads) <= self.next_id
        fields.place.check(spawned, "a task is relocated that was not spawned")
        self.labels.check(spawn.label, fields.place)
        for id_, payload in enumerate(spawn.payloads, spawn.first):
            task = self.tasks.get(id_)
            if task is not None:
                known = task.parent, task.label, task.priority, task.submitted, task.payload
                agrees = known == (spawn.parent, spawn.label, spawn.priority, spawn.submitted, payload)
                fields.place.check(agrees, f"task {id_} was relocated as another")
                whole = task.run == (spawn.first, len(spawn.payloads))
                fields.place.check(whole, f"task {id_} was relocated with others than those of its run")

    def relocate_slot(self, fields: Cursor, record: RecordPlace) -> None:
        """What a task has in a slot once more, unless something newer has come or the task has ended meanwhile."""
        relocated = RelocatedSlot(fields)
        task = self.tasks.get(relocated.task)
        kept = task.slots.get(relocated.slot) if task is not None else None
        if task is not None and kept is not None and kept.place == relocated.before:
            same = kept.content == relocated.content
            fields.place.check(same, f"another content of slot {relocated.slot} of task {relocated.task} was relocated")
            task.slots[relocated.slot] = Kept(kept.content, record)

    def drop(self, fields: Cursor) -> None:
        tree = DroppedTree.read(fields)
        place = fields.place
        place.check(tree.reclaimed == 0, "a tree is reclaimed as it is dropped")
        ended = tree.root < self.next_id and tree.root not in self.tasks
        place.check(ended and self.parent_of_ended.get(tree.root, 0) == 0, f"{tree.root} is no ended root task")
        before = self.dropped.get(tree.root)
        if before is not None:
            place.check(tree == before._replace(reclaimed=0), f"tree {tree.root} is dropped twice, as two")
            return
        row = next((row for row in self.rows[0] if row.id == tree.root), None)
        # Without a row the tree would be reclaimed, and is not dropped again.
        place.check(row is not None and tree.is_of(row), f"the outcome of the dropped root task {tree.root}")
        self.dropped[tree.root] = tree
        self.parents[0].ended[tree.kind - 1] -= 1


SPAWN, OUTCOMES, ADVANCE, ATTEMPT_RECORD, CANCEL, CRASH_RECORD, DEFINE, IN_FLIGHT = range(1, 9)
RELOCATED_SPAWN, RELOCATED_SLOT, STAGED_SPAWN, STAGE_COMMIT_RECORD, STAGE_ABORT, DROP = range(9, 15)
PRIORITY_RECORD, VALUE_RECORD, KEEP, KEY_RECORD = range(15, 19)
SLOT_RECORDS: Final = {  # those that put something into a slot: it matters where they are
    ADVANCE: Contents.advance,
    RELOCATED_SLOT: Contents.relocate_slot,
    KEEP: Contents.keep,
}
LOG_RECORDS: Final = {  # the others, but for outcomes
    SPAWN: Contents.spawn,
    ATTEMPT_RECORD: Contents.attempt,
    CANCEL: Contents.cancel,
    CRASH_RECORD: Contents.crash,
    DEFINE: Contents.define,
    IN_FLIGHT: Contents.replace_in_flight,
    RELOCATED_SPAWN: Contents.relocate,
    STAGED_SPAWN: Contents.stage_spawn,
    STAGE_COMMIT_RECORD: Contents.commit_stage,
    STAGE_ABORT: Contents.abort_stage,
    DROP: Contents.drop,
    PRIORITY_RECORD: Contents.prioritize,
    VALUE_RECORD: Contents.value,
    KEY_RECORD: Contents.key,
}

SPAWN_HEAD: Final = struct.Struct("<QQqIBBBH")
ADVANCE_HEAD: Final = struct.Struct("<QB")
KEEP_HEAD: Final = struct.Struct("<QB")
HANDOVER_SLOT: Final = 0  # where an advance record puts its hand-over
BYTE: Final = struct.Struct("<B")
ATTEMPT: Final = struct.Struct("<QIq")
TASK_ID: Final = struct.Struct("<Q")
CANCEL_RECORD: Final = struct.Struct("<QB")
CRASH: Final = struct.Struct("<QB")
PRIORITY: Final = struct.Struct("<QB")
KEY: Final = struct.Struct("<Q16s")
KEY_LENGTH: Final = 16
DUPLICATES: Final = range(1, 5)  # skip, replace, reject, ignore: what becomes of those whose keys are taken
LABEL: Final = struct.Struct("<I")
STAGE: Final = struct.Struct("<Q")
STAGE_COMMIT: Final = struct.Struct("<QQ")
LEFT_OUT: Final = struct.Struct("<QQ")
RELOCATION_HEAD: Final = struct.Struct("<QBIQII")
DROPPED_TREE: Final = struct.Struct("<QQBB6s")


class Spawn:
    """A spawn or relocated spawn record, or a staged spawn record behind its stage."""

    def __init__(self, fields: Cursor) -> None:
        place = fields.place
        (self.parent, self.first, self.submitted, self.label, count, self.priority, self.duplicates, attribute_bytes
         ) = fields.fields(SPAWN_HEAD)
        place.check(1 <= count <= MAX_SPAWN, f"a spawn record of {count} tasks")
        place.check(self.parent <= MAX_NUMBER and self.first <= MAX_NUMBER, "an id is out of bounds")
        place.check(self.label >= 1, "label 0")
        place.check(self.duplicates == 0 or self.duplicates in DUPLICATES, f"duplicates {self.duplicates}")
        place.check(attribute_bytes <= MAX_ATTRIBUTES, "attributes are longer than any may be")
        self.attributes = fields.take(attribute_bytes)
        self.keys = [fields.take(KEY_LENGTH) for _ in range(count if self.duplicates else 0)]
        for key in self.keys:
            check_key(key, place)
        self.payloads = fields.values(fields.column(count))
        fields.finish()


class Advance:
    """An advance record."""

    def __init__(self, fields: Cursor) -> None:
        self.task, self.phase = fields.fields(ADVANCE_HEAD)
        self.handover = fields.rest()
        fields.place.check(len(self.handover) <= MAX_VALUE, "a hand-over is longer than any may be")


class Keep:
    """A keep record."""

    def __init__(self, fields: Cursor) -> None:
        self.task, self.slot = fields.fields(KEEP_HEAD)
        self.content = fields.rest()
        fields.place.check(len(self.content) <= MAX_VALUE, "the content of a slot is longer than any may be")


class RelocatedSlot:
    """A relocated slot record."""

    def __init__(self, fields: Cursor) -> None:
        self.task, self.slot, segment, frame, record, length = fields.fields(RELOCATION_HEAD)
        self.before = RecordPlace(segment, frame, record)
        self.content = fields.rest()
        fields.place.check(len(self.content) == length <= MAX_VALUE, "the length of what a relocated slot has")


class DroppedTree(NamedTuple):
    """A root task that is shown no more, with all that is below it."""
    root: int
    sequence: int
    kind: int
    reclaimed: int  # the root's row is in no block any more

    def is_of(self, row: Row) -> bool:
        return (row.id, row.sequence, row.kind) == (self.root, self.sequence, self.kind)

    @staticmethod
    def read(fields: Cursor) -> DroppedTree:
        root, sequence, kind, reclaimed, reserved = fields.fields(DROPPED_TREE)
        fields.place.check(0 < root <= MAX_NUMBER and 0 < sequence <= MAX_NUMBER, "a dropped tree is out of bounds")
        fields.place.check(kind in KINDS and reclaimed in (0, 1), "a byte of a dropped tree")
        fields.place.check(not any(reserved), "reserved bytes are in use")
        return DroppedTree(root, sequence, kind, reclaimed)


def check_key(key: bytes, place: Place) -> None:
    place.check(any(key), "a key of zeros")


def ids_in_flight(fields: Cursor) -> list[int]:
    """An in-flight record. Ids that are not live do not count, and one may be there twice."""
    fields.place.check(fields.left() % TASK_ID.size == 0, "the length of an in-flight record")
    return [id_ for (id_,) in TASK_ID.iter_unpack(fields.rest())]


def is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------------------
# Section "Index segments"
# ---------------------------------------------------------------------------------------------------------------------

ENTRY: Final = struct.Struct("<4Q7I3I")


class Entry(NamedTuple):
    """Says where in a segment there is a block."""
    parent: int
    root: int
    offset: int
    sequence: int
    counts: list[int]
    frame_length: int
    begin: int
    length: int


def read_entries(body: bytes, place: Place) -> list[Entry]:
    place.check(len(body) % ENTRY.size == 0, "the length of the entries")
    place.check(len(body) // ENTRY.size <= MAX_ENTRIES, "more entries than a segment may have")
    return [Entry(*fields[:4], list(fields[4:11]), *fields[11:]) for fields in ENTRY.iter_unpack(body)]


class SealedSegment(NamedTuple):
    """Record 21 of a checkpoint."""
    number: int
    directory: int
    entries: int
    tier: int


class OpenSegment(NamedTuple):
    """Record 22 of a checkpoint."""
    number: int
    length: int
    checksum: int


class PlacedBlock(NamedTuple):
    """A block and where it was found."""
    block: Block
    place: Place


def sealed_blocks(file: StoreFile, segment: SealedSegment) -> Iterator[PlacedBlock]:
    """The blocks of a sealed segment."""
    directory = file.frame(segment.directory)
    directory.place.check(directory.kind == DIRECTORY, "not a directory frame")
    directory.place.check(directory.end == len(file.data), "the segment does not end in its directory")
    entries = read_entries(directory.body(), directory.place)
    directory.place.check(len(entries) == segment.entries, "the number of entries")
    keys = [(entry.parent, entry.sequence) for entry in entries]
    directory.place.check(all(low < high for low, high in zip(keys, keys[1:])), "entries are not sorted")
    frames = list(file.chain(FILE_HEADER.size, directory.end, 0))
    return named_blocks(file, frames[:-1], entries, directory.place)


def open_blocks(file: StoreFile, segment: OpenSegment, entries: list[Entry], place: Place) -> Iterator[PlacedBlock]:
    """The blocks of the segment in use; `entries` are those that the checkpoint has, at `place`."""
    place.check(len(entries) <= MAX_ENTRIES, "more entries than a segment may have")
    keys = {(entry.offset, entry.begin) for entry in entries}
    place.check(len(keys) == len(entries), "two entries name one block")
    file.place(len(file.data)).check(segment.length <= len(file.data), "the file is shorter than what counts of it")
    place.check(segment.length >= FILE_HEADER.size, "the segment in use ends in its header")
    frames = list(file.chain(FILE_HEADER.size, segment.length, 0))
    last_checksum = frames[-1].checksum if frames else 0
    place.check(last_checksum == segment.checksum, "header checksum of the last frame of the segment in use")
    return named_blocks(file, frames, entries, place)


def named_blocks(file: StoreFile, frames: Iterable[Frame], entries: Iterable[Entry], place: Place
                 ) -> Iterator[PlacedBlock]:
    """The blocks that entries (which are at `place`) name."""
    entries_of: dict[int, list[Entry]] = defaultdict(list)
    for entry in entries:
        entries_of[entry.offset].append(entry)
    for frame in frames:
        frame.place.check(frame.kind != DIRECTORY, "a directory in the middle of a segment")
        yield from blocks_of_frame(frame, entries_of.pop(frame.place.offset, []))
    for offset in entries_of:
        place.fail(f"an entry names a frame at {offset} of {file.name}, but there is none")


def blocks_of_frame(frame: Frame, entries: Sequence[Entry]) -> Iterator[PlacedBlock]:
    """The blocks of a frame, each of which one entry names."""
    place = frame.place
    body = frame.body()
    lengths = {}  # where each block begins, and its length
    at = 0
    while at < len(body):
        lengths[at] = block_length(body, at, place)
        at += lengths[at]
    place.check(frame.kind == SHARED_BLOCKS or len(lengths) == 1, "a block frame has not one block")
    place.check(sorted(entry.begin for entry in entries) == list(lengths), "not each block has one entry")
    for entry in entries:
        place.check(entry.frame_length == frame.end - place.offset, "an entry has another length of the frame")
        place.check(lengths.get(entry.begin) == entry.length, "an entry names no block of the frame")
        block = read_block(body[entry.begin:entry.begin + entry.length], place, as_is=frame.kind == SHARED_BLOCKS)
        first = block.rows[0].sequence
        agrees = (block.parent, block.root, first, block.counts()) == entry[:2] + entry[3:5]
        place.check(agrees, "the block and its entry differ")
        if frame.kind == BLOCK:
            place.check((frame.identifier, frame.sequence) == (block.parent, first), "the block and its frame differ")
        yield PlacedBlock(block, place)


# ---------------------------------------------------------------------------------------------------------------------
# Section "Checkpoints"
# ---------------------------------------------------------------------------------------------------------------------

(BASE, RUNS, PARENT, DETAIL, OPEN_BLOCK, SEALED_SEGMENT, OPEN_SEGMENT, ENTRIES, ENDED_BLOCK, STAGE_RECORD,
 DROPPED, ATTRIBUTES, VALUE, KEYS, SLOTS) = range(16, 31)

BASE_RECORD: Final = struct.Struct("<QQIQII")
RUN: Final = struct.Struct("<QQqIBBIQIIQ")
STAGED_RUN: Final = struct.Struct("<QQqIBBIQII")
PARENT_RECORD: Final = struct.Struct("<QQBBQ7QQ")
DETAIL_RECORD: Final = struct.Struct("<QBBBIqBB")
ATTRIBUTES_HEAD: Final = struct.Struct("<QQ")
KEYS_HEAD: Final = struct.Struct("<QB")
KEPT: Final = struct.Struct("<QIQII")
SEALED_RECORD: Final = struct.Struct("<IQIB")
OPEN_RECORD: Final = struct.Struct("<IQI")


class LogPosition(NamedTuple):
    """Up to where in the log a checkpoint speaks."""
    segment: int
    offset: int
    checksum: int  # header checksum of the frame before


class Run(NamedTuple):
    """A part of record 17 or 25: the tasks of one record, some of them live, or all waiting for a commit."""
    first: int  # in record 25 a position
    parent: int
    submitted: int
    label: int
    count: int
    priority: int
    segment: int
    frame: int
    record: int
    payload_bytes: int
    live: int = 0


class ParentRecord(NamedTuple):
    """Record 18."""
    id: int
    root: int
    phase: int
    cancelled: int
    live: int
    ended: list[int]
    first_failure: int


class NamedSlot(NamedTuple):
    """A part of record 30, without the task."""
    place: RecordPlace
    length: int


class DetailRecord(NamedTuple):
    """Record 19."""
    task: int
    phase: int
    cancelled: int
    crashes: int
    attempts: int
    not_before: int
    has_priority: int
    priority: int


class Runs:
    """The runs of live tasks, or those of a stage, by their first ids or positions."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.firsts: list[int] = []
        self.attributes: dict[int, bytes] = {}  # by the first id of the run
        self.duplicates: dict[int, int] = {}    # likewise
        self.keys: dict[int, bytes] = {}        # by id

    def end(self) -> int:
        return self.runs[-1].first + self.runs[-1].count if self.runs else 0

    def add(self, run: Run, place: Place) -> None:
        place.check(self.end() <= run.first, "runs are not in order")
        place.check(1 <= run.count <= MAX_SPAWN, f"a run of {run.count} tasks")
        self.runs.append(run)
        self.firsts.append(run.first)

    def run_of(self, id_: int, place: Place) -> Run:
        """The run of a task, which must have come before what is said of the task."""
        place.check(id_ < self.end() and id_ >= self.firsts[0], f"no run before this has task {id_}")
        run = self.runs[bisect_right(self.firsts, id_) - 1]
        place.check(id_ < run.first + run.count, f"no run before this has task {id_}")
        return run


class Checkpoint:
    """The records of a checkpoint, each checked by itself."""

    def __init__(self, file: StoreFile, manifest: Manifest) -> None:
        self.file = file
        self.place = file.place(FILE_HEADER.size)
        self.labels = Labels()
        self.values = NamedValues()
        self.in_flight: list[int] = []
        self.slots: dict[tuple[int, int], NamedSlot] = {}  # by task and slot
        self.runs: dict[int, Runs] = {0: Runs()}  # by stage, those of the live tasks under 0
        self.parents: dict[int, ParentRecord] = {}
        self.details: dict[int, DetailRecord] = {}
        self.open_blocks: dict[int, PlacedBlock] = {}
        self.ended_blocks: list[PlacedBlock] = []
        self.sealed: list[SealedSegment] = []
        self.open: OpenSegment | None = None
        self.entries: list[Entry] = []
        self.dropped: dict[int, DroppedTree] = {}

        frames = list(file.chain(FILE_HEADER.size, len(file.data), 0))
        file.place(len(file.data)).check(len(frames) > 0, "no frame")
        last = frames[-1]
        kinds = [frame.kind for frame in frames]
        last.place.check(kinds == [STATE] * (len(frames) - 1) + [COMMIT], "not state frames and one commit frame")
        last.place.check(last.checksum == manifest.checksum, "the manifest has another checksum")
        all_records = ((kind, fields) for frame in frames for kind, fields in records(frame.body(), frame.place))
        kind, fields = next(all_records, (0, None))
        if kind != BASE or fields is None:
            self.place.fail("the first record is not the base")
        self.base(fields)
        for kind, fields in all_records:
            self.record(kind, fields)
            fields.finish()
        self.place.check(0 in self.parents, "no record of the root tasks' parent")
        self.place.check(self.open is not None or not self.entries, "entries of no segment")
        self.values.check_size(self.place)

    def base(self, fields: Cursor) -> None:
        self.next_id, self.next_sequence, segment, offset, checksum, self.next_index = fields.fields(BASE_RECORD)
        fields.finish()
        self.place.check(1 <= self.next_id <= MAX_NUMBER + 1, "the next id is out of bounds")
        self.place.check(1 <= self.next_sequence <= MAX_NUMBER + 1, "the next sequence is out of bounds")
        self.place.check(1 <= segment <= MAX_SEGMENT, "the number of the log segment is out of bounds")
        self.place.check(offset % 8 == 0 and FILE_HEADER.size <= offset <= MAX_FILE, "the position in the log")
        self.place.check(1 <= self.next_index <= MAX_SEGMENT, "the next index number is out of bounds")
        self.position = LogPosition(segment, offset, checksum)

    def record(self, kind: int, fields: Cursor) -> None:
        place = fields.place
        if kind == DEFINE:
            self.labels.define(fields)
        elif kind == IN_FLIGHT:
            self.in_flight = ids_in_flight(fields)
        elif kind == RUNS:
            place.check(fields.left() % RUN.size == 0, "the length of a record of runs")
            for values in RUN.iter_unpack(fields.rest()):
                run = Run(*values)
                self.labels.check(run.label, place)
                self.runs[0].add(run, place)
                place.check(0 < run.live < 1 << run.count and run.parent < run.first, f"the run of task {run.first}")
        elif kind == STAGE_RECORD:
            (stage,) = fields.fields(STAGE)
            place.check(1 <= stage <= MAX_NUMBER, f"stage {stage}")
            place.check(fields.left() % STAGED_RUN.size == 0, "the length of a stage record")
            for values in STAGED_RUN.iter_unpack(fields.rest()):
                run = Run(*values)
                self.labels.check(run.label, place)
                self.runs.setdefault(stage, Runs()).add(run, place)
        elif kind == ATTRIBUTES:
            stage, first = fields.fields(ATTRIBUTES_HEAD)
            attributes = fields.rest()
            runs = self.runs_of(stage, place)
            place.check(runs.run_of(first, place).first == first, f"attributes of a run that begins before {first}")
            place.check(first not in runs.attributes, f"two records of the attributes of {first}")
            place.check(1 <= len(attributes) <= MAX_ATTRIBUTES, f"{len(attributes)} bytes of attributes")
            runs.attributes[first] = attributes
        elif kind == KEYS:
            stage, duplicates = fields.fields(KEYS_HEAD)
            runs = self.runs_of(stage, place)
            place.check(duplicates in DUPLICATES if stage else duplicates == 0, f"duplicates {duplicates}")
            place.check(fields.left() % KEY.size == 0, "the length of a record of keys")
            about = set()
            for id_, key in KEY.iter_unpack(fields.rest()):
                run = runs.run_of(id_, place)
                about.add(run.first)
                place.check(stage != 0 or run.live >> id_ - run.first & 1 == 1, f"a key of {id_}, which is not live")
                place.check(id_ not in runs.keys, f"two keys of {id_}")
                check_key(key, place)
                runs.keys[id_] = key
            if stage:
                place.check(len(about) == 1, "a record of keys in a stage is not about one run")
                (first,) = about
                place.check(first not in runs.duplicates, f"two records of the keys of {first} in stage {stage}")
                each = all(position in runs.keys for position in range(first, first + runs.run_of(first, place).count))
                place.check(each, f"no key for each task of {first} in stage {stage}")
                runs.duplicates[first] = duplicates
        elif kind == VALUE:
            before = len(self.values)
            self.values.change(fields, may_take_away=False)
            place.check(len(self.values) > before, "two records of one named value")
        elif kind == SLOTS:
            (slot,) = fields.fields(BYTE)
            place.check(fields.left() % KEPT.size == 0, "the length of a record of slots")
            for id_, segment, frame, record, length in KEPT.iter_unpack(fields.rest()):
                run = self.runs[0].run_of(id_, place)
                place.check(run.live >> id_ - run.first & 1 == 1, f"a slot of {id_}, which is not live")
                place.check((id_, slot) not in self.slots, f"slot {slot} of task {id_} is there twice")
                place.check(length <= MAX_VALUE, "the content of a slot is longer than any may be")
                self.slots[id_, slot] = NamedSlot(RecordPlace(segment, frame, record), length)
        elif kind == PARENT:
            values = fields.fields(PARENT_RECORD)
            parent = ParentRecord(*values[:5], list(values[5:12]), values[12])
            place.check(parent.id not in self.parents, f"two records of parent {parent.id}")
            place.check(parent.cancelled in (0, 1), f"the flag of parent {parent.id}")
            place.check(parent.live <= MAX_NUMBER and max(parent.ended) <= MAX_NUMBER, f"a count of parent {parent.id}")
            self.parents[parent.id] = parent
        elif kind == DETAIL:
            detail = DetailRecord(*fields.fields(DETAIL_RECORD))
            place.check(detail.task not in self.details, f"two records of task {detail.task}")
            place.check(detail.cancelled == 0 or detail.cancelled in CANCELS, f"the cancel of task {detail.task}")
            flag = detail.has_priority in (0, 1) and detail.has_priority >= (detail.priority != 0)
            place.check(flag, f"the priority of task {detail.task}")
            self.details[detail.task] = detail
        elif kind == OPEN_BLOCK:
            block = self.block(fields)
            place.check(block.parent in self.parents, "an open block before its parent's record")
            place.check(block.parent not in self.open_blocks, f"two open blocks of {block.parent}")
            self.open_blocks[block.parent] = PlacedBlock(block, place)
        elif kind == ENDED_BLOCK:
            self.ended_blocks.append(PlacedBlock(self.block(fields), place))
        elif kind == SEALED_SEGMENT:
            self.sealed.append(SealedSegment(*fields.fields(SEALED_RECORD)))
            place.check(self.sealed[-1].entries <= MAX_ENTRIES, "more entries than a segment may have")
        elif kind == OPEN_SEGMENT:
            place.check(self.open is None, "two segments in use")
            self.open = OpenSegment(*fields.fields(OPEN_RECORD))
        elif kind == ENTRIES:
            self.entries += read_entries(fields.rest(), place)
        elif kind == DROPPED:
            last_sequence = max((tree.sequence for tree in self.dropped.values()), default=0)
            while fields.left() > 0:
                tree = DroppedTree.read(fields)
                place.check(tree.root < self.next_id, "a dropped tree has an id not yet given out")
                place.check(tree.root not in self.dropped, f"tree {tree.root} is dropped twice")
                place.check(last_sequence < tree.sequence < self.next_sequence, "the sequence of a dropped tree")
                last_sequence = tree.sequence
                self.dropped[tree.root] = tree
        else:
            place.fail(f"unknown record kind {kind}")

    def runs_of(self, stage: int, place: Place) -> Runs:
        place.check(stage in self.runs, f"no run of stage {stage} before this")
        return self.runs[stage]

    def block(self, fields: Cursor) -> Block:
        """The block of record 20 or 24."""
        block = read_block(fields.rest(), fields.place, as_is=False)
        for row in block.rows:
            self.labels.check(row.label, fields.place)
        return block


class Restorer:
    """Builds what a store held at its checkpoint, and checks that all records agree."""

    def __init__(self, files: Files, checkpoint: Checkpoint) -> None:
        self.files = files
        self.checkpoint = checkpoint
        self.place = checkpoint.place
        self.contents = Contents(checkpoint.next_id, checkpoint.next_sequence, checkpoint.labels, checkpoint.values)
        self.contents.in_flight = checkpoint.in_flight
        self.contents.dropped = dict(checkpoint.dropped)
        self.frame_read: tuple[int, int, bytes] | None = None  # segment, offset, decoded body

    def restore(self) -> Contents:
        self.restore_tasks()
        self.restore_stages()
        self.restore_rows()
        self.restore_details()
        self.restore_slots()
        self.restore_parents()
        self.contents.check_labels(self.place)
        return self.contents

    def log_record(self, segment: int, frame: int, record: int) -> tuple[int, Cursor]:
        """The kind and fields of a record in the log before the checkpoint's position."""
        before = (segment, frame) < self.checkpoint.position[:2]
        self.place.check(before, "a record is named that is not before the position")
        if self.frame_read is None or self.frame_read[:2] != (segment, frame):
            body = self.files.old_log(segment).frame(frame).body()
            self.frame_read = segment, frame, body  # what is asked for next is most often in the same frame
        return record_at(self.frame_read[2], record, Place(log_name(segment), frame))

    def spawned(self, run: Run, attributes: bytes, stage: int | None = None) -> Spawn:
        """The record that a run names, for the payloads; `stage`: that for whose commit its tasks wait."""
        kind, fields = self.log_record(run.segment, run.frame, run.record)
        place = fields.place
        if kind == STAGED_SPAWN:
            (stage_of_record,) = fields.fields(STAGE)
            place.check(stage in (None, stage_of_record), "a run names a record of another stage")
        else:
            place.check(kind in (SPAWN, RELOCATED_SPAWN) and stage is None, "a run names a record that is no spawn")
        spawn = Spawn(fields)
        agrees = (run.parent, run.submitted, run.label, run.priority, run.count, run.payload_bytes) == (
            spawn.parent, spawn.submitted, spawn.label, spawn.priority, len(spawn.payloads),
            sum(map(len, spawn.payloads)))
        # The ids of committed tasks are not in their record.
        same_first = run.first == spawn.first or kind == STAGED_SPAWN and stage is None
        place.check(agrees and same_first, "a run and its record differ")
        left_out = kind == RELOCATED_SPAWN
        place.check(not left_out or spawn.duplicates == 0 and not spawn.attributes, "keys or attributes, relocated")
        place.check(left_out or spawn.attributes == attributes, "the attributes of a run and of its record differ")
        return spawn

    def staged_payloads(self, run: Run, stage: int, keys: Sequence[bytes]) -> Sequence[bytes]:
        runs = self.checkpoint.runs[stage]
        spawn = self.spawned(run, runs.attributes.get(run.first, b""), stage)
        agrees = (spawn.duplicates, spawn.keys) == (runs.duplicates.get(run.first, 0), keys)
        self.place.check(agrees, f"the keys of a run of stage {stage} and of its record differ")
        return spawn.payloads

    def restore_tasks(self) -> None:
        """Records 17, 27 and 29: the live tasks, with the payloads in the log."""
        runs = self.checkpoint.runs[0]
        self.place.check(runs.end() <= self.checkpoint.next_id, "a live task has an id not yet given out")
        tasks: dict[int, Task] = {}
        for run in sorted(runs.runs, key=lambda run: (run.segment, run.frame)):
            attributes = runs.attributes.get(run.first, b"")
            for id_, payload in enumerate(self.spawned(run, attributes).payloads, run.first):
                if run.live >> id_ - run.first & 1:
                    tasks[id_] = Task(run.parent, run.label, run.priority, run.submitted, payload, attributes,
                                      run=(run.first, run.count))
        for id_, task in tasks.items():
            self.place.check(task.parent == 0 or task.parent in tasks, f"the parent of live task {id_} is not live")
        self.contents.tasks = tasks
        for id_, key in runs.keys.items():
            self.place.check(key not in self.contents.holders, f"task {id_} and another have one key")
            self.contents.give_key(id_, key)

    def restore_stages(self) -> None:
        """Records 25, 27 and 29: tasks that wait for a commit. It may never come, and their payloads be gone: they are
        not read."""
        for stage, runs in self.checkpoint.runs.items():
            for run in runs.runs if stage else ():
                positions = range(run.first, run.first + run.count) if run.first in runs.duplicates else ()
                keys = [runs.keys[position] for position in positions]
                staged = Staged(run.parent, run.submitted, run.label, run.priority, run.count,
                                runs.attributes.get(run.first, b""), keys,
                                lambda run=run, stage=stage, keys=keys: self.staged_payloads(run, stage, keys))
                self.contents.stages[stage].add(run.first, staged, self.place)

    def restore_rows(self) -> None:
        """Records 20 to 24: the ended tasks, in index segments, open blocks and those of ended parents."""
        checkpoint = self.checkpoint
        numbers = [segment.number for segment in checkpoint.sealed]
        blocks: list[PlacedBlock] = []
        for sealed in checkpoint.sealed:
            blocks += sealed_blocks(self.files.index(sealed.number), sealed)
        if checkpoint.open is not None:
            numbers.append(checkpoint.open.number)
            file = self.files.index(checkpoint.open.number)
            blocks += open_blocks(file, checkpoint.open, checkpoint.entries, self.place)
        self.place.check(len(set(numbers)) == len(numbers), "an index segment is there twice")
        given_out = all(1 <= number < checkpoint.next_index for number in numbers)
        self.place.check(given_out, "an index number not yet given out")
        for block, place in checkpoint.open_blocks.values():
            place.check(block.parent == 0 or block.parent in self.contents.tasks, "an open block of an ended parent")
        for block, place in checkpoint.ended_blocks:
            place.check(block.parent not in self.contents.tasks, "an ended block of a live parent")
        blocks += checkpoint.open_blocks.values()
        blocks += checkpoint.ended_blocks

        blocks.sort(key=lambda placed: (placed.block.parent, placed.block.rows[0].sequence))
        before: Block | None = None
        for block, place in blocks:
            if before is not None and before.parent == block.parent:
                place.check(before.rows[-1].sequence < block.rows[0].sequence, "blocks of one parent overlap")
            self.contents.add_rows(block, place)
            place.check(block.rows[-1].sequence < checkpoint.next_sequence, "a sequence not yet given out")
            place.check(max(row.id for row in block.rows) < checkpoint.next_id, "an id not yet given out")
            before = block
        for tree in checkpoint.dropped.values():
            rows = [row for row in self.contents.rows[0] if row.id == tree.root]
            agrees = not rows if tree.reclaimed else len(rows) == 1 and tree.is_of(rows[0])
            self.place.check(agrees, f"the row of the dropped root task {tree.root}")
        # Of a dropped tree a part may be reclaimed, so that its parents cannot be traced to their root.
        dropped = [block for block, _ in blocks if block.root in checkpoint.dropped]
        self.contents.roots.update((block.parent, block.root) for block in dropped)
        all_rows = [row.sequence for rows in self.contents.rows.values() for row in rows]
        self.place.check(len(set(all_rows)) == len(all_rows), "two rows have one sequence")
        for block, place in blocks:
            place.check(block.root == self.contents.root(block.parent, place), f"the root of {block.parent}")

    def restore_details(self) -> None:
        """Record 19, and what record 18 has in common with it."""
        checkpoint = self.checkpoint
        for detail in checkpoint.details.values():
            task = self.contents.live(detail.task, self.place)
            task.phase, task.cancelled, task.crashes = detail.phase, detail.cancelled, detail.crashes
            task.attempts, task.not_before = detail.attempts, detail.not_before
            task.other_priority = detail.priority if detail.has_priority else None
            task.detailed = True
            advanced = detail.phase != 0
            self.place.check(not advanced or detail.task in checkpoint.parents, f"no record of parent {detail.task}")
        for parent in checkpoint.parents.values():
            task = self.contents.live(parent.id, self.place) if parent.id else Task(0, 0, 0, 0, b"")
            agrees = (parent.phase, parent.cancelled) == (task.phase, int(task.cancelled != 0))
            self.place.check(agrees, f"the records of parent {parent.id} and of its details differ")

    def restore_slots(self) -> None:
        """Record 30: what live tasks have in their slots, with the bytes in the log."""
        checkpoint = self.checkpoint
        for (id_, slot), named in sorted(checkpoint.slots.items(), key=lambda item: item[1].place):
            kind, fields = self.log_record(*named.place)
            place = fields.place
            task = self.contents.live(id_, self.place)
            if kind == ADVANCE:
                advance = Advance(fields)
                said, content = (advance.task, HANDOVER_SLOT), advance.handover
                # What the last advance record says stands until the next.
                place.check(advance.phase == task.phase, f"the phase of task {id_} and its advance record's")
                recorded = task.detailed and id_ in checkpoint.parents
                self.place.check(recorded, f"no record of task {id_}, which was advanced, and of its details")
            elif kind in (KEEP, RELOCATED_SLOT):
                kept = Keep(fields) if kind == KEEP else RelocatedSlot(fields)
                said, content = (kept.task, kept.slot), kept.content
            else:
                place.fail("a slot is in a record that is no advance, keep or relocated slot")
            agrees = (said, len(content)) == ((id_, slot), named.length)
            place.check(agrees, f"the record of slot {slot} of task {id_} and what is said of it differ")
            task.slots[slot] = Kept(content, named.place)
        for id_, task in self.contents.tasks.items():
            handed_over = task.phase == 0 or HANDOVER_SLOT in task.slots
            self.place.check(handed_over, f"nothing in slot {HANDOVER_SLOT} of task {id_}, which was advanced")

    def restore_parents(self) -> None:
        """Record 18: what it counts must be what is there."""
        contents, place = self.contents, self.place
        live: dict[int, int] = defaultdict(int)
        for task in contents.tasks.values():
            live[task.parent] += 1
        for id_ in {*live, *(id_ for id_ in contents.rows if id_ in contents.tasks)}:
            place.check(id_ in self.checkpoint.parents, f"no record of parent {id_}")
        for record in self.checkpoint.parents.values():
            who = f"parent {record.id}"
            place.check(record.root == contents.root(record.id, place), f"the root of {who}")
            place.check(record.live == live[record.id], f"the live children of {who}")
            rows = contents.shown(record.id, place)
            kinds = [row.kind for row in rows]
            place.check(record.ended == [kinds.count(kind) for kind in KINDS], f"the ended children of {who}")
            failed = {row.id for row in rows if row.kind in FAILURES}
            # The first root task that failed may have been dropped.
            place.check(record.id == 0 or record.first_failure in (failed or {0}), f"the first failure of {who}")
            if record.id != 0 and record.live == 0 and not rows:
                task = contents.tasks[record.id]
                advanced = task.detailed and HANDOVER_SLOT in task.slots
                place.check(advanced, f"{who} had no children and was not advanced")
            contents.parents[record.id] = Parent(record.live, record.ended, record.first_failure)


# ---------------------------------------------------------------------------------------------------------------------
# Sections "Log", "Damage"
# ---------------------------------------------------------------------------------------------------------------------

def replay(files: Files, position: LogPosition, named: int, contents: Contents) -> None:
    """Applies the batches from a position of the log on; `named` is the segment that the manifest names. Those above
    it are read as any other."""
    place = Place("MANIFEST", FILE_HEADER.size)
    place.check(named >= position.segment, "a log segment is named that is below the checkpoint's position")
    last = max([named, *files.log_numbers()])
    segment = files.log(position.segment)
    at, checksum = position.offset, position.checksum
    if at == FILE_HEADER.size:
        agrees = checksum == segment.previous_checksum
        segment.place(0).check(agrees, "the checkpoint has another checksum of the frame before")
    segment.place(len(segment.data)).check(at <= len(segment.data), "the file ends before the checkpoint's position")
    for number in range(position.segment + 1, last + 1):
        successor = files.log(number)
        checksum = replay_segment(segment, at, checksum, successor, contents)
        segment, at = successor, FILE_HEADER.size
    replay_segment(segment, at, checksum, None, contents)


def replay_segment(segment: StoreFile, at: int, checksum: int, successor: StoreFile | None, contents: Contents) -> int:
    """Applies the batches of a segment from an offset on; returns the header checksum of its last frame."""
    batch: list[Frame] = []
    while successor is None or at != successor.previous_end:
        try:
            frame = segment.frame(at)
        except NotAFrame:
            if successor is not None or vouched_for(segment, at):
                raise
            return checksum  # the end of the log; parts without their commit frame do not count
        frame.place.check(frame.previous == checksum, "the frame is of another chain")
        within = successor is None or frame.end <= successor.previous_end
        frame.place.check(within, "the frame is not within what the next segment says of this one")
        batch.append(frame)
        if frame.kind == COMMIT:
            contents.apply(batch)
            batch = []
        at, checksum = frame.end, frame.checksum
    segment.place(at).check(not batch, "parts without their commit frame, in a segment that is not the last")
    agrees = checksum == successor.previous_checksum
    successor.place(0).check(agrees, "the header has another checksum of the frame before")
    return checksum


def vouched_for(segment: StoreFile, at: int) -> bool:
    """Whether some later valid frame header says that the segment was on disk beyond `at`."""
    candidate = segment.data.find(FRAME_MAGIC, at + 1)
    while candidate >= 0:
        try:
            if segment.frame_header(candidate).synced > at:
                return True
        except NotAFrame:
            pass
        candidate = segment.data.find(FRAME_MAGIC, candidate + 1)
    return False


# ---------------------------------------------------------------------------------------------------------------------
# Sections "The directory", "Reading a store"
# ---------------------------------------------------------------------------------------------------------------------

def log_name(number: int) -> str:
    return f"log-{number:010d}"


def index_name(number: int) -> str:
    return f"index-{number:010d}"


def checkpoint_name(number: int) -> str:
    return f"checkpoint-{number:010d}"


def mirror_name(number: int) -> str:
    return f"mirror-{number:010d}"


class Files:
    """The files of a store."""

    def __init__(self, directory: str, identity: bytes) -> None:
        self.directory = directory
        self.identity = identity
        self.old_logs: dict[int, OldSegment] = {}

    def log(self, number: int) -> StoreFile:
        return self.open(log_name(number), LOG, number)

    def index(self, number: int) -> StoreFile:
        return self.open(index_name(number), INDEX, number)

    def checkpoint(self, number: int) -> StoreFile:
        return self.open(checkpoint_name(number), CHECKPOINT, number)

    def mirror(self, number: int) -> StoreFile:
        return self.open(mirror_name(number), MIRROR, number)

    def open(self, name: str, kind: int, number: int) -> StoreFile:
        return StoreFile(name, must_read(self.directory, name), kind, number, self.identity)

    def old_log(self, number: int) -> OldSegment:
        if number not in self.old_logs:
            self.old_logs[number] = OldSegment(self.directory, number, self.identity)
        return self.old_logs[number]

    def log_numbers(self) -> list[int]:
        """The numbers of the log segments that are there; other names are ignored."""
        try:
            names = os.listdir(self.directory)
        except OSError as error:
            Place("MANIFEST", 0).fail(f"the directory cannot be read: {error.strerror}")
        matches = (re.fullmatch(r"log-([0-9]{10,20})", name) for name in names)
        return [int(match[1]) for match in matches if match and log_name(int(match[1])) == match[0]]


class OldSegment(StoreFile):
    """A log segment of which only the file header is read, and the frames that are asked for."""

    def __init__(self, directory: str, number: int, identity: bytes) -> None:
        self.directory = directory
        name = log_name(number)
        super().__init__(name, must_read(directory, name, 0, FILE_HEADER.size), LOG, number, identity)

    def part(self, start: int, end: int) -> bytes:
        return must_read(self.directory, self.name, start, end)


def must_read(directory: str, name: str, start: int = 0, end: int | None = None) -> bytes:
    data = read_file(directory, name, start, end)
    if data is None:
        Place(name, 0).fail("the file is not there")
    return data


def read_file(directory: str, name: str, start: int = 0, end: int | None = None) -> bytes | None:
    """The bytes of a file from `start` to `end` or to the end of the file; nothing when there is no file."""
    place = Place(name, 0)
    try:
        with open(os.path.join(directory, name), "rb") as file:
            length = os.fstat(file.fileno()).st_size
            place.check(length <= MAX_FILE, "the file is longer than any may be")
            if end is None:
                end = length
            file.seek(min(start, length))
            return file.read(max(0, min(end, length) - start))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        place.fail(f"cannot be read: {error.strerror}")


def read_checkpoint(files: Files, manifest: Manifest) -> Checkpoint:
    """The checkpoint of the manifest, or its mirror when that is whole."""
    try:
        return Checkpoint(files.checkpoint(manifest.checkpoint), manifest)
    except Damage as damage:
        try:
            checkpoint = Checkpoint(files.mirror(manifest.checkpoint), manifest)
        except Damage:
            raise damage from None
        print(f"{damage}; its mirror is whole", file=sys.stderr)
        return checkpoint


def read_once(directory: str, manifest: Manifest) -> Contents:
    files = Files(directory, manifest.identity)
    checkpoint = read_checkpoint(files, manifest)
    contents = Restorer(files, checkpoint).restore()
    replay(files, checkpoint.position, manifest.log, contents)
    return contents


ATTEMPTS: Final = 100  # to read a store that a writer changes
PAUSE: Final = 0.02    # seconds, in which a writer goes on


def read_store(directory: str) -> Contents:
    """What a store holds. While a writer is at work it may take several attempts; what was read whole is kept."""
    seen = None  # where damage was seen before, and under which checkpoint
    for attempt in range(ATTEMPTS):
        if attempt > 0:
            time.sleep(PAUSE)
        manifest_bytes = read_file(directory, "MANIFEST")
        if manifest_bytes is None:
            raise NoStore(f"no store: {directory}")
        manifest = Manifest(manifest_bytes)
        try:
            return read_once(directory, manifest)
        except Unsupported:
            if read_file(directory, "MANIFEST") == manifest_bytes:
                raise
        except Damage as damage:
            now = manifest.checkpoint, damage.place
            if now == seen or attempt == ATTEMPTS - 1:
                raise
            seen = now
    Place("MANIFEST", 0).fail("it changes all the time")


# ---------------------------------------------------------------------------------------------------------------------
# The dump (README.md)
# ---------------------------------------------------------------------------------------------------------------------

def hexadecimal(value: bytes) -> str:
    return value.hex() or "-"


def dump(contents: Contents) -> Iterator[str]:
    for label, name in sorted(contents.labels.items()):
        yield f"label {label} {hexadecimal(name)}"
    for name, value in sorted(contents.values.items()):
        yield f"value {hexadecimal(name)} {hexadecimal(value)}"
    tasks = sorted(contents.tasks.items())
    for id_, task in tasks:
        yield (f"live {id_} {task.parent} {task.label} {task.priority} {task.submitted} {hexadecimal(task.payload)} "
               f"{hexadecimal(task.attributes)} {hexadecimal(task.key)}")
    for id_, task in tasks:
        if task.detailed:
            priority = "-" if task.other_priority is None else task.other_priority
            yield (f"detail {id_} {task.phase} {task.cancelled} {task.crashes} {task.attempts} {task.not_before} "
                   f"{priority}")
    for id_ in contents.in_flight:
        if id_ in contents.tasks:
            yield f"inflight {id_}"
    for id_, parent in sorted(contents.parents.items()):
        phase, cancelled = (contents.tasks[id_].phase, int(contents.tasks[id_].cancelled != 0)) if id_ else (0, 0)
        ended = " ".join(map(str, parent.ended))
        yield f"parent {id_} {phase} {cancelled} {parent.live} {ended} {parent.first_failure}"
    for id_, task in tasks:
        for slot, kept in sorted(task.slots.items()):
            yield f"slot {id_} {slot} {hexadecimal(kept.content)}"
    place = Place("the store", 0)
    for parent_id in sorted(contents.rows):
        for row in sorted(contents.shown(parent_id, place)):
            yield (f"child {parent_id} {row.sequence} {row.id} {row.kind} {row.label} {row.attempts} {row.started} "
                   f"{row.ended} {hexadecimal(row.value)} {hexadecimal(row.attachment)}")


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 2:
        print("usage: quern_reader.py STORE", file=sys.stderr)
        return 64
    try:
        lines = list(dump(read_store(arguments[1])))
    except Trouble as trouble:
        print(trouble, file=sys.stderr)
        return trouble.status
    sys.stdout.writelines(line + "\n" for line in lines)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
