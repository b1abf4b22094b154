// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import Testing

@testable import Quern

@Suite("BinaryCodec: values and their bytes")
struct BinaryCodecTests {
    enum Shape: Codable, Hashable {
        case empty
        case circle(radius: Double)
        case line([Int], name: String?)
    }

    enum Color: String, Codable { case red, green }

    struct Inner: Codable, Hashable {
        var flag: Bool
        var text: String
    }

    struct Everything: Codable, Hashable {
        var signed: [Int8] = [.min, -1, 0, 1, .max]
        var a: Int16 = -300
        var b: Int32 = .min
        var c: Int64 = .max
        var d: Int = -1
        var e: UInt8 = 255
        var f: UInt16 = 65_535
        var g: UInt32 = .max
        var h: UInt64 = .max
        var i: UInt = 77
        var double = -0.1
        var float: Float = 3.5
        var bytes: [UInt8] = [0, 255, 7]
        var text = "Müller 粉"
        var none: String?
        var some: Int? = 5
        var nested = Inner(flag: true, text: "")
        var inners: [Inner?] = [nil, Inner(flag: false, text: "x")]
        var matrix: [[Int]] = [[], [1, 2], [3]]
        var byName: [String: [Int]] = ["b": [1], "a": [], "": [2, 3]]
        var byNumber: [Int: Inner] = [9: Inner(flag: true, text: "nine"), -4: Inner(flag: false, text: "minus")]
        var byColor: [Color: Int] = [.red: 1, .green: 2]
        var set: Set<String> = ["x", "y", "zebra"]
        var shapes: [Shape] = [.empty, .circle(radius: 2), .line([1, 2], name: nil), .line([], name: "n")]
        var color = Color.green
        var range = 3..<9
        var shape: Shape? = .empty
        var end = true
    }

    private func bytes(_ value: some Encodable) throws -> [UInt8] {
        var writer = ByteWriter()
        try BinaryCodec.encode(value, into: &writer)
        return writer.bytes
    }

    @Test("A value of everything comes back equal")
    func roundTrip() throws {
        let value = Everything()
        #expect(try BinaryCodec.decode(Everything.self, from: bytes(value)) == value)
    }

    @Test("Equal values give equal bytes, whatever order their hash tables have")
    func deterministic() throws {
        var byName: [String: Int] = [:]
        var other: [String: Int] = Dictionary(minimumCapacity: 4096)
        for number in 0..<500 { byName["key \(number)"] = number }
        for number in (0..<500).reversed() { other["key \(number)"] = number }
        #expect(try bytes(byName) == bytes(other))
        #expect(try bytes(Set(0..<500)) == bytes(Set((0..<500).reversed())))
        #expect(try BinaryCodec.decode([String: Int].self, from: bytes(byName)) == byName)
    }

    @Test("The bytes are as the documentation says")
    func layout() throws {
        struct Small: Codable {
            var flag = true
            var number = -2
            var path: [UInt8] = [47, 97]
            var name = "é"
            var missing: Int?
            var list: [UInt16] = [300]
            var color = Color.red
        }
        #expect(
            try bytes(Small()) == [1, 3, 2, 47, 97, 2, 0xC3, 0xA9, 0, 1, 0, 0, 0, 0xAC, 0x02, 1, 3, 114, 101, 100])
        #expect(try bytes(Shape.circle(radius: 0)).starts(with: [6] + Array("circle".utf8)))
    }

    @Test("A property type and the same type in a generic place give the same bytes")
    func concreteAndGeneric() throws {
        struct Concrete: Codable { var value: Int32 }
        struct Generic<Value: Codable>: Codable { var value: Value }
        #expect(try bytes(Concrete(value: -70_000)) == bytes(Generic(value: Int32(-70_000))))
        #expect(try BinaryCodec.decode(Generic<Int32>.self, from: bytes(Concrete(value: 8))).value == 8)
    }

    @Test("Optional properties added at the end read as nil from older bytes")
    func evolution() throws {
        struct Old: Codable { var a: Int }
        struct New: Codable {
            var a: Int
            var b: String?
            var c: [Int]?
        }
        let new = try BinaryCodec.decode(New.self, from: bytes(Old(a: 4)))
        #expect(new.a == 4 && new.b == nil && new.c == nil)
        #expect(throws: DecodingError.self) {
            try BinaryCodec.decode(Old.self, from: bytes(New(a: 1, b: "x", c: nil)))
        }
    }

    @Test("Elements that take no bytes are counted all the same")
    func emptyElements() throws {
        struct Nothing: Codable, Hashable {}
        #expect(try BinaryCodec.decode([Nothing].self, from: bytes([Nothing(), Nothing()])).count == 2)
        #expect(try BinaryCodec.decode(Set<Nothing>.self, from: bytes(Set([Nothing()]))).count == 1)
        // A count without the bytes behind it takes no memory.
        #expect(throws: DecodingError.self) { try BinaryCodec.decode([Nothing].self, from: [255, 255, 255, 255]) }
    }

    @Test("A value that cannot be encoded leaves the bytes before it alone")
    func failedEncoding() throws {
        struct Rude: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.unkeyedContainer()
                try container.encode(1)
                throw Trouble("no")
            }
        }
        var writer = ByteWriter()
        writer.append(9)
        #expect(throws: Trouble.self) { try BinaryCodec.encode(Rude(), into: &writer) }
        #expect(writer.bytes == [9])
    }

    @Test("Nesting is bounded both ways")
    func depth() throws {
        final class Box: Codable {
            let inner: Box?
            init(_ inner: Box?) { self.inner = inner }
        }
        var box = Box(nil)
        for _ in 1..<BinaryCodec.maximumDepth { box = Box(box) }
        #expect(throws: Never.self) { try BinaryCodec.decode(Box.self, from: bytes(box)) }
        box = Box(box)
        #expect(throws: EncodingError.self) { try bytes(box) }
        indirect enum Chain: Codable {
            case end
            case link(Chain)
        }
        let link: [UInt8] = [4] + Array("link".utf8)
        let hostile = Array(repeatElement(link + [2] + Array("_0".utf8), count: 10_000).joined())
        #expect(throws: (any Error).self) { try BinaryCodec.decode(Chain.self, from: hostile) }
    }

    @Test("Keys made up at run time are refused, not lost")
    func dynamicKeys() {
        struct Dynamic: Encodable {
            struct Key: CodingKey {
                var stringValue: String
                var intValue: Int? { nil }
                init(stringValue: String) { self.stringValue = stringValue }
                init?(intValue: Int) { nil }
            }
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                try container.encode(1, forKey: Key(stringValue: "a"))
            }
        }
        #expect(throws: EncodingError.self) { try bytes(Dynamic()) }
    }

    @Test("Every prefix and every flipped bit gives a value or an error")
    func hostileBytes() throws {
        let intact = try bytes(Everything())
        for length in 0..<intact.count {
            #expect(throws: (any Error).self) {
                try BinaryCodec.decode(Everything.self, from: Array(intact.prefix(length)))
            }
        }
        for bit in 0..<intact.count * 8 {
            var damaged = intact
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            _ = try? BinaryCodec.decode(Everything.self, from: damaged)
        }
    }

    @Test("Random bytes give a value or an error", arguments: 1...20)
    func randomBytes(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            let length = Int.random(in: 0..<200, using: &generator)
            let bytes = (0..<length).map { _ in
                Bool.random(using: &generator)
                    ? UInt8.random(in: 0...3, using: &generator) : .random(in: 0...255, using: &generator)
            }
            _ = try? BinaryCodec.decode(Everything.self, from: bytes)
            _ = try? BinaryCodec.decode([String: Shape].self, from: bytes)
            _ = try? BinaryCodec.decode([[Int?]].self, from: bytes)
        }
    }
}
