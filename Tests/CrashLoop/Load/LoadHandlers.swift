// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

/// Why a task of the load fails, in the words by which it is found again.
struct LoadFailure: DescribedFailure {
    var number: UInt64
    var failureReason: String { "load" }
    var failureDetail: String { "\(number)" }
}

struct SingleHandler: TaskHandler {
    func execute(_ task: Single, in context: TaskContext) async throws -> Single.Memo {
        switch LoadModel.behaviour(ofSingle: task.number) {
        case .completes: break
        case .fails: throw PermanentError(reason: "load", detail: "\(task.number)")
        case .retries(let attempts):
            if context.attempt < attempts { throw LoadFailure(number: task.number) }
        case .deadLetters: throw LoadFailure(number: task.number)
        case .waits: try await Task.sleep(for: .milliseconds(20))
        }
        return Single.Memo(number: task.number, value: LoadModel.value(ofSingle: task.number))
    }

    static func options(of number: UInt64) -> TaskOptions {
        switch LoadModel.behaviour(ofSingle: number) {
        case .retries: TaskOptions(retry: .constant(.milliseconds(1), attempts: LoadModel.mostAttempts))
        case .deadLetters: TaskOptions(retry: .constant(.milliseconds(1), attempts: LoadModel.deadLetterAttempts))
        default: TaskOptions()
        }
    }
}

struct LeafHandler: TaskHandler {
    func execute(_ leaf: Leaf, in context: TaskContext) async throws -> Leaf.Memo {
        guard leaf.count > 0 else { return leaf.memo }
        let wave = leaf.parent
        // Before it fails, if it does: what an attempt spawned that failed must not come to be.
        if let sibling = wave.sibling(of: leaf.index) { try context.spawnSibling(Leaf(sibling, of: wave)) }
        switch LoadModel.behaviour(ofLeaf: leaf.index, in: wave) {
        case .fails: throw PermanentError(reason: "load", detail: "\(leaf.index)")
        case .retries(let attempts):
            if context.attempt < attempts { throw LoadFailure(number: UInt64(leaf.index)) }
        default: break
        }
        return leaf.memo
    }
}

struct WaveHandler: OrchestratorHandler {
    func execute(_ wave: Wave, in context: TaskContext) async throws -> NoHandover {
        for index in 0..<wave.first {
            if index < Wave.branches {
                try context.spawnChild(wave.branch(index))
            } else {
                try context.spawnChild(Leaf(index, of: wave))
            }
        }
        return NoHandover()
    }

    func finalize(_ wave: Wave, handover: NoHandover, in context: FinalizeContext) async throws -> Wave.Memo {
        var total = Wave.Memo(number: wave.number)
        var seen = [Bool](repeating: false, count: Int(wave.count))
        for try await leaf in context.children(of: Leaf.self) {
            switch leaf.result {
            case .success(let memo):
                total.completed += 1
                total.sum &+= memo.value
                if memo.wave != wave.number || memo.index >= wave.count || seen[Int(memo.index)] {
                    total.strange += 1
                } else {
                    seen[Int(memo.index)] = true
                }
            case .failure(.ended(.failed, let failure)):
                total.failed += 1
                let index = Int(failure.detail) ?? seen.count
                if index >= seen.count || seen[index] { total.strange += 1 } else { seen[index] = true }
            case .failure: total.strange += 1
            }
        }
        for try await branch in context.childMemos(of: Branch.self) {
            total.branches += 1
            total.sum &+= branch.sum
        }
        return total
    }
}

struct BranchHandler: OrchestratorHandler {
    func execute(_ branch: Branch, in context: TaskContext) async throws -> NoHandover {
        for index in 0..<Wave.branchLeaves { try context.spawnChild(Leaf(index, of: branch)) }
        return NoHandover()
    }

    func finalize(_ branch: Branch, handover: NoHandover, in context: FinalizeContext) async throws -> Branch.Memo {
        var total = Branch.Memo(number: branch.number)
        for try await leaf in context.childMemos(of: Leaf.self) { total.add(UInt32(leaf.index), leaf.value) }
        return total
    }
}

extension Registry {
    mutating func registerLoad() {
        register(SingleHandler())
        register(LeafHandler(), retry: .constant(.milliseconds(1), attempts: LoadModel.mostAttempts))
        register(BranchHandler(), onChildFailure: .tolerate)
        register(WaveHandler(), onChildFailure: .tolerate)
    }
}
