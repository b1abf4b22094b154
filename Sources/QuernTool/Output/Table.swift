// SPDX-License-Identifier: Apache-2.0

/// Aligned columns for people. It holds all rows: not for what has no bound.
struct Table {
    struct Column {
        var heading: String
        var isRight: Bool

        static func left(_ heading: String = "") -> Column { Column(heading: heading, isRight: false) }
        /// For numbers.
        static func right(_ heading: String = "") -> Column { Column(heading: heading, isRight: true) }
    }

    struct Cell: ExpressibleByStringInterpolation {
        var text: String
        var colour: Style.Colour?

        /// Texts out of a store are made ``Printable`` here.
        init(_ text: String, _ colour: Style.Colour? = nil) {
            self.text = Printable.text(text)
            self.colour = colour
        }

        init(stringLiteral text: String) { self.init(text) }

        /// With separators, as people read numbers.
        static func number(_ value: some BinaryInteger) -> Cell { Cell(Numbers.grouped(value)) }
        static func text(_ text: String) -> Cell { Cell(text) }

        /// A text that is ``Printable`` already.
        static func printable(_ text: String) -> Cell {
            var cell = Cell("")
            cell.text = text
            return cell
        }
    }

    private let columns: [Column]
    private var rows: [[Cell]] = []

    /// Without a heading in any column no headings are printed.
    init(_ columns: Column...) { self.columns = columns }

    var isEmpty: Bool { rows.isEmpty }

    mutating func add(_ cells: Cell...) { add(cells) }
    mutating func add(_ cells: [Cell]) { rows.append(cells) }

    func write(to output: inout Output) throws(OutputFailure) {
        var widths = columns.map(\.heading.count)
        for row in rows {
            for (index, cell) in row.enumerated() where index < widths.count {
                widths[index] = max(widths[index], cell.text.count)
            }
        }
        if columns.contains(where: { !$0.heading.isEmpty }) {
            try write(columns.map { Cell($0.heading, .bold) }, widths, to: &output)
        }
        for row in rows { try write(row, widths, to: &output) }
    }

    private func write(_ row: [Cell], _ widths: [Int], to output: inout Output) throws(OutputFailure) {
        var text = ""
        // Nothing but spaces at the end of a line.
        let count = (row.prefix(columns.count).lastIndex { !$0.text.isEmpty } ?? -1) + 1
        for (index, cell) in row[..<count].enumerated() {
            let fill = String(repeating: " ", count: widths[index] - cell.text.count)
            let painted = output.style.paint(cell.text, cell.colour)
            if index > 0 { text += "  " }
            text += columns[index].isRight ? fill + painted : painted
            if !columns[index].isRight, index + 1 < count { text += fill }
        }
        try output.line(text)
    }
}
