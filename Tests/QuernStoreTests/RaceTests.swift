// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Many producers and readers at once. Long bodies, so that the thread sanitizer sees what they share.
@Suite struct RaceTests {
    @Test("S2, S11: producers and readers from many tasks see whole transactions, and nothing is lost")
    func producersAndReaders() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 16 << 10
        configuration.indexSegmentBytes = 8 << 10
        configuration.openBlockBytes = 4 << 10
        configuration.checkpointBytes = 64 << 10
        configuration.payloadCacheBytes = 8 << 10
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let roots = try await store.append(.spawning(4)).spawned[0].map { $0 }
        let producers = 8
        let rounds = 40
        let isDone = MutexBox(false)

        try await withThrowingTaskGroup(of: Void.self) { group in
            for producer in 0..<producers {
                group.addTask {
                    let root = roots[producer % roots.count]
                    for round in 0..<rounds {
                        let children = try await store.append(.spawning(3, under: root)).spawned.flatMap { Array($0) }
                        #expect(children.count == 3)
                        let level: Durability = round % 3 == 0 ? .buffered : .synced
                        try await store.append(.ending(children, under: root), durability: level)
                        if round % 10 == 0 { _ = try await store.label(for: "\(producer) \(round)") }
                    }
                }
            }
            try await withThrowingTaskGroup(of: Void.self) { readers in
                for reader in 0..<3 {
                    readers.addTask {
                        var last = 0
                        while !isDone.value {
                            let children = try StoreFacts.children(of: TaskID(roots[reader]), in: store)
                            // Each transaction ended three.
                            #expect(children.count % 3 == 0 && children.count >= last)
                            last = children.count
                            let live = store.liveTasks()
                            for entry in live.runs.prefix(3) {
                                try? store.withPayloads(of: entry.run, indexes: entry.live) { _, _ in }
                            }
                            _ = store.totals
                            _ = store.liveParents(below: [TaskID(roots[reader])])
                            await Task.yield()
                        }
                    }
                }
                try await group.waitForAll()
                isDone.change { $0 = true }
                try await readers.waitForAll()
            }
        }
        let facts = try StoreFacts(store)
        for root in roots { #expect(facts.children[root]?.count == producers / roots.count * rounds * 3) }
        #expect(facts.names.count == producers * rounds / 10 + 3)
        try await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        expectSame(try StoreFacts(reopened), facts, "reopened")
        try await reopened.close()
    }

    @Test("S1, S11: threads that ask and refresh one reader at once, beside the writer, see whole transactions")
    func oneReaderForAll() async throws {
        let files = SimulatedFileSystem()
        let script = try ReaderScript(on: files, steps: 3)
        let reader = try await MemoReader.open(at: ReaderScript.directory, fileSystem: files)
        let isDone = MutexBox(false)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    var last = 0
                    while !isDone.value {
                        _ = try await reader.refresh()
                        let children = try StoreFacts.children(of: TaskID(1), in: reader)
                        // Each transaction ended two.
                        #expect(children.count % 2 == 0 && children.count >= last)
                        last = children.count
                        #expect(reader.totals.live <= 6)
                        for entry in reader.liveTasks().runs {
                            try? reader.withPayloads(of: entry.run, indexes: entry.live) { _, _ in }
                        }
                    }
                }
            }
            try await ThreadPool.blocking.run { () throws(StoreError) in try script.take(250) }
            isDone.change { $0 = true }
            try await group.waitForAll()
        }
        _ = try await reader.refresh()
        expectSame(try StoreFacts(reader), try StoreFacts(script.store), "in the end")
        try await script.store.close()
    }

    @Test("S2: opening, committing and closing many stores at once leaves none of them stuck")
    func manyStores() async throws {
        try await withThrowingTaskGroup(of: Int.self) { group in
            for index in 0..<16 {
                group.addTask {
                    let files = SimulatedFileSystem()
                    for _ in 0..<3 {
                        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
                        try await store.append(.spawning(index + 1))
                        try await store.close()
                    }
                    let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
                    let live = store.totals.live
                    try await store.close()
                    return live - 3 * (index + 1)
                }
            }
            for try await rest in group { #expect(rest == 0) }
        }
    }
}
