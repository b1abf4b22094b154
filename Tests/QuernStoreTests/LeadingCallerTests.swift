// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Notes on which threads it is told of commits, and does something at the first one that it was given for.
private final class Onlooker: CommitObserver {
    private let threads = MutexBox<[String]>([])
    private let action = MutexBox<(@Sendable () -> Void)?>(nil)

    /// A number on one system and a pointer on another.
    static var thisThread: String { "\(pthread_self())" }

    func storeDidCommit(_ changes: CommitChanges) {
        threads.change { $0.append(Self.thisThread) }
        var action: (@Sendable () -> Void)?
        self.action.change { swap(&$0, &action) }
        action?()
    }

    func storeDidFail(_ error: StoreError) {}

    /// Does this once, during the next commit.
    func atNextCommit(_ action: @escaping @Sendable () -> Void) { self.action.change { $0 = action } }

    /// The thread of the last commit.
    var last: String? { threads.value.last }
}

@Suite("A blocking caller that comes alone writes by itself (S2)", .timeLimit(.minutes(20)))
struct LeadingCallerTests {
    private let files = SimulatedFileSystem()
    private let onlooker = Onlooker()

    private func open() async throws -> MemoStore {
        var configuration = MemoStore.Configuration()
        // The writer's thread wakes when it is woken, and never else.
        configuration.vouchDelay = nil
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        store.setObserver(onlooker)
        return store
    }

    private func untilIdle(_ store: MemoStore) async {
        while store.shared.queue.update({ queue, _ in queue.idleWriter == nil }) { await Task.yield() }
    }

    /// Appends on a thread that may block, as soon as the writer has nothing to do. Returns that thread.
    @discardableResult
    private func appendWhenIdle(
        _ count: Int, to store: MemoStore, durability: Durability = .synced
    ) async throws -> String {
        await untilIdle(store)
        return try await ThreadPool.blocking.run { () throws(StoreError) in
            try store.appendBlocking(.spawning(count), durability: durability)
            return Onlooker.thisThread
        }
    }

    @Test("It commits on its own thread, and who awaits on the writer's")
    func threads() async throws {
        let store = try await open()
        #expect(try await appendWhenIdle(1, to: store) == onlooker.last)
        let caller = try await appendWhenIdle(1, to: store)
        #expect(caller == onlooker.last)
        try await store.append(.spawning(1))
        #expect(caller != onlooker.last)
        #expect(store.totals.live == 3)
        try await store.close()
    }

    @Test("Behind a batch of several it joins the others, since one sync does for all of them")
    func company() async throws {
        let store = try await open()
        let done = MutexBox(0)
        // Both gather while the first one is written.
        onlooker.atNextCommit {
            for _ in 0..<2 { store.enqueue(.spawning(1)) { _ in done.change { $0 += 1 } } }
        }
        try await appendWhenIdle(1, to: store)
        while done.value < 2 { await Task.yield() }
        #expect(try await appendWhenIdle(1, to: store) != onlooker.last)
        #expect(try await appendWhenIdle(1, to: store) == onlooker.last)
        try await store.close()
    }

    @Test("What comes while it writes is committed although nobody comes after it")
    func handsBack() async throws {
        let store = try await open()
        let done = MutexBox(false)
        onlooker.atNextCommit { store.enqueue(.spawning(1)) { _ in done.change { $0 = true } } }
        let caller = try await appendWhenIdle(1, to: store)
        while !done.value { await Task.yield() }
        #expect(onlooker.last != caller)
        #expect(store.totals.live == 2)
        try await store.close()
    }

    enum Meanwhile: CaseIterable { case nothing, batch, job, close }

    @Test("The writer's thread is woken for what came while a caller had the writer", arguments: Meanwhile.allCases)
    func wakesThread(_ event: Meanwhile) async throws {
        let store = try await open()
        await untilIdle(store)
        store.shared.queue.update { queue, wakes in
            var writer = queue.lead(now: .now())
            #expect(writer != nil)
            Self.wakeInVain(&queue)
            switch event {
            case .nothing: break
            case .batch:
                var item: CommitQueue.Pending? = .init(
                    transaction: .spawning(1), durability: .synced, completion: nil)
                #expect(queue.add(&item) == .taken(isFirst: true))
            case .job: #expect(queue.post { _ in })
            case .close: queue.beginClosing()
            }
            wakes = queue.handBack(&writer)
            #expect(wakes == (event != .nothing))
        }
        try await store.close()
    }

    /// What the writer's thread does when it wakes while a caller has the writer.
    private static func wakeInVain(_ queue: inout CommitQueue) {
        var writer: StoreWriter?
        var deadline: MonotonicTime?
        if queue.next(for: &writer, deadline: &deadline) != nil || writer != nil || deadline != nil {
            Issue.record("there was something to do without the writer")
        }
    }

    @Test(
        "S3: the writer's thread is woken for a sync that is due before it wakes by itself, and no caller is in its way"
    )
    func wakesThreadForSync() async throws {
        let store = try await open()
        await untilIdle(store)
        store.shared.queue.update { queue, _ in
            let now = MonotonicTime.now()
            let (soon, late) = (now.advanced(by: .seconds(3600)), now.advanced(by: .seconds(7200)))
            func leave(_ due: MonotonicTime) -> Bool {
                var writer = queue.lead(now: now)
                #expect(writer != nil)
                writer?.deadlines.sync = due
                return queue.handBack(&writer)
            }
            // It sleeps until it is woken.
            #expect(leave(late))
            // As the thread does then: it sleeps until that time.
            var writer: StoreWriter?
            var deadline: MonotonicTime?
            if queue.next(for: &writer, deadline: &deadline) != nil { Issue.record("nothing is due yet") }
            #expect(deadline == late && writer == nil)
            #expect(!leave(late))
            #expect(leave(soon))
            #expect(queue.lead(now: soon) == nil)
            #expect(!queue.isClosing && queue.idleWriter != nil)
        }
        try await store.close()
    }

    @Test("A store that is asked to close, or to compact, while a caller writes does so")
    func closesMeanwhile() async throws {
        let store = try await open()
        let compacted = MutexBox(false)
        onlooker.atNextCommit {
            store.requestCompaction { _ in compacted.change { $0 = true } }
        }
        try await appendWhenIdle(1, to: store)
        while !compacted.value { await Task.yield() }
        let closed = MutexBox<StoreError??>(nil)
        onlooker.atNextCommit { store.beginClosing { error in closed.change { $0 = .some(error) } } }
        try await appendWhenIdle(1, to: store)
        while closed.value == nil { await Task.yield() }
        #expect(closed.value == .some(nil))
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files)
        #expect(reopened.totals.live == 2 && reopened.recovery.wasClean)
        try await reopened.close()
    }

    @Test("S3: what it commits for an interval reaches the disk by itself")
    func interval() async throws {
        let store = try await open()
        let before = files.calls(of: .synchronize)
        try await appendWhenIdle(1, to: store, durability: .interval(.milliseconds(1)))
        // Waits for the sync itself: a test that hangs here has found that nobody syncs.
        while files.calls(of: .synchronize) == before { await Task.yield() }
        try await store.close()
    }

    @Test("S4: when its sync fails it is told so, and all that come later are refused")
    func failingSync() async throws {
        let store = try await open()
        try await appendWhenIdle(1, to: store)
        files.faults = .failing(.synchronize, at: 1)
        for code in [StoreError.Code.indeterminate, .poisoned] {
            do {
                try await appendWhenIdle(1, to: store)
                Issue.record("a commit counts that was not synced")
            } catch let error as StoreError { #expect(error.code == code) }
        }
        #expect(store.totals.live == 1)
        try? await store.close()
    }

    @Test("Callers that block, callers that await and background work beside each other lose nothing")
    func together() async throws {
        var configuration = MemoStore.Configuration()
        configuration.checkpointBytes = 16 << 10
        configuration.logSegmentBytes = 16 << 10
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let rounds = 100
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    try await ThreadPool.blocking.run { () throws(StoreError) in
                        for _ in 0..<rounds {
                            let children = try store.appendBlocking(.spawning(2)).spawned.flatMap { Array($0) }
                            try store.appendBlocking(.ending([children[0]], under: 0), durability: .buffered)
                        }
                    }
                }
                group.addTask { for _ in 0..<rounds { try await store.append(.spawning(1)) } }
            }
            group.addTask { for _ in 0..<10 { try await store.compact() } }
            try await group.waitForAll()
        }
        let facts = try StoreFacts(store)
        #expect(facts.live.count == 6 * rounds)
        #expect(try StoreFacts.children(of: .none, in: store).count == 3 * rounds)
        try await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        expectSame(try StoreFacts(reopened), facts, "reopened")
        try await reopened.close()
    }
}
