// SPDX-License-Identifier: Apache-2.0

/// An error that says in its own words what a task's failure is stored as.
///
/// ```swift
/// extension ScanError: DescribedFailure {
///     var failureReason: String { "permission denied" }  // failures are grouped by it
///     var failureDetail: String { path }                 // shown as a sample
/// }
/// ```
public protocol DescribedFailure: Error {
    var failureReason: String { get }
    var failureDetail: String { get }
}

/// An error that no retry would mend: the task fails at once, whatever its retry policy allows (T15).
public struct PermanentError: DescribedFailure, Sendable, Equatable {
    public var reason: String
    public var detail: String

    public init(reason: String, detail: String = "") {
        self.reason = reason
        self.detail = detail
    }

    public var failureReason: String { reason }
    public var failureDetail: String { detail }
}

/// An error that knows when another attempt makes sense, such as a server's "retry after" (T15).
///
/// It replaces the delay of the retry policy, not its number of attempts.
public protocol DelaysRetry: Error {
    var retryAfter: Duration { get }
}
