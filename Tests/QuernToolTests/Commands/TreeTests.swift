// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import QuernTool

@Suite("quern tree")
struct TreeTests {
    @Test("Parents stand below their parents, with how the children of each ended")
    func hierarchy() throws {
        let store = try ToolStore.make()
        let tree = try store.run("tree", "1")
        #expect(tree.status == .fine)
        #expect(
            tree.lines == [
                "1 scan  30 live, 150 completed, 19 failed, 1 dead_lettered",
                "└─ 201 folder live  2 live, 1 cancelled",
            ])
        #expect(
            try store.run("tree", "0", "--json", "--depth", "1").lines == [
                #"{"id":0,"parent":null,"depth":0,"type":"","state":null,"live_children":4,"#
                    + #""ended_children":{"completed":1,"failed":1}}"#,
                #"{"id":1,"parent":0,"depth":1,"type":"scan","state":"live","live_children":30,"#
                    + #""ended_children":{"completed":150,"failed":19,"dead_lettered":1}}"#,
            ])
    }

    @Test("Levels stop where they are told to, and what is left out is counted")
    func limits() throws {
        let store = try ToolStore.make()
        #expect(try store.run("tree", "1", "--depth", "0").lines.count == 1)
        #expect(try store.run("tree", "1", "--width", "0").lines.last == "└─ and 1 more parents: see --width")
        #expect(try store.run("tree", "7").status == .findings)
    }
}
