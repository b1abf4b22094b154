// SPDX-License-Identifier: Apache-2.0
import QuernTesting

@testable import QuernStore

/// A store that is built of this one's files, beside its writer.
extension StoreModel {
    func rebuild() async throws {
        await store.rest()
        let copy: ModelFiles =
            switch files {
            case .simulated: .simulated(SimulatedFileSystem())
            case .real: .real(try TemporaryDirectory())
            }
        var contents = try OfflineContents(
            of: try OfflineStore.read(at: files.store, fileSystem: files.fileSystem), for: .whole)
        try StoreBuilder.build(at: copy.store, fileSystem: copy.fileSystem, configuration: configuration) {
            try contents.tell(&$0)
        }
        let reader = try await MemoReader.open(at: copy.store, fileSystem: copy.fileSystem)
        try checkEverything(reader)
    }
}
