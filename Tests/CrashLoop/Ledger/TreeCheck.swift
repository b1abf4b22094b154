// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

/// Looks at the children of a wave, which has ended or not: each is one of its own and is there once.
struct TreeCheck {
    private let reader: MemoReader
    private let wave: TaskID
    private var ids: Set<UInt64> = []
    private var number: UInt64?
    private var total = Wave.Memo(number: 0)
    private var leaves: Set<UInt64> = []
    private var branches: Set<UInt64> = []

    init(_ reader: MemoReader, of wave: TaskID) {
        self.reader = reader
        self.wave = wave
    }

    /// Returns what the children that have ended add up to.
    mutating func run(_ figures: inout Figures) throws -> Wave.Memo {
        try forEachChild(of: wave) { tree, block, index in try tree.addChild(block, index) }
        figures.children += UInt64(ids.count)
        return total
    }

    private mutating func forEachChild(
        of parent: TaskID, _ body: (inout TreeCheck, ChildBlock, Int) throws -> Void
    ) throws {
        var cursor = try reader.children(of: parent).makeCursor()
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count {
                let id = block.id(at: index)
                guard ids.insert(id.rawValue).inserted, !reader.isLive(id) else {
                    throw Violation("child \(id) of \(parent) has more than one outcome")
                }
                try body(&self, block, index)
            }
        }
    }

    private mutating func addChild(_ block: ChildBlock, _ index: Int) throws {
        let id = block.id(at: index)
        let isBranch = reader.name(of: block.label(at: index)) == Branch.type.description
        switch block.kind(at: index) {
        case .completed:
            if isBranch {
                try addBranch(id, try block.withValue(at: index) { try Branch.Memo.decodeMemo($0) })
            } else {
                try addLeaf(id, try block.withValue(at: index) { try Leaf.Memo.decodeMemo($0) })
            }
        case .failed where !isBranch:
            total.failed += 1
            let leaf = block.withValue(at: index) { UInt64(FailureInfo(decoding: $0).detail) }
            guard let leaf, leaves.insert(leaf).inserted else {
                throw Violation("child \(id) of \(wave) is there twice")
            }
        // With its parent.
        case .cancelled: break
        default: throw Violation("child \(id) of \(wave) \(block.kind(at: index))")
        }
    }

    private mutating func addLeaf(_ id: TaskID, _ memo: Leaf.Memo) throws {
        total.completed += 1
        total.sum &+= memo.value
        let parent = number ?? memo.wave
        number = parent
        let wave = Wave(number: parent)
        guard memo.wave == parent, memo.index < UInt64(wave.count), wave.hasLeaf(UInt32(memo.index)),
            memo.value == LoadModel.value(ofLeaf: UInt32(memo.index), wave: parent),
            LoadModel.behaviour(ofLeaf: UInt32(memo.index), in: wave) != .fails
        else { throw Violation("child \(id) of \(self.wave) has the memo \(memo)") }
        guard leaves.insert(memo.index).inserted else {
            throw Violation("child \(memo.index) of \(self.wave) is there twice, once as \(id)")
        }
    }

    private mutating func addBranch(_ id: TaskID, _ memo: Branch.Memo) throws {
        total.branches += 1
        total.sum &+= memo.sum
        guard branches.insert(memo.number).inserted, memo == Branch(number: memo.number).total else {
            throw Violation("branch \(id) of \(wave) has the memo \(memo)")
        }
        var found = Branch.Memo(number: memo.number)
        try forEachChild(of: id) { _, block, index in
            let leaf = try block.withValue(at: index) { try Leaf.Memo.decodeMemo($0) }
            guard leaf.wave == memo.number, leaf.index < UInt64(Wave.branchLeaves) else {
                throw Violation("branch \(id) has the child \(leaf)")
            }
            found.add(UInt32(leaf.index), leaf.value)
        }
        guard found == memo else { throw Violation("branch \(id) has children \(found), and its memo says \(memo)") }
    }
}
