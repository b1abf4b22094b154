// SPDX-License-Identifier: Apache-2.0

/// Where the handlers of a type run.
public enum HandlerPlace: Sendable, Equatable {
    /// On Swift's cooperative pool: for handlers that wait by `await`.
    case cooperative
    /// On threads of the scheduler's own: for handlers that block, such as those that list files.
    case threads

    var other: HandlerPlace { self == .cooperative ? .threads : .cooperative }
}

/// What the dispatcher must know of a task type.
struct TypeFacts: Sendable, Equatable {
    var place: HandlerPlace = .cooperative
    var isOrchestrator = false
    var policy = ChildFailurePolicy.failFast
    /// Whether the payloads of cancelled tasks are wanted.
    var hasCancelHook = false
    /// The domain that it belongs to, and pulls of all its types at a time: what holds until it is changed.
    var domain: String?
    var domainConcurrency: Int?
    /// The label of the type's new tasks, when these are of an earlier version or name: the same limits hold for both.
    var label: Label?
    /// Pulls at a time, and tasks in a time: what holds until it is changed.
    var concurrency: Int?
    var rate: RateLimit?
    /// Bytes in a time, of the type and of its domain: what holds until it is changed.
    var ioBudget: ByteBudget?
    var domainBudget: ByteBudget?
    /// How many bytes its tasks are expected to read and write unless they say otherwise.
    var ioBytes: Float = 0
}
