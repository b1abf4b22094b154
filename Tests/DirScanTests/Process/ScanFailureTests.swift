// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What goes wrong with directories: the rest is scanned, and the report names them.
@Suite struct ScanFailureTests {
    private let directory = TemporaryDirectory()
    private var store: PathBytes { directory.path.appending("private/store") }
    private var tree: PathBytes { directory.path.appending("tree") }

    /// Scans as a user who may not read everything, with a copy of the command that this user can reach.
    private func start(_ options: [String] = ["--json"]) throws -> ChildProcess {
        let home = directory.path.appending("private")
        let command = home.appending("dirscan")
        if try !directory.names().contains("private") {
            directory.makeDirectory("private")
            try #require(Privileges.succeeds(["cp", "\(DirScanCommand.executable)", "\(command)"]))
            check(home.withCString { chown($0, 65534, 65534) })
            check(directory.path.withCString { chmod($0, 0o755) })
        }
        return DirScanCommand.start(tree, store: store, options, launcher: Privileges.nobody, executable: command)
    }

    @Test(.enabled(if: Privileges.canBecomeNobody)) func unreadableDirectories() throws {
        for path in ["tree", "tree/open", "tree/shut", "tree/shut/below", "tree/locked"] {
            directory.makeDirectory(path)
        }
        for path in ["open/1", "shut/2", "shut/below/3", "locked/4"] { directory.makeFile("tree/\(path)") }
        #expect(try start().result().changes == [4, 0, 0])

        // One that may not be listed, and one that may be listed and not looked into.
        directory.changeMode("tree/shut", 0o311)
        directory.changeMode("tree/locked", 0o644)
        let result = try start().result(3)
        #expect(result.directories == 2 && result.files == 1 && result.failed == 2)
        // What nobody could look at is not called deleted.
        #expect(result.changes == [0, 1, 0])
        try #require(result.failures.count == 1)
        #expect(result.failures[0].reason == "permission denied" && result.failures[0].count == 2)
        #expect(result.failures[0].samples.sorted() == ["\(tree)/locked", "\(tree)/shut"])

        let text = try start([])
        #expect(text.wait() == .exited(3) && text.error.isEmpty)
        let lines = text.output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(
            lines.contains("2 of 4 directories failed: permission denied: \(tree)/locked, \(tree)/shut")
                || lines.contains("2 of 4 directories failed: permission denied: \(tree)/shut, \(tree)/locked"))

        directory.changeMode("tree/shut", 0o755)
        directory.changeMode("tree/locked", 0o755)
        #expect(try start().result().changes == [0, 4, 0])
    }

    @Test(.enabled(if: Privileges.canBecomeNobody)) func anUnreadableRoot() throws {
        directory.makeDirectory("tree")
        directory.changeMode("tree", 0o300)
        let result = try start().result(3)
        #expect(result.directories == 0 && result.failed == 1)
        #expect(
            result.failures == [ScanResult.Failure(reason: "permission denied", count: 1, samples: ["\(tree)"])])
    }

    /// The path is too long to be kept whole with the failure; what lies below must not be called deleted for that.
    @Test(.enabled(if: Privileges.canBecomeNobody)) func anUnreadableDirectoryFarDown() throws {
        directory.makeDirectory("tree")
        let deep = DeepDirectory(at: tree, name: [UInt8](repeating: 0x78, count: 240), depth: 25)
        let shut = fcntl(deep.descriptor, F_DUPFD_CLOEXEC, 0)
        defer { close(shut) }
        for _ in 0..<3 { deep.enter(Array("below".utf8)) }
        try #require(deep.isComplete)
        #expect(try start().result().changes == [28, 0, 0])

        check(fchmod(shut, 0o000))
        let result = try start().result(3)
        #expect(result.failed == 1 && result.changes == [0, 24, 0])
        let sample = result.failures.first?.samples.first ?? ""
        #expect(sample.hasPrefix("\(tree)/xxx") && sample.contains("x \\... /") && sample.hasSuffix("xxx"))
        check(fchmod(shut, 0o755))
        #expect(try start().result().changes == [0, 28, 0])
    }

    @Test func aTreeThatChangesMeanwhile() throws {
        var generator = SeededGenerator()
        let paths = directory.makeTree("tree", directories: 600, generator: &generator)
        let command = DirScanCommand.start(tree, store: directory.path.appending("store"))
        // Directories go while they wait for their turn: that is no failure.
        if command.runs(until: { directory.size(of: "store/tasks") > 0 }) {
            for path in paths[500...].reversed() { directory.removeTree(path) }
        }
        let result = try command.result()
        #expect(result.failed == 0 && (500...600).contains(result.directories), "\(generator)")
        let next = try scan(tree, store: directory.path.appending("store"))
        #expect(next.directories == 500 && next.changes == [0, 1000, result.files - 1000], "\(generator)")
    }
}
