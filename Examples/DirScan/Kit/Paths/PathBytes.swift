// SPDX-License-Identifier: Apache-2.0

/// A path as the kernel sees it: bytes without a zero among them, in no particular encoding.
///
/// Names on a Linux file system need not be UTF-8, so a path never passes through `String` on its way to a system
/// call. Directories inside a scan are named relative to the scan's root: the root is the empty path, and there is
/// no slash at either end.
public struct PathBytes: Hashable, Codable, Sendable {
    public var bytes: [UInt8]

    public init(_ bytes: [UInt8]) { self.bytes = bytes }
    public init(_ text: String) { bytes = Array(text.utf8) }

    public var isEmpty: Bool { bytes.isEmpty }

    /// The path of an entry of this directory; of the directory itself when the name is empty.
    public func appending(_ name: some Collection<UInt8>) -> PathBytes {
        if name.isEmpty { return self }
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 1 + name.count)
        result.append(contentsOf: bytes)
        if let last = bytes.last, last != Self.slash { result.append(Self.slash) }
        result.append(contentsOf: name)
        return PathBytes(result)
    }

    public func appending(_ name: String) -> PathBytes { appending(name.utf8) }

    /// The directory that holds this one; nil for the root.
    public var parent: PathBytes? {
        if bytes.isEmpty { return nil }
        guard let cut = bytes.lastIndex(of: Self.slash) else { return PathBytes([]) }
        return PathBytes(Array(bytes[..<cut]))
    }

    static let slash = UInt8(ascii: "/")
}

extension PathBytes {
    /// Calls `body` with the path as a C string that lives on the stack where it is short.
    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        Self.withCString(bytes[...], body)
    }

    static func withCString<Result>(_ bytes: ArraySlice<UInt8>, _ body: (UnsafePointer<CChar>) -> Result) -> Result {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { buffer in
            bytes.withUnsafeBytes { UnsafeMutableRawBufferPointer(buffer).copyMemory(from: $0) }
            buffer[bytes.count] = 0
            return body(UnsafePointer(buffer.baseAddress!))
        }
    }
}
