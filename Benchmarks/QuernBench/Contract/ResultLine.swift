// SPDX-License-Identifier: Apache-2.0
import SystemPackage

/// A line of the output contract, read back: what plots are drawn of and the guard compares with.
struct ResultLine {
    private(set) var texts: [String: String] = [:]
    private(set) var numbers: [String: Double] = [:]

    var work: String { texts["work"] ?? "" }
    var engine: String { texts["engine"] ?? "" }
    var metric: Metric? { texts["metric"].flatMap(Metric.init) }
    var value: Double { numbers["value"] ?? 0 }
    var minimum: Double { numbers["minimum"] ?? value }
    var maximum: Double { numbers["maximum"] ?? value }

    /// Reads a flat object of texts and numbers, as this program writes them: texts without characters to escape.
    ///
    /// - Returns: nil for anything else.
    init?(_ line: Substring) {
        var rest = line[...]
        func take(_ character: Character) -> Bool {
            while rest.first == " " { rest.removeFirst() }
            guard rest.first == character else { return false }
            rest.removeFirst()
            return true
        }
        func text() -> String? {
            guard take("\""), let end = rest.firstIndex(of: "\"") else { return nil }
            defer { rest = rest[rest.index(after: end)...] }
            return String(rest[..<end])
        }
        guard take("{") else { return nil }
        repeat {
            guard let name = text(), take(":") else { return nil }
            if let value = text() {
                texts[name] = value
            } else {
                let number = rest.prefix { !",} ".contains($0) }
                guard let value = Double(number) else { return nil }
                rest = rest[number.endIndex...]
                numbers[name] = value
            }
        } while take(",")
        guard take("}") else { return nil }
    }

    /// All lines of a file.
    static func read(_ path: FilePath) throws -> [ResultLine] {
        let file = try FileDescriptor.open(path, .readOnly)
        defer { try? file.close() }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 << 10)
        while case let count = try chunk.withUnsafeMutableBytes({ try file.read(into: $0) }), count > 0 {
            bytes.append(contentsOf: chunk[..<count])
        }
        return try String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { line in
            guard let read = ResultLine(line) else {
                throw EngineFailure("quern-bench", "read \(path)", "no line of figures: \(line)")
            }
            return read
        }
    }
}
