// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What became of root tasks that were submitted together.
struct CommittedSubmission: Sendable {
    let commit: Commit
    /// How many tasks the transaction itself had.
    let count: Int
    /// Where the tasks are in the stage that it committed instead; nil without one, and empty when nobody asked.
    let places: [Range<UInt64>]?
    let rejects: Bool

    var summary: BatchSubmission {
        BatchSubmission(counts: SubmissionCounts(commit.counts, rejects: rejects), ids: ids)
    }

    private var ids: [Range<UInt64>] {
        var ids: [Range<UInt64>] = []
        for range in (commit.spawned + commit.staged).sorted(by: { $0.lowerBound < $1.lowerBound })
        where !range.isEmpty {
            if let last = ids.last, last.upperBound == range.lowerBound {
                ids[ids.count - 1] = last.lowerBound..<range.upperBound
            } else {
                ids.append(range)
            }
        }
        return ids
    }

    /// What became of each task, in the order of coming.
    var dispositions: [SpawnDisposition] {
        guard let places else { return (0..<count).map(commit.disposition(of:)) }
        return places.flatMap { $0.map { commit.disposition(ofStaged: $0) } }
    }
}

extension SchedulerCore {
    /// The handles of tasks that were just committed, which cannot have ended yet.
    func handles<Work: DurableTask>(of committed: CommittedSubmission) -> [TaskHandle<Work>] {
        let dispositions = committed.dispositions
        return zip(dispositions, watch(dispositions.map(\.task))).map { disposition, watch in
            let submission = Submission(disposition, rejects: committed.rejects)
            return TaskHandle(id: disposition.task, submission: submission, core: self, watch: watch)
        }
    }
}
