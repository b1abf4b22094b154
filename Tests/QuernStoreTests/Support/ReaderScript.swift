// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// A writer whose transactions are numbered, with files so small that a few of them rotate the log, write checkpoints
/// and remove what these made needless.
///
/// Two roots, 1 and 2. Each step spawns two children under each in turn and ends those of the step before, with memos
/// of 24 bytes; now and then a root is advanced.
final class ReaderScript: Sendable {
    static let directory: FilePath = "/store"

    let store: MemoStore
    private let done = MutexBox(0)

    static var configuration: MemoStore.Configuration {
        var configuration = MemoStore.Configuration.exactLog
        configuration.logReserveBytes = 300
        configuration.logSegmentBytes = 500
        configuration.indexSegmentBytes = 1500
        configuration.openBlockBytes = 300
        configuration.checkpointBytes = 700
        configuration.payloadCacheBytes = 1
        // A step that returns has written its checkpoint.
        configuration.startThread = { $0() }
        return configuration
    }

    init(on files: any FileSystem, steps: Int = 0) throws(StoreError) {
        store = try MemoStore.labelledBlocking(
            at: Self.directory, configuration: Self.configuration, fileSystem: files)
        try take(steps)
    }

    /// Steps that were taken.
    var steps: Int { done.value }

    /// Takes steps, and returns when the checkpoints that they made due are written.
    func take(_ count: Int) throws(StoreError) {
        for _ in 0..<count {
            try store.appendBlocking(Self.transaction(steps))
            done.change { $0 += 1 }
        }
        try store.appendBlocking(Transaction())
    }

    private static func transaction(_ step: Int) -> Transaction {
        if step == 0 { return .spawning(2) }
        // Step 1 spawns 3 and 4 under root 1, step 2 spawns 5 and 6 under root 2.
        let parent = UInt64(2 - step % 2)
        var transaction = Transaction.spawning(2, under: parent)
        if step > 1 {
            let first = UInt64(2 * step - 1)
            for task in [first, first + 1] {
                transaction.end(.init(task, under: 3 - parent)) { memo in
                    for number in [task, 7, UInt64(step)] { memo.append(littleEndian: number) }
                }
            }
        }
        if step % 5 == 0 { transaction.advance(TaskID(parent), to: UInt8(step % 200), value: [UInt8(step % 200)]) }
        return transaction
    }

    /// What the store says after each number of steps: `facts(10)[0]` is of a new store.
    static func facts(_ steps: Int) throws -> [StoreFacts] {
        let script = try ReaderScript(on: SimulatedFileSystem())
        var facts = [try StoreFacts(script.store)]
        for _ in 0..<steps {
            try script.take(1)
            facts.append(try StoreFacts(script.store))
        }
        try script.store.closeBlocking()
        return facts
    }
}
