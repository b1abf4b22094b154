// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Scans that are killed with SIGKILL, or stopped by a signal, go on and come to the totals of an undisturbed one.
@Suite struct ScanKillTests {
    private let directory = TemporaryDirectory()
    private var tree: PathBytes { directory.path.appending("tree") }
    private func store(_ name: String) -> PathBytes { directory.path.appending(name) }

    /// The scan is killed when its store has reached a size drawn at random, twice in each store.
    @Test func killedAtRandomMoments() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 1500, generator: &generator)
        // A first scan, so that the killed ones have something to compare with.
        _ = try scan(tree, store: store("first"))
        for index in 0..<4 { directory.makeFile("tree/new\(index)") }
        directory.remove("tree/f0")
        let start = directory.size(of: "first")
        try copy("first", to: "undisturbed")
        let wanted = try scan(tree, store: store("undisturbed")).totals
        #expect(wanted.discovered == 4 && wanted.deleted == 1, "\(generator)")
        let end = directory.size(of: "undisturbed")

        var kills = 0
        for round in 0..<8 {
            let name = "killed\(round)"
            try copy("first", to: name)
            var killed = 0
            for _ in 0..<2 {
                let limit = Int.random(in: start..<end, using: &generator)
                let command = DirScanCommand.start(tree, store: store(name))
                guard command.runs(until: { directory.size(of: name) > limit }) else { break }
                command.send(SIGKILL)
                if command.wait() == .killed(SIGKILL), command.output.isEmpty { killed += 1 }
            }
            let last = try scan(tree, store: store(name))
            // A run that ended by itself was the scan, and the last one found all the same as it.
            if killed == 2 {
                #expect(last.totals == wanted, "round \(round), \(generator)")
                #expect(last.resumed, "round \(round), \(generator)")
            }
            kills += killed
        }
        #expect(kills >= 4, "the scans ended before they could be killed, \(generator)")
    }

    /// Ten deaths as soon as the scan has begun, the same directories in flight each time: none of them is blamed
    /// (T14), since people kill scans as they like.
    @Test func killedAgainAndAgainAtTheStart() throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 300, generator: &generator)
        for _ in 0..<10 {
            let before = directory.size(of: "store")
            let command = DirScanCommand.start(tree, store: store("store"))
            _ = command.runs { directory.size(of: "store") > before }
            command.send(SIGKILL)
            _ = command.wait()
        }
        let last = try scan(tree, store: store("store"))
        #expect(last.directories == 300 && last.failed == 0, "\(generator)")
    }

    /// Whoever is killed between the first byte of the snapshot and the end of the process repeats finalize, or has
    /// done it.
    @Test(arguments: [".new", ""]) func killedInFinalize(_ suffix: String) throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 400, generator: &generator)
        let command = DirScanCommand.start(tree, store: store("store"))
        let wasKilled = command.runs { hasSnapshot(in: "store", suffix: suffix) }
        command.send(SIGKILL)
        _ = command.wait()
        guard wasKilled, command.output.isEmpty else { return }
        let last = try scan(tree, store: store("store"))
        #expect(last.changes == [800, 0, 0] && last.directories == 400 && last.resumed, "\(generator)")
        #expect(try scan(tree, store: store("store")).changes == [0, 800, 0])
    }

    /// The report goes to a pipe that nobody reads: the process dies of it, when the scan itself has ended.
    @Test func killedBetweenFinalizeAndTheReport() throws {
        directory.makeDirectory("tree")
        directory.makeFile("tree/file")
        let (reader, writer) = makePipe()
        close(reader)
        let command = DirScanCommand.start(tree, store: store("store"), output: .descriptor(writer))
        close(writer)
        #expect(command.wait() == .killed(SIGPIPE))

        // The scan is over, so that what came since belongs to the next one.
        directory.makeFile("tree/later")
        let reported = try scan(tree, store: store("store"))
        #expect(reported.resumed && reported.files == 1 && reported.changes == [1, 0, 0])
        let next = try scan(tree, store: store("store"))
        #expect(!next.resumed && next.files == 2 && next.changes == [1, 1, 0])
    }

    /// An unreported scan of one tree says nothing about another.
    @Test func theReportOfAnotherRoot() throws {
        for name in ["tree", "other"] {
            directory.makeDirectory(name)
            directory.makeFile("\(name)/file")
        }
        directory.makeFile("other/second")
        let command = DirScanCommand.start(tree, store: store("store"), output: .file("/dev/full"))
        _ = command.wait()
        let other = try scan(directory.path.appending("other"), store: store("store"))
        #expect(other.files == 2 && !other.resumed)
    }

    @Test func aReportThatCannotBeWrittenIsNotLost() throws {
        directory.makeDirectory("tree")
        directory.makeFile("tree/file")
        let full = DirScanCommand.start(tree, store: store("store"), output: .file("/dev/full"))
        #expect(full.wait() == .exited(74))
        #expect(full.error == "dirscan: cannot write the report: No space left on device\n")
        let closed = DirScanCommand.start(tree, store: store("store"), output: .closed)
        #expect(closed.wait() == .exited(74))
        let last = try scan(tree, store: store("store"))
        #expect(last.resumed && last.changes == [1, 0, 0])
    }

    @Test func closedStreamsAreNotTakenForFiles() throws {
        directory.makeDirectory("tree")
        directory.makeFile("tree/file")
        for _ in 0..<2 {
            let command = DirScanCommand.start(tree, store: store("store"), [], output: .closed, error: .closed)
            #expect(command.wait() == .exited(74))
        }
        #expect(try scan(tree, store: store("store")).changes == [1, 0, 0])
    }

    @Test(arguments: [SIGINT, SIGTERM]) func stoppedBySignal(_ signal: Int32) throws {
        var generator = SeededGenerator()
        directory.makeTree("tree", directories: 1500, generator: &generator)
        let complete = try scan(tree, store: store("complete"))
        let size = directory.size(of: "complete") / 4
        var stops = 0
        for round in 0..<5 where stops == 0 {
            let name = "stopped\(round)"
            let command = DirScanCommand.start(tree, store: store(name))
            guard command.runs(until: { directory.size(of: name) > size }) else { continue }
            command.send(signal)
            guard command.wait() == .exited(130) else { continue }
            stops += 1
            #expect(command.output.isEmpty)
            #expect(command.error == "dirscan: interrupted; start it again to go on\n")
            let last = try scan(tree, store: store(name))
            #expect(last.totals == complete.totals && last.resumed)
        }
        #expect(stops > 0, "no scan was caught while it ran")
    }

    private func copy(_ name: String, to other: String) throws {
        try #require(Privileges.succeeds(["cp", "-a", "\(store(name))", "\(store(other))"]))
    }

    private func hasSnapshot(in name: String, suffix: String) -> Bool {
        let path = store(name).appending("snapshots/snapshot-1\(suffix)")
        return path.withCString { access($0, F_OK) } == 0
    }
}
