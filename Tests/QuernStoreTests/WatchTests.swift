// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Whoever waits for a task is told of its end, whatever parent it has, and nobody else costs anything (S8).
@Suite struct WatchTests {
    let files = SimulatedFileSystem()

    @Test("Each watched task is told once, with its kind, in the batch that ends it; others are not")
    func told() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let recorder = Recorder()
        store.setObserver(recorder)
        #expect(store.lastTask == .none)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        #expect(store.lastTask == TaskID(root))
        let ids = try await store.append(.spawning(6, under: root)).spawned[0].map { TaskID($0) }
        try await store.append(.ending([ids[0].rawValue], under: root))
        #expect(
            store.watch([ids[0], ids[1], ids[1], ids[2], ids[4], TaskID(root), TaskID(99)]) == [ids[0], TaskID(99)])
        store.unwatch([ids[4]])
        var end = Transaction()
        end.end(.init(ids[1].rawValue, under: root, .expired))
        end.end(.init(ids[3].rawValue, under: root))
        end.end(.init(ids[4].rawValue, under: root))
        try await store.append(end)
        #expect(recorder.commits.last?.endedWatched == [ids[1]: .expired])
        #expect(store.watch(ids) == [ids[0], ids[1], ids[3], ids[4]])
        try await store.append(.ending([ids[2].rawValue, ids[5].rawValue], under: root))
        #expect(recorder.commits.last?.endedWatched == [ids[2]: .completed, ids[5]: .completed])
        try await store.append(.ending([root], under: 0))
        #expect(recorder.commits.last?.endedWatched == [TaskID(root): .completed])
        #expect(store.committed.watched.isEmpty)
        try await store.close()
    }

    @Test("S4: an end that was not written is not told, and is told when it is")
    func notWritten() async throws {
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let recorder = Recorder()
        store.setObserver(recorder)
        let root = try await store.append(.spawning(1)).spawned[0].lowerBound
        #expect(store.watch([TaskID(root)]).isEmpty)
        files.faults = .failing(.write, at: 1, with: .noSpace)
        #expect(await store.failure(of: .ending([root], under: 0))?.code == .noSpace)
        #expect(recorder.commits.map(\.endedWatched.count).max() == 0)
        try await store.append(.ending([root], under: 0))
        #expect(recorder.commits.last?.endedWatched == [TaskID(root): .completed])
        try await store.close()
    }
}
