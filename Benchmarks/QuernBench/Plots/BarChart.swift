// SPDX-License-Identifier: Apache-2.0

/// What engines made of one work: a bar an engine, a part of the picture for each metric.
struct BarChart {
    var work: String
    /// Those of the work.
    var lines: [ResultLine]

    private static let (left, right, row, head) = (120.0, 190.0, 24.0, 64.0)
    private static let width = 760.0

    /// Nil where nothing is compared.
    var drawing: Drawing? {
        var metrics: [Metric] = []
        for line in lines {
            if let metric = line.metric, !metrics.contains(metric) { metrics.append(metric) }
        }
        let panels = metrics.map { metric in (metric: metric, rows: lines.filter { $0.metric == metric }) }
            .filter { $0.rows.count > 1 }
        guard !panels.isEmpty else { return nil }
        let height = panels.reduce(48) { $0 + Self.head + Double($1.rows.count) * Self.row }
        var drawing = Drawing(width: Self.width, height: height)
        drawing.text(work, 16, 30, size: 18, isBold: true)
        var top = 36.0
        for panel in panels {
            draw(panel.metric, panel.rows, at: top, on: &drawing)
            top += Self.head + Double(panel.rows.count) * Self.row
        }
        return drawing
    }

    private func draw(_ metric: Metric, _ rows: [ResultLine], at top: Double, on drawing: inout Drawing) {
        let scale = Scale(rows.map(\.value))
        let span = Self.width - Self.left - Self.right
        let bottom = top + Self.head - 20 + Double(rows.count) * Self.row
        let words = [
            metric.title, metric.moreIsBetter ? "longer is better" : "shorter is better",
            scale.isLogarithmic ? "logarithmic scale" : "",
        ]
        drawing.text(words.filter { !$0.isEmpty }.joined(separator: ", "), 16, top + 22, .start, .pale, size: 12)
        for mark in scale.marks {
            let x = Self.left + scale.place(mark) * span
            drawing.line([(x, top + 34), (x, bottom)], .grid)
            drawing.text(mark.brief, x, bottom + 13, .middle, .pale, size: 10)
        }
        for (index, row) in rows.enumerated() {
            let y = top + 38 + Double(index) * Self.row
            let color: Drawing.Color =
                row.engine == EngineName.quern.rawValue ? .quern : row.engine == Measurement.limit ? .limit : .peer
            drawing.text(row.engine, Self.left - 8, y + 13, .end, .ink, isBold: color == .quern)
            let length = scale.place(row.value) * span
            drawing.box(Self.left, y, length, Self.row - 7, color)
            // From the smallest round to the largest.
            let ends = [row.minimum, row.maximum].map { Self.left + min(max(scale.place($0), 0), 1.05) * span }
            drawing.line([(ends[0], y + 8.5), (ends[1], y + 8.5)], .ink)
            drawing.text("\(row.value.text) \(metric.unit)", max(Self.left + length, ends[1]) + 6, y + 13, size: 12)
        }
    }
}

extension Metric {
    /// In words.
    var title: String { rawValue.split(separator: "_").map { $0 == "ns" ? "nanoseconds" : $0 }.joined(separator: " ") }
}

extension Double {
    /// For the marks of an axis: 20, 1.5k, 10M.
    var brief: String {
        for (size, name) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where self >= size {
            return (self / size).shortened + name
        }
        return shortened
    }

    private var shortened: String {
        let rounded = (self * 100).rounded() / 100
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}
