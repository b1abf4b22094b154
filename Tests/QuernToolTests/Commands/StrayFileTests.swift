// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

@Suite("Files that cannot be read, or that no writer made")
struct StrayFileTests {
    private static func place(_ name: String, in store: ToolStore) throws {
        _ = try PosixFileSystem().open(store.path.appending(name), .createNew)
    }

    @Test("A file with a number that no segment has is ignored")
    func impossibleNumber() throws {
        let store = try ToolStore.make()
        try Self.place("log-9999999999", in: store)
        try Self.place("index-18446744073709551615", in: store)
        let found = try store.run("verify")
        #expect(found.status == .fine)
        #expect(found.lines.count { $0.hasPrefix("note") && $0.contains("no file of a store") } == 2)
        #expect(try store.run("info").status == .fine)
    }

    @Test("However many log segments are missing, what is told of them is short")
    func manyMissing() throws {
        let store = try ToolStore.make()
        try Self.place("log-4000000000", in: store)
        let found = try store.run("verify")
        #expect(found.status == .findings)
        #expect(found.lines.contains { $0.contains("is missing, and all up to log-3999999999") })
        #expect(found.lines.count < 40)
    }

    @Test("One file that cannot be opened is damage of that file, and the rest is read", arguments: ["index", "log"])
    func unreadable(kind: String) throws {
        let store = try ToolStore.make(ToolStore.small)
        let files = PosixFileSystem()
        let name = try #require(try files.list(store.path).filter { $0.hasPrefix(kind) }.max())
        try files.remove(store.path.appending(name))
        try files.createDirectory(store.path.appending(name))
        let found = try store.run("verify")
        #expect(found.status == .findings)
        let told = found.lines.filter { $0.hasPrefix("damage \(name)") && $0.contains("cannot be read: ") }
        #expect(told.contains { $0.hasSuffix("nothing of it is read") })
        #expect(try store.run("tasks").lines.contains { $0.contains("folder") })
        let repaired = store.directory.path.appending("repaired")
        #expect(try store.run("repair", "--into", repaired.string).status == .findings)
        #expect(try ToolStore.run(["verify", repaired.string]).status == .fine)
    }

    @Test("A manifest that cannot be opened is told as that, and all else is read")
    func unreadableManifest() throws {
        let store = try ToolStore.make()
        let files = PosixFileSystem()
        try files.remove(store.path.appending("MANIFEST"))
        try files.createDirectory(store.path.appending("MANIFEST"))
        let found = try store.run("verify")
        #expect(found.status == .findings)
        #expect(found.lines.contains { $0.hasPrefix("damage MANIFEST: cannot be read: ") })
        #expect(found.lines.count { $0.hasPrefix("damage MANIFEST") } == 1)
    }

    @Test("One that does not count is no damage when it cannot be opened")
    func strayDirectory() throws {
        let store = try ToolStore.make()
        try PosixFileSystem().createDirectory(store.path.appending("index-0000009999"))
        let found = try store.run("verify")
        #expect(found.status == .fine)
        #expect(found.lines.contains { $0.hasPrefix("note index-0000009999: does not count") })
    }

    @Test("Without a checkpoint, what the log and the index both have is no second outcome", arguments: [true, false])
    func noCheckpoint(small: Bool) throws {
        let store = try ToolStore.make(small ? ToolStore.small : MemoStore.Configuration())
        let files = PosixFileSystem()
        for name in try files.list(store.path) where name.hasPrefix("checkpoint") {
            try files.remove(store.path.appending(name))
        }
        let found = try store.run("verify")
        #expect(found.status == .findings)
        #expect(!found.lines.contains { $0.contains("another outcome has") || $0.contains("second outcome") })
    }
}
