// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

@Suite("quern dump")
struct DumpTests {
    private func run(_ arguments: String...) throws -> (status: ToolStatus, lines: [String], warnings: [String]) {
        try ToolStore.run(["dump"] + arguments)
    }

    @Test("Every file of a store is printed whole, by name of frames and records, and for programs a line each")
    func all() throws {
        let store = try ToolStore.make()
        var names: Set<String> = []
        for file in try store.files() {
            let path = store.path.appending(file).string
            let people = try run(path)
            #expect(people.status == .fine, "\(file): \(people.lines.filter { $0.contains("DAMAGED") })")
            let programs = try run(path, "--json")
            #expect(programs.status == .fine)
            #expect(programs.lines.count == people.lines.count)
            #expect(programs.lines.allSatisfy { $0.hasPrefix(#"{"type":""#) && $0.hasSuffix(#","problem":null}"#) })
            for line in programs.lines { names.insert(String(line.split(separator: "\"")[7])) }
        }
        let expected: Set = [
            "log", "checkpoint", "manifest", "commit", "define", "spawn", "outcomes", "advance", "child", "task",
            "base",
            "parent", "runs", "run",
        ]
        #expect(names.isSuperset(of: expected), "\(expected.subtracting(names)) of \(names)")
        #expect(!names.contains("unknown"))
    }

    @Test("With --redact nothing is left of what the application wrote, and its lengths stay")
    func redacted() throws {
        let store = try ToolStore.make()
        for file in try store.files() {
            let path = store.path.appending(file).string
            for format in [[], ["--json"]] {
                let plain = try ToolStore.run(["dump", path] + format)
                let redacted = try ToolStore.run(["dump", path, "--redact"] + format)
                #expect(redacted.status == .fine)
                #expect(redacted.lines.count == plain.lines.count)
                // A payload, an error, a tag, and what was handed over; in hexadecimal digits.
                for secret in ["2f7372762f", "70657270", "6e696768746c79", "68616e646564206f766572", "nightly"] {
                    #expect(!redacted.lines.contains { $0.contains(secret) }, "\(secret) in \(file)")
                }
            }
        }
        let log = try run(store.path.appending("log-0000000001").string, "--redact")
        #expect(log.lines.contains { $0.contains("task id=1 payload=<4 bytes>") }, "\(log.lines)")
        let plain = try run(store.path.appending("log-0000000001").string)
        #expect(plain.lines.contains { $0.contains("task id=1 payload=2f737276") })
    }

    @Test("A damaged place is shown with its offset, and what is behind it is printed")
    func damaged() throws {
        let store = try ToolStore.make()
        let log = store.path.appending("log-0000000001").string
        let whole = try run(log)
        try store.flip("log-0000000001", at: 128)
        let found = try run(log)
        #expect(found.status == .findings)
        #expect(found.lines[1].hasPrefix("128 bytes length="))
        #expect(found.lines[1].contains("begins_with=") && found.lines[1].contains("DAMAGED: no valid frame header"))
        #expect(found.lines.last == whole.lines.last)
        let redacted = try run(log, "--redact")
        #expect(redacted.lines[1].contains("begins_with=<64 bytes>"))
    }

    @Test("A file outside its store is read by its own header, and with a damaged header by what is left of it")
    func alone() throws {
        let store = try ToolStore.make()
        let log = store.path.appending("log-0000000001")
        let elsewhere = store.directory.path.appending("copy")
        try PosixFileSystem().rename(log, to: elsewhere)
        let found = try run(elsewhere.string)
        #expect(found.status == .fine)
        #expect(found.lines.count > 20)
        try PosixFileSystem().rename(elsewhere, to: log)
        for place in [3, 20, 60, 100] {
            try store.flip("log-0000000001", at: place)
            let damaged = try run(log.string)
            #expect(damaged.status == .findings)
            #expect(damaged.lines.first?.contains("DAMAGED") == true)
            #expect(damaged.lines.dropFirst() == found.lines.dropFirst(), "byte \(place)")
            try store.flip("log-0000000001", at: place)
        }
    }

    @Test("--from begins at a frame, and --limit ends behind some")
    func part() throws {
        let store = try ToolStore.make()
        let log = store.path.appending("log-0000000001").string
        let all = try run(log)
        let starts = all.lines.filter { !$0.hasPrefix(" ") }
        let second = try #require(starts.dropFirst(2).first)
        let offset = String(second.prefix { $0 != " " })
        let some = try run(log, "--from", offset, "--limit", "1")
        #expect(some.lines.filter { !$0.hasPrefix(" ") } == [starts[0], second])
        #expect(try run(log, "--limit", "2").lines.filter { !$0.hasPrefix(" ") } == Array(starts[..<3]))
    }

    @Test("A file that is not there, or no file of a store")
    func others() throws {
        let store = try ToolStore.make()
        #expect(try run(store.path.appending("log-0000000099").string).status == .unreadable)
        let lock = try run(store.path.appending("LOCK").string)
        #expect(lock.status == .findings)
        #expect(lock.lines.first?.contains("DAMAGED") == true)
    }
}
