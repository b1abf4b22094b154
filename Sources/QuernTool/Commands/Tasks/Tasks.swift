// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore

/// `quern tasks`: which tasks there are.
struct Tasks: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "List live tasks, and with --ended root tasks that have ended.",
        discussion: """
            States: pending, running_at_crash, waiting (for children), finalizing, delayed, blocked (by other tasks), \
            cancelling; of ended tasks completed, failed, dead_lettered, cancelled, expired, superseded, \
            dependency_failed. Which tasks run now only the process knows that runs them.

            Examples:
              quern tasks /var/lib/service/tasks
              quern tasks /var/lib/service/tasks --state delayed --type 'mail.*' --older-than 2h --sort age
              quern tasks /var/lib/service/tasks --ended --state failed --newer-than 1d --json
            """)

    private static let shownToPeople = 1000

    @OptionGroup var store: StoreArgument
    @OptionGroup var filter: TaskFilter
    @Flag(help: "List root tasks that have ended too.")
    var ended = false
    @Option(help: "At most so many tasks; 1000 when it is not given, and all with --json.")
    var limit: Int?
    @Option(help: "In this order: by id, age (oldest first), priority, type or attempts (most first).")
    var sort: ListedTask.Order = .id
    @OptionGroup var format: FormatOptions

    func validate() throws { if limit ?? 0 < 0 { throw ValidationError("--limit takes no negative number") } }

    func run(into output: inout Output) throws {
        let store = try store.read(&output)
        let now = SystemWallClock().now
        let limit = limit ?? (format.json ? .max : Self.shownToPeople)
        var selection = TaskSelection(sort, limit: limit)
        let streams = format.json && sort == .id
        var printed = 0
        func take(_ task: ListedTask, _ output: inout Output) throws(OutputFailure) {
            guard filter.wants(task, now: now) else { return }
            guard streams else { return selection.add(task) }
            guard printed < limit else { return }
            printed += 1
            try output.json { task.append(to: &$0) }
        }
        let wantsEnded = ended || filter.state.contains(where: \.isEnded)
        if wantsEnded, filter.parent ?? TaskID.none == TaskID.none { try eachEnded(store, &output, take) }
        if filter.state.isEmpty || filter.state.contains(where: { !$0.isEnded }) {
            try eachLive(store, now, &output, take)
        }
        if !streams { try write(&selection, now, &output) }
    }

    private func eachLive(
        _ store: OfflineStore, _ now: Timestamp, _ output: inout Output,
        _ body: (ListedTask, inout Output) throws(OutputFailure) -> Void
    ) throws(OutputFailure) {
        let names = TypeNames(store)
        var view = LiveView(store, now: now)
        for entry in view.live.runs {
            let options = view.options(of: entry.run)
            var rest = entry.live
            while rest != 0 {
                let id = entry.run.id(at: rest.trailingZeroBitCount)
                rest &= rest - 1
                try body(
                    ListedTask(
                        id: id, parent: entry.run.parent, type: names[entry.run.label],
                        state: view.state(of: id, in: entry.run, options), submittedAt: entry.run.submittedAt,
                        notBefore: view.notBefore(id, options), priority: view.priority(of: id, in: entry.run),
                        attempts: view.attempts(of: id), group: options?.group, tags: options?.tags ?? [],
                        children: view.status(of: id)), &output)
            }
        }
    }

    private func eachEnded(
        _ store: OfflineStore, _ output: inout Output,
        _ body: (ListedTask, inout Output) throws(OutputFailure) -> Void
    ) throws(OutputFailure) {
        let names = TypeNames(store)
        var walk = ChildWalk(
            of: .none, in: store, columns: .attachments, failed: false, label: "tasks", progress: ProgressOptions.none)
        try walk.forEach(&output) { (block, index, output) throws(OutputFailure) in
            let remains = block.withAttachment(at: index) { bytes in
                bytes.byteCount == 0 ? nil : StoredRemains(bytes.withUnsafeBytes { Array($0) })
            }
            try body(
                ListedTask(
                    id: block.id(at: index), parent: .none, type: names[block.label(at: index)],
                    state: .ended(block.kind(at: index)), endedAt: block.endedAt(at: index),
                    priority: remains?.priority, attempts: block.attempts(at: index), group: remains?.options.group,
                    tags: remains?.options.tags ?? []), &output)
        }
    }

    private func write(
        _ selection: inout TaskSelection, _ now: Timestamp, _ output: inout Output
    ) throws(OutputFailure) {
        let tasks = selection.sorted
        if format.json {
            for task in tasks { try output.json { task.append(to: &$0) } }
            return
        }
        var table = Table(
            .right("ID"), .right("PARENT"), .left("TYPE"), .left("STATE"), .right("AGE"), .right("PRIORITY"),
            .right("TRIES"), .right("CHILDREN"), .left("GROUP"), .left("TAGS"))
        for task in tasks {
            let time = task.endedAt ?? task.submittedAt
            table.add(
                .text("\(task.id)"), .text(task.parent == .none ? "" : "\(task.parent)"), .text(task.type),
                Table.Cell(task.state.name, task.state.colour),
                .text(time.map { Numbers.duration(milliseconds: now.rawValue &- $0.rawValue) } ?? ""),
                .text(task.priority.map { "\($0)" } ?? ""), .number(task.attempts),
                .text(task.children.map { Numbers.grouped($0.liveChildren + $0.counts.total) } ?? ""),
                .text(task.group ?? ""), .text(task.tags.joined(separator: ", ")))
        }
        try table.write(to: &output)
        if selection.total > UInt64(tasks.count) {
            output.warn("\(tasks.count) of \(Numbers.grouped(selection.total)) tasks are shown: see --limit")
        }
    }
}

extension ProgressOptions {
    /// For work that is short as a rule.
    static var none: ProgressOptions {
        var options = ProgressOptions()
        options.progress = false
        return options
    }
}
