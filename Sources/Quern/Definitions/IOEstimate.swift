// SPDX-License-Identifier: Apache-2.0

/// What a task is expected to read and write, over disks or networks: what budgets let it start by (T16).
///
/// ```swift
/// try context.spawnChild(Upload(file), options: TaskOptions(expectedIO: IOEstimate(readBytes: file.size)))
/// ```
///
/// See ``TaskScheduler/setIOBudget(_:for:)``. Right to seven digits is enough.
public struct IOEstimate: Sendable, Equatable, Hashable {
    public var readBytes: UInt64
    public var writeBytes: UInt64

    public init(readBytes: UInt64 = 0, writeBytes: UInt64 = 0) {
        self.readBytes = readBytes
        self.writeBytes = writeBytes
    }

    /// The most bytes that are counted.
    static let largest: UInt64 = 1 << 50

    /// Both together, in the form that is kept of a pending task.
    ///
    /// A `Float` has room beside the rest, is exact up to 16 MiB, and within a ten millionth beyond.
    var total: Float {
        let (sum, overflow) = readBytes.addingReportingOverflow(writeBytes)
        return Float(overflow ? Self.largest : min(sum, Self.largest))
    }
}

/// What the handlers of a pull said that they read and wrote.
struct RecordedIO: Sendable, Equatable {
    var readBytes: UInt64 = 0
    var writeBytes: UInt64 = 0
    /// How many tasks said anything.
    var tasks = 0

    mutating func add(read: UInt64, written: UInt64) {
        readBytes = readBytes.addingSaturating(read)
        writeBytes = writeBytes.addingSaturating(written)
    }

    /// Both together, as far as it is counted.
    var total: Int64 { Int64(min(readBytes.addingSaturating(writeBytes), IOEstimate.largest)) }
}

extension UInt64 {
    func addingSaturating(_ other: UInt64) -> UInt64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

extension TaskContext {
    /// Says that the handler has read and written so much since it last said so.
    ///
    /// When the task's pull is over, budgets get what it really took instead of what was expected
    /// (``TaskOptions/expectedIO``), and the statistics of its type grow. A handler that says nothing is taken to have
    /// done what was expected; to have done nothing, say 0. Does nothing once the handler has returned.
    ///
    /// - Complexity: O(1), under a lock of the worker's own. In memory only.
    public func recordIO(read: UInt64 = 0, written: UInt64 = 0) {
        buffer.recordIO(ticket, read: read, written: written)
    }
}

extension FinalizeContext {
    /// Says that `finalize` has read and written so much, as ``TaskContext/recordIO(read:written:)`` does.
    public func recordIO(read: UInt64 = 0, written: UInt64 = 0) {
        buffer.recordIO(ticket, read: read, written: written)
    }
}
