// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore

/// `quern tree`: the hierarchy below a task.
struct Tree: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the tasks below a task that are parents themselves, with how the children of each ended.",
        discussion: """
            Children without children are counted, not listed; of wide levels the first --width parents are listed \
            and the others counted. Task 0 is above all root tasks. It takes 8 bytes of memory for each parent below \
            the task that has ended children.

            Examples:
              quern tree /var/lib/service/tasks 1
              quern tree /var/lib/service/tasks 0 --depth 1 --width 100 --json
            """)

    @OptionGroup var store: StoreArgument
    @Argument(help: "The task at the top; 0 for all root tasks.")
    var id: TaskID
    @Option(help: "So many levels below it.")
    var depth = 3
    @Option(help: "So many parents are listed below each task.")
    var width = 20
    @OptionGroup var format: FormatOptions

    func validate() throws {
        guard (0...1000).contains(depth), width >= 0 else {
            throw ValidationError("--depth takes 0 to 1000, --width no negative number")
        }
    }

    func run(into output: inout Output) throws {
        let store = try store.read(&output)
        if id != .none, !store.isLive(id), !store.isParent(id) {
            throw ToolError(.findings, "task \(id) has no children here, and is not live")
        }
        var printer = TreePrinter(store, top: id, depth: depth, width: width, isJSON: format.json)
        try printer.print(&output)
    }
}
