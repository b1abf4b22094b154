// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// A file system that fills up under load, and gets space again or is left full when the service is killed.
struct Full: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "full", abstract: "Fill the file system under load, and kill the service while it is full.")
    @OptionGroup var options: LoopOptions

    /// Rounds at one store, which grows with each.
    private static let roundsOfStore = 10
    private static let mebibytes = 16
    /// What is left at most to a service that opens.
    private static let roomKibibytes = 1500

    func run(_ loop: inout Loop) throws {
        var left = options.rounds
        while left > 0 {
            let count = min(left, Self.roundsOfStore)
            try runStore(&loop, rounds: count)
            left -= count
        }
        guard loop.ledger.figures.refused.keys.contains(where: { $0.hasPrefix("no space") }) else {
            throw Violation("nothing was refused for want of space")
        }
    }

    private func runStore(_ loop: inout Loop, rounds: Int) throws {
        let place = loop.directory.appendingPathComponent("full")
        let mount = try Mount(tmpfs: place, mebibytes: Self.mebibytes)
        loop.beginNewStore(at: place.appendingPathComponent("store"))
        let ballast = Ballast(place)
        var size = Self.mebibytes
        for round in 1...rounds {
            // Full when it opens, or in the middle of its work.
            let isEarly = loop.random.once(in: 3)
            if isEarly { try ballast.fill(leaving: loop.random.below(Self.roomKibibytes)) }
            let service = try loop.start(loop.random.once(in: 3) ? ["--drops"] : [])
            if !isEarly {
                _ = service.wait(for: "e", loop.random.below(2000), seconds: Loop.patience)
                try ballast.fill(leaving: 0)
            }
            // What is refused so soon may be an opening's.
            let isFull = service.wait(for: "r", 3, seconds: 5)
            loop.ledger.figures.events[isFull ? "full under load" : "had room enough", default: 0] += 1
            usleep(useconds_t(loop.random.below(50_000)))
            switch loop.random.below(3) {
            case 0: break
            case 1:
                try ballast.remove()
                if service.isRunning { try loop.requireProgress(service, "space was freed") }
            default:
                size = try widen(mount, size)
                if service.isRunning { try loop.requireProgress(service, "the file system grew") }
            }
            try loop.killAndCompare(service)
            if round % 5 == 0 { try loop.verify() }
            try ballast.remove()
        }
        _ = try widen(mount, size + 64)
        try loop.drain()
    }

    /// More than the ballast was, since a service that has found no space also has to get its reserve back.
    private func widen(_ mount: Mount, _ size: Int) throws -> Int {
        try mount.remount("size=\(size + 2)m")
        return size + 2
    }
}

/// A file that takes the space that others want.
private struct Ballast {
    private let place: URL
    private let file: URL

    init(_ place: URL) {
        self.place = place
        file = place.appendingPathComponent("ballast")
    }

    /// Takes all but so many KiB, as of now.
    func fill(leaving kibibytes: Int) throws {
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: place.path)
        let free = (attributes[.systemFreeSize] as? NSNumber)?.intValue ?? 0
        // The end of it fails for want of space, which is what is wanted.
        let count = max(0, free - (kibibytes << 10)) + (kibibytes == 0 ? 1 << 20 : 0)
        Shell.run("head -c \(count) /dev/zero > '\(file.path)'")
    }

    func remove() throws {
        if FileManager.default.fileExists(atPath: file.path) { try FileManager.default.removeItem(at: file) }
    }
}
