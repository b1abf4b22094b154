// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import DirScanKit

@Suite struct PathBytesTests {
    @Test(arguments: [
        ("plain/näme", #"plain/näme"#), ("a\nb\r\tc", #"a\nb\r\tc"#), (#"back\slash"#, #"back\\slash"#),
        ("bell\u{7}\u{7F}", #"bell\x07\x7F"#), ("\u{1B}[31mred", #"\x1B[31mred"#),
        ("turned\u{202E}txt", #"turned\xE2\x80\xAEtxt"#), ("c1\u{9B}", #"c1\xC2\x9B"#), ("😀", "😀"), ("", ""),
    ])
    func textIsShown(path: String, shown: String) {
        #expect(PathBytes(path).description == shown)
    }

    @Test(
        arguments: [
            ([0xFF], #"\xFF"#), ([0x61, 0xC3], #"a\xC3"#), ([0xC3, 0x28], #"\xC3("#), ([0xC0, 0xAF], #"\xC0\xAF"#),
            ([0xED, 0xA0, 0x80], #"\xED\xA0\x80"#), ([0xF4, 0x90, 0x80, 0x80], #"\xF4\x90\x80\x80"#),
            ([0xE2, 0x82], #"\xE2\x82"#), ([0x80, 0xC3, 0xA4], #"\x80ä"#),
            ([0xF0, 0x82, 0x82, 0xAC], #"\xF0\x82\x82\xAC"#),
        ] as [([UInt8], String)])
    func invalidBytesAreShownAsNumbers(bytes: [UInt8], shown: String) {
        #expect(PathBytes(bytes).description == shown)
    }

    /// No two paths look alike, whatever their bytes, and what is shown is free of control characters.
    @Test func descriptionsCanBeReadBack() {
        var generator = SeededGenerator()
        let alphabet = Array("\\xn0F\nä€😀".utf8) + [0xFF]
        for _ in 0..<20_000 {
            let length = Int.random(in: 0...12, using: &generator)
            let bytes = (0..<length).map { _ in alphabet.randomElement(using: &generator)! }
            let shown = PathBytes(bytes).description
            #expect(Self.readBack(shown) == bytes, "\(generator)")
            #expect(shown.unicodeScalars.allSatisfy { $0.value >= 0x20 }, "\(generator)")
        }
    }

    private static func readBack(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "\\") else {
                bytes.append(byte)
                continue
            }
            switch rest.popFirst()! {
            case UInt8(ascii: "n"): bytes.append(0x0A)
            case UInt8(ascii: "r"): bytes.append(0x0D)
            case UInt8(ascii: "t"): bytes.append(0x09)
            case UInt8(ascii: "x"):
                bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)!)
                rest = rest.dropFirst(2)
            default: bytes.append(UInt8(ascii: "\\"))
            }
        }
        return bytes
    }

    @Test func pathsGrowAndShrink() {
        let root = PathBytes([])
        let child = root.appending("a").appending("b")
        #expect(child == PathBytes("a/b"))
        #expect(child.parent == PathBytes("a"))
        #expect(child.parent?.parent == root)
        #expect(root.parent == nil)
        #expect(PathBytes("/").appending("x") == PathBytes("/x"))
    }

    @Test func keysNameTheirParent() {
        let root = PathBytes([])
        #expect(DirectoryKey.parent(of: root) == .none)
        for path in ["a", "a/b", "a/b/c\n"] {
            #expect(DirectoryKey.parent(of: PathBytes(path)) == DirectoryKey(PathBytes(path).parent!))
        }
        #expect(DirectoryKey(root) != .none)
    }
}
