// SPDX-License-Identifier: Apache-2.0
import SystemPackage
import Testing

@testable import QuernTool

@Suite("quern show")
struct ShowTests {
    private func shown(_ id: String, _ arguments: String...) throws -> String {
        let store = try ToolStore.make()
        let shown = try ToolStore.run(["show", store.path.string, id] + arguments)
        #expect(shown.status == .fine)
        #expect(shown.warnings.isEmpty)
        return shown.lines.joined(separator: "\n")
    }

    @Test("A live task has its options, payload, hand-over and children")
    func live() throws {
        #expect(
            try shown("1") == """
                task            1
                type            scan
                state           waiting
                parent          none: it is a root task
                submitted       1970-01-01T00:16:40.000Z
                attempts        0
                priority        128
                group           disks
                tags            nightly
                payload         4 bytes: "/srv"
                handed over     11 bytes
                live children   30
                ended children  150 completed, 19 failed, 1 dead_lettered
                first failure   task 152
                """)
    }

    @Test("A task that is tried again says why the last attempt failed, and when the next may begin")
    func tried() throws {
        let text = try shown("207", "--json")
        #expect(text.contains(#""state":"delayed""#))
        #expect(text.contains(#""not_before_ms":4000000000000"#))
        #expect(text.contains(#""attempts":2,"#))
    }

    @Test("An ended child is found with its ancestors, wherever its block is")
    func endedChild() throws {
        let text = try shown("7", "--layout", "u64 files,u64 bytes", "--json")
        #expect(text.contains(#""state":"completed","parent":1,"ancestors":[1],"#))
        #expect(text.contains(#""sequence":6,"#))
        #expect(text.hasSuffix(#""memo":{"files":5,"bytes":2}}"#))
        #expect(try shown("204").contains("201 (folder), below 1 (scan)"))
    }

    @Test("A task that failed tells what it left for whoever runs it again")
    func remains() throws {
        let text = try shown("206")
        for line in [
            "state     failed", "priority  9", "group     disks", "tags      nightly", "payload   6 bytes: \"note 1\"",
            "error     no paper: tray 2", "took      2.0 s",
        ] { #expect(text.contains(line), "\(line)") }
    }

    @Test("What was made printable once is not escaped again")
    func escapedOnce() {
        #expect(Table.Cell.printable(#"\u{1b}"#).text == #"\u{1b}"#)
        #expect(Table.Cell.text(#"\u{1b}"#).text == #"\\u{1b}"#)
    }

    @Test("A task that never was, and none at all, are told apart", arguments: ["0", "210", "999999"])
    func missing(_ id: String) throws {
        let store = try ToolStore.make()
        let shown = try store.run("show", id)
        #expect(shown.status == (id == "0" ? .usage : .findings))
        #expect(shown.lines.isEmpty)
        #expect(shown.warnings.count == 1)
    }
}
