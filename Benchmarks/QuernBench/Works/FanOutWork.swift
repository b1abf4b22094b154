// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

/// Children under one parent or many: put in, ended, and read back in several ways.
struct FanOutWork: Work {
    /// What is measured, by the first word of a work's name.
    enum Part: String, CaseIterable {
        case insert
        case complete
        case scan
        case failures
        case cursor
        case scanCold = "scan-cold"
        case bytes
        case bytesCompacted = "bytes-compacted"
        case written
    }

    /// The last word of the names.
    var suffix: String
    var memo = ChildSet.Memo.counters
    var children: Int
    /// Nil for one parent.
    var perParent: Int?
    /// Children a transaction.
    var batch = 1000
    var synced = true
    var parts: [Part]

    var names: [String] { parts.map(name) }
    func name(_ part: Part) -> String { "\(part.rawValue)-\(suffix)" }

    func run(_ bench: Bench) throws {
        let wanted = parts.filter { bench.wants(name($0)) }
        guard !wanted.isEmpty else { return }
        let set = ChildSet(memo, count: children, perParent: perParent ?? children)
        let expected = Expected(set)
        var table = SampleTable()
        for round in 0..<bench.rounds {
            for engine in bench.engines(inRound: round) {
                try FanOutRound(work: self, wanted: wanted, set: set, expected: expected, engine: engine)
                    .run(checksOrder: round == 0, into: &table)
            }
            try FanOutLimits(work: self, wanted: wanted, set: set).run(into: &table)
        }
        try bench.results.add(
            table.sorted(names),
            title: "\(children.text) children, \((perParent ?? children).text) a parent, \(memo.title), 1 % failures; "
                + "\(batch.text) a transaction, \(synced ? "synced" : "buffered")\n")
    }

    /// What each engine has to find.
    struct Expected {
        var all: ScanTotal
        var failures: ScanTotal
        var digest = OrderDigest()
        /// Where cursors begin, and what each finds.
        var cursors: [(skipped: Int, total: ScanTotal)] = []
        static let cursorLimit = 1000

        init(_ set: ChildSet) {
            all = set.expected()
            failures = set.expected(failuresOnly: true)
            set.expectedDigest(into: &digest)
            // Positions are known of the first parent alone.
            var random = SeededGenerator(seed: 7)
            for _ in 0..<50 where set.perParent == set.count {
                let skipped = random.below(set.count)
                let end = min(skipped + Self.cursorLimit, set.count)
                cursors.append((skipped, set.expected(skipped..<end)))
            }
        }
    }
}

extension ChildSet.Memo {
    var title: String {
        switch self {
        case .counters: "24-byte memos"
        case .json: "memos of about 200 bytes of JSON"
        case .page: "4,096-byte memos"
        }
    }
}
