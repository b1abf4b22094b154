// SPDX-License-Identifier: Apache-2.0
import QuernTesting

/// Children as every engine gets them: the same payloads, and the same memos and errors when they end.
///
/// Made before the clock starts, a few arrays for all: an engine reads a row in place.
struct ChildSet: Sendable {
    /// What children leave.
    enum Memo: String, Sendable {
        /// 24 bytes as a directory scanner leaves them, small numbers, many of them zero.
        case counters
        /// About 200 bytes of JSON.
        case json
        /// 4,096 bytes of text.
        case page
    }

    /// One child: valid while the call lasts that handed it out.
    struct Row {
        /// What it is spawned with.
        var payload: UnsafeRawBufferPointer
        /// Its memo, or its error text.
        var value: UnsafeRawBufferPointer
        var failed: Bool
        /// Milliseconds since 1970.
        var startedAt: Int64
        var endedAt: Int64
    }

    /// As long as a short path.
    static let payloadSize = 24
    /// When the first one was submitted, in milliseconds.
    static let start: Int64 = 1_700_000_000_000

    let count: Int
    /// So many rows in succession have one parent, the next ones the next parent.
    let perParent: Int
    private var payloads: [UInt8] = []
    private var values: [UInt8] = []
    private var valueEnds: [Int] = []
    private var failures: [Bool] = []
    private var endedAt: [Int64] = []

    /// - Parameter number: sets of different numbers have different children, the same on every machine.
    init(_ memo: Memo, count: Int, perParent: Int, number: Int = 0) {
        self.count = count
        self.perParent = perParent
        var random = SeededGenerator(seed: UInt64(number) &+ 1)
        payloads.reserveCapacity(count * Self.payloadSize)
        for index in 0..<count {
            payloads.append(contentsOf: "/srv/data/".utf8)
            payloads.append(contentsOf: String(10_000_000_000_000 + number * 1_000_000_000 + index).utf8)
            let failed = random.chance(1, in: 100)
            if failed { Self.appendError(&values, &random) } else { Self.append(memo, &values, &random) }
            failures.append(failed)
            longestValue = max(longestValue, values.count - (valueEnds.last ?? 0))
            valueEnds.append(values.count)
            endedAt.append(Self.start + Int64(index >> 4) + Int64(random.below(3)))
        }
    }

    /// Hands out rows in order. Costs nothing a row once the loop is part of an engine's.
    @inline(__always)
    func forEach(_ rows: Range<Int>, _ body: (Int, Row) throws -> Void) rethrows {
        try payloads.withUnsafeBytes { payloads in
            try values.withUnsafeBytes { values in
                var start = rows.lowerBound == 0 ? 0 : valueEnds[rows.lowerBound - 1]
                for index in rows {
                    let end = valueEnds[index]
                    let first = index * Self.payloadSize
                    try body(
                        index,
                        Row(
                            payload: .init(rebasing: payloads[first..<(first + Self.payloadSize)]),
                            value: .init(rebasing: values[start..<end]), failed: failures[index],
                            // Some run a few milliseconds.
                            startedAt: endedAt[index] - Int64(index & 7), endedAt: endedAt[index]))
                    start = end
                }
            }
        }
    }

    /// Hands out stretches of rows that have one parent, with the parent's number.
    @inline(__always)
    func forEachRun(_ rows: Range<Int>, _ body: (UInt64, Range<Int>) throws -> Void) rethrows {
        var start = rows.lowerBound
        while start < rows.upperBound {
            let parent = start / perParent
            let end = min((parent + 1) * perParent, rows.upperBound)
            try body(UInt64(parent), start..<end)
            start = end
        }
    }

    var parentCount: Int { (count + perParent - 1) / perParent }

    /// Bytes of the values of some rows.
    func valueBytes(_ rows: Range<Int>) -> Int {
        rows.isEmpty ? 0 : valueEnds[rows.upperBound - 1] - (rows.lowerBound == 0 ? 0 : valueEnds[rows.lowerBound - 1])
    }

    var payloadBytes: [UInt8] { payloads }
    var allValues: [UInt8] { values }
    /// The longest value: room for scratch space.
    private(set) var longestValue = 0

    // MARK: What a scan must find

    func expected(_ rows: Range<Int>? = nil, failuresOnly: Bool = false) -> ScanTotal {
        var total = ScanTotal()
        forEach(rows ?? 0..<count) { _, row in
            if failuresOnly {
                if row.failed { total.addError(row.value) }
            } else if row.failed {
                total.addFailure()
            } else {
                total.add(row.value)
            }
        }
        return total
    }

    func expectedDigest(into digest: inout OrderDigest) {
        forEach(0..<count) { index, row in digest.add(id: UInt64(index), failed: row.failed, row.value) }
    }

    // MARK: Content

    private static func append(_ memo: Memo, _ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        let discovered = random.below(200)
        let skipped = random.chance(1, in: 5) ? random.below(50) : 0
        let deleted = random.chance(1, in: 50) ? random.below(10) : 0
        switch memo {
        case .counters:
            for number in [discovered, skipped, deleted] {
                withUnsafeBytes(of: UInt64(number).littleEndian) { bytes.append(contentsOf: $0) }
            }
        case .json:
            let path = "/srv/data/\(words[random.below(words.count)])/\(random.below(1_000_000))"
            let text =
                "{\"path\":\"\(path)\",\"discovered\":\(discovered),\"skipped\":\(skipped),\"deleted\":\(deleted),"
                + "\"bytes\":\(random.below(1 << 30)),"
                + "\"newest\":\"2026-11-\(10 + random.below(20))T0\(random.below(10)):"
                + "\(10 + random.below(50)):00Z\",\"note\":\"\(words[random.below(words.count)])"
                + " \(words[random.below(words.count)])\",\"digest\":\"\(String(random.next(), radix: 16))\"}"
            bytes.append(contentsOf: text.utf8)
        case .page:
            let end = bytes.count + 4096
            while bytes.count < end {
                let word = random.chance(1, in: 4) ? String(random.next(), radix: 36) : words[random.below(words.count)]
                bytes.append(contentsOf: (word + " ").utf8.prefix(end - bytes.count))
            }
        }
    }

    private static func appendError(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
        let reason = ["permission denied", "no such file or directory", "input/output error"][random.below(3)]
        bytes.append(
            contentsOf: "\(reason): /srv/data/\(words[random.below(words.count)])/\(random.below(100_000))".utf8)
    }

    private static let words = [
        "invoices", "photos", "mail", "archive", "backup", "catalog", "letters", "reports", "music", "scans", "drafts",
        "contracts", "projects", "notes", "exports", "logs",
    ]
}
