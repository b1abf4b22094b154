// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore
import ServiceLifecycle
import SystemPackage
import ThumbnailKit

/// Renders thumbnails of a photo library: three levels of tasks, two domains, retries, a rate limit, a nightly run.
@main
struct Thumbnails: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "thumbnails",
        abstract: "Render a thumbnail of each .ppm photo of a library, a folder an album.")

    @Argument(help: "The library: a folder of folders of .ppm files.")
    var library: String

    @Option(help: "Where the tasks are kept.")
    var store = ".thumbnails.quern"

    @Option(help: "The longest side of a thumbnail, in pixels.")
    var side = 64

    @Option(help: "Photos a second at most.")
    var rate: UInt32?

    @Option(help: "Cancel an album as soon as it is known how many photos it has.")
    var cancel: String?

    @Option(help: "Stay, and render the library anew at the times of a cron expression, such as \"0 3 * * *\".")
    var cron: String?

    func run() async throws {
        let scheduler = try await TaskScheduler(storeAt: FilePath(store)) {
            try $0.register(domain: LibraryDomain())
            try $0.register(domain: ImagingDomain(rate: rate.map { RateLimit($0, per: .seconds(1)) }))
        }
        let service = Task { try await scheduler.run() }
        let work = RenderLibrary(root: library, side: side)
        let canceller = cancel.map { album in Task { try await cancel(album, in: scheduler) } }
        // One run at a time: who asks again waits for the one that is under way.
        let handle = try await scheduler.submit(work, options: TaskOptions(key: library))
        let memo = try await handle.memo()
        canceller?.cancel()
        print(
            "\(memo.thumbnails) thumbnails of \(memo.albums) albums, \(memo.bytes) bytes; "
                + "\(memo.failed) photos failed, \(memo.cancelledAlbums) albums were cancelled")
        if let cron {
            try await scheduler.schedule("nightly", work, try .cron(cron))
            print("next run: \(scheduler.schedules.first?.nextDue.map { "\($0.rawValue) ms" } ?? "never")")
        } else {
            scheduler.triggerGracefulShutdown()
        }
        try await service.value
    }

    private func cancel(_ album: String, in scheduler: TaskScheduler) async throws {
        for await event in scheduler.events(of: [RenderAlbum.type]) where event.kind == .waitsForChildren {
            let handle = scheduler.handle(for: event.task, of: RenderAlbum.self)
            if try await handle.task().album == album { _ = try await scheduler.cancel(event.task) }
        }
    }
}
