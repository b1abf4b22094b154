// SPDX-License-Identifier: Apache-2.0

/// Names of one directory in one buffer, so that a name costs its bytes and no allocation.
struct NameList: Sequence, Sendable {
    /// Each name with a zero byte behind it, which no name contains.
    private var bytes: [UInt8] = []
    private(set) var count = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    mutating func append(_ name: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: name)
        bytes.append(0)
        count += 1
    }

    func makeIterator() -> Iterator { Iterator(rest: bytes[...]) }

    struct Iterator: IteratorProtocol {
        fileprivate var rest: ArraySlice<UInt8>

        mutating func next() -> ArraySlice<UInt8>? {
            guard let end = rest.firstIndex(of: 0) else { return nil }
            defer { rest = rest[(end + 1)...] }
            return rest[..<end]
        }
    }
}
