// SPDX-License-Identifier: Apache-2.0
public import SystemPackage

/// What shall go wrong in a ``SimulatedFileSystem``, and when.
///
/// ```swift
/// var plan = FaultPlan()
/// plan.fail(.synchronize, at: 3, with: .ioError)                       // the third sync, once
/// plan.fail(.write, at: 10, with: .noSpace, .fromThenOn, in: ".log")   // from the tenth write to a log on
/// files.faults = plan
/// ```
///
/// Calls are counted from 1, beginning with the first call after the plan was set.
public struct FaultPlan: Sendable {
    public enum Repetition: Sendable { case once, fromThenOn }

    struct Fault: Sendable {
        var call: FileCall?
        var ordinal: Int
        var errno: Errno
        var repetition: Repetition
        var pathPart: String?
        var bytesWritten: Int
        /// Calls that matched so far.
        var seen = 0
    }

    var faults: [Fault] = []

    /// How many bytes all files together may hold; a write beyond fails with ``capacityErrno``.
    public var capacity: Int?

    /// What a write beyond the capacity throws: `noSpace`, or `diskQuotaExceeded`.
    public var capacityErrno: Errno = .noSpace

    /// Whether a write beyond the capacity leaves in the file what still fitted, as systems usually do, or nothing.
    public var fullDiskTakesWhatFits = true

    /// The number of changing calls after which the machine stops: that many are made, and every call after them
    /// fails with `ioError`, reads too. The test then asks for what is left: ``SimulatedFileSystem/crash(keeping:)``.
    ///
    /// Changing calls are those that create a file or directory, write, synchronize, rename, remove, or lock.
    public var crashAfterCall: Int?

    /// Whether the data of a failed ``FileCall/synchronize`` reaches the disk all the same. By default it is lost:
    /// the system marks it as written, and reads show it until the machine stops.
    public var failedSynchronizeKeepsData = false

    public init() {}

    /// A plan with a single fault.
    public static func failing(
        _ call: FileCall?, at ordinal: Int, with errno: Errno = .ioError, _ repetition: Repetition = .once
    ) -> FaultPlan {
        var plan = FaultPlan()
        plan.fail(call, at: ordinal, with: errno, repetition)
        return plan
    }

    /// A plan that stops the machine; see ``crashAfterCall``.
    public static func crashing(afterCall count: Int) -> FaultPlan {
        var plan = FaultPlan()
        plan.crashAfterCall = count
        return plan
    }

    /// Adds a fault.
    ///
    /// - Parameters:
    ///   - call: the kind of call, or nil for a call of any kind.
    ///   - ordinal: which one fails, counted from 1 among the calls that match.
    ///   - pathPart: count and fail only calls whose path contains this. A rename matches with its source.
    ///   - bytesWritten: for a write, how many bytes reach the file before it fails.
    public mutating func fail(
        _ call: FileCall? = nil, at ordinal: Int, with errno: Errno = .ioError, _ repetition: Repetition = .once,
        in pathPart: String? = nil, bytesWritten: Int = 0
    ) {
        precondition(ordinal > 0, "calls are counted from 1")
        faults.append(
            Fault(
                call: call, ordinal: ordinal, errno: errno, repetition: repetition, pathPart: pathPart,
                bytesWritten: bytesWritten))
    }
}
