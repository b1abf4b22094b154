// SPDX-License-Identifier: Apache-2.0

/// The name of a directory in a snapshot: 64 bits of hash of its parent's path, then 64 of its own, both relative to
/// the scan's root.
///
/// A snapshot of fixed-size keys is searched without reading a path. The parent comes first so that siblings lie side
/// by side: they are scanned one after the other, and so find each other's page of the index still in memory.
///
/// Two of a million sub-directories of one directory share a key with a probability of 3 * 10^-8, others far less. The
/// writer notices and reports it (``SnapshotSummary/duplicates``).
struct DirectoryKey: Hashable, Comparable, Sendable, BitwiseCopyable {
    /// The hash of the parent's path; zero for the root.
    var parentHash: UInt64
    var hash: UInt64

    init(parentHash: UInt64, hash: UInt64) {
        self.parentHash = parentHash
        self.hash = hash
    }

    init(_ path: PathBytes) {
        self = path.bytes.withUnsafeBytes { DirectoryKey(path: $0) }
    }

    private init(path: UnsafeRawBufferPointer) {
        parentHash = Self.parent(of: path).map(Self.hash) ?? 0
        hash = Self.hash(path)
    }

    /// The parent of the root.
    static let none = DirectoryKey(parentHash: 0, hash: 0)

    /// The key of the directory that holds `path`; ``none`` for the root.
    static func parent(of path: PathBytes) -> DirectoryKey {
        path.bytes.withUnsafeBytes { parent(of: $0).map(DirectoryKey.init(path:)) ?? .none }
    }

    private static func parent(of path: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        if path.isEmpty { return nil }
        return UnsafeRawBufferPointer(rebasing: path[..<(path.lastIndex(of: PathBytes.slash) ?? 0)])
    }

    private static func hash(_ path: UnsafeRawBufferPointer) -> UInt64 { StableHash.hash(path, seed: 1) }

    static func < (left: DirectoryKey, right: DirectoryKey) -> Bool {
        left.parentHash != right.parentHash ? left.parentHash < right.parentHash : left.hash < right.hash
    }
}
