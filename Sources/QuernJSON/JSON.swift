// SPDX-License-Identifier: Apache-2.0
import QuernStore

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The one form in which values are written: keys sorted, so that equal values are equal bytes.
enum JSON {
    static func encode(_ value: some Encodable, into writer: inout ByteWriter) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        writer.append(contentsOf: try encoder.encode(value))
    }

    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: RawSpan) throws -> Value {
        try JSONDecoder().decode(type, from: bytes.withUnsafeBytes { Data($0) })
    }
}
