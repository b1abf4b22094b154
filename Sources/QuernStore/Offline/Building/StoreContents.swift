// SPDX-License-Identifier: Apache-2.0

/// Takes all that a store holds, in the one order in which it can be written and read in flat memory: the head, live
/// runs by id with what their tasks keep behind each, parents by id, then the ended children by parent and sequence.
///
/// A store is told to a sink by ``StoreSalvage``, or by a file that was exported; sinks are ``StoreBuilder`` and what
/// exports. What is told twice in the same way is the same store, whatever its history was.
package protocol StoreSink {
    mutating func begin(_ head: StoreHead) throws
    mutating func add(_ run: LiveRunContents) throws
    /// Of a task of the last run, by task and slot.
    mutating func add(_ kept: KeptContents) throws
    mutating func add(_ parent: ParentContents) throws
    /// Children of one parent, at least one; a parent's children may come in any number of blocks.
    mutating func add(_ rows: OutcomeBlock) throws
    mutating func finish() throws
}

/// What a store holds beside its tasks.
package struct StoreHead: Sendable {
    package var identity: StoreIdentity
    /// The id that the next task gets.
    package var nextID: UInt64
    /// The commit position that the next outcome gets.
    package var nextSequence: UInt64
    /// In the order of their labels, which go from 1.
    package var names: [String]
    /// In the order of the bytes of their names.
    package var values: [(name: String, value: [UInt8])]
    /// Live tasks that were about to run when the process ended without closing the store.
    package var inFlight: [TaskID]

    package init(
        identity: StoreIdentity, nextID: UInt64, nextSequence: UInt64, names: [String] = [],
        values: [(name: String, value: [UInt8])] = [], inFlight: [TaskID] = []
    ) {
        self.identity = identity
        self.nextID = nextID
        self.nextSequence = nextSequence
        self.names = names
        self.values = values
        self.inFlight = inFlight
    }
}

/// Tasks that were spawned together, of which some are live.
package struct LiveRunContents: Sendable {
    package var firstID: TaskID
    package var parent: TaskID
    package var submittedAt: Timestamp
    package var label: UInt32
    /// How many there were, live or not.
    package var count: Int
    package var priority: UInt8
    package var attributes: [UInt8]
    /// Those that are live, in order; at least one.
    package var tasks: [LiveTaskContents]

    package init(
        firstID: TaskID, parent: TaskID, submittedAt: Timestamp, label: UInt32, count: Int, priority: UInt8,
        attributes: [UInt8] = [], tasks: [LiveTaskContents] = []
    ) {
        self.firstID = firstID
        self.parent = parent
        self.submittedAt = submittedAt
        self.label = label
        self.count = count
        self.priority = priority
        self.attributes = attributes
        self.tasks = tasks
    }
}

/// A task without an outcome.
package struct LiveTaskContents: Sendable {
    package var id: TaskID
    package var payload: [UInt8]
    package var key: TaskKey?
    /// Nil when nothing was ever noted of it.
    package var detail: LiveTasks.Detail?

    package init(id: TaskID, payload: [UInt8], key: TaskKey? = nil, detail: LiveTasks.Detail? = nil) {
        self.id = id
        self.payload = payload
        self.key = key
        self.detail = detail
    }
}

/// What a live task has in a slot.
package struct KeptContents: Sendable {
    package var task: TaskID
    package var slot: UInt8
    package var value: [UInt8]

    package init(task: TaskID, slot: UInt8, value: [UInt8]) {
        self.task = task
        self.slot = slot
        self.value = value
    }
}

/// A live task that has or had children or was advanced, or ``TaskID/none``. How many children it has, and how they
/// ended, is told by these.
package struct ParentContents: Sendable {
    package var id: TaskID
    /// The first child that ended in failure, also when its tree was dropped since; ``TaskID/none`` when there is none.
    package var firstFailure: TaskID

    package init(id: TaskID, firstFailure: TaskID) {
        self.id = id
        self.firstFailure = firstFailure
    }
}
