// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

/// Takes a store and keeps nothing.
private struct NullSink: StoreSink {
    var children = 0
    mutating func begin(_ head: StoreHead) {}
    mutating func add(_ run: LiveRunContents) {}
    mutating func add(_ kept: KeptContents) {}
    mutating func add(_ parent: ParentContents) {}
    mutating func add(_ rows: OutcomeBlock) { children += rows.rows.count }
    mutating func finish() {}
}

@Suite("An imported file may hold anything")
struct HostileImportTests {
    private static let head = """
        {"type":"store","format":1,"identity":"0123456789abcdef0123456789abcdef","next_id":10,"next_sequence":10}
        {"type":"name","label":1,"name":"a"}
        """
    private static let run = """
        {"type":"run","id":1,"parent":0,"count":2,"label":1,"priority":128,"submitted":5}
        {"type":"task","id":1,"payload":"AQI="}
        """
    private static func child(_ id: Int, at sequence: Int, under parent: Int = 1) -> String {
        let root = parent == 0 ? "" : "\"root\":1,"
        return """
            {"type":"child","parent":\(parent),\(root)"id":\(id),"sequence":\(sequence),"kind":"completed","label":1,\
            "attempts":1,"started":1,"ended":2,"memo":""}
            """
    }

    private static func source(_ text: String) -> LineSource {
        var rest = Array(text.utf8)[...]
        return LineSource { buffer in
            let count = min(buffer.count, rest.count, 100)
            buffer.copyBytes(from: rest.prefix(count))
            rest = rest.dropFirst(count)
            return count
        }
    }

    private static func failure(_ lines: [String], end: String = "\n") throws -> ImportFailure? {
        let text = lines.joined(separator: "\n") + end
        do {
            _ = try StoreBuilder.build(at: "/new", fileSystem: SimulatedFileSystem()) { builder in
                var contents = StoreImport<StoreBuilder>(source(text))
                try contents.tell(&builder)
            }
            return nil
        } catch let error as ImportFailure { return error }
    }

    private static func end(_ tasks: Int, _ children: Int) -> String {
        "{\"type\":\"end\",\"tasks\":\(tasks),\"children\":\(children)}"
    }

    @Test("What is right is taken")
    func right() throws {
        #expect(
            try Self.failure([Self.head, Self.run, Self.child(3, at: 1), Self.child(4, at: 2), Self.end(1, 2)]) == nil)
        #expect(try Self.failure([Self.head, Self.end(0, 0)]) == nil)
        #expect(try Self.failure([Self.head, " { \"tasks\" : 0 ,\"children\":0, \"type\": \"end\" }\r"]) == nil)
    }

    @Test(
        "What is wrong is named by its line",
        arguments: [
            ([], 1), (["{}"], 1), (["null"], 1), ([end(0, 0)], 1), ([head], 3), ([head, head], 3),
            ([head, "{\"type\":\"name\",\"label\":3,\"name\":\"b\"}"], 3),
            ([head, "{\"type\":\"name\",\"label\":2,\"name\":\"a\"}", end(0, 0)], 4),
            ([head, "{\"type\":\"task\",\"id\":1,\"payload\":\"\"}"], 3),
            ([head, run, child(2, at: 1), end(1, 2)], 6), ([head, run, end(2, 0)], 5),
            ([head, run, child(4, at: 5), child(3, at: 4), end(1, 2)], 6),
            ([head, run, child(4, at: 5), child(5, at: 5), end(1, 2)], 6),
            ([head, run, child(4, at: 5), child(3, at: 4, under: 0), end(1, 2)], 6),
            ([head, run, child(4, at: 5), child(9, at: 10), end(1, 2)], 6),
            ([head, run, child(4, at: 5), child(10, at: 6), child(5, at: 7), end(1, 3)], 6),
            ([head, run, child(4, at: 5), child(4, at: 6), end(1, 2)], 6),
            ([head, run, child(3, at: 5, under: 0), child(4, at: 6), child(4, at: 7, under: 2), end(1, 3)], 7),
            ([head, run, child(4, at: 5), child(5, at: 5, under: 2), end(1, 2)], 6),
            ([head, run, child(1, at: 5), end(1, 1)], 5), ([head, child(4, at: 5), run, end(1, 1)], 4),
            ([head, run, "{\"type\":\"kept\",\"task\":2,\"slot\":1,\"value\":\"\"}"], 5),
            ([head, run, "{\"type\":\"kept\",\"task\":1,\"slot\":256,\"value\":\"\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":\"A\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":\"AQ=A\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":\"AR==\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":\"\",\"attempts\":1}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":99999999999999999999999,\"payload\":\"\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2.5,\"payload\":\"\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"id\":2,\"payload\":\"\"}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":\"\",\"more\":1}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":\"\"} {}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":2,\"payload\":[]}"], 5),
            ([head, run, "{\"type\":\"task\",\"id\":7,\"payload\":\"\"}", end(2, 0)], 3),
            ([head, run, end(1, 0), end(1, 0)], 6),
            (["{\"type\":\"store\",\"format\":2,\"identity\":\"\",\"next_id\":1,\"next_sequence\":1}"], 1),
        ] as [([String], Int)])
    func wrong(lines: [String], line: Int) throws {
        let failure = try Self.failure(lines)
        #expect(failure?.line == line, "\(failure?.description ?? "taken")")
    }

    @Test("A file that was cut short is found wherever it was cut")
    func cut() throws {
        let text = [Self.head, Self.run, Self.child(3, at: 1), Self.end(1, 1)].joined(separator: "\n") + "\n"
        for length in stride(from: 0, to: text.utf8.count, by: 3) {
            let failure = try Self.failure([String(text.prefix(length))], end: "")
            #expect(failure != nil, "cut at \(length)")
        }
    }

    @Test("Bytes that flip make an error or another store, and nothing worse", arguments: [1, 2] as [UInt64])
    func flips(seed: UInt64) throws {
        let text = [Self.head, Self.run, Self.child(3, at: 1), Self.end(1, 1)].joined(separator: "\n") + "\n"
        var random = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var bytes = Array(text.utf8)
            bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
            var rest = bytes[...]
            let source = LineSource { buffer in
                let count = min(buffer.count, rest.count)
                buffer.copyBytes(from: rest.prefix(count))
                rest = rest.dropFirst(count)
                return count
            }
            var sink = NullSink()
            var contents = StoreImport<NullSink>(source)
            do { try contents.tell(&sink) } catch { #expect(error is ImportFailure) }
        }
    }

    @Test("A line that does not end is given up before it fills the memory")
    func endless() throws {
        var given = 0
        let source = LineSource { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0x20)
            given += buffer.count
            return buffer.count
        }
        var sink = NullSink()
        var contents = StoreImport<NullSink>(source)
        let error = #expect(throws: ImportFailure.self) { try contents.tell(&sink) }
        #expect(error?.line == 1)
        #expect(given < 2 * LineSource.longestLine)
    }
}
