// SPDX-License-Identifier: Apache-2.0
public import Quern

/// The tasks that look at folders: what there is to do.
public struct LibraryDomain: TaskDomain {
    public let name = "library"
    /// Photos are rendered before further folders are looked at.
    public let options = TaskOptions(priority: 160)

    public init() {}

    public func register(in registry: inout Registry) {
        registry.register(LibraryRenderer(), runsOn: .threads, onChildFailure: .tolerate)
        registry.register(AlbumRenderer(), runsOn: .threads, onChildFailure: .tolerate)
    }
}

/// Renders the thumbnails of a whole library.
public struct RenderLibrary: DurableTask {
    public static let type: TaskType = "thumbnails.library"
    public var root: String
    /// The longest side of a thumbnail, in pixels.
    public var side: Int

    public init(root: String, side: Int = 64) {
        self.root = root
        self.side = side
    }

    /// What came of it.
    public struct Memo: CodableMemo, Equatable {
        public var albums: UInt64 = 0
        public var cancelledAlbums: UInt64 = 0
        public var thumbnails: UInt64 = 0
        public var bytes: UInt64 = 0
        public var failed: UInt64 = 0
    }
}

/// Renders the thumbnails of one album.
public struct RenderAlbum: DurableTask {
    public static let type: TaskType = "thumbnails.album"
    public var root: String
    public var album: String
    public var side: Int

    public struct Memo: FixedLayoutMemo, Equatable { public var thumbnails, bytes, failed: UInt64 }
}

struct LibraryRenderer: OrchestratorHandler {
    func execute(_ task: RenderLibrary, in context: TaskContext) async throws -> NoHandover {
        for album in try PhotoFolder(task.root).albums() {
            try context.spawnChild(
                RenderAlbum(root: task.root, album: album, side: task.side),
                options: TaskOptions(key: album, tags: ["album:\(album)"]))
        }
        return NoHandover()
    }

    func finalize(
        _ task: RenderLibrary, handover: NoHandover, in context: FinalizeContext
    ) async throws -> RenderLibrary.Memo {
        // The grandparent streams what the parents made of their children.
        var memo = try context.reduceMemos(of: RenderAlbum.self, into: RenderLibrary.Memo()) { total, album in
            total.thumbnails += album.thumbnails
            total.bytes += album.bytes
            total.failed += album.failed
        }
        memo.albums = context.counts.completed
        memo.cancelledAlbums = context.counts.cancelled
        return memo
    }
}

struct AlbumRenderer: OrchestratorHandler {
    func execute(_ task: RenderAlbum, in context: TaskContext) async throws -> NoHandover {
        let folder = PhotoFolder(task.root + "/" + task.album)
        // All photos of an album share a group, so that a large album does not keep the others waiting.
        try context.spawnChildren(
            try folder.photos().map { RenderThumbnail(folder: folder.path, photo: $0, side: task.side) },
            options: TaskOptions(group: task.album))
        return NoHandover()
    }

    func finalize(
        _ task: RenderAlbum, handover: NoHandover, in context: FinalizeContext
    ) async throws -> RenderAlbum.Memo {
        var memo = RenderAlbum.Memo(thumbnails: 0, bytes: 0, failed: context.counts.failures)
        try context.forEachMemo(of: RenderThumbnail.self) { thumbnail in
            memo.thumbnails += 1
            memo.bytes += thumbnail.bytes
        }
        return memo
    }
}
