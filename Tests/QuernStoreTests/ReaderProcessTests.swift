// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

/// Two processes at one store: `make readers` does for a minute what this does for a moment (S1, S11).
@Suite struct ReaderProcessTests {
    /// `storepair`, which stands beside the test bundle; which of the arguments tells where that is depends on how the
    /// tests are run.
    private static func executable() throws -> URL {
        let arguments = CommandLine.arguments
        let bundle = arguments.firstIndex(of: "--test-bundle-path").flatMap { arguments.dropFirst($0 + 1).first }
        for path in [bundle, arguments.first].compactMap(\.self) {
            var place = URL(fileURLWithPath: path).resolvingSymlinksInPath()
            while place.path != "/" {
                place.deleteLastPathComponent()
                let candidate = place.appendingPathComponent("storepair")
                if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
            }
        }
        throw CocoaError(.fileNoSuchFile)
    }

    @Test("S1: a process that reads sees each parent's children from 1 to n, while another one writes and is killed")
    func twoProcesses() throws {
        let process = Process()
        process.executableURL = try Self.executable()
        process.arguments = ["run", "--transactions", "2500"]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 0, "\(text)")
    }
}
