// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern

/// Leaves a memo and does nothing else.
struct NoOperation: TaskHandler {
    struct Work: DurableTask {
        static let type: TaskType = "benchmark.no-op"
        var number: UInt32

        struct Memo: FixedLayoutMemo { var discovered, skipped, deleted: UInt64 }
    }

    func execute(_ task: Work, in context: TaskContext) async throws -> Work.Memo {
        Work.Memo(discovered: 1, skipped: UInt64(task.number % 50), deleted: 0)
    }
}

/// Spawns the others and adds up what they left.
struct FanOut: OrchestratorHandler {
    /// Told how long the adding up took.
    var whenFinalized: @Sendable (Duration) -> Void = { _ in }
    /// Called before that.
    var whenFinalizing: @Sendable () -> Void = {}

    /// What its children have beside a payload.
    enum Shape: String, Codable, ExpressibleByArgument, CaseIterable {
        case plain
        /// One of 4 priorities and of 8 groups each.
        case groups
        /// A key of its own each.
        case keys
        /// All of that.
        case all
        /// One of 4 priorities and of 8 groups and a key, said anew for each child.
        case singly

        var title: String {
            switch self {
            case .plain: "nothing else"
            case .groups: "4 priorities, 8 groups"
            case .keys: "a key each"
            case .all: "4 priorities, 8 groups, a key each"
            case .singly: "the same, options said for each child"
            }
        }

        var hasGroups: Bool { self != .plain && self != .keys }
        var hasKeys: Bool { self != .plain && self != .groups }
    }

    struct Work: DurableTask {
        static let type: TaskType = "benchmark.fan-out"
        var children: Int
        var shape = Shape.plain

        struct Memo: FixedLayoutMemo { var sum: UInt64 }
    }

    func execute(_ task: Work, in context: TaskContext) async throws -> NoHandover {
        switch task.shape {
        case .plain:
            for number in 0..<task.children { try context.spawnChild(NoOperation.Work(number: UInt32(number))) }
        case .singly:
            for number in 0..<task.children {
                var options = Self.options(number)
                options.key = Self.key(number)
                try context.spawnChild(NoOperation.Work(number: UInt32(number)), options: options)
            }
        case .groups, .keys, .all:
            let parts = task.shape.hasGroups ? 32 : 1
            for part in 0..<parts {
                let numbers = (task.children * part / parts)..<(task.children * (part + 1) / parts)
                try context.spawnChildren(
                    numbers.lazy.map { NoOperation.Work(number: UInt32($0)) },
                    options: task.shape.hasGroups ? Self.options(part) : TaskOptions(),
                    key: task.shape.hasKeys ? { Self.key(Int($0.number)) } : nil)
            }
        }
        return NoHandover()
    }

    private static func options(_ number: Int) -> TaskOptions {
        TaskOptions(priority: UInt8(100 + number % 4), group: "group-\(number / 4 % 8)")
    }

    private static func key(_ number: Int) -> String { "/srv/data/\(number)" }

    func finalize(_ task: Work, handover: NoHandover, in context: FinalizeContext) async throws -> Work.Memo {
        whenFinalizing()
        var memo = Work.Memo(sum: 0)
        let duration = try timed {
            memo = try context.reduceMemos(of: NoOperation.Work.self, into: memo) { $0.sum += $1.discovered }
        }
        whenFinalized(duration)
        return memo
    }
}
