// SPDX-License-Identifier: Apache-2.0
import Glibc
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

@Suite struct PosixFileSystemTests {
    let files = PosixFileSystem()
    let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    func path(_ name: String) -> FilePath { directory.path.appending(name) }

    /// Pages behind a walk stayed resident: the start of what was to be given back was not rounded, and the kernel
    /// refuses such a range.
    @Test("S11: what is given back are whole pages, wherever the bytes begin")
    func discardedPages() {
        func pages(_ start: UInt, _ count: Int) -> Range<UInt>? {
            UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: start), count: count).wholePages(of: 4096)
        }
        #expect(pages(8192, 8192) == 8192..<16384)
        #expect(pages(8193, 8192) == 12288..<16384)
        #expect(pages(8192 + 128, 1 << 20) == 12288..<1_056_768)
        #expect(pages(8193, 4096) == nil)
        #expect(pages(8192, 4095) == nil)
        #expect(pages(12287, 1) == nil)
    }

    @discardableResult
    func create(_ name: String, _ text: String = "") throws -> any StoreFile {
        let file = try files.open(path(name), .createNew)
        try Array(text.utf8).withUnsafeBytes { try file.write($0, at: 0) }
        return file
    }

    func text(_ file: any StoreFile, at offset: Int = 0, upTo count: Int = 100) throws -> String {
        var bytes = [UInt8](repeating: 0, count: count)
        let length = try bytes.withUnsafeMutableBytes { try file.read(into: $0, at: offset) }
        return String(decoding: bytes[..<length], as: UTF8.self)
    }

    func errno(_ body: () throws -> Void) -> Errno? {
        do {
            try body()
            return nil
        } catch {
            return (error as? FileError)?.errno
        }
    }

    // MARK: Files

    @Test func whatIsWrittenIsRead() throws {
        let file = try create("a", "hello world")
        #expect(try text(file) == "hello world")
        #expect(try text(file, at: 6, upTo: 3) == "wor")
        #expect(try text(file, at: 9, upTo: 50) == "ld")
        #expect(try text(file, at: 11) == "")
        #expect(try text(file, at: 1_000) == "")
        #expect(try file.size() == 11)
        #expect(file.path == path("a"))
    }

    @Test func writingBehindTheEndLeavesZeros() throws {
        let file = try create("a", "ab")
        try Array("z".utf8).withUnsafeBytes { try file.write($0, at: 5) }
        #expect(try text(file) == "ab\0\0\0z")
        #expect(try file.size() == 6)
    }

    @Test func emptyReadsAndWritesDoNothing() throws {
        let file = try create("a", "ab")
        try file.write(UnsafeRawBufferPointer(start: nil, count: 0), at: 50)
        #expect(try file.read(into: UnsafeMutableRawBufferPointer(start: nil, count: 0), at: 0) == 0)
        #expect(try file.size() == 2)
    }

    /// A batch that found no space took all that was left, so that nothing could be written any more.
    @Test("Space that is given back is free, and the file stays as long as it was")
    func discardedSpace() throws {
        let file = try files.open(path("a"), .createNew)
        try file.write([UInt8](repeating: 7, count: 1 << 20), at: 0)
        try file.synchronize()
        func blocks() throws -> Int { try Int(path("a").stat().blocksAllocated) }
        let before = try blocks()
        file.discard(65536..<(1 << 20))
        #expect(try file.size() == 1 << 20)
        #expect(try file.read(count: 65536, at: 0).allSatisfy { $0 == 7 })
        let rest = try file.read(count: 1 << 20, at: 65536)
        // Not every file system can do it; then nothing changes.
        #expect(rest.allSatisfy { $0 == 0 } ? try blocks() < before / 4 : rest.allSatisfy { $0 == 7 })
        file.discard(0..<0)
    }

    @Test func negativeOffsetsAreRefused() throws {
        let file = try create("a", "ab")
        #expect(errno { _ = try text(file, at: -1) } == .invalidArgument)
        #expect(errno { try Array("x".utf8).withUnsafeBytes { try file.write($0, at: -1) } } == .invalidArgument)
    }

    @Test func openModes() throws {
        try create("a", "content")
        let reader = try files.open(path("a"), .readOnly)
        #expect(errno { try Array("x".utf8).withUnsafeBytes { try reader.write($0, at: 0) } } == .badFileDescriptor)
        let writer = try files.open(path("a"), .readWrite)
        try Array("C".utf8).withUnsafeBytes { try writer.write($0, at: 0) }
        #expect(try text(reader) == "Content")
        #expect(errno { _ = try files.open(path("a"), .createNew) } == .fileExists)
        #expect(errno { _ = try files.open(path("b"), .readOnly) } == .noSuchFileOrDirectory)
        #expect(errno { _ = try files.open(path("b"), .readWrite) } == .noSuchFileOrDirectory)
        #expect(try files.list(directory.path) == ["a"])
    }

    @Test func onlyRegularFilesOpen() throws {
        try files.createDirectory(path("d"))
        #expect(errno { _ = try files.open(path("d"), .readOnly) } == .isDirectory)
        #expect(errno { _ = try files.open(path("d"), .readWrite) } == .isDirectory)
        #expect(path("pipe").withPlatformString { mkfifo($0, 0o600) } == 0)
        #expect(errno { _ = try files.open(path("pipe"), .readOnly) } == .invalidArgument)
        #expect(errno { _ = try files.open(path("pipe"), .readWrite) } == .invalidArgument)
        #expect(errno { _ = try files.lock(path("pipe")) } == .invalidArgument)
    }

    @Test func linksAreNotFollowed() throws {
        try create("a", "secret")
        let made = path("a").withPlatformString { from in path("link").withPlatformString { symlink(from, $0) } }
        #expect(made == 0)
        let tooMany = Errno.tooManySymbolicLinkLevels
        #expect(errno { _ = try files.open(path("link"), .readOnly) } == tooMany)
        #expect(errno { _ = try files.open(path("link"), .readWrite) } == tooMany)
        #expect(errno { _ = try files.open(path("link"), .createNew) } == .fileExists)
        #expect(errno { _ = try files.lock(path("link")) } == tooMany)
        try files.remove(path("link"))
        #expect(try files.list(directory.path) == ["a"])
    }

    @Test func modes() throws {
        try create("a")
        _ = try files.lock(path("lock"))
        try files.createDirectory(path("d/e"))
        #expect(try path("a").stat().permissions == .ownerReadWrite)
        #expect(try path("lock").stat().permissions == .ownerReadWrite)
        #expect(try path("d").stat().permissions == .ownerReadWriteExecute)
        #expect(try path("d/e").stat().permissions == .ownerReadWriteExecute)
    }

    @Test func synchronizeSucceeds() throws {
        try create("a", "x").synchronize()
        try files.synchronizeDirectory(directory.path)
    }

    @Test func theErrorSaysWhatAndWhere() throws {
        let error = #expect(throws: FileError.self) { _ = try files.open(path("b"), .readOnly) }
        #expect(error == FileError(operation: "open", path: path("b"), errno: .noSuchFileOrDirectory))
        #expect(error.map { "\($0)" }?.hasPrefix("open \(path("b")): ") == true)
    }

    @Test func descriptorsAreClosed() throws {
        // The numbers of new descriptors are the lowest free ones: a leak would push them up.
        func lowestFree() throws -> CInt {
            let descriptor = try FileDescriptor.open("/dev/null", .readOnly, options: [.closeOnExec])
            defer { try? descriptor.close() }
            return descriptor.rawValue
        }
        try create("a", "x")
        try files.createDirectory(path("d"))
        let held = try files.lock(path("lock"))
        let before = try lowestFree()
        for _ in 0..<2_000 {
            let file = try files.open(path("a"), .readOnly)
            _ = try file.map(length: 1)
            _ = errno { _ = try file.map(length: 2) }
            _ = errno { _ = try files.open(path("d"), .readOnly) }
            _ = errno { _ = try files.lock(path("lock")) }
            _ = try files.list(directory.path)
            _ = errno { _ = try files.list(path("a")) }
            try files.synchronizeDirectory(directory.path)
        }
        // Tests of other suites open files at the same time.
        #expect(try lowestFree() < before + 500)
        held.release()
    }

    // MARK: Directories

    @Test func directories() throws {
        try files.createDirectory(path("a/b/c"))
        try files.createDirectory(path("a/b/c"))
        try files.createDirectory("/")
        #expect(try files.list(path("a")) == ["b"])
        #expect(try files.list(path("a/b/c")) == [])
        try create("a/b/file")
        #expect(errno { try files.createDirectory(path("a/b/file")) } == .fileExists)
        #expect(errno { try files.createDirectory(path("a/b/file/x/y")) } == .notDirectory)
        #expect(errno { _ = try files.list(path("nowhere")) } == .noSuchFileOrDirectory)
        #expect(errno { _ = try files.list(path("a/b/file")) } == .notDirectory)
        #expect(errno { try files.synchronizeDirectory(path("nowhere")) } == .noSuchFileOrDirectory)
        #expect(errno { try files.synchronizeDirectory(path("a/b/file")) } == .notDirectory)
    }

    @Test func aDirectoryReachedByALink() throws {
        try files.createDirectory(path("a"))
        _ = path("a").withPlatformString { from in path("link").withPlatformString { symlink(from, $0) } }
        try files.createDirectory(path("link"))
        try files.createDirectory(path("link/b"))
        #expect(try files.list(path("link")) == ["b"])
        try files.synchronizeDirectory(path("link"))
    }

    @Test func longListsAndOddNames() throws {
        let names = Set((0..<3_000).map { "name-\($0)" } + [".hidden", "with space", "ümläut", "...", ".a"])
        for name in names { try create(name) }
        #expect(Set(try files.list(directory.path)) == names)
    }

    @Test func renameReplaces() throws {
        let old = try create("target", "old")
        try create("source", "new")
        try files.rename(path("source"), to: path("target"))
        #expect(try files.list(directory.path) == ["target"])
        #expect(try text(files.open(path("target"), .readOnly)) == "new")
        #expect(try text(old) == "old")
        #expect(errno { try files.rename(path("source"), to: path("x")) } == .noSuchFileOrDirectory)
    }

    @Test func remove() throws {
        let file = try create("a", "still here")
        try files.createDirectory(path("d"))
        try files.remove(path("a"))
        #expect(try text(file) == "still here")
        #expect(errno { try files.remove(path("a")) } == .noSuchFileOrDirectory)
        #expect(errno { try files.remove(path("d")) } == .isDirectory)
    }

    // MARK: Mappings

    @Test func mappingsOutliveFileAndName() throws {
        var file: (any StoreFile)? = try create("a", "mapped bytes")
        let mapping = try #require(try file?.map(length: 6))
        file = nil
        try files.remove(path("a"))
        #expect(mapping.length == 6)
        #expect(mapping.withBytes { String(decoding: $0, as: UTF8.self) } == "mapped")
    }

    @Test func mappingLengths() throws {
        let file = try create("a", "12345")
        #expect(try file.map(length: 0).withBytes(\.count) == 0)
        #expect(try file.map(length: 5).withBytes(\.count) == 5)
        #expect(errno { _ = try file.map(length: 6) } == .invalidArgument)
        #expect(errno { _ = try file.map(length: -1) } == .invalidArgument)
        #expect(try create("empty").map(length: 0).withBytes(\.isEmpty))
        let reader = try files.open(path("a"), .readOnly)
        #expect(try reader.map(length: 5).withBytes(Array.init) == Array("12345".utf8))
    }

    @Test func discardKeepsTheData() throws {
        var generator = SeededGenerator(seed: 1)
        let content = generator.bytes(100_000)
        let file = try files.open(path("a"), .createNew)
        try content.withUnsafeBytes { try file.write($0, at: 0) }
        let mapping = try file.map(length: content.count)
        for range in [0..<100_000, 1..<4_097, 4_096..<8_192, 5_000..<6_000, 90_000..<200_000, 7..<7] {
            #expect(mapping.withBytes { $0.elementsEqual(content) })
            mapping.discard(range)
        }
        #expect(mapping.withBytes { $0.elementsEqual(content) })
    }

    // MARK: Locks

    @Test func aLockExcludesThisProcessToo() throws {
        let lock = try files.lock(path("lock"))
        let taken = FileError(operation: "lock", path: path("lock"), errno: .resourceTemporarilyUnavailable)
        #expect(throws: taken) { _ = try files.lock(path("lock")) }
        lock.release()
        lock.release()
        let second = try files.lock(path("lock"))
        #expect(throws: taken) { _ = try files.lock(path("lock")) }
        withExtendedLifetime(second) {}
    }

    @Test func aLockEndsWithItsLastReference() throws {
        var lock: (any FileLock)? = try files.lock(path("lock"))
        try lock?.write("first")
        lock = nil
        #expect(try files.lock(path("lock")).read() == "first")
    }

    @Test func closingTheFileElsewhereDoesNotDropTheLock() throws {
        let lock = try files.lock(path("lock"))
        _ = try files.open(path("lock"), .readOnly)
        #expect(errno { _ = try files.lock(path("lock")) } == .resourceTemporarilyUnavailable)
        lock.release()
    }

    @Test func theHolderIsReadable() throws {
        let lock = try files.lock(path("lock"))
        #expect(try lock.read() == "")
        try lock.write("process 4711 on a host with a long name")
        try lock.write("process 7")
        #expect(try lock.read() == "process 7")
        #expect(try text(files.open(path("lock"), .readOnly)) == "process 7")
        lock.release()
        #expect(errno { _ = try lock.read() } == .badFileDescriptor)
        #expect(errno { try lock.write("x") } == .badFileDescriptor)
    }

    @Test func aLockOnARemovedFileDoesNotExclude() throws {
        let old = try files.lock(path("lock"))
        try files.remove(path("lock"))
        let new = try files.lock(path("lock"))
        #expect(errno { _ = try files.lock(path("lock")) } == .resourceTemporarilyUnavailable)
        withExtendedLifetime((old, new)) {}
    }
}
