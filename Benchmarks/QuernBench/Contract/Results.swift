// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// What was measured: printed as tables when a work is done, and written as lines of JSON at the same time, so that an
/// interrupted run has left what it found.
final class Results {
    private(set) var measurements: [Measurement] = []
    private let json: FileDescriptor?

    private let isSilent: Bool

    /// - Parameters:
    ///   - json: replaced; nil to write none.
    ///   - isSilent: whether no tables are printed.
    init(json path: FilePath?, isSilent: Bool = false) throws {
        self.isSilent = isSilent
        json = try path.map {
            try FileDescriptor.open(
                $0, .writeOnly, options: [.create, .truncate], permissions: [.ownerReadWrite, .groupRead, .otherRead])
        }
    }

    deinit { try? json?.close() }

    /// Prints and writes the figures of a few works.
    func add(_ added: [Measurement], title: String) throws {
        guard !added.isEmpty else { return }
        measurements += added
        try json?.writeAll(added.map { $0.json + "\n" }.joined().utf8)
        guard !isSilent else { return }
        print(title)
        var tables: [String] = []
        for measurement in added {
            let name = measurement.work + " " + measurement.metric.rawValue
            if !tables.contains(name) { tables.append(name) }
        }
        for name in tables {
            print(Self.table(name, added.filter { $0.work + " " + $0.metric.rawValue == name }))
        }
    }

    /// A line an engine: its figure, its share of the limit, and how it compares with quern.
    static func table(_ name: String, _ rows: [Measurement]) -> String {
        let limit = rows.first { $0.engine == Measurement.limit }
        let quern = rows.first { $0.engine == EngineName.quern.rawValue }
        var cells = [[name, "min", "median", "max", "of limit", "quern is"]]
        for row in rows {
            var share = ""
            if let limit, limit.median > 0, row.median > 0, row.engine != Measurement.limit {
                let part = row.metric.moreIsBetter ? row.median / limit.median : limit.median / row.median
                share = (part * 100).text + " %"
            }
            var ratio = ""
            if let quern, quern.median > 0, row.median > 0, row.engine != quern.engine, row.engine != Measurement.limit
            {
                let better = row.metric.moreIsBetter ? quern.median / row.median : row.median / quern.median
                ratio = better.text + " x"
            }
            let engine = row.note.map { "\(row.engine) (\($0))" } ?? row.engine
            cells.append([engine, row.minimum.text, row.median.text, row.maximum.text, share, ratio])
        }
        let widths = cells[0].indices.map { column in cells.map(\.[column].count).max() ?? 0 }
        return cells.map { row in
            row.enumerated().map { column, text in
                let space = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 ? text + space : space + text
            }.joined(separator: "  ")
        }.joined(separator: "\n") + "\n"
    }
}
