// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Synchronization

/// A state that a live task keeps, and how far it reaches.
struct KeptState: Codable, Sendable, Equatable {
    /// Up to which commit position, or to which element, the state has everything; 0 for none.
    var position: UInt64 = 0
    var bytes: [UInt8]
}

/// The states that a live task keeps in one of its slots, by name.
///
/// They are one value in the log, so that saving one writes all: keep them few and small. A state and whatever is
/// committed with it are one transaction, and saves come one after the other: so what is kept never says more than what
/// is committed.
final class StateKeeper: Sendable {
    /// Which slot is for what; 0 is the hand-over.
    enum Slot {
        static let finalize: UInt8 = 1
        static let aggregates: UInt8 = 2
        static let execute: UInt8 = 3
    }

    typealias States = [String: KeptState]
    typealias Completion = @Sendable (Result<Commit, StoreError>) -> Void

    private let task: TaskID
    private let slot: UInt8
    private let store: MemoStore
    private let turnstile = Turnstile()
    /// As they are committed; nil when they were not read yet.
    private let known = Mutex<States?>(nil)

    init(_ task: TaskID, slot: UInt8, _ store: MemoStore) {
        self.task = task
        self.slot = slot
        self.store = store
    }

    /// What was saved last under a name. Blocking at first.
    func state(named name: String) throws(SchedulerError) -> KeptState? { try states()[name] }

    private func states() throws(SchedulerError) -> States {
        if let states = known.withLock({ $0 }) { return states }
        let bytes: [UInt8]?
        do { bytes = try store.kept(task, slot: slot) } catch { throw SchedulerError(error) }
        var states: States = [:]
        if let bytes {
            do { states = try BinaryCodec.decode(States.self, from: bytes) } catch {
                let cause = StoreError(.damaged, "what task \(task) keeps in slot \(slot): \(error)", task: task)
                throw SchedulerError(cause)
            }
        }
        let read = states
        return known.withLock { known in
            known = known ?? read
            return known ?? read
        }
    }

    /// Saves a state together with the rest of `transaction`.
    ///
    /// - Parameter send: takes the transaction to the store, or says why not. Without it the store gets it as it is.
    func save(
        _ state: KeptState, named name: String, with transaction: Transaction = Transaction(),
        send: ((Transaction, @escaping Completion) -> SchedulerError?)? = nil
    ) async throws(SchedulerError) -> Commit {
        try await turnstile.pass { () async throws(SchedulerError) in
            var states = try states()
            states[name] = state
            var transaction = transaction
            transaction.keep(task, slot: slot, try Self.encode(states))
            let commit = try await self.send(transaction, send)
            known.withLock { [states] in $0 = states }
            return commit
        }
    }

    private func send(
        _ transaction: Transaction, _ send: ((Transaction, @escaping Completion) -> SchedulerError?)?
    ) async throws(SchedulerError) -> Commit {
        let result: Result<Commit, SchedulerError> = await withCheckedContinuation { continuation in
            let completion: Completion = { continuation.resume(returning: $0.mapError(SchedulerError.init)) }
            if let send {
                if let refusal = send(transaction, completion) { continuation.resume(returning: .failure(refusal)) }
            } else {
                store.enqueue(transaction, completion: completion)
            }
        }
        return try result.get()
    }

    private static func encode(_ states: States) throws(SchedulerError) -> [UInt8] {
        var writer = ByteWriter()
        do { try BinaryCodec.encode(states, into: &writer) } catch {
            throw SchedulerError(.stateNotStorable, "\(error)")
        }
        guard writer.count <= Limits.valueBytes else {
            throw SchedulerError(.stateNotStorable, "\(writer.count) bytes; the limit is \(Limits.valueBytes)")
        }
        return writer.bytes
    }
}

extension KeptState {
    /// - Throws: `stateNotStorable`.
    init(_ value: some Encodable, position: UInt64 = 0) throws(SchedulerError) {
        var writer = ByteWriter()
        do { try BinaryCodec.encode(value, into: &writer) } catch {
            throw SchedulerError(.stateNotStorable, "a \(type(of: value)) cannot be saved: \(error)")
        }
        self.init(position: position, bytes: writer.bytes)
    }

    func value<Value: Decodable>(as type: Value.Type) throws -> Value { try BinaryCodec.decode(type, from: bytes) }
}
