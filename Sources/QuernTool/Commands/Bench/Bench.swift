// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import QuernStore
import SystemPackage

/// `quern bench`: what a disk gives quern.
struct Bench: ToolCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure what the disk of a directory gives quern, beside the disk's own limits.",
        discussion: """
            Writes into a directory of its own below DIRECTORY, and removes it, also when it is interrupted. Each \
            figure of quern is followed by its share of what the same disk gives a program that does nothing but the \
            same writes, syncs or reads, measured in the same run. A scan reads what is in memory still.

            Examples:
              quern bench /var/lib/service
              quern bench /var/lib/service --children 1000000 --json
            """)

    @Argument(help: "A directory on the disk that is to be measured.", completion: .directory)
    var directory: String
    @Option(help: "So many children are spawned, ended and scanned.")
    var children = 200_000
    @Option(help: "So many small commits are timed.")
    var syncs = 200
    @OptionGroup var format: FormatOptions

    func validate() throws {
        guard (1...100_000_000).contains(children), (10...100_000).contains(syncs) else {
            throw ValidationError("--children takes 1 to 100000000, --syncs 10 to 100000")
        }
    }

    var cleansUp: Bool { true }

    func run(into output: inout Output) throws {
        let parent = FilePath(directory)
        do throws(FileError) { _ = try PosixFileSystem().list(parent) } catch {
            throw ToolError(.unreadable, "\(error)")
        }
        let place = try BenchDirectory(in: parent)
        defer { place.remove() }
        var run = BenchRun(in: place, children: children, syncs: syncs)
        try run.run()
        try write(run.figures, to: &output)
    }

    private func write(_ figures: [BenchRun.Figure], to output: inout Output) throws(OutputFailure) {
        if format.json {
            for figure in figures {
                try output.json { json in
                    json.text("figure", figure.key)
                    json.text("unit", figure.unit.name)
                    json.field("value", figure.value)
                    if let share = figure.share { json.field("share_of_limit", share) }
                }
            }
            return
        }
        var table = Table(.left("FIGURE"), .right("VALUE"), .left(), .right("OF THE LIMIT"))
        for figure in figures {
            let value: String
            let unit: String
            switch figure.unit {
            case .microseconds: (value, unit) = (Numbers.grouped(Int(figure.value)), "us")
            case .bytesPerSecond: (value, unit) = (Numbers.bytes(Int(figure.value)), "/s")
            case .childrenPerSecond: (value, unit) = (Numbers.grouped(Int(figure.value)), "children/s")
            }
            table.add(
                .text(figure.name), .text(value), .text(unit),
                .text(figure.share.map { Numbers.percent($0, of: 1) } ?? ""))
        }
        try table.write(to: &output)
    }
}
