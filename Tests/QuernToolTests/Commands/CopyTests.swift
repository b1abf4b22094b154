// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage
import Testing

@testable import Quern
@testable import QuernStore
@testable import QuernTool

@Suite("quern copy and prune")
struct CopyTests {
    @Test("A copy of a store in use opens with all that was committed, and its writer goes on")
    func live() async throws {
        let store = try ToolStore.make()
        let open = try await MemoStore.open(at: store.path)
        var more = Transaction()
        more.spawn(under: .none, label: Label(rawValue: 1), at: ToolStore.submitted) { $0.append(7) }
        try await open.append(more)
        let copy = store.directory.path.appending("copy")
        let copied = try store.run("copy", "--live", "--into", copy.string, "--json")
        #expect(copied.status == .fine)
        #expect(copied.lines.first?.hasSuffix(#""live_tasks":37}"#) == true)
        try await open.append(more)
        let other = try await MemoStore.open(at: copy)
        #expect(other.totals.live == 37)
        #expect(other.lastTask == TaskID(210))
        #expect(try other.children(of: TaskID(1)).count == 170)
        #expect(other.attributes(of: try #require(other.run(of: TaskID(1)))).isEmpty == false)
        try await other.close()
        try await open.close()
        #expect(try ToolStore.run(["children", copy.string, "1", "--json"]).lines.count == 170)
    }

    @Test("Without --live a store in use is refused, and no copy is begun")
    func locked() async throws {
        let store = try ToolStore.make()
        let open = try await MemoStore.open(at: store.path)
        let copy = store.directory.path.appending("copy")
        let refused = try store.run("copy", "--into", copy.string)
        #expect(refused.status == .unreadable)
        #expect(refused.warnings.first?.contains("another writer has the store") == true)
        #expect((try? PosixFileSystem().list(copy)) == nil)
        try await open.close()
        #expect(try store.run("copy", "--into", copy.string).status == .fine)
        #expect(try store.run("copy", "--into", copy.string).warnings.first?.contains("empty") == true)
    }

    @Test("What a dry run says is dropped is dropped, and then no more")
    func prune() throws {
        let store = try ToolStore.make()
        let expected = #""trees":1,"tasks":1,"bytes":0}"#
        #expect(
            try store.run("prune", "--keep-count", "1", "--dry-run", "--json").lines == [
                #"{"dry_run":true,"# + expected
            ])
        #expect(try store.run("prune", "--keep-count", "1", "--json").lines == [#"{"dry_run":false,"# + expected])
        #expect(
            try store.run("prune", "--keep-count", "1", "--dry-run", "--json").lines == [
                #"{"dry_run":true,"trees":0,"tasks":0,"bytes":0}"#
            ])
        #expect(try store.run("children", "0", "--json").lines.count == 1)
        #expect(
            try store.run("prune", "--older-than", "1h").lines == [
                "dropped 1 trees with 1 ended tasks, which take 0 B of index"
            ])
        #expect(try store.run("children", "0", "--json").lines.isEmpty)
    }

    @Test("T12: what live tasks depend on or redrive is dropped neither by a prune nor, so says a dry run, would be")
    func pruneBesideLiveTasks() throws {
        let store = try ToolStore.make()
        let open = try MemoStore.openBlocking(at: store.path)
        let note = try open.labelBlocking(for: "note")
        var cursor = try open.children(of: .none).makeCursor()
        var block = ChildBlock()
        #expect(try cursor.next(into: &block))
        #expect((0..<block.count).map { block.id(at: $0) } == [TaskID(205), TaskID(206)])
        var depends = TaskAttributes()
        depends.dependencies = [TaskDependency(TaskID(205))]
        var redrives = TaskAttributes()
        redrives.redrives = RedrivenTask(task: TaskID(206), parent: .none, sequence: block.sequence(at: 1))
        var transaction = Transaction()
        for attributes in [depends, redrives] {
            transaction.spawn(
                under: .none, label: note, attributes: try attributes.encoded(), at: ToolStore.submitted
            ) { _ in }
        }
        try open.appendBlocking(transaction)
        try open.closeBlocking()
        let expected = #""trees":0,"tasks":0,"bytes":0}"#
        for arguments in [["--dry-run"], []] {
            let result = try ToolStore.run(["prune", store.path.string, "--keep-count", "0", "--json"] + arguments)
            #expect(result.lines == [#"{"dry_run":\#(!arguments.isEmpty),"# + expected])
        }
        #expect(try store.run("children", "0", "--json").lines.count == 2)
    }

    @Test("S4: on a full disk trees are dropped as long as there is room to say so, and that is told", arguments: 0..<8)
    func pruneOnFullDisk(free: Int) throws {
        let files = SimulatedFileSystem()
        var configuration = MemoStore.Configuration()
        configuration.reserveBytes = 0
        let store = try MemoStore.openBlocking(at: "/store", configuration: configuration, fileSystem: files)
        try ToolStore.fill(store)
        try store.closeBlocking()
        var plan = FaultPlan()
        plan.capacity = files.usedBytes + free * 512
        files.faults = plan
        let policy = RetentionPolicy(count: 1)
        var reported: RetentionReport?
        do throws(any Error) {
            let unclosed = try Prune.drop(policy, at: "/store", on: files, now: ToolStore.ended) { reported = $0 }
            #expect(unclosed?.code ?? .noSpace == .noSpace)
        } catch {
            #expect((error as? StoreError)?.code == .noSpace && free < 4, "\(error), with \(free * 512) bytes free")
        }
        files.faults = FaultPlan()
        let now = try OfflineStore.read(at: "/store", fileSystem: files).retention(policy, now: ToolStore.ended)
        #expect(now.trees == (reported == nil ? 1 : 0))
        #expect(reported?.trees ?? 1 == 1)
    }

    @Test(
        "Nothing is made where no store is", arguments: [["prune", "--keep-count", "1"], ["copy", "--into", "/x/y"]])
    func nowhere(_ arguments: [String]) throws {
        let store = ToolStore(directory: try TemporaryDirectory())
        let path = store.directory.path.appending("none")
        let result = try ToolStore.run([arguments[0], path.string] + arguments.dropFirst())
        #expect(result.status == .unreadable)
        #expect((try? PosixFileSystem().list(path)) == nil)
    }
}
