// SPDX-License-Identifier: Apache-2.0
import CQuernKernels

/// CRC32C, the checksum of everything that the store writes.
enum Checksum {
    static func crc32c(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        quern_crc32c(seed, bytes.baseAddress, bytes.count)
    }
}
