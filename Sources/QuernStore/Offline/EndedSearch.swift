// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// The search for one ended task in all blocks, a stretch of a directory after the other on each thread.
final class EndedSearch: Sendable {
    private struct State: Sendable {
        var place: OfflineStore.EndedPlace?
        var findings: [StoreFinding] = []
    }

    private static let entriesAtOnce = 256

    private let store: OfflineStore
    private let task: TaskID
    private let state = Mutex(State())
    private let isFound = Atomic(false)
    private let blocksRead = Atomic<UInt64>(0)

    init(_ store: OfflineStore, for task: TaskID) {
        self.store = store
        self.task = task
    }

    var result: (place: OfflineStore.EndedPlace?, findings: [StoreFinding]) {
        state.withLock { ($0.place, $0.findings) }
    }

    func run(threads: Int, progress: (UInt64) -> Void) {
        var jobs: [ParallelJobs.Job] = []
        // What ended last is asked for most.
        let memory =
            store.state.openBlocks.values.map { OfflineBlock(BlockExtent($0)) }
            + store.state.endedBlocks.map { OfflineBlock(BlockExtent($0)) } + store.tail.values.flatMap(\.self)
        jobs.append { self.search(memory) }
        for directory in store.segments.reversed() {
            for first in stride(from: 0, to: directory.count, by: Self.entriesAtOnce) {
                let range = first..<min(first + Self.entriesAtOnce, directory.count)
                jobs.append { self.search(directory, range) }
            }
        }
        ParallelJobs(jobs).run(threads: threads) { progress(blocksRead.load(ordering: .relaxed)) }
    }

    private func search(_ directory: IndexDirectory, _ range: Range<Int>) {
        guard !isFound.load(ordering: .relaxed) else { return }
        do throws(OfflineFailure) {
            search(try directory.entries(in: range).map { OfflineBlock($0, in: directory.file) })
        } catch {
            let finding = StoreFinding(.damage, directory.file.name, error.reason, "the task may be in it")
            state.withLock { $0.findings.append(finding) }
        }
    }

    private func search(_ blocks: [OfflineBlock]) {
        var scratch = OfflineScratch()
        var block = ChildBlock()
        // A child comes after its parent.
        for candidate in blocks where candidate.entry.parent < task.rawValue {
            guard !isFound.load(ordering: .relaxed) else { return }
            if store.state.dropped.contains(TaskID(candidate.entry.root)) { continue }
            let parent = TaskID(candidate.entry.parent)
            blocksRead.add(1, ordering: .relaxed)
            do throws(OfflineFailure) {
                try candidate.read(
                    of: parent, seed: store.identity.seed, columns: .facts, scratch: &scratch, into: &block)
                if parent == .none { block.removeRows(of: store.state.dropped.hiddenRows) }
                guard (0..<block.count).contains(where: { block.id(at: $0) == task }) else { continue }
                try candidate.read(
                    of: parent, seed: store.identity.seed, columns: .stored, scratch: &scratch, into: &block)
            } catch {
                let finding = candidate.finding(error)
                state.withLock { $0.findings.append(finding) }
                continue
            }
            guard let index = (0..<block.count).first(where: { block.id(at: $0) == task }) else { continue }
            let root = candidate.entry.root == 0 ? task : TaskID(candidate.entry.root)
            let place = OfflineStore.EndedPlace(parent: parent, root: root, block: block, index: index)
            state.withLock { $0.place = place }
            isFound.store(true, ordering: .relaxed)
        }
    }
}
