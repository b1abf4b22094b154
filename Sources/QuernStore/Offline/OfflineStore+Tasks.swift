// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// One task, as far as the files tell of it.
extension OfflineStore {
    package func detail(of task: TaskID) -> LiveTasks.Detail? { state.details[task] }

    package func key(of task: TaskID) -> TaskKey? { state.keys.key(of: task) }

    /// The id that the next task gets: no task has it or a larger one.
    package var nextTask: TaskID { TaskID(state.nextID) }

    /// Of live tasks, whether they were about to run when the process ended, as the last note says.
    package func wasInFlight(_ task: TaskID) -> Bool { state.inFlight.contains(task) && isLive(task) }

    /// What a live task was spawned with.
    ///
    /// - Throws: ``StoreError/Code/damaged`` when it cannot be read.
    package func payload(of task: TaskID) throws(StoreError) -> [UInt8]? {
        guard let entry = state.live.run(of: task) else { return nil }
        var bodies = OfflineBodies(raw)
        let bit = UInt64(1) << (task.rawValue - entry.run.firstID.rawValue)
        do throws(OfflineFailure) { return try bodies.payloads(of: entry.run, indexes: bit).first } catch {
            throw StoreError(
                .damaged, "the payload of task \(task): \(error.reason)",
                file: raw.directory.appending(StoreFiles.name(.log, UInt64(entry.run.segment))),
                offset: Int(clamping: entry.run.frameOffset))
        }
    }

    /// What a live task has in a slot; nil when it has nothing there.
    ///
    /// - Throws: ``StoreError/Code/damaged`` when it cannot be read.
    package func kept(by task: TaskID, slot: UInt8) throws(StoreError) -> [UInt8]? {
        guard let place = state.slots[task, slot] else { return nil }
        var bodies = OfflineBodies(raw)
        do throws(OfflineFailure) { return try bodies.kept(by: task, slot, at: place) } catch {
            throw StoreError(
                .damaged, "what task \(task) keeps in slot \(slot): \(error.reason)",
                file: raw.directory.appending(StoreFiles.name(.log, UInt64(place.segment))),
                offset: Int(clamping: place.frameOffset))
        }
    }

    /// The slots in which a live task has something.
    package func slots(of task: TaskID) -> [UInt8] {
        state.slots.used.filter { $0.places[task] != nil }.map(\.number)
    }

    // MARK: Ended tasks

    /// Where an ended task is.
    package struct EndedPlace: Sendable {
        package let parent: TaskID
        /// Of the tree that it is in; itself when it is a root task.
        package let root: TaskID
        /// The block that it is in, and its place there.
        package let block: ChildBlock
        package let index: Int
    }

    /// Looks for an ended task in every block, decoding ids alone, on several threads. Blocking.
    ///
    /// - Parameter progress: is told now and then how many blocks were read, on this thread.
    /// - Returns: where it is, and what of the index could not be read.
    package func findEnded(
        _ task: TaskID, threads: Int = SystemThread.processorCount, progress: (_ blocks: UInt64) -> Void = { _ in }
    ) -> (place: EndedPlace?, findings: [StoreFinding]) {
        let search = EndedSearch(self, for: task)
        search.run(threads: threads, progress: progress)
        return search.result
    }

    /// Blocks in which ended tasks are looked for.
    package var blockCount: UInt64 {
        segments.reduce(0) { $0 + UInt64($1.count) } + tail.values.reduce(0) { $0 + UInt64($1.count) }
            + UInt64(state.openBlocks.count + state.endedBlocks.count)
    }

    // MARK: Parents

    /// The tasks below a task, at any depth, that have ended children, and some others that are in the same tree; below
    /// ``TaskID/none`` of all trees. In order, each once. One pass over the directories; 8 bytes each.
    package func parents(below task: TaskID) -> [TaskID] {
        let root = task == .none ? nil : self.root(ofParent: task)
        var parents: [TaskID] = []
        forEachEntry { entry in
            guard entry.parent > task.rawValue, root == nil || entry.root == root?.rawValue,
                parents.last?.rawValue != entry.parent, !state.dropped.contains(TaskID(entry.root))
            else { return }
            parents.append(TaskID(entry.parent))
        }
        parents.sort()
        var kept = 0
        for index in parents.indices where index == 0 || parents[index] != parents[kept - 1] {
            parents[kept] = parents[index]
            kept += 1
        }
        parents.removeLast(parents.count - kept)
        return parents
    }

    /// The root of the tree of a task that has or had children; nil when it is not known.
    package func root(ofParent task: TaskID) -> TaskID? {
        state.parents.root(of: task) ?? blocks(of: task).first.map { TaskID($0.entry.root) }
    }

    /// A directory that cannot be read any more was read when it was verified.
    func forEachEntry(_ body: (DirectoryEntry) -> Void) {
        for segment in segments { try? segment.forEachEntry(body) }
        for blocks in tail.values { for block in blocks { body(block.entry) } }
        for rows in state.openBlocks.values { body(BlockExtent(rows).entry) }
        for rows in state.endedBlocks { body(BlockExtent(rows).entry) }
    }
}
