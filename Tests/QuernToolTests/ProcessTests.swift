// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("quern as a process")
struct ProcessTests {
    @Test(
        "A wrong call ends with 2, help and version with 0, a store that is not there with 3",
        arguments: [
            ("quern frob", 2), ("quern info", 2), ("quern children /x 1 --layout u7", 2),
            ("quern tasks /x --state x", 2),
            ("quern --help", 0), ("quern help tree", 0), ("quern --version", 0), ("quern info /nowhere/at/all", 3),
            ("quern tasks /nowhere/at/all", 3),
        ] as [(String, Int32)])
    func statuses(_ line: String, _ status: Int32) throws {
        let ended = try ToolProcess.shell(line)
        #expect(ended.status == status)
        #expect(ended.output.isEmpty == (status != 0))
        #expect(ended.errors.isEmpty == (status == 0))
    }

    @Test("Whoever has read enough ends it without a word")
    func brokenPipe() throws {
        let store = try ToolStore.make()
        let line = "for i in {1..40}; do quern children \(store.path) 1 --json; done | head -n 1; echo ${PIPESTATUS[0]}"
        let ended = try ToolProcess.shell(line)
        #expect(ended.output.split(separator: "\n").count == 2)
        #expect(ended.output.hasSuffix("\n0\n"))
        #expect(ended.errors.isEmpty)
    }

    @Test(
        "What is found tells the exit status also when nobody reads of it",
        arguments: ["verify", "verify --json", "info", "tasks --json", "tree 1", "children 1 --json", "errors 1"])
    func unreadFindings(_ command: String) throws {
        let store = try ToolStore.make()
        let words = command.split(separator: " ", maxSplits: 1)
        let arguments = "\(words[0]) \(store.path) \(words.dropFirst().joined())"
        // The reader is gone for certain.
        let line = "exec 3> >(:); wait $!; quern \(arguments) >&3"
        #expect(try ToolProcess.shell(line).status == 0)
        try store.flip(try #require(try store.files("checkpoint").last), at: 300)
        let ended = try ToolProcess.shell(line)
        #expect(ended.status == 1)
        #expect(!ended.errors.contains("cannot write"))
    }

    @Test("Output that cannot be written is an error")
    func fullOutput() throws {
        let store = try ToolStore.make()
        let ended = try ToolProcess.shell("quern children \(store.path) 1 > /dev/full")
        #expect(ended.status == 3)
        #expect(ended.errors.hasPrefix("quern: cannot write: "))
    }

    @Test(
        "A file that may not grow is an error with its name, and nothing is left of it",
        .disabled(if: isThreadSanitized, "a process under the thread sanitizer dies of such a limit"))
    func fileSizeLimit() throws {
        let store = try ToolStore.make()
        let directory = try TemporaryDirectory()
        let ended = try ToolProcess.shell("ulimit -f 0; quern copy \(store.path) --into \(directory.path)/copy")
        #expect(ended.status == 3, "\(ended)")
        #expect(ended.errors.contains("File too large"), "\(ended)")
        #expect(try PosixFileSystem().list(directory.path) == [])
    }

    @Test("A bench that is interrupted leaves nothing behind", arguments: ["INT", "TERM"])
    func interrupted(_ signal: String) throws {
        let directory = try TemporaryDirectory()
        // Interrupted once it has begun to write.
        let ended = try ToolProcess.shell(
            "set -m; \"$QUERN\" bench \(directory.path) --children 100000000 & pid=$!; "
                + "until compgen -G '\(directory.path)/*/store' >/dev/null; do :; done; kill -\(signal) $pid; wait $pid"
        )
        #expect(ended.status == 130)
        #expect(ended.output.isEmpty)
        #expect(try PosixFileSystem().list(directory.path) == [])
    }
}

#if QUERN_THREAD_SANITIZER
    private let isThreadSanitized = true
#else
    private let isThreadSanitized = false
#endif
