// SPDX-License-Identifier: Apache-2.0
import QuernStore

/// Bytes of a simulated file, which can be mapped and copied without copying them.
///
/// Part of the storage may be shared with mappings or with copies. That part never changes: a write into it moves
/// these bytes to new storage first, while appending behind it goes on in place.
struct SimulatedBytes: Sendable {
    /// The address as a number, so that the class is plainly `Sendable`.
    private final class Storage: Sendable {
        let address: UInt
        let capacity: Int

        init(capacity: Int) {
            self.capacity = capacity
            address = UInt(bitPattern: UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 64))
        }

        deinit { bytes.baseAddress?.deallocate() }

        var bytes: UnsafeMutableRawBufferPointer {
            UnsafeMutableRawBufferPointer(start: UnsafeMutableRawPointer(bitPattern: address), count: capacity)
        }
    }

    private var storage: Storage?
    private(set) var count = 0
    /// The bytes of the storage before this place are shared.
    private var sharedEnd = 0

    init() {}

    init(_ bytes: [UInt8]) { bytes.withUnsafeBytes { write($0, at: 0) } }

    /// The bytes in an array.
    var array: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        guard let storage, offset < count else { return 0 }
        let length = min(buffer.count, count - offset)
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage.bytes[offset..<offset + length]))
        return length
    }

    /// Replaces the bytes at `offset`. A gap between the end and `offset` is filled with zeros.
    mutating func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard !bytes.isEmpty else { return }
        let end = offset + bytes.count
        extend(to: offset)
        let target = prepare(from: offset, to: end)
        target.copyMemory(from: bytes)
        count = max(count, end)
    }

    /// Makes the length `length`, with zeros when it grows.
    mutating func resize(to length: Int) {
        extend(to: length)
        count = length
    }

    /// Fills with zeros up to `length`. Does nothing when there is as much already.
    mutating func extend(to length: Int) {
        guard length > count else { return }
        _ = prepare(from: count, to: length).initializeMemory(as: UInt8.self, repeating: 0)
        count = length
    }

    /// The first `length` bytes as they are now, whatever is written later.
    mutating func mapping(length: Int) -> FileMapping {
        guard let storage, length > 0 else {
            return FileMapping(UnsafeRawBufferPointer(start: nil, count: 0), unmap: { _ in })
        }
        sharedEnd = max(sharedEnd, length)
        let bytes = UnsafeRawBufferPointer(rebasing: storage.bytes[..<length])
        return FileMapping(bytes, unmap: { _ in withExtendedLifetime(storage) {} })
    }

    /// A copy that goes its own way.
    mutating func clone() -> SimulatedBytes {
        sharedEnd = max(sharedEnd, count)
        var copy = self
        copy.sharedEnd = .max  // The room behind the end belongs to the original.
        return copy
    }

    /// Storage of our own that can take bytes at these places; the bytes before them are kept.
    private mutating func prepare(from start: Int, to end: Int) -> UnsafeMutableRawBufferPointer {
        if let storage, start >= sharedEnd, end <= storage.capacity {
            return UnsafeMutableRawBufferPointer(rebasing: storage.bytes[start..<end])
        }
        let grown = end > count ? max(end, count * 2, 512) : count
        let fresh = Storage(capacity: grown)
        if let storage {
            fresh.bytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: storage.bytes[..<count]))
        }
        storage = fresh
        sharedEnd = 0
        return UnsafeMutableRawBufferPointer(rebasing: fresh.bytes[start..<end])
    }
}
