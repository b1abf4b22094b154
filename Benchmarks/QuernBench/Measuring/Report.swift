// SPDX-License-Identifier: Apache-2.0

/// What one benchmark found: a table for people, or a line of JSON a figure for programs.
struct Report {
    var benchmark: String
    /// What was done, in a line that explains the figures below it.
    var title: String
    var figures: [Figure] = []

    init(_ benchmark: String, _ title: String) {
        self.benchmark = benchmark
        self.title = title
    }

    mutating func add(_ figure: Figure) { figures.append(figure) }

    func print(asJSON: Bool) { Swift.print(asJSON ? json : table) }

    // MARK: The table

    private enum Column: CaseIterable {
        case name
        case minimum
        case median
        case maximum
        case unit
        case limit
        case distance

        var isNumber: Bool { self != .name && self != .unit && self != .limit }

        func title(isRepeated: Bool) -> String {
            switch self {
            case .name, .unit: ""
            case .minimum: "min"
            case .median: isRepeated ? "median" : ""
            case .maximum: "max"
            case .limit: "limit"
            case .distance: "distance"
            }
        }

        func cell(_ figure: Figure) -> String {
            switch self {
            case .name: figure.name
            case .minimum: figure.minimum.text
            case .median: figure.median.text
            case .maximum: figure.maximum.text
            case .unit: figure.unit
            case .limit: figure.limit.map { "\($0.value.text) \($0.name)" } ?? ""
            case .distance: figure.distance.map { "\($0.text) x" } ?? ""
            }
        }
    }

    private var table: String {
        let isRepeated = figures.contains { $0.samples.count > 1 }
        let columns = Column.allCases.filter { column in
            switch column {
            case .minimum, .maximum: isRepeated
            case .limit, .distance: figures.contains { $0.limit != nil }
            case .name, .median, .unit: true
            }
        }
        let header = columns.map { $0.title(isRepeated: isRepeated) }
        let cells = figures.map { figure in columns.map { $0.cell(figure) } }
        let rows = (header.allSatisfy(\.isEmpty) ? [] : [header]) + cells
        let widths = columns.indices.map { column in rows.map(\.[column].count).max() ?? 0 }
        let lines = rows.map { row in
            var line = ""
            for (index, column) in columns.enumerated() {
                let space = String(repeating: " ", count: widths[index] - row[index].count)
                line += "  " + (column.isNumber ? space + row[index] : row[index] + space)
            }
            return line.trimmingSpacesAtEnd
        }
        return ([benchmark + ": " + title] + lines).joined(separator: "\n") + "\n"
    }

    // MARK: JSON

    private var json: String {
        figures.map { figure in
            var fields = [
                ("benchmark", benchmark.quoted), ("title", title.quoted), ("figure", figure.name.quoted),
                ("unit", figure.unit.quoted),
                ("better", (figure.direction == .lessIsBetter ? "less" : "more").quoted),
                ("samples", "[" + figure.samples.map(\.description).joined(separator: ",") + "]"),
                ("median", figure.median.description),
            ]
            if let limit = figure.limit {
                fields.append(("limit", limit.value.description))
                fields.append(("limitName", limit.name.quoted))
            }
            return "{" + fields.map { "\"\($0)\":\($1)" }.joined(separator: ",") + "}"
        }.joined(separator: "\n")
    }
}

extension String {
    /// As a JSON string. The texts are our own, without control characters.
    fileprivate var quoted: String {
        "\"" + split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\\\"") + "\""
    }
}

extension String {
    fileprivate var trimmingSpacesAtEnd: String {
        var text = self[...]
        while text.last == " " { text.removeLast() }
        return String(text)
    }
}
