// SPDX-License-Identifier: Apache-2.0
#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// The files of a photo library: a folder with a folder an album, which has photos.
public struct PhotoFolder: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    /// The folders in it, in the order of their names.
    public func albums() throws -> [String] {
        try names { isFolder in isFolder }
    }

    /// The photos in it, in the order of their names. Thumbnails are none.
    public func photos() throws -> [String] {
        try names { isFolder in !isFolder }.filter { $0.hasSuffix(".ppm") && !$0.hasPrefix(".") }
    }

    private func names(_ isWanted: (_ isFolder: Bool) -> Bool) throws -> [String] {
        let manager = FileManager.default
        return try manager.contentsOfDirectory(atPath: path).sorted().filter { name in
            guard !name.hasPrefix(".") else { return false }
            var isFolder = false
            return manager.fileExists(atPath: path + "/" + name, isDirectory: &isFolder) && isWanted(isFolder)
        }
    }

    public func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)))
    }

    /// Replaces a file as a whole, so that doing it twice is doing it once.
    public func write(_ bytes: [UInt8], to name: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path + "/" + name), options: .atomic)
    }
}
