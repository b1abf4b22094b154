// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Root tasks of any types that wait for each other, submitted at once: all or none.
///
/// ```swift
/// var graph = TaskGraph()
/// graph.add("report", Report(day), after: ["orders", "stock"])
/// graph.add("orders", Import(.orders))
/// graph.add("stock", Import(.stock), options: TaskOptions(retry: .constant(.seconds(5), attempts: 3)))
/// let tasks = try await scheduler.submit(graph)
/// let report = try await tasks.handle("report", of: Report.self)?.memo()
/// ```
///
/// What is to happen when one of them does not complete is said by those that wait for it
/// (``TaskOptions/onDependencyFailure``); ``TaskOptions/dependencies`` may name other tasks in addition.
public struct TaskGraph: Sendable {
    /// Spawns a task with the options that the middleware left.
    typealias Encode =
        @Sendable (SchedulerCore, TaskOptions, _ backward: [UInt64]) throws(SchedulerError) -> Transaction

    struct Node: Sendable {
        var name: String
        var dependencies: [String]
        var options: TaskOptions
        var work: any DurableTask
        var encode: Encode
        var middleware: @Sendable (TypeTable) throws(SchedulerError) -> MiddlewareChain
    }

    private(set) var nodes: [Node] = []

    /// An empty graph.
    public init() {}

    /// Adds a task.
    ///
    /// - Parameters:
    ///   - name: what the others know it by, within this graph alone.
    ///   - dependencies: the names of those that must have ended before; they may be added later.
    ///   - options: what is to hold for this task. It has no key.
    public mutating func add<Work: DurableTask>(
        _ name: String, _ task: Work, after dependencies: [String] = [], options: TaskOptions = TaskOptions()
    ) {
        let encode: Encode = { core, options, backward throws(SchedulerError) in
            var terms = try core.types.terms(of: Work.self, options, backward: backward)
            if let tracer = core.tracer { terms = try core.traced(terms, tracer) }
            guard terms.key == nil else { throw SchedulerError(.invalidOptions, "the task of a graph has a key") }
            if !terms.dependencies.isEmpty { try core.checkDependencies(of: terms, under: .none) }
            var transaction = Transaction()
            try transaction.spawn(task, under: .none, terms, key: nil, at: core.clock.now)
            return transaction
        }
        nodes.append(
            Node(
                name: name, dependencies: dependencies, options: options, work: task, encode: encode
            ) { types throws(SchedulerError) in try types.middleware(around: Work.self) })
    }

    /// The nodes, each behind those that it depends on; else as they were added.
    ///
    /// - Throws: `invalidGraph`, naming a cycle, a name that is missing or one that is there twice.
    /// - Complexity: O(nodes + dependencies).
    func inOrder() throws(SchedulerError) -> [Node] {
        var places: [String: Int] = [:]
        for (place, node) in nodes.enumerated() where places.updateValue(place, forKey: node.name) != nil {
            throw SchedulerError(.invalidGraph, "two tasks are named \"\(node.name)\"")
        }
        var unmet = [Int](repeating: 0, count: nodes.count)
        var waiters = [[Int]](repeating: [], count: nodes.count)
        for (place, node) in nodes.enumerated() {
            for name in Set(node.dependencies) {
                guard let other = places[name] else {
                    throw SchedulerError(.invalidGraph, "\"\(node.name)\" waits for \"\(name)\", which is not there")
                }
                unmet[place] += 1
                waiters[other].append(place)
            }
        }
        var order = nodes.indices.filter { unmet[$0] == 0 }
        var next = 0
        while next < order.count {
            for waiter in waiters[order[next]].sorted() {
                unmet[waiter] -= 1
                if unmet[waiter] == 0 { order.append(waiter) }
            }
            next += 1
        }
        guard order.count == nodes.count else { throw cycle(unmet, places) }
        return order.map { nodes[$0] }
    }

    /// Follows those that are left, each of which waits for another one that is left, until one comes again.
    private func cycle(_ unmet: [Int], _ places: [String: Int]) -> SchedulerError {
        var path: [String] = []
        var seen: Set<String> = []
        var name = unmet.firstIndex { $0 > 0 }.map { nodes[$0].name }
        while let current = name, seen.insert(current).inserted {
            path.append(current)
            name = places[current].flatMap { place in
                nodes[place].dependencies.first { places[$0].map { unmet[$0] > 0 } ?? false }
            }
        }
        let start = name.flatMap { path.firstIndex(of: $0) } ?? 0
        let names = (path[start...] + [name ?? ""]).map { "\"\($0)\"" }.joined(separator: " waits for ")
        return SchedulerError(.invalidGraph, "the tasks wait for each other: \(names)")
    }
}
