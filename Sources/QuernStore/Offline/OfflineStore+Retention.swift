// SPDX-License-Identifier: Apache-2.0
import SystemPackage

extension OfflineStore {
    /// What retention would drop now. Two passes over the directories' entries at most, one over the ended root tasks.
    ///
    /// Memory: 40 bytes for each ended tree.
    ///
    /// - Parameter kept: roots of trees that it leaves alone.
    /// - Throws: ``StoreError/Code/damaged`` when not all root tasks can be read.
    package func retention(
        _ policy: RetentionPolicy, now: Timestamp, leavingAlone kept: Set<TaskID> = []
    ) throws(StoreError) -> RetentionReport {
        var sizes: [UInt64: (children: UInt64, bytes: Int)] = [:]
        var bytes = 0
        forEachEntry { entry in
            let root = TaskID(entry.root)
            guard root != .none, !state.dropped.contains(root), !state.live.contains(root) else { return }
            sizes[entry.root, default: (0, 0)].children += entry.outcomeCounts.total
            sizes[entry.root, default: (0, 0)].bytes += entry.sizeInSegment
            bytes += entry.sizeInSegment
        }
        var walk = children(of: .none, columns: .facts)
        var plan = RetentionPlan(policy, now: now, count: Int(clamping: walk.counts.total), bytes: bytes)
        var report = RetentionReport()
        var block = ChildBlock()
        while !plan.isSettled, let item = walk.next(into: &block) {
            if case .lost(let finding, _) = item {
                throw StoreError(
                    .damaged, "\(finding.what): \(finding.consequence)", file: raw.directory.appending(finding.file),
                    offset: finding.offset)
            }
            for index in 0..<block.count {
                let size = sizes[block.id(at: index).rawValue] ?? (0, 0)
                guard !kept.contains(block.id(at: index)),
                    plan.drops(endedAt: block.endedAt(at: index), bytes: size.bytes)
                else { continue }
                report.trees += 1
                report.children += 1 + size.children
                report.bytes += size.bytes
            }
        }
        return report
    }
}
