// SPDX-License-Identifier: Apache-2.0

/// When the writer thread has something to do by itself.
struct WriterDeadlines: Sendable {
    /// The oldest commit of an interval level must be on disk. It goes before what waits.
    var sync: MonotonicTime?
    /// The log's last batch gets a frame that vouches for it, if nothing else comes first.
    var vouch: MonotonicTime?

    var next: MonotonicTime? {
        guard let sync, let vouch else { return sync ?? vouch }
        return min(sync, vouch)
    }
}
