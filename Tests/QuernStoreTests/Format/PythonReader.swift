// SPDX-License-Identifier: Apache-2.0
import Foundation

/// `Tests/Format/quern_reader.py`, the reader that was written from FORMAT.md alone.
enum PythonReader {
    enum Result: Equatable {
        case content(String)
        /// The name of the damaged file.
        case damaged(String)
        case failed(status: Int32, message: String)

        /// In a few words.
        var summary: String {
            switch self {
            case .content(let text): "\(text.utf8.count) bytes of content"
            case .damaged(let file): "damage in \(file)"
            case .failed(let status, let message): "status \(status), \(message)"
            }
        }
    }

    static func read(_ store: URL) throws -> Result {
        let script = GoldenStores.directory.deletingLastPathComponent().appending(path: "Format/quern_reader.py")
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", "-B", script.path, store.path]
        // Files and not pipes: a pipe that nobody empties would hold the process up.
        let place = FileManager.default.temporaryDirectory.appending(path: "quern-python-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: place) }
        let (output, errors) = (place.appending(path: "output"), place.appending(path: "errors"))
        for file in [output, errors] { try Data().write(to: file) }
        process.standardOutput = try FileHandle(forWritingTo: output)
        process.standardError = try FileHandle(forWritingTo: errors)
        try process.run()
        process.waitUntilExit()
        let message = String(decoding: try Data(contentsOf: errors), as: UTF8.self)
        switch process.terminationStatus {
        case 0: return .content(String(decoding: try Data(contentsOf: output), as: UTF8.self))
        case 2:
            let words = message.split(whereSeparator: \.isWhitespace)
            return .damaged(words.count > 1 ? String(words[1].prefix { $0 != ":" && $0 != "," }) : message)
        case let status: return .failed(status: status, message: message)
        }
    }
}
