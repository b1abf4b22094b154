// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Commands of the system, for what only those can do.
enum Shell {
    /// Runs a line of a shell. Returns whether it ended with 0, and what it said.
    @discardableResult
    static func run(_ line: String) -> (isDone: Bool, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", line]
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        do { try process.run() } catch { return (false, "\(error)") }
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let isDone = process.terminationReason == .exit && process.terminationStatus == 0
        return (isDone, output.trimmingCharacters(in: .whitespacesAndNewlines))
    }

    /// Runs a line that must succeed.
    static func require(_ line: String) throws {
        let (isDone, output) = run(line)
        if !isDone { throw Violation("\(line): \(output)") }
    }
}
