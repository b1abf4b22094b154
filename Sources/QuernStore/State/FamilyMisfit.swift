// SPDX-License-Identifier: Apache-2.0

/// Where live tasks and their parents tell otherwise of each other: whoever resolves a parent counts on none of it.
enum FamilyMisfit {
    /// A parent counts other live children than it has.
    case counter(of: TaskID, counted: UInt64, living: UInt64)
    /// A parent that is not live.
    case endedParent(TaskID)
    /// Live tasks below one that is no parent.
    case orphans(below: TaskID, count: UInt64)
}

extension StoreState {
    /// All of them, in the order of the parents; those without one at the end. O(live runs).
    var familyMisfits: [FamilyMisfit] {
        var children = TaskMap<UInt64>()
        for entry in live.runs where entry.live != 0 {
            children.modify(entry.run.parent, default: 0) { $0 += UInt64(entry.live.nonzeroBitCount) }
        }
        var misfits: [FamilyMisfit] = []
        for record in parents.records {
            let (parent, counted) = (record.status.id, record.status.liveChildren)
            let living = children.removeValue(forKey: parent) ?? 0
            if parent != .none, !live.contains(parent) { misfits.append(.endedParent(parent)) }
            if living != counted { misfits.append(.counter(of: parent, counted: counted, living: living)) }
        }
        for (parent, count) in children { misfits.append(.orphans(below: parent, count: count)) }
        return misfits
    }
}
