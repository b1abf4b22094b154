// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation

/// Less memory than the load needs: by address space, where each request may be refused, or by a group whose processes
/// the kernel kills.
struct Memory: Scenario {
    static let configuration = CommandConfiguration(
        commandName: "memory", abstract: "Limit the memory under load, as with ulimit -v, or by a control group.")
    @OptionGroup var options: LoopOptions

    private static let groups = "/sys/fs/cgroup/memory"

    func run(_ loop: inout Loop) throws {
        // What a process ends with that gets no memory: Swift's runtime traps, C++'s and the loader give up.
        loop.allowed = [
            .signal(SIGILL), .signal(SIGTRAP), .signal(SIGABRT), .signal(SIGSEGV), .signal(SIGBUS), .exit(127),
            .exit(1), .exit(99),
        ]
        let needed = try measure(&loop)
        let group = makeGroup(&loop)
        defer { if let group { Shell.run("rmdir '\(group)'") } }
        for _ in 0..<options.rounds {
            var limits: String
            if let group, loop.random.once(in: 2) {
                let kibibytes = needed.resident / 4 + loop.random.below(needed.resident)
                limits = "echo \(kibibytes)k > '\(group)/memory.limit_in_bytes'; echo $$ > '\(group)/tasks'"
            } else {
                let kibibytes = needed.virtual / 8 + loop.random.below(needed.virtual)
                limits = "ulimit -v \(kibibytes)"
            }
            let service = try loop.start(limits: limits, loop.arguments())
            loop.run(service, milliseconds: 500)
            if !service.isRunning {
                let isEarly = service.count("o") == 0
                loop.ledger.figures.events["ended for want of memory" + (isEarly ? " in opening" : ""), default: 0] += 1
            }
            try loop.killAndCompare(service)
            try loop.liftAndVerify()
        }
        try loop.drain()
    }

    /// What the load takes when nothing is in its way, in KiB.
    private func measure(_ loop: inout Loop) throws -> (virtual: Int, resident: Int) {
        let service = try loop.service([])
        _ = service.wait(for: "e", 2000, seconds: Loop.patience)
        let status = (try? String(contentsOfFile: "/proc/\(service.identifier)/status", encoding: .utf8)) ?? ""
        func figure(_ name: String) -> Int? {
            status.split(separator: "\n").first { $0.hasPrefix("\(name):") }
                .flatMap { Int($0.split(whereSeparator: \.isWhitespace)[1]) }
        }
        try loop.killAndCompare(service)
        guard let virtual = figure("VmPeak"), let resident = figure("VmHWM") else {
            throw LeftOut("the system does not say what memory a process has")
        }
        return (virtual, resident)
    }

    private func makeGroup(_ loop: inout Loop) -> String? {
        let group = "\(Self.groups)/\(loop.directory.lastPathComponent)"
        guard Shell.run("test -e '\(Self.groups)/memory.limit_in_bytes' && mkdir '\(group)'").isDone else {
            loop.ledger.figures.events["no control group can be made here", default: 0] += 1
            return nil
        }
        return group
    }
}
