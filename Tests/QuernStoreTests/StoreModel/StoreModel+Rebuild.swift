// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore
@testable import QuernTool

/// Stores that are made of this one's files, beside its writer.
extension StoreModel {
    /// Built at once, and of what it is when it is exported: both answer as it does, and are the same byte for byte.
    func rebuild() async throws {
        await store.rest()
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: files.store, fileSystem: files.fileSystem), for: .whole)
        let built = try await made { try contents.tell(&$0) }
        let exported = try exported()
        let imported = try await made { sink in
            var source = StoreImport<StoreBuilder>(Self.lines(of: exported))
            try source.tell(&sink)
        }
        try expect(try Self.contents(of: imported) == Self.contents(of: built), "the import has other files")
    }

    private func made(_ fill: (inout StoreBuilder) throws -> Void) async throws -> ModelFiles {
        let made: ModelFiles =
            switch files {
            case .simulated: .simulated(SimulatedFileSystem())
            case .real: .real(try TemporaryDirectory())
            }
        try StoreBuilder.build(at: made.store, fileSystem: made.fileSystem, configuration: configuration, fill)
        let reader = try await MemoReader.open(at: made.store, fileSystem: made.fileSystem)
        try checkEverything(reader)
        return made
    }

    private func exported() throws -> [UInt8] {
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: files.store, fileSystem: files.fileSystem), for: .look)
        var writer = ExchangeWriter(to: .captured())
        try contents.tell(&writer)
        return Array(writer.output.text.utf8)
    }

    private static func lines(of text: [UInt8]) -> LineSource {
        var place = 0
        return LineSource { buffer in
            let count = min(buffer.count, text.count - place)
            buffer.copyBytes(from: text[place..<(place + count)])
            place += count
            return count
        }
    }

    private static func contents(of files: ModelFiles) throws -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for name in try files.fileSystem.list(files.store) where name != StoreFiles.lockName {
            let file = try files.fileSystem.open(files.store.appending(name), .readOnly)
            contents[name] = try file.read(count: try file.size(), at: 0)
        }
        return contents
    }
}
