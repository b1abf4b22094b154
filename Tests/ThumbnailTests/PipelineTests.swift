// SPDX-License-Identifier: Apache-2.0
import Quern
import QuernStore
import QuernTesting
import SystemPackage
import Testing
import ThumbnailKit

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

@Suite("The thumbnail pipeline, on real files", .timeLimit(.minutes(15)))
struct PipelineTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private var root: String { directory.path.string }

    private func image(_ width: Int, _ height: Int, seed: UInt64 = 1) throws -> PixelImage {
        var generator = SeededGenerator(seed: seed)
        let pixels = (0..<(3 * width * height)).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return try PixelImage(width: width, height: height, pixels: pixels)
    }

    /// Albums of so many photos each.
    private func makeLibrary(_ albums: [String: Int]) throws {
        for (album, count) in albums {
            try FileManager.default.createDirectory(atPath: root + "/" + album, withIntermediateDirectories: false)
            for number in 0..<count {
                let photo = try image(100 + number, 80, seed: UInt64(number))
                try PhotoFolder(root + "/" + album).write(photo.ppm, to: "\(number).ppm")
            }
        }
    }

    private func scheduler(
        files: SimulatedFileSystem = SimulatedFileSystem(), now: Timestamp = Timestamp(milliseconds: 1_750_000_000_000),
        rate: RateLimit? = nil
    ) async throws -> TestScheduler {
        try await TestScheduler(files: files, now: now) {
            try $0.register(domain: LibraryDomain())
            try $0.register(domain: ImagingDomain(rate: rate))
        }
    }

    @Test("Each photo of each album gets a thumbnail, and the library adds them up")
    func wholeLibrary() async throws {
        try makeLibrary(["a": 3, "b": 5, "empty": 0])
        let test = try await scheduler()
        let handle = try await test.scheduler.submit(RenderLibrary(root: root, side: 16))
        await test.runUntilIdle()
        let memo = try await handle.memo()
        #expect(memo.albums == 3)
        #expect(memo.thumbnails == 8)
        #expect(memo.failed == 0)
        let thumbnail = try PixelImage(ppm: PhotoFolder(root + "/b").read(".4.ppm"))
        #expect(thumbnail == (try image(104, 80, seed: 4)).scaled(toFit: 16))
        #expect(thumbnail.width == 16)
        try await test.stop()
    }

    @Test("A photo that is still being copied is tried again; one that is no image fails alone")
    func retries() async throws {
        try makeLibrary(["a": 2])
        let folder = PhotoFolder(root + "/a")
        let whole = try image(50, 50).ppm
        try folder.write(Array(whole.prefix(1000)), to: "copied.ppm")
        try folder.write(Array("no image".utf8), to: "text.ppm")
        let test = try await scheduler()
        let handle = try await test.scheduler.submit(RenderLibrary(root: root))
        await test.runUntilIdle()
        #expect(test.scheduler.statistics.delayed == 2)
        try folder.write(whole, to: "copied.ppm")
        await test.advance(by: .seconds(60))
        let memo = try await handle.memo()
        #expect(memo.thumbnails == 3)
        #expect(memo.failed == 1)
        let statistics = try #require(test.scheduler.statistics(of: RenderThumbnail.type))
        #expect(statistics.ended.deadLettered == 1)
        #expect(statistics.retries == 3)
        try await test.stop()
    }

    @Test("An album that is cancelled in the middle does not keep the others from ending")
    func cancelled() async throws {
        try makeLibrary(["a": 4, "b": 4])
        let test = try await scheduler(rate: RateLimit(1, per: .seconds(1), burst: 1))
        let events = test.scheduler.events(of: [RenderAlbum.type])
        let handle = try await test.scheduler.submit(RenderLibrary(root: root))
        await test.advance(by: .seconds(2))
        var albums: [TaskID] = []
        for await event in events where event.kind == .waitsForChildren {
            albums.append(event.task)
            if albums.count == 2 { break }
        }
        #expect(try await test.scheduler.cancel(albums[0]))
        await test.advance(by: .seconds(20))
        let memo = try await handle.memo()
        #expect(memo.albums == 1)
        #expect(memo.cancelledAlbums == 1)
        #expect(memo.thumbnails == 4)
        try await test.stop()
    }

    @Test("The nightly run comes at three, also when the process was down in between, and no more often")
    func nightly() async throws {
        try makeLibrary(["a": 1])
        let work = RenderLibrary(root: root)
        let first = try await scheduler()
        try await first.scheduler.schedule("nightly", work, .cron("0 3 * * *"))
        await first.advance(by: .seconds(86_400))
        #expect(first.scheduler.statistics(of: RenderLibrary.type)?.ended.completed == 1)
        try await first.stop()
        let later = Timestamp(milliseconds: first.clock.now.rawValue + 3 * 86_400_000)
        let second = try await scheduler(files: first.files, now: later)
        try await second.scheduler.schedule("nightly", work, .cron("0 3 * * *"))
        await second.runUntilIdle()
        #expect(second.scheduler.statistics(of: RenderLibrary.type)?.ended.completed == 1)
        try await second.stop()
    }

    @Test("Bytes that are no image are refused, whatever they say of their size")
    func hostileImages() {
        for text in ["", "P6", "P6 1", "P6 99999 99999 255\nabc", "P6 1 1 255", "P6 0 0 255\n", "P6 1 1 65535\nabcdef"]
        {
            #expect(throws: PixelImage.FormatError.self) { try PixelImage(ppm: Array(text.utf8)) }
        }
    }
}
