// SPDX-License-Identifier: Apache-2.0
import QuernTesting
import SystemPackage

@testable import QuernStore

/// A store in memory that can be changed and has all its checksums afterwards, also those by which one file names
/// another.
struct ForgedStore {
    static let directory: FilePath = "/store"

    /// In the order of their names.
    var files: [ForgedFile] = []
    /// Whether log segments say where the one before them ends now.
    var correctsLinks = true
    /// What is done to the bytes of files at last, behind all checksums.
    var damages: [(file: String, damage: Damage)] = []

    enum Damage {
        case cut(at: Int)
        case extend([UInt8])
        case flip(at: Int, bits: UInt8)
        case remove
    }

    init(_ files: [(name: String, bytes: [UInt8])]) {
        self.files = files.sorted { $0.name < $1.name }.compactMap { ForgedFile($0.name, $0.bytes) }
    }

    /// The store on a disk of its own.
    func placed() throws -> SimulatedFileSystem {
        var files = files
        link(&files)
        let disk = SimulatedFileSystem()
        for file in files { try disk.place(file.encoded().bytes, at: Self.directory.appending(file.name)) }
        for (name, damage) in damages {
            let path = Self.directory.appending(name)
            guard let size = disk.contents(path)?.count else { continue }
            switch damage {
            case .cut(let place): try disk.truncate(path, to: place % (size + 1))
            case .extend(let bytes): try disk.overwrite(path, with: bytes, at: size)
            case .flip(let place, let bits):
                guard size > 0, let byte = disk.contents(path)?[place % size] else { continue }
                try disk.overwrite(path, with: [byte ^ bits], at: place % size)
            case .remove: try disk.remove(path)
            }
        }
        return disk
    }

    private func link(_ files: inout [ForgedFile]) {
        if correctsLinks {
            var last: (number: UInt64, checksum: UInt32, end: Int)?
            for index in files.indices where files[index].header.kind == .log {
                // Of older segments those are gone that no live task needs.
                if let last, last.number &+ 1 == files[index].header.number {
                    files[index].header.previousLength = UInt64(last.end)
                    files[index].header.previousChecksum = last.checksum
                }
                let encoded = files[index].encoded()
                last = (files[index].header.number, encoded.checksum, encoded.end)
            }
        }
        // The manifest knows its checkpoint by the last frame.
        guard let manifest = files.firstIndex(where: { $0.name == StoreFiles.manifestName }),
            files[manifest].frames.first?.body.count == 24
        else { return }
        let number = files[manifest].frames[0].body.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        let name = StoreFiles.name(.checkpoint, UInt64(littleEndian: number))
        guard let checkpoint = files.first(where: { $0.name == name }) else { return }
        withUnsafeBytes(of: checkpoint.encoded().checksum.littleEndian) {
            files[manifest].frames[0].body.replaceSubrange(8..<12, with: $0)
        }
    }
}
