// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Failures by reason, in bounded memory, and without a string for each.
struct FailureGroups {
    struct Group {
        let reason: [UInt8]
        /// Whether the reason is no text that a scheduler wrote but the error's bytes.
        let isRaw: Bool
        var counts = OutcomeCounts()
        var first: Timestamp
        var last: Timestamp
        /// The details of the first ones.
        var samples: [Sample] = []
    }

    struct Sample {
        var id: TaskID
        var detail: [UInt8]
    }

    /// How many reasons are told apart; failures of others are counted together.
    private static let maximumGroups = 4096
    /// What is kept of an error that is no text.
    private static let rawBytes = 64
    /// What is kept of a detail.
    static let detailBytes = 4 << 10
    /// What reasons and samples take together.
    static let keptBytes = 64 << 20
    /// What one takes beside its text, about.
    private static let overhead = 128

    private let sampleLimit: Int
    /// How much more can be kept.
    private var room = Self.keptBytes
    private(set) var groups: [Group] = []
    /// By the hash of the reason: almost always one.
    private var places: [Int: [Int]] = [:]
    private var lastHit = 0
    private(set) var total: UInt64 = 0
    /// Failures whose reasons came when there were too many.
    private(set) var others: UInt64 = 0

    init(samples: Int) { sampleLimit = samples }

    mutating func add(_ index: Int, of block: borrowing ChildBlock) {
        total += 1
        let kind = block.kind(at: index)
        let endedAt = block.endedAt(at: index)
        let id = block.id(at: index)
        block.withValue(at: index) { value in
            value.withUnsafeBytes { bytes in
                // One that says nothing, such as of a task that expired, has its outcome for a reason.
                if bytes.isEmpty {
                    return kind.name.withUTF8Buffer {
                        add(UnsafeRawBufferPointer($0), isRaw: false, detail: bytes, id, kind, endedAt)
                    }
                }
                if let error = ErrorBytes(bytes) {
                    return add(error.reason, isRaw: false, detail: error.detail, id, kind, endedAt)
                }
                add(
                    UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.rawBytes)), isRaw: true,
                    detail: UnsafeRawBufferPointer(start: nil, count: 0), id, kind, endedAt)
            }
        }
    }

    private mutating func add(
        _ reason: UnsafeRawBufferPointer, isRaw: Bool, detail: UnsafeRawBufferPointer, _ id: TaskID,
        _ kind: OutcomeKind, _ endedAt: Timestamp
    ) {
        guard let place = place(of: reason, isRaw: isRaw, endedAt) else {
            others += 1
            return
        }
        groups[place].counts[kind] += 1
        groups[place].first = min(groups[place].first, endedAt)
        groups[place].last = max(groups[place].last, endedAt)
        guard groups[place].samples.count < sampleLimit else { return }
        let kept = Self.beginning(of: detail)
        guard take(kept.count) else { return }
        groups[place].samples.append(Sample(id: id, detail: kept))
    }

    /// As much of a text as is kept: whole characters, and three dots for the rest.
    private static func beginning(of text: UnsafeRawBufferPointer) -> [UInt8] {
        guard text.count > detailBytes else { return Array(text) }
        var end = detailBytes
        while end > detailBytes - 4, text[end] & 0xC0 == 0x80 { end -= 1 }
        return text[..<end] + Array("...".utf8)
    }

    /// Takes room for a text; false when there is none left.
    private mutating func take(_ bytes: Int) -> Bool {
        guard room >= bytes + Self.overhead else { return false }
        room -= bytes + Self.overhead
        return true
    }

    private mutating func place(of reason: UnsafeRawBufferPointer, isRaw: Bool, _ time: Timestamp) -> Int? {
        func isSame(_ group: Group) -> Bool { group.isRaw == isRaw && group.reason.elementsEqual(reason) }
        if lastHit < groups.count, isSame(groups[lastHit]) { return lastHit }
        var hasher = Hasher()
        hasher.combine(isRaw)
        hasher.combine(bytes: reason)
        let hash = hasher.finalize()
        if let place = places[hash]?.first(where: { isSame(groups[$0]) }) {
            lastHit = place
            return place
        }
        guard groups.count < Self.maximumGroups, take(reason.count) else { return nil }
        places[hash, default: []].append(groups.count)
        groups.append(Group(reason: Array(reason), isRaw: isRaw, first: time, last: time))
        lastHit = groups.count - 1
        return lastHit
    }

    /// The largest ones, those that came first before others; and how many failures all others have.
    func largest(_ limit: Int) -> (groups: [Group], others: UInt64) {
        let sorted = groups.enumerated().sorted {
            ($1.element.counts.total, $0.offset) < ($0.element.counts.total, $1.offset)
        }.map(\.element)
        return (Array(sorted.prefix(limit)), others + sorted.dropFirst(limit).reduce(0) { $0 + $1.counts.total })
    }
}

extension FailureGroups.Group {
    var text: String { Self.text(reason, isRaw: isRaw) }

    static func text(_ bytes: [UInt8], isRaw: Bool) -> String {
        guard isRaw else { return String(decoding: bytes, as: UTF8.self) }
        var buffer = TextBuffer()
        bytes.withUnsafeBytes { buffer.append(hex: $0) }
        return buffer.text
    }
}
