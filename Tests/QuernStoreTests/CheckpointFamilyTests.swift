// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

/// Checkpoints whose records are right each by itself and contradict each other.
@Suite("What a checkpoint says of live tasks and of their parents belongs together (S6, F35)")
struct CheckpointFamilyTests {
    enum Misfit: CaseIterable {
        case childTooMany, childTooFew, parentThatEnded, unknownParent, detailOfEnded, failureToCome

        var reason: String {
            switch self {
            case .childTooMany, .childTooFew: "live children by its counter"
            case .parentThatEnded: "which is not live"
            case .unknownParent: "which is no parent"
            case .detailOfEnded: "detail of"
            case .failureToCome: "first failed child"
            }
        }
    }

    /// A root with two children, another root that ended, and what is wrong.
    private static func state(_ misfit: Misfit?) throws -> StoreState {
        var state = StoreState()
        var changes = ChangeCollector()
        try state.labels.define("a", as: Label(rawValue: 1))
        func run(_ first: UInt64, _ count: UInt8, under parent: UInt64) -> SpawnRun {
            SpawnRun(
                firstID: TaskID(first), parent: TaskID(parent), submittedAt: Timestamp(milliseconds: 1),
                label: Label(rawValue: 1), count: count, priority: 0, segment: 1, frameOffset: 128, recordOffset: 0)
        }
        state.spawn(run(1, 1, under: 0), changes: &changes)
        state.spawn(run(2, 2, under: 1), changes: &changes)
        state.nextID = 10
        switch misfit {
        case .childTooMany: state.parents.spawn(1, under: TaskID(1))
        case .childTooFew: state.live.append(run(5, 1, under: 1))
        case .parentThatEnded: state.parents.insertIfAbsent(TaskID(7), root: TaskID(7))
        case .unknownParent: state.parents.remove(TaskID(1))
        case .detailOfEnded: state.details[TaskID(7)] = LiveTasks.Detail()
        case .failureToCome:
            var record = ParentTable.Record(status: ParentStatus(id: .none), root: .none)
            record.status.liveChildren = 1
            record.status.firstFailure = TaskID(11)
            state.parents.restore(record)
        case nil: break
        }
        return state
    }

    private static func decoded(_ state: StoreState) throws -> Checkpoint {
        let (bytes, header, checksum) = try CheckpointEncoder.file(of: state)
        return try bytes.withUnsafeBytesThrowing { (bytes) throws in
            try CheckpointDecoder.decode(bytes, header: header, checksum: checksum)
        }
    }

    @Test("One that fits is read")
    func fits() throws { #expect(try Self.decoded(Self.state(nil)).state.live.count == 3) }

    @Test("One that does not is damage, and the reason says whose it is", arguments: Misfit.allCases)
    func misfits(_ misfit: Misfit) throws {
        do {
            _ = try Self.decoded(Self.state(misfit))
            Issue.record("a checkpoint was read that contradicts itself")
        } catch let error as DecodingFailure { #expect(error.reason.contains(misfit.reason)) }
    }
}
