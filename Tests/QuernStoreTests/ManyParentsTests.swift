// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import QuernStore

@Suite("Memory of many live parents (S8, S14)")
struct ManyParentsTests {
    private static let parents: UInt64 = 100_000
    private static let children: UInt64 = 4

    /// A state with that many parents, each with its children in a run of their own.
    private static func makeState() throws -> StoreState {
        var state = StoreState()
        try state.labels.define("child", as: Label(rawValue: 1))
        var changes = ChangeCollector()
        func spawn(_ count: UInt64, under parent: UInt64) {
            state.spawn(
                SpawnRun(
                    firstID: TaskID(state.nextID), parent: TaskID(parent), submittedAt: Timestamp(milliseconds: 0),
                    label: Label(rawValue: 1), count: UInt8(count), priority: 0, segment: 1, frameOffset: 128,
                    recordOffset: 0), changes: &changes)
        }
        for _ in 0..<(parents / 50) { spawn(50, under: 0) }
        for parent in 1...parents { spawn(children, under: parent) }
        return state
    }

    private static func children(of parent: UInt64) -> Range<UInt64> {
        let first = parents + (parent - 1) * children + 1
        return first..<(first + children)
    }

    private static func end(_ tasks: Range<UInt64>, under parent: UInt64, in state: inout StoreState) throws {
        var block = OutcomeBlock(parent: TaskID(parent))
        for task in tasks {
            let row = OutcomeRow(
                task: task, sequence: state.nextSequence + UInt64(block.rows.count), startedAt: 0, endedAt: 0, label: 1,
                attempts: 1, valueLength: 24, kind: .completed)
            [UInt8](repeating: 7, count: 24).withUnsafeBytes { block.append(row, value: $0) }
        }
        var changes = ChangeCollector()
        try state.end(block, changes: &changes)
    }

    @Test("A hundred thousand live parents take 48 bytes each and their runs 80, and no more when most have ended")
    func liveParentsAreSmall() throws {
        var state = try Self.makeState()
        let runs = Int(Self.parents + Self.parents / 50)
        #expect(state.parents.count == Int(Self.parents) + 1)
        #expect(state.parents.footprint <= 48 * Int(Self.parents))
        #expect(state.liveFootprint <= 48 * Int(Self.parents) + 80 * runs)
        for parent in 1...Self.parents where parent % 16 != 0 {
            try Self.end(Self.children(of: parent), under: parent, in: &state)
            try Self.end(parent..<(parent + 1), under: 0, in: &state)
            if parent % 1000 == 1 { state.finishBatch(openLimit: 1 << 20) }
            state.fullBlocks = []
        }
        state.finishBatch(openLimit: 1 << 20)
        #expect(state.parents.count == Int(Self.parents) / 16 + 1)
        #expect(state.parents.footprint <= 2 * 48 * Int(Self.parents) / 16)
    }

    @Test("The open blocks of a hundred thousand parents keep to their bound, and none of their children is lost")
    func openBlocksKeepToTheirBound() throws {
        var state = try Self.makeState()
        let limit = 8 << 20
        var released = 0
        for round in 0..<2 as Range<UInt64> {
            for parent in 1...Self.parents {
                let child = Self.children(of: parent).lowerBound + round
                try Self.end(child..<(child + 1), under: parent, in: &state)
                guard parent % 1000 == 0 else { continue }
                state.finishBatch(openLimit: limit)
                #expect(state.openBytes <= limit)
                released += state.fullBlocks.reduce(0) { $0 + $1.rows.count }
                state.fullBlocks = []
            }
        }
        let open = state.openBlocks.values.reduce(0) { $0 + $1.rows.count }
        #expect(state.openBytes == state.openBlocks.values.reduce(0) { $0 + $1.footprint })
        #expect(released > 0 && released + open == 2 * Int(Self.parents))
        #expect(state.parents.statuses.allSatisfy { $0.counts.completed == 2 && $0.liveChildren == 2 })
    }
}
