// SPDX-License-Identifier: Apache-2.0

/// All directories together: entries of one parent do not overlap, have one root, and add up with what is in memory to
/// the counters of live parents.
struct DirectoryCheck {
    private let context: VerifyContext
    private let directories: [IndexDirectory]
    /// As ``IndexSegmentCheck/spans``, a list a directory; empty where blocks were not read.
    private let spans: [[UInt32]]
    private var counts: [TaskID: OutcomeCounts] = [:]

    init(_ context: VerifyContext, spans: [[UInt32]]) {
        self.context = context
        directories = context.store.segments
        self.spans = spans
    }

    mutating func run() {
        do throws(OfflineFailure) { try walk() } catch {
            return context.damage("", "the directories cannot be read: \(error.reason)", "they are not compared")
        }
        // What is missing was told where it is missing: then nothing can add up.
        if context.store.findings.contains(where: { $0.severity == .damage }) { return }
        addMemory()
        compare()
    }

    private mutating func walk() throws(OfflineFailure) {
        var walk = try DirectoryMergeWalk(directories)
        var last: (entry: DirectoryEntry, end: UInt64)?
        while let (entry, directory, index) = try walk.next() {
            let parent = TaskID(entry.parent)
            do throws(DecodingFailure) {
                try context.check(root: TaskID(entry.root), of: parent)
                if let last, last.entry.parent == entry.parent {
                    guard last.entry.root == entry.root else {
                        throw DecodingFailure("roots \(last.entry.root) and \(entry.root) of one tree")
                    }
                    guard last.end < entry.firstSequence else {
                        throw DecodingFailure("a block that overlaps another one of its parent")
                    }
                }
            } catch {
                let children = StoreFinding.children(entry.outcomeCounts.total, of: parent)
                context.damage(
                    directories[directory].file.name, at: Int(clamping: entry.offset), error.reason,
                    "\(children) may be shown in another order, or not")
            }
            let span = index < spans[directory].count ? spans[directory][index] : IndexSegmentCheck.unknownSpan
            last = (entry, entry.firstSequence &+ (span == IndexSegmentCheck.unknownSpan ? 0 : UInt64(span)))
            if context.store.state.parents.contains(parent) { counts[parent, default: .init()] += entry.outcomeCounts }
        }
    }

    private mutating func addMemory() {
        let store = context.store
        let state = store.state
        func add(_ block: OutcomeBlock) {
            for row in block.rows { counts[block.parent, default: OutcomeCounts()][row.kind] += 1 }
        }
        for block in state.openBlocks.values { add(block) }
        for block in state.endedBlocks + state.fullBlocks { add(block) }
        for (parent, blocks) in store.tail {
            for block in blocks { counts[parent, default: .init()] += block.entry.outcomeCounts }
        }
        for tree in state.dropped.hiddenRows where counts[.none]?[tree.kind] ?? 0 > 0 {
            counts[.none]?[tree.kind] -= 1
        }
    }

    private func compare() {
        let state = context.store.state
        let file = context.store.checkpointFile?.name ?? ""
        for record in state.parents.records {
            let status = record.status
            let ended = counts[status.id] ?? OutcomeCounts()
            if ended != status.counts {
                context.damage(
                    file,
                    "parent \(status.id) has \(status.counts.total) ended children by its counters, and "
                        + "\(ended.total)\(ended.total == status.counts.total ? ", of other kinds" : "")",
                    "its children are not all there, or not all counted")
            }
        }
        for misfit in state.familyMisfits {
            switch misfit {
            case .counter(let parent, let counted, let living):
                context.damage(
                    file, "parent \(parent) has \(counted) live children by its counter, and \(living)",
                    "it may wait for ever, or not long enough")
            case .endedParent(let parent): context.damage(file, "parent \(parent) is not live", "it never ends")
            case .orphans(let parent, let count):
                context.damage(
                    file, "\(count) live tasks below \(parent), which is no live parent", "it does not wait for them")
            }
        }
    }
}
