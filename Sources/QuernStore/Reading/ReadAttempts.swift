// SPDX-License-Identifier: Apache-2.0

/// Whether to believe what was read of files that a writer may have changed under way (F27).
///
/// | what was read | meanwhile | decision |
/// |---|---|---|
/// | everything | no new checkpoint | believe |
/// | everything | a new checkpoint, the third or a later one of this call | believe |
/// | everything | a new checkpoint | again: what the old one leads to may have been removed in part |
/// | an error | the same error came before, under the same checkpoint | believe |
/// | an error | anything else | again, but not for ever: then the store has changed |
///
/// The third checkpoint was begun after the call, so that it shows what was committed before it.
/// A frame that is seen half written, and a file that vanishes, make an error that does not come twice.
struct ReadAttempts {
    static let limit = 16

    /// Of a checkpoint, as all generations here: its number.
    private var firstGeneration: UInt64?
    private var failures = 0
    private var lastFailure: (generation: UInt64?, error: StoreError)?

    /// An attempt begins with this checkpoint.
    mutating func begin(generation: UInt64) {
        firstGeneration = firstGeneration ?? generation
    }

    /// Whether to believe an attempt that read everything, after which the newest checkpoint was `newest`.
    func believes(generation: UInt64, newest: UInt64) -> Bool {
        guard generation != newest, let firstGeneration else { return true }
        return generation > firstGeneration && generation - firstGeneration >= 2
    }

    /// What to throw after an attempt that failed, or nil to try again.
    ///
    /// - Parameter generation: of the checkpoint; nil when the manifest could not be read.
    mutating func failure(_ error: StoreError, generation: UInt64?) -> StoreError? {
        if let lastFailure, lastFailure.generation == generation, lastFailure.error == error { return error }
        lastFailure = (generation, error)
        failures += 1
        guard failures >= Self.limit else { return nil }
        return StoreError(
            .storeChanged, "the files changed at each of \(failures) attempts to read them: \(error.message)",
            file: error.file, offset: error.offset, cause: error.cause)
    }
}
