// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// How many tasks of a type make a pull: about so much work, up to a run.
struct PullSizes: Sendable {
    /// Work per pull that the size of a pull aims at.
    let target: Duration
    /// Nanoseconds a task of a type takes, as a moving average; by the raw value of the label.
    var costs: [Double?]

    init(count: Int, target: Duration) {
        self.target = target
        costs = Array(repeating: nil, count: count)
    }

    /// Tasks that take long are spread over all workers; a type that was never tried is tried one by one.
    ///
    /// - Parameter ready: tasks of the type that wait.
    func size(for label: Label, ready: Int, workers: Int) -> Int {
        let index = Int(label.rawValue)
        guard index < costs.count, let cost = costs[index] else { return 1 }
        let fitting = target.inMilliseconds * 1e6 / max(cost, 1)
        let size = max(1, Int(min(Double(SpawnRun.capacity), fitting)))
        return cost < 10_000 ? size : min(size, max(1, (ready + workers - 1) / workers))
    }

    /// What `tasks` of a type took together.
    mutating func note(_ elapsed: Duration, tasks: Int, of label: Label) {
        let index = Int(label.rawValue)
        guard index < costs.count else { return }
        let cost = elapsed.inMilliseconds * 1e6 / Double(tasks)
        costs[index] = costs[index].map { $0 + (cost - $0) / 4 } ?? cost
    }
}
