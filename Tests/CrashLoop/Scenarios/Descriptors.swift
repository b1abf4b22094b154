// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// A process may open few files: from none that are left when it starts to as many as it needs.
struct Descriptors: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "descriptors", abstract: "Limit the number of open files under load, as with ulimit -n.")
    @OptionGroup var options: LoopOptions

    func run(_ loop: inout Loop) throws {
        // A process that finds none for its libraries ends before it is one of ours, and one that finds none for the
        // epoll of its queues is trapped by libdispatch.
        loop.allowed = [.exit(127), .exit(99), .signal(SIGILL), .signal(SIGTRAP)]
        for _ in 0..<options.rounds {
            let limit = 4 + loop.random.below(29)
            // Raised again later on, where the system can.
            let service = try loop.start(limits: "ulimit -S -n \(limit)", loop.arguments())
            loop.run(service, milliseconds: 500)
            let wasRefused = service.count("r") > 0
            if service.isRunning, service.count("o") > 0, loop.random.once(in: 2),
                Shell.run("prlimit --pid \(service.identifier) --nofile=1024:").isDone
            {
                try loop.requireProgress(
                    service, wasRefused ? "allowed more files after a refusal" : "allowed more files")
            }
            try loop.killAndCompare(service)
            try loop.liftAndVerify()
        }
        try loop.drain()
    }
}
