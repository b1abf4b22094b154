// SPDX-License-Identifier: Apache-2.0
import SystemPackage

@testable import QuernStore

/// The golden stores of this checkout, taken apart.
struct GoldenFiles {
    struct File {
        var store: String
        var name: String
        var bytes: [UInt8]
        var header: FileHeader
        var frames: [Frame]
    }

    struct Frame {
        var header: FrameHeader
        /// Decoded.
        var body: [UInt8]
    }

    private(set) var files: [File] = []

    static let directory: FilePath = {
        var path = FilePath(#filePath)
        for _ in 0..<4 { path.removeLastComponent() }
        return path.appending("Tests/Golden/v1")
    }()

    /// - Parameter stores: their names; all of them where none is named.
    init(_ stores: [String] = ["small", "closed", "killed", "random"]) throws {
        let disk = PosixFileSystem()
        for store in stores {
            let directory = Self.directory.appending(store)
            for name in try disk.list(directory).sorted() where name != StoreFiles.lockName {
                let file = try disk.open(directory.appending(name), .readOnly)
                let bytes = try file.read(count: try file.size(), at: 0)
                guard let header = try? bytes.withUnsafeBytesThrowing({ try FileHeader($0) }) else { continue }
                files.append(
                    File(
                        store: store, name: name, bytes: bytes, header: header,
                        frames: try Self.frames(of: bytes, header)))
            }
        }
    }

    private static func frames(of bytes: [UInt8], _ header: FileHeader) throws -> [Frame] {
        try bytes.withUnsafeBytesThrowing { (bytes) throws in
            let seed = header.identity.seed
            var frames: [Frame] = []
            var offset = FileHeader.size
            while let frame = FrameHeader(
                bytes, at: offset, segment: UInt32(truncatingIfNeeded: header.number), seed: seed),
                let stored = frame.body(in: bytes, seed: seed)
            {
                frames.append(Frame(header: frame, body: try frame.decoded(stored)))
                offset += frame.totalLength
            }
            return frames
        }
    }

    func frames(_ kinds: FrameHeader.Kind..., of file: FileHeader.Kind) -> [Frame] {
        files.filter { $0.header.kind == file }.flatMap(\.frames).filter { kinds.contains($0.header.kind) }
    }
}
