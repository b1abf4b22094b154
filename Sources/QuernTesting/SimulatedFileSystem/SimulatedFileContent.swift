// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// The content of a simulated file: what reads see, what is on the disk, and the way from one to the other.
struct SimulatedFileContent: Sendable {
    enum Change: Sendable {
        case write([UInt8], at: Int)
        case resize(to: Int)

        func apply(to bytes: inout SimulatedBytes) {
            switch self {
            case .write(let content, let offset): content.withUnsafeBytes { bytes.write($0, at: offset) }
            case .resize(let length): bytes.resize(to: length)
            }
        }
    }

    private(set) var live: SimulatedBytes
    private(set) var durable: SimulatedBytes
    /// In the order in which they were made. Changes of a failed sync are in `live` but no longer here.
    private(set) var unsynced: [Change] = []

    init() {
        live = SimulatedBytes()
        durable = SimulatedBytes()
    }

    /// A file whose content is on the disk.
    init(durable bytes: SimulatedBytes) {
        durable = bytes
        live = durable.clone()
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        live.write(bytes, at: offset)
        unsynced.append(.write(Array(bytes), at: offset))
    }

    mutating func resize(to length: Int) {
        live.resize(to: length)
        unsynced.append(.resize(to: length))
    }

    mutating func mapping(length: Int) -> FileMapping { live.mapping(length: length) }

    mutating func synchronize() {
        for change in unsynced { change.apply(to: &durable) }
        unsynced = []
    }

    /// What a failed sync does: the changes count as written, and are not.
    mutating func loseUnsynced() { unsynced = [] }

    /// Changes the file behind everybody's back, in memory and on the disk.
    mutating func corrupt(_ change: (inout SimulatedBytes) -> Void) {
        change(&live)
        durable = live.clone()
        unsynced = []
    }

    /// The same file in another file system, unsynced changes and all.
    mutating func clone() -> SimulatedFileContent {
        var copy = self
        copy.live = live.clone()
        copy.durable = durable.clone()
        return copy
    }

    /// What is on the disk, for another file system.
    mutating func cloneDurable() -> SimulatedBytes { durable.clone() }
}
