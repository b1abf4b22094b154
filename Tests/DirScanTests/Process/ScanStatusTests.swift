// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How the command ends when it cannot scan, and what it says then.
@Suite struct ScanStatusTests {
    private let directory = TemporaryDirectory()
    private var store: PathBytes { directory.path.appending("store") }
    private var tree: PathBytes { directory.path.appending("tree") }

    private func makeTree() {
        directory.makeDirectory("tree")
        for index in 0..<40 {
            directory.makeDirectory("tree/d\(index)")
            directory.makeFile("tree/d\(index)/file")
        }
    }

    @Test(arguments: [
        [], ["tree", "other"], ["tree", "--bogus"], ["tree", "--concurrency", "0"], ["tree", "--concurrency", "1025"],
        ["tree", "--concurrency", "x"], ["tree", "--store"], ["tree", "--store", ""], ["nowhere"], ["tree/d0/file"],
        ["tree/d0/file/x"], [""],
    ]) func wrongCalls(_ arguments: [String]) throws {
        makeTree()
        let command = DirScanCommand.start(
            arguments.map { Array($0.utf8) }, environment: ["PATH=/bin", "HOME=\(directory.path)/home"],
            workingDirectory: directory.path)
        #expect(command.wait() == .exited(64))
        #expect(command.output.isEmpty && !command.error.isEmpty)
        #expect(try directory.names() == ["tree"], "nothing is left of it")
    }

    @Test func theStoreIsInTheCacheByDefault() throws {
        makeTree()
        for environment in ["HOME=\(directory.path)", "XDG_CACHE_HOME=\(directory.path)/cache"] {
            for changes: [UInt64] in [[40, 0, 0], [0, 40, 0]] {
                let command = DirScanCommand.start([Array("--json".utf8), tree.bytes], environment: [environment])
                #expect(try command.result().changes == changes)
            }
        }
        #expect(try directory.names() == ["tree", ".cache", "cache"])
        let homeless = DirScanCommand.start([tree.bytes], environment: [])
        #expect(homeless.wait() == .exited(64) && homeless.error.contains("--store"))
    }

    @Test func placesWhereNoStoreCanBe() throws {
        makeTree()
        for place in [tree.appending("d0/file"), tree.appending("d0/file/store"), PathBytes("/proc/nowhere/store")] {
            let command = DirScanCommand.start(tree, store: place)
            #expect(command.wait() == .exited(74) && command.output.isEmpty)
            #expect(
                command.error.hasPrefix("dirscan: cannot ") && command.error.contains("\(place)"), "\(command.error)")
        }
    }

    @Test func twoAtATime() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 400, generator: &generator)
        var held: ChildProcess?
        for _ in 0..<5 where held == nil {
            let first = DirScanCommand.start(tree, store: store)
            guard first.runs(until: { hasFile("store/pending-scan") }) else { continue }
            first.send(SIGSTOP)
            held = first
        }
        let first = try #require(held)
        let second = DirScanCommand.start(tree, store: store)
        #expect(second.wait() == .exited(74) && second.output.isEmpty)
        #expect(second.error.hasPrefix("dirscan: ") && second.error.contains("process \(first.id)"), "\(second.error)")
        first.send(SIGCONT)
        #expect(try first.result().totals.directories == 400)
    }

    @Test func theUnfinishedScanOfAnotherRoot() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 400, generator: &generator)
        directory.makeDirectory("other")
        let command = DirScanCommand.start(tree, store: store)
        try #require(command.runs { hasFile("store/pending-scan") })
        command.send(SIGKILL)
        #expect(command.wait() == .killed(SIGKILL))
        for (path, options) in [(directory.path.appending("other"), []), (tree, ["--one-file-system"])] {
            let other = DirScanCommand.start(path, store: store, options)
            #expect(other.wait() == .exited(64) && other.output.isEmpty)
            #expect(other.error.contains("unfinished scan of \(tree)"))
        }
        let last = try scan(tree, store: store)
        #expect(last.directories == 400 && last.resumed)
    }

    /// A bit turns in what was durable when a scan was killed.
    @Test func aDamagedStore() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 1000, generator: &generator)
        let killed = DirScanCommand.start(tree, store: store)
        try #require(killed.runs { directory.size(of: "store/tasks") > 50_000 })
        killed.send(SIGKILL)
        #expect(killed.wait() == .killed(SIGKILL))
        let name = try #require(try directory.names(in: "store/tasks").filter { $0.hasPrefix("log-") }.max())
        let log = "store/tasks/\(name)"
        let intact = directory.read(log)
        var damaged = intact
        // Behind the last frame there are zeros.
        damaged[damaged.lastIndex { $0 != 0 }! / 3] ^= 0x40
        directory.write(log, damaged)

        for _ in 0..<2 {
            let command = DirScanCommand.start(tree, store: store)
            #expect(command.wait() == .exited(74) && command.output.isEmpty)
            #expect(command.error.contains(name) && command.error.contains("damaged"), "\(command.error)")
        }
        let isUnchanged = directory.read(log) == damaged
        #expect(isUnchanged, "nothing was changed")
        directory.write(log, intact)
        let last = try scan(tree, store: store)
        #expect(last.changes == [2000, 0, 0] && last.directories == 1000 && last.resumed, "\(generator)")
    }

    /// Header, a record, and the index: the scan ends with a clear error, and goes on as the error says.
    @Test(arguments: [70, 300, -20]) func aDamagedSnapshot(_ position: Int) throws {
        makeTree()
        _ = try scan(tree, store: store)
        let name = try #require(try directory.names(in: "store/snapshots").first)
        let intact = directory.read("store/snapshots/\(name)")
        var damaged = intact
        damaged[position < 0 ? damaged.count + position : position] ^= 0x04
        directory.write("store/snapshots/\(name)", damaged)

        for _ in 0..<2 {
            let command = DirScanCommand.start(tree, store: store)
            #expect(command.wait() == .exited(74) && command.output.isEmpty)
            #expect(
                command.error.contains("damaged snapshot") && command.error.contains("\(store)/snapshots/\(name)")
                    && command.error.contains("remove it"), "\(command.error)")
        }
        // Put back from a copy, nothing is lost; removed, everything counts as new.
        if position != 300 {
            directory.write("store/snapshots/\(name)", intact)
            let last = try scan(tree, store: store)
            #expect(last.changes == [0, 40, 0] && last.resumed)
        } else {
            directory.remove("store/snapshots/\(name)")
            let last = try scan(tree, store: store)
            #expect(last.failed == 0 && last.discovered + last.skipped == 40 && last.directories == 41 && last.resumed)
        }
        #expect(try scan(tree, store: store).changes == [0, 40, 0])
    }

    /// A snapshot that cannot be written does not cost the scan.
    @Test func aSnapshotThatCannotBeWritten() throws {
        makeTree()
        directory.makeDirectory("store")
        directory.makeDirectory("store/snapshots")
        directory.makeDirectory("store/snapshots/snapshot-1.new")
        for _ in 0..<2 {
            let command = DirScanCommand.start(tree, store: store)
            #expect(command.wait() == .exited(74) && command.output.isEmpty)
            #expect(command.error.hasPrefix("dirscan: ") && command.error.contains("snapshot-1.new"))
        }
        check(store.appending("snapshots/snapshot-1.new").withCString { rmdir($0) })
        let last = try scan(tree, store: store)
        #expect(last.changes == [40, 0, 0] && last.resumed)
    }

    @Test func theTasksAreGone() throws {
        makeTree()
        let command = DirScanCommand.start(tree, store: store, output: .file("/dev/full"))
        #expect(command.wait() == .exited(74))
        directory.removeTree("store/tasks")
        let last = try scan(tree, store: store)
        #expect(last.directories == 41 && !last.resumed)
    }

    @Test(.enabled(if: Privileges.canMount)) func aFullDisk() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 300, files: 20, generator: &generator)
        directory.makeDirectory("store")
        let mount = try #require(TemporaryMount(on: store, size: "256k"))
        defer { mount.remove() }
        let command = DirScanCommand.start(tree, store: store.appending("scan"))
        if command.runs(until: { command.error.contains("no space") }) {
            #expect(mount.resize("16m"))
        }
        let status = command.wait()
        #expect(mount.resize("16m"))
        #expect(status == .exited(0) || status == .exited(74), "\(command.error)")
        let last = try scan(tree, store: store.appending("scan"))
        #expect(last.directories == 300 && last.changes == (status == .exited(0) ? [0, 6000, 0] : [6000, 0, 0]))
    }

    private func hasFile(_ name: String) -> Bool {
        directory.path.appending(name).withCString { access($0, F_OK) } == 0
    }
}
