// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How texts for people look: with colours on a terminal that has them, when nobody asked for none.
struct Style: Sendable, Equatable {
    enum Colour: Int, Sendable {
        case bold = 1
        case dim = 2
        case red = 31
        case green = 32
        case yellow = 33
    }

    var hasColours: Bool

    static let plain = Style(hasColours: false)

    static var ofStandardOutput: Style {
        Style(isTerminal: isatty(STDOUT_FILENO) == 1) { name in getenv(name).map { String(cString: $0) } }
    }

    init(hasColours: Bool) { self.hasColours = hasColours }

    /// See no-color.org.
    init(isTerminal: Bool, environment: (String) -> String?) {
        hasColours =
            isTerminal && environment("NO_COLOR").map(\.isEmpty) ?? true && environment("TERM") ?? "dumb" != "dumb"
    }

    func paint(_ text: String, _ colour: Colour?) -> String {
        guard hasColours, let colour else { return text }
        return "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m"
    }
}
