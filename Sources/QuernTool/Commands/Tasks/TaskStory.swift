// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore

/// What `quern show` tells of a task.
struct TaskStory {
    struct Ancestor {
        var id: TaskID
        /// Nil when it is in nothing that can be read.
        var type: String?
    }

    /// How the bytes that a task ended with, or keeps, came to be.
    enum Value {
        case memo([UInt8])
        case error([UInt8])
    }

    let id: TaskID
    private(set) var state = TaskState.pending
    private(set) var parent = TaskID.none
    /// From the parent up to the root task.
    private(set) var ancestors: [Ancestor] = []
    private(set) var type = ""
    private(set) var options: StoredOptions?
    private(set) var priority: UInt8?
    private(set) var attempts: UInt32 = 0
    private(set) var crashes: UInt8 = 0
    private(set) var phase: UInt8?
    private(set) var key: TaskKey?
    private(set) var sequence: UInt64?
    private(set) var times: [(name: StaticString, label: String, time: Timestamp)] = []
    private(set) var payload: [UInt8]?
    private(set) var value: Value?
    private(set) var handoverBytes: Int?
    private(set) var slots: [UInt8] = []
    private(set) var liveChildren: UInt64?
    private(set) var counts = OutcomeCounts()
    private(set) var firstFailure = TaskID.none
    /// What could not be read.
    private(set) var problems: [String] = []

    init(id: TaskID) { self.id = id }

    // MARK: Finding out

    mutating func tellLive(in store: OfflineStore, now: Timestamp) {
        guard let run = store.run(of: id) else { return }
        var view = LiveView(store, now: now)
        options = view.options(of: run)
        if options == nil { problems.append("the options of task \(id) are in a form that this version does not know") }
        state = view.state(of: id, in: run, options)
        parent = run.parent
        type = TypeNames(store)[run.label]
        priority = view.priority(of: id, in: run)
        attempts = view.attempts(of: id)
        let detail = store.detail(of: id)
        crashes = detail?.crashes ?? 0
        phase = detail?.phase
        key = store.key(of: id)
        times.append(("submitted_ms", "submitted", run.submittedAt))
        if let time = view.notBefore(id, options) { times.append(("not_before_ms", "not before", time)) }
        if let time = options?.deadline { times.append(("deadline_ms", "deadline", time)) }
        slots = store.slots(of: id)
        do throws(StoreError) { payload = try store.payload(of: id) } catch { problems.append("\(error)") }
        if let error = kept(StoredSlots.lastError, in: store) { value = .error(error) }
        handoverBytes = kept(0, in: store)?.count
    }

    private mutating func kept(_ slot: UInt8, in store: OfflineStore) -> [UInt8]? {
        do throws(StoreError) { return try store.kept(by: id, slot: slot) } catch {
            problems.append("\(error)")
            return nil
        }
    }

    mutating func tellEnded(_ place: OfflineStore.EndedPlace, in store: OfflineStore) {
        let (block, index) = (place.block, place.index)
        let kind = block.kind(at: index)
        state = .ended(kind)
        parent = place.parent
        type = TypeNames(store)[block.label(at: index)]
        attempts = block.attempts(at: index)
        sequence = block.sequence(at: index)
        times.append(("started_ms", "started", block.startedAt(at: index)))
        times.append(("ended_ms", "ended", block.endedAt(at: index)))
        let bytes = block.withValue(at: index) { value in value.withUnsafeBytes { Array($0) } }
        value = kind == .completed ? .memo(bytes) : .error(bytes)
        let remains = block.withAttachment(at: index) { bytes in bytes.withUnsafeBytes { StoredRemains(Array($0)) } }
        guard let remains else { return }
        options = remains.options
        priority = remains.priority
        key = remains.key
        payload = remains.payload
    }

    mutating func tellChildren(in store: OfflineStore) {
        if let status = store.status(of: id) {
            liveChildren = status.liveChildren
            counts = status.counts
            firstFailure = status.firstFailure
        } else {
            counts = store.children(of: id).counts
        }
    }

    /// - Parameter find: looks for an ended task.
    mutating func tellAncestors(in store: OfflineStore, _ find: (TaskID) -> OfflineStore.EndedPlace?) {
        let names = TypeNames(store)
        var above = self.parent
        while above != .none {
            let run = store.run(of: above)
            let place = run == nil ? find(above) : nil
            let label = run?.label ?? place.map { $0.block.label(at: $0.index) }
            ancestors.append(Ancestor(id: above, type: label.map { names[$0] }))
            guard let next = run?.parent ?? place?.parent, next < above else { return }
            above = next
        }
    }
}
