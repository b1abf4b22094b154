// SPDX-License-Identifier: Apache-2.0

/// Bytes of a file in memory, readable as long as a reference to the mapping lives, also after the file was removed.
public final class FileMapping: Sendable {
    /// The address as a number: a pointer is not `Sendable`, and the bytes behind it never change.
    private let address: UInt
    /// In bytes.
    public let length: Int
    private let unmap: @Sendable (UnsafeRawBufferPointer) -> Void
    private let discard: @Sendable (UnsafeRawBufferPointer) -> Void

    /// - Parameters:
    ///   - discard: told that these bytes will not be read again soon, so that they need not stay resident.
    ///   - unmap: called once, with all bytes, when the last reference goes.
    public init(
        _ bytes: UnsafeRawBufferPointer,
        discard: @escaping @Sendable (UnsafeRawBufferPointer) -> Void = { _ in },
        unmap: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
    ) {
        address = UInt(bitPattern: bytes.baseAddress)
        length = bytes.count
        self.discard = discard
        self.unmap = unmap
    }

    deinit { unmap(bytes) }

    /// All bytes. Valid as long as the mapping lives, and reading them does not keep it alive: a mapping of which only
    /// `bytes` is left may be gone before they are read. Prefer ``withBytes(_:)``, or hold the mapping in a property.
    public var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: length)
    }

    /// All bytes, with the mapping kept alive until `body` returns.
    public func withBytes<Value, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        defer { withExtendedLifetime(self) {} }
        return try body(bytes)
    }

    /// Says that the bytes of `range` will not be read again soon.
    public func discard(_ range: Range<Int>) {
        let clamped = range.clamped(to: 0..<length)
        if !clamped.isEmpty { discard(UnsafeRawBufferPointer(rebasing: bytes[clamped])) }
    }
}
