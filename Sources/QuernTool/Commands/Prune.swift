// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore

/// `quern prune`: retention by hand.
struct Prune: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Drop whole trees of tasks that have ended, the oldest first.",
        discussion: """
            Drops until the store keeps to each bound that is given. A tree with a live root task is never dropped. \
            It takes the writer's lock; with --dry-run it only reads, also a store in use. What was dropped is \
            reclaimed by quern compact, or by the service's own compaction.

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

    func run(into output: inout Output) throws -> ExitStatus {
        let policy = RetentionPolicy(age: olderThan?.duration, count: keepCount, bytes: keepBytes)
        let now = SystemWallClock().now
        let report: RetentionReport
        if dryRun {
            report = try store.read(&output).retention(policy, now: now)
        } else {
            // There must be a store, since opening makes one.
            _ = try RawStore(at: store.path)
            let open = try MemoStore.openBlocking(at: store.path)
            do throws(StoreError) { report = try open.applyRetentionBlocking(policy, now: now) } catch {
                try? open.closeBlocking()
                throw error
            }
            try open.closeBlocking()
        }
        try write(report, to: &output)
        return .fine
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
