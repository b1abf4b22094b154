// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore

/// One kind of task in three programs: as it was, renamed, and in another form.
private enum Letter {
    struct First: DurableTask {
        static let type: TaskType = "post.letter"
        var text: String
        struct Memo: CodableMemo, Equatable { var text: String }
    }

    struct Renamed: DurableTask {
        static let type: TaskType = "mail.letter"
        static let aliases: [TaskType] = ["post.letter"]
        var text: String
        typealias Memo = First.Memo
    }

    struct Third: DurableTask {
        static let type: TaskType = "mail.letter"
        static let aliases: [TaskType] = ["post.letter"]
        static let payloadVersion: UInt32 = 3
        var words: [String]
        typealias Memo = First.Memo

        static func migrate(payload: RawSpan, from version: UInt32) throws -> Third {
            guard version == 0 else { throw Trouble("version \(version)") }
            return Third(words: try First.decodePayload(payload).text.split(separator: " ").map(String.init))
        }
    }
}

/// A handler of whatever type, as a closure.
struct ClosureHandler<Work: DurableTask>: TaskHandler {
    var body: @Sendable (Work, TaskContext) async throws -> Work.Memo
    init(_ type: Work.Type, _ body: @escaping @Sendable (Work, TaskContext) async throws -> Work.Memo) {
        self.body = body
    }
    func execute(_ task: Work, in context: TaskContext) async throws -> Work.Memo { try await body(task, context) }
}

@Suite("Types: names, versions, aliases", .timeLimit(.minutes(15)))
struct TypeTests {
    private let files = SimulatedFileSystem()

    /// Leaves a store behind with tasks of one type that nobody has run.
    @discardableResult
    private func leave<Work: DurableTask>(_ tasks: [Work], key: ((Work) -> String?)? = nil) async throws -> [TaskID] {
        let scheduler = try await idleScheduler(files) {
            $0.register(ClosureHandler(Work.self) { _, _ in throw Trouble("") })
        }
        let ids = try await scheduler.submit(contentsOf: tasks, key: key).map(\.id)
        try await scheduler.close()
        return ids
    }

    @Test(
        "A label is the type's name, and the version behind it unless that is 0",
        arguments: [
            ("a", "a", 0), ("a#3", "a", 3), ("a#4294967295", "a", 4_294_967_295), ("a#0", "a#0", 0),
            ("a#03", "a#03", 0),
            ("#3", "#3", 0), ("a#", "a#", 0), ("a#b", "a#b", 0), ("a#4294967296", "a#4294967296", 0), ("é#1", "é", 1),
        ] as [(String, String, UInt32)])
    func labels(name: String, type: String, version: UInt32) {
        let label = TypeLabel(name: name)
        #expect(label.type.name == type && label.version == version && label.name == name)
    }

    @Test("What waits under a former name runs under the new one, with its key, and counts as the new type's")
    func alias() async throws {
        let ids = try await leave([Letter.First(text: "a"), Letter.First(text: "b")]) { $0.text }
        try await withScheduler(files) {
            $0.register(ClosureHandler(Letter.Renamed.self) { task, _ in Letter.First.Memo(text: task.text + "!") })
        } _: { scheduler in
            var texts: [String] = []
            for id in ids {
                texts.append(try await scheduler.handle(for: id, of: Letter.Renamed.self).memo().text)
            }
            #expect(texts == ["a!", "b!"])
            #expect(scheduler.heldTypes.isEmpty)
        }
    }

    @Test(
        "T16: a pause holds a type under all its names, and either resumes it for good",
        arguments: [Letter.First.type, Letter.Renamed.type])
    func pauses(name: TaskType) async throws {
        let first = try await idleScheduler(files) {
            $0.register(ClosureHandler(Letter.First.self) { _, _ in throw Trouble("") })
        }
        try await first.pause(.type(Letter.First.type))
        let id = try await first.submit(Letter.First(text: "a")).id
        try await first.close()
        for isPaused in [true, false] {
            let test = try await TestScheduler(files: files) {
                $0.register(ClosureHandler(Letter.Renamed.self) { task, _ in Letter.First.Memo(text: task.text) })
            }
            await test.runUntilIdle()
            #expect(test.scheduler.core.store.isLive(id) == isPaused)
            let pauses = [Pause(scope: .type(Letter.Renamed.type), end: Timestamp(milliseconds: .max))]
            #expect(test.scheduler.pauses == (isPaused ? pauses : []))
            try await test.scheduler.pause(.type(Letter.Renamed.type))
            try await test.scheduler.pause(.type(name))
            #expect(test.scheduler.pauses == pauses)
            try await test.scheduler.resume(.type(name))
            #expect(test.scheduler.pauses.isEmpty)
            await test.runUntilIdle()
            #expect(!test.scheduler.core.store.isLive(id))
            try await test.stop()
        }
    }

    @Test("Keys are taken whatever the version and name that their tasks were submitted with")
    func keysOfOtherVersions() async throws {
        try await leave([Letter.First(text: "a b")]) { $0.text }
        let scheduler = try await idleScheduler(files) {
            $0.register(ClosureHandler(Letter.Third.self) { task, _ in Letter.First.Memo(text: "\(task.words)") })
        }
        let handle = try await scheduler.submit(Letter.Third(words: []), options: TaskOptions(key: "a b"))
        #expect(handle.submission == .duplicate)
        #expect(try await handle.task().words == ["a", "b"])
        #expect(try scheduler.handle(forKey: "a b", of: Letter.Third.self)?.id == handle.id)
        #expect(try scheduler.handle(forKey: "a", of: Letter.Third.self) == nil)
        try await scheduler.close()
    }

    @Test("A payload of an earlier version is migrated, one that cannot be fails its task")
    func migration() async throws {
        let ids = try await leave([Letter.First(text: "to whom it may concern")])
        let (memo, again) = try await withScheduler(files) {
            $0.register(
                ClosureHandler(Letter.Third.self) { task, _ in
                    Letter.First.Memo(text: task.words.joined(separator: "+"))
                })
        } _: { scheduler in
            let old = scheduler.handle(for: ids[0], of: Letter.Third.self)
            let new = try await scheduler.submit(Letter.Third(words: ["x", "y"]))
            return (try await old.memo(), try await new.memo())
        }
        #expect(memo.text == "to+whom+it+may+concern" && again.text == "x+y")
    }

    @Test("A parent streams the memos of children of all its child type's versions and names")
    func childrenOfVersions() async throws {
        struct Sorter: OrchestratorHandler {
            func execute(_ task: Plan, in context: TaskContext) async throws -> NoHandover {
                try context.spawnChild(Letter.First(text: "early"))
                return NoHandover()
            }
            func finalize(_ task: Plan, handover: NoHandover, in context: FinalizeContext) async throws -> Plan.Memo {
                var memo = Plan.Memo()
                for try await letter in context.childMemos(of: Letter.Renamed.self) { memo.note += letter.text }
                try context.forEachMemo(of: Letter.Renamed.self) { memo.note += $0.text }
                for try await child in context.children(of: Letter.Renamed.self) { memo.note += "\(child.kind)" }
                return memo
            }
        }
        let gate = Gate()
        let plan = try await withScheduler(files) {
            $0.register(
                ClosureHandler(Letter.First.self) { task, _ in
                    await gate.pass()
                    return Letter.First.Memo(text: task.text)
                })
            $0.register(Sorter())
        } _: { scheduler in
            let plan = try await scheduler.submit(Plan(children: 1))
            try await eventually { scheduler.progress(of: plan.id)?.isExecuted == true }
            try await scheduler.pause(.type(Plan.type))
            gate.open()
            try await eventually { scheduler.progress(of: plan.id)?.counts.completed == 1 }
            return plan.id
        }
        let memo = try await withScheduler(files) {
            $0.register(ClosureHandler(Letter.Renamed.self) { _, _ in throw Trouble("not to be run") })
            $0.register(Sorter())
        } _: {
            try await $0.resume(.type(Plan.type))
            return try await $0.handle(for: plan, of: Plan.self).memo()
        }
        #expect(memo.note == "earlyearlycompleted")
    }

    @Test("Types that no handler is registered for are held, told with their counts, and run when there is one")
    func held() async throws {
        try await leave([Letter.Third(words: ["a"]), Letter.Third(words: ["b"])])
        let older = try await idleScheduler(files) {
            $0.register(ClosureHandler(Letter.Renamed.self) { _, _ in throw Trouble("") })
            $0.register(StepHandler())
        }
        #expect(older.heldTypes == [HeldType(name: "mail.letter#3", count: 2)])
        #expect(older.statistics.held == 2)
        try await older.close()
        let newer = try await idleScheduler(files) {
            $0.register(ClosureHandler(Letter.Third.self) { _, _ in throw Trouble("") })
        }
        #expect(newer.heldTypes.isEmpty && newer.statistics.ready == 2)
        try await newer.close()
    }

    @Test("A name that two types claim, or that is too long or has a version in it, is refused")
    func refusals() async throws {
        struct Numbered: DurableTask {
            static let type: TaskType = "a#3"
            typealias Memo = NoMemo
        }
        struct Longest: DurableTask {
            static let type = TaskType(String(repeating: "a", count: 255))
            typealias Memo = NoMemo
        }
        struct Longer: DurableTask {
            static let type = TaskType(String(repeating: "a", count: 256))
            typealias Memo = NoMemo
        }
        func code(_ register: (inout Registry) throws -> Void) async -> SchedulerError.Code? {
            do {
                try await idleScheduler(files, register).close()
                return nil
            } catch { return (error as? SchedulerError)?.code }
        }
        #expect(await code { $0.register(ClosureHandler(Numbered.self) { _, _ in NoMemo() }) } == .invalidTypeName)
        #expect(await code { $0.register(ClosureHandler(Longer.self) { _, _ in NoMemo() }) } == .invalidTypeName)
        #expect(await code { $0.register(ClosureHandler(Longest.self) { _, _ in NoMemo() }) } == nil)
        #expect(
            await code {
                $0.register(ClosureHandler(Letter.First.self) { _, _ in throw Trouble("") })
                $0.register(ClosureHandler(Letter.Renamed.self) { _, _ in throw Trouble("") })
            } == .alreadyRegistered)
    }
}
