// SPDX-License-Identifier: Apache-2.0

/// The largest of everything, checked when written and when read.
public enum Limits {
    /// A memo, payload, error or attachment, or what a task keeps in a slot, in bytes: 16 MiB.
    public static let valueBytes = 16 << 20
    /// A name behind a label, in UTF-8 bytes.
    public static let nameBytes = 255
    /// The attributes of a spawn, in bytes.
    public static let attributeBytes = 4096
    /// A named value, in bytes.
    public static let namedValueBytes = 64 << 10
    /// All named values with their names, in bytes.
    public static let namedValuesBytes = 64 << 20
    /// Tasks in a stage.
    public static let stagedTasks: UInt64 = 1 << 32
    /// A frame's body before compression. A memo and an attachment of the largest size and their record must fit.
    static let frameBytes = 48 << 20
    /// What a frame's body grows to before the next frame of the same batch begins.
    static let frameTarget = 1 << 20
    /// The same of spawns: their payloads are read again, a frame at a time, and tasks of several groups or priorities
    /// take turns.
    static let spawnFrameTarget = 128 << 10
    /// What one group commit gathers before the next begins; a larger transaction makes a batch of its own.
    static let batchBytes = 8 << 20
    /// What a store holds back of its disk at most.
    static let reserveBytes = 64 << 20
    /// Children in a block.
    static let blockRows = 4096
    /// Ids, sequences and counts: more than can ever be reached, and their sums stay far from an overflow.
    package static let number: UInt64 = 1 << 60
    /// What the next id and the next sequence can be: none has the number zero.
    static let given: ClosedRange<UInt64> = 1...number
    /// The same in a store that is opened to be written: it cannot come to the end of ``number`` any more.
    static let writableNumber: UInt64 = number / 2
    /// What the next id and the next sequence can be in such a store, and what is given out in it.
    static let writable: ClosedRange<UInt64> = 1...writableNumber
    /// Numbers of log and index segments in a checkpoint: as many more can follow before they overflow.
    static let segments: UInt32 = 1 << 31
    /// The same in a store that is opened to be written.
    static let writableSegments: UInt32 = segments / 2
    /// The length of a file.
    static let fileBytes: UInt64 = 1 << 48
    /// Entries in an index segment's directory.
    static let directoryEntries = 1 << 17
}
