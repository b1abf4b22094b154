// SPDX-License-Identifier: Apache-2.0
import Benchmark
import Quern
import QuernStore
import QuernTesting
import SystemPackage

/// The inner loops, each by itself: `make bench-micro` says how many nanoseconds an operation takes, and how that is
/// spread.
let benchmarks: @Sendable () -> Void = {
    Benchmark.defaultConfiguration = .init(
        metrics: [.wallClock, .throughput], warmupIterations: 3, scalingFactor: .kilo, maxDuration: .seconds(2),
        maxIterations: 200)
    codecs()
    transactions()
    walks()
}

private struct Payload: Codable {
    var path = "/srv/data/10000000000000"
    var depth = 3
    var isLink = false
}

/// What a handler's payload costs, a thousand a pass.
private func codecs() {
    Benchmark("BinaryCodec encode") { benchmark in
        for _ in benchmark.scaledIterations {
            var writer = ByteWriter()
            try BinaryCodec.encode(Payload(), into: &writer)
            blackHole(writer.count)
        }
    }
    Benchmark("BinaryCodec decode") { benchmark in
        var writer = ByteWriter()
        try BinaryCodec.encode(Payload(), into: &writer)
        let bytes = writer.bytes
        for _ in benchmark.scaledIterations { blackHole(try BinaryCodec.decode(Payload.self, from: bytes.span.bytes)) }
    }
}

/// A thousand operations put into a transaction.
private func transactions() {
    Benchmark("Transaction spawn") { benchmark, store in
        var transaction = Transaction()
        for number in benchmark.scaledIterations { store.spawn(number, in: &transaction) }
        blackHole(transaction)
    } setup: {
        try FilledStore(children: 0)
    }
    Benchmark("Transaction end") { benchmark, store in
        var transaction = Transaction()
        for number in benchmark.scaledIterations { store.end(UInt64(number + 2), in: &transaction) }
        blackHole(transaction)
    } setup: {
        try FilledStore(children: 0)
    }
    Benchmark("MemoStore append, a thousand spawns, buffered") { benchmark, store in
        var transaction = Transaction()
        for number in benchmark.scaledIterations { store.spawn(number, in: &transaction) }
        benchmark.startMeasurement()
        _ = try store.store.appendBlocking(transaction, durability: .buffered)
        benchmark.stopMeasurement()
    } setup: {
        try FilledStore(children: 0)
    }
}

/// 238,000 children of one parent, all of them a pass.
private func walks() {
    Benchmark("ChildCursor, 238,000 memos in place", configuration: .init(scalingFactor: .one)) { _, store in
        var sum: UInt64 = 0
        var cursor = try store.store.children(of: store.parent).makeCursor(columns: .memos)
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            block.withMemos(as: UInt64.self) { memos in for index in memos.indices { sum &+= memos[index] } }
        }
        blackHole(sum)
    } setup: {
        try FilledStore(children: 238_000)
    }
}

/// A store with ended children of one parent.
private struct FilledStore: Sendable {
    let directory: TemporaryDirectory
    let store: MemoStore
    let label: Label
    let parent: TaskID

    init(children: Int) throws {
        directory = try TemporaryDirectory()
        store = try MemoStore.openBlocking(at: directory.path.appending("store"))
        label = try store.labelBlocking(for: "child")
        var root = Transaction()
        root.spawn(under: .none, label: label, at: Timestamp(milliseconds: 1)) { _ in }
        parent = TaskID(try store.appendBlocking(root).spawned[0].lowerBound)
        for start in stride(from: 0, to: children, by: 1000) {
            var spawns = Transaction()
            for number in start..<min(start + 1000, children) { spawn(number, in: &spawns) }
            let spawned = try store.appendBlocking(spawns, durability: .buffered).spawned
            var ends = Transaction()
            for task in spawned.joined() { end(task, in: &ends) }
            _ = try store.appendBlocking(ends, durability: .buffered)
        }
    }

    func spawn(_ number: Int, in transaction: inout Transaction) {
        transaction.spawn(under: parent, label: label, at: Timestamp(milliseconds: 1)) {
            $0.append(littleEndian: UInt64(number))
        }
    }

    func end(_ task: UInt64, in transaction: inout Transaction) {
        transaction.end(
            .init(
                task: TaskID(task), parent: parent, label: label, kind: .completed,
                startedAt: Timestamp(milliseconds: 1), endedAt: Timestamp(milliseconds: 2))
        ) { $0.append(littleEndian: task % 100) }
    }
}
