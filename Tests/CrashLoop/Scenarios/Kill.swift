// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// SIGKILL at any moment, from inside of an opening to full load.
struct Kill: Scenario {
    static let configuration = CommandConfiguration(commandName: "kill", abstract: "Kill a service at any moment.")
    @OptionGroup var options: LoopOptions

    @Option(help: "Look at every byte of the store after this many rounds.")
    var verifyEvery = 5

    /// What retention leaves.
    private static let keep = 4000

    func run(_ loop: inout Loop) throws {
        // How long an opening takes here, in microseconds, as far as is known.
        var opening = 60_000
        for round in 1...options.rounds {
            var arguments: [String] = []
            if loop.random.once(in: 3) { arguments.append("--buffered") }
            switch loop.random.below(3) {
            case 0: arguments.append("--drops")
            case 1: arguments += ["--keep", "\(Self.keep)"]
            default: break
            }
            let delay = delay(opening, &loop.random)
            let begin = DispatchTime.now().uptimeNanoseconds
            let service = try loop.start(arguments)
            while service.isRunning {
                let elapsed = Int(DispatchTime.now().uptimeNanoseconds - begin) / 1000
                if service.count("o") == 0 { opening = max(opening * 15 / 16, min(elapsed, 500_000)) }
                if elapsed >= delay { break }
                usleep(useconds_t(max(20, min(500, delay - elapsed))))
            }
            guard service.isRunning else {
                try loop.end(service)
                throw Violation("the service ended before it was killed: \(loop.ledger.figures.failed)")
            }
            try loop.killAndCompare(service)
            if round % verifyEvery == 0 { try loop.verify() }
        }
        guard loop.ledger.figures.refused.isEmpty else {
            throw Violation("nothing was in the way, and this was refused: \(loop.ledger.figures.refused)")
        }
        try loop.drain()
    }

    /// A third of the kills fall into the opening and the moment behind it, the others into the load.
    private func delay(_ opening: Int, _ random: inout LoopRandom) -> Int {
        switch random.below(6) {
        case 0, 1: random.below(opening * 3 / 2)
        case 2: opening + random.below(20_000)
        case 3, 4: opening + random.below(150_000)
        default: opening + random.below(600_000)
        }
    }
}
