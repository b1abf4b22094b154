// SPDX-License-Identifier: Apache-2.0
import Foundation
import QuernTesting
import SystemPackage
import Testing

@testable import QuernStore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Darwin)
    import Darwin
#endif

/// Paths that lead to no store, or to one by a detour: writers, readers and inspections say the same of them.
@Suite struct StorePathTests {
    /// What each of them throws, that of the writer first.
    private static func failures(
        at path: FilePath, _ files: any FileSystem = PosixFileSystem(), writes: Bool = true
    ) async -> [StoreError?] {
        var failures: [StoreError?] = []
        func note(_ body: () async throws(StoreError) -> Void) async {
            do throws(StoreError) {
                try await body()
                failures.append(nil)
            } catch { failures.append(error) }
        }
        if writes {
            await note { () throws(StoreError) in try await MemoStore.open(at: path, fileSystem: files).close() }
        }
        await note { () throws(StoreError) in _ = try await MemoReader.open(at: path, fileSystem: files) }
        await note { () throws(StoreError) in _ = try StoreInspection(of: path, fileSystem: files) }
        return failures
    }

    @Test("A path that is a file, or lies below one, is said to be no directory", arguments: ["file", "file/store"])
    func notADirectory(name: String) async throws {
        let directory = try TemporaryDirectory()
        let simulated = SimulatedFileSystem()
        try simulated.createDirectory(directory.path)
        for files: any FileSystem in [PosixFileSystem(), simulated] {
            _ = try files.open(directory.path.appending("file"), .createNew)
            let path = directory.path.appending(name)
            for failure in await Self.failures(at: path, files) {
                #expect(failure?.code == .notAStore)
                #expect(failure?.description.contains("is not a directory") == true)
                #expect(failure?.file == path)
            }
        }
    }

    @Test("Where nothing is, a reader finds no store, and a writer makes one with the directories above")
    func missing() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("a/b/store")
        #expect(await Self.failures(at: path, writes: false).allSatisfy { $0?.code == .notFound })
        #expect(await Self.failures(at: path).allSatisfy { $0 == nil })
        let empty = directory.path.appending("a/empty")
        try PosixFileSystem().createDirectory(empty)
        #expect(await Self.failures(at: empty, writes: false).allSatisfy { $0?.code == .notFound })
    }

    @Test("A symbolic link to a store is that store, and one that leads nowhere is said to lead to none")
    func links() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        let link = directory.path.appending("link")
        #expect(symlink(path.string, link.string) == 0)
        #expect(await Self.failures(at: link).allSatisfy { $0?.code == .notFound })
        let store = try await MemoStore.labelled(at: path)
        try await store.append(.spawning(3))
        do throws(StoreError) {
            _ = try await MemoStore.open(at: link)
            Issue.record("a second writer was let in by a link")
        } catch { #expect(error.code == .locked) }
        #expect(try await MemoReader.open(at: link).totals.live == 3)
        try await store.close()
        let again = try await MemoStore.open(at: link)
        try await again.append(.spawning(1))
        try await again.close()
        #expect(try StoreInspection(of: path).liveTasks == 4)
    }

    @Test("No file of a store is followed out of it: a link in its place is an error, and its target is untouched")
    func linksInside() async throws {
        let files = PosixFileSystem()
        let model = try TemporaryDirectory()
        for name in try files.list(try await Self.fill(model)) {
            let directory = try TemporaryDirectory()
            let path = try await Self.fill(directory)
            let (inside, outside) = (path.appending(name), directory.path.appending("outside"))
            try files.rename(inside, to: outside)
            #expect(symlink(outside.string, inside.string) == 0)
            let before = try Self.bytes(outside)
            let failures = await Self.failures(at: path)
            #expect(try Self.bytes(outside) == before, "\(name)")
            // Of a checkpoint and its mirror one is enough.
            guard let kind = StoreFiles.parse(name)?.kind, kind != .mirror, kind != .checkpoint else { continue }
            #expect(failures.contains { $0?.cause?.errno == .tooManySymbolicLinkLevels }, "\(name)")
        }
    }

    /// - Returns: where the store is, with files of every kind.
    private static func fill(_ directory: TemporaryDirectory) async throws -> FilePath {
        let path = directory.path.appending("store")
        let store = try await MemoStore.labelled(at: path)
        try await store.append(.spawning(1))
        try await store.append(.spawning(8, under: 1))
        try await store.append(.ending(2...5, under: 1))
        try await store.close()
        return path
    }

    private static func bytes(_ path: FilePath) throws -> [UInt8] {
        let file = try PosixFileSystem().open(path, .readOnly)
        let size = try file.size()
        return try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    @Test("In a directory that anyone may write to the files are their user's alone, and a new one is private")
    func modes() async throws {
        let directory = try TemporaryDirectory()
        let shared = directory.path.appending("shared")
        #expect(mkdir(shared.string, 0o777) == 0 && chmod(shared.string, 0o777) == 0)
        for path in [shared, directory.path.appending("new")] {
            let store = try await MemoStore.labelled(at: path)
            try await store.append(.spawning(1))
            try await store.append(.spawning(8, under: 1))
            try await store.append(.ending(2...5, under: 1))
            try await store.compact()
            try await store.close()
            for name in try PosixFileSystem().list(path) {
                #expect(try path.appending(name).stat().permissions == .ownerReadWrite, "\(name)")
            }
        }
        #expect(try directory.path.appending("new").stat().permissions == .ownerReadWriteExecute)
    }

    @Test("A link to a directory of another file system is a store there", .enabled(if: access("/dev/shm", W_OK) == 0))
    func otherFileSystem() async throws {
        let directory = try TemporaryDirectory()
        let other = FilePath("/dev/shm/quern-\(getpid())-\(UInt64.random(in: 0 ... .max))")
        try PosixFileSystem().createDirectory(other)
        defer { try? FileManager.default.removeItem(atPath: other.string) }
        let link = directory.path.appending("link")
        #expect(symlink(other.string, link.string) == 0)
        let store = try await MemoStore.labelled(at: link)
        try await store.append(.spawning(1))
        try await store.append(.spawning(8, under: 1))
        try await store.append(.ending(2...5, under: 1))
        try await store.compact()
        try await store.close()
        let again = try await MemoStore.open(at: link)
        #expect(again.totals.live == 5)
        try await again.close()
    }

    @Test("A path that the system calls too long is an error that says so")
    func tooLong() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending(String(repeating: "n", count: 300))
        for failure in await Self.failures(at: path) {
            #expect(failure?.code == .inputOutput && failure?.cause?.errno == .fileNameTooLong)
        }
    }

    @Test("A directory that may not be read is an error that says so", .enabled(if: getuid() != 0))
    func unreadable() async throws {
        let directory = try TemporaryDirectory()
        let path = directory.path.appending("store")
        try await MemoStore.open(at: path).close()
        #expect(chmod(path.string, 0) == 0)
        defer { chmod(path.string, 0o700) }
        for failure in await Self.failures(at: path) {
            #expect(failure?.code == .inputOutput && failure?.cause?.errno == .permissionDenied)
        }
    }
}
