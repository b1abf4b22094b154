// SPDX-License-Identifier: Apache-2.0
#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What the next scan needs to know about an entry: which it is, and whether it is still the same. 16 bytes.
struct EntryRecord: Hashable, Comparable, Sendable, BitwiseCopyable {
    var nameHash: UInt64
    var fingerprint: UInt64

    init(nameHash: UInt64, fingerprint: UInt64) {
        self.nameHash = nameHash
        self.fingerprint = fingerprint
    }

    /// The fingerprint is made of size, modification time to the nanosecond, type and permissions: the fields that
    /// `cp -a`, `rsync -a` and a restored backup bring along, so that the same tree on another disk is the same tree.
    /// The inode number and the change time are left out for that reason; the change time also moves when another
    /// name of the file is added or removed, and inode numbers are not stable on every network file system.
    ///
    /// The price is the one that rsync pays: new content of the same size under the old time goes unseen.
    init(name: UnsafeRawBufferPointer, status: stat) {
        #if os(Linux)
            let time = status.st_mtim
        #else
            let time = status.st_mtimespec
        #endif
        nameHash = StableHash.hash(name, seed: 3)
        fingerprint = StableHash.hash(
            UInt64(bitPattern: Int64(status.st_size)),
            UInt64(bitPattern: Int64(time.tv_sec)),
            UInt64(truncatingIfNeeded: time.tv_nsec) << 32 | UInt64(status.st_mode),
            seed: 4)
    }

    static func < (left: EntryRecord, right: EntryRecord) -> Bool {
        left.nameHash != right.nameHash ? left.nameHash < right.nameHash : left.fingerprint < right.fingerprint
    }
}
