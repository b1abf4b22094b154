// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension TaskScheduler {
    /// Submits root tasks that wait for each other, all or none.
    ///
    /// - Returns: when the tasks are durable, as the store's ``Durability`` says.
    /// - Throws: ``SchedulerError`` with `invalidGraph` naming what is wrong, a cycle for instance; else as
    ///   ``submit(_:options:)``.
    /// - Complexity: O(payloads + dependencies), and one write each for the tasks, one after the other, with one sync
    ///   in all.
    public func submit(_ graph: TaskGraph) async throws(SchedulerError) -> TaskGraphSubmission {
        try await core.submit(graph)
    }
}

/// The tasks of a ``TaskGraph`` that was submitted.
public struct TaskGraphSubmission: Sendable {
    let core: SchedulerCore
    let watches: [String: (id: TaskID, watch: RootWatch)]

    /// The id of a task; nil when the graph had none of this name.
    public func id(_ name: String) -> TaskID? { watches[name]?.id }

    /// The handle of a task; nil when the graph had none of this name. Whether it is of this type shows when the
    /// handle is asked.
    public func handle<Work: DurableTask>(_ name: String, of type: Work.Type) -> TaskHandle<Work>? {
        watches[name].map { TaskHandle(id: $0.id, submission: .inserted, core: core, watch: $0.watch) }
    }
}

extension SchedulerCore {
    func submit(_ graph: TaskGraph) async throws(SchedulerError) -> TaskGraphSubmission {
        let nodes = try graph.inOrder()
        let options = GraphOptions()
        var submission = TaskGraphSubmission(core: self, watches: [:])
        if nodes.isEmpty { return submission }
        try await pass(nodes[...], options) { () throws(SchedulerError) in
            submission = try await self.commit(nodes, options.all)
        }
        return submission
    }

    /// What the middleware made of the options of each task.
    private final class GraphOptions {
        var all: [TaskOptions] = []
    }

    /// Goes through the middleware of all tasks, one inside of the other.
    private func pass(
        _ nodes: ArraySlice<TaskGraph.Node>, _ options: GraphOptions,
        _ body: @escaping () async throws(SchedulerError) -> Void
    ) async throws(SchedulerError) {
        guard let first = nodes.first else { return try await body() }
        let middleware = try first.middleware(types)
        if middleware.isEmpty {
            options.all.append(first.options)
            return try await pass(nodes.dropFirst(), options, body)
        }
        try await middleware.submit(TaskSubmission(type: type(of: first.work).type, options: first.options)) {
            submission throws(SchedulerError) in
            try middleware.inspect(first.work, in: submission)
            options.all.append(submission.options)
            try await self.pass(nodes.dropFirst(), options, body)
        }
    }

    /// The ids of the tasks are known when all have committed. In a stage their distances are known before: each task
    /// is a part of its own, so that its place is known when its dependencies are written.
    private func commit(
        _ nodes: [TaskGraph.Node], _ options: [TaskOptions]
    ) async throws(SchedulerError) -> TaskGraphSubmission {
        let stage = store.makeStage()
        var places: [String: UInt64] = [:]
        for (place, node) in nodes.enumerated() {
            let distances = Set(node.dependencies).compactMap { places[$0].map { UInt64(place) - $0 } }
            let transaction = try node.encode(self, options[place], distances.sorted())
            do { try await stage.append(spawns: transaction) } catch { throw SchedulerError(error) }
            places[node.name] = UInt64(place)
        }
        var transaction = Transaction()
        transaction.commit(stage)
        let (filled, known) = (transaction, places)
        let result: Result<TaskGraphSubmission, SchedulerError> = await withCheckedContinuation { continuation in
            store.enqueue(filled) { [self] result in
                continuation.resume(
                    returning: result.map { submission(of: known, from: $0.staged.first?.lowerBound ?? 0) }
                        .mapError(SchedulerError.init))
            }
        }
        return try result.get()
    }

    /// Before any of them can end.
    private func submission(of places: [String: UInt64], from firstID: UInt64) -> TaskGraphSubmission {
        let names = places.keys.sorted()
        let ids = names.map { TaskID(firstID + (places[$0] ?? 0)) }
        let entries = zip(ids, watch(ids)).map { (id: $0, watch: $1) }
        return TaskGraphSubmission(core: self, watches: Dictionary(uniqueKeysWithValues: zip(names, entries)))
    }
}
