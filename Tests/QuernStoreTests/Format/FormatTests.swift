// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite("FORMAT.md is enough to read a store (S17, F34)")
struct FormatTests {
    /// A copy of a store, since opening one writes to its directory.
    private func copy(_ store: URL) throws -> (TemporaryDirectory, URL) {
        let directory = try TemporaryDirectory()
        let place = URL(filePath: directory.path.string).appending(path: "store")
        try FileManager.default.copyItem(at: store, to: place)
        return (directory, place)
    }

    private func content(of store: URL, _ configuration: MemoStore.Configuration = .init()) async throws -> String {
        let opened = try await MemoStore.open(at: FilePath(store.path), configuration: configuration)
        let dump = Result { try StoreDump(opened).text }
        try await opened.close()
        return try dump.get()
    }

    @Test("Every golden store reads as it was written, by this library and by the reader in Python")
    func golden() async throws {
        let stores = try GoldenStores.all()
        #expect(stores.count >= 2)
        for store in stores {
            let expected = try String(contentsOf: store.appendingPathExtension("dump"), encoding: .utf8)
            let fromPython = try PythonReader.read(store) == .content(expected)
            #expect(fromPython, "Python reads \(store.lastPathComponent) otherwise")
            let (directory, place) = try copy(store)
            let fromSwift = try await content(of: place) == expected
            #expect(fromSwift, "this version reads \(store.lastPathComponent) otherwise")
            withExtendedLifetime(directory) {}
        }
    }

    @Test("The bytes that FORMAT.md shows are those of the golden store `small`")
    func shownBytes() throws {
        let root = GoldenStores.directory.deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "FORMAT.md"), encoding: .utf8)
        var shown: [String: Data] = [:]
        var file = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("### `") { file = String(line.dropFirst(5).prefix { $0 != "`" }) }
            let fields = line.split(separator: "|", omittingEmptySubsequences: false)[0].split(separator: " ")
            guard !file.isEmpty, let offset = fields.first, offset.count == 4, let place = Int(offset, radix: 16)
            else { continue }
            let bytes = fields.dropFirst().compactMap { UInt8($0, radix: 16) }
            // Lines of zeros may be left out.
            let gap = place - (shown[file]?.count ?? 0)
            #expect(gap >= 0, "\(file), \(offset)")
            shown[file, default: Data()].append(contentsOf: [UInt8](repeating: 0, count: max(gap, 0)) + bytes)
        }
        #expect(shown.keys.sorted() == ["MANIFEST", "log-0000000001"])
        for (name, bytes) in shown {
            let golden = try Data(contentsOf: GoldenStores.directory.appending(path: "v1/small/\(name)"))
            let same = golden == bytes
            #expect(same, "\(name): \(bytes.count) bytes shown of \(golden.count)")
        }
    }

    @Test("The reader in Python agrees on stores made at random, open and closed", arguments: 1...3)
    func random(round: Int) async throws {
        let seed = UInt64.random(in: .min ... .max)
        let directory = try TemporaryDirectory()
        let store = URL(filePath: directory.path.string).appending(path: "store")
        var random = RandomStore(seed: seed)
        let opened = try await random.make(at: FilePath(store.path))
        // While the writer has it, and after it closed in order.
        let expected = try StoreDump(opened).text
        let whileOpen = try PythonReader.read(store) == .content(expected)
        #expect(whileOpen, "seed \(seed): the reader in Python disagrees about an open store")
        try await opened.close()
        // What was in flight is told after a crash alone (T14).
        let closed = expected.split(separator: "\n").filter { !$0.hasPrefix("inflight") }.map { $0 + "\n" }.joined()
        let whenClosed = try PythonReader.read(store) == .content(closed)
        #expect(whenClosed, "seed \(seed): the reader in Python disagrees about a closed store")
    }

    @Test("The reader in Python agrees when one batch ends a parent before its child, and a note names no live task")
    func oddOrder() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        var configuration = MemoStore.Configuration.exactLog
        configuration.reserveBytes = 0
        let store = try await MemoStore.labelled(at: path, configuration: configuration)
        try await store.append(.spawning(2))
        try await store.append(.spawning(1, under: 1))
        var transaction = Transaction()
        for (task, parent) in [(2, 0), (3, 1), (1, 0)] as [(UInt64, UInt64)] {
            transaction.end(
                .init(
                    task: TaskID(task), parent: TaskID(parent), label: Label(rawValue: 1), kind: .completed,
                    endedAt: Timestamp(milliseconds: 5)))
        }
        transaction.noteInFlight([TaskID(3), TaskID(77)])
        try await store.append(transaction)
        let expected = try StoreDump(store).text
        let fromPython = try PythonReader.read(URL(filePath: path.string))
        #expect(fromPython == .content(expected))
        try await store.close()
    }

    @Test("A flipped byte is the same to both readers: damage in the same file, or no difference")
    func flips() async throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for store in try GoldenStores.all() {
            let expected = try String(contentsOf: store.appendingPathExtension("dump"), encoding: .utf8)
            for _ in 0..<12 {
                let (directory, place) = try copy(store)
                let names = try FileManager.default.contentsOfDirectory(atPath: place.path)
                    .filter { $0 != StoreFiles.lockName }.sorted()
                let file = place.appending(path: names[Int.random(in: 0..<names.count, using: &random)])
                var bytes = try Data(contentsOf: file)
                let offset = Int.random(in: 0..<bytes.count, using: &random)
                bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                try bytes.write(to: file)
                let python = try PythonReader.read(place)
                var swift: PythonReader.Result
                do { swift = .content(try await content(of: place)) } catch let error as StoreError {
                    swift = .damaged(error.file?.lastComponent?.string ?? "")
                }
                let what = "seed \(seed): \(store.lastPathComponent)/\(file.lastPathComponent), byte \(offset)"
                // A version or kind that is not known is an error of its own to this library.
                if case .failed(3, _) = python, case .damaged = swift { continue }
                // One may look at payloads that the other does not ask for: their tasks end behind the checkpoint.
                if case .damaged(let name) = python, name.hasPrefix("log-"), swift == .content(expected) { continue }
                let agree = python == swift
                #expect(agree, "\(what): the readers disagree: \(python.summary), \(swift.summary)")
                withExtendedLifetime(directory) {}
            }
        }
    }
}
