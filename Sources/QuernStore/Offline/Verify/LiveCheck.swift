// SPDX-License-Identifier: Apache-2.0

/// What a checkpoint and the log behind it say of live tasks, against the rows of all ended ones.
struct LiveCheck {
    private let context: VerifyContext

    init(_ context: VerifyContext) { self.context = context }

    private var file: String { context.store.checkpointFile?.name ?? "" }
    private var state: StoreState { context.store.state }

    /// Adds the rows that are in no index segment.
    func addMemory() {
        var check = BlockCheck()
        var scratch = OutcomeBlockScratch()
        var block = ChildBlock()
        var buffers = OfflineScratch()
        // Where the checkpoint does not tell what the index has, the log was applied from further in front: what both
        // have is there twice.
        if context.store.mayMissChildren { return }
        for block in Array(state.openBlocks.values) + state.endedBlocks + state.fullBlocks {
            add(block, &check, &scratch)
        }
        for (parent, blocks) in context.store.tail {
            for tail in blocks {
                do throws(OfflineFailure) {
                    try tail.read(of: parent, seed: context.seed, columns: .stored, scratch: &buffers, into: &block)
                    add(block.outcomeBlock(), &check, &scratch)
                } catch { context.damage("", error.reason, "children of parent \(parent) are not compared") }
            }
        }
    }

    private func add(_ block: OutcomeBlock, _ check: inout BlockCheck, _ scratch: inout OutcomeBlockScratch) {
        var output = ByteWriter()
        OutcomeBlockCodec.encode(block, compress: false, scratch: &scratch, into: &output)
        do throws(DecodingFailure) {
            try output.bytes.withUnsafeBytesThrowing { (bytes) throws(DecodingFailure) in try check.read(bytes) }
            try context.add(check)
        } catch {
            context.damage(
                file, error.reason,
                "what is told of \(block.rows.count) children of parent \(block.parent) is not right")
        }
    }

    /// Compares, after all rows were added.
    func run() {
        for entry in state.live.runs where entry.live != 0 {
            if let task = context.endedTask(in: entry) {
                context.damage(file, "task \(task) is live and has an outcome", "it would run again")
            }
        }
        for record in state.parents.records where record.status.id != .none {
            let (known, found) = (record.status.firstFailure, context.firstFailure(of: record.status.id))
            if known != found {
                context.damage(
                    file, "the first failed child of \(record.status.id) is \(known), and \(found) among its children",
                    "a wrong one is named")
            }
        }
        for tree in state.dropped.trees where context.hasRow(at: tree.sequence) == tree.isRowReclaimed {
            context.damage(
                file, "the dropped root task \(tree.root) \(tree.isRowReclaimed ? "is still there" : "is not there")",
                "the counters of the root tasks are not right")
        }
        func checkLive(_ task: TaskID, _ what: String) {
            if !state.live.contains(task) {
                context.damage(file, "\(what) of \(task), which is not live", "nobody asks for it")
            }
        }
        for (task, _) in state.details { checkLive(task, "a detail") }
        for (task, _) in state.keys.all { checkLive(task, "a key") }
        for (_, task, _) in state.slots.all { checkLive(task, "a slot") }
    }
}
