// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What a spawn writes beside the task's payload: decided once for a type, or for a call with options.
struct SpawnTerms: Sendable {
    let label: Label
    /// Within whose root tasks keys are unique.
    let keyLabel: Label
    var priority: UInt8 = 128
    var attributes: [UInt8] = []
    var key: String?
    var onDuplicate = DuplicatePolicy.skip
    /// Whether times count from the spawn.
    var isTimed = false
    var hasDependencies = false

    init(label: Label, keyLabel: Label) {
        self.label = label
        self.keyLabel = keyLabel
    }

    /// - Parameter backward: what the task of a graph depends on: see ``TaskAttributes/backward``.
    /// - Throws: `invalidOptions`.
    mutating func use(_ options: TaskOptions, backward: [UInt64] = []) throws(SchedulerError) {
        priority = options.priority ?? 128
        var durable = try TaskAttributes(options)
        if !backward.isEmpty {
            durable.backward = backward
            durable.use(policiesOf: options)
        }
        attributes = try durable.encoded()
        hasDependencies = !durable.dependencies.isEmpty
        isTimed = durable.timeToLive?.basis == .submission
        if case .after? = durable.start { isTimed = true }
        key = options.key
        onDuplicate = options.onDuplicate ?? .skip
    }

    /// What the store tells the task's key by.
    func storeKey(under parent: TaskID, _ secret: TaskKey.Secret) -> TaskKey? {
        guard let key else { return nil }
        return TaskKey(scope: parent == .none ? .roots(keyLabel) : .children(of: parent), text: key, secret: secret)
    }
}

extension Transaction {
    /// Adds a typed task; checks what the scheduler promises of payloads.
    ///
    /// What is to be rejected is skipped: a transaction may hold the work of others.
    mutating func spawn<Work: DurableTask>(
        _ task: Work, under parent: TaskID, _ terms: borrowing SpawnTerms, key: TaskKey?, at time: Timestamp
    ) throws(SchedulerError) {
        let policy = terms.onDuplicate == .replace ? DuplicatePolicy.replace : .skip
        try spawn(
            under: parent, label: terms.label, priority: terms.priority, attributes: terms.attributes, key: key,
            onDuplicate: policy, at: time
        ) { writer throws(SchedulerError) in
            let start = writer.count
            do { try task.encodePayload(into: &writer) } catch {
                throw SchedulerError(.payloadNotEncodable, "a \(Work.type) cannot be stored: \(error)")
            }
            guard writer.count - start <= Limits.valueBytes else {
                throw SchedulerError(.payloadTooLarge, "a \(Work.type) of \(writer.count - start) bytes")
            }
        }
    }
}
