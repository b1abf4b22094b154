// SPDX-License-Identifier: Apache-2.0
@testable import QuernStore

/// Changes of a whole store that leave its checksums right, through opening, reading, verification and repair. The
/// first byte says of which golden store.
enum StoreDecoder: FuzzDecoder {
    private static let stores: [ForgedStore] = ["small", "closed", "killed"].compactMap { name in
        (try? GoldenFiles([name])).map { ForgedStore($0.files.map { ($0.name, $0.bytes) }) }
    }

    static func run(_ bytes: UnsafeRawBufferPointer) {
        guard let first = bytes.first else { return }
        var store = stores[Int(first) % stores.count]
        Forgery.apply(UnsafeRawBufferPointer(rebasing: bytes.dropFirst().prefix(8 * Forgery.size)), to: &store)
        guard let disk = try? store.placed() else { return }
        let complaint = ForgedStoreCheck.complaint(disk)
        expect(complaint == nil, complaint ?? "")
    }

    /// One change of each kind in each store.
    static func seeds(_ golden: GoldenFiles) -> [[UInt8]] {
        stores.indices.flatMap { store in
            Forgery.Kind.allCases.flatMap { kind in
                (0..<16 as Range<UInt8>).map { file in
                    [UInt8(store), kind.rawValue, file, file &* 3, file &* 37, file / 8, file &* 5, file &* 7, 0]
                }
            }
        }
    }
}
