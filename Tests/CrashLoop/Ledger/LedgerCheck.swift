// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore
import SystemPackage

/// Compares a store that nobody writes with the ledger, without writing to it.
struct LedgerCheck {
    let reader: MemoReader
    /// Retention was at work: the oldest trees may be gone.
    let retains: Bool
    private var live: Set<UInt64> = []
    private var ended: Set<UInt64> = []
    private var firstSequence = UInt64.max
    private var lastSequence: UInt64 = 0

    /// - Throws: `StoreError` when the store cannot be read.
    init(_ directory: FilePath, retains: Bool) throws {
        reader = try MemoReader.openBlocking(at: directory)
        self.retains = retains
    }

    /// - Parameter isAtRest: whether all that was submitted is to have ended.
    mutating func run(_ ledger: inout Ledger, isAtRest: Bool) throws {
        try checkValue(ledger)
        try checkLive(&ledger, isAtRest)
        try checkEnded(&ledger)
        try checkTold(&ledger)
        ledger.lastSequence = max(ledger.lastSequence, lastSequence)
        ledger.figures.comparisons += 1
    }

    private func checkValue(_ ledger: Ledger) throws {
        let value = reader.value(for: Load.counter).flatMap { UInt64(String(decoding: $0, as: UTF8.self)) } ?? 0
        if value < ledger.stored { throw Violation("the counter is \(value), and \(ledger.stored) was stored") }
    }

    // MARK: Live tasks

    private mutating func checkLive(_ ledger: inout Ledger, _ isAtRest: Bool) throws {
        var waves: [TaskID] = []
        let tasks = reader.liveTasks()
        for entry in tasks.runs {
            ledger.lastKnownID = max(ledger.lastKnownID, entry.run.firstID.rawValue + UInt64(entry.run.count) - 1)
            guard entry.run.parent == .none else { continue }
            let isWave = reader.name(of: entry.run.label) == Wave.type.description
            for index in 0..<Int(entry.run.count) where entry.live & 1 << UInt64(index) != 0 {
                let id = entry.run.id(at: index)
                live.insert(id.rawValue)
                if ledger.gone.contains(id.rawValue) { throw Violation("task \(id) was dropped and is live") }
                if isWave { waves.append(id) }
                if ledger.roots[id.rawValue]?.isCancelRequested == true, tasks.details[id]?.cancelRequested != true {
                    throw Violation("task \(id) was cancelled, and is live as if it was not")
                }
            }
        }
        if isAtRest, let id = live.first { throw Violation("task \(id) is live, and all have ended") }
        for wave in waves {
            var tree = TreeCheck(reader, of: wave)
            _ = try tree.run(&ledger.figures)
        }
    }

    // MARK: Ended tasks

    private mutating func checkEnded(_ ledger: inout Ledger) throws {
        var cursor = try reader.children(of: .none).makeCursor()
        var block = ChildBlock()
        while try cursor.next(into: &block) {
            for index in 0..<block.count { try checkRow(index, block, &ledger) }
        }
    }

    private mutating func checkRow(_ index: Int, _ block: ChildBlock, _ ledger: inout Ledger) throws {
        let id = block.id(at: index).rawValue
        ledger.lastKnownID = max(ledger.lastKnownID, id)
        guard ended.insert(id).inserted else { throw Violation("task \(id) has two outcomes") }
        if live.contains(id) { throw Violation("task \(id) is live and has an outcome") }
        if ledger.gone.contains(id) { throw Violation("task \(id) was dropped and has an outcome") }
        let sequence = block.sequence(at: index)
        firstSequence = min(firstSequence, sequence)
        lastSequence = max(lastSequence, sequence)
        var root = ledger.roots[id] ?? Ledger.Root()
        if let known = root.sequence {
            guard known == sequence else { throw Violation("the outcome of task \(id) has moved") }
        } else {
            root.shown = try OutcomeCheck(block, index, root).run(reader, &ledger.figures)
            root.sequence = sequence
        }
        if root.isDropped { throw Violation("task \(id) was dropped and is there") }
        if let told = root.told, told != root.shown {
            throw Violation("task \(id) ended as \(told), and the store says \(String(describing: root.shown))")
        }
        ledger.roots[id] = root
    }

    // MARK: What was acknowledged

    private func checkTold(_ ledger: inout Ledger) throws {
        for (id, root) in ledger.roots {
            ledger.figures.compared += 1
            if ended.contains(id) { continue }
            if live.contains(id) {
                guard root.told == nil, root.shown == nil else {
                    throw Violation("task \(id) (\(root)) ended and is live again")
                }
                continue
            }
            guard root.isDropping || mayBeRetired(root, ledger) else {
                throw Violation("task \(id) (\(root)) is neither live nor has it an outcome")
            }
            ledger.gone.insert(id)
            ledger.roots[id] = nil
        }
    }

    /// Retention drops the trees that ended first: none is gone that ended behind one that is there.
    private func mayBeRetired(_ root: Ledger.Root, _ ledger: Ledger) -> Bool {
        guard retains else { return false }
        if let sequence = root.sequence { return sequence < firstSequence }
        return firstSequence > ledger.lastSequence
    }
}
