// SPDX-License-Identifier: Apache-2.0

/// A point in time as the store keeps it: milliseconds since 1970-01-01 00:00 UTC.
public struct Timestamp: RawRepresentable, Hashable, Comparable, Sendable, BitwiseCopyable {
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
    /// Milliseconds since 1970-01-01 00:00 UTC; negative before that.
    public init(milliseconds: Int64) { self.rawValue = milliseconds }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.rawValue < right.rawValue }
}
