// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import Synchronization
import SystemPackage
import Testing

@testable import QuernStore
@testable import QuernTool

@Suite("Commands that are interrupted (S7)")
struct InterruptionTests {
    /// Says that somebody wants an end from a certain look on.
    private final class Impatience: Sendable {
        private let looks: Atomic<Int>
        init(after looks: Int) { self.looks = Atomic(looks) }
        var isOver: Bool { looks.wrappingSubtract(1, ordering: .relaxed).newValue < 0 }

        func fileSystem(on files: any FileSystem = PosixFileSystem()) -> InterruptibleFileSystem {
            InterruptibleFileSystem(files) { self.isOver }
        }
    }

    /// Interrupts the work at each of its calls in turn, until it ends by itself.
    private static func atEachCall(_ work: (InterruptibleFileSystem) throws -> Void, _ check: () throws -> Void) throws
    {
        var looks = 0
        while true {
            do {
                try work(Impatience(after: looks).fileSystem())
                break
            } catch {
                try check()
                looks += 1
            }
        }
        #expect(looks > 3)
    }

    @Test("Interrupted at any call, what makes a store leaves nothing", arguments: ["build", "copy"])
    func stores(_ work: String) throws {
        let store = try ToolStore.make()
        let target = store.directory.path.appending("target")
        try Self.atEachCall { files in
            if work == "copy" {
                _ = try StoreCopy.run(of: store.path, into: target, isLive: true, fileSystem: files)
            } else {
                var contents = try OfflineContents(of: try OfflineStore.read(at: store.path), for: .whole)
                try StoreBuilder.build(at: target, fileSystem: files) { try contents.tell(&$0) }
            }
        } _: {
            let left = (try? PosixFileSystem().list(target)) ?? []
            #expect(left.isEmpty)
        }
        #expect(try StoreVerifier.verify(at: target).findings == [])
    }

    @Test("Interrupted at any call, a file that is written is not there, and nothing beside it")
    func files() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("tasks.jsonl")
        try Self.atEachCall { files in
            try OutputFile(path, files: files).write { output in
                for index in 0..<3 {
                    try output.line("line \(index)")
                    try output.flush()
                }
            }
        } _: {
            let left = try PosixFileSystem().list(directory.path)
            #expect(left.isEmpty)
        }
        #expect(try PosixFileSystem().list(directory.path) == ["tasks.jsonl"])
    }

    @Test("A file that a killed command left is named, and not taken for a whole one")
    func partialFile() throws {
        let store = try ToolStore.make()
        let path = store.directory.path.appending("tasks.jsonl")
        _ = try PosixFileSystem().open(FilePath(path.string + ".partial"), .createNew)
        let refused = try store.run("export", "--output", path.string)
        #expect(refused.status == .unreadable)
        #expect(refused.warnings.first?.contains("remove \(path).partial") == true)
        try PosixFileSystem().remove(FilePath(path.string + ".partial"))
        #expect(try store.run("export", "--output", path.string).status == .fine)
        #expect(try store.run("export", "--output", path.string).warnings.first?.contains("File exists") == true)
    }

    @Test(
        "Ctrl-C, a kill or the end of a terminal end an import that waits for input, and nothing is left",
        arguments: ["INT", "TERM", "HUP"])
    func waiting(_ signal: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path
        let ended = try ToolProcess.shell(
            """
            set -m; mkfifo \(path)/input; exec 3<>\(path)/input; \
            "$QUERN" import - --into \(path)/store <\(path)/input 2>\(path)/errors & pid=$!; \
            until [ -e \(path)/store/LOCK ] || ! kill -0 $pid; do :; done; kill -\(signal) $pid; wait $pid
            """)
        #expect(ended.status == 130)
        #expect(try PosixFileSystem().list(path.appending("store")).isEmpty)
        #expect(try ToolProcess.shell("cat \(path)/errors").output == "quern: interrupted\n")
    }

    @Test("Under nohup the end of the terminal ends nothing")
    func nohup() throws {
        let store = try ToolStore.make()
        let path = store.directory.path
        let ended = try ToolProcess.shell(
            """
            quern export \(store.path) --output \(path)/tasks.jsonl; \
            mkfifo \(path)/input; exec 3<>\(path)/input; \
            (trap '' HUP; exec "$QUERN" import - --into \(path)/copy <\(path)/input 3>&-) & pid=$!; \
            until [ -e \(path)/copy/LOCK ] || ! kill -0 $pid; do :; done; kill -HUP $pid; \
            cat \(path)/tasks.jsonl >&3; exec 3>&-; wait $pid
            """)
        #expect(ended.status == 0, "\(ended)")
    }
}
