// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

@Suite("quern verify")
struct VerifyTests {
    @Test(
        "A store that is whole ends with 0 and says what was read", arguments: [[], ["--quick"], ["--threads", "1"]])
    func whole(options: [String]) throws {
        let store = try ToolStore.make()
        let found = try ToolStore.run(["verify", store.path.string] + options)
        #expect(found.status == .fine)
        #expect(found.lines.contains { $0.hasPrefix("damage") && $0.hasSuffix(" 0") })
        #expect(found.lines.contains { $0.hasPrefix("live tasks") })
        #expect(found.lines.contains { $0.hasPrefix("ended children") } == !options.contains("--quick"))
    }

    @Test("Damage ends with 1, and each finding is a line with file, offset, meaning; for programs, too")
    func damaged() throws {
        let store = try ToolStore.make()
        let checkpoint = try #require(try store.files("checkpoint").last)
        try store.flip(checkpoint, at: 300)
        let spared = try store.run("verify")
        #expect(spared.status == .findings)
        #expect(spared.lines.first?.hasPrefix("spared \(checkpoint) at 128: ") == true, "\(spared.lines)")
        #expect(spared.lines.first?.contains("its mirror tells the same") == true)
        try store.flip(try #require(try store.files("mirror").last), at: 300)
        let people = try store.run("verify")
        #expect(people.status == .findings)
        #expect(people.lines.first?.hasPrefix("damage \(checkpoint) at 128: ") == true, "\(people.lines)")
        #expect(people.lines.first?.contains("live tasks and parents may be missing") == true)
        let programs = try store.run("verify", "--json")
        #expect(programs.status == .findings)
        let start = #"{"type":"finding","severity":"damage","file":"\#(checkpoint)","offset":128,"what":""#
        #expect(programs.lines.first?.hasPrefix(start) == true, "\(programs.lines)")
        #expect(programs.lines.last?.hasPrefix(#"{"type":"summary","damaged":true,"quick":false,"children":"#) == true)
    }

    @Test("What --quick does not look at is not known, which for programs is null")
    func quick() throws {
        let store = try ToolStore.make()
        #expect(
            try store.run("verify", "--quick", "--json").lines == [
                #"{"type":"summary","damaged":false,"quick":true,"children":null,"blocks":null,"live_tasks":36,"#
                    + #""segment_bytes":null}"#
            ])
    }

    @Test("What does not count is told and changes no status")
    func notes() throws {
        let store = try ToolStore.make()
        _ = try PosixFileSystem().open(store.path.appending("index-0000000009.new"), .createNew)
        let found = try store.run("verify")
        #expect(found.status == .fine)
        #expect(found.lines.first == "note index-0000000009.new: was being written: the next writer removes it")
    }

    @Test("No store is no verdict")
    func none() throws {
        let store = try ToolStore.make()
        let found = try ToolStore.run(["verify", store.directory.path.string])
        #expect(found.status == .unreadable)
        #expect(found.warnings.count == 1)
    }
}
