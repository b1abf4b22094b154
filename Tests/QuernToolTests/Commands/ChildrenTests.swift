// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Testing

@testable import QuernTool

@Suite("quern children")
struct ChildrenTests {
    @Test("Children come a line each in the order in which they ended, decoded by a layout")
    func lines() throws {
        let store = try ToolStore.make()
        let all = try store.run("children", "1", "--json", "--layout", "u64 files,u64 bytes")
        #expect(all.status == .fine)
        #expect(all.lines.count == 170)
        #expect(
            all.lines[3] == #"{"id":5,"sequence":4,"outcome":"completed","type":"folder","attempts":1,"#
                + #""started_ms":1000000,"ended_ms":1002000,"memo":{"files":3,"bytes":2}}"#)
        #expect(
            all.lines[169] == #"{"id":171,"sequence":170,"outcome":"dead_lettered","type":"folder","attempts":1,"#
                + #""started_ms":1000000,"ended_ms":1002000,"reason":"gone","detail":"/srv/169"}"#)
        let people = try store.run("children", "1", "--layout", "u64 files,u64 bytes", "--limit", "1")
        #expect(people.lines.count == 2)
        #expect(people.lines.last?.hasSuffix("1970-01-01T00:16:42.000Z  folder  files=0 bytes=2") == true)
    }

    @Test("Failures alone, from a sequence on, up to a limit")
    func chosen() throws {
        let store = try ToolStore.make()
        #expect(try store.run("children", "1", "--json", "--failed").lines.count == 20)
        let some = try store.run("children", "1", "--json", "--failed", "--after", "160", "--limit", "3")
        #expect(some.lines.count == 3)
        #expect(some.lines.first?.hasPrefix(#"{"id":162,"sequence":161,"#) == true)
        #expect(try store.run("children", "1", "--json", "--after", "170").lines.isEmpty)
        #expect(try store.run("children", "0", "--json").lines.count == 2)
    }

    @Test("Sums and statistics count the memos of completed children, exactly")
    func statistics() throws {
        let store = try ToolStore.make()
        let layout = "u64 files,u64 bytes"
        #expect(
            try store.run("children", "1", "--sum", "--json", "--layout", layout).lines
                == [#"{"field":"files","count":150,"sum":11175}"#, #"{"field":"bytes","count":150,"sum":300}"#])
        let stats = try store.run("children", "1", "--stats", "--layout", layout)
        #expect(
            stats.lines == [
                "FIELD  COUNT     SUM  SMALLEST  LARGEST    MEAN", "files    150  11,175         0      149  74.500",
                "bytes    150     300         2        2   2.000",
            ])
    }

    @Test("A memo that is not of the layout is told, and the others are printed all the same")
    func misfits() throws {
        let store = try ToolStore.make()
        let some = try store.run("children", "1", "--json", "--layout", "u64 files")
        #expect(some.status == .findings)
        #expect(some.lines.count == 170)
        #expect(some.lines[0].contains(#""memo":{"misfit":"16 bytes are more than the 8 of the layout","hex":"#))
        #expect(some.warnings == ["150 memos are not of the layout"])
        let sum = try store.run("children", "1", "--sum", "--layout", "u64 files")
        let wanted = "do not count; the first: 16 bytes are more than the 8 of the layout"
        #expect(sum.warnings.first?.hasSuffix(wanted) == true, "\(sum.warnings)")
    }

    @Test("A task that is not there is told, and a wrong call is refused before anything is read")
    func wrong() throws {
        let store = try ToolStore.make()
        #expect(try store.run("children", "999").status == .findings)
        #expect(try store.run("export", "--parent", "999").status == .findings)
        for arguments in [["--sum"], ["--stats", "--layout", "utf8"], ["--layout", "u7"], ["--sum", "--stats"]] {
            #expect(throws: (any Error).self) { try QuernTool.parseAsRoot(["children", "/x", "1"] + arguments) }
        }
    }
}
