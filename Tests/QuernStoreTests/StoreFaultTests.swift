// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Every kind of call fails at each of its turns, once or from then on (S4, F20, F24).
@Suite struct StoreFaultTests {
    struct Fault: Sendable, CustomTestStringConvertible {
        var call: FileCall
        var errno: Errno
        var repetition: FaultPlan.Repetition
        var testDescription: String { "\(call) \(errno) \(repetition)" }
        var isNoSpace: Bool { errno != .ioError && call != .synchronize && call != .synchronizeDirectory }
        /// Nothing was written behind it, so that the store goes on.
        func isPassing(_ error: StoreError) -> Bool {
            isNoSpace || (call == .lock || call == .checkLock) && error.code == .inputOutput
        }
    }

    static let faults: [Fault] = FileCall.allCases.flatMap { call -> [Fault] in
        let errors: [Errno] =
            switch call {
            case .write, .open, .synchronize: [.ioError, .noSpace, .diskQuotaExceeded]
            case .rename, .remove, .synchronizeDirectory: [.ioError, .noSpace]
            case .list, .createDirectory, .lock, .checkLock, .size, .read, .map: [.ioError]
            }
        return errors.flatMap { errno in
            [.once, .fromThenOn].map { Fault(call: call, errno: errno, repetition: $0) }
        }
    }

    @Test("S4: a failing call loses nothing that was acknowledged, and its error says what it means", arguments: faults)
    func losesNothing(_ fault: Fault) async throws {
        let expected = try await Workload.facts(.everything)
        // Errors of the same meaning need not be tried at each turn again.
        let stride = fault.errno == .ioError || fault.errno == .noSpace && fault.call == .write ? 6 : 13
        var turn = 1 + (fault.repetition == .once ? 0 : stride / 2)
        while true {
            defer { turn += stride }
            guard FaultPlaces.takes(turn / stride, oneIn: 2) else { continue }
            let files = SimulatedFileSystem()
            files.faults = .failing(fault.call, at: turn, with: fault.errno, fault.repetition)
            var run = Run(
                fault: fault, files: files, expected: expected, place: "\(fault.testDescription), turn \(turn)")
            guard try await run.go() else { break }
        }
    }

    /// One run of the workload into a fault, and out of it again.
    struct Run {
        let fault: Fault
        let files: SimulatedFileSystem
        let expected: [StoreFacts]
        let place: String
        var workload = Workload(.everything)

        init(fault: Fault, files: SimulatedFileSystem, expected: [StoreFacts], place: String) {
            self.fault = fault
            self.files = files
            self.expected = expected
            self.place = place
        }

        /// False when the fault did not fire.
        mutating func go() async throws -> Bool {
            var result = try await workload.run(on: files)
            guard files.faultsFired > 0 else {
                await Workload.abandon(result.store, on: files)
                return false
            }
            files.faults = FaultPlan()
            if let error = result.error { try await examine(error, &result) }
            if result.error == nil {
                expectSame(try result.store.map { try StoreFacts($0) }, expected[expected.count - 1], place)
            }
            let powerLoss = files.crash(keeping: .dropAll)
            let seed = UInt64(place.utf8.reduce(0) { $0 &* 31 &+ Int($1) }.magnitude)
            let otherPowerLoss = files.crash(keeping: .random(seed: seed, tearing: .sectors))
            await Workload.abandon(result.store, on: files)
            let processEnd = files.crash(keeping: .keepAll)
            let again = processEnd.crash(keeping: .keepAll)
            let completed = result.error == nil ? expected.count : result.completed
            _ = try await CrashTests.check(powerLoss, completed, expected, "\(place), power loss")
            _ = try await CrashTests.check(otherPowerLoss, completed, expected, "\(place), power loss \(seed)")
            let facts = try await CrashTests.check(processEnd, completed, expected, "\(place), reopened")
            if let facts { try await CrashTests.goesOn(again, after: facts, "\(place), reopened") }
            return true
        }

        private mutating func examine(_ error: StoreError, _ result: inout Workload.Result) async throws {
            #expect(error.cause?.errno == fault.errno || error.code == .poisoned, "\(place): \(error)")
            guard var store = result.store else {
                #expect(error.code == (fault.errno == .ioError ? .inputOutput : error.code), "\(place): \(error)")
                return
            }
            let step = workload.steps[result.completed - 1]
            let before = expected[result.completed - 1]
            if step.isRepeatable {
                expectSame(try StoreFacts(store), before, "\(place), reading goes on")
                let retried = await workload.take(step, &store, files)
                if fault.isPassing(error) {
                    #expect(error.code == (fault.isNoSpace ? .noSpace : .inputOutput), "\(place): \(error)")
                    #expect(retried == nil, "\(place): \(retried.map(\.description) ?? "")")
                } else {
                    #expect([.indeterminate, .inputOutput, .poisoned].contains(error.code), "\(place): \(error)")
                    #expect(retried?.code == .poisoned, "\(place): \(retried.map(\.description) ?? "accepted")")
                    return
                }
            } else if case .reopen = step, error.code == .noSpace {
                // Closed without its last checkpoint.
                store = try await workload.open(files)
            } else {
                return
            }
            for step in workload.steps[result.completed...] {
                let failure = await workload.take(step, &store, files)
                #expect(failure == nil, "\(place), going on: \(failure.map(\.description) ?? "")")
            }
            result.store = store
            result.error = nil
        }
    }

    @Test("S4: on a disk that fills up, what was acknowledged stays, and writing goes on once there is space")
    func goesOnAfterAFullDisk() async throws {
        let expected = try await Workload.facts(.everything)
        var capacity = 200
        var stopped = 0
        while true {
            let files = SimulatedFileSystem()
            var plan = FaultPlan()
            plan.capacity = capacity
            plan.fullDiskTakesWhatFits = capacity / 100 % 2 == 0
            files.faults = plan
            var workload = Workload(.everything)
            var result = try await workload.run(on: files)
            let place = "capacity \(capacity)"
            guard let error = result.error else {
                await Workload.abandon(result.store, on: files)
                break
            }
            stopped += 1
            #expect(error.code == .noSpace, "\(place): \(error)")
            files.faults = FaultPlan()
            var store: MemoStore
            if let open = result.store, workload.steps[result.completed - 1].isRepeatable {
                store = open
                expectSame(try StoreFacts(store), expected[result.completed - 1], place)
            } else {
                await Workload.close(result.store)
                store = try await workload.open(files)
                result.completed = max(result.completed, 1)
            }
            for step in workload.steps[(result.completed - 1)...] {
                let failure = await workload.take(step, &store, files)
                #expect(failure == nil, "\(place), going on: \(failure.map(\.description) ?? "")")
            }
            let remains = files.crash(keeping: .dropAll)
            await Workload.abandon(store, on: files)
            _ = try await CrashTests.check(remains, expected.count, expected, place)
            capacity += 600
        }
        #expect(stopped > 5, "\(stopped) runs met the full disk")
    }

    @Test(
        "S4: after a failed sync the batch is indeterminate, later ones are refused, the observer and the file are told"
    )
    func poisonsAfterAFailedSync() async throws {
        let files = SimulatedFileSystem()
        let store = try await MemoStore.labelled(at: "/store", fileSystem: files)
        let label = try await store.label(for: "a")
        let observer = Recorder()
        store.setObserver(observer)
        files.faults = .failing(.synchronize, at: 1)
        var transaction = Transaction()
        transaction.spawn(under: .none, label: label, at: Timestamp(milliseconds: 1)) { _ in }
        let first = await store.failure(of: transaction)
        #expect(first?.code == .indeterminate)
        #expect(first?.file == "/store/log-0000000001")
        let second = await store.failure(of: transaction)
        #expect(second?.code == .poisoned)
        #expect(second?.file == "/store/log-0000000001")
        #expect(files.calls(of: .synchronize) > 0 && files.faultsFired == 1)
        #expect(observer.failures == [.indeterminate])
        #expect(store.totals.live == 0)
        await #expect(throws: StoreError.self) { try await store.close() }
    }

    @Test(
        "S4: a segment in the place of one that nobody saw stays when it cannot be opened, and the store opens again",
        arguments: [Errno.tooManyOpenFiles, .permissionDenied], 1...3)
    func segmentThatCannotBeOpened(errno: Errno, call: Int) async throws {
        let first = SimulatedFileSystem()
        let before = try await MemoStore.labelled(at: "/store", fileSystem: first)
        try await before.append(.spawning(1))
        let files = first.crash(keeping: .keepAll)
        let store = try await MemoStore.labelled(at: "/store", configuration: .exactLog, fileSystem: files)
        // A segment is begun and named, and its first batch finds no space.
        files.faults.fail(.write, at: 2, with: .noSpace, .fromThenOn, in: "log-0000000002")
        #expect(await store.failure(of: .spawning(1))?.code == .noSpace)
        files.faults = FaultPlan()
        files.faults.fail(.open, at: call, with: errno, in: "log-0000000002")
        _ = await store.failure(of: .spawning(1))
        let remains = files.crash(keeping: .keepAll)
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: remains)
        #expect(reopened.totals.live >= 1 && reopened.totals.live <= 2)
        try await reopened.close()
        try? await store.close()
    }

    @Test(
        "S4, F12: nothing follows the end that an unnamed segment told of this one, and the store opens again",
        arguments: [Errno.tooManyOpenFiles, .noSpace])
    func segmentThatCannotBeNamed(errno: Errno) async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1
        configuration.vouchDelay = .zero
        files.faults.fail(.open, at: 3, with: errno, .fromThenOn, in: "MANIFEST")
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        while await store.failure(of: .spawning(1)) == nil {}
        #expect(files.contents("/store/log-0000000003") != nil)
        for _ in 0..<100 { await store.settle() }
        files.faults = FaultPlan()
        let live = store.totals.live
        try await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        #expect(reopened.totals.live == live)
        try await reopened.close()
    }

    @Test(
        "S4: a sync that fails for want of space poisons too: what it lost cannot be told",
        arguments: [
            Errno.noSpace, .diskQuotaExceeded,
        ])
    func poisonsAfterASyncWithoutSpace(errno: Errno) async throws {
        // The sync at the end of a segment: commits that were only buffered rest on it.
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.logSegmentBytes = 1
        configuration.durability = .buffered
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        var transaction = Transaction()
        transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) { _ in }
        try await store.append(transaction)
        files.faults = .failing(.synchronize, at: 1, with: errno)
        _ = await store.failure(of: transaction)
        #expect(await store.failure(of: transaction)?.code == .poisoned)
        try? await store.close()
        // Without the acknowledged commit or with it, but not damaged.
        let reopened = try await MemoStore.labelled(at: "/store", fileSystem: files.crash(keeping: .dropAll))
        #expect(reopened.totals.live <= 1)
        try await reopened.close()
    }

    @Test("S4: an index whose sync failed is not synced again as if nothing had been")
    func poisonsAfterAFailedIndexSync() async throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.indexSegmentBytes = 1
        configuration.openBlockBytes = 1
        let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
        let tasks = try await store.append(.spawning(4)).spawned[0].map { $0 }
        try await store.append(.ending([tasks[0]], under: 0))
        // The second block finds no space to seal the segment of the first, and waits in memory.
        var plan = FaultPlan()
        plan.fail(.write, at: 1, with: .noSpace, in: "index-")
        plan.fail(.synchronize, at: 1, in: "index-")
        files.faults = plan
        try await store.append(.ending([tasks[1]], under: 0))
        #expect(await store.failure(of: .ending([tasks[2]], under: 0))?.code == .inputOutput)
        #expect(await store.failure(of: .ending([tasks[2]], under: 0))?.code == .poisoned)
        let before = try StoreFacts(store)
        #expect(before.children[0]?.map(\.id) == [tasks[0], tasks[1]])
        let remains = files.crash(keeping: .dropAll)
        try? await store.close()
        let reopened = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: remains)
        expectSame(try StoreFacts(reopened), before, "reopened")
        try await reopened.close()
    }

    @Test("S4: a failing checkpoint loses nothing, whichever of its calls fails")
    func survivesAFailingCheckpoint() async throws {
        for name in ["checkpoint-", "MANIFEST"] {
            for call in [FileCall.open, .write, .synchronize, .rename] {
                let files = SimulatedFileSystem()
                var configuration = MemoStore.Configuration()
                configuration.checkpointBytes = 1
                let store = try await MemoStore.labelled(at: "/store", configuration: configuration, fileSystem: files)
                var plan = FaultPlan()
                plan.fail(call, at: 1, .fromThenOn, in: name)
                files.faults = plan
                var transaction = Transaction()
                transaction.spawn(under: .none, label: Label(rawValue: 1), at: Timestamp(milliseconds: 1)) { _ in }
                // The checkpoint behind the label's commit fails beside these, sooner or later.
                var live = 0
                for _ in 0..<2 where await store.failure(of: transaction) == nil { live += 1 }
                let remains = files.crash(keeping: .dropAll)
                await Workload.abandon(store, on: files)
                let reopened = try await MemoStore.labelled(at: "/store", fileSystem: remains)
                #expect(reopened.totals.live == live, "\(name) \(call)")
                try await reopened.close()
            }
        }
    }
}

/// Remembers what a store told its observer.
final class Recorder: CommitObserver {
    private let state = MutexBox<(commits: [CommitChanges], failures: [StoreError.Code])>(([], []))
    var failures: [StoreError.Code] { state.value.failures }
    var commits: [CommitChanges] { state.value.commits }
    func storeDidCommit(_ changes: CommitChanges) { state.change { $0.commits.append(changes) } }
    func storeDidFail(_ error: StoreError) { state.change { $0.failures.append(error.code) } }
}
