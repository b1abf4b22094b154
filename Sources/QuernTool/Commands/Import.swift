// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern import`: a store from what `quern export` wrote of one.
struct Import: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a store of a file that quern export wrote.",
        discussion: """
            The new store has the same tasks, children, ids and identity; its files are those that quern compact \
            --into makes of the exported store. A file that is no exported store, or not all of one, is refused with \
            the line at which that shows, and nothing is left in the new directory.

            Examples:
              quern import tasks.jsonl --into /srv/tasks
              zstdcat tasks.jsonl.zst | quern import - --into /srv/tasks
            """)

    @Argument(help: "The file; - for standard input.", completion: .file(extensions: ["jsonl"]))
    var file: String
    @Option(help: "The directory for the new store, which must be empty or missing.", completion: .directory)
    var into: String
    @OptionGroup var format: FormatOptions
    @OptionGroup var progress: ProgressOptions

    var cleansUp: Bool { true }

    func run(into output: inout Output) throws {
        let descriptor = try open()
        defer { if descriptor != .standardInput { try? descriptor.close() } }
        let report: StoreBuilder.Report
        do {
            report = try ProgressLine.showing("import", .bytes, progress) { try build(of: descriptor, $0) }
        } catch let error as ImportFailure {
            throw ToolError(.unreadable, "\(file), \(error)")
        } catch let error as Errno {
            throw ToolError(.unreadable, "cannot read \(file): \(error)")
        }
        if format.json {
            try output.json {
                $0.field("children", report.children)
                $0.field("live_tasks", report.liveTasks)
            }
        } else {
            var table = Table(.left(), .right())
            table.add("ended children", .number(report.children))
            table.add("live tasks", .number(report.liveTasks))
            try table.write(to: &output)
        }
    }

    private func build(
        of descriptor: FileDescriptor, _ progress: @escaping (_ done: UInt64, _ total: UInt64?) -> Void
    ) throws -> StoreBuilder.Report {
        let found = try descriptor.stat()
        let total = found.type == .regular ? UInt64(clamping: found.size) : nil
        var bytes: UInt64 = 0
        let source = LineSource { buffer in
            let count = try read(descriptor, into: buffer)
            bytes += UInt64(count)
            progress(bytes, total)
            return count
        }
        return try StoreBuilder.build(at: FilePath(into), fileSystem: InterruptibleFileSystem()) { builder in
            var contents = StoreImport<StoreBuilder>(source)
            try contents.tell(&builder)
        }
    }

    private func read(_ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        while true {
            try Interruption.check()
            do { return try descriptor.read(into: buffer, retryOnInterrupt: false) } catch Errno.interrupted {}
        }
    }

    private func open() throws -> FileDescriptor {
        if file == "-" { return .standardInput }
        do { return try FileDescriptor.open(FilePath(file), .readOnly, options: [.closeOnExec]) } catch {
            throw ToolError(.unreadable, "cannot open \(file): \(error)")
        }
    }
}
