// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Passes the store's events on to the scheduler, without keeping it alive.
final class CommitRelay: CommitObserver {
    private weak let core: SchedulerCore?

    init(_ core: SchedulerCore) { self.core = core }

    func storeDidCommit(_ changes: CommitChanges) { core?.storeDidCommit(changes) }
    func storeDidFail(_ error: StoreError) { core?.storeFailed(error) }
}
