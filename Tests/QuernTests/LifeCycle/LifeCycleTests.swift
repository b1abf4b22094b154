// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Testing

@testable import Quern
@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the environment asks of the lives.
private enum Lives {
    /// `QUERN_SEED`: which one to replay.
    static let seed = number("QUERN_SEED")
    /// `QUERN_LIFE_SEEDS`: how many to live.
    static let count = number("QUERN_LIFE_SEEDS").map { Int(clamping: $0) }
    static let steps = 60

    private static func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }
}

/// The whole life cycle of tasks against a reference: the real scheduler on the real store in simulated files, moved by
/// random operations, steps of the clock and crashes. `QUERN_SEED` replays a failure, and `make life` lives thousands.
@Suite("The life cycle of tasks against a model (T1 to T17, S3, S11)", .timeLimit(.minutes(60)))
struct LifeCycleTests {
    @Test("Whatever is asked and whenever the process dies, each task ends once, for a reason, with all below it")
    func lives() async throws {
        let count = Lives.count ?? (Lives.seed == nil ? 60 : 1)
        let first = Lives.seed ?? (Lives.count == nil ? 1 : .random(in: 0...UInt64(UInt32.max)))
        if Lives.count != nil { print("life: \(count) lives of \(Lives.steps) steps, QUERN_SEED=\(first)") }
        await withTaskGroup(of: Void.self) { group in
            var started = 0
            func startNext() {
                guard started < count else { return }
                let seed = first &+ UInt64(started)
                started += 1
                group.addTask { await Self.live(seed) }
            }
            for _ in 0..<SystemThread.processorCount { startNext() }
            while await group.next() != nil {
                startNext()
                if Lives.count != nil, started.isMultiple(of: 500) { print("life: \(started) lives") }
            }
        }
    }

    private static func live(_ seed: UInt64) async {
        do {
            var model = try await LifeModel(seed: seed)
            try await model.run(steps: Array(0..<Lives.steps))
        } catch { Issue.record("replay with QUERN_SEED=\(seed): \(error)") }
    }
}
