// SPDX-License-Identifier: Apache-2.0
import Synchronization
import SystemPackage

/// What a store takes on disk, and what of that housekeeping may give back; and what it takes in memory for what is
/// live.
public struct StoreSizes: Sendable, Equatable {
    /// Files of one kind.
    public struct Files: Sendable, Equatable {
        /// How many.
        public var count = 0
        /// Their lengths added up.
        public var bytes = 0
    }

    /// Log segments.
    public var log = Files()
    /// Index segments.
    public var index = Files()
    /// Checkpoints and their mirrors.
    public var checkpoints = Files()
    /// Bytes of disk that are held back: see ``MemoStore/Configuration/reserveBytes``.
    public var reserveBytes = 0
    /// Bytes of log that live tasks still need.
    public var liveLogBytes = 0
    /// Trees that were dropped and wait for a compaction.
    public var droppedTrees = 0
    /// About what a compaction of them gives back, in bytes of sealed index segments.
    public var droppedBytes = 0
    /// About what live tasks and parents take in memory, in bytes. While a checkpoint is written, what changes of that
    /// is there twice.
    public var liveMemoryBytes = 0
    /// About what ended children take in memory that are in no index segment yet, in bytes. Between two commits it is
    /// at most ``MemoStore/Configuration/openBlockBytes``.
    public var openBlockBytes = 0
    /// Why background work failed the last time that it did, since the store was opened.
    public var housekeepingFailure: StoreError?
    /// What background work, compactions and drops found damaged since the store was opened, by file. They leave
    /// these files as they are, dropped trees in them too, and go on with the others.
    public var damage: [StoreError] = []
}

extension MemoStore {
    /// What the store takes now. Blocking: it asks the file system for the size of each file.
    ///
    /// - Throws: ``StoreError/Code/inputOutput``; ``StoreError/Code/damaged`` when a directory of the index is.
    /// - Complexity: O(files + live runs), and a pass over the index's directories while trees are dropped.
    public func sizes() throws(StoreError) -> StoreSizes {
        let files = shared.files
        var sizes = StoreSizes()
        let names = try StoreError.wrapping("cannot list the store") { () throws(FileError) in
            try files.fileSystem.list(files.directory)
        }
        for name in names {
            if name == StoreFiles.reserveName { sizes.reserveBytes = try size(of: name) ?? 0 }
            guard let (kind, _) = StoreFiles.parse(name), let size = try size(of: name) else { continue }
            switch kind {
            case .log: sizes.log.add(size)
            case .index: sizes.index.add(size)
            case .checkpoint, .mirror: sizes.checkpoints.add(size)
            case .manifest: break
            }
        }
        let setAside = shared.setAside
        try shared.lookUp {
            sizes.liveMemoryBytes = $0.state.liveFootprint
            sizes.openBlockBytes = $0.state.openBytes
            return (IndexContents($0, setAside: setAside), LogUse($0.state))
        } _: { (contents, use) throws(StoreError) in
            sizes.liveLogBytes = use.segments.values.reduce(0, +)
            sizes.droppedTrees = contents.dropped.count
            sizes.droppedBytes = try contents.segments().reduce(0) { $0 + $1.droppedBytes }
        }
        sizes.housekeepingFailure = shared.housekeepingFailure.withLock { $0 }
        sizes.damage = shared.damage.withLock { $0.values.sorted { "\($0.file ?? "")" < "\($1.file ?? "")" } }
        return sizes
    }

    /// Nil when the file is gone.
    private func size(of name: String) throws(StoreError) -> Int? {
        let files = shared.files
        return try StoreError.wrapping("cannot read a file's size") { () throws(FileError) in
            try files.fileSystem.openIfPresent(files.directory.appending(name))?.size()
        }
    }
}

extension StoreSizes.Files {
    fileprivate mutating func add(_ size: Int) {
        count += 1
        bytes += size
    }
}
