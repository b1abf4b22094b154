// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import DirScanKit

/// The real command on real trees: what it counts, and what it prints.
@Suite struct ScanProcessTests {
    private let directory = TemporaryDirectory()
    private var store: PathBytes { directory.path.appending("store") }
    private var tree: PathBytes { directory.path.appending("tree") }

    @Test func totalsAreThoseOfAWalk() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 300, generator: &generator)
        directory.makeLink("tree/link", to: "d1")
        directory.makeLink("tree/dangling", to: "nowhere")
        let walk = Walk(tree)
        #expect((walk.directories, walk.files) == (300, 602), "\(generator)")

        let first = try scan(tree, store: store)
        #expect(first.directories == walk.directories && first.files == walk.files && first.bytes == walk.bytes)
        #expect(first.changes == [602, 0, 0] && first.failed == 0 && first.failures.isEmpty && !first.resumed)
        #expect(first.peakResidentBytes > 1 << 20 && first.finalizeSeconds <= first.seconds)

        let second = try scan(tree, store: store)
        #expect(second.changes == [0, 602, 0] && !second.resumed)
        #expect(second.directories == 300 && second.files == 602 && second.bytes == first.bytes)
    }

    @Test func changesInACopiedTreeAreCounted() throws {
        var generator = SeededGenerator()
        let paths = directory.makeTree("original", directories: 120, generator: &generator)
        try #require(Privileges.succeeds(["cp", "-a", "\(directory.path)/original", "\(tree)"]))
        #expect(try scan(tree, store: store).changes == [240, 0, 0])

        let chosen = paths.shuffled(using: &generator).map { "tree" + $0.dropFirst("original".count) }
        for path in chosen[0..<5] { directory.touch("\(path)/f0", seconds: 1_000_000_000, nanoseconds: 1) }
        for path in chosen[3..<10] { directory.makeFile("\(path)/new") }
        for path in chosen[8..<11] { directory.remove("\(path)/f1") }
        let third = try scan(tree, store: store)
        #expect(third.changes == [12, 232, 3], "\(generator)")
        #expect(third.directories == 120 && third.files == 244)
        #expect(try scan(tree, store: store).changes == [0, 244, 0])
    }

    @Test func filesOfDeletedDirectoriesAreDeleted() throws {
        for path in ["tree", "tree/kept", "tree/gone", "tree/gone/a", "tree/gone/a/b"] { directory.makeDirectory(path) }
        for path in ["tree/kept/1", "tree/gone/2", "tree/gone/3", "tree/gone/a/4", "tree/gone/a/b/5"] {
            directory.makeFile(path)
        }
        _ = try scan(tree, store: store)
        directory.removeTree("tree/gone")
        // A file where a directory was, and a directory where a file was.
        directory.makeFile("tree/gone")
        directory.remove("tree/kept/1")
        directory.makeDirectory("tree/kept/1")
        let result = try scan(tree, store: store)
        #expect(result.changes == [1, 0, 5] && result.directories == 3 && result.failed == 0)
    }

    @Test func namesOfAnyBytesEndToEnd() throws {
        let names: [[UInt8]] = [
            [0xFF, 0xFE], Array("new\nline".utf8), Array("back\\slash".utf8), [0xC3], Array(" ".utf8),
        ]
        directory.makeDirectory("tree")
        for name in names {
            let path = Array("tree/".utf8) + name
            directory.makeDirectory(path)
            directory.makeFile(path + Array("/".utf8) + name, size: 7)
        }
        let first = try scan(tree, store: store)
        #expect(first.directories == 6 && first.files == 5 && first.bytes == 35)
        #expect(try scan(tree, store: store).changes == [0, 5, 0])
    }

    @Test func argumentsOfAnyBytes() throws {
        let name: [UInt8] = [0xFF, 0x66, 0xC3]
        directory.makeDirectory(name)
        directory.makeFile(name + Array("/file".utf8))
        let tree = directory.path.appending(name)
        let store = directory.path.appending([0xFE, 0x0A, 0xE9])
        #expect(try scan(tree, store: store).changes == [1, 0, 0])
        #expect(try scan(tree, store: store).changes == [0, 1, 0])
        #expect(Walk(store).files > 0)
        #expect(try directory.names().count == 2)

        let text = DirScanCommand.start(tree, store: store, [])
        #expect(text.wait() == .exited(0))
        #expect(text.output.hasPrefix("\(directory.path)/\\xFFf\\xC3: 1 directories, 1 files, 0 bytes\n"))

        // In one argument with its option, and relative.
        let joined = DirScanCommand.start(
            [Array("--json".utf8), Array("--store=".utf8) + [0xFE, 0x0A, 0xE9], name],
            workingDirectory: directory.path)
        #expect(try joined.result().changes == [0, 1, 0])
        #expect(try directory.names().count == 2)
    }

    @Test func pathsBeyondTheKernelsLimit() throws {
        directory.makeDirectory("tree")
        let depth = 60
        try #require(DeepDirectory(at: tree, name: [UInt8](repeating: 0x64, count: 120), depth: depth).isComplete)
        let first = try scan(tree, store: store)
        #expect(first.directories == UInt64(depth) + 1 && first.files == UInt64(depth) && first.failed == 0)
        #expect(try scan(tree, store: store).changes == [0, UInt64(depth), 0])
    }

    @Test func oneTreeHoweverItIsNamed() throws {
        directory.makeDirectory("tree")
        directory.makeDirectory("tree/sub")
        directory.makeFile("tree/sub/file")
        directory.makeLink("link", to: "tree")
        _ = try scan(tree, store: store)
        for name in ["tree/", "./tree//sub/..", "link", "link/."] {
            let command = DirScanCommand.start(
                PathBytes(name), store: PathBytes("store"), workingDirectory: directory.path)
            #expect(try command.result().changes == [0, 1, 0], "\(name)")
        }
        let command = DirScanCommand.start(PathBytes("."), store: PathBytes("../store"), workingDirectory: tree)
        #expect(try command.result().changes == [0, 1, 0])
    }

    @Test func anEmptyDirectory() throws {
        directory.makeDirectory("tree")
        for _ in 0..<2 {
            let result = try scan(tree, store: store)
            #expect(result.directories == 1 && result.files == 0 && result.changes == [0, 0, 0])
        }
    }

    @Test func anotherRootIsNotCompared() throws {
        for tree in ["tree", "other"] {
            directory.makeDirectory(tree)
            directory.makeFile("\(tree)/file")
        }
        #expect(try scan(tree, store: store).changes == [1, 0, 0])
        #expect(try scan(directory.path.appending("other"), store: store).changes == [1, 0, 0])
    }

    @Test func theStoreInsideTheTree() throws {
        directory.makeDirectory("tree")
        directory.makeFile("tree/file")
        for round in 0..<4 {
            let result = try scan(tree, store: tree.appending("store"))
            #expect(result.failed == 0 && result.directories == 4, "round \(round)")
        }
    }

    @Test(arguments: ["1", "256"]) func concurrency(_ limit: String) throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 150, generator: &generator)
        #expect(try scan(tree, store: store, ["--json", "--concurrency", limit]).changes == [300, 0, 0])
    }

    @Test func jsonHasExactlyItsKeys() throws {
        directory.makeDirectory("tree")
        let command = DirScanCommand.start(tree, store: store)
        #expect(command.wait() == .exited(0) && command.error.isEmpty)
        #expect(command.output.hasSuffix("}\n") && command.output.filter { $0 == "\n" }.count == 1)
        let object = try JSONSerialization.jsonObject(with: Data(command.output.utf8)) as? [String: Any]
        #expect(
            object.map { Set($0.keys) } == [
                "directories", "files", "bytes", "discovered", "skipped", "deleted", "failed", "failures", "resumed",
                "seconds", "finalizeSeconds", "peakResidentBytes",
            ])
    }

    @Test func theReportIsAllThatIsPrinted() throws {
        directory.makeDirectory("tree")
        directory.makeFile("tree/file", size: 12)
        let command = DirScanCommand.start(tree, store: store, [])
        #expect(command.wait() == .exited(0) && command.error.isEmpty)
        let lines = command.output.split(separator: "\n", omittingEmptySubsequences: false)
        try #require(lines.count == 4)
        #expect(lines[0] == "\(tree): 1 directories, 1 files, 12 bytes")
        #expect(lines[1] == "1 discovered, 0 skipped, 0 deleted")
        #expect(lines[2].contains(" s (finalize ") && lines[2].hasSuffix(" MiB") && lines[3].isEmpty)
    }

    @Test(.enabled(if: Privileges.canMount)) func oneFileSystem() throws {
        directory.makeDirectory("tree")
        directory.makeDirectory("tree/mount")
        directory.makeFile("tree/file")
        let mount = try #require(TemporaryMount(on: tree.appending("mount")))
        defer { mount.remove() }
        directory.makeDirectory("tree/mount/inside")
        directory.makeFile("tree/mount/inside/file")

        let all = try scan(tree, store: store)
        #expect(all.directories == 3 && all.changes == [2, 0, 0])
        let one = try scan(tree, store: store, ["--json", "--one-file-system"])
        #expect(one.directories == 1 && one.files == 1 && one.changes == [0, 1, 0])
        // What was left out is neither deleted nor forgotten.
        #expect(try scan(tree, store: store).changes == [0, 2, 0])
    }
}
