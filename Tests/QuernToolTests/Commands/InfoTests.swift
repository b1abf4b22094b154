// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

@Suite("quern info")
struct InfoTests {
    @Test("It says how many tasks are live and ended, and what the files take")
    func figures() throws {
        let store = try ToolStore.make()
        let people = try store.run("info")
        #expect(people.status == .fine)
        #expect(people.lines.contains { $0.hasPrefix("task types") && $0.hasSuffix("scan, folder, note") })
        #expect(people.lines.contains { $0.hasPrefix("ended roots") && $0.hasSuffix("2, 1 of them failed") })
        let programs = try store.run("info", "--json")
        #expect(programs.lines.count == 1)
        for field in [
            #""version":1"#, #""closed_in_order":true"#, #""ended":173"#, #""ended_failed":21"#, #""ended_roots":2"#,
            #""dropped_trees":0"#, #""leftover_files":0"#,
        ] { #expect(programs.lines[0].contains(field), "\(field): \(programs.lines[0])") }
    }

    @Test("Of a store that was closed in order nothing of the log is behind the checkpoint")
    func nothingBehind() throws {
        let store = try ToolStore.make()
        #expect(try store.run("info", "--json").lines[0].contains(#""log_bytes_behind_checkpoint":0,"#))
    }

    @Test("Of a damaged store it says what can be read, and that it is damaged", arguments: ["MANIFEST", "checkpoint"])
    func damaged(kind: String) throws {
        let store = try ToolStore.make()
        let file = try #require(try PosixFileSystem().list(store.path).first { $0.hasPrefix(kind) })
        try store.flip(file, at: 150)
        let found = try store.run("info")
        #expect(found.status == .findings)
        #expect(found.lines.contains { $0.hasPrefix("format") && $0.hasSuffix("version 1") })
        #expect(!found.warnings.isEmpty)
    }
}
