// SPDX-License-Identifier: Apache-2.0

/// The random number that tells one store's files from another's. It seeds every checksum, so that a file or frame
/// copied from elsewhere does not pass (F8).
package struct StoreIdentity: Equatable, Sendable, BitwiseCopyable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    static func random() -> StoreIdentity {
        StoreIdentity(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max))
    }

    var seed: UInt32 {
        withUnsafeBytes(of: (high.littleEndian, low.littleEndian)) { Checksum.crc32c($0) }
    }
}
