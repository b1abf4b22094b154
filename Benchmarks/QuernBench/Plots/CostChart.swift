// SPDX-License-Identifier: Apache-2.0

/// What a child costs as their number grows: a line an engine, from works whose names differ in the number.
struct CostChart {
    /// The first words of the works' names: "end-to-end".
    var family: String
    /// All that was found.
    var lines: [ResultLine]

    private static let sizes: [(suffix: String, children: Double)] = [
        ("1k", 1e3), ("10k", 1e4), ("100k", 1e5), ("238k", 238e3), ("1m", 1e6), ("10m", 1e7),
    ]
    private static let (left, right, top, bottom) = (70.0, 120.0, 60.0, 50.0)
    private static let (width, height) = (720.0, 380.0)

    private typealias Point = (children: Double, nanoseconds: Double)

    /// Nil with fewer than two numbers.
    var drawing: Drawing? {
        var series: [(engine: String, points: [Point])] = []
        for engine in EngineName.allCases.map(\.rawValue) + [Measurement.limit] {
            let points = Self.sizes.compactMap { size in
                lines.first {
                    $0.work == "\(family)-\(size.suffix)" && $0.engine == engine && $0.metric == .childrenPerSecond
                        && $0.value > 0
                }.map { Point(size.children, 1e9 / $0.value) }
            }
            if points.count > 1 { series.append((engine, points)) }
        }
        guard !series.isEmpty else { return nil }
        var drawing = Drawing(width: Self.width, height: Self.height)
        drawing.text("\(family): what a child costs", 16, 30, size: 18, isBold: true)
        let across = Scale(series.flatMap { $0.points.map(\.children) }, isLogarithmic: true)
        // A flat line is to be seen as one: from zero where that leaves room, else by powers of ten.
        let up = Scale(series.flatMap { $0.points.map(\.nanoseconds) })
        func x(_ children: Double) -> Double {
            Self.left + across.place(children) * (Self.width - Self.left - Self.right)
        }
        func y(_ cost: Double) -> Double {
            Self.height - Self.bottom - up.place(cost) * (Self.height - Self.top - Self.bottom)
        }
        drawing.text(
            "nanoseconds a child" + (up.isLogarithmic ? ", logarithmic scale" : ""), 16, 48, .start, .pale, size: 12)
        for mark in up.marks {
            drawing.line([(Self.left, y(mark)), (Self.width - Self.right, y(mark))], .grid)
            drawing.text(mark.brief, Self.left - 8, y(mark) + 4, .end, .pale, size: 11)
        }
        for mark in across.marks {
            drawing.line([(x(mark), Self.top), (x(mark), Self.height - Self.bottom)], .grid)
            drawing.text(mark.brief, x(mark), Self.height - Self.bottom + 16, .middle, .pale, size: 11)
        }
        drawing.text("children of one parent", Self.left, Self.height - 12, .start, .pale, size: 12)
        // Names of lines that end near each other are pushed apart.
        var lastName = -Double.infinity
        let ends = series.compactMap { engine, points in points.last.map { (engine, points, y($0.nanoseconds)) } }
        for (engine, points, end) in ends.sorted(by: { $0.2 < $1.2 }) {
            let color: Drawing.Color =
                engine == EngineName.quern.rawValue ? .quern : engine == Measurement.limit ? .limit : .peer
            drawing.line(points.map { (x($0.children), y($0.nanoseconds)) }, color, width: 2)
            for point in points { drawing.dot(x(point.children), y(point.nanoseconds), color) }
            guard let last = points.last else { continue }
            lastName = max(end + 4, lastName + 15)
            drawing.text(engine, x(last.children) + 10, lastName, .start, .ink, isBold: color == .quern)
        }
        return drawing
    }
}
