// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// A crash after each call that changes a file, with every kind of remains (S3, S6, F15); in the suite after a share of
/// them (see `FaultPlaces`).
@Suite struct CrashTests {
    /// The share of the crash points that one parameterized case takes, so that both cores have work.
    static let shares = 2

    @Test(
        "S6: a crash at any call loses nothing that was acknowledged, splits no transaction and invents nothing",
        arguments: 0..<shares)
    func keepsWhatWasAcknowledged(share: Int) async throws {
        let count = try await Self.crashEverywhere(.everything, share)
        #expect(count > 100, "the workload made \(count) changing calls")
    }

    @Test("S5: a crash at any call leaves a transaction of several frames whole or not at all", arguments: 0..<shares)
    func keepsTransactionsOfSeveralFramesWhole(share: Int) async throws {
        let count = try await Self.crashEverywhere(.large, share)
        #expect(count > 20, "the workload made \(count) changing calls")
    }

    @Test(
        "S6: so it is when checkpoints are written while others commit",
        arguments: [Workload.Checkpoints.later, .beside], 0..<shares)
    func keepsWhatWasAcknowledgedBesideCheckpoints(_ checkpoints: Workload.Checkpoints, share: Int) async throws {
        let count = try await Self.crashEverywhere(.everything, share, checkpoints, oneIn: 8)
        #expect(count > 100, "the workload made \(count) changing calls")
    }

    static func crashEverywhere(
        _ kind: Workload.Kind, _ share: Int, _ checkpoints: Workload.Checkpoints = .inPlace, oneIn places: Int = 4
    ) async throws -> Int {
        let expected = try await Workload.facts(kind)
        var count = share
        while true {
            defer { count += Self.shares }
            guard FaultPlaces.takes(count / Self.shares, oneIn: places) else { continue }
            let (crashed, completed) = try await Self.crashed(afterCall: count, kind, checkpoints)
            guard let completed else { return count }
            for (index, policy) in Self.policies(count).enumerated() {
                let image = crashed.crash(keeping: policy)
                let place = "crash after call \(count), \(policy)"
                let copy = image.crash(keeping: .keepAll)
                let facts = try await Self.check(image, completed, expected, place)
                if let facts, index == count / shares % 3 { try await Self.goesOn(copy, after: facts, place) }
            }
        }
    }

    @Test("F15: a crash inside recovery changes no answer", arguments: 0..<shares)
    func recoversFromACrashInRecovery(share: Int) async throws {
        let expected = try await Workload.facts(.everything)
        var count = 1 + share * 11
        while true {
            let (crashed, completed) = try await Self.crashed(afterCall: count, .everything)
            guard let completed else { break }
            for first in [CrashPolicy.keepAll, .random(seed: UInt64(count), tearing: .bytes)] {
                let image = crashed.crash(keeping: first)
                var inner = 0
                var isDone = false
                while !isDone {
                    let again = image.crash(keeping: .keepAll)
                    again.faults = .crashing(afterCall: inner)
                    let opened = try? await Workload(.everything).open(again)
                    isDone = !again.isStopped
                    let seed = UInt64(count * 1000 + inner)
                    let second: CrashPolicy = inner % 3 == 0 ? .dropAll : .random(seed: seed, tearing: .sectors)
                    let remains = again.crash(keeping: second)
                    await Workload.abandon(opened, on: again)
                    let place = "crash after call \(count), \(first), in recovery after \(inner), \(second)"
                    _ = try await Self.check(remains, completed, expected, place)
                    inner += 1
                }
            }
            count += Self.shares * 11
        }
    }

    @Test("S6: what recovery showed once survives a loss of power right after it", arguments: [1, 2, 3] as [UInt64])
    func whatWasShownStays(seed: UInt64) async throws {
        let expected = try await Workload.facts(.everything)
        var count = Int(seed)
        while true {
            let (crashed, completed) = try await Self.crashed(afterCall: count, .everything)
            guard let completed else { break }
            let image = crashed.crash(keeping: .keepAll)
            let place = "process death after call \(count), then power loss, seed \(seed)"
            let store = try await Workload(.everything).open(image)
            let shown = try StoreFacts(store)
            let remains = image.crash(keeping: .random(seed: seed, tearing: .sectors))
            await Workload.abandon(store, on: image)
            let facts = try await Self.check(remains, completed, expected, place)
            expectSame(facts, shown, place)
            count += 3
        }
    }

    // MARK: Help

    static func policies(_ count: Int) -> [CrashPolicy] {
        [
            .dropAll, .keepAll, .random(seed: UInt64(count), tearing: count / 2 % 2 == 0 ? .sectors : .bytes),
        ]
    }

    /// Runs the workload until the machine stops. The count of acknowledged steps is nil when it did not.
    static func crashed(
        afterCall count: Int, _ kind: Workload.Kind, _ checkpoints: Workload.Checkpoints = .inPlace
    ) async throws -> (SimulatedFileSystem, Int?) {
        let files = SimulatedFileSystem()
        files.faults = .crashing(afterCall: count)
        var workload = Workload(kind, checkpoints: checkpoints, seed: UInt64(count))
        let result = try await workload.run(on: files)
        let remains = files.crash(keeping: .keepAll)
        let stopped = files.isStopped
        await Workload.abandon(result.store, on: files)
        return (remains, stopped ? result.completed : nil)
    }

    /// Opens the image and compares it with what may be there after `completed` steps.
    static func check(
        _ image: SimulatedFileSystem, _ completed: Int, _ expected: [StoreFacts], _ place: String
    ) async throws -> StoreFacts? {
        do {
            let store = try await Workload(.everything).open(image)
            let facts = try StoreFacts(store)
            await Workload.abandon(store, on: image)
            let last = expected[max(completed - 1, 0)]
            let next = expected[min(completed, expected.count - 1)]
            let isExpected = facts == last || facts == next
            #expect(
                isExpected,
                "\(place), \(completed) steps: \(facts.difference(from: last)); or \(facts.difference(from: next))")
            return facts
        } catch {
            Issue.record("\(place), \(completed) steps: \(error)")
            return nil
        }
    }

    /// Commits to a recovered store, and expects to find that again too.
    static func goesOn(_ image: SimulatedFileSystem, after facts: StoreFacts, _ place: String) async throws {
        let workload = Workload(.everything)
        var store = try await workload.open(image)
        // The workload's first step, which may have been lost.
        let label = try await store.label(for: "directory")
        var transaction = Transaction()
        transaction.spawn(under: .none, label: label, at: Timestamp(milliseconds: 5)) { $0.append(7) }
        let ids = try await store.append(transaction).spawned
        #expect(ids == [facts.nextID..<(facts.nextID + 1)], "\(place)")
        let remains = image.crash(keeping: .dropAll)
        try await store.close()
        store = try await workload.open(remains)
        var now = try StoreFacts(store)
        #expect(now.live.removeValue(forKey: facts.nextID)?.payload == Digest([7]), "\(place)")
        now.nextID -= 1
        if facts.names.isEmpty { now.names = [] }
        now.parents[0] = facts.parents[0]
        expectSame(now, facts, place)
        try await store.close()
    }
}
