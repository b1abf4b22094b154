// SPDX-License-Identifier: Apache-2.0
import BuiltPrograms
import Foundation

/// The command as a process of its own.
enum ToolProcess {
    /// The program, which is built beside the tests.
    static func executable() throws -> URL { try BuiltProgram.url("quern") }

    /// Runs a line of the shell, in which `quern` is the program. Signals mean what they mean on a terminal, also when
    /// the tests run under nohup or in the background, where a shell could not stop ignoring them.
    static func shell(_ line: String) throws -> (status: Int32, output: String, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/perl")
        process.arguments = [
            "-e", "$SIG{$_} = 'DEFAULT' for qw(HUP INT QUIT TERM PIPE); exec @ARGV", "/bin/bash", "-c",
            "quern() { \"$QUERN\" \"$@\"; }; " + line,
        ]
        process.environment = ProcessInfo.processInfo.environment.merging(["QUERN": try executable().path]) { $1 }
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let problems = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: text, as: UTF8.self), String(decoding: problems, as: UTF8.self)
        )
    }
}
