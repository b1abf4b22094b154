// SPDX-License-Identifier: Apache-2.0
@testable import Quern
@testable import QuernStore

/// What one task does, decided before it exists: a small program that a seed writes and a handler follows.
struct Script: Sendable {
    /// A type of tasks.
    enum Kind: String, Sendable, CaseIterable {
        case leaf, failFast, tolerate, budget
        /// Some processes do not know it.
        case rare

        var type: TaskType { TaskType("life." + rawValue) }
        var isBranch: Bool { self != .leaf }

        var policy: ChildFailurePolicy {
            switch self {
            case .leaf, .tolerate, .rare: .tolerate
            case .failFast: .failFast
            case .budget: .budget(count: 1)
            }
        }

        /// What holds unless a script says otherwise.
        var retry: RetryPolicy {
            switch self {
            case .leaf: .constant(.milliseconds(700), attempts: 3)
            case .tolerate: .constant(.milliseconds(300), attempts: 2)
            case .failFast, .budget, .rare: .none
            }
        }
    }

    /// How a call of the handler ends once it has failed as often as it is to.
    enum Ending: Sendable { case succeed, failForGood, failAlways, unencodable }

    enum Hang: Sendable {
        case never
        /// Until somebody opens the gate, or it is cancelled: it then throws.
        case untilCancelled
        /// As that, but it then returns as if nothing had been.
        case deaf
    }

    /// How it is spawned by its spawner.
    enum Way: Sendable { case child, sibling, now, stream }

    /// `execute` or `finalize`.
    struct Part: Sendable {
        var failures: UInt32 = 0
        /// Whether its failures say when to try again.
        var retryAfter: Duration?
        var hangs = Hang.never
        var ending = Ending.succeed

        /// How it ends for good when nothing comes between; nil for success.
        func failure(under retry: RetryPolicy) -> (kind: OutcomeKind, attempts: UInt32)? {
            let most = retry.maximumAttempts
            let fails = ending == .failAlways ? UInt32.max : failures
            if fails == 0 || fails < most {
                return ending == .succeed ? nil : (.failed, fails + 1)
            }
            return most <= 1 ? (.failed, 1) : (.deadLettered, most)
        }
    }

    var number: Int
    var kind: Kind
    var spawner: Int?
    var way = Way.child
    var options = TaskOptions()
    /// Whether it is to wait for its spawner, or for what that spawned ahead before it.
    var waits = false
    var execute = Part()
    var finalize = Part()
    /// What its payload has beside the number.
    var padding = 0
    /// By their numbers, in order.
    var spawns: [Int] = []

    var retry: RetryPolicy { options.retry ?? kind.retry }
    var priority: UInt8 { options.priority ?? 128 }
    var group: String? { options.group }

    /// Whether its spawner saves that it was spawned. If not, another attempt may spawn it once more, when its key is
    /// free since it has ended.
    var isSaved: Bool { way == .now && number.isMultiple(of: 2) }
    var mayRepeat: Bool { way == .now && !isSaved }

    func scopes() -> [LimitScope] { [.everything, .type(kind.type)] + (group.map { [.group($0)] } ?? []) }
}
