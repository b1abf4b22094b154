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

/// Log segments that are kept open for payloads (S14).
@Suite struct LogBodiesTests {
    @Test("A segment that is removed while it is opened does not stay open")
    func forgetWhileOpening() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        for _ in 0..<2 { try await store.append(.spawning(3)) }
        let runs = store.liveTasks().runs.map(\.run)
        let image = files.crash(keeping: .keepAll)
        let identity = store.shared.files.identity
        try await store.close()
        for round in 0..<40 {
            let copy = image.crash(keeping: .keepAll)
            let reading = ReaderFiles(copy)
            let bodies = LogBodies(
                files: StoreFiles(directory: "/store", fileSystem: reading, identity: identity, epoch: 1, lock: nil),
                capacity: 0)
            let isForgotten = Handoff<Bool>()
            let begun = Mutex(false)
            reading.beforeEach { call, _ in
                // Open, and not yet known to be.
                guard call == .read, !begun.withLock({ exchange(&$0, true) }) else { return }
                let isRemoved = Handoff<Bool>()
                try? SystemThread.start {
                    try? copy.remove("/store/log-0000000001")
                    isRemoved.give(true)
                    bodies.forget(segment: 1)
                    isForgotten.give(true)
                }
                _ = isRemoved.take()
                if round % 2 == 0 { for _ in 0..<1000 { _ = sched_yield() } }
            }
            try bodies.withPayloads(of: runs[0], indexes: 1) { _, _ in }
            _ = isForgotten.take()
            reading.beforeEach(nil)
            // Kept open, it would be read.
            #expect(throws: StoreError.self, "round \(round)") {
                try bodies.withPayloads(of: runs[1], indexes: 1) { _, _ in }
            }
        }
    }

    @Test("Of many segments a few stay open, and all are read")
    func openFiles() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration.exactLog
        configuration.logSegmentBytes = 1
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        for _ in 0..<100 { try await store.append(.spawning(3)) }
        let runs = store.liveTasks().runs.map(\.run)
        let counting = SlowFiles(files)
        let bodies = LogBodies(
            files: StoreFiles(
                directory: "/store", fileSystem: counting, identity: store.shared.files.identity, epoch: 1, lock: nil),
            capacity: 0)
        for _ in 0..<2 {
            for run in runs {
                var count = 0
                try bodies.withPayloads(of: run, indexes: 0b111) { _, _ in count += 1 }
                #expect(count == 3)
            }
        }
        #expect(runs.count == 100)
        #expect((2...40).contains(counting.peak), "\(counting.peak) are open")
        try await store.close()
    }
}

private func exchange(_ value: inout Bool, _ new: Bool) -> Bool {
    defer { value = new }
    return value
}
