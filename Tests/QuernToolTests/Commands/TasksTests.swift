// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

@Suite("quern tasks")
struct TasksTests {
    @Test(
        "Tasks are listed by state, type, group, tag, parent and age, live ones and ended roots",
        arguments: [
            (["--type", "scan"], [1]), (["--type", "n*", "--sort", "priority"], [209, 207, 208]),
            (["--state", "waiting"], [1]), (["--state", "delayed"], [207]), (["--state", "cancelling"], [208]),
            (["--state", "pending", "--type", "note"], [209]), (["--tag", "night*", "--group", "disks"], [1]),
            (["--state", "pending", "--parent", "201"], [202, 203]), (["--state", "failed"], [206]),
            (["--ended", "--parent", "0"], [205, 206, 1, 207, 208, 209]),
            (["--ended", "--tag", "nightly"], [206, 1]), (["--parent", "0", "--newer-than", "1h"], []),
            (["--parent", "0", "--older-than", "1h", "--limit", "2"], [1, 207]),
            (["--type", "n*", "--sort", "attempts", "--limit", "1"], [207]), (["--tag", "other"], []),
        ])
    func filters(_ arguments: [String], _ expected: [Int]) throws {
        let store = try ToolStore.make()
        let found = try ToolStore.run(["tasks", store.path.string, "--json"] + arguments)
        #expect(found.status == .fine)
        #expect(found.lines.map { $0.split(separator: ",")[0] } == expected.map { "{\"id\":\($0)" })
    }

    @Test("A task that was noted to run stands so in a store that was not closed in order")
    func inFlight() throws {
        let store = ToolStore(directory: try TemporaryDirectory())
        let open = try MemoStore.openBlocking(at: store.path)
        try ToolStore.fill(open)
        let found = try store.run("tasks", "--state", "running-at-crash", "--json")
        #expect(found.lines.map { $0.prefix(9) } == [#"{"id":209"#])
        try open.closeBlocking()
        #expect(try store.run("tasks", "--state", "running-at-crash", "--json").lines.isEmpty)
    }

    @Test("A task has its state, options and children on a line")
    func line() throws {
        let store = try ToolStore.make()
        #expect(
            try store.run("tasks", "--json", "--limit", "1").lines == [
                #"{"id":1,"parent":0,"type":"scan","state":"waiting","attempts":0,"priority":128,"group":"disks","#
                    + #""tags":["nightly"],"submitted_ms":1000000,"live_children":30,"ended_children":"#
                    + #"{"completed":150,"failed":19,"dead_lettered":1}}"#
            ])
        let people = try store.run("tasks", "--type", "note")
        #expect(people.lines.count == 4)
        #expect(people.lines[0].hasPrefix(" ID  PARENT  TYPE  STATE"))
        #expect(people.lines[1].hasPrefix("207          note  delayed"))
    }

    @Test("Who sees not all tasks is told so")
    func limit() throws {
        let some = try ToolStore.make().run("tasks", "--limit", "2", "--sort", "age")
        #expect(some.lines.count == 3)
        #expect(some.warnings == ["2 of 36 tasks are shown: see --limit"])
    }

    @Test(
        "Spans are numbers with a unit",
        arguments: [("30s", 30_000), ("15m", 900_000), ("2h", 7_200_000), ("3d", 259_200_000), ("1w", 604_800_000)])
    func ages(_ text: String, _ milliseconds: Int64) {
        #expect(AgeArgument(argument: text)?.milliseconds == milliseconds)
    }

    @Test("Other spans are refused", arguments: ["", "5", "h", "-1h", "1.5h", "1 h", "99999999999999w"])
    func refused(_ text: String) { #expect(AgeArgument(argument: text) == nil) }

    @Test("The first tasks of many in an order are kept in memory for twice as many")
    func selection() {
        var selection = TaskSelection(.age, limit: 10)
        for index in 0..<5000 as Range<UInt64> {
            selection.add(
                ListedTask(
                    id: TaskID(index), parent: .none, type: "", state: .pending,
                    submittedAt: Timestamp(milliseconds: Int64(index * 7919 % 5000)), attempts: 0, tags: []))
        }
        #expect(selection.sorted.compactMap { $0.submittedAt?.rawValue } == Array(0..<10))
        #expect(selection.total == 5000)
    }
}
