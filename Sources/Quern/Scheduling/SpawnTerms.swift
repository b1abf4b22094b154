// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// What a spawn writes beside the task's payload: decided once for a type, or for a call with options.
///
/// A class, since it is looked up for each task and has parts that would be counted one by one.
@usableFromInline
final class SpawnTerms: Sendable {
    let label: Label
    /// Within whose root tasks keys are unique.
    let keyLabel: Label
    let priority: UInt8
    let attributes: [UInt8]
    /// The key of tasks that say none themselves.
    let key: String?
    let onDuplicate: DuplicatePolicy
    /// Whether times count from the spawn.
    let isTimed: Bool
    /// What the tasks depend on that exists.
    let dependencies: [TaskDependency]

    /// - Parameter backward: what the task of a graph depends on: see ``TaskAttributes/backward``.
    /// - Throws: `invalidOptions`.
    init(
        label: Label, keyLabel: Label, _ options: TaskOptions, backward: [UInt64] = []
    ) throws(SchedulerError) {
        self.label = label
        self.keyLabel = keyLabel
        priority = options.priority ?? 128
        var durable = try TaskAttributes(options)
        if !backward.isEmpty { durable.depend(backward: backward, as: options) }
        attributes = try durable.encoded()
        dependencies = durable.dependencies
        isTimed = durable.countsFromSpawn
        key = options.key
        onDuplicate = options.onDuplicate ?? .skip
    }

    /// The same in a trace.
    ///
    /// - Throws: `invalidOptions` when that is too much together.
    init(_ other: SpawnTerms, traceContext: [TaskAttributes.TraceField]) throws(SchedulerError) {
        label = other.label
        keyLabel = other.keyLabel
        priority = other.priority
        key = other.key
        onDuplicate = other.onDuplicate
        isTimed = other.isTimed
        dependencies = other.dependencies
        var attributes: TaskAttributes
        do { attributes = try TaskAttributes(decoding: other.attributes) } catch {
            throw SchedulerError(.invalidOptions, "\(error)")
        }
        attributes.traceContext = traceContext
        self.attributes = try attributes.encoded()
    }

    /// What the store tells a key by.
    func storeKey(_ key: String, under parent: TaskID, _ secret: TaskKey.Secret) -> TaskKey {
        TaskKey(scope: parent == .none ? .roots(keyLabel) : .children(of: parent), text: key, secret: secret)
    }
}

extension Transaction {
    /// Adds a typed task; checks what the scheduler promises of payloads.
    ///
    /// What is to be rejected is ignored: a transaction may hold the work of others.
    mutating func spawn<Work: DurableTask>(
        _ task: Work, under parent: TaskID, _ terms: SpawnTerms, key: TaskKey?, at time: Timestamp
    ) throws(SchedulerError) {
        let policy = terms.onDuplicate == .reject ? DuplicatePolicy.ignore : terms.onDuplicate
        try spawn(
            under: parent, label: terms.label, priority: terms.priority, attributes: terms.attributes, key: key,
            onDuplicate: policy, at: time
        ) { writer throws(SchedulerError) in
            let start = writer.count
            do { try task.encodePayload(into: &writer) } catch {
                throw SchedulerError(.payloadNotEncodable, "a \(Work.type) cannot be stored: \(error)")
            }
            guard writer.count - start <= Limits.valueBytes else {
                throw SchedulerError(
                    .payloadTooLarge,
                    "a \(Work.type) of \(writer.count - start) bytes; the limit is \(Limits.valueBytes)")
            }
        }
    }
}
