// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What the store keeps of a task's options, beside priority and key: bytes that it does not look into.
///
/// | tag | value |
/// |---|---|
/// | 1 | tags: for each length and bytes, sorted, none twice |
/// | 2 | group: its bytes |
/// | 3 | trace context: for each field length and bytes of its name and of its value |
/// | 4 | not before: milliseconds since 1970, signed, 8 bytes |
/// | 5 | the tick of a schedule that spawned it: as 4 |
/// | 6 | delay after submission: milliseconds |
/// | 7 | bytes that it is expected to read, and to write |
/// | 8 | time to live: basis, 1 byte; milliseconds |
/// | 10 | dependencies: policies, 1 byte; for each the ids of task and parent |
/// | 12 | of the ended task that this one redrives: its id, its parent's, the commit position of its outcome |
/// | 13 | of the children that it keeps of that one, how many completed |
/// | 14 | retry: attempts, first delay and cap in nanoseconds, jitter, growth, 1 byte, factor |
/// | 16 | dependencies of a task of a graph: policies, 1 byte; for each how far its id is below that of the run |
///
/// Each is the tag, a length and so many bytes; tags grow. Numbers are variable-length integers (LEB128),
/// jitter and factor the 8 bytes of a floating-point number, all little-endian. The low four bits of policies are what
/// a failure means, the high ones what a cancel means, 0 for the same. So equal attributes have equal bytes,
/// which lets the tasks of a run share them.
///
/// A reader that does not know a tag leaves it out when its number is odd. When it is even, the task must not run as if
/// it were not there: the scheduler then holds the task, as it does with types that it does not know.
struct TaskAttributes: Sendable, Equatable {
    struct TraceField: Sendable, Equatable {
        var name: String
        var value: String
    }

    /// Sorted by their bytes, none twice.
    var tags: [String] = []
    var group: String?
    var traceContext: [TraceField] = []
    var start: TaskStart?
    /// The time that a schedule spawned it for.
    var scheduledFor: Timestamp?
    var timeToLive: TimeToLive?
    var dependencies: [TaskDependency] = []
    /// Dependencies among the tasks of a graph, by how far their ids are below that of the first task of the run, and
    /// below the same parent: ids that are not known when this is written.
    var backward: [UInt64] = []
    var onDependencyFailure = DependencyPolicy.fail
    /// Nil for the same.
    var onDependencyCancel: DependencyPolicy?
    /// The ended task whose failed children this one runs again.
    var redrives: RedrivenTask?
    /// How many children that completed it keeps of that one.
    var kept: UInt64 = 0
    var retry: RetryPolicy?
    var expectedIO: IOEstimate?

    init() {}

    /// What is durable of options.
    ///
    /// - Throws: `invalidOptions` for names that are empty or too long.
    init(_ options: TaskOptions) throws(SchedulerError) {
        tags = Self.sorted(options.tags)
        group = options.group
        start = options.start
        timeToLive = options.timeToLive
        dependencies = options.dependencies
        if !dependencies.isEmpty { use(policiesOf: options) }
        retry = options.retry
        expectedIO = options.expectedIO
        for name in tags + (group.map { [$0] } ?? []) where !Self.isName(name) {
            throw SchedulerError(.invalidOptions, "\"\(name.prefix(40))\" is empty or longer than 255 bytes")
        }
    }

    /// Has the task of a graph wait for others of it.
    mutating func depend(backward distances: [UInt64], as options: TaskOptions) {
        backward = distances
        use(policiesOf: options)
    }

    /// What is to happen when a dependency did not complete.
    private mutating func use(policiesOf options: TaskOptions) {
        onDependencyFailure = options.onDependencyFailure ?? .fail
        if options.onDependencyCancel != onDependencyFailure { onDependencyCancel = options.onDependencyCancel }
    }

    static func isName(_ text: String) -> Bool { (1...255).contains(text.utf8.count) }

    /// Sorted by their bytes, not by what looks alike.
    private static func sorted(_ tags: [String]) -> [String] {
        if tags.count < 2 { return tags }
        var result: [String] = []
        for tag in tags.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) })
        where result.last.map({ !$0.utf8.elementsEqual(tag.utf8) }) ?? true { result.append(tag) }
        return result
    }

    enum Tag {
        static let tags: UInt64 = 1
        static let group: UInt64 = 2
        static let traceContext: UInt64 = 3
        static let notBefore: UInt64 = 4
        static let scheduledFor: UInt64 = 5
        static let delay: UInt64 = 6
        static let expectedIO: UInt64 = 7
        static let timeToLive: UInt64 = 8
        static let dependencies: UInt64 = 10
        static let redrives: UInt64 = 12
        static let kept: UInt64 = 13
        static let retry: UInt64 = 14
        static let backward: UInt64 = 16
    }
}
