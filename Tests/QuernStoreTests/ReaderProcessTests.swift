// SPDX-License-Identifier: Apache-2.0
import BuiltPrograms
import Foundation
import Testing

/// Two processes at one store: `make readers` does for a minute what this does for a moment (S1, S11).
@Suite struct ReaderProcessTests {
    @Test("S1: a process that reads sees each parent's children from 1 to n, while another one writes and is killed")
    func twoProcesses() throws {
        let process = Process()
        process.executableURL = try BuiltProgram.url("storepair")
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
