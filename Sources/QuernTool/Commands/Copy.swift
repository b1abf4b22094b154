// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern copy`: a consistent copy.
struct Copy: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Copy a store, also one that is in use, as it is at one moment.",
        discussion: """
            With --live the store may be in use, and its writer is not disturbed: the copy has all that was committed \
            when it began, and maybe more. Without it the writer's lock is taken. The copy is a store with the same \
            identity, on which a service goes on where this one was: let only one of them. The children's blocks are \
            copied as they are: quern verify says whether they are whole.

            Examples:
              quern copy /var/lib/service/tasks --live --into /backup/tasks
              quern copy /var/lib/service/tasks --into /backup/tasks --json
            """)

    @OptionGroup var store: StoreArgument
    @Option(help: "The directory of the copy, which must be empty or missing.", completion: .directory)
    var into: String
    @Flag(help: "The store may be in use.")
    var live = false
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    var cleansUp: Bool { true }

    func run(into output: inout Output) throws {
        let report = try ProgressLine.showing("copy", .bytes, progress) { progress in
            try StoreCopy.run(
                of: store.path, into: FilePath(into), isLive: live, fileSystem: InterruptibleFileSystem(),
                progress: progress)
        }
        if format.json {
            try output.json { json in
                json.field("files", report.files)
                json.field("bytes", report.bytes)
                json.field("live_tasks", report.liveTasks)
            }
        } else {
            let live = Numbers.grouped(report.liveTasks)
            try output.line("\(Numbers.bytes(report.bytes)) in \(report.files) files, \(live) live tasks")
        }
    }
}
