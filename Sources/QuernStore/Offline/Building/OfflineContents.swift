// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// Tells a sink what a store holds. Of a damaged store it tells the rest, and lists what is lost.
///
/// Memory: what is live, and blocks that overlap; for each block of the log before the checkpoint that is looked for,
/// about a hundred bytes.
package struct OfflineContents {
    package enum Purpose: Sendable {
        /// All of a store: what cannot be read is an error.
        case whole
        /// What can be read, for those who only look.
        case look
        /// What can still be read, so that a store can be made of it.
        case salvage
        /// As `salvage`; where log and index have the same children, the log's are taken.
        case rebuiltIndex
    }

    let purpose: Purpose
    var store: OfflineStore
    /// What is lost; of children after ``tell(_:)``.
    package internal(set) var losses: [StoreLoss] = []
    /// Ended children that were told.
    package private(set) var children: UInt64 = 0
    /// Of these, from the log and not from the index; without those behind the checkpoint.
    package private(set) var childrenFromLog: UInt64 = 0
    package private(set) var liveTasks: UInt64 = 0
    /// Of these, the ones of which a damaged checkpoint does not tell any more. Some of trees that were dropped may be
    /// among them, since nothing tells of their end.
    package internal(set) var liveTasksFromLog: UInt64 = 0
    /// Is told now and then how many ended children were read, of all passes over them.
    private let progress: (_ done: UInt64, _ total: UInt64) -> Void
    /// Children of all passes, about.
    private let total: UInt64
    /// Those of the passes that are over.
    private var passed: UInt64 = 0
    private var bodies: OfflineBodies
    var log: [RowSource] = []
    var holes = RowHoles()
    private var lostTasks: Set<TaskID> = []

    /// How many times the ended children are read for a purpose.
    private static func passes(over store: OfflineStore, for purpose: Purpose) -> UInt64 {
        switch purpose {
        case .whole: 1
        case .look: store.findings.contains { $0.severity == .damage } ? 2 : 1
        case .salvage, .rebuiltIndex: 2
        }
    }

    /// - Throws: ``StoreError/Code/damaged`` when all was to be told and something is damaged.
    package init(
        of store: OfflineStore, for purpose: Purpose,
        progress: ((_ done: UInt64, _ total: UInt64) -> Void)? = nil
    ) throws(StoreError) {
        self.purpose = purpose
        self.progress = progress ?? { _, _ in }
        total = progress == nil ? 0 : Self.expectedChildren(in: store) * Self.passes(over: store, for: purpose)
        self.store = store
        bodies = OfflineBodies(store.raw)
        if purpose == .whole {
            if let damage = store.findings.first(where: { $0.severity == .damage }) {
                throw StoreError(
                    .damaged, "\(damage.what): \(damage.consequence)", file: store.raw.directory.appending(damage.file),
                    offset: damage.offset)
            }
        } else if Self.passes(over: store, for: purpose) > 1 {
            try survey()
        }
    }

    /// Ended children as the directories say. O(blocks).
    private static func expectedChildren(in store: OfflineStore) -> UInt64 {
        var children: UInt64 = 0
        for segment in store.segments { try? segment.forEachEntry { children += $0.outcomeCounts.total } }
        for block in store.tail.values.joined() { children += block.entry.outcomeCounts.total }
        for block in store.state.openBlocks.values { children += UInt64(block.rows.count) }
        for block in store.state.endedBlocks { children += UInt64(block.rows.count) }
        return children
    }

    /// Says that a pass has come to so many children.
    func report(_ children: UInt64) { progress(min(passed + children, total), total) }

    /// Says that a pass is over.
    mutating func finishPass(_ children: UInt64) { passed += children }

    /// Tells everything. Blocking.
    package mutating func tell(_ sink: inout some StoreSink) throws {
        lostTasks = []
        try sink.begin(head)
        try tellRuns(&sink)
        try tellParents(&sink)
        try tellRows(&sink)
        try sink.finish()
    }

    private var head: StoreHead {
        StoreHead(
            identity: store.identity, nextID: store.state.nextID, nextSequence: store.state.nextSequence,
            names: store.state.labels.names, values: store.values,
            inFlight: store.state.inFlight.filter { store.state.live.contains($0) })
    }

    func damaged(_ reason: String, _ file: String, _ offset: Int?) -> StoreError {
        StoreError(
            .damaged, reason, file: file.isEmpty ? store.raw.directory : store.raw.directory.appending(file),
            offset: offset)
    }

    // MARK: Live tasks

    private func isThere(_ task: TaskID) -> Bool {
        task == .none || store.state.live.contains(task) && !lostTasks.contains(task)
    }

    private mutating func tellRuns(_ sink: inout some StoreSink) throws {
        let runs = store.state.live.runs
        for entry in runs where entry.live != 0 {
            guard let run = try contents(of: entry) else {
                for task in entry.tasks { lostTasks.insert(task) }
                continue
            }
            try sink.add(run)
            liveTasks += UInt64(run.tasks.count)
            if !store.state.slots.isEmpty { try tellKept(of: entry, &sink) }
        }
    }

    /// Nil when its tasks are lost.
    private mutating func contents(of entry: LiveTasks.Run) throws(StoreError) -> LiveRunContents? {
        let run = entry.run
        let place = (StoreFiles.name(.log, UInt64(run.segment)), Int(clamping: run.frameOffset))
        guard isThere(run.parent) else {
            try lose(entry, "their parent \(run.parent) is lost", place.0, place.1)
            return nil
        }
        let payloads: [[UInt8]]
        do throws(OfflineFailure) { payloads = try bodies.payloads(of: run, indexes: entry.live) } catch {
            try lose(entry, "their payloads cannot be read: \(error.reason)", place.0, place.1)
            return nil
        }
        var contents = LiveRunContents(
            firstID: run.firstID, parent: run.parent, submittedAt: run.submittedAt, label: run.label.rawValue,
            count: Int(run.count), priority: run.priority, attributes: store.state.attributes[run.firstID])
        for (task, payload) in zip(entry.tasks, payloads) {
            contents.tasks.append(
                LiveTaskContents(
                    id: task, payload: payload, key: store.state.keys.key(of: task),
                    detail: store.state.details[task]))
        }
        return contents
    }

    private mutating func lose(
        _ entry: LiveTasks.Run, _ reason: String, _ file: String, _ offset: Int
    ) throws(StoreError) {
        if purpose == .whole { throw damaged("live tasks from \(entry.run.firstID): \(reason)", file, offset) }
        let tasks = entry.tasks
        guard let first = tasks.first, let last = tasks.last else { return }
        losses.append(
            StoreLoss(
                file: file, offset: offset, what: "live tasks are lost: \(reason)", parent: entry.run.parent,
                count: UInt64(tasks.count), ids: first.rawValue..<(last.rawValue + 1)))
    }

    private mutating func tellKept(of entry: LiveTasks.Run, _ sink: inout some StoreSink) throws {
        let slots = store.state.slots.numbers
        for task in entry.tasks {
            for slot in slots {
                guard let place = store.state.slots[task, slot] else { continue }
                let value: [UInt8]
                do throws(OfflineFailure) { value = try bodies.kept(by: task, slot, at: place) } catch {
                    let file = StoreFiles.name(.log, UInt64(place.segment))
                    let what = "what task \(task) keeps in slot \(slot) cannot be read: \(error.reason)"
                    if purpose == .whole { throw damaged(what, file, Int(clamping: place.frameOffset)) }
                    losses.append(
                        StoreLoss(
                            file: file, offset: Int(clamping: place.frameOffset), what: what,
                            ids: task.rawValue..<(task.rawValue + 1)))
                    continue
                }
                try sink.add(KeptContents(task: task, slot: slot, value: value))
            }
        }
    }

    private func tellParents(_ sink: inout some StoreSink) throws {
        for record in store.state.parents.records where isThere(record.status.id) {
            let id = record.status.id
            // The first one may be lost. Of root tasks it may have been dropped, and counts all the same.
            let isFound = id != .none && (purpose == .salvage || purpose == .rebuiltIndex)
            try sink.add(ParentContents(id: id, firstFailure: isFound ? .none : record.status.firstFailure))
        }
    }

    // MARK: Ended children

    private mutating func tellRows(_ sink: inout some StoreSink) throws {
        var rows = OfflineRows(store, log: log, holes: holes)
        var block = OutcomeBlock(parent: .none)
        var counts = TaskMap<UInt64>()
        var lost: LostBlock?
        var taken: TakenRows? = Self.passes(over: store, for: purpose) > 1 ? TakenRows() : nil
        while let item = try next(&rows, &block) {
            switch item {
            case .rows:
                if let found = lost, found.parent != block.parent { note(&lost, rows.recovered) }
                if let doubles = taken?.takeNew(&block), doubles > 0 {
                    losses.append(
                        StoreLoss(
                            file: "", what: "children whose tasks or positions others have are left out",
                            parent: block.parent, count: doubles))
                    if block.rows.isEmpty { continue }
                }
                children += UInt64(block.rows.count)
                if store.state.parents.contains(block.parent) {
                    counts.modify(block.parent, default: 0) { $0 += UInt64(block.rows.count) }
                }
                try sink.add(block)
                report(children)
            case .lost(let source, let failure):
                let (file, offset) = source.location
                if purpose == .whole { throw damaged(failure.reason, file, offset) }
                note(&lost, rows.recovered)
                lost = LostBlock(
                    parent: TaskID(source.entry.parent), children: source.entry.outcomeCounts.total, file: file,
                    offset: offset, reason: failure.reason, recoveredBefore: rows.recovered)
            }
        }
        note(&lost, rows.recovered)
        childrenFromLog = rows.fromLog
        if purpose == .whole { try check(counts) }
    }

    /// A block that cannot be read, until what the log has of it was told.
    private struct LostBlock {
        var parent: TaskID
        var children: UInt64
        var file: String
        var offset: Int?
        var reason: String
        var recoveredBefore: UInt64
    }

    private mutating func note(_ lost: inout LostBlock?, _ recovered: UInt64) {
        guard let block = lost else { return }
        lost = nil
        let found = min(recovered - block.recoveredBefore, block.children)
        guard found < block.children else { return }
        losses.append(
            StoreLoss(
                file: block.file, offset: block.offset, what: "children are lost: \(block.reason)",
                parent: block.parent, count: block.children - found))
    }

    private func next(_ rows: inout OfflineRows, _ block: inout OutcomeBlock) throws(StoreError) -> OfflineRows.Item? {
        do throws(OfflineFailure) { return try rows.next(into: &block) } catch {
            throw StoreError(.inputOutput, "a directory of the index: \(error.reason)", file: store.raw.directory)
        }
    }

    /// What the counters of live parents say must be there.
    private func check(_ counts: TaskMap<UInt64>) throws(StoreError) {
        for record in store.state.parents.records {
            let (known, found) = (record.status.counts.total, counts[record.status.id] ?? 0)
            guard known != found else { continue }
            throw damaged("\(known) children of \(record.status.id) have ended, and \(found) are there", "", nil)
        }
    }
}

extension LiveTasks.Run {
    /// Its live tasks, in order.
    var tasks: [TaskID] {
        var tasks: [TaskID] = []
        var bits = live
        while bits != 0 {
            tasks.append(run.id(at: bits.trailingZeroBitCount))
            bits &= bits - 1
        }
        return tasks
    }
}

extension SlotTable {
    var isEmpty: Bool { used.allSatisfy { _ in false } }

    /// The slots that are in use, in order.
    var numbers: [UInt8] { used.map(\.number) }
}
