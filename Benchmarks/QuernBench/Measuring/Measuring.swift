// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// What all benchmarks are told in the same words.
struct MeasuringOptions: ParsableArguments {
    @Option(name: .customLong("repeat"), help: "How often each figure is measured.")
    var repetitions = 5

    @Flag(help: "Print a line of JSON a figure instead of the table.")
    var json = false

    func validate() throws {
        guard repetitions > 0 else { throw ValidationError("--repeat is at least 1") }
    }
}

/// Runs `body` and says how long it took.
func timed<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) -> Duration {
    let start = ContinuousClock.now
    try body()
    return ContinuousClock.now - start
}

/// As the other, for asynchronous work.
func timedAsynchronously<Failure: Error>(_ body: () async throws(Failure) -> Void) async throws(Failure) -> Duration {
    let start = ContinuousClock.now
    try await body()
    return ContinuousClock.now - start
}

/// Keeps the optimizer from leaving out work whose result nobody reads. Not optimized itself: that it ignores its
/// argument would be seen from outside.
@inline(never) @_optimize(none)
func keep<Value>(_ value: Value) {}
