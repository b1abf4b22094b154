// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Testing

@testable import Quern

@Suite("Definitions: memos, failures, types")
struct DefinitionTests {
    private func stored(_ failure: FailureInfo) -> FailureInfo {
        var writer = ByteWriter()
        failure.encode(into: &writer)
        return FailureInfo(decoding: writer.bytes)
    }

    @Test("A failure comes back as it was stored")
    func failureRoundTrip() {
        for failure in [
            FailureInfo(reason: "permission denied", detail: "/a"), FailureInfo(reason: ""),
            FailureInfo(reason: "ü", detail: ""), FailureInfo(reason: "", detail: "only detail"),
        ] { #expect(stored(failure) == failure) }
        #expect(FailureInfo(decoding: []) == FailureInfo(reason: ""))
    }

    @Test("Long reasons and details are cut at a character's border")
    func failureLimits() {
        let long = stored(
            FailureInfo(
                reason: String(repeating: "ü", count: 600), detail: String(repeating: "👨‍👩‍👧", count: 1000)))
        #expect(long.reason == String(repeating: "ü", count: 512))
        #expect(long.detail.utf8.count <= 4096)
        #expect(long.detail.allSatisfy { $0 == "👨‍👩‍👧" })
    }

    @Test("Bytes that are no failure say so")
    func hostileFailure() {
        #expect(FailureInfo(decoding: [200]).reason == "unreadable error")
        #expect(FailureInfo(decoding: [0xFF, 0xFF, 0xFF, 1]).reason == "unreadable error")
        #expect(FailureInfo(decoding: [2, 0xFF, 0xFE]).reason.count == 2)
    }

    @Test("Errors describe themselves, or by their type")
    func describing() {
        let permanent = FailureInfo(describing: PermanentError(reason: "no such volume", detail: "x"))
        #expect(permanent == FailureInfo(reason: "no such volume", detail: "x"))
        #expect(FailureInfo(describing: Trouble("dust")) == FailureInfo(reason: "Trouble", detail: "dust"))
    }

    @Test("A fixed layout is its bytes, and refuses another length")
    func fixedLayout() throws {
        var writer = ByteWriter()
        Step.Memo(value: -2).encodeMemo(into: &writer)
        #expect(writer.bytes == [0xFE, 255, 255, 255, 255, 255, 255, 255])
        #expect(try Step.Memo.decodeMemo(writer.bytes.span.bytes) == Step.Memo(value: -2))
        let short: [UInt8] = [1, 2, 3]
        #expect(throws: FixedLayoutError(expected: 8, found: 3)) { try Step.Memo.decodeMemo(short.span.bytes) }
    }

    @Test("A task of a fixed layout is its bytes, and refuses another length")
    func fixedLayoutTask() throws {
        struct Tile: FixedLayoutTask, Equatable {
            static let type: TaskType = "test.tile"
            var x: UInt32
            var y: UInt16
            var zoom: UInt16
            typealias Memo = NoMemo
        }
        var writer = ByteWriter()
        try (Tile(x: 1, y: 2, zoom: 3) as any DurableTask).encodePayload(into: &writer)
        #expect(writer.bytes == [1, 0, 0, 0, 2, 0, 3, 0])
        #expect(try Tile.decodePayload(writer.bytes.span.bytes) == Tile(x: 1, y: 2, zoom: 3))
        let long = writer.bytes + [0]
        #expect(throws: FixedLayoutError(expected: 8, found: 9)) { try Tile.decodePayload(long.span.bytes) }
    }

    @Test(
        "Type names have 1 to 255 bytes",
        arguments: [
            ("", false), ("a", true), (String(repeating: "é", count: 127), true),
            (String(repeating: "é", count: 128), false),
        ])
    func typeNames(name: String, isValid: Bool) {
        #expect(TaskType(name).isValid == isValid)
    }
}

@Suite("RetryPolicy: how often and when (T15)")
struct RetryPolicyTests {
    private func delays(_ policy: RetryPolicy, _ attempts: UInt32...) -> [Duration] {
        attempts.map { policy.delay(afterAttempt: $0, of: TaskID(7)) }
    }

    @Test("Delays grow as the policy says, up to its cap")
    func growth() {
        #expect(delays(.constant(.seconds(3), attempts: 9), 1, 2, 8) == [.seconds(3), .seconds(3), .seconds(3)])
        #expect(
            delays(.linear(by: .seconds(2), attempts: 9, cap: .seconds(5)), 1, 2, 3, 100)
                == [.seconds(2), .seconds(4), .seconds(5), .seconds(5)])
        #expect(
            delays(.exponential(from: .seconds(1), factor: 3, attempts: 9, cap: .seconds(60), jitter: 0), 1, 2, 3, 4, 5)
                == [.seconds(1), .seconds(3), .seconds(9), .seconds(27), .seconds(60)])
    }

    @Test("Extremes stay within the cap and do not hang")
    func extremes() {
        let policy = RetryPolicy.exponential(from: .seconds(1_000_000), factor: 1e9, attempts: .max, jitter: 0)
        #expect(delays(policy, .max, 1000) == [RetryPolicy.longestDelay, RetryPolicy.longestDelay])
        #expect(delays(.exponential(from: .zero, factor: 1, attempts: 5), .max) == [.zero])
        #expect(delays(.constant(.seconds(-4), attempts: 5), 1) == [.zero])
    }

    @Test("Jitter shortens by at most its share, differs between tasks, and is the same each time")
    func jitter() {
        let policy = RetryPolicy.constant(.seconds(100), attempts: 5, jitter: 0.5)
        let some = (1...200).map { policy.delay(afterAttempt: 1, of: TaskID(UInt64($0))) }
        #expect(some.allSatisfy { $0 >= .seconds(50) && $0 <= .seconds(100) })
        #expect(Set(some).count > 150)
        #expect(some == (1...200).map { policy.delay(afterAttempt: 1, of: TaskID(UInt64($0))) })
    }

    struct Busy: DelaysRetry { var retryAfter: Duration }

    @Test("What follows from a failed attempt")
    func decisions() {
        let policy = RetryPolicy.constant(.seconds(1), attempts: 3)
        func decide(_ policy: RetryPolicy, _ error: any Error, _ attempts: UInt32) -> RetryPolicy.Decision {
            policy.decision(after: error, attempts: attempts, of: TaskID(1))
        }
        #expect(decide(.none, Trouble("x"), 1) == .fail)
        #expect(decide(policy, Trouble("x"), 1) == .retry(after: .seconds(1)))
        #expect(decide(policy, Trouble("x"), 2) == .retry(after: .seconds(1)))
        #expect(decide(policy, Trouble("x"), 3) == .deadLetter)
        #expect(decide(policy, PermanentError(reason: "x"), 1) == .fail)
        #expect(decide(policy, Busy(retryAfter: .seconds(9)), 1) == .retry(after: .seconds(9)))
        #expect(decide(policy, Busy(retryAfter: .seconds(9)), 3) == .deadLetter)
        #expect(decide(.none, Busy(retryAfter: .seconds(9)), 1) == .fail)
    }
}

@Suite("FailureSummary: many failures in a few lines")
struct FailureSummaryTests {
    private func summary(
        _ failures: [(String, String)], classes: Int = 10, samples: Int = 3, children: UInt64 = 238_000
    ) -> FailureSummary {
        var builder = FailureSummary.Builder(classes: classes, samplesPerClass: samples)
        for (reason, detail) in failures { builder.add(FailureInfo(reason: reason, detail: detail)) }
        return builder.finish(children: children)
    }

    @Test("One reason reads as a line")
    func oneReason() {
        let three = summary([("permission denied", "/a"), ("permission denied", "/b"), ("permission denied", "/c")])
        #expect(three.description == "3 of 238000 failed: permission denied: /a, /b, /c")
        #expect(summary([]).description == "0 of 238000 failed")
    }

    @Test("Reasons are sorted by count, the rest is counted")
    func severalReasons() {
        let failures = [
            ("rare", "r"), ("often", "1"), ("often", "2"), ("often", "3"), ("late", ""), ("twice", "x"), ("twice", "y"),
        ]
        let result = summary(failures, classes: 2, samples: 2)
        #expect(result.classes.map(\.reason) == ["often", "twice"])
        #expect(result.total == 7 && result.others == 2)
        #expect(result.description == "7 of 238000 failed: often (3): 1, 2, ...; twice (2): x, y; 2 others")
    }

    @Test("Memory is bounded however many reasons there are, and no failure is lost")
    func manyReasons() {
        let result = summary((0..<5000).map { ("reason \($0)", "") }, classes: 3)
        #expect(result.classes.map(\.reason) == ["reason 0", "reason 1", "reason 2"])
        #expect(result.others == 4997 && result.total == 5000)
    }
}
