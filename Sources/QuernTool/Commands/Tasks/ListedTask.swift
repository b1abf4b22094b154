// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore

/// A task as `quern tasks` prints it.
struct ListedTask: Sendable {
    var id: TaskID
    var parent: TaskID
    var type: String
    var state: TaskState
    /// Nil for ended tasks, as is the priority of those that did not leave it.
    var submittedAt: Timestamp?
    var notBefore: Timestamp?
    var endedAt: Timestamp?
    var priority: UInt8?
    var attempts: UInt32
    var group: String?
    var tags: [String]
    /// Nil for those that never had one.
    var children: ParentStatus?

    func append(to json: inout JSONLine) {
        json.field("id", id.rawValue)
        json.field("parent", parent.rawValue)
        json.field("type", type)
        json.field("state", state.name)
        json.field("attempts", attempts)
        json.field("priority", priority)
        json.field("group", group)
        json.array("tags") { json in for tag in tags { json.value(tag) } }
        if let submittedAt { json.field("submitted_ms", submittedAt.rawValue) }
        if let notBefore { json.field("not_before_ms", notBefore.rawValue) }
        if let endedAt { json.field("ended_ms", endedAt.rawValue) }
        if let children {
            json.field("live_children", children.liveChildren)
            json.object("ended_children") { children.counts.append(to: &$0) }
        }
    }

    enum Order: String, CaseIterable, ExpressibleByArgument {
        case id
        /// The oldest first.
        case age
        case priority
        case type
        /// The most first.
        case attempts

        func isBefore(_ left: ListedTask, _ right: ListedTask) -> Bool {
            switch self {
            case .id: left.id < right.id
            case .age: (left.time, left.id) < (right.time, right.id)
            case .priority: (left.priority ?? 128, left.id) < (right.priority ?? 128, right.id)
            case .type: (left.type, left.id) < (right.type, right.id)
            case .attempts: (right.attempts, left.id) < (left.attempts, right.id)
            }
        }
    }

    private var time: Timestamp { endedAt ?? submittedAt ?? Timestamp(milliseconds: .max) }
}

/// The first tasks in an order, in memory for twice as many.
struct TaskSelection {
    private let order: ListedTask.Order
    private let limit: Int
    private(set) var total: UInt64 = 0
    private var tasks: [ListedTask] = []

    init(_ order: ListedTask.Order, limit: Int) {
        self.order = order
        self.limit = limit
    }

    mutating func add(_ task: ListedTask) {
        total += 1
        tasks.append(task)
        if tasks.count >= 1024, tasks.count / 2 >= limit { trim() }
    }

    private mutating func trim() {
        tasks.sort(by: order.isBefore)
        tasks.removeLast(max(0, tasks.count - limit))
    }

    var sorted: [ListedTask] {
        mutating get {
            trim()
            return tasks
        }
    }
}
