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
    private static let mebibytes = 6
    private static let ballastMebibytes = 3

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
        var size = Self.mebibytes
        for round in 1...rounds {
            let ballast = place.appendingPathComponent("ballast")
            if loop.random.once(in: 2) {
                // As much as fits: it may fill the file system by itself.
                let count = 1 + loop.random.below(Self.ballastMebibytes)
                Shell.run("head -c \(count)M /dev/zero > '\(ballast.path)'")
            }
            let service = try loop.start(loop.random.once(in: 3) ? ["--drops"] : [])
            if fill(service) {
                loop.ledger.figures.events["full under load", default: 0] += 1
                usleep(useconds_t(loop.random.below(50_000)))
                switch loop.random.below(3) {
                case 0: break
                case 1 where FileManager.default.fileExists(atPath: ballast.path):
                    try FileManager.default.removeItem(at: ballast)
                    size = try widen(mount, size)
                    try loop.requireProgress(service, "space was freed")
                default:
                    size = try widen(mount, size)
                    try loop.requireProgress(service, "the file system grew")
                }
            }
            try loop.killAndCompare(service)
            if round % 5 == 0 { try loop.verify() }
            try? FileManager.default.removeItem(at: ballast)
        }
        _ = try widen(mount, size + 64)
        try loop.drain()
    }

    /// Waits until space is refused, or the service has ended. Returns whether it was.
    private func fill(_ service: ServiceProcess) -> Bool {
        // What is refused so soon may be an opening's; the moment is drawn by the machine.
        service.wait(for: "r", 3, seconds: Loop.patience)
    }

    /// More than the ballast was, since a service that has found no space also has to get its reserve back.
    private func widen(_ mount: Mount, _ size: Int) throws -> Int {
        try mount.remount("size=\(size + 2)m")
        return size + 2
    }
}
