// SPDX-License-Identifier: Apache-2.0

/// What ended tasks left for whoever runs them again, of those alone that left something.
///
/// By commit position: so it stays right whatever rows are left out or turned round.
package struct Attachments: Sendable, Equatable {
    private struct Entry: Sendable, Equatable, BitwiseCopyable {
        var sequence: UInt64
        var offset: UInt32
        var length: UInt32

        var range: Range<Int> { Int(offset)..<(Int(offset) + Int(length)) }
    }

    /// In the order of their sequences.
    private var entries: [Entry] = []
    /// All of them, side by side.
    package private(set) var bytes: [UInt8] = []

    package var isEmpty: Bool { entries.isEmpty }

    /// What it takes in memory beside itself, in bytes.
    var footprint: Int { entries.footprint + bytes.footprint }

    /// Where the attachment of an outcome is in ``bytes``; empty when it has none. O(log count).
    package func range(of sequence: UInt64) -> Range<Int> {
        let index = entries.partition { $0.sequence >= sequence }
        return index < entries.count && entries[index].sequence == sequence ? entries[index].range : 0..<0
    }

    /// Adds that of a later outcome, unless it is empty.
    package mutating func append(_ attachment: UnsafeRawBufferPointer, of sequence: UInt64) {
        if attachment.isEmpty { return }
        entries.append(
            Entry(sequence: sequence, offset: UInt32(clamping: bytes.count), length: UInt32(clamping: attachment.count))
        )
        bytes.append(contentsOf: attachment)
    }

    /// Adds those that `other` has of later outcomes.
    mutating func append(_ other: Attachments, of rows: some Sequence<OutcomeRow>) {
        if other.isEmpty { return }
        other.bytes.withUnsafeBytes { bytes in
            for row in rows {
                append(UnsafeRawBufferPointer(rebasing: bytes[other.range(of: row.sequence)]), of: row.sequence)
            }
        }
    }

    mutating func removeAll() {
        entries.removeAll(keepingCapacity: true)
        bytes.removeAll(keepingCapacity: true)
    }
}
