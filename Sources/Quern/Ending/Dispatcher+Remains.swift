// SPDX-License-Identifier: Apache-2.0
import QuernStore

extension Dispatcher {
    /// Whether tasks that are about to be cancelled leave what it takes to run them again: those that count as
    /// failures, and those that a fail-fast parent's failure ends, since redriving it is to run them (T12a). Those that
    /// are cancelled with their parent do not: whoever runs that again spawns them anew.
    func leavesRemains(_ entry: ReadyRun) -> Bool {
        if !cancelKinds.isEmpty {
            for index in BitIndexes(entry.bits) {
                if let kind = cancelKinds[entry.run.id(at: index)] { return kind.isFailure }
            }
        }
        let parent = entry.run.parent
        guard parent != .none, !doomed.contains(parent) else { return false }
        guard let label = waiting[parent]?.run.label ?? early[parent]?.label else { return true }
        return facts(of: label)?.policy != .tolerate
    }
}
