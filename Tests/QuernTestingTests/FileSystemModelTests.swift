// SPDX-License-Identifier: Apache-2.0
import QuernStore
import QuernTesting
import SystemPackage
import Testing

/// The simulated file system answers every call as the operating system does, errors included.
@Suite struct FileSystemModelTests {
    @Test(arguments: (0..<8).map { _ in UInt64.random(in: 0..<1_000_000) })
    func bothGiveTheSameAnswers(seed: UInt64) throws {
        let directory = try TemporaryDirectory()
        let simulated = SimulatedFileSystem()
        try simulated.createDirectory(directory.path)
        var real = Player(files: PosixFileSystem(), root: directory.path)
        var model = Player(files: simulated, root: directory.path)
        var generator = SeededGenerator(seed: seed)
        for step in 0..<400 {
            let operation = Operation.random(&generator)
            let answers = (real.perform(operation), model.perform(operation))
            try #require(answers.0 == answers.1, "seed \(seed), step \(step), \(operation)")
        }
        #expect(real.everything() == model.everything(), "seed \(seed)")
    }
}

private enum Operation {
    case open(String, FileOpenMode)
    case close(Int)
    case size(Int)
    case read(Int, Range<Int>)
    case write(Int, [UInt8], Int)
    case synchronize(Int)
    case map(Int, Int)
    case lookAtMapping
    case list(String)
    case createDirectory(String)
    case rename(String, String)
    case remove(String)
    case synchronizeDirectory(String)
    case lock(String)
    case unlock
    case writeLock(String)

    static let names = ["a", "b", "c", "d/a", "d/b", "d/e/a", "d/e", "d", "f", "a/b", ".", "f/../a", "d/e/.."]

    /// Apart from the files: writing into a lock cuts the file off, and bytes mapped of it could not be touched.
    static let locks = ["lock", "d/lock", "nowhere/lock"]

    static func random(_ generator: inout SeededGenerator) -> Operation {
        let name = generator.pick(names)
        let file = generator.below(4)
        switch generator.below(30) {
        case 0...3: return .open(name, .createNew)
        case 4...5: return .open(name, .readWrite)
        case 6: return .open(name, .readOnly)
        case 7: return .close(file)
        case 8: return .size(file)
        case 9...10:
            let start = generator.below(6_000) - 10
            return .read(file, start..<start + generator.below(3_000))
        case 11...15: return .write(file, generator.bytes(generator.below(2_000)), generator.below(6_000) - 5)
        case 16: return .synchronize(file)
        case 17...18: return .map(file, generator.below(6_000) - 2)
        case 19: return .lookAtMapping
        case 20: return .list(name)
        case 21...22: return .createDirectory(name)
        case 23...24: return .rename(name, generator.pick(names))
        case 25: return .remove(name)
        case 26: return .synchronizeDirectory(name)
        case 27: return .lock(generator.pick(locks))
        case 28: return .unlock
        default: return .writeLock(String(repeating: "x", count: generator.below(50)))
        }
    }
}

private enum Answer: Equatable {
    case nothing
    case number(Int)
    case bytes([UInt8])
    case text(String)
    case names([String])
    case error(FileError)
}

/// Plays operations on one file system, with what it has opened there.
private struct Player {
    let files: any FileSystem
    let root: FilePath
    var opened: [any StoreFile] = []
    var lock: (any FileLock)?
    var mapping: FileMapping?

    mutating func perform(_ operation: Operation) -> Answer {
        do {
            return try answer(operation)
        } catch let error as FileError {
            return .error(error)
        } catch {
            Issue.record(error, "file systems throw nothing but FileError")
            return .nothing
        }
    }

    private func path(_ name: String) -> FilePath { root.appending(name) }

    private mutating func answer(_ operation: Operation) throws -> Answer {
        switch operation {
        case .open(let name, let mode):
            let file = try files.open(path(name), mode)
            if opened.count == 4 { opened.removeFirst() }
            opened.append(file)
        case .close(let index):
            if index < opened.count { opened.remove(at: index) }
        case .size(let index):
            if index < opened.count { return .number(try opened[index].size()) }
        case .read(let index, let range):
            guard index < opened.count else { break }
            var bytes = [UInt8](repeating: 0, count: range.count)
            let count = try bytes.withUnsafeMutableBytes { try opened[index].read(into: $0, at: range.lowerBound) }
            return .bytes(Array(bytes[..<count]))
        case .write(let index, let bytes, let offset):
            if index < opened.count { try bytes.withUnsafeBytes { try opened[index].write($0, at: offset) } }
        case .synchronize(let index):
            if index < opened.count { try opened[index].synchronize() }
        case .map(let index, let length):
            guard index < opened.count else { break }
            let fresh = try opened[index].map(length: length)
            mapping = fresh
            return .bytes(fresh.withBytes(Array.init))
        case .lookAtMapping:
            // The bytes may have been overwritten meanwhile; that they can be touched, and how many, is the answer.
            guard let mapping else { break }
            mapping.discard(0..<mapping.length)
            _ = mapping.withBytes { $0.reduce(0, ^) }
            return .number(mapping.length)
        case .list(let name):
            return .names(try files.list(path(name)).sorted())
        case .createDirectory(let name):
            try files.createDirectory(path(name))
        case .rename(let source, let target):
            try files.rename(path(source), to: path(target))
        case .remove(let name):
            try files.remove(path(name))
        case .synchronizeDirectory(let name):
            try files.synchronizeDirectory(path(name))
        case .lock(let name):
            lock = try files.lock(path(name))
        case .unlock:
            lock?.release()
        case .writeLock(let text):
            try lock?.write(text)
            return .text(try lock?.read() ?? "")
        }
        return .nothing
    }

    /// All files with their bytes.
    func everything() -> [String: [UInt8]] {
        var found: [String: [UInt8]] = [:]
        func visit(_ directory: FilePath) {
            for name in (try? files.list(directory)) ?? [] {
                let path = directory.appending(name)
                guard let file = try? files.open(path, .readOnly), let size = try? file.size() else {
                    found[path.string + "/"] = []
                    visit(path)
                    continue
                }
                var bytes = [UInt8](repeating: 0, count: size)
                _ = try? bytes.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
                found[path.string] = bytes
            }
        }
        visit(root)
        return found
    }
}
