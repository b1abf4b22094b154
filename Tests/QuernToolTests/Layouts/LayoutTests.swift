// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import QuernTool

@Suite("Memo layouts")
struct LayoutTests {
    private func decoded(_ layout: String, _ memo: [UInt8]) throws -> (json: String, text: String) {
        let layout = try MemoLayout(parsing: layout)
        var json = JSONLine()
        var text = TextBuffer()
        memo.withUnsafeBytes { bytes in
            _ = layout.append(bytes, to: &json)
            _ = layout.append(bytes, to: &text)
        }
        return (json.buffer.text, text.text)
    }

    @Test("Every type is read little-endian at its place, names may be left out")
    func types() throws {
        var memo: [UInt8] = [1, 2, 0, 0xFE, 0xFF, 0xFF, 0xFF, 1]
        for bits in [UInt64.max, UInt64(bitPattern: .min)] {
            withUnsafeBytes(of: bits.littleEndian) { memo += $0 }
        }
        withUnsafeBytes(of: Float(1.5).bitPattern.littleEndian) { memo += $0 }
        withUnsafeBytes(of: Double(-0.25).bitPattern.littleEndian) { memo += $0 }
        memo += [0xAB, 0xCD]
        memo += Array("é\n".utf8)
        let layout = "u8,u16 b,i32,bool d,u64 e, i64 f,f32 g,f64 h,bytes2 i,utf8 j"
        let decoded = try decoded(layout, memo)
        #expect(
            decoded.json == #"{"field1":1,"b":2,"field3":-2,"d":true,"e":18446744073709551615,"#
                + #""f":-9223372036854775808,"g":1.5,"h":-0.25,"i":"abcd","j":"é\n"}"#)
        #expect(
            decoded.text == #"field1=1 b=2 field3=-2 d=true e=18446744073709551615 f=-9223372036854775808 g=1.5 "#
                + #"h=-0.25 i=abcd j=é\n"#)
    }

    @Test("Fields that nobody wants are left out, and the rest may be bytes")
    func leftOut() throws {
        let decoded = try decoded("u8 a,bytes2 _,u8 _,bytes rest", [1, 2, 3, 4, 0xAB, 0xCD])
        #expect(decoded.json == #"{"a":1,"rest":"abcd"}"#)
        #expect(decoded.text == "a=1 rest=abcd")
        #expect(try self.decoded("bytes4 _,u8 b", [0, 0, 0, 0, 7]).text == "b=7")
    }

    @Test(
        "A memo that does not fit says which field, and how long it is, and stays readable",
        arguments: [
            ("u64 a,u32 b", 10, "10 bytes end before or in the field b, which takes 8 to 12"),
            ("u64 a", 0, "0 bytes end before or in the field a, which takes 0 to 8"),
            ("u8 a", 2, "2 bytes are more than the 1 of the layout"), ("json", 1, "1 bytes that are no JSON"),
            ("text", 1, "1 bytes that are no UTF-8"),
        ])
    func misfits(_ layout: String, _ length: Int, _ expected: String) throws {
        let memo = [UInt8](repeating: 0xFF, count: length)
        let decoded = try decoded(layout, memo)
        #expect(decoded.text == "misfit: " + expected)
        let hex = String(repeating: "ff", count: length)
        #expect(decoded.json == #"{"misfit":"\#(expected)","hex":"\#(hex)"}"#)
    }

    @Test(
        "A layout that means nothing is refused with the field that is wrong",
        arguments: [
            "", "u64 a,", "u7 a", "u64 a b", "utf8 a,u8 b", "bytes a,u8", "bytes0", "bytes9999999", "u8 a,u16 a",
            "json,u8",
        ])
    func refused(_ layout: String) { #expect(throws: LayoutError.self) { try MemoLayout(parsing: layout) } }

    @Test(
        "JSON is passed through on one line when it is valid, and else told as what it is",
        arguments: [
            (#"{"a": [1, -2.5e3, "x\u00e9\n", true, null], "b": {}}"#, true), (" 0 ", true), ("[\n1,\r\n2]", true),
            ("", false), ("{", false), ("[1,]", false), ("01", false), ("1.", false), (#""\x""#, false),
            ("\"\u{1}\"", false), ("{\"a\":1,}", false), ("nul", false), ("1 2", false), ("+1", false),
            (String(repeating: "[", count: 100_000), false),
        ])
    func json(_ text: String, _ isValid: Bool) throws {
        let memo = Array(text.utf8)
        #expect(memo.withUnsafeBytes(JSONText.isValid) == isValid)
        guard isValid else { return }
        let expected = text.replacing("\r", with: " ").replacing("\n", with: " ").replacing("\r\n", with: "  ")
        #expect(try decoded("json", memo).json == expected)
    }

    @Test("Sums of integers stay exact beyond 64 bits; means and bounds follow")
    func sums() throws {
        var unsigned = FieldStatistics()
        for _ in 0..<3 { unsigned.add(.unsigned(.max)) }
        unsigned.add(.unsigned(1))
        #expect(
            unsigned.texts == ("55,340,232,221,128,654,846", "1", "18,446,744,073,709,551,615", unsigned.texts.mean))
        var signed = FieldStatistics()
        signed.add(.signed(.min))
        signed.add(.signed(-1))
        #expect(signed.texts.sum == "-9,223,372,036,854,775,809")
        var floats = FieldStatistics()
        for value in [1e16, 1, -1e16, 0.5] { floats.add(.float(value)) }
        #expect(floats.texts == ("1.5", "-1e+16", "1e+16", "0.375"))
        #expect(FieldStatistics().texts == ("0", "", "", ""))
    }
}
