// SPDX-License-Identifier: Apache-2.0
import Foundation
import Synchronization

/// The service as a process of its own, and what it has said so far.
final class ServiceProcess: Sendable {
    /// How a process ended.
    enum End: Equatable, CustomStringConvertible {
        case exit(Int32)
        case signal(Int32)

        var description: String {
            switch self {
            case .exit(let status): "status \(status)"
            case .signal(let number): "signal \(number)"
            }
        }
    }

    private struct Heard {
        var bytes: [UInt8] = []
        /// Lines by their first letter.
        var counts: [UInt8: Int] = [:]
        var isAtLineStart = true
        var hasEnded = false
    }

    private let process = Process()
    private let heard = Mutex(Heard())

    /// - Parameters:
    ///   - limits: what a shell says before it becomes the service, such as `ulimit -n 24`.
    ///   - arguments: those of `serve`.
    init(limits: String = "", _ arguments: [String]) throws {
        guard let executable = Bundle.main.executableURL else { throw CocoaError(.fileNoSuchFile) }
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        let setup = limits.isEmpty ? "" : "\(limits) || exit 99; "
        process.arguments = ["-c", setup + "exec \"$0\" \"$@\"", executable.path, "serve"] + arguments
        // One that has too little of something is not to wait for a process that has as little and prints a backtrace.
        process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = FileHandle.nullDevice
        try process.run()
        Thread.detachNewThread { [self] in
            while true {
                let data = pipe.fileHandleForReading.availableData
                if data.isEmpty { break }
                hear(data)
            }
            try? pipe.fileHandleForReading.close()
            heard.withLock { $0.hasEnded = true }
        }
    }

    private func hear(_ data: Data) {
        heard.withLock { heard in
            heard.bytes += data
            for byte in data {
                if heard.isAtLineStart { heard.counts[byte, default: 0] += 1 }
                heard.isAtLineStart = byte == UInt8(ascii: "\n")
            }
        }
    }

    var identifier: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// How many lines began with a letter.
    func count(_ letter: Character) -> Int {
        heard.withLock { $0.counts[letter.asciiValue ?? 0] ?? 0 }
    }

    func kill() { _ = signal(SIGKILL) }

    @discardableResult
    func signal(_ number: Int32) -> Int32 { systemKill(identifier, number) }

    /// Waits, for a bounded time, until so many lines with a letter were said, or the process ended.
    func wait(for letter: Character, _ wanted: Int, seconds: Double) -> Bool {
        let deadline = Date().addingTimeInterval(seconds)
        while count(letter) < wanted {
            if !isRunning || Date() > deadline { return count(letter) >= wanted }
            usleep(1000)
        }
        return true
    }

    /// How many bytes it has said so far.
    var said: Int { heard.withLock { $0.bytes.count } }

    /// Waits until the process has ended, and returns how, and all that it said; behind its first bytes only what it
    /// was refused.
    func end(first count: Int = .max) -> (End, [Acknowledgement], torn: Int) {
        process.waitUntilExit()
        while !heard.withLock({ $0.hasEnded }) { usleep(200) }
        let bytes = heard.withLock { $0.bytes }
        var (acknowledgements, torn) = Self.parse(bytes.prefix(count))
        if bytes.count > count { torn = 0 }
        acknowledgements += Self.parse(bytes.dropFirst(count)).0.filter {
            switch $0 {
            case .refused, .failed: true
            default: false
            }
        }
        let end: End =
            process.terminationReason == .exit
            ? .exit(process.terminationStatus) : .signal(process.terminationStatus)
        return (end, acknowledgements, torn)
    }

    private static func parse(_ bytes: ArraySlice<UInt8>) -> ([Acknowledgement], torn: Int) {
        var acknowledgements: [Acknowledgement] = []
        var torn = 0
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            if let acknowledgement = Acknowledgement(line) {
                acknowledgements.append(acknowledgement)
            } else {
                torn += 1
            }
        }
        return (acknowledgements, torn)
    }
}

private func systemKill(_ process: Int32, _ number: Int32) -> Int32 { kill(process, number) }
