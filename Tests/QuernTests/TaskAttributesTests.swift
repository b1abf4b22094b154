// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

@Suite("TaskAttributes: what of a task's options is durable")
struct TaskAttributesTests {
    private func decode(_ bytes: [UInt8]) throws(AttributeError) -> TaskAttributes {
        try TaskAttributes(decoding: bytes)
    }

    @Test("Whatever can be said comes back as it was, and equal attributes are equal bytes")
    func roundTrip() throws {
        for seed in 0..<3000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            let attributes = Self.random(using: &random)
            let bytes = try attributes.encoded()
            let decoded = try decode(bytes)
            #expect(decoded == attributes, "seed \(seed)")
            #expect(try decoded.encoded() == bytes, "seed \(seed)")
        }
    }

    @Test("More kept children than there can be are refused")
    func keptChildren() throws {
        var attributes = TaskAttributes()
        attributes.redrives = RedrivenTask(task: TaskID(1), parent: .none, sequence: 2)
        attributes.kept = Limits.number
        #expect(try decode(attributes.encoded()) == attributes)
        attributes.kept = Limits.number + 1
        let bytes = try attributes.encoded()
        #expect(throws: AttributeError.self) { try decode(bytes) }
    }

    @Test("What a task redrove ended before it: links that go in a circle end with an error")
    func redriveLinks() throws {
        for (sequence, isFine) in [(8, true), (9, false), (10, false)] as [(UInt64, Bool)] {
            var attributes = TaskAttributes()
            attributes.redrives = RedrivenTask(task: TaskID(1), parent: .none, sequence: sequence)
            var remains = TaskRemains(priority: 0)
            remains.attributes = try attributes.encoded()
            let found = try? remains.earlier(than: RedrivenTask(task: TaskID(1), parent: .none, sequence: 9))
            #expect(found == (isFine ? attributes.redrives : nil))
        }
    }

    @Test("Nothing is no bytes")
    func empty() throws {
        #expect(try TaskAttributes().encoded().isEmpty)
        #expect(try TaskAttributes(TaskOptions(key: "k", onDuplicate: .replace, priority: 3)).encoded().isEmpty)
        #expect(try decode([]) == TaskAttributes())
    }

    @Test("Bytes that are none are refused or make sense, and never trap")
    func hostile() throws {
        var accepted = 0
        for seed in 0..<20_000 as Range<UInt64> {
            var random = SeededGenerator(seed: seed)
            var bytes = try Self.random(using: &random).encoded()
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0 where !bytes.isEmpty:
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
                case 1: bytes.append(.random(in: 0...255, using: &random))
                case 2 where !bytes.isEmpty: bytes.removeLast(Int.random(in: 1...bytes.count, using: &random))
                default: bytes.insert(.random(in: 0...255, using: &random), at: 0)
                }
            }
            guard let decoded = try? decode(bytes) else { continue }
            accepted += 1
            guard let again = try? decoded.encoded() else { continue }
            #expect(try decode(again) == decoded, "seed \(seed)")
        }
        #expect(accepted > 100)
    }

    @Test("An unknown tag is left out when it is odd, and refused when it is even")
    func unknownTags() throws {
        let known = try TaskAttributes(TaskOptions(group: "g")).encoded()
        #expect(known == [2, 1, 103])
        #expect(try decode(known + [101, 2, 0, 0]).group == "g")
        #expect(throws: AttributeError.self) { try decode(known + [100, 2, 0, 0]) }
        #expect(throws: AttributeError.self, "tags grow") { try decode([101, 0] + known) }
        #expect(throws: AttributeError.self, "none comes twice") { try decode(known + known) }
    }

    @Test("Names are 1 to 255 bytes, and all options together 4 KiB")
    func limits() throws {
        func code(_ options: TaskOptions) -> SchedulerError.Code? {
            do {
                _ = try TaskAttributes(options).encoded()
                return nil
            } catch { return error.code }
        }
        let long = String(repeating: "é", count: 128)
        #expect(code(TaskOptions(group: "")) == .invalidOptions && code(TaskOptions(group: long)) == .invalidOptions)
        #expect(
            code(TaskOptions(tags: ["a", ""])) == .invalidOptions && code(TaskOptions(tags: [long])) == .invalidOptions)
        #expect(code(TaskOptions(group: String(long.dropLast()))) == nil)
        #expect(code(TaskOptions(tags: (0..<40).map { "\($0)" + long.dropLast(2) })) == .invalidOptions)
        #expect(code(TaskOptions(dependencies: (0..<200).map { TaskDependency(TaskID($0)) })) == nil)
    }

    @Test("Times are cut to what can be kept")
    func times() throws {
        func kept(_ options: TaskOptions) throws -> TaskAttributes { try decode(try TaskAttributes(options).encoded()) }
        #expect(try kept(TaskOptions(start: .after(.seconds(-5)))).start == .after(.zero))
        #expect(try kept(TaskOptions(start: .after(.microseconds(1)))).start == .after(.milliseconds(1)))
        let long = try kept(
            TaskOptions(start: .after(.seconds(Int64.max)), timeToLive: TimeToLive(.seconds(Int64.max))))
        #expect(long.start == .after(.century) && long.timeToLive?.duration == .century)
    }

    static func random(using random: inout SeededGenerator) -> TaskAttributes {
        var options = TaskOptions()
        func chance() -> Bool { Bool.random(using: &random) }
        if chance() {
            let shift = UInt64.random(in: 0...63, using: &random)
            options.expectedIO = IOEstimate(
                readBytes: .random(in: 0...UInt64.max >> shift, using: &random), writeBytes: random.next() >> shift)
        }
        func name() -> String {
            String(
                (0..<Int.random(in: 1...12, using: &random)).map { _ in "abc/=é👪".randomElement(using: &random) ?? "x" }
            )
        }
        func milliseconds() -> Duration { .milliseconds(Int64.random(in: 0...3_000_000_000_000, using: &random)) }
        func nanoseconds() -> Duration { .nanoseconds(Int64.random(in: 0...31_000_000_000_000_000, using: &random)) }
        if chance() { options.group = name() }
        if chance() { options.tags = (0..<Int.random(in: 0...5, using: &random)).map { _ in name() } }
        if chance() { options.start = .after(milliseconds()) }
        if chance() { options.start = .at(Timestamp(milliseconds: .random(in: .min ... .max, using: &random))) }
        if chance() {
            options.timeToLive = TimeToLive(milliseconds(), from: chance() ? .submission : .firstAttempt)
        }
        if chance() {
            options.dependencies = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                TaskDependency(
                    TaskID(.random(in: 0 ... .max, using: &random)), parent: TaskID(.random(in: 0...9, using: &random)))
            }
            options.onDependencyFailure = DependencyPolicy.allCases.randomElement(using: &random)
            if chance() { options.onDependencyCancel = DependencyPolicy.allCases.randomElement(using: &random) }
        }
        if chance() {
            let attempts = UInt32.random(in: 1 ... .max, using: &random)
            let jitter = Double.random(in: 0...1, using: &random)
            options.retry =
                switch Int.random(in: 0..<3, using: &random) {
                case 0: .constant(nanoseconds(), attempts: attempts, jitter: jitter)
                case 1: .linear(by: nanoseconds(), attempts: attempts, cap: nanoseconds(), jitter: jitter)
                default:
                    .exponential(
                        from: nanoseconds(), factor: .random(in: 1...9, using: &random), attempts: attempts,
                        cap: nanoseconds(), jitter: jitter)
                }
        }
        guard var attributes = try? TaskAttributes(options) else { return TaskAttributes() }
        if chance() {
            attributes.backward = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                .random(in: 0 ... .max, using: &random)
            }
        }
        if chance() {
            attributes.redrives = RedrivenTask(
                task: TaskID(.random(in: 1...1000, using: &random)),
                parent: TaskID(.random(in: 0...1000, using: &random)), sequence: .random(in: 1...1000, using: &random))
        }
        if chance() {
            attributes.traceContext = (0..<Int.random(in: 1...3, using: &random)).map { _ in
                TaskAttributes.TraceField(name: name(), value: name())
            }
        }
        return attributes
    }
}
