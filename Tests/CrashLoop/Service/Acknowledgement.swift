// SPDX-License-Identifier: Apache-2.0

/// What the service was told, as a line: a letter, numbers, and a semicolon, without which the line was cut short.
enum Acknowledgement: Equatable {
    /// The store is open and the scheduler has recovered.
    case opened
    /// A submit returned.
    case submitted(id: UInt64, number: UInt64, isWave: Bool)
    /// A root task ended: with this memo's value, 0 where it has none.
    case ended(id: UInt64, kind: UInt8, value: UInt64)
    /// A cancel returned that it was requested.
    case cancelled(id: UInt64)
    /// A tree is about to be dropped.
    case dropping(id: UInt64)
    case dropped(id: UInt64)
    /// A commit to the store itself returned: the named value is this one at least.
    case stored(value: UInt64)
    /// Something was refused, and is tried again.
    case refused(String)
    /// The service cannot go on.
    case failed(String)

    var line: String {
        switch self {
        case .opened: "o;\n"
        case .submitted(let id, let number, let isWave): "s \(id) \(number) \(isWave ? 1 : 0);\n"
        case .ended(let id, let kind, let value): "e \(id) \(kind) \(value);\n"
        case .cancelled(let id): "c \(id);\n"
        case .dropping(let id): "x \(id);\n"
        case .dropped(let id): "d \(id);\n"
        case .stored(let value): "v \(value);\n"
        case .refused(let reason): "r \(Self.word(reason));\n"
        case .failed(let reason): "f \(Self.word(reason));\n"
        }
    }

    private static func word(_ text: String) -> String {
        String(text.map { $0 == "\n" || $0 == ";" ? " " : $0 }.prefix(1000))
    }

    /// Nil for a line that was cut short.
    init?(_ line: Substring) {
        guard line.utf8.last == UInt8(ascii: ";"), let letter = line.first else { return nil }
        let rest = line.dropFirst(2).dropLast()
        func numbers(_ count: Int) -> [UInt64]? {
            let words = rest.split(separator: " ").map { UInt64($0) }
            return words.count == count ? words.reduce(into: []) { if let word = $1 { $0?.append(word) } } : nil
        }
        switch letter {
        case "o": self = .opened
        case "s":
            guard let words = numbers(3), words.count == 3 else { return nil }
            self = .submitted(id: words[0], number: words[1], isWave: words[2] == 1)
        case "e":
            guard let words = numbers(3), words.count == 3 else { return nil }
            self = .ended(id: words[0], kind: UInt8(truncatingIfNeeded: words[1]), value: words[2])
        case "c", "x", "d", "v":
            guard let words = numbers(1), words.count == 1 else { return nil }
            self =
                switch letter {
                case "c": .cancelled(id: words[0])
                case "x": .dropping(id: words[0])
                case "d": .dropped(id: words[0])
                default: .stored(value: words[0])
                }
        case "r": self = .refused(String(rest))
        case "f": self = .failed(String(rest))
        default: return nil
        }
    }
}

#if canImport(Darwin)
    import Darwin
#else
    import Glibc
#endif

/// Where acknowledgements go: a pipe, of which nothing is lost that was written when the process dies.
enum AcknowledgementPipe {
    /// Up to this a write to a pipe is whole.
    private static let longestWrite = 4000

    static func write(_ acknowledgement: Acknowledgement) { write([acknowledgement]) }

    /// Returns when all are in the pipe.
    static func write(_ acknowledgements: [Acknowledgement]) {
        var bytes: [UInt8] = []
        for acknowledgement in acknowledgements {
            let line = Array(acknowledgement.line.utf8)
            if bytes.count + line.count > longestWrite {
                put(bytes)
                bytes = []
            }
            bytes += line
        }
        put(bytes)
    }

    private static func put(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { systemWrite($0) }
            if count < 0, errno != EINTR { exit(9) }
            rest = rest.dropFirst(max(0, count))
        }
    }

    private static func systemWrite(_ bytes: UnsafeRawBufferPointer) -> Int {
        #if canImport(Darwin)
            Darwin.write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
        #else
            Glibc.write(STDOUT_FILENO, bytes.baseAddress, bytes.count)
        #endif
    }
}
