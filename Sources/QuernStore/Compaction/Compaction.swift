// SPDX-License-Identifier: Apache-2.0

/// Rewrites neighbouring sealed index segments into new ones, in which each parent's blocks lie side by side and are as
/// full as they can be, and dropped trees are left out (S15).
///
/// It decodes and encodes a block at a time, so that every checksum is verified, and whatever is wrong stops it with
/// the inputs as they were (F33). What it writes counts for nobody until a checkpoint names it.
struct Compaction: Sendable {
    let files: StoreFiles
    /// The whole index, as it was when the compaction began.
    let contents: IndexContents
    /// Which of the sealed segments to rewrite.
    let plan: CompactionPlan
    let configuration: MemoStore.Configuration
    let throttle: Throttle
    var budget: IOBudget?
    let numbers: IndexNumbers

    /// What is to take the place of the inputs.
    struct Result: Sendable {
        var inputs: [SealedIndexSegment]
        var outputs: [SealedIndexSegment]
        /// Roots whose rows are in no block any more.
        var reclaimedRows: Set<TaskID> = []
        var childrenKept: UInt64 = 0
        /// Whether something was dropped that the outputs no longer have.
        var leavesOut = false

        /// Whether doing it once more may do more.
        var isProgress: Bool {
            bytesAfter < bytesBefore || inputs.map(\.tier) != outputs.map(\.tier)
        }
        var bytesBefore: Int { inputs.reduce(0) { $0 + $1.length } }
        var bytesAfter: Int { outputs.reduce(0) { $0 + $1.length } }
    }

    /// Writes and syncs the new segments. When it throws, it has removed them.
    mutating func run() throws(StoreError) -> Result {
        var output = CompactionOutput(files: files, configuration: configuration, numbers: numbers)
        do throws(StoreError) {
            var result = try merge(into: &output)
            // Blocks of unlike shapes may have packed better apart: then the inputs stay (F33). But what was dropped
            // goes, also where the rest packs worse without it.
            if result.bytesAfter > result.bytesBefore, !result.leavesOut {
                output.removeAll()
                result.outputs = result.inputs.map { $0.inTier(plan.tier) }
            }
            return result
        } catch {
            output.removeAll()
            throw error
        }
    }

    private mutating func merge(into output: inout CompactionOutput) throws(StoreError) -> Result {
        let segments = contents.index.sealed[plan.range]
        let hidden = contents.dropped.hiddenRows
        var result = Result(inputs: Array(segments), outputs: [])
        var entries = try DirectoryMerge(segments)
        var gathered = OutcomeBlock(parent: .none)
        var block = ChildBlock()
        var scratch = BlockScratch()
        while let (entry, file) = try entries.next() {
            if contents.dropped.contains(TaskID(entry.root)) {
                result.leavesOut = true
                continue
            }
            let extent = BlockExtent(entry, in: file)
            let mapping = try extent.read(
                of: TaskID(entry.parent), files.identity, columns: .stored, scratch: &scratch, into: &block)
            mapping?.discard(extent.offset..<(extent.offset + extent.length))
            if entry.parent == 0, !hidden.isEmpty { result.reclaimedRows.formUnion(block.removeTrees(hidden)) }
            result.childrenKept += UInt64(block.count)
            if block.parent != gathered.parent || entry.root != gathered.root.rawValue {
                try output.append(&gathered)
                gathered = OutcomeBlock(parent: block.parent, root: TaskID(entry.root))
            }
            try gathered.fill(from: block.outcomeBlock(), sizes: configuration.blockSizes) {
                (full) throws(StoreError) in
                try output.append(&full)
            }
            let written = output.takeWrittenBytes()
            try throttle.spend(extent.length + written, of: &budget)
        }
        try output.append(&gathered)
        if !result.reclaimedRows.isEmpty { result.leavesOut = true }
        result.outputs = try output.seal(tier: plan.tier)
        return result
    }
}

extension ChildBlock {
    /// Takes the rows of dropped roots out, all columns with them. Returns which they were.
    fileprivate mutating func removeTrees(_ hidden: [DroppedTree]) -> [TaskID] {
        let found = rows.filter { hidden.contains(sequence: $0.outcome.sequence) }.map { TaskID($0.outcome.task) }
        if !found.isEmpty {
            removeRows(of: hidden)
            packValues()
        }
        return found
    }

    /// Closes the gaps that rows left which were taken out.
    private mutating func packValues() {
        var memos: [UInt8] = []
        var errors: [UInt8] = []
        for index in rows.indices {
            let row = rows[index]
            let length = Int(row.outcome.valueLength)
            let range = row.valueOffset..<(row.valueOffset + length)
            if row.outcome.kind == .completed {
                rows[index].valueOffset = memos.count
                memos.append(contentsOf: self.memos[range])
            } else {
                rows[index].valueOffset = errors.count
                errors.append(contentsOf: self.errors[range])
            }
        }
        self.memos = memos
        self.errors = errors
    }
}
