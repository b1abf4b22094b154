// SPDX-License-Identifier: Apache-2.0
import QuernStore
import Testing

@testable import QuernTool

@Suite("Output of the tool")
struct OutputTests {
    @Test("Columns are aligned, numbers to the right, and no line ends in spaces")
    func table() throws {
        var output = Output.captured()
        var table = Table(.left("NAME"), .right("CHILDREN"), .left("STATE"))
        table.add("scan", .number(1_234_567), "")
        table.add("a longer name", .number(7), "waiting")
        try table.write(to: &output)
        #expect(
            output.text == """
                NAME            CHILDREN  STATE
                scan           1,234,567
                a longer name          7  waiting

                """)
    }

    @Test("Colours do not move columns, and come on a terminal alone that has them, unless NO_COLOR is set")
    func colours() throws {
        var output = Output.captured(style: Style(hasColours: true))
        var table = Table(.left(), .left())
        table.add(Table.Cell("a", .red), "b")
        table.add("long", "b")
        try table.write(to: &output)
        #expect(output.text == "\u{1B}[31ma\u{1B}[0m     b\nlong  b\n")
        func hasColours(_ isTerminal: Bool, _ environment: [String: String]) -> Bool {
            Style(isTerminal: isTerminal) { environment[$0] }.hasColours
        }
        #expect(hasColours(true, ["TERM": "xterm"]))
        #expect(hasColours(true, ["TERM": "xterm", "NO_COLOR": ""]))
        #expect(!hasColours(true, ["TERM": "xterm", "NO_COLOR": "1"]))
        #expect(!hasColours(true, ["TERM": "dumb"]))
        #expect(!hasColours(true, [:]))
        #expect(!hasColours(false, ["TERM": "xterm"]))
    }

    @Test("A JSON line has its fields in order, and escapes what JSON and terminals do not take")
    func json() throws {
        var output = Output.captured()
        try output.json { json in
            json.field("id", UInt64.max)
            json.field("delta", -3)
            json.field("name", "a\"\\\n\u{7F}é")
            json.field("share", 0.5)
            json.field("nothing", Double.nan)
            json.field("none", String?.none)
            [UInt8](arrayLiteral: 0, 0xAB, 0xFF).withUnsafeBytes { json.hex("memo", $0) }
            [UInt8](arrayLiteral: 0x61, 0xFF).withUnsafeBytes { json.text("broken", $0) }
            json.object("counts") { $0.field("failed", 1) }
            json.array("samples") { json in
                json.value("x")
                json.objectValue { $0.field("ok", true) }
            }
        }
        #expect(
            output.text == #"{"id":18446744073709551615,"delta":-3,"name":"a\"\\\n\u007fé","share":0.5,"#
                + #""nothing":null,"none":null,"memo":"00abff","broken":"a\#u{FFFD}","counts":{"failed":1},"#
                + #""samples":["x",{"ok":true}]}"# + "\n")
    }

    @Test("Texts out of a store cannot move a terminal's cursor")
    func printable() throws {
        #expect(Table.Cell("a\u{1B}[2Jb\n\\").text == #"a\u{1b}[2Jb\n\\"#)
        #expect(Printable.text("ünïcode") == "ünïcode")
        #expect(Printable.text("\u{202E}\u{9B}") == #"\u{202e}\u{9b}"#)
        var output = Output.captured()
        try output.json {
            $0.field("name", "a\u{80}\u{9F}\u{A0}ÿ")
            $0.field(named: "memo") { json in
                Array("[\"\u{9B}31m\u{7F}\u{A0}\",\n1]".utf8).withUnsafeBytes { json.rawValue($0) }
            }
        }
        #expect(output.text == #"{"name":"a\u0080\u009f\#u{A0}ÿ","memo":["\u009b31m\u007f\#u{A0}", 1]}"# + "\n")
    }

    @Test("Numbers are right-aligned in a width, whatever their size")
    func decimals() {
        var buffer = TextBuffer()
        buffer.append(decimal: UInt64(0), width: 3)
        buffer.append(decimal: UInt64.max)
        buffer.append(decimal: Int64.min, width: 5)
        buffer.append(decimal: Int64(-7), width: 4)
        #expect(buffer.text == "  018446744073709551615-9223372036854775808  -7")
    }

    @Test(
        "Numbers, sizes and spans read as people write them",
        arguments: [
            (Numbers.grouped(0), "0"), (Numbers.grouped(999), "999"), (Numbers.grouped(-1000), "-1,000"),
            (Numbers.grouped(UInt64.max), "18,446,744,073,709,551,615"), (Numbers.bytes(1023), "1023 B"),
            (Numbers.bytes(1536), "1.5 KiB"), (Numbers.bytes(1_048_575), "1.0 MiB"),
            (Numbers.fixed(-0.04, digits: 1), "0.0"), (Numbers.fixed(2.345, digits: 2), "2.35"),
            (Numbers.duration(milliseconds: 999), "999 ms"), (Numbers.duration(milliseconds: 59_999), "59.9 s"),
            (Numbers.duration(milliseconds: -1), "0 ms"), (Numbers.duration(milliseconds: .min), "0 ms"),
            (Numbers.duration(milliseconds: 90_000_000), "1 d 1 h"),
        ])
    func people(_ text: String, _ expected: String) { #expect(text == expected) }

    @Test(
        "Times are told in the calendar, as far as it reaches",
        arguments: [
            (0, "1970-01-01T00:00:00.000Z"), (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"), (1_795_912_749_123, "2026-11-29T00:39:09.123Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"), (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (Int64.min, "-9223372036854775808"),
        ])
    func times(_ milliseconds: Int64, _ expected: String) {
        #expect(Numbers.time(Timestamp(milliseconds: milliseconds)) == expected)
    }

    @Test("Progress says what is done, how fast, and how long the rest will take")
    func progress() {
        #expect(
            ProgressLine.text("verify", done: 1 << 20, of: 4 << 20, .bytes, after: .seconds(2))
                == "verify: 1.0 MiB of 4.0 MiB, 512.0 KiB/s, 6.0 s left")
        #expect(
            ProgressLine.text("errors", done: 3000, of: nil, .items("children"), after: .seconds(1))
                == "errors: 3,000 children, 3,000/s")
    }
}
