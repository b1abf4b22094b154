// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// What the environment asks of random tests.
enum Soak {
    /// `QUERN_SEED`: which run to replay.
    static let seed = number("QUERN_SEED")
    /// `QUERN_SOAK_OPERATIONS`: how much to do; without it nothing is soaked.
    static let operations = number("QUERN_SOAK_OPERATIONS").map { Int(clamping: $0) }

    /// One store's life. A new store for each keeps the dictionaries small and varies the configuration.
    static let episode = 250

    /// Every eighth episode runs on the files of the operating system. The seed says so, so that it replays that too.
    static func files(_ seed: UInt64) -> ModelFiles.Kind { seed.isMultiple(of: 8) ? .real : .simulated }

    private static func number(_ name: String) -> UInt64? { getenv(name).flatMap { UInt64(String(cString: $0)) } }
}

/// `make soak`: as many operations as there is time for, in episodes with a seed and a store each.
@Suite("Soak", .enabled(if: Soak.operations != nil))
struct SoakTests {
    @Test("A store answers like a dictionary, a million operations long")
    func soak() async throws {
        let episodes = ((Soak.operations ?? 0) + Soak.episode - 1) / Soak.episode
        let first = Soak.seed ?? .random(in: 0...UInt64(UInt32.max))
        print("soak: \(episodes) episodes of \(Soak.episode) operations, QUERN_SEED=\(first)")
        try await withThrowingTaskGroup(of: Void.self) { group in
            var started = 0
            func startNext() {
                guard started < episodes else { return }
                let seed = first &+ UInt64(started)
                started += 1
                group.addTask { try await Self.run(seed) }
            }
            for _ in 0..<SystemThread.processorCount { startNext() }
            while try await group.next() != nil {
                startNext()
                if started.isMultiple(of: 100) { print("soak: \(started) episodes") }
            }
        }
    }

    private static func run(_ seed: UInt64) async throws {
        do {
            var model = try await StoreModel(seed: seed, on: Soak.files(seed))
            try await model.run(operations: Soak.episode)
        } catch {
            print("soak: replay with QUERN_SEED=\(seed) QUERN_SOAK_OPERATIONS=\(Soak.episode)")
            throw error
        }
    }
}
