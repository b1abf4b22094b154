// SPDX-License-Identifier: Apache-2.0
import Synchronization

/// What the writer thread and all callers share.
final class StoreShared: Sendable {
    struct Observer: Sendable {
        weak var value: (any CommitObserver)?
    }

    let files: StoreFiles
    /// Changed by the writer thread alone and read under the lock.
    let committed: Mutex<Committed>
    let queue = Monitor(CommitQueue())
    let bodies: LogBodies
    let observer = Mutex(Observer())
    let throttle = Throttle()
    /// Why background work failed the last time that it did.
    let housekeepingFailure = Mutex<StoreError?>(nil)

    init(files: StoreFiles, state: StoreState, index: MemoIndex, bodies: LogBodies) {
        self.files = files
        committed = Mutex(Committed(state: state, index: index))
        self.bodies = bodies
    }

    /// The observer as a strong reference.
    var currentObserver: (any CommitObserver)? { observer.withLock { $0.value } }
}
