// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

extension StoreFacts {
    /// What the offline tools show of a store. Nothing of it may be damaged.
    init(_ store: OfflineStore) throws(StoreError) {
        let tasks = store.liveTasks()
        var bodies = OfflineBodies(store.raw)
        for entry in tasks.runs {
            let run = entry.run
            let payloads = try Self.reading { () throws(OfflineFailure) in
                try bodies.payloads(of: run, indexes: entry.live)
            }
            let indexes = (0..<Int(run.count)).filter { entry.live & (1 << UInt64($0)) != 0 }
            for (index, payload) in zip(indexes, payloads) {
                let id = run.id(at: index)
                live[id.rawValue] = Live(
                    parent: run.parent.rawValue, label: run.label.rawValue, priority: run.priority,
                    attributes: store.attributes(of: run), key: store.state.keys.key(of: id),
                    submittedAt: run.submittedAt.rawValue, payload: Digest(payload), detail: tasks.details[id])
            }
        }
        for parent in tasks.parents { parents[parent.id.rawValue] = parent }
        parents[0] = store.status(of: .none)
        for (slot, task, place) in store.state.slots.all {
            kept[task.rawValue, default: [:]][slot] = try Self.reading { () throws(OfflineFailure) in
                Digest(try bodies.kept(by: task, slot, at: place))
            }
        }
        for (name, value) in store.values { values[name] = Digest(value) }
        names = store.names
        nextID = store.state.nextID
        for id in 0..<nextID {
            let found = try Self.children(of: TaskID(id), in: store)
            if !found.isEmpty { children[id] = found }
        }
    }

    private static func reading<Value>(_ body: () throws(OfflineFailure) -> Value) throws(StoreError) -> Value {
        do throws(OfflineFailure) { return try body() } catch { throw StoreError(.damaged, error.reason) }
    }

    private static func children(of parent: TaskID, in store: OfflineStore) throws(StoreError) -> [Child] {
        var children: [Child] = []
        var walk = store.children(of: parent, columns: .stored)
        var block = ChildBlock()
        while let item = walk.next(into: &block) {
            if case .lost(let finding, _) = item { throw StoreError(.damaged, "\(finding)") }
            for index in 0..<block.count { children.append(Child(block, index)) }
        }
        return children
    }
}
