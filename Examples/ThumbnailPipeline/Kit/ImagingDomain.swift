// SPDX-License-Identifier: Apache-2.0
public import Quern

/// The tasks that do the work on single photos.
public struct ImagingDomain: TaskDomain {
    public let name = "imaging"
    /// A photo that is still being copied is no image yet, and will be soon.
    public let options = TaskOptions(priority: 96, retry: .exponential(from: .seconds(1), attempts: 3))
    public let concurrency: Int?
    /// How many photos are rendered in a time; nil for no limit.
    private let rate: RateLimit?

    public init(concurrency: Int? = nil, rate: RateLimit? = nil) {
        self.concurrency = concurrency
        self.rate = rate
    }

    public func register(in registry: inout Registry) {
        registry.register(ThumbnailRenderer(), runsOn: .threads, rate: rate)
    }
}

/// Renders one photo.
public struct RenderThumbnail: DurableTask {
    public static let type: TaskType = "thumbnails.thumbnail"
    public var folder: String
    public var photo: String
    public var side: Int

    public struct Memo: FixedLayoutMemo, Equatable { public var pixels, bytes: UInt64 }
}

/// Why a photo has no thumbnail, in words that failures are grouped by.
struct PhotoFailure: DescribedFailure {
    var failureReason: String
    var failureDetail: String
}

struct ThumbnailRenderer: TaskHandler {
    func execute(_ task: RenderThumbnail, in context: TaskContext) async throws -> RenderThumbnail.Memo {
        let folder = PhotoFolder(task.folder)
        let path = task.folder + "/" + task.photo
        let bytes: [UInt8]
        do { bytes = try folder.read(task.photo) } catch {
            throw PermanentError(reason: "cannot be read", detail: path)
        }
        let photo: PixelImage
        do { photo = try PixelImage(ppm: bytes) } catch {
            throw PhotoFailure(failureReason: "no image", failureDetail: "\(path): \(error)")
        }
        let thumbnail = photo.scaled(toFit: task.side)
        let file = thumbnail.ppm
        try folder.write(file, to: "." + task.photo)
        return RenderThumbnail.Memo(
            pixels: UInt64(thumbnail.width * thumbnail.height), bytes: UInt64(file.count))
    }
}
