// SPDX-License-Identifier: Apache-2.0
import QuernStore
import SystemPackage

/// A file that a command writes and that appears whole or not at all: under its name with `.partial` behind it until
/// it is on disk.
struct OutputFile {
    private let path: FilePath
    private let partial: FilePath
    private let files: any FileSystem
    private let file: any StoreFile

    /// - Throws: ``ToolError`` when there is a file of that name, or one that an interrupted command left.
    init(_ path: FilePath, files: any FileSystem = InterruptibleFileSystem()) throws(ToolError) {
        self.path = path
        self.files = files
        partial = FilePath(path.string + ".partial")
        try Self.requireMissing(path, files)
        do throws(FileError) { file = try files.open(partial, .createNew) } catch {
            guard error.errno == .fileExists else { throw ToolError(.unreadable, "cannot create \(path): \(error)") }
            throw ToolError(
                .unreadable,
                "cannot create \(path): another command is writing it, or was cut short: then remove \(partial)")
        }
    }

    private static func requireMissing(_ path: FilePath, _ files: any FileSystem) throws(ToolError) {
        do throws(FileError) { _ = try files.open(path, .readOnly) } catch {
            if error.errno == .noSuchFileOrDirectory { return }
            throw ToolError(.unreadable, "cannot create \(path): \(error)")
        }
        throw ToolError(.unreadable, "cannot create \(path): \(Errno.fileExists)")
    }

    /// Gives the file its name once `body` has written it; removes it when that fails.
    func write<Value>(_ body: (inout Output) throws -> Value) throws -> Value {
        do {
            var output = Output.writing(to: file)
            let value = try body(&output)
            try output.flush()
            try file.synchronize()
            try Self.requireMissing(path, files)
            try files.rename(partial, to: path)
            try files.synchronizeDirectory(directory)
            return value
        } catch {
            try? files.remove(partial)
            throw error
        }
    }

    private var directory: FilePath {
        let parent = path.removingLastComponent()
        return parent.isEmpty ? "." : parent
    }
}
