// SPDX-License-Identifier: Apache-2.0

extension PathBytes {
    /// The path behind its ``description``; nil for text that is no description of a path.
    init?(displayed text: String) {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst() {
            case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
            case UInt8(ascii: "n"): bytes.append(UInt8(ascii: "\n"))
            case UInt8(ascii: "r"): bytes.append(UInt8(ascii: "\r"))
            case UInt8(ascii: "t"): bytes.append(UInt8(ascii: "\t"))
            case UInt8(ascii: "x"):
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
                else { return nil }
                rest = rest.dropFirst(2)
                bytes.append(value)
            default: return nil
            }
        }
        self.init(bytes)
    }

    /// This absolute path as seen from `root`; nil when it is not below it. The root itself is the empty path.
    func relative(to root: PathBytes) -> PathBytes? {
        guard bytes.starts(with: root.bytes) else { return nil }
        var rest = bytes.dropFirst(root.bytes.count)
        if rest.first == Self.slash {
            rest = rest.dropFirst()
        } else if !rest.isEmpty, root.bytes.last != Self.slash {
            return nil
        }
        return PathBytes(Array(rest))
    }
}
