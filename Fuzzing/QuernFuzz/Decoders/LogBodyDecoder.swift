// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// Records of a batch, applied to what a store holds. The first byte says which.
enum LogBodyDecoder: FuzzDecoder {
    /// Before anything was committed, and what the golden stores hold.
    private static let states: [StoreState] = {
        let names = ["small", "closed", "killed"]
        return [StoreState()]
            + names.compactMap { name -> StoreState? in
                guard let files = try? GoldenFiles([name]) else { return nil }
                let disk = SimulatedFileSystem()
                for file in files.files { try? disk.place(file.bytes, at: ForgedStore.directory.appending(file.name)) }
                return try? MemoReader.openBlocking(at: "/store", fileSystem: disk).current.committed.state
            }
    }()

    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        var state = states[Int(first) % states.count]
        var changes = ChangeCollector()
        let body = UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
        guard
            (try? state.apply(body, segment: 20, frameOffset: UInt64(FileHeader.size), changes: &changes)) != nil
        else { return }
        state.finishBatch(openLimit: first < 128 ? 2000 : 0)
        _ = changes.changes(in: state)
        state.fullBlocks = []
        CheckpointRewriting.check(state, LogPosition(segment: 21, offset: UInt64(FileHeader.size), checksum: 3))
    }

    static func seeds(_ golden: GoldenFiles) throws -> [[UInt8]] {
        var seeds: [[UInt8]] = []
        for store in ["small", "closed", "killed", "random"] {
            var all: [UInt8] = []
            for file in golden.files where file.store == store && file.header.kind == .log {
                for frame in file.frames {
                    all += frame.body
                    for choice in [0, 1, 2, 3] as [UInt8] { seeds.append([choice] + frame.body) }
                    // A log from its beginning on, as far as it fits.
                    if all.count < SeedFiles.longest / 4 { seeds.append([0] + all) }
                }
            }
        }
        return seeds
    }
}
