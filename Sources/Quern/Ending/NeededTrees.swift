// SPDX-License-Identifier: Apache-2.0
import Logging
package import QuernStore

/// The trees that live tasks need and that may have ended, which retention leaves alone (T12): those of the tasks that
/// they depend on, whose outcomes are looked up again after a restart, and what they redrive.
///
/// Tasks that were spawned together need the same. It is theirs until the last of them has ended.
extension MemoStore {
    /// Has retention leave alone what live tasks need.
    ///
    /// - Parameter warn: is told of what cannot be read and never will be. Of a tree that is redriven, itself is left
    ///   alone then.
    /// - Returns: what takes it back, by the first id of the run that needs it.
    /// - Throws: when what they need may be read later.
    /// - Complexity: O(runs with attributes). Blocking, for what is redriven.
    package func pinNeededTrees(
        of live: LiveTasks, warn: (_ task: TaskID, any Error) -> Void
    ) throws(StoreError) -> [TaskID: [TreePin]] {
        if live.attributes.isEmpty { return [:] }
        var pins: [TaskID: [TreePin]] = [:]
        for entry in live.runs {
            guard let bytes = live.attributes[entry.run.firstID],
                let attributes = try? TaskAttributes(decoding: bytes)
            else { continue }
            var found = pinTrees(of: attributes.dependencies(of: entry.run), for: entry.run)
            // What is below redrives what is in the same trees.
            if entry.run.parent == .none, let ended = attributes.redrives {
                let trees: [TaskID]
                do { trees = try self.trees(of: ended) } catch {
                    if let error = error as? StoreError, error.isTransient { throw error }
                    warn(entry.run.firstID, error)
                    trees = [ended.task]
                }
                pin(trees)
                found += trees.map(TreePin.root)
            }
            if !found.isEmpty { pins[entry.run.firstID] = found }
        }
        return pins
    }

    fileprivate func pinTrees(of dependencies: [TaskDependency], for run: SpawnRun) -> [TreePin] {
        // A sibling's tree is the run's own.
        let others = dependencies.filter { $0.parent == .none || $0.parent != run.parent }
        return others.isEmpty ? [] : pinTrees(of: others.lazy.map { ($0.task, $0.parent) })
    }
}

extension OfflineStore {
    /// The roots of the trees that retention leaves alone for live tasks, as ``MemoStore/pinNeededTrees(of:warn:)``, as
    /// far as can be read. A pass over the ended root tasks when one of them redrives another.
    package var neededTrees: Set<TaskID> {
        let live = liveTasks()
        var roots: Set<TaskID> = []
        var redriven: [TaskID] = []
        for entry in live.runs {
            guard let bytes = live.attributes[entry.run.firstID],
                let attributes = try? TaskAttributes(decoding: bytes)
            else { continue }
            for dependency in attributes.dependencies(of: entry.run) {
                let isRoot = dependency.parent == .none
                if let root = isRoot ? dependency.task : root(ofParent: dependency.parent) { roots.insert(root) }
            }
            if entry.run.parent == .none, let ended = attributes.redrives { redriven.append(ended.task) }
        }
        if redriven.isEmpty { return roots }
        let before = redrivenRoots
        var chain: Set<TaskID> = []
        while let task = redriven.popLast() {
            if chain.insert(task).inserted, let next = before[task] { redriven.append(next) }
        }
        return roots.union(chain)
    }

    /// What ended root tasks redrove.
    private var redrivenRoots: [TaskID: TaskID] {
        var redriven: [TaskID: TaskID] = [:]
        var walk = children(of: .none, columns: .attachments)
        var block = ChildBlock()
        while let item = walk.next(into: &block) {
            guard case .block = item else { continue }
            for index in 0..<block.count {
                let bytes = block.withAttachment(at: index) { $0.withUnsafeBytes { Array($0) } }
                redriven[block.id(at: index)] = TaskRemains(decoding: bytes)?.redrives?.task
            }
        }
        return redriven
    }
}

extension MemoStore {
    /// Has retention leave alone what live tasks need of a store that was just opened.
    ///
    /// - Returns: what takes it back, by the first id of the run that needs it.
    /// - Throws: when what they need may be read later.
    func pinNeededTrees(_ logger: Logger) async throws(StoreError) -> [TaskID: [TreePin]] {
        try await ThreadPool.blocking.run { () throws(StoreError) in
            try self.pinNeededTrees(of: self.liveTasks()) { task, error in
                logger.warning("what task \(task) redrives cannot be read: \(error)")
            }
        }
    }
}

extension SchedulerCore {
    /// Has retention leave alone what new tasks depend on. On the thread that wrote them, so that no drop is written
    /// before that.
    func retainTrees(_ needs: [Dispatcher.Effects.Need]) {
        // What was recovered has its trees.
        let new = read { state in needs.filter { state.neededTrees[$0.run.firstID] == nil } }
        for need in new {
            let pins = store.pinTrees(of: need.dependencies, for: need.run)
            if pins.isEmpty { continue }
            // One that was superseded in the very batch has nothing any more.
            if store.attributes(of: need.run).isEmpty {
                store.unpin(pins)
            } else {
                perform { $0.neededTrees[need.run.firstID] = pins }
            }
        }
    }

    /// Releases what was retained for tasks that ended before the dispatcher heard of anything.
    func releaseTrees(besidesThoseOf live: LiveTasks) {
        if read({ $0.neededTrees.isEmpty }) { return }
        let runs = Set(live.runs.map(\.run.firstID))
        store.unpin(perform { state in state.releaseTrees(state.neededTrees.keys.filter { !runs.contains($0) }) })
    }
}

extension CoreState {
    /// Runs have ended.
    ///
    /// - Returns: what they needed, which is subject to retention again.
    mutating func releaseTrees(_ runs: [TaskID]) -> [TreePin] {
        if neededTrees.isEmpty { return [] }
        return runs.flatMap { neededTrees.removeValue(forKey: $0) ?? [] }
    }
}
