// SPDX-License-Identifier: Apache-2.0

/// A number in a memo.
enum FieldValue: Equatable {
    case unsigned(UInt64)
    case signed(Int64)
    case float(Double)
}

extension MemoLayout.Field {
    /// The number in a memo that fits the layout; nil for fields of bytes.
    func number(in memo: UnsafeRawBufferPointer) -> FieldValue? {
        switch (kind, size) {
        case (.unsigned, 1), (.bool, _): .unsigned(UInt64(memo[offset]))
        case (.unsigned, 2): .unsigned(UInt64(load(memo, UInt16.self)))
        case (.unsigned, 4): .unsigned(UInt64(load(memo, UInt32.self)))
        case (.unsigned, _): .unsigned(load(memo, UInt64.self))
        case (.signed, 1): .signed(Int64(Int8(bitPattern: memo[offset])))
        case (.signed, 2): .signed(Int64(load(memo, Int16.self)))
        case (.signed, 4): .signed(Int64(load(memo, Int32.self)))
        case (.signed, _): .signed(load(memo, Int64.self))
        case (.float, 4): .float(Double(Float(bitPattern: load(memo, UInt32.self))))
        case (.float, _): .float(Double(bitPattern: load(memo, UInt64.self)))
        case (.bytes, _), (.utf8, _): nil
        }
    }

    private func load<Value: FixedWidthInteger & BitwiseCopyable>(
        _ memo: UnsafeRawBufferPointer, _ type: Value.Type
    ) -> Value {
        Value(littleEndian: memo.loadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The field's bytes in a memo that fits the layout.
    func bytes(in memo: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: takesRest ? memo[offset...] : memo[offset..<(offset + size)])
    }

    /// As text, for people and for tables.
    func append(_ memo: UnsafeRawBufferPointer, to buffer: inout TextBuffer) {
        switch kind {
        case .bool: buffer.append(memo[offset] == 0 ? "false" : "true")
        case .bytes: buffer.append(hex: bytes(in: memo))
        case .utf8: buffer.append(printable: bytes(in: memo))
        case .unsigned, .signed, .float:
            switch number(in: memo) {
            case .unsigned(let value): buffer.append(decimal: value)
            case .signed(let value): buffer.append(decimal: value)
            case .float(let value): buffer.append(text: "\(value)")
            case nil: break
            }
        }
    }

    fileprivate func append(_ memo: UnsafeRawBufferPointer, to json: inout JSONLine) {
        switch kind {
        case .bool: json.value(memo[offset] != 0)
        case .bytes: json.hexValue(bytes(in: memo))
        case .utf8: json.textValue(bytes(in: memo))
        case .unsigned, .signed, .float:
            switch number(in: memo) {
            case .unsigned(let value): json.value(value)
            case .signed(let value): json.value(value)
            case .float(let value): json.value(value)
            case nil: break
            }
        }
    }
}

extension MemoLayout {
    /// Writes a memo as the value of a field that was named. One that does not fit is an object with `misfit`, which
    /// says why, and `hex`.
    ///
    /// - Returns: whether it fits.
    func append(_ memo: UnsafeRawBufferPointer, to json: inout JSONLine) -> Bool {
        if let misfit = misfit(memo) {
            json.objectValue {
                $0.field("misfit", misfit)
                $0.hex("hex", memo)
            }
            return false
        }
        switch form {
        case .hex: json.hexValue(memo)
        case .text: json.textValue(memo)
        case .json: json.rawValue(memo)
        case .fields(let fields):
            json.objectValue { json in
                for field in fields where field.isPrinted {
                    json.field(named: field.name) { field.append(memo, to: &$0) }
                }
            }
        }
        return true
    }

    /// Writes a memo for people: `discovered=5 skipped=2`. One that does not fit is told in its place.
    ///
    /// - Returns: whether it fits.
    func append(_ memo: UnsafeRawBufferPointer, to buffer: inout TextBuffer) -> Bool {
        if let misfit = misfit(memo) {
            buffer.append("misfit: ")
            buffer.append(text: misfit)
            return false
        }
        switch form {
        case .hex: buffer.append(hex: memo)
        case .text, .json: buffer.append(printable: memo)
        case .fields(let fields):
            var isFirst = true
            for field in fields where field.isPrinted {
                if !isFirst { buffer.append(0x20) }
                isFirst = false
                buffer.append(text: field.name)
                buffer.append(0x3D)
                field.append(memo, to: &buffer)
            }
        }
        return true
    }
}
