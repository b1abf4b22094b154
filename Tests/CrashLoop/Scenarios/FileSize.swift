// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// No file may be larger than a limit. A service that ignores SIGXFSZ gets an error and says so, another one dies.
struct FileSize: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "filesize", abstract: "Limit the size of files under load, as with ulimit -f.")
    @OptionGroup var options: LoopOptions

    func run(_ loop: inout Loop) throws {
        loop.allowed = [.signal(SIGXFSZ)]
        for _ in 0..<options.rounds {
            // In blocks of 512 bytes; log segments end at a mebibyte, index segments at half of one.
            let blocks = 1 << loop.random.below(12) + loop.random.below(256)
            let ignores = loop.random.once(in: 2)
            let service = try loop.start(
                limits: (ignores ? "trap '' XFSZ && " : "") + "ulimit -f \(blocks)", loop.arguments())
            loop.run(service, milliseconds: 400)
            let isOver = !service.isRunning
            try loop.killAndCompare(service)
            if isOver { loop.ledger.figures.events["at the limit", default: 0] += 1 }
            try loop.liftAndVerify()
        }
        try loop.drain()
    }
}

extension Loop {
    /// How a service is to be run.
    mutating func arguments() -> [String] {
        switch random.below(3) {
        case 0: ["--drops"]
        case 1: ["--keep", "2000"]
        default: []
        }
    }

    /// Lets a service run for a random while, or until it ends.
    mutating func run(_ service: ServiceProcess, milliseconds: Int) {
        let deadline = Date().addingTimeInterval(Double(random.below(milliseconds)) / 1000)
        while service.isRunning, Date() < deadline { usleep(500) }
    }

    /// Now and then a service without a limit has to go on, and all is looked at.
    mutating func liftAndVerify() throws {
        guard random.once(in: 4) else { return }
        let service = try service(arguments())
        try requireProgress(service, "opened without the limit")
        try killAndCompare(service)
        try verify()
    }
}
