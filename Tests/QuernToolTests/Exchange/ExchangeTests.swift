// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Foundation
import QuernStore
import QuernTesting
import SystemPackage
import Testing

@testable import QuernTool

@Suite("Export and import")
struct ExchangeTests {
    private static func run(_ command: [String]) throws -> (status: Int32, output: Output) {
        var output = Output.captured()
        var parsed = try QuernTool.parseAsRoot(command)
        guard let tool = parsed as? any ToolCommand else {
            try parsed.run()
            return (0, output)
        }
        let status = tool.perform(into: &output)
        return (status.rawValue, output)
    }

    private static func files(in directory: FilePath) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try PosixFileSystem().list(directory) where name != "LOCK" && name != "RESERVE" {
            files[name] = try Data(contentsOf: URL(filePath: directory.appending(name).string))
        }
        return files
    }

    @Test(
        "What is imported of an exported store is its compacted copy, byte for byte", arguments: [1, 2, 3] as [UInt64])
    func isLossless(seed: UInt64) throws {
        let sample = try SampleStore(seed: seed)
        let (text, imported, compacted) = (
            sample.directory.path.appending("tasks.jsonl"), sample.directory.path.appending("imported"),
            sample.directory.path.appending("compacted")
        )
        let exported = try Self.run(["export", sample.path.string, "--output", text.string])
        #expect(exported.status == 0 && exported.output.warnings.isEmpty)
        let result = try Self.run(["import", text.string, "--into", imported.string])
        #expect(result.status == 0, "\(result.output.warnings)")
        #expect(try Self.run(["compact", sample.path.string, "--into", compacted.string]).status == 0)
        let expected = try Self.files(in: compacted)
        #expect(try Self.files(in: imported) == expected)
        #expect(expected.count > 3)
        // The other way round: what is exported of the copy is the same text.
        let again = try Self.run(["export", imported.string])
        #expect(again.output.text == (try String(contentsOfFile: text.string, encoding: .utf8)))
        let reopened = try MemoStore.openBlocking(at: imported)
        try reopened.closeBlocking()
    }

    @Test("Compaction in place makes the copy, too, and a dry run tells its size")
    func compactsInPlace() throws {
        let sample = try SampleStore(seed: 4)
        let compacted = sample.directory.path.appending("compacted")
        _ = try Self.run(["compact", sample.path.string, "--into", compacted.string])
        let expected = try Self.files(in: compacted)
        let dry = try Self.run(["compact", sample.path.string, "--dry-run", "--json"])
        #expect(dry.output.text.contains("\"bytes_after\":\(expected.values.reduce(0) { $0 + $1.count }),"))
        let before = try Self.files(in: sample.path)
        #expect(try Self.files(in: sample.path) == before)
        #expect(try Self.run(["compact", sample.path.string]).status == 0)
        let again = sample.directory.path.appending("again")
        _ = try Self.run(["compact", sample.path.string, "--into", again.string])
        #expect(try Self.files(in: again) == expected)
    }

    @Test("A directory that is not empty, and a store that is in use, are refused")
    func refuses() throws {
        let sample = try SampleStore(seed: 5, children: 20)
        for command in [
            ["compact", sample.path.string, "--into", sample.path.string],
            ["repair", sample.path.string, "--into", sample.path.string],
            ["index", "rebuild", sample.path.string, "--into", sample.path.string],
        ] {
            let result = try Self.run(command)
            #expect(result.status == 3)
            #expect(result.output.warnings.first?.contains("empty") == true)
        }
        let open = try MemoStore.openBlocking(at: sample.path)
        let result = try Self.run(["compact", sample.path.string])
        #expect(result.status == 3 && result.output.warnings.first?.contains("locked") == true)
        // Reading is no matter.
        #expect(try Self.run(["export", sample.path.string]).status == 0)
        try open.closeBlocking()
        #expect(throws: (any Error).self) { try Self.run(["export", sample.path.string, "--format", "csv"]) }
        #expect(try Self.run(["compact", sample.directory.path.appending("none").string]).status == 3)
    }

    @Test("A damaged store is exported as far as it can be read, and repaired with a list of what is lost")
    func damaged() throws {
        let sample = try SampleStore(seed: 6)
        let healthy = try Self.run(["export", sample.path.string]).output.text
        let names = try PosixFileSystem().list(sample.path)
        let checkpoint = try #require(names.first { $0.hasPrefix("checkpoint") })
        let mirror = try #require(names.first { $0.hasPrefix("mirror") })
        func damage(_ name: String) throws -> (URL, Data) {
            let url = URL(filePath: sample.path.appending(name).string)
            var bytes = try Data(contentsOf: url)
            bytes[bytes.count - 20] ^= 1
            try bytes.write(to: url)
            return (url, bytes)
        }
        let (url, bytes) = try damage(checkpoint)
        let spared = try Self.run(["export", sample.path.string])
        #expect(spared.status == 1 && spared.output.text == healthy)
        #expect(spared.output.warnings.contains { $0.contains("its mirror tells the same") })
        let whole = sample.directory.path.appending("whole").string
        let spare = try Self.run(["repair", sample.path.string, "--into", whole])
        #expect(spare.status == 0 && spare.output.warnings == spared.output.warnings)
        _ = try damage(mirror)
        let exported = try Self.run(["export", sample.path.string])
        #expect(exported.status == 1 && !exported.output.warnings.isEmpty)
        let into = sample.directory.path.appending("repaired").string
        let repaired = try Self.run(["repair", sample.path.string, "--into", into, "--json"])
        #expect(repaired.status == 1)
        #expect(repaired.output.text.contains("\"type\":\"loss\",\"file\":\"\(checkpoint)\""))
        #expect(try Data(contentsOf: url) == bytes)
        let refused = try Self.run(["compact", sample.path.string])
        #expect(refused.status == 3 && refused.output.warnings.first?.contains("damaged") == true)
        // The log of so small a store has all of it still.
        let lines = { (text: String) in text.split(separator: "\n").filter { $0.contains("\"type\":\"child\"") } }
        #expect(lines(try Self.run(["export", into]).output.text) == lines(healthy))
    }

    @Test("One parent's children come as lines or as CSV")
    func oneParent() throws {
        let sample = try SampleStore(seed: 7, children: 20)
        let lines = try Self.run(["export", sample.path.string, "--parent", "1"]).output.text.split(separator: "\n")
        let csv = try Self.run(["export", sample.path.string, "--parent", "1", "--format", "csv"]).output.text
        #expect(lines.allSatisfy { $0.hasPrefix("{\"type\":\"child\",\"parent\":1,") })
        #expect(csv.hasPrefix("id,sequence,kind,type,attempts,started,ended,memo,error\n"))
        #expect(csv.contains(",\"größer, \"\"so\"\"\","))
        let layout = ["--format", "csv", "--layout", "u8 first,bytes2 next,utf8 rest"]
        let decoded = try Self.run(["export", sample.path.string, "--parent", "1"] + layout)
        #expect(decoded.output.text.contains(",ended,first,next,rest,misfit,error\n"))
        // Some memos have no three bytes.
        #expect(decoded.status == 1)
        #expect(lines.count > 20)
    }
}
