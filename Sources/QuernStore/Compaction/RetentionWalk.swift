// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// A walk over the ended root tasks, a block at a time, that finds what a policy drops. It passes over what is damaged.
struct RetentionWalk {
    /// What the walk is about, all of it as it was at one moment.
    struct View {
        let roots: ChildSnapshot
        /// Why some of the roots are not among them.
        let damage: [StoreError]
        let contents: IndexContents
        let live: LiveTable
        let pinned: Set<TaskID>

        init(_ shared: StoreShared) throws(StoreError) {
            self = try shared.lookUpBesideDamage {
                (IndexContents($0, setAside: []), $0.state.live, $0.childPlaces(of: .none), $0.state.pins)
            } _: { (found, setAside) throws(StoreError) in
                var (contents, live, places, pins) = found
                contents.setAside = setAside
                let (roots, damage) = try places.snapshot(shared.files.identity, beside: setAside)
                let pinned = try pins.allRoots(contents)
                return View(roots: roots, damage: damage, contents: contents, live: live, pinned: pinned)
            }
        }

        private init(
            roots: ChildSnapshot, damage: [StoreError], contents: IndexContents, live: LiveTable, pinned: Set<TaskID>
        ) {
            self.roots = roots
            self.damage = damage
            self.contents = contents
            self.live = live
            self.pinned = pinned
        }

        /// Ended root tasks that are not dropped: fewer, never more, where some cannot be read.
        var count: Int { damage.isEmpty ? roots.count : max(0, roots.count - contents.dropped.hiddenRows.count) }

        /// Blocks and bytes by root, of these alone. One pass over the directories.
        func sizes(of roots: Set<TaskID>) throws(StoreError) -> [TaskID: (children: UInt64, bytes: Int)] {
            var sizes: [TaskID: (children: UInt64, bytes: Int)] = [:]
            try contents.forEachEntry { entry, _ in
                guard roots.contains(TaskID(entry.root)) else { return }
                sizes[TaskID(entry.root), default: (0, 0)].children += entry.outcomeCounts.total
                sizes[TaskID(entry.root), default: (0, 0)].bytes += entry.sizeInSegment
            }
            return sizes
        }

        /// What all ended trees take that are not dropped.
        func bytes() throws(StoreError) -> Int {
            var bytes = 0
            try contents.forEachEntry { entry, _ in
                let root = TaskID(entry.root)
                guard root != .none, !contents.dropped.contains(root), !live.contains(root) else { return }
                bytes += entry.sizeInSegment
            }
            return bytes
        }
    }

    private static let dropsAtOnce = 1 << 16

    private let policy: RetentionPolicy
    private let view: View
    private var plan: RetentionPlan
    private var walk: RootWalk
    private var block = ChildBlock()

    init(_ policy: RetentionPolicy, now: Timestamp, in shared: StoreShared) throws(StoreError) {
        let view = try View(shared)
        self.policy = policy
        self.view = view
        plan = RetentionPlan(policy, now: now, count: view.count, bytes: policy.bytes == nil ? 0 : try view.bytes())
        walk = RootWalk(view.roots, damage: view.damage, shared)
    }

    /// The trees of the next block of roots that are to be dropped, with what they take; nil at the end.
    mutating func next() throws(StoreError) -> (trees: [DroppedTree], report: RetentionReport)? {
        while !plan.isSettled, try walk.next(into: &block) {
            plan.passOver(walk.takeMissed())
            let ids = (0..<block.count).map { block.id(at: $0) }
            // Sizes cost a pass over the directories: where they decide nothing, only for what is dropped.
            let known = policy.bytes == nil ? [:] : try view.sizes(of: Set(ids))
            let places = (0..<block.count).filter {
                !view.contents.dropped.contains(ids[$0]) && !view.pinned.contains(ids[$0])
                    && plan.drops(endedAt: block.endedAt(at: $0), bytes: known[ids[$0]]?.bytes ?? 0)
            }
            if places.isEmpty { continue }
            let sizes = policy.bytes == nil ? try view.sizes(of: Set(places.map { ids[$0] })) : known
            var report = RetentionReport()
            for place in places {
                report.trees += 1
                report.children += 1 + (sizes[ids[place]]?.children ?? 0)
                report.bytes += sizes[ids[place]]?.bytes ?? 0
            }
            let trees = places.map {
                DroppedTree(root: ids[$0], sequence: block.sequence(at: $0), kind: block.kind(at: $0))
            }
            return (trees, report)
        }
        return nil
    }

    /// The drops that `policy` asks for now, as many as one transaction should have.
    static func transaction(
        _ policy: RetentionPolicy, now: Timestamp, in shared: StoreShared
    ) throws(StoreError) -> Transaction {
        let lookUp = shared.committed.withLock { DropLookUp($0.state, heedsPins: true) }
        var walk = try RetentionWalk(policy, now: now, in: shared)
        var transaction = Transaction()
        while transaction.notes.count < Self.dropsAtOnce, let found = try walk.next() {
            for tree in found.trees { transaction.drop(tree, lookUp) }
        }
        return transaction
    }
}
