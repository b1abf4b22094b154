// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting

/// What the children of a benchmark leave.
enum Memos: String, CaseIterable {
    /// Nothing.
    case empty
    /// 24 bytes as a directory scanner leaves them: `{discovered, skipped, deleted}`, small numbers, many of them zero.
    case counters
    /// 24 bytes that no compression makes smaller.
    case random
    /// 100 to 300 bytes of words, no two of a length in particular.
    case variable

    /// A counters memo as it is read back.
    struct Counters: BitwiseCopyable {
        var discovered: UInt64
        var skipped: UInt64
        var deleted: UInt64
    }

    var name: String {
        switch self {
        case .empty: "empty memos"
        case .counters: "24-byte counters"
        case .random: "24 random bytes"
        case .variable: "100-300 byte texts"
        }
    }

    func append(to writer: inout ByteWriter, from random: inout SeededGenerator) {
        switch self {
        case .empty: break
        case .counters:
            writer.append(littleEndian: UInt64(random.below(200)))
            writer.append(littleEndian: UInt64(random.chance(1, in: 5) ? random.below(50) : 0))
            writer.append(littleEndian: UInt64(random.chance(1, in: 50) ? random.below(10) : 0))
        case .random: for _ in 0..<3 { writer.append(littleEndian: random.next()) }
        case .variable:
            let end = writer.count + 100 + random.below(201)
            while writer.count < end {
                writer.append(contentsOf: Self.words[random.below(Self.words.count)].utf8.prefix(end - writer.count))
            }
        }
    }

    private static let words = [
        "directory ", "permission ", "denied ", "listed ", "entries ", "skipped ", "modified ", "unchanged ", "/srv/",
        "catalog ", "2026-", "bytes ", "of ", "in ", "scan ", "error ", "0123 ", "4567 ", "89ab ", "cdef ",
    ]
}
