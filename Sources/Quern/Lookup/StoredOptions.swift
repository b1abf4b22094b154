// SPDX-License-Identifier: Apache-2.0
package import QuernStore

/// What the bytes mean that a scheduler keeps with a task, for tools that read a store without one.
package struct StoredOptions: Sendable, Equatable {
    package var group: String?
    /// Sorted by their bytes.
    package var tags: [String] = []
    /// When it may start at the earliest.
    package var startsAt: Timestamp?
    /// When its time to live is over, where that counts from the spawn.
    package var deadline: Timestamp?
    /// The time that a schedule spawned it for.
    package var scheduledFor: Timestamp?
    /// What it waits for.
    package var dependencies: [TaskDependency] = []
    /// The ended task that it runs again.
    package var redrives: TaskID?
    /// How often it may be tried, when it says so itself.
    package var maximumAttempts: UInt32?

    package init() {}

    /// The options of the tasks of a run.
    ///
    /// - Returns: nil when they are not in the form that this version knows.
    package init?(_ bytes: [UInt8], of run: SpawnRun) {
        guard let attributes = try? TaskAttributes(decoding: bytes) else { return nil }
        self.init(attributes)
        startsAt = attributes.startTime(ofSpawnAt: run.submittedAt)
        deadline = attributes.deadline(ofSpawnAt: run.submittedAt)
        dependencies = attributes.dependencies(of: run)
    }

    fileprivate init(_ attributes: TaskAttributes) {
        group = attributes.group
        tags = attributes.tags
        scheduledFor = attributes.scheduledFor
        redrives = attributes.redrives?.task
        maximumAttempts = attributes.retry?.maximumAttempts
    }
}

/// What a task that failed left for whoever runs it again, as far as tools tell of it.
package struct StoredRemains: Sendable, Equatable {
    package var priority: UInt8
    package var key: TaskKey?
    package var options: StoredOptions
    package var payload: [UInt8]
    package var hasHandover: Bool

    /// - Returns: nil for bytes of another form.
    package init?(_ bytes: [UInt8]) {
        guard let remains = TaskRemains(decoding: bytes) else { return nil }
        priority = remains.priority
        key = remains.key
        payload = remains.payload
        hasHandover = remains.handover != nil
        options = (try? TaskAttributes(decoding: remains.attributes)).map { StoredOptions($0) } ?? StoredOptions()
    }
}

/// What a scheduler uses the slots and phases of live tasks for.
package enum StoredSlots {
    /// Where the error of a task's last attempt is.
    package static let lastError = TaskSlot.lastError
    /// The phase from which on a task waits for its children, or has their outcomes still to take.
    package static let childrenPhase = TaskPhase.children
    /// The phase of a task that has failed and waits for children that live.
    package static let failedPhase = TaskPhase.failed
}
