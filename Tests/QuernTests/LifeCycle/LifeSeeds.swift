// SPDX-License-Identifier: Apache-2.0
import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// The seeds that a suite of lives runs, from one at random: a variable of the suite's says how many, and `QUERN_SEED`
/// replays one.
struct LifeSeeds {
    static let steps = Array(0..<60)

    private let name: String
    private let first: UInt64
    private let count: Int
    /// Whether more are run than in the suite, so that it tells how far it is.
    let isLong: Bool

    /// - Parameter usual: how many to run when nobody asks for anything.
    init(_ name: String, count variable: String, usual: Int) {
        let seed = Self.text("QUERN_SEED").flatMap { UInt64($0) }
        let wanted = Self.text(variable).flatMap { Int($0) }
        self.name = name
        isLong = wanted != nil
        count = wanted ?? (seed == nil ? usual : 1)
        first = seed ?? .random(in: 0...UInt64(UInt32.max))
    }

    static func text(_ variable: String) -> String? { getenv(variable).map { String(cString: $0) } }

    /// Runs them, as many at a time as there are processors.
    func run(_ body: @escaping @Sendable (UInt64) async -> Void) async {
        print("\(name): \(count) lives of \(Self.steps.count) steps, QUERN_SEED=\(first)")
        await withTaskGroup(of: Void.self) { group in
            var started = 0
            func startNext() {
                guard started < count else { return }
                let seed = first &+ UInt64(started)
                started += 1
                group.addTask { await body(seed) }
            }
            for _ in 0..<SystemThread.processorCount { startNext() }
            while await group.next() != nil {
                startNext()
                if isLong, started.isMultiple(of: 500) { print("\(name): \(started) lives") }
            }
        }
    }
}
