// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// A file system that turns read-only or fails as a whole under load, and one that is read-only when the service opens
/// its store.
///
/// The kernel refuses `remount,ro` while files are open for writing. What does happen to a service is that its file
/// system gives up: ext4 does so by itself when its journal fails, and on demand with `remount,abort`. What is synced
/// in that moment counts for nothing: `fdatasync` then says "done" of bytes that are gone when it is mounted again, as
/// twenty lines without a store show that write, sync and print. So what was told before it is what must be there.
/// One that is shut down, as a disk is that is pulled out, keeps to what its syncs have said.
struct ReadOnly: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "readonly", abstract: "Have the file system turn read-only, or fail, under load.")
    @OptionGroup var options: LoopOptions

    private static let mebibytes = 192
    private static let roundsOfStore = 10

    func run(_ loop: inout Loop) throws {
        var left = options.rounds
        while left > 0 {
            let count = min(left, Self.roundsOfStore)
            let place = loop.directory.appendingPathComponent("readonly")
            let mount = try Mount(ext4: place, mebibytes: Self.mebibytes)
            loop.beginNewStore(at: place.appendingPathComponent("store"))
            for _ in 0..<count { try round(&loop, mount) }
            try loop.drain()
            left -= count
        }
    }

    private func round(_ loop: inout Loop, _ mount: Mount) throws {
        let service = try loop.start()
        _ = service.wait(for: "e", 20 + loop.random.below(3000), seconds: Loop.patience)
        switch loop.random.below(3) {
        case 0:
            loop.ledger.figures.events["turned read-only under load", default: 0] += 1
            let said = service.said
            try mount.remount("abort")
            try fail(service, first: said, &loop)
            // What was committed is seen while nothing can be written, too, and beside it what is in memory alone.
            let ledger = loop.ledger
            try loop.compare()
            loop.ledger = ledger
            try mount.mountAgain()
        case 1:
            loop.ledger.figures.events["shut down under load", default: 0] += 1
            try mount.shutDown()
            try fail(service, first: .max, &loop)
            try mount.mountAgain()
        default:
            loop.ledger.figures.events["opened read-only", default: 0] += 1
            try loop.killAndCompare(service)
            try mount.remount("ro")
            try loop.compare()
            try loop.verify()
            let refused = try loop.service([])
            guard try loop.end(refused) == .exit(Serve.failed) else {
                throw Violation("a service opened a store on a read-only file system")
            }
            try mount.remount("rw")
        }
        try loop.compare()
        try loop.verify()
    }

    /// A service whose file system fails says so and ends, or is killed by then.
    ///
    /// - Parameter said: how many bytes of what it says count.
    private func fail(_ service: ServiceProcess, first said: Int, _ loop: inout Loop) throws {
        if loop.random.once(in: 3) {
            usleep(useconds_t(loop.random.below(30_000)))
            service.kill()
            loop.ledger.figures.kills += 1
        } else {
            let deadline = Date().addingTimeInterval(Loop.patience)
            while service.isRunning, Date() < deadline { usleep(1000) }
            guard !service.isRunning else { throw Violation("the file system has failed, and the service goes on") }
        }
        try loop.end(service, first: said)
    }
}
