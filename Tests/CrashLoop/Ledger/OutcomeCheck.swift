// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

/// Compares the outcome of a root task with what the model says of its number.
struct OutcomeCheck {
    private let block: ChildBlock
    private let index: Int
    private let root: Ledger.Root
    private let id: TaskID
    private let kind: OutcomeKind

    init(_ block: ChildBlock, _ index: Int, _ root: Ledger.Root) {
        self.block = block
        self.index = index
        self.root = root
        id = block.id(at: index)
        kind = block.kind(at: index)
    }

    func run(_ reader: MemoReader, _ figures: inout Figures) throws -> Ledger.Outcome {
        let name = reader.name(of: block.label(at: index))
        let isWave = name == Wave.type.description
        guard isWave || name == Single.type.description, root.isWave ?? isWave == isWave else {
            throw Violation("task \(id) is a \(name ?? "task of no name")")
        }
        let value = isWave ? try wave(reader, &figures) : try single()
        return Ledger.Outcome(kind: kind.rawValue, value: value)
    }

    private func single() throws -> UInt64 {
        guard kind == .completed else {
            let number =
                kind == .cancelled
                ? root.number
                : block.withValue(at: index) { UInt64(FailureInfo(decoding: $0).detail) }
            // Of a cancelled one nobody may have been told.
            guard let number else {
                if kind == .cancelled { return 0 }
                throw Violation("task \(id) \(kind) without a number")
            }
            try check(number)
            return 0
        }
        let memo = try block.withValue(at: index) { try Single.Memo.decodeMemo($0) }
        try check(memo.number)
        guard memo.value == LoadModel.value(ofSingle: memo.number) else { throw Violation("the memo of \(id)") }
        return memo.value
    }

    private func check(_ number: UInt64) throws {
        guard root.number ?? number == number else {
            throw Violation("task \(id) has the outcome of \(number), and is number \(root.number ?? 0)")
        }
        let attempts = block.attempts(at: index)
        let isRight =
            switch (LoadModel.behaviour(ofSingle: number), kind) {
            case (.completes, .completed), (.fails, .failed), (.waits, .completed): attempts == 1
            case (.retries(let wanted), .completed): attempts == wanted
            case (.deadLetters, .deadLettered): attempts == LoadModel.deadLetterAttempts
            case (.waits, .cancelled): LoadModel.isCancelled(single: number)
            default: false
            }
        guard isRight else { throw Violation("task \(id), number \(number), \(kind) in attempt \(attempts)") }
    }

    /// A wave with all that is below it.
    private func wave(_ reader: MemoReader, _ figures: inout Figures) throws -> UInt64 {
        var tree = TreeCheck(reader, of: id)
        let found = try tree.run(&figures)
        guard kind == .completed else {
            guard kind == .cancelled, root.number.map(LoadModel.isCancelled(wave:)) ?? true else {
                throw Violation("wave \(id) \(kind)")
            }
            return 0
        }
        let memo = try block.withValue(at: index) { try Wave.Memo.decodeMemo($0) }
        let total = Wave(number: memo.number).total
        guard root.number ?? memo.number == memo.number, memo == total else {
            throw Violation("wave \(id) has found \(memo), and there are \(total)")
        }
        guard found.completed == total.completed, found.failed == total.failed, found.branches == total.branches,
            found.sum == total.sum
        else { throw Violation("wave \(id) has children \(found), and should have \(total)") }
        figures.waves += 1
        return memo.sum
    }
}
