// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// What the writer and all callers share.
final class StoreShared: Sendable {
    struct Observer: Sendable {
        weak var value: (any CommitObserver)?
    }

    let files: StoreFiles
    /// Changed by the writer alone and read under the lock.
    let committed: Mutex<Committed>
    let queue = Monitor(CommitQueue())
    let bodies: LogBodies
    let observer = Mutex(Observer())
    let throttle = Throttle()
    /// Why background work failed the last time that it did.
    let housekeepingFailure = Mutex<StoreError?>(nil)
    /// Files in which background work found damage, and what it found. It leaves them alone and goes on with the rest.
    let damage = Mutex<[FilePath: StoreError]>([:])

    init(files: StoreFiles, state: StoreState, index: MemoIndex, bodies: LogBodies) {
        self.files = files
        committed = Mutex(Committed(state: state, index: index))
        self.bodies = bodies
    }

    /// Looks something up in the files of the index, without the lock: commits wait for that, so that `take` gets
    /// references alone. A compaction may remove a file between the two; then it looks again.
    func lookUp<Places, Value>(
        _ take: (Committed) -> Places, _ body: (Places) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        while true {
            let (places, replacements) = committed.withLock { (take($0), $0.index.replacements) }
            do throws(StoreError) { return try body(places) } catch {
                guard committed.withLock({ $0.index.replacements }) != replacements else { throw error }
            }
        }
    }

    /// Looks something up as ``lookUp(_:_:)`` does, beside what is damaged: such a file is set aside, and `body` is
    /// called anew, which leaves out what it cannot read of files that are set aside.
    func lookUpBesideDamage<Places, Value>(
        _ take: (Committed) -> Places,
        _ body: (Places, _ setAside: Set<FilePath>) throws(StoreError) -> Value
    ) throws(StoreError) -> Value {
        while true {
            let setAside = setAside
            do throws(StoreError) {
                return try lookUp(take) { (places) throws(StoreError) in try body(places, setAside) }
            } catch {
                guard error.code == .damaged, let file = error.file, !setAside.contains(file) else { throw error }
                note(damage: error)
            }
        }
    }

    /// Files that are known to be damaged.
    var setAside: Set<FilePath> { damage.withLock { Set($0.keys) } }

    /// Sets a file aside, when that is what the error is about.
    func note(damage error: StoreError) {
        if error.code == .damaged, let file = error.file { damage.withLock { $0[file] = error } }
    }

    /// What is known to be damaged of the sealed index, in the oldest segment of which that holds.
    var standingDamage: StoreError? {
        let sealed = committed.withLock { $0.index.sealed }
        let damage = damage.withLock { $0 }
        return sealed.lazy.compactMap { damage[$0.file.path] }.first
    }

    /// The observer as a strong reference.
    var currentObserver: (any CommitObserver)? { observer.withLock { $0.value } }
}
