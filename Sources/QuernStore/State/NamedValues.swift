// SPDX-License-Identifier: Apache-2.0

/// The application's named values, in the order of the bytes of their names.
///
/// It is a list of sorted parts, so that a change after a copy (a checkpoint's) copies a part of it. A look-up is
/// O(log count), a change O(log count) and one part.
struct NamedValues: Sendable {
    private struct Entry: Sendable, Equatable {
        let name: ExactName
        var value: [UInt8]
        var size: Int { NamedValues.size(of: name.text, value) }
    }

    private static let partSize = 128

    /// None is empty.
    private var parts: [[Entry]] = []
    /// Bytes of all names and values: what ``Limits/namedValuesBytes`` bounds.
    private(set) var bytes = 0

    /// What it takes in memory, in bytes. O(count).
    var footprint: Int {
        parts.reduce(0) { sum, part in
            part.reduce(sum + part.footprint) { $0 + $1.value.footprint + $1.name.text.utf8.count }
        }
    }

    /// What a value counts for, in bytes; 0 for none.
    static func size(of name: String, _ value: [UInt8]?) -> Int { value.map { name.utf8.count + $0.count } ?? 0 }

    subscript(name: String) -> [UInt8]? {
        get {
            let (part, index, isThere) = place(of: ExactName(name))
            return isThere ? parts[part][index].value : nil
        }
        set { set(ExactName(name), to: newValue) }
    }

    private mutating func set(_ name: ExactName, to value: [UInt8]?) {
        let (part, index, isThere) = place(of: name)
        if isThere { bytes -= parts[part][index].size }
        guard let value else {
            if isThere { remove(part, index) }
            return
        }
        bytes += Self.size(of: name.text, value)
        if isThere {
            parts[part][index].value = value
        } else if parts.isEmpty {
            parts = [[Entry(name: name, value: value)]]
        } else {
            parts[part].insert(Entry(name: name, value: value), at: index)
            split(part)
        }
    }

    private mutating func remove(_ part: Int, _ index: Int) {
        parts[part].remove(at: index)
        if parts[part].isEmpty { parts.remove(at: part) }
    }

    private mutating func split(_ part: Int) {
        let full = parts[part]
        guard full.count > Self.partSize else { return }
        parts[part] = Array(full[..<(full.count / 2)])
        parts.insert(Array(full[(full.count / 2)...]), at: part + 1)
    }

    /// Where a name is or belongs.
    private func place(of name: ExactName) -> (part: Int, index: Int, isThere: Bool) {
        let part = max(parts.partition { $0[0].name > name } - 1, 0)
        guard part < parts.count else { return (0, 0, false) }
        let index = parts[part].partition { $0.name >= name }
        return (part, index, index < parts[part].count && parts[part][index].name == name)
    }

    /// Those whose names begin with a text, in order. O(log count) and what is found.
    func values(withPrefix prefix: String) -> [(name: String, value: [UInt8])] {
        var (part, index, _) = place(of: ExactName(prefix))
        var found: [(name: String, value: [UInt8])] = []
        while part < parts.count {
            while index < parts[part].count {
                let entry = parts[part][index]
                guard entry.name.text.utf8.starts(with: prefix.utf8) else { return found }
                found.append((entry.name.text, entry.value))
                index += 1
            }
            (part, index) = (part + 1, 0)
        }
        return found
    }

    /// Whether both have the same values. O(count).
    func holds(sameAs other: Self) -> Bool {
        bytes == other.bytes && parts.lazy.flatMap(\.self).elementsEqual(other.parts.lazy.flatMap(\.self))
    }
}

/// A named value, or that there is none any more, as a record: length of the name (1 byte), name, 1 when there is a
/// value (1 byte), value.
struct ValueRecord {
    let name: String
    let value: [UInt8]?

    static func append(_ name: String, _ value: [UInt8]?, to body: inout ByteWriter) {
        body.append(UInt8(name.utf8.count))
        body.append(contentsOf: name.utf8)
        body.append(value == nil ? 0 : 1)
        if let value { body.append(contentsOf: value) }
    }

    init(_ reader: inout ByteReader) throws(DecodingFailure) {
        let bytes = try reader.take(Int(try reader.byte()))
        guard !bytes.isEmpty, let name = String(validating: bytes, as: UTF8.self) else {
            throw DecodingFailure("name of a value")
        }
        self.name = name
        let isThere = try reader.byte()
        let rest = try reader.take(reader.remaining)
        guard isThere <= 1, rest.count <= (isThere == 1 ? Limits.namedValueBytes : 0) else {
            throw DecodingFailure("a named value")
        }
        value = isThere == 1 ? Array(rest) : nil
    }
}
