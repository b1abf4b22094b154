// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore
import SystemPackage

/// Measures what a device gives quern, each figure beside what the device gives a program that does nothing but the
/// same writes, syncs or reads.
struct BenchRun {
    struct Figure {
        enum Unit {
            case microseconds
            case bytesPerSecond
            case childrenPerSecond

            /// As it is printed for programs.
            var name: StaticString {
                switch self {
                case .microseconds: "us"
                case .bytesPerSecond: "B/s"
                case .childrenPerSecond: "children/s"
                }
            }
        }

        var key: StaticString
        var name: String
        var unit: Unit
        var value: Double
        /// What the device gives, in the same unit; nil when the figure is that itself.
        var limit: Double?
        /// Of both the share that quern gets of the limit, from 0 to about 1; nil without limit.
        var share: Double? {
            guard let limit, limit > 0, value > 0 else { return nil }
            return unit == .microseconds ? limit / value : value / limit
        }
    }

    private static let page = 4 << 10
    private static let piece = 1 << 20
    private static let childrenPerCommit = 10_000
    private static let memoBytes = 24

    let directory: BenchDirectory
    let children: Int
    let syncs: Int
    private(set) var figures: [Figure] = []
    private let files = PosixFileSystem()
    private let random: [UInt8]

    init(in directory: BenchDirectory, children: Int, syncs: Int) {
        self.directory = directory
        self.children = children
        self.syncs = syncs
        var generator = SystemRandomNumberGenerator()
        random = (0..<(Self.piece / 8)).flatMap { _ in
            withUnsafeBytes(of: generator.next()) { Array($0) }
        }
    }

    mutating func run() throws {
        let store = try MemoStore.openBlocking(at: directory.path.appending("store"))
        do {
            try measure(store)
        } catch {
            try? store.closeBlocking()
            throw error
        }
        try store.closeBlocking()
    }

    private mutating func measure(_ store: MemoStore) throws {
        let label = try store.labelBlocking(for: "bench")
        try measureCommits(store, label)
        let writeLimit = try sequentialWrite()
        try measureIngest(store, label, writeLimit)
        try measureScan(store)
    }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = ContinuousClock.now
        try body()
        return (ContinuousClock.now - start) / .seconds(1)
    }

    // MARK: Syncs

    /// By turns, so that whatever else the device does meets both alike.
    private mutating func measureCommits(_ store: MemoStore, _ label: Label) throws {
        let file = try files.open(directory.path.appending("syncs"), .createNew)
        // As the store does: a sync need not write the file's new length then.
        for index in 0..<syncs {
            try [UInt8](repeating: 0, count: Self.page).withUnsafeBytes { try file.write($0, at: index * Self.page) }
        }
        try file.synchronize()
        var device: [Double] = []
        var samples: [Double] = []
        for index in 0..<syncs {
            try Interruption.check()
            device.append(
                try seconds {
                    try random.withUnsafeBytes {
                        try file.write(UnsafeRawBufferPointer(rebasing: $0[..<Self.page]), at: index * Self.page)
                    }
                    try file.synchronize()
                })
            var transaction = Transaction()
            transaction.spawn(under: .none, label: label, at: SystemWallClock().now) { (_) throws(Never) in }
            samples.append(try seconds { try store.appendBlocking(transaction, durability: .synced) })
        }
        device.sort()
        samples.sort()
        for (key, limitKey, name, rank) in [
            ("commit_median", "sync_median", "median", 0.5), ("commit_99th", "sync_99th", "99th percentile", 0.99),
            ("commit_longest", "sync_longest", "longest", 1),
        ] as [(StaticString, StaticString, String, Double)] {
            let index = Int(Double(samples.count - 1) * rank)
            figures.append(
                Figure(key: limitKey, name: "write and sync, \(name)", unit: .microseconds, value: device[index] * 1e6))
            figures.append(
                Figure(
                    key: key, name: "commit, \(name)", unit: .microseconds, value: samples[index] * 1e6,
                    limit: device[index] * 1e6))
        }
    }

    // MARK: Ingest

    /// Bytes a second of large writes with one sync at the end of all.
    private mutating func sequentialWrite() throws -> Double {
        let file = try files.open(directory.path.appending("sequential"), .createNew)
        let pieces = 64
        let time = try seconds {
            for index in 0..<pieces {
                try Interruption.check()
                try random.withUnsafeBytes { try file.write($0, at: index * Self.piece) }
            }
            try file.synchronize()
        }
        let rate = Double(pieces * Self.piece) / time
        figures.append(Figure(key: "write", name: "sequential write", unit: .bytesPerSecond, value: rate))
        return rate
    }

    private mutating func measureIngest(_ store: MemoStore, _ label: Label, _ writeLimit: Double) throws {
        var root = Transaction()
        root.spawn(under: .none, label: label, at: SystemWallClock().now) { (_) throws(Never) in }
        let parent = TaskID(try store.appendBlocking(root).spawned[0].lowerBound)
        var memo = 0 as UInt64
        let before = try RawStore(at: directory.path.appending("store")).bytes
        let time = try seconds {
            for start in stride(from: 0, to: children, by: Self.childrenPerCommit) {
                try Interruption.check()
                let count = min(Self.childrenPerCommit, children - start)
                let now = SystemWallClock().now
                var spawns = Transaction()
                for _ in 0..<count { spawns.spawn(under: parent, label: label, at: now) { (_) throws(Never) in } }
                let first = try store.appendBlocking(spawns, durability: .buffered).spawned[0].lowerBound
                var ends = Transaction()
                for id in first..<(first + UInt64(count)) {
                    ends.end(
                        Transaction.Outcome(
                            task: TaskID(id), parent: parent, label: label, kind: .completed, endedAt: now)
                    ) { (writer) throws(Never) in
                        for _ in 0..<(Self.memoBytes / 8) {
                            memo = memo &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                            writer.append(littleEndian: memo >> 40)
                        }
                    }
                }
                try store.appendBlocking(ends, durability: .synced)
            }
        }
        let written = try RawStore(at: directory.path.appending("store")).bytes - before
        figures.append(
            Figure(
                key: "ingest", name: "children spawned and ended", unit: .childrenPerSecond,
                value: Double(children) / time))
        figures.append(
            Figure(
                key: "ingest_bytes", name: "bytes written for them", unit: .bytesPerSecond,
                value: Double(max(written, 0)) / time, limit: writeLimit))
    }

    // MARK: Scan

    private mutating func measureScan(_ store: MemoStore) throws {
        let parent = TaskID(UInt64(syncs) + 1)
        let files = try RawStore(at: directory.path.appending("store"))
        var read = 0
        let limit = try seconds {
            for file in files.files(.index) { read += try file.readAll() }
        }
        var found = 0
        var sum = 0 as UInt64
        let time = try seconds {
            var cursor = try store.children(of: parent).makeCursor(columns: .memos)
            var block = ChildBlock()
            while try cursor.next(into: &block) {
                try Interruption.check()
                found += block.count
                for index in 0..<block.count {
                    sum &+= block.withValue(at: index) { $0.unsafeLoadUnaligned(as: UInt64.self) }
                }
            }
        }
        guard found == children else { throw ToolError(.unreadable, "\(found) of \(children) children were found") }
        figures.append(
            Figure(key: "read", name: "index read", unit: .bytesPerSecond, value: Double(read) / limit))
        figures.append(
            Figure(
                key: "scan", name: "children scanned", unit: .childrenPerSecond, value: Double(found) / time,
                limit: Double(found) / limit))
    }
}
