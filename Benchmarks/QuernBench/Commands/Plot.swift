// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import SystemPackage

/// `quern-bench plot`: pictures of figures.
struct Plot: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Draw lines of JSON that a run has written as SVG: a bar chart a work, and what a child costs.")

    @Argument(help: "What --json has written.") var figures: String
    @Argument(help: "A directory that exists; pictures in it are replaced.") var directory: String

    func run() throws {
        let lines = try ResultLine.read(FilePath(figures))
        let target = FilePath(directory)
        var works: [String] = []
        for line in lines where !works.contains(line.work) { works.append(line.work) }
        for work in works {
            let chart = BarChart(work: work, lines: lines.filter { $0.work == work })
            if let drawing = chart.drawing { try replaceFile(target.appending(work + ".svg"), with: drawing.svg) }
        }
        for family in ["end-to-end", "finalize"] {
            let chart = CostChart(family: family, lines: lines)
            guard let drawing = chart.drawing else { continue }
            try replaceFile(target.appending("cost-\(family).svg"), with: drawing.svg)
        }
    }
}
