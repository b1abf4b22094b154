// SPDX-License-Identifier: Apache-2.0
/// A picture in the making, as SVG: lines, boxes and words, measured in pixels from the upper left corner.
struct Drawing {
    enum Color: String {
        case quern = "#b4530a"
        case peer = "#7d8fa0"
        case limit = "#c9ced3"
        case ink = "#1f2428"
        case pale = "#6a737d"
        case grid = "#e4e7ea"
    }

    enum Anchor: String {
        case start
        case middle
        case end
    }

    var width: Double
    var height: Double
    private var parts: [String] = []

    init(width: Double, height: Double) {
        self.width = width
        self.height = height
    }

    mutating func text(
        _ text: String, _ x: Double, _ y: Double, _ anchor: Anchor = .start, _ color: Color = .ink, size: Int = 13,
        isBold: Bool = false
    ) {
        parts.append(
            "<text x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" text-anchor=\"\(anchor.rawValue)\" "
                + "font-size=\"\(size)\"\(isBold ? " font-weight=\"bold\"" : "") fill=\"\(color.rawValue)\">"
                + "\(Self.escaped(text))</text>")
    }

    mutating func box(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ color: Color) {
        parts.append(
            "<rect x=\"\(Self.number(x))\" y=\"\(Self.number(y))\" width=\"\(Self.number(max(width, 1)))\" "
                + "height=\"\(Self.number(height))\" rx=\"2\" fill=\"\(color.rawValue)\"/>")
    }

    mutating func line(_ points: [(x: Double, y: Double)], _ color: Color, width: Double = 1) {
        let path = points.map { "\(Self.number($0.x)),\(Self.number($0.y))" }.joined(separator: " ")
        parts.append(
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(color.rawValue)\" "
                + "stroke-width=\"\(Self.number(width))\"/>")
    }

    mutating func dot(_ x: Double, _ y: Double, _ color: Color) {
        parts.append(
            "<circle cx=\"\(Self.number(x))\" cy=\"\(Self.number(y))\" r=\"3.5\" fill=\"\(color.rawValue)\"/>")
    }

    var svg: String {
        let size = "width=\"\(Self.number(width))\" height=\"\(Self.number(height))\""
        let box = "viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\""
        return "<svg xmlns=\"http://www.w3.org/2000/svg\" \(size) \(box) font-family=\"sans-serif\">\n"
            + "<rect \(size) fill=\"#ffffff\"/>\n" + parts.joined(separator: "\n") + "\n</svg>\n"
    }

    /// One decimal is a tenth of a pixel.
    private static func number(_ value: Double) -> String { "\((value * 10).rounded() / 10)" }

    private static func escaped(_ text: String) -> String {
        text.reduce(into: "") { result, character in
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
    }
}
