// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Quern
import QuernStore

/// `quern show`: all that is known of one task.
struct Show: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Tell all that is known of one task, live or ended.",
        discussion: """
            What ended is looked for in the whole index, which takes a while in a large store.

            Examples:
              quern show /var/lib/service/tasks 42
              quern show /var/lib/service/tasks 42 --layout 'u64 files,u64 bytes' --json
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "The task's id.")
    var id: TaskID
    @OptionGroup var layout: LayoutOptions
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    func run(into output: inout Output) throws {
        let store = try store.read(&output)
        guard id != .none else { throw ToolError(.usage, "task 0 is no task but the parent of all root tasks") }
        guard id < store.nextTask || store.isDamaged else {
            throw ToolError(.findings, "no task has had the id \(id) yet: the next one is \(store.nextTask)")
        }
        var story = TaskStory(id: id)
        if store.isLive(id) {
            story.tellLive(in: store, now: SystemWallClock().now)
        } else {
            let place = search(store, for: id, &output)
            guard let place else {
                throw ToolError(
                    .findings, "task \(id) is not live and in no block: it was dropped, or what had it is lost")
            }
            story.tellEnded(place, in: store)
        }
        story.tellChildren(in: store)
        story.tellAncestors(in: store) { search(store, for: $0, &output) }
        for problem in story.problems { output.finding(problem) }
        try story.write(to: &output, layout: layout.layout, isJSON: format.json)
    }

    private func search(_ store: OfflineStore, for id: TaskID, _ output: inout Output) -> OfflineStore.EndedPlace? {
        var line = ProgressLine("show", .items("blocks"), of: store.blockCount, isWanted: progress.progress)
        let (place, findings) = store.findEnded(id) { line.update($0) }
        line.finish()
        for finding in findings where place == nil { output.warn(finding.line) }
        return place
    }
}
