// SPDX-License-Identifier: Apache-2.0
public import QuernStore

extension TaskScheduler {
    /// Starts no task any more (T16). What runs goes on, and paused tasks can be cancelled. A pause is as durable as a
    /// task: it holds until its end, or ``resume(_:)``, whatever becomes of the process.
    ///
    /// - Parameter end: when the pause is over by itself; nil for never. A second pause replaces the first.
    /// - Throws: ``SchedulerError`` with `notRegistered` when there is no such type or domain, `invalidOptions` when
    ///   the scope's name has more than 230 bytes, `stopped`, or with the store's error as its cause.
    /// - Complexity: O(1), and a commit.
    public func pause(_ scope: LimitScope, until end: Timestamp? = nil) async throws(SchedulerError) {
        try await core.setPause(of: scope, until: end ?? Timestamp(milliseconds: .max))
    }

    /// Ends a pause; does nothing where there is none.
    ///
    /// - Throws: as ``pause(_:until:)``.
    /// - Complexity: O(what was held back), and a commit.
    public func resume(_ scope: LimitScope) async throws(SchedulerError) {
        try await core.setPause(of: scope, until: nil)
    }

    /// The pauses that hold, in the order of their names, those of types under the names that they have today.
    ///
    /// - Complexity: O(pauses).
    public var pauses: [Pause] { core.pauses }
}

/// Tasks that do not start for a while.
public struct Pause: Sendable, Equatable {
    /// Which tasks.
    public var scope: LimitScope
    /// When it is over by itself; the largest timestamp for never.
    public var end: Timestamp
}

extension Pause {
    /// The named values that the store keeps pauses in: the end, as 8 bytes, under a name that tells the scope.
    static let prefix = "quern/pause/"

    static func name(of scope: LimitScope) -> String {
        switch scope {
        case .everything: prefix + "everything"
        case .domain(let name): prefix + "domain/" + name
        case .type(let type): prefix + "type/" + type.name
        case .group(let name): prefix + "group/" + name
        }
    }

    static func scope(named name: String) -> LimitScope? {
        let text = name.dropFirst(prefix.count)
        if text == "everything" { return .everything }
        guard let separator = text.firstIndex(of: "/") else { return nil }
        let rest = String(text[text.index(after: separator)...])
        switch text[..<separator] {
        case "domain": return .domain(rest)
        case "type": return .type(TaskType(rest))
        case "group": return .group(rest)
        default: return nil
        }
    }
}

extension SchedulerCore {
    /// Changes are made in the order in which they are committed.
    func setPause(of scope: LimitScope, until end: Timestamp?) async throws(SchedulerError) {
        let scope = current(scope)
        let name = Pause.name(of: scope)
        guard name.utf8.count <= Limits.nameBytes else {
            throw SchedulerError(.invalidOptions, "a name of \(name.utf8.count - Pause.prefix.utf8.count) bytes")
        }
        // Refused before anything is durable.
        try update(scope) { _, _ in }
        var transaction = Transaction()
        for former in storedPauses where former.pause.scope == scope { transaction.set(former.name, to: nil) }
        transaction.set(name, to: end.map { $0.rawValue.littleEndianBytes })
        let filled = transaction
        let result: Result<Void, StoreError> = await withCheckedContinuation { continuation in
            store.enqueue(filled) { [self] result in
                if case .success = result { hold(scope, until: end) }
                continuation.resume(returning: result.map { _ in })
            }
        }
        do { try result.get() } catch { throw SchedulerError(error) }
    }

    /// Holds tasks back, or lets them go. Types and domains that are not registered have none to hold back.
    private func hold(_ scope: LimitScope, until end: Timestamp?) {
        try? update(scope) { dispatcher, limiter in
            dispatcher.queues.update(limiter, now: dispatcher.now) { $0.pausedUntil = end }
        }
    }

    /// The same tasks, whichever of its names their type goes by.
    private func current(_ scope: LimitScope) -> LimitScope {
        if case .type(let type) = scope { .type(types.currentName(of: type)) } else { scope }
    }

    /// All that the store has, those that are over included, and what each is stored as. A type may have several, under
    /// its former names.
    private var storedPauses: [(name: String, pause: Pause)] {
        store.values(withPrefix: Pause.prefix).compactMap { name, value in
            guard let scope = Pause.scope(named: name), let end = Int64(littleEndianBytes: value) else { return nil }
            return (name, Pause(scope: current(scope), end: Timestamp(milliseconds: end)))
        }
    }

    /// The pauses that hold; of several of a type the longest.
    var pauses: [Pause] {
        let ends = Dictionary(storedPauses.map { ($0.pause.scope, $0.pause.end) }, uniquingKeysWith: max)
        return ends.filter { $0.value > clock.now }.map { Pause(scope: $0.key, end: $0.value) }
            .sorted { Pause.name(of: $0.scope) < Pause.name(of: $1.scope) }
    }

    func recoverPauses() {
        for pause in pauses { hold(pause.scope, until: pause.end) }
        let now = clock.now
        var transaction = Transaction()
        for stored in storedPauses where stored.pause.end <= now { transaction.set(stored.name, to: nil) }
        // Whether these go now or the next time makes no difference.
        if !transaction.isEmpty { store.enqueue(transaction, durability: .buffered) }
    }
}

extension Int64 {
    var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }

    /// Nil unless there are 8 bytes.
    init?(littleEndianBytes bytes: [UInt8]) {
        guard bytes.count == 8 else { return nil }
        self = bytes.withUnsafeBytes { Int64(littleEndian: $0.loadUnaligned(as: Int64.self)) }
    }
}
