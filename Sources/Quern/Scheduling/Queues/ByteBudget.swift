// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// How many bytes tasks may read and write in a second (T16).
///
/// A task takes what it is expected to read and write (``TaskOptions/expectedIO``) when it starts, once anything is
/// there; what it takes beyond that must come in before the next one starts. So a task of any size runs, whatever the
/// burst, and neither small tasks nor large ones shut the others out.
public struct ByteBudget: Sendable, Equatable, Codable {
    /// Read and written bytes together; 1 to a tebibyte.
    public let bytesPerSecond: UInt64
    /// What is there after a quiet time; 1 byte to a pebibyte.
    public let burst: UInt64

    /// - Parameter burst: what comes in within a second unless said otherwise.
    public init(bytesPerSecond: UInt64, burst: UInt64? = nil) {
        self.bytesPerSecond = min(max(1, bytesPerSecond), 1 << 40)
        self.burst = min(max(1, burst ?? bytesPerSecond), 1 << 50)
    }

    /// What a file says is brought within bounds as what a call says.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            bytesPerSecond: try container.decode(UInt64.self, forKey: .bytesPerSecond),
            burst: try container.decode(UInt64.self, forKey: .burst))
    }
}

extension TokenBucket {
    /// A full bucket of bytes.
    init(_ budget: ByteBudget, now: Timestamp) {
        self.init(
            filling: Filling(count: Int64(budget.bytesPerSecond), period: 1000, burst: Int64(budget.burst)), now: now)
    }
}
