// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

/// What the bytes of memos mean, as whoever runs the tool says: a store does not know.
///
/// Either one word (`hex`, `text`, `json`), or fields side by side: `u64 discovered,u64 skipped,utf8 name`. Numbers are
/// little-endian; `bytesN` takes N bytes; `utf8` and `bytes` take the rest. A field without a name is called `field1` and
/// so on; one that is called `_` is not printed.
struct MemoLayout: Sendable, Equatable {
    enum Form: Sendable, Equatable {
        case hex
        case text
        /// The memo is JSON text.
        case json
        case fields([Field])
    }

    struct Field: Sendable, Equatable {
        enum Kind: Sendable, Equatable {
            case unsigned
            case signed
            case float
            case bool
            case bytes
            case utf8
        }

        var name: String
        var kind: Kind
        var offset: Int
        /// In bytes; of one that takes the rest 0.
        var size: Int

        var isPrinted: Bool { name != "_" }
        var takesRest: Bool { size == 0 }

        /// Whether it counts for sums and statistics.
        var isNumber: Bool { kind != .bytes && kind != .utf8 && isPrinted }
    }

    /// The most that a field of `bytesN` has, in bytes.
    private static let maximumBytes = 1 << 20

    let form: Form
    /// What the fields take that have a size.
    private let fixedSize: Int
    private let takesRest: Bool

    static let hex = MemoLayout(form: .hex, fixedSize: 0, takesRest: true)

    private init(form: Form, fixedSize: Int, takesRest: Bool) {
        self.form = form
        self.fixedSize = fixedSize
        self.takesRest = takesRest
    }

    init(parsing text: String) throws(LayoutError) {
        switch text {
        case "hex": self = .hex
        case "text": self = MemoLayout(form: .text, fixedSize: 0, takesRest: true)
        case "json": self = MemoLayout(form: .json, fixedSize: 0, takesRest: true)
        default:
            let fields = try Self.fields(text)
            form = .fields(fields)
            fixedSize = fields.reduce(0) { $0 + $1.size }
            takesRest = fields.last?.takesRest ?? false
        }
    }

    var fields: [Field] { if case .fields(let fields) = form { fields } else { [] } }

    private static func fields(_ text: String) throws(LayoutError) -> [Field] {
        var fields: [Field] = []
        var offset = 0
        for (index, part) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
            let words = part.split(whereSeparator: \.isWhitespace)
            guard (1...2).contains(words.count) else {
                throw LayoutError("field \(index + 1) of the layout is \"\(part)\": wanted is a type and a name")
            }
            if fields.last?.takesRest ?? false {
                throw LayoutError("nothing can follow utf8 or bytes, which take the rest")
            }
            let (kind, size) = try type(words[0])
            let name = words.count == 2 ? String(words[1]) : "field\(index + 1)"
            guard name == "_" || !fields.contains(where: { $0.name == name }) else {
                throw LayoutError("two fields of the layout are called \(name)")
            }
            fields.append(Field(name: name, kind: kind, offset: offset, size: size))
            offset += size
        }
        return fields
    }

    private static func type(_ word: Substring) throws(LayoutError) -> (Field.Kind, size: Int) {
        switch word {
        case "u8": return (.unsigned, 1)
        case "u16": return (.unsigned, 2)
        case "u32": return (.unsigned, 4)
        case "u64": return (.unsigned, 8)
        case "i8": return (.signed, 1)
        case "i16": return (.signed, 2)
        case "i32": return (.signed, 4)
        case "i64": return (.signed, 8)
        case "f32": return (.float, 4)
        case "f64": return (.float, 8)
        case "bool": return (.bool, 1)
        case "utf8": return (.utf8, 0)
        case "bytes": return (.bytes, 0)
        default:
            guard word.hasPrefix("bytes"), let size = Int(word.dropFirst(5)), (1...maximumBytes).contains(size) else {
                throw LayoutError(
                    "\"\(word)\" is no type of a layout: there are u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bool bytesN "
                        + "bytes utf8, and alone hex, text, json")
            }
            return (.bytes, size)
        }
    }

    // MARK: Fitting

    /// Why a memo is not of this layout; nil when it is.
    func misfit(_ memo: UnsafeRawBufferPointer) -> String? {
        switch form {
        case .hex: return nil
        case .text:
            return String(validating: memo, as: UTF8.self) == nil ? "\(memo.count) bytes that are no UTF-8" : nil
        case .json: return JSONText.isValid(memo) ? nil : "\(memo.count) bytes that are no JSON"
        case .fields(let fields):
            if memo.count == fixedSize || takesRest && memo.count > fixedSize { return nil }
            if let field = fields.first(where: { $0.offset + $0.size > memo.count }) {
                return "\(memo.count) bytes end before or in the field \(field.name), which takes \(field.offset) to "
                    + "\(field.offset + field.size)"
            }
            return "\(memo.count) bytes are more than the \(fixedSize) of the layout"
        }
    }
}

struct LayoutError: Error, Equatable, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// Options of commands that print memos.
struct LayoutOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What memos are: hex, text, json, or fields such as 'u64 discovered,u64 skipped'.",
            discussion: """
                Types: u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 bool bytesN, and utf8 and bytes, which take the rest. A \
                field that is called _ is not printed.
                """),
        transform: { try MemoLayout(parsing: $0) })
    var layout: MemoLayout?
}
