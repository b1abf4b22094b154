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

    /// A few changes of each kind in each store, by themselves and two at a time.
    static func seeds(_ golden: GoldenFiles) -> [[UInt8]] {
        stores.indices.flatMap { store in
            Forgery.Kind.allCases.flatMap { kind in
                (0..<4 as Range<UInt8>).map { number in
                    let place = number &* 37
                    let change: [UInt8] = [kind.rawValue, number &* 5, number &* 3, place, number / 2, place, place, 0]
                    let isDoubled = number % 2 == 1
                    return [UInt8(store)] + change + (isDoubled ? change.map { $0 &+ number } : [])
                }
            }
        }
    }
}
