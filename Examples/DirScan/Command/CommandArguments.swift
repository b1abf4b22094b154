// SPDX-License-Identifier: Apache-2.0
import DirScanKit

/// The bytes behind the arguments. `CommandLine.arguments` are strings, in which bytes that are not UTF-8 are replaced.
enum CommandArguments {
    /// The path that was given as this text.
    ///
    /// - Throws: ``CommandError`` when two arguments that differ look alike as text.
    static func path(_ text: String) throws(CommandError) -> PathBytes {
        guard text.unicodeScalars.contains("\u{FFFD}") else { return PathBytes(text) }
        var found: [UInt8]?
        for argument in all.dropFirst() {
            for candidate in [argument[...], argument.drop { $0 != UInt8(ascii: "=") }.dropFirst()]
            where String(decoding: candidate, as: UTF8.self) == text {
                if let found, found != Array(candidate) {
                    throw CommandError(.usage, "two arguments are not UTF-8 and look alike: \(PathBytes(found))")
                }
                found = Array(candidate)
            }
        }
        return found.map { PathBytes($0) } ?? PathBytes(text)
    }

    private static var all: [[UInt8]] {
        (0..<Int(CommandLine.argc)).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                var length = 0
                while argument[length] != 0 { length += 1 }
                return [UInt8](UnsafeRawBufferPointer(start: argument, count: length))
            }
        }
    }
}
