// SPDX-License-Identifier: Apache-2.0

/// The random number that tells one store's files from another's. It seeds every checksum, so that a file or frame
/// copied from elsewhere does not pass (F8).
struct StoreIdentity: Equatable, Sendable, BitwiseCopyable {
    var high: UInt64
    var low: UInt64

    static func random() -> StoreIdentity {
        StoreIdentity(high: .random(in: 1 ... .max), low: .random(in: 1 ... .max))
    }

    var seed: UInt32 {
        withUnsafeBytes(of: (high.littleEndian, low.littleEndian)) { Checksum.crc32c($0) }
    }
}
