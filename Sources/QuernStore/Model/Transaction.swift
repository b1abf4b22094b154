// SPDX-License-Identifier: Apache-2.0

/// What one call commits, whole or not at all (T6): tasks spawned, tasks ended, and notes on live tasks.
///
/// Fill one with as many operations as belong together; the store writes them as a few columns, so that an
/// operation costs bytes and not allocations.
///
/// ```swift
/// var transaction = Transaction()
/// transaction.spawn(under: parent, label: label, at: now) { $0.append(contentsOf: payload) }
/// transaction.end(.init(task: child, parent: parent, label: label, kind: .completed, endedAt: now)) { ... }
/// let commit = try await store.append(transaction)
/// ```
public struct Transaction: Sendable {
    /// Consecutive spawns that differ only in their payload.
    struct SpawnGroup: Sendable, Equatable {
        var parent: TaskID
        var label: Label
        var priority: UInt8
        var attributes: [UInt8]
        /// Nil when its tasks have no keys.
        var policy: DuplicatePolicy?
        var submittedAt: Timestamp
        var count: Int

        /// Most tasks have none.
        func hasAttributes(_ other: [UInt8]) -> Bool {
            attributes.count == other.count && (other.isEmpty || attributes == other)
        }
    }

    /// The facts of an outcome, without its memo or error.
    public struct Outcome: Sendable, BitwiseCopyable {
        /// The task that ends.
        public var task: TaskID
        /// Its parent, as it was spawned.
        public var parent: TaskID
        /// A label of the store, such as the one that it was spawned with.
        public var label: Label
        /// How it ended.
        public var kind: OutcomeKind
        /// How often the task was tried, this time included; 0 when it never ran.
        public var attempts: UInt32
        /// When its last attempt began.
        public var startedAt: Timestamp
        /// When it ended.
        public var endedAt: Timestamp

        /// The facts of an outcome; without `startedAt` it began when it ended.
        public init(
            task: TaskID, parent: TaskID, label: Label, kind: OutcomeKind, attempts: UInt32 = 1,
            startedAt: Timestamp? = nil, endedAt: Timestamp
        ) {
            self.task = task
            self.parent = parent
            self.label = label
            self.kind = kind
            self.attempts = attempts
            self.startedAt = startedAt ?? endedAt
            self.endedAt = endedAt
        }
    }

    /// What an outcome leaves for whoever runs its task again.
    struct Attachment: Sendable, Equatable {
        /// Its place among the outcomes.
        var outcome: Int
        var bytes: [UInt8]
    }

    /// A change of a live task that does not end it, or of what the store keeps beside its tasks.
    enum Note: Sendable, Equatable {
        case advance(TaskID, phase: UInt8, value: [UInt8])
        case keep(TaskID, slot: UInt8, value: [UInt8])
        case set(String, to: [UInt8]?)
        case attempt(TaskID, attempts: UInt32, notBefore: Timestamp, error: [UInt8])
        case cancel(TaskID, as: OutcomeKind)
        case priority(TaskID, UInt8)
        case crash(TaskID, count: UInt8)
        case define(String)
        case inFlight([TaskID])
        case commitStage(SpawnStage, tellsEach: Bool)
        case abortStage(UInt64)
        /// Writes the payloads of a run once more.
        case relocateSpawn(SpawnRun, lengths: [UInt32], payloads: [UInt8])
        /// Writes what is in a slot once more, unless it is no longer at its old place.
        case relocateKept(TaskID, slot: UInt8, from: LogPlace, value: [UInt8])
        /// Drops a tree whose root's row was found.
        case drop(DroppedTree, DropLookUp)
    }

    var spawnGroups: [SpawnGroup] = []
    var payloadLengths: [UInt32] = []
    var payloads = ByteWriter()
    /// Of the groups that have a policy, one a task.
    var keys: [TaskKey] = []
    /// Bytes of the attributes of all groups.
    var attributeBytes = 0
    var outcomes: [Outcome] = []
    var valueLengths: [UInt32] = []
    var values = ByteWriter()
    /// Of the outcomes that have one, in their order.
    var attachments: [Attachment] = []
    /// Bytes of all attachments.
    var attachmentBytes = 0
    var notes: [Note] = []
    /// What is known of its attempts, when it could not be committed and is tried again.
    var keptBack: KeptBack?
    /// The stage that the spawns wait in; 0 when they are visible with the commit.
    var stage: UInt64 = 0
    /// The largest label of its spawns and outcomes: what a store has to know. 0 when there is none; the label 0, which
    /// no name has, counts as the largest.
    var largestLabel: UInt32 = 0

    /// Nothing to commit.
    public init() {}

    /// Whether there is nothing to commit.
    public var isEmpty: Bool { spawnGroups.isEmpty && outcomes.isEmpty && notes.isEmpty }

    /// How many tasks it spawns.
    public var spawnCount: Int { payloadLengths.count }

    /// How many tasks it ends.
    public var outcomeCount: Int { outcomes.count }

    /// Roughly what it holds in memory and will write before compression, in bytes.
    public var estimatedBytes: Int {
        payloads.count + attributeBytes + keys.count * TaskKey.size + values.count + attachmentBytes
            + payloadLengths.count * 8 + outcomes.count * 48 + notes.count * 64 + 64
    }

    /// Adds a task under `parent` (``TaskID/none`` for a root task). Its id is known once the transaction is committed.
    ///
    /// - Parameters:
    ///   - priority: lower runs first; the store only keeps it.
    ///   - attributes: what the tasks that are spawned alike and at once have in common, at most
    ///     ``Limits/attributeBytes``. The store only keeps it, while one of them is live: see
    ///     ``MemoStore/attributes(of:)``.
    ///   - key: what no other live task may have; free again when the task ends. Keys are decided on in the order of
    ///     commits; of several spawns of one transaction with the same key the last one counts alone. What became of
    ///     each spawn is in ``Commit/disposition(of:)``.
    ///   - policy: what is to happen when a live task has the key.
    ///   - encode: appends the payload. When it throws, nothing was added.
    public mutating func spawn<Failure: Error>(
        under parent: TaskID, label: Label, priority: UInt8 = 128, attributes: [UInt8] = [],
        key: TaskKey? = nil, onDuplicate policy: DuplicatePolicy = .skip, at submittedAt: Timestamp,
        encode: (inout ByteWriter) throws(Failure) -> Void
    ) throws(Failure) {
        let start = payloads.count
        do { try encode(&payloads) } catch {
            payloads.truncate(to: start)
            throw error
        }
        payloadLengths.append(UInt32(clamping: payloads.count - start))
        let policy = key == nil ? nil : policy
        if let key { keys.append(key) }
        if let last = spawnGroups.indices.last, spawnGroups[last].parent == parent, spawnGroups[last].label == label,
            spawnGroups[last].priority == priority, spawnGroups[last].submittedAt == submittedAt,
            spawnGroups[last].policy == policy, spawnGroups[last].hasAttributes(attributes)
        {
            spawnGroups[last].count += 1
        } else {
            use(label)
            attributeBytes += attributes.count
            spawnGroups.append(
                SpawnGroup(
                    parent: parent, label: label, priority: priority, attributes: attributes, policy: policy,
                    submittedAt: submittedAt, count: 1))
        }
    }

    /// Ends a task. Its children must have ended before.
    ///
    /// - Parameter encode: appends the memo of a completed task, the error of another. When it throws, nothing was
    ///   added.
    public mutating func end<Failure: Error>(
        _ outcome: Outcome, encode: (inout ByteWriter) throws(Failure) -> Void
    ) throws(Failure) {
        let start = values.count
        do { try encode(&values) } catch {
            values.truncate(to: start)
            throw error
        }
        valueLengths.append(UInt32(clamping: values.count - start))
        outcomes.append(outcome)
        use(outcome.label)
    }

    /// Ends a task that leaves no memo and no error.
    public mutating func end(_ outcome: Outcome) {
        valueLengths.append(0)
        outcomes.append(outcome)
        use(outcome.label)
    }

    /// Ends a task as ``end(_:encode:)`` does, and leaves something for whoever runs it again.
    ///
    /// - Parameter attachment: at most ``Limits/valueBytes``; nothing when it is empty. It stays as long as the
    ///   outcome, apart from it, and is read when it is asked for alone: see ``ChildColumns/attachments`` and
    ///   ``MemoStore/attachment(of:under:endedAt:)``.
    public mutating func end<Failure: Error>(
        _ outcome: Outcome, attachment: [UInt8], encode: (inout ByteWriter) throws(Failure) -> Void
    ) throws(Failure) {
        try end(outcome, encode: encode)
        attach(attachment)
    }

    /// Ends a task that leaves no memo and no error, but something for whoever runs it again.
    public mutating func end(_ outcome: Outcome, attachment: [UInt8]) {
        end(outcome)
        attach(attachment)
    }

    private mutating func attach(_ attachment: [UInt8]) {
        if attachment.isEmpty { return }
        attachments.append(Attachment(outcome: outcomes.count - 1, bytes: attachment))
        attachmentBytes += attachment.count
    }

    /// Moves a live task to another phase, with the bytes that the next phase starts from (T4, T5): what its slot 0
    /// has from then on. Resets its attempts.
    public mutating func advance(_ task: TaskID, to phase: UInt8, value: [UInt8]) {
        notes.append(.advance(task, phase: phase, value: value))
    }

    /// Keeps bytes for a live task, in one of its slots, until it ends: at most ``Limits/valueBytes``, in the place of
    /// what was there. They are in the log, not in memory: see ``MemoStore/kept(_:slot:)``. Slot 0 is that of
    /// ``advance(_:to:value:)``.
    public mutating func keep(_ task: TaskID, slot: UInt8, _ value: [UInt8]) {
        notes.append(.keep(task, slot: slot, value: value))
    }

    /// Gives a name a value, or takes it away with nil. The store keeps it for the application, in memory and on disk:
    /// see ``MemoStore/value(for:)``. The name has 1 to ``Limits/nameBytes`` bytes and is compared by them, the value
    /// at most ``Limits/namedValueBytes``, and all names and values together have at most ``Limits/namedValuesBytes``;
    /// else the transaction fails with ``StoreError/Code/tooLarge``.
    public mutating func set(_ name: String, to value: [UInt8]?) { notes.append(.set(name, to: value)) }

    /// Notes a failed attempt of a live task, so that a restart neither forgets it nor tries again too early (T15).
    public mutating func noteAttempt(_ task: TaskID, attempts: UInt32, notBefore: Timestamp, error: [UInt8]) {
        notes.append(.attempt(task, attempts: attempts, notBefore: notBefore, error: error))
    }

    /// Notes that a live task is to be cancelled with all below it, so that a restart goes on with it (T10).
    ///
    /// - Parameter kind: the outcome that the task is to have: ``OutcomeKind/cancelled``, ``OutcomeKind/superseded``,
    ///   ``OutcomeKind/expired`` or ``OutcomeKind/dependencyFailed``; with another the transaction is refused. Of
    ///   several requests the first one says the kind.
    public mutating func requestCancel(_ task: TaskID, as kind: OutcomeKind = .cancelled) {
        notes.append(.cancel(task, as: kind))
    }

    /// Gives a live task another priority than it was spawned with, for good: see ``LiveTasks/Detail/priority``.
    public mutating func setPriority(_ task: TaskID, _ priority: UInt8) { notes.append(.priority(task, priority)) }

    /// Notes which tasks are about to run (T14). After an unclean end the last such note is in ``LiveTasks/inFlight``.
    public mutating func noteInFlight(_ tasks: [TaskID]) { notes.append(.inFlight(tasks)) }

    /// Notes how often the process died while a task ran (T14).
    public mutating func noteCrash(_ task: TaskID, count: UInt8) { notes.append(.crash(task, count: count)) }

    mutating func relocate(_ run: SpawnRun, lengths: [UInt32], payloads: [UInt8]) {
        notes.append(.relocateSpawn(run, lengths: lengths, payloads: payloads))
    }

    mutating func relocateKept(by task: TaskID, slot: UInt8, from place: LogPlace, value: [UInt8]) {
        notes.append(.relocateKept(task, slot: slot, from: place, value: value))
    }

    /// Drops a tree whose root's row is known to be there. It is refused when trees were forgotten since that was
    /// looked up, or, where pins are heeded, when it may be pinned by then.
    mutating func drop(_ tree: DroppedTree, _ lookUp: DropLookUp) { notes.append(.drop(tree, lookUp)) }

    /// How many pins there had been when its drops were looked up; nil when there are none that heed pins.
    var dropPins: Pins.Made? {
        for case .drop(_, let lookUp) in notes { return lookUp.pins }
        return nil
    }

    /// Takes out the drops of these trees, which were pinned since they were looked up, and notes that this is known.
    mutating func leaveOut(pinned: Set<TaskID>, _ pins: Pins.Made) {
        notes = notes.compactMap { note in
            guard case .drop(let tree, var lookUp) = note else { return note }
            lookUp.pins = pins
            return pinned.contains(tree.root) ? nil : .drop(tree, lookUp)
        }
    }

    /// Gives a name a label, unless it has one.
    mutating func define(_ name: String) { notes.append(.define(name)) }

    /// Adds all operations of `other` behind these.
    public mutating func append(_ other: Transaction) {
        spawnGroups.append(contentsOf: other.spawnGroups)
        payloadLengths.append(contentsOf: other.payloadLengths)
        payloads.append(contentsOf: other.payloads.bytes)
        attributeBytes += other.attributeBytes
        keys.append(contentsOf: other.keys)
        for attachment in other.attachments {
            attachments.append(Attachment(outcome: outcomes.count + attachment.outcome, bytes: attachment.bytes))
        }
        attachmentBytes += other.attachmentBytes
        outcomes.append(contentsOf: other.outcomes)
        valueLengths.append(contentsOf: other.valueLengths)
        values.append(contentsOf: other.values.bytes)
        notes.append(contentsOf: other.notes)
        largestLabel = max(largestLabel, other.largestLabel)
    }

    private mutating func use(_ label: Label) {
        largestLabel = max(largestLabel, label.rawValue == 0 ? .max : label.rawValue)
    }

    /// The largest label after operations were taken out. O(operations).
    mutating func findLargestLabel() {
        largestLabel = 0
        for group in spawnGroups { use(group.label) }
        for outcome in outcomes { use(outcome.label) }
    }
}
