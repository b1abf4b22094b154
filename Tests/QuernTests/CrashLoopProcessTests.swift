// SPDX-License-Identifier: Apache-2.0
import BuiltPrograms
import Foundation
import Testing

/// A service that is killed under load: `make crash-loop` does for minutes what this does for a moment.
@Suite("A service that is killed, as a process (S1, S4, T6)")
struct CrashLoopProcessTests {
    private static func run(_ arguments: String...) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = try BuiltProgram.url("crashloop")
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationReason == .exit ? process.terminationStatus : -1, text)
    }

    @Test(
        "S4, T6: what a service was told is there, and nothing is there twice, however its processes end",
        arguments: [("kill", "6"), ("filesize", "3"), ("descriptors", "3")])
    func scenarios(_ scenario: String, rounds: String) throws {
        let (status, text) = try Self.run(scenario, "--rounds", rounds)
        #expect(status == 0, "\(text)")
    }

    @Test("What nobody was told is missed", arguments: ["submit", "outcome", "drop", "value"])
    func inventions(_ invention: String) throws {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent("crash-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (status, text) = try Self.run(
            "filesize", "--rounds", "1", "--invent", invention, "--directory", directory.path)
        #expect(status == 1 && text.contains("VIOLATION with seed"), "\(text)")
    }
}
