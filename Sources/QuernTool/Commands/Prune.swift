// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore
import SystemPackage

/// `quern prune`: retention by hand.
struct Prune: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drop whole trees of tasks that have ended, the oldest first.",
        discussion: """
            Drops until the store keeps to each bound that is given. A tree with a live root task is never dropped, \
            nor one that live tasks depend on or redrive. \
            It takes the writer's lock; with --dry-run it only reads, also a store in use, and takes some 40 bytes of \
            memory for each ended tree. What was dropped is reclaimed by quern compact, or by the service's own \
            compaction. On a full disk both use the space that the store holds back for them, if any.

            Examples:
              quern prune /var/lib/service/tasks --older-than 30d --dry-run
              quern prune /var/lib/service/tasks --older-than 30d --keep-count 10000
              quern prune /var/lib/service/tasks --keep-bytes 1073741824 --json
            """)

    @OptionGroup var store: StoreArgument
    @Option(help: "Drop trees whose root task ended longer ago: 30s, 15m, 2h, 3d, 4w.")
    var olderThan: AgeArgument?
    @Option(help: "Keep at most so many trees.")
    var keepCount: Int?
    @Option(help: "Keep at most so many bytes of index.")
    var keepBytes: Int?
    @Flag(help: "Say what would be dropped, and change nothing.")
    var dryRun = false
    @OptionGroup var format: FormatOptions

    func validate() throws {
        guard olderThan != nil || keepCount != nil || keepBytes != nil else {
            throw ValidationError("give a bound: --older-than, --keep-count or --keep-bytes")
        }
        guard keepCount ?? 0 >= 0, keepBytes ?? 0 >= 0 else { throw ValidationError("a bound is no negative number") }
    }

    func run(into output: inout Output) throws {
        let policy = RetentionPolicy(age: olderThan?.duration, count: keepCount, bytes: keepBytes)
        let now = SystemWallClock().now
        if dryRun {
            let store = try store.read(&output)
            return try write(try store.retention(policy, now: now, leavingAlone: store.neededTrees), to: &output)
        }
        let unclosed = try Self.drop(policy, at: store.path, now: now) { report in
            try write(report, to: &output)
            try output.flush()
        }
        if let unclosed {
            output.warn("the store has no new checkpoint, and the next opening takes longer: \(unclosed)")
        }
    }

    /// Drops, tells `report` once that is on disk, and gives the store free.
    ///
    /// - Returns: why no checkpoint was written when the disk is full, on which trees are dropped as long as a few KiB
    ///   are free, in the reserve of the store or beside it.
    static func drop(
        _ policy: RetentionPolicy, at path: FilePath, on files: any FileSystem = PosixFileSystem(), now: Timestamp,
        report: (RetentionReport) throws -> Void
    ) throws -> StoreError? {
        // There must be a store, since opening makes one.
        _ = try RawStore(at: path, fileSystem: files)
        var configuration = MemoStore.Configuration()
        // Nothing but the drops is committed.
        configuration.logReserveBytes = 0
        let open = try MemoStore.openBlocking(at: path, configuration: configuration, fileSystem: files)
        do {
            // Nothing that the service's tasks need once it runs again.
            _ = try open.pinNeededTrees(of: open.liveTasks()) { _, _ in }
            try report(try open.applyRetentionBlocking(policy, now: now))
        } catch {
            try? open.closeBlocking()
            throw error
        }
        do throws(StoreError) { try open.closeBlocking() } catch {
            guard error.code == .noSpace else { throw error }
            return error
        }
        return nil
    }

    private func write(_ report: RetentionReport, to output: inout Output) throws(OutputFailure) {
        if format.json {
            return try output.json { json in
                json.field("dry_run", dryRun)
                json.field("trees", report.trees)
                json.field("tasks", report.children)
                json.field("bytes", report.bytes)
            }
        }
        try output.line(
            (dryRun ? "would drop " : "dropped ") + "\(Numbers.grouped(report.trees)) trees with "
                + "\(Numbers.grouped(report.children)) ended tasks, which take \(Numbers.bytes(report.bytes)) of index")
    }
}
