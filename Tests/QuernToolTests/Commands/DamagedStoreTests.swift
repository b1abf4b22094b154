// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore
@testable import QuernTool

@Suite("Looking into damaged stores")
struct DamagedStoreTests {
    private static let commands = [
        ["tasks", "--ended", "--json"], ["show", "7", "--json"], ["show", "1", "--json"], ["tree", "0", "--json"],
        ["children", "1", "--json"], ["errors", "1", "--json"], ["children", "0"], ["tree", "1"],
    ]

    @Test("A block that is damaged is told with its file and its loss, and all other children are printed")
    func lostBlock() throws {
        let store = try ToolStore.make(ToolStore.small)
        let whole = try store.run("children", "1", "--json")
        #expect(whole.lines.count == 170)
        let read = try OfflineStore.read(at: store.path)
        let segment = try #require(read.segments.first)
        let entry = try #require(try segment.entries(of: TaskID(1)).first)
        // Small blocks share a frame.
        let lost = try segment.entries(of: TaskID(1)).filter { $0.offset == entry.offset }
        let name = segment.file.name
        try store.flip(name, at: Int(entry.offset) + FrameHeader.size + 3)
        let found = try store.run("children", "1", "--json")
        #expect(found.status == .findings)
        #expect(found.lines.count == 170 - lost.reduce(0) { $0 + Int($1.outcomeCounts.total) })
        #expect(Set(found.lines).isSubset(of: whole.lines))
        #expect(found.warnings.count == lost.count)
        #expect(found.warnings[0].hasPrefix("\(name) at \(entry.offset): "))
        let statistics = try store.run("children", "1", "--sum", "--layout", "u64 files,u64 bytes")
        #expect(statistics.status == .findings)
        #expect(statistics.lines.count == 3)
        #expect(try store.run("show", "7").status == .findings)
        let copy = store.directory.path.appending("copy").string
        #expect(try store.run("copy", "--live", "--into", copy).status == .fine)
    }

    @Test("Whatever byte is wrong, each command prints what it can and ends with a status that says so")
    func flips() throws {
        var random = SeededGenerator(seed: 11)
        let store = try ToolStore.make(ToolStore.small)
        for name in try store.files() {
            let size = try PosixFileSystem().open(store.path.appending(name), .readOnly).size()
            for _ in 0..<6 where size > 0 {
                let offset = Int.random(in: 0..<size, using: &random)
                try store.flip(name, at: offset)
                for command in Self.commands {
                    let found = try ToolStore.run([command[0], store.path.string] + command.dropFirst())
                    if found.status != .fine { #expect(!found.warnings.isEmpty, "\(name) at \(offset): \(command)") }
                }
                try store.flip(name, at: offset)
            }
        }
        for command in Self.commands {
            #expect(try ToolStore.run([command[0], store.path.string] + command.dropFirst()).status == .fine)
        }
    }

    @Test("Without its checkpoint or manifest a store is read off its log", arguments: ["checkpoint-", "MANIFEST"])
    func missing(_ prefix: String) throws {
        let store = try ToolStore.make()
        for name in try PosixFileSystem().list(store.path) where name.hasPrefix(prefix) {
            try PosixFileSystem().remove(store.path.appending(name))
        }
        let found = try store.run("tasks", "--parent", "0", "--json")
        #expect(found.status == .findings)
        #expect(found.lines.count == 4)
        #expect(try store.run("children", "1", "--json").lines.count == 170)
        #expect(
            try store.run("copy", "--live", "--into", store.directory.path.appending("copy").string).status
                == .unreadable)
    }
}
